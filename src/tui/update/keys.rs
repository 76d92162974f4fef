//! What a key means: an action, a digit of a weight, or something for what stands on
//! top of the panes.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use impasto_core::preset::Term;

use super::actions::{act, change_weight};
use super::overlays::in_overlay;
use super::{Effect, remote};
use crate::tui::app::{App, Pane};
use crate::tui::keymap::{self, Action, Context};

pub(super) fn key(app: &mut App, event: KeyEvent) -> Vec<Effect> {
    if app.full_screen {
        return match keymap::action(Context::FullScreen, event) {
            Some(action) => in_full_screen(app, action),
            None => Vec::new(),
        };
    }
    if app.overlay.is_some() {
        return in_overlay(app, event);
    }
    if app.focus == Pane::Layers && app.is_watching() && begins_number(event) {
        return remote::only_watches(app);
    }
    if app.focus == Pane::Layers && typing(app, event) {
        return match app.typed.as_deref() {
            Some(_) if event.code == KeyCode::Enter => accept_number(app),
            _ => Vec::new(),
        };
    }
    match keymap::action(app.context(), event) {
        Some(action) => act(app, action),
        None => Vec::new(),
    }
}

fn in_full_screen(app: &mut App, action: Action) -> Vec<Effect> {
    match action {
        Action::Close => app.full_screen = false,
        Action::NextPicture => return vec![Effect::NextPicture, Effect::ShowFullScreen],
        Action::ShowAnew => return vec![Effect::ShowFullScreen],
        Action::Interrupt | Action::Suspend => {
            app.full_screen = false;
            return act(app, action);
        }
        _ => {}
    }
    Vec::new()
}

fn begins_number(event: KeyEvent) -> bool {
    matches!(event.code, KeyCode::Char('0'..='9'))
}

/// Whether the key belongs to a number being typed.
fn typing(app: &mut App, event: KeyEvent) -> bool {
    let plain = event.modifiers.difference(KeyModifiers::SHIFT).is_empty();
    match (event.code, &mut app.typed) {
        (KeyCode::Char(digit @ '0'..='9'), typed) if plain => {
            typed.get_or_insert_default().push(digit);
        }
        (KeyCode::Char(character @ ('.' | 'e' | '-' | '+')), Some(typed)) if plain => {
            typed.push(character);
        }
        (KeyCode::Backspace, Some(typed)) => {
            typed.pop();
            if typed.is_empty() {
                app.typed = None;
            }
        }
        (KeyCode::Esc, Some(_)) => app.typed = None,
        (KeyCode::Enter, Some(_)) => {}
        (_, typed) => {
            *typed = None;
            return false;
        }
    }
    if let Some(typed) = &mut app.typed {
        typed.truncate(super::MAX_INPUT);
    }
    true
}

fn accept_number(app: &mut App) -> Vec<Effect> {
    let typed = app.typed.take().unwrap_or_default();
    match typed.parse::<f64>() {
        Ok(weight) if (0.0..=Term::MAX).contains(&weight) => change_weight(app, weight),
        _ => {
            app.note(
                format!("{typed} is no weight: expected a number from 0 to 1e30"),
                true,
            );
            Vec::new()
        }
    }
}
