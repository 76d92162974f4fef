//! Keys in the list of settings.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use impasto_core::preset::Preset;

use super::{Effect, MAX_INPUT, send_preset};
use crate::tui::app::{App, Overlay, SettingsEditor};

/// How many steps the key for large steps makes.
const LARGE: i32 = 10;

fn editor(app: &mut App) -> Option<&mut SettingsEditor> {
    match &mut app.overlay {
        Some(Overlay::Settings(editor)) => Some(editor),
        _ => None,
    }
}

/// A key that is neither for moving nor for closing.
pub(super) fn key(app: &mut App, event: KeyEvent) -> Vec<Effect> {
    let plain = event.modifiers.difference(KeyModifiers::SHIFT).is_empty();
    let Some(editor) = editor(app) else {
        return Vec::new();
    };
    match (event.code, &mut editor.typed) {
        (KeyCode::Left, None) => step(app, -1),
        (KeyCode::Right, None) => step(app, 1),
        (KeyCode::Char('<'), None) => step(app, -LARGE),
        (KeyCode::Char('>'), None) => step(app, LARGE),
        (KeyCode::Char(character), typed) if plain && !character.is_control() => {
            let typed = typed.get_or_insert_default();
            if typed.len() < MAX_INPUT {
                typed.push(character);
            }
            Vec::new()
        }
        (KeyCode::Backspace, Some(typed)) => {
            typed.pop();
            if typed.is_empty() {
                editor.typed = None;
            }
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// Sets the selected key to what was typed; without that, to its next value.
pub(super) fn accept(app: &mut App) -> Vec<Effect> {
    let Some(typed) = editor(app).and_then(|editor| editor.typed.take()) else {
        return step(app, 1);
    };
    let Some(setting) = app.selected_setting() else {
        return Vec::new();
    };
    let setting = format!("{}={typed}", setting.key);
    // Without the flag that the message would name on the command line.
    let checked = app.preset.check_setting(&setting);
    let changed = checked.and_then(|()| app.preset.set(&setting).map_err(|it| it.to_string()));
    adopt(app, changed)
}

fn step(app: &mut App, steps: i32) -> Vec<Effect> {
    let Some(setting) = app.selected_setting() else {
        return Vec::new();
    };
    let changed = setting.stepped(&app.preset, steps);
    adopt(app, changed.map_err(|error| error.to_string()))
}

fn adopt(app: &mut App, changed: Result<Preset, String>) -> Vec<Effect> {
    let changed = changed.and_then(|preset| match app.is_over() {
        true if app.preset.presented_as(&preset) != preset => {
            Err("the run is over; this key takes effect in a new run".to_owned())
        }
        _ => Ok(preset),
    });
    if let Some(editor) = editor(app) {
        editor.error = changed.as_ref().err().cloned();
    }
    match changed {
        Ok(preset) if preset != app.preset => {
            let row = app.selected_row();
            app.remember();
            app.preset = preset;
            let last = app.settings().len().saturating_sub(1);
            if let Some(editor) = editor(app) {
                editor.selected = editor.selected.min(last);
            }
            // A row of the weights may have come or gone.
            app.select_row(row);
            vec![send_preset(app)]
        }
        _ => Vec::new(),
    }
}
