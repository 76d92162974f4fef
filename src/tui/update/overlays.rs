//! Keys of what stands on top of the panes: lists and questions.

use crossterm::event::{KeyCode, KeyEvent};
use impasto_core::protocol::RestartFrom;

use super::actions::{act, can_restart};
use super::{Effect, MAX_INPUT, send_preset, settings, stop};
use crate::tui::app::{App, Overlay, Row, RowItem};
use crate::tui::keymap::{self, Action};

/// The weight of a layer that is added.
const NEW_LAYER: f64 = 1.0;

pub(super) fn in_overlay(app: &mut App, event: KeyEvent) -> Vec<Effect> {
    let action = keymap::action(app.context(), event);
    match action {
        Some(Action::Interrupt | Action::Suspend | Action::Detach | Action::Stop) => {
            return action.map_or_else(Vec::new, |action| act(app, action));
        }
        Some(Action::Close) => {
            if let Some(Overlay::Settings(editor)) = &mut app.overlay
                && editor.typed.take().is_some()
            {
                return Vec::new();
            }
            app.overlay = None;
            return Vec::new();
        }
        Some(Action::Up) => {
            scroll(app, -1);
            return Vec::new();
        }
        Some(Action::Down) => {
            scroll(app, 1);
            return Vec::new();
        }
        Some(Action::Accept) => return accept(app),
        _ => {}
    }
    match (&mut app.overlay, event.code) {
        (Some(Overlay::Quit), KeyCode::Char('y' | 'q')) => stop(app),
        (Some(Overlay::Failure), KeyCode::Char('q')) => vec![Effect::Leave],
        (Some(Overlay::Restart), KeyCode::Char('s')) => restart(app, RestartFrom::Start),
        (Some(Overlay::Restart), KeyCode::Char('h')) => restart(app, RestartFrom::Here),
        (Some(Overlay::Settings(_)), _) => settings::key(app, event),
        (Some(Overlay::Presets(chooser)), code) => {
            edit(&mut chooser.filter, code);
            (chooser.selected, chooser.error) = (0, None);
            Vec::new()
        }
        (Some(Overlay::SavePreset { name, error }), code) => {
            edit(name, code);
            *error = None;
            Vec::new()
        }
        // A list that is left half way asks for a decision; the rest closes.
        (Some(Overlay::Layers(_) | Overlay::Restart | Overlay::Leave), _) => Vec::new(),
        _ => {
            app.overlay = None;
            Vec::new()
        }
    }
}

/// Moves the selection, or the words, of the overlay.
pub(super) fn scroll(app: &mut App, by: i16) {
    let settings = match app.overlay {
        Some(Overlay::Settings(_)) => app.settings().len().saturating_sub(1),
        _ => 0,
    };
    let moved = |place: usize, last: usize| place.saturating_add_signed(isize::from(by)).min(last);
    match &mut app.overlay {
        Some(Overlay::Help { scroll } | Overlay::Messages { scroll }) => {
            *scroll = scroll.saturating_add_signed(by);
        }
        Some(Overlay::Presets(chooser)) => {
            let last = chooser.shown().len().saturating_sub(1);
            chooser.selected = moved(chooser.selected, last);
            chooser.error = None;
        }
        Some(Overlay::Settings(editor)) => {
            editor.selected = moved(editor.selected, settings);
            (editor.typed, editor.error) = (None, None);
        }
        Some(Overlay::Layers(chooser)) => {
            let last = chooser.layers.len().saturating_sub(1);
            chooser.selected = moved(chooser.selected, last);
        }
        _ => {}
    }
}

/// Takes what is selected, or says yes.
pub(super) fn accept(app: &mut App) -> Vec<Effect> {
    match &app.overlay {
        Some(Overlay::Quit) => stop(app),
        Some(Overlay::Settings(_)) => settings::accept(app),
        Some(Overlay::Presets(chooser)) => {
            let shown = chooser.shown();
            let name = shown.get(chooser.selected).map(|entry| entry.name.clone());
            name.map(Effect::LoadPreset).into_iter().collect()
        }
        Some(Overlay::SavePreset { name, .. }) => vec![Effect::SavePreset {
            preset: Box::new(app.preset_of_new_run()),
            name: name.clone(),
        }],
        Some(Overlay::Layers(chooser)) => {
            let row = chooser.layers.get(chooser.selected).map(|layer| Row {
                part: chooser.part,
                item: RowItem::Layer(*layer),
            });
            app.overlay = None;
            let Some(row) = row else {
                return Vec::new();
            };
            app.set_weight(row, NEW_LAYER);
            let rows = app.rows();
            app.row = rows.iter().position(|it| *it == row).unwrap_or(app.row);
            vec![send_preset(app)]
        }
        Some(Overlay::Restart | Overlay::Leave) => Vec::new(),
        _ => {
            app.overlay = None;
            Vec::new()
        }
    }
}

fn restart(app: &mut App, from: RestartFrom) -> Vec<Effect> {
    app.overlay = None;
    if !can_restart(app) {
        return Vec::new();
    }
    app.restarting = true;
    vec![Effect::Restart {
        preset: Box::new(app.preset_of_new_run()),
        from,
    }]
}

/// Types into a line of text.
fn edit(text: &mut String, code: KeyCode) {
    match code {
        KeyCode::Char(character) if !character.is_control() && text.len() < MAX_INPUT => {
            text.push(character);
        }
        KeyCode::Backspace => drop(text.pop()),
        _ => {}
    }
}
