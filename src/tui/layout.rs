//! The layout of the dashboard, computed from the state alone: `view` draws by it, and
//! `update` uses it to find what is under the mouse.

use impasto_core::preset::{Difference, differences};
use ratatui::layout::{Constraint, Flex, Layout, Margin, Position, Rect};
use ratatui::text::Line;

use super::app::{App, Overlay, Pane};

/// Rows below the list of presets, for the details of the selected one.
const DETAILS: u16 = 8;
/// And the fewest rows of the list itself.
const LIST: u16 = 3;

/// The smallest window the panes fit in.
pub const MIN: (u16, u16) = (60, 16);

/// The areas of the panes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    pub status: Rect,
    pub picture: Rect,
    pub losses: Rect,
    pub layers: Rect,
    pub footer: Rect,
}

/// The areas of the panes in a window; none if it is too small for them.
pub fn places(app: &App, window: Rect) -> Option<Places> {
    if window.width < MIN.0 || window.height < MIN.1 {
        return None;
    }
    let rows = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(0),
        Constraint::Length(1),
    ]);
    let [status, middle, footer] = rows.areas(window);
    if app.zoomed {
        let mut places = Places {
            status,
            footer,
            ..Places::default()
        };
        *match app.focus {
            Pane::Picture => &mut places.picture,
            Pane::Losses => &mut places.losses,
            Pane::Layers => &mut places.layers,
        } = middle;
        return Some(places);
    }
    // Weights need a certain width and no more; the picture takes the rest.
    let side = match window.width {
        0..80 => 32,
        80..110 => 40,
        _ => 52,
    };
    let [picture, right] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(side)]).areas(middle);
    if window.height < 22 {
        // No room for both: the one that keys go to, the weights if neither.
        return Some(match app.focus {
            Pane::Losses => Places {
                status,
                picture,
                losses: right,
                footer,
                ..Places::default()
            },
            _ => Places {
                status,
                picture,
                layers: right,
                footer,
                ..Places::default()
            },
        });
    }
    let wanted = u16::try_from(app.rows().len())
        .unwrap_or(u16::MAX)
        .saturating_add(3);
    let layers = wanted.min(right.height.saturating_sub(8));
    let [losses, layers] =
        Layout::vertical([Constraint::Min(0), Constraint::Length(layers)]).areas(right);
    Some(Places {
        status,
        picture,
        losses,
        layers,
        footer,
    })
}

/// The first row in sight, so that the selected one is.
pub fn first_row(app: &App, inner: Rect) -> usize {
    (app.row + 1).saturating_sub(usize::from(inner.height))
}

/// The row of the weights at a row of the window, the pane being at `area`.
pub fn row_at(app: &App, area: Rect, y: u16) -> Option<usize> {
    let inner = area.inner(Margin::new(1, 1));
    let below = usize::from(y.checked_sub(inner.y)?);
    let row = first_row(app, inner) + below;
    (y < inner.bottom() && row < app.rows().len()).then_some(row)
}

/// The area of the overlay.
pub fn overlay_area(app: &App, window: Rect) -> Rect {
    let (width, height) = match &app.overlay {
        None => (0, 0),
        Some(Overlay::Help { .. }) => (64, u16::MAX),
        Some(Overlay::Messages { .. }) => (90, 24),
        Some(Overlay::Quit | Overlay::SavePreset { .. }) => (64, 7),
        Some(Overlay::Leave) => {
            let called = app.remote.as_ref().map_or("", |remote| &remote.called);
            let inside = usize::from(window.width.min(64).saturating_sub(2)).max(1);
            // A long name, or a folder, begins a line of its own and fills more.
            let lines = match Line::raw(way_back(called)).width() {
                width if width <= inside => 1,
                width => 2 + width / inside,
            };
            (64, 7 + u16::try_from(lines).unwrap_or(u16::MAX).min(100))
        }
        Some(Overlay::Presets(_)) => (84, 26),
        // Beside the picture, which shows what a setting does.
        Some(Overlay::Settings(_)) => return beside_picture(app, window),
        Some(Overlay::Layers(chooser)) => (
            30,
            u16::try_from(chooser.layers.len() + 2).unwrap_or(u16::MAX),
        ),
        Some(Overlay::Restart) => {
            let changes = u16::try_from(changes_of_restart(app).len()).unwrap_or(u16::MAX);
            (76, changes.saturating_add(8))
        }
        Some(Overlay::Mistake(mistake)) => (
            100,
            u16::try_from(mistake.lines().count() + 2).unwrap_or(u16::MAX),
        ),
        Some(Overlay::Failure) => (76, 11),
    };
    let [row] = Layout::vertical([Constraint::Length(height.min(window.height))])
        .flex(Flex::Center)
        .areas(window);
    let [area] = Layout::horizontal([Constraint::Length(width.min(window.width))])
        .flex(Flex::Center)
        .areas(row);
    area
}

/// The area of the panes that are not the picture's; in a small window all of it.
fn beside_picture(app: &App, window: Rect) -> Rect {
    match places(app, window) {
        Some(places) if !app.zoomed && window.width >= 80 => Rect {
            x: places.picture.right(),
            width: window.right().saturating_sub(places.picture.right()),
            ..places.picture
        },
        _ => window,
    }
}

/// The areas of the list and of the words below it in the overlay of settings.
pub fn settings_rows(inner: Rect) -> [Rect; 2] {
    Layout::vertical([Constraint::Min(0), Constraint::Length(2)]).areas(inner)
}

/// Which line of the overlay's list is at a position of the window.
pub fn line_at(app: &App, window: Rect, at: Position) -> Option<usize> {
    let inner = overlay_area(app, window).inner(Margin::new(1, 1));
    let (list, selected, count) = match &app.overlay {
        Some(Overlay::Presets(chooser)) => {
            let [_, list, _] = preset_rows(inner);
            (list, chooser.selected, chooser.shown().len())
        }
        Some(Overlay::Settings(editor)) => {
            let [list, _] = settings_rows(inner);
            (list, editor.selected, app.settings().len())
        }
        Some(Overlay::Layers(chooser)) => (inner, chooser.selected, chooser.layers.len()),
        _ => return None,
    };
    let line = first_line(selected, list.height) + usize::from(at.y.checked_sub(list.y)?);
    (list.contains(at) && line < count).then_some(line)
}

/// The first line shown of a list, so that the selected one is in sight.
pub fn first_line(selected: usize, height: u16) -> usize {
    (selected + 1).saturating_sub(usize::from(height))
}

/// The areas of the filter, the list and the details in the overlay of presets.
pub fn preset_rows(inner: Rect) -> [Rect; 3] {
    let details = DETAILS.min(inner.height.saturating_sub(1 + LIST));
    let rows = [
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(details),
    ];
    Layout::vertical(rows).areas(inner)
}

/// The command that reopens the run, as a line of the overlay.
pub fn way_back(called: &str) -> String {
    format!("       impasto attach {called}")
}

/// The changes that only a new run can apply.
pub fn changes_of_restart(app: &App) -> Vec<Difference> {
    let mut changes = differences(&app.preset, &app.preset_of_new_run());
    changes.retain(|difference| difference.needs_new_run);
    changes
}
