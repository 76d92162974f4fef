//! What each action does to the weights, the chart and the run.

use impasto_core::preset::Term;
use impasto_core::protocol::Command;

use super::{Effect, remote, send_preset, stop};
use crate::tui::app::{
    App, LayerChooser, Overlay, Pane, Part, Phase, Row, RowItem, SettingsEditor,
};
use crate::tui::keymap::Action;

/// How much one press of a key changes a weight.
const STEP: f64 = 1.1;
/// And of the key for large steps.
const LARGE_STEP: f64 = 2.0;
/// How far a key moves the split, as a part of the picture's width.
const SPLIT_STEP: f64 = 0.05;
/// Where a weight of zero begins when it is raised: the edges' loss is small.
fn first_weight(row: Row) -> f64 {
    match row.item {
        RowItem::Laplacian => 1000.0,
        _ => 0.1,
    }
}

pub(super) fn act(app: &mut App, action: Action) -> Vec<Effect> {
    if app.is_watching() && steers(app, action) {
        return remote::only_watches(app);
    }
    match action {
        Action::Help => app.overlay = Some(Overlay::Help { scroll: 0 }),
        Action::Messages => app.overlay = Some(Overlay::Messages { scroll: 0 }),
        Action::Quit if app.is_over() => return vec![Effect::Leave],
        Action::Quit => return remote::quit(app),
        Action::Interrupt => return remote::interrupt(app),
        Action::Detach => return vec![Effect::Leave],
        Action::Stop => return stop(app),
        Action::Suspend => return vec![Effect::Suspend],
        Action::NextPane => app.focus = next(app.focus),
        Action::PreviousPane => app.focus = next(next(app.focus)),
        Action::Zoom => app.zoomed = !app.zoomed,
        Action::Up if app.focus == Pane::Layers => app.row = app.row.saturating_sub(1),
        Action::Down if app.focus == Pane::Layers => {
            app.row = (app.row + 1).min(app.rows().len().saturating_sub(1));
        }
        Action::Less if app.focus == Pane::Picture => return vec![Effect::MoveSplit(-SPLIT_STEP)],
        Action::More if app.focus == Pane::Picture => return vec![Effect::MoveSplit(SPLIT_STEP)],
        Action::Less => return scale_weight(app, 1.0 / STEP),
        Action::More => return scale_weight(app, STEP),
        Action::MuchLess => return scale_weight(app, 1.0 / LARGE_STEP),
        Action::MuchMore => return scale_weight(app, LARGE_STEP),
        Action::Mute => return mute(app),
        Action::AddLayer => add_layer(app),
        Action::RemoveLayer => return remove_layer(app),
        Action::Undo => return undo(app),
        Action::Redo => return redo(app),
        Action::Pause if app.phase == Phase::Paused => return vec![Effect::Send(Command::Resume)],
        Action::Pause if app.phase == Phase::Running => return vec![Effect::Send(Command::Pause)],
        Action::Step if !app.is_over() => return vec![Effect::Send(Command::Step)],
        Action::Snapshot if app.step.is_some() => return vec![Effect::Snapshot],
        Action::Restart if can_restart(app) => app.overlay = Some(Overlay::Restart),
        Action::Presets => return vec![Effect::ListPresets],
        Action::Settings => app.overlay = Some(Overlay::Settings(SettingsEditor::default())),
        Action::SavePreset => {
            app.overlay = Some(Overlay::SavePreset {
                name: String::new(),
                error: None,
            });
        }
        Action::NextPicture => return vec![Effect::NextPicture],
        Action::NextGraphics => return vec![Effect::NextGraphics],
        Action::NextTheme => return vec![Effect::NextTheme],
        Action::FullScreen => {
            app.full_screen = true;
            return vec![Effect::ShowFullScreen];
        }
        Action::ToggleLog => app.chart.toggle_log(),
        Action::ToggleWindow => app.chart.toggle_window(),
        Action::ToggleSmoothness => app.chart.smoothness = !app.chart.smoothness,
        Action::ZoomIn => app.chart.zoom_in(&app.history),
        Action::ZoomOut => app.chart.zoom_out(&app.history),
        Action::CursorLeft => app.chart.move_cursor(-1, &app.history),
        Action::CursorRight => app.chart.move_cursor(1, &app.history),
        Action::CursorEnd => app.chart.cursor = None,
        Action::Up
        | Action::Down
        | Action::Close
        | Action::Accept
        | Action::Pause
        | Action::Step
        | Action::Snapshot
        | Action::Restart
        | Action::ShowAnew => {}
        // Of other screens.
        _ => {}
    }
    Vec::new()
}

/// Whether a key changes the run rather than what is seen of it.
fn steers(app: &App, action: Action) -> bool {
    match action {
        // In the picture's pane they move the split.
        Action::Less | Action::More => app.focus != Pane::Picture,
        Action::MuchLess
        | Action::MuchMore
        | Action::Mute
        | Action::AddLayer
        | Action::RemoveLayer
        | Action::Undo
        | Action::Redo
        | Action::Pause
        | Action::Step
        | Action::Snapshot
        | Action::Restart
        | Action::Presets
        | Action::Settings
        | Action::Stop => true,
        _ => false,
    }
}

fn next(pane: Pane) -> Pane {
    match pane {
        Pane::Layers => Pane::Losses,
        Pane::Losses => Pane::Picture,
        Pane::Picture => Pane::Layers,
    }
}

/// Whether there is a run to begin anew.
pub(super) fn can_restart(app: &App) -> bool {
    app.device.is_some() && !matches!(app.phase, Phase::Stopping)
}

fn scale_weight(app: &mut App, factor: f64) -> Vec<Effect> {
    let Some(row) = app.selected_row() else {
        return Vec::new();
    };
    let weight = app.weight(row);
    let weight = match weight {
        0.0 if factor > 1.0 => first_weight(row),
        _ => (weight * factor).min(Term::MAX),
    };
    change_weight(app, weight)
}

pub(super) fn change_weight(app: &mut App, weight: f64) -> Vec<Effect> {
    match app.selected_row() {
        Some(row) if app.weight(row) != weight => {
            app.set_weight(row, weight);
            vec![send_preset(app)]
        }
        _ => Vec::new(),
    }
}

fn mute(app: &mut App) -> Vec<Effect> {
    let Some(row) = app.selected_row() else {
        return Vec::new();
    };
    let weight = app.weight(row);
    if weight == 0.0 {
        let before = app.muted.remove(&row).unwrap_or(first_weight(row));
        change_weight(app, before)
    } else {
        app.muted.insert(row, weight);
        change_weight(app, 0.0)
    }
}

fn add_layer(app: &mut App) {
    let part = match app.selected_row().map(|row| row.part) {
        Some(part @ (Part::Content | Part::Style)) => part,
        _ => Part::Style,
    };
    let layers = app.missing_layers(part);
    if layers.is_empty() {
        app.note("every layer of the network is there already", false);
    } else {
        app.overlay = Some(Overlay::Layers(LayerChooser {
            part,
            layers,
            selected: 0,
        }));
    }
}

fn remove_layer(app: &mut App) -> Vec<Effect> {
    match app.selected_row() {
        Some(row) if app.remove_layer(row) => vec![send_preset(app)],
        _ => {
            app.note("select a layer to remove; m mutes the whole term", false);
            Vec::new()
        }
    }
}

fn undo(app: &mut App) -> Vec<Effect> {
    let Some(before) = app.undo.pop() else {
        app.note("nothing to undo", false);
        return Vec::new();
    };
    let before = before.for_a_run_like(&app.preset);
    app.redo.push(std::mem::replace(&mut app.preset, before));
    app.row = app.row.min(app.rows().len().saturating_sub(1));
    vec![send_preset(app)]
}

fn redo(app: &mut App) -> Vec<Effect> {
    let Some(after) = app.redo.pop() else {
        app.note("nothing to redo", false);
        return Vec::new();
    };
    let after = after.for_a_run_like(&app.preset);
    app.undo.push(std::mem::replace(&mut app.preset, after));
    app.row = app.row.min(app.rows().len().saturating_sub(1));
    vec![send_preset(app)]
}
