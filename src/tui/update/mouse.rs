//! The mouse: a press chooses, the wheel scrolls, a drag moves the split or
//! the chart's cursor.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Margin, Position, Rect};

use super::Effect;
use super::overlays::{accept, scroll};
use crate::tui::app::{App, Overlay, Pane};
use crate::tui::chart;
use crate::tui::layout::{line_at, overlay_area, places, row_at};

pub(super) fn mouse(app: &mut App, event: MouseEvent, window: Rect) -> Vec<Effect> {
    let wheel = match event.kind {
        MouseEventKind::ScrollUp => Some(-1_i16),
        MouseEventKind::ScrollDown => Some(1),
        _ => None,
    };
    let pressed = event.kind == MouseEventKind::Down(MouseButton::Left);
    let dragged = event.kind == MouseEventKind::Drag(MouseButton::Left);
    let at = Position::new(event.column, event.row);
    if app.full_screen {
        if pressed {
            app.full_screen = false;
        }
        return Vec::new();
    }
    if app.overlay.is_some() {
        return match wheel {
            Some(by) => {
                scroll(app, by);
                Vec::new()
            }
            None if pressed => press_overlay(app, at, window),
            None => Vec::new(),
        };
    }
    let Some(places) = places(app, window) else {
        return Vec::new();
    };
    if places.picture.contains(at) {
        if pressed {
            app.focus = Pane::Picture;
        }
        if dragged {
            return vec![Effect::SplitAt(at.x)];
        }
    } else if places.losses.contains(at) {
        if let Some(by) = wheel {
            if by < 0 {
                app.chart.zoom_in(&app.history);
            } else {
                app.chart.zoom_out(&app.history);
            }
        }
        if pressed || dragged {
            app.focus = Pane::Losses;
            let inside = places.losses.inner(Margin::new(1, 1));
            if let Some(iteration) = chart::iteration_at(inside, &app.history, &app.chart, at.x) {
                app.chart.cursor = Some(iteration);
            }
        }
    } else if places.layers.contains(at) {
        let last = app.rows().len().saturating_sub(1);
        if let Some(by) = wheel {
            app.row = app.row.saturating_add_signed(by.into()).min(last);
        }
        if pressed {
            app.focus = Pane::Layers;
            app.typed = None;
            if let Some(row) = row_at(app, places.layers, at.y) {
                app.row = row;
            }
        }
    }
    Vec::new()
}

/// A press chooses a line of a list; on the chosen line it takes it.
fn press_overlay(app: &mut App, at: Position, window: Rect) -> Vec<Effect> {
    let place = overlay_area(app, window);
    let line = line_at(app, window, at);
    match &mut app.overlay {
        _ if !place.contains(at) => {
            app.overlay = None;
            Vec::new()
        }
        Some(Overlay::Presets(chooser)) => match line {
            Some(line) if line == chooser.selected => accept(app),
            Some(line) => {
                (chooser.selected, chooser.error) = (line, None);
                Vec::new()
            }
            None => Vec::new(),
        },
        Some(Overlay::Settings(editor)) => match line {
            Some(line) if line == editor.selected => accept(app),
            Some(line) => {
                (editor.selected, editor.typed, editor.error) = (line, None, None);
                Vec::new()
            }
            None => Vec::new(),
        },
        Some(Overlay::Layers(chooser)) => match line {
            Some(line) if line == chooser.selected => accept(app),
            Some(line) => {
                chooser.selected = line;
                Vec::new()
            }
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}
