//! Every key of the contact sheet, in one table: it feeds dispatch, the footer and the
//! help.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::tui::keymap::key_name;

/// What a key can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Accept,
    Close,
    Pause,
    Stop,
    Repeat,
    Promote,
    Filter,
    Help,
    Quit,
    Left,
    Right,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Redraw,
    Suspend,
    Interrupt,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    pub key: KeyCode,
    pub modifiers: KeyModifiers,
    pub action: Action,
    /// What it does, in a few words; empty for a second key of the same action.
    pub words: &'static str,
}

const fn row(key: KeyCode, action: Action, words: &'static str) -> Binding {
    Binding {
        key,
        modifiers: KeyModifiers::NONE,
        action,
        words,
    }
}

const fn ctrl(key: char, action: Action, words: &'static str) -> Binding {
    Binding {
        modifiers: KeyModifiers::CONTROL,
        ..row(Char(key), action, words)
    }
}

use Action as A;
use KeyCode::Char;

/// The table.
#[rustfmt::skip]
pub const KEYS: &[Binding] = &[
    row(KeyCode::Enter,     A::Accept,      "open the cell: its dashboard, or its picture and facts"),
    row(Char(' '),          A::Pause,       "pause or resume the painters of this machine"),
    row(Char('x'),          A::Stop,        "stop the cell; its picture so far is saved"),
    row(Char('r'),          A::Repeat,      "paint the cell anew"),
    row(Char('p'),          A::Promote,     "paint the cell at another size, outside of the sweep"),
    row(Char('f'),          A::Filter,      "show all, failed, painting or done cells"),
    row(KeyCode::Left,      A::Left,        "left"),
    row(Char('h'),          A::Left,        ""),
    row(KeyCode::Down,      A::Down,        "down"),
    row(Char('j'),          A::Down,        ""),
    row(KeyCode::Up,        A::Up,          "up"),
    row(Char('k'),          A::Up,          ""),
    row(KeyCode::Right,     A::Right,       "right"),
    row(Char('l'),          A::Right,       ""),
    row(KeyCode::PageUp,    A::PageUp,      "page up"),
    row(KeyCode::PageDown,  A::PageDown,    "page down"),
    row(KeyCode::Home,      A::First,       "first cell"),
    row(KeyCode::End,       A::Last,        "last cell"),
    row(KeyCode::Esc,       A::Close,       "close what lies on top; show all cells"),
    row(Char('?'),          A::Help,        "help"),
    row(Char('q'),          A::Quit,        "quit; the painters may paint on"),
    ctrl('c',               A::Interrupt,   "stop the painters of this machine, and quit"),
    ctrl('l',               A::Redraw,      "draw the screen anew"),
    ctrl('z',               A::Suspend,     "suspend"),
];

/// What a key means.
pub fn action(event: KeyEvent) -> Option<Action> {
    let found = KEYS.iter().find(|binding| {
        // Shift is part of the character; terminals disagree on telling it.
        binding.key == event.code
            && binding.modifiers == event.modifiers.difference(KeyModifiers::SHIFT)
    });
    found.map(|binding| binding.action)
}

/// The first key of an action, as people read it.
pub fn name(action: Action, ascii: bool) -> String {
    let found = KEYS.iter().find(|binding| binding.action == action);
    found.map_or_else(String::new, |it| key_name(it.key, it.modifiers, ascii))
}

/// The keys and the words of each action.
pub fn rows(ascii: bool) -> Vec<(String, &'static str)> {
    let explained = KEYS.iter().filter(|binding| !binding.words.is_empty());
    explained
        .map(|row| {
            let same = KEYS.iter().filter(|it| it.action == row.action);
            let keys: Vec<String> = same
                .map(|it| key_name(it.key, it.modifiers, ascii))
                .collect();
            (keys.join(" "), row.words)
        })
        .collect()
}
