//! Every key of the dashboard, in one table: it feeds dispatch, the footer, the
//! help overlay and the README.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Help,
    Quit,
    Close,
    Accept,
    NextPane,
    Up,
    Down,
    Less,
    More,
    MuchLess,
    MuchMore,
    Mute,
    Undo,
    Redo,
    Pause,
    Step,
    Snapshot,
    Presets,
    SavePreset,
    NextPicture,
    FullScreen,
    ToggleLog,
    ToggleWindow,
    ZoomIn,
    ZoomOut,
    ToggleSmoothness,
    CursorLeft,
    CursorRight,
    Suspend,
    Interrupt,
}

/// Where a key means what the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Everywhere but where text is typed.
    Anywhere,
    Layers,
    Losses,
    Picture,
    /// A list or a question on top of the panes.
    Overlay,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    pub context: Context,
    pub key: KeyCode,
    pub modifiers: KeyModifiers,
    pub action: Action,
    /// What it does, in a few words; empty for a second key of the same action.
    pub words: &'static str,
    /// Whether the footer shows it.
    pub footer: bool,
}

const fn row(
    context: Context,
    key: KeyCode,
    action: Action,
    words: &'static str,
    footer: bool,
) -> Binding {
    Binding {
        context,
        key,
        modifiers: KeyModifiers::NONE,
        action,
        words,
        footer,
    }
}

const fn control(key: char, action: Action, words: &'static str) -> Binding {
    Binding {
        context: Context::Anywhere,
        key: KeyCode::Char(key),
        modifiers: KeyModifiers::CONTROL,
        action,
        words,
        footer: false,
    }
}

use Action as A;
use Context::{Anywhere, Layers, Losses, Overlay, Picture};
use KeyCode::Char;

/// The table.
pub const KEYS: &[Binding] = &[
    row(Anywhere, Char(' '), A::Pause, "pause", true),
    row(
        Anywhere,
        Char('.'),
        A::Step,
        "one iteration, then pause",
        false,
    ),
    row(Anywhere, KeyCode::Tab, A::NextPane, "pane", true),
    row(Anywhere, Char('p'), A::Presets, "presets", true),
    row(
        Anywhere,
        Char('S'),
        A::SavePreset,
        "save the weights as a preset",
        false,
    ),
    row(Anywhere, Char('s'), A::Snapshot, "snapshot", true),
    row(
        Anywhere,
        Char('n'),
        A::NextPicture,
        "painting, content, style or split",
        false,
    ),
    row(Anywhere, Char('v'), A::FullScreen, "picture alone", true),
    row(
        Anywhere,
        Char('u'),
        A::Undo,
        "undo a change of weights",
        false,
    ),
    row(Anywhere, Char('U'), A::Redo, "redo it", false),
    row(
        Anywhere,
        Char('l'),
        A::ToggleLog,
        "chart: logarithmic or linear",
        false,
    ),
    row(
        Anywhere,
        Char('w'),
        A::ToggleWindow,
        "chart: whole run or window",
        false,
    ),
    row(
        Anywhere,
        Char('t'),
        A::ToggleSmoothness,
        "chart: smoothness too",
        false,
    ),
    row(Anywhere, Char('?'), A::Help, "help", true),
    row(Anywhere, Char('q'), A::Quit, "quit", true),
    control('c', A::Interrupt, "stop and save; twice leaves at once"),
    control('z', A::Suspend, "suspend"),
    row(Layers, KeyCode::Up, A::Up, "choose a weight", false),
    row(Layers, Char('k'), A::Up, "", false),
    row(Layers, KeyCode::Down, A::Down, "", false),
    row(Layers, Char('j'), A::Down, "", false),
    row(Layers, KeyCode::Right, A::More, "more", true),
    row(Layers, Char('+'), A::More, "", false),
    row(Layers, Char('='), A::More, "", false),
    row(Layers, KeyCode::Left, A::Less, "less", true),
    row(Layers, Char('-'), A::Less, "", false),
    row(Layers, Char('>'), A::MuchMore, "twice as much", false),
    row(Layers, Char('<'), A::MuchLess, "half as much", false),
    row(Layers, Char('m'), A::Mute, "mute", true),
    row(
        Losses,
        KeyCode::Left,
        A::CursorLeft,
        "read an earlier point",
        false,
    ),
    row(
        Losses,
        KeyCode::Right,
        A::CursorRight,
        "read a later point",
        false,
    ),
    row(Losses, Char('+'), A::ZoomIn, "shorter window", false),
    row(Losses, Char('='), A::ZoomIn, "", false),
    row(Losses, Char('-'), A::ZoomOut, "longer window", false),
    row(
        Picture,
        KeyCode::Left,
        A::Less,
        "move the split left",
        false,
    ),
    row(
        Picture,
        KeyCode::Right,
        A::More,
        "move the split right",
        false,
    ),
    row(Overlay, KeyCode::Esc, A::Close, "close", true),
    row(Overlay, KeyCode::Enter, A::Accept, "take it", true),
    row(Overlay, KeyCode::Up, A::Up, "", false),
    row(Overlay, KeyCode::Down, A::Down, "", false),
];

/// What a key means in a context, falling back to what it means anywhere.
pub fn action(context: Context, event: KeyEvent) -> Option<Action> {
    let means = |binding: &&Binding| {
        // Shift is part of the character; terminals disagree on telling it.
        binding.key == event.code
            && binding.modifiers == event.modifiers.difference(KeyModifiers::SHIFT)
    };
    let within = |wanted: Context| {
        KEYS.iter()
            .filter(move |binding| binding.context == wanted)
            .find(means)
    };
    let found = match context {
        // What an overlay does not know, it keeps from what lies below; the
        // keys that must always work are the ones with Control.
        Context::Overlay => within(Overlay)
            .or_else(|| within(Anywhere).filter(|binding| !binding.modifiers.is_empty())),
        _ => within(context).or_else(|| within(Anywhere)),
    };
    found.map(|binding| binding.action)
}

/// A key as it is written in the footer and in the help.
pub fn name(binding: &Binding) -> String {
    let key = match binding.key {
        Char(' ') => "space".to_owned(),
        Char(character) => character.to_string(),
        KeyCode::Tab => "tab".to_owned(),
        KeyCode::Esc => "esc".to_owned(),
        KeyCode::Enter => "enter".to_owned(),
        KeyCode::Up => "up".to_owned(),
        KeyCode::Down => "down".to_owned(),
        KeyCode::Left => "left".to_owned(),
        KeyCode::Right => "right".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    };
    if binding.modifiers.contains(KeyModifiers::CONTROL) {
        format!("ctrl-{key}")
    } else {
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things() {
        for (index, one) in KEYS.iter().enumerate() {
            for other in &KEYS[index + 1..] {
                let same = one.context == other.context
                    && one.key == other.key
                    && one.modifiers == other.modifiers;
                assert!(!same, "{} is bound twice in {:?}", name(one), one.context);
            }
        }
    }

    #[test]
    fn every_action_is_explained() {
        for binding in KEYS {
            let explained = KEYS
                .iter()
                .any(|other| other.action == binding.action && !other.words.is_empty());
            let obvious = matches!(binding.action, A::Up | A::Down);
            assert!(explained || obvious, "{:?} has no words", binding.action);
        }
    }

    #[test]
    fn contexts_come_before_anywhere() {
        let press = |context, code| action(context, KeyEvent::from(code));
        assert_eq!(press(Layers, KeyCode::Right), Some(A::More));
        assert_eq!(press(Losses, KeyCode::Right), Some(A::CursorRight));
        assert_eq!(press(Losses, Char(' ')), Some(A::Pause));
        assert_eq!(press(Overlay, Char(' ')), None);
        let interrupt = KeyEvent::new(Char('c'), KeyModifiers::CONTROL);
        assert_eq!(action(Overlay, interrupt), Some(A::Interrupt));
        let shifted = KeyEvent::new(Char('?'), KeyModifiers::SHIFT);
        assert_eq!(action(Layers, shifted), Some(A::Help));
    }
}
