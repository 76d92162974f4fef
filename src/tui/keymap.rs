//! Every key of the dashboard, in one table: it feeds dispatch, the footer, the
//! help overlay and the README.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Help,
    Messages,
    Quit,
    /// Leave the run to the process that paints it.
    Detach,
    Stop,
    Close,
    Accept,
    NextPane,
    PreviousPane,
    Zoom,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    /// Into the selected folder.
    OpenFolder,
    /// To the folder above.
    FolderAbove,
    /// Read the folder again.
    Refresh,
    Less,
    More,
    MuchLess,
    MuchMore,
    Mute,
    AddLayer,
    AddStyle,
    RemoveLayer,
    Undo,
    Redo,
    Pause,
    Step,
    Snapshot,
    Restart,
    Presets,
    Settings,
    SavePreset,
    NextPicture,
    NextGraphics,
    NextTheme,
    FullScreen,
    ShowAnew,
    ToggleLog,
    ToggleWindow,
    ZoomIn,
    ZoomOut,
    ToggleSmoothness,
    CursorLeft,
    CursorRight,
    CursorEnd,
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
    /// The question what becomes of a run that paints on without us.
    Leaving,
    /// The picture in place of the dashboard.
    FullScreen,
    /// The start screen, where other keys are typed text.
    Start,
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

const fn ctrl(
    context: Context,
    key: char,
    action: Action,
    words: &'static str,
    footer: bool,
) -> Binding {
    Binding {
        modifiers: KeyModifiers::CONTROL,
        ..row(context, Char(key), action, words, footer)
    }
}

use Action as A;
use Context::{Anywhere, FullScreen, Layers, Leaving, Losses, Overlay, Picture, Start};
use KeyCode::Char;

/// The table.
#[rustfmt::skip]
pub const KEYS: &[Binding] = &[
    //  where       key                 action               help                                                   footer
    row(Anywhere,   Char(' '),          A::Pause,            "pause",                                               true),
    row(Anywhere,   Char('.'),          A::Step,             "one iteration, then pause",                           false),
    row(Anywhere,   KeyCode::Tab,       A::NextPane,         "pane",                                                true),
    row(Anywhere,   KeyCode::BackTab,   A::PreviousPane,     "previous pane",                                       false),
    row(Anywhere,   Char('z'),          A::Zoom,             "zoom this pane",                                      false),
    row(Anywhere,   Char('p'),          A::Presets,          "presets",                                             true),
    row(Anywhere,   Char('e'),          A::Settings,         "settings",                                            true),
    row(Anywhere,   Char('S'),          A::SavePreset,       "save weights and settings as a preset",               false),
    row(Anywhere,   Char('u'),          A::Undo,             "undo the last change of weights or settings",         false),
    row(Anywhere,   Char('U'),          A::Redo,             "redo",                                                false),
    row(Anywhere,   Char('s'),          A::Snapshot,         "save a snapshot; after the end, the picture",         false),
    row(Anywhere,   Char('r'),          A::Restart,          "restart, from the start or from this picture",        false),
    row(Anywhere,   Char('n'),          A::NextPicture,      "next view: content, style, before/after, masks",   false),
    row(Anywhere,   Char('v'),          A::FullScreen,       "full screen",                                         true),
    row(Anywhere,   Char('g'),          A::NextGraphics,     "graphics: automatic, pixels or cells",                false),
    row(Anywhere,   Char('l'),          A::ToggleLog,        "chart: logarithmic or linear",                        false),
    row(Anywhere,   Char('w'),          A::ToggleWindow,     "chart: whole run or window",                          false),
    row(Anywhere,   Char('t'),          A::ToggleSmoothness, "chart: smoothness too",                               false),
    row(Anywhere,   Char('T'),          A::NextTheme,        "next colour theme",                                   false),
    row(Anywhere,   Char('i'),          A::Messages,         "message log",                                         false),
    row(Anywhere,   Char('?'),          A::Help,             "help",                                                true),
    row(Anywhere,   Char('q'),          A::Quit,             "quit",                                                true),
    ctrl(Anywhere,  'c',                A::Interrupt,        "quit; twice quits at once",                           false),
    ctrl(Anywhere,  'z',                A::Suspend,          "suspend",                                             false),

    row(Layers,     KeyCode::Up,        A::Up,               "select a weight",                                     false),
    row(Layers,     Char('k'),          A::Up,               "",                                                    false),
    row(Layers,     KeyCode::Down,      A::Down,             "",                                                    false),
    row(Layers,     Char('j'),          A::Down,             "",                                                    false),
    row(Layers,     KeyCode::Right,     A::More,             "+10 %",                                               true),
    row(Layers,     Char('+'),          A::More,             "",                                                    false),
    row(Layers,     Char('='),          A::More,             "",                                                    false),
    row(Layers,     KeyCode::Left,      A::Less,             "-10 %",                                               true),
    row(Layers,     Char('-'),          A::Less,             "",                                                    false),
    row(Layers,     Char('>'),          A::MuchMore,         "double",                                              false),
    row(Layers,     Char('<'),          A::MuchLess,         "halve",                                               false),
    row(Layers,     Char('m'),          A::Mute,             "mute",                                                true),
    row(Layers,     Char('a'),          A::AddLayer,         "add a layer",                                         false),
    row(Layers,     Char('x'),          A::RemoveLayer,      "remove the layer",                                    false),
    row(Layers,     KeyCode::Delete,    A::RemoveLayer,      "",                                                    false),

    row(Losses,     KeyCode::Left,      A::CursorLeft,       "cursor left",                                         true),
    row(Losses,     KeyCode::Right,     A::CursorRight,      "cursor right",                                        true),
    row(Losses,     KeyCode::Esc,       A::CursorEnd,        "cursor to the latest point",                          false),
    row(Losses,     Char('+'),          A::ZoomIn,           "zoom in",                                             true),
    row(Losses,     Char('='),          A::ZoomIn,           "",                                                    false),
    row(Losses,     Char('-'),          A::ZoomOut,          "zoom out",                                            true),

    row(Picture,    KeyCode::Left,      A::Less,             "move the split left",                                 true),
    row(Picture,    KeyCode::Right,     A::More,             "move the split right",                                true),

    row(Overlay,    KeyCode::Enter,     A::Accept,           "select",                                              true),
    row(Overlay,    KeyCode::Esc,       A::Close,            "close",                                               true),
    row(Overlay,    KeyCode::Up,        A::Up,               "up",                                                  false),
    row(Overlay,    KeyCode::Down,      A::Down,             "down",                                                false),

    row(Leaving,    Char('d'),          A::Detach,           "detach; reopen with impasto attach",                  false),
    row(Leaving,    Char('s'),          A::Stop,             "stop and save the picture",                           false),
    row(Leaving,    KeyCode::Esc,       A::Close,            "go back",                                             true),

    row(FullScreen, Char('v'),          A::Close,            "back",                                                true),
    row(FullScreen, KeyCode::Esc,       A::Close,            "",                                                    false),
    row(FullScreen, Char('q'),          A::Close,            "",                                                    false),
    row(FullScreen, KeyCode::Enter,     A::Close,            "",                                                    false),
    row(FullScreen, Char('n'),          A::NextPicture,      "next view",                                           true),
    row(FullScreen, Char(' '),          A::ShowAnew,         "refresh",                                             true),
    row(FullScreen, Char('r'),          A::ShowAnew,         "",                                                    false),

    row(Start,      KeyCode::Enter,     A::Accept,           "select",                                              true),
    row(Start,      KeyCode::Tab,       A::NextPane,         "next step",                                           true),
    row(Start,      Char('?'),          A::Help,             "help",                                                true),
    ctrl(Start,     'c',                A::Interrupt,        "quit",                                                true),
    ctrl(Start,     'a',                A::AddStyle,         "add or remove one of several styles",                 false),
    row(Start,      KeyCode::BackTab,   A::PreviousPane,     "previous step",                                       false),
    row(Start,      KeyCode::Left,      A::FolderAbove,      "parent folder",                                       true),
    row(Start,      KeyCode::Backspace, A::FolderAbove,      "",                                                    false),
    row(Start,      KeyCode::Right,     A::OpenFolder,       "open folder",                                         true),
    row(Start,      KeyCode::Up,        A::Up,               "up",                                                  false),
    row(Start,      KeyCode::Down,      A::Down,             "down",                                                false),
    row(Start,      KeyCode::PageUp,    A::PageUp,           "page up",                                             false),
    row(Start,      KeyCode::PageDown,  A::PageDown,         "page down",                                           false),
    row(Start,      KeyCode::Home,      A::First,            "first",                                               false),
    row(Start,      KeyCode::End,       A::Last,             "last",                                                false),
    row(Start,      KeyCode::Esc,       A::Close,            "clear the filter",                                    false),
    ctrl(Start,     'r',                A::Refresh,          "reload the folder",                                   false),
    ctrl(Start,     'z',                A::Suspend,          "suspend",                                             false),
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
        Overlay | Leaving | FullScreen => within(context)
            .or_else(|| within(Anywhere).filter(|binding| !binding.modifiers.is_empty())),
        // What is not in its rows is typed.
        Start => within(Start),
        _ => within(context).or_else(|| within(Anywhere)),
    };
    found.map(|binding| binding.action)
}

/// A key as it is written in the footer, in the help and in the README.
pub fn name(binding: &Binding, ascii: bool) -> String {
    key_name(binding.key, binding.modifiers, ascii)
}

/// As [`name`], for a key of another table.
pub fn key_name(key: KeyCode, modifiers: KeyModifiers, ascii: bool) -> String {
    let arrow = |symbol: &str, word: &str| if ascii { word } else { symbol }.to_owned();
    let key = match key {
        Char(' ') => "space".to_owned(),
        Char(character) => character.to_string(),
        KeyCode::Tab => "tab".to_owned(),
        KeyCode::BackTab => "shift-tab".to_owned(),
        KeyCode::Esc => "esc".to_owned(),
        KeyCode::Enter => "enter".to_owned(),
        KeyCode::Up => arrow("↑", "up"),
        KeyCode::Down => arrow("↓", "down"),
        KeyCode::Left => arrow("←", "left"),
        KeyCode::Right => arrow("→", "right"),
        other => format!("{other:?}").to_lowercase(),
    };
    if modifiers.contains(KeyModifiers::CONTROL) {
        format!("ctrl-{key}")
    } else {
        key
    }
}

/// Every key of an action in a context, as [`name`] writes them.
fn names(context: Context, action: Action, ascii: bool) -> String {
    let keys: Vec<String> = KEYS
        .iter()
        .filter(|binding| binding.context == context && binding.action == action)
        .map(|binding| name(binding, ascii))
        .collect();
    keys.join(" ")
}

/// The table as people read it: for each context its title, and its rows.
pub fn explained(ascii: bool) -> Vec<(&'static str, Vec<(String, &'static str)>)> {
    CONTEXTS
        .iter()
        .map(|&(context, title)| (title, rows(context, ascii)))
        .collect()
}

/// The keys and the words of each action of a context.
pub fn rows(context: Context, ascii: bool) -> Vec<(String, &'static str)> {
    KEYS.iter()
        .filter(|binding| binding.context == context && !binding.words.is_empty())
        .map(|binding| (names(context, binding.action, ascii), binding.words))
        .collect()
}

/// The contexts in the order of the help, and what they are called there.
const CONTEXTS: &[(Context, &str)] = &[
    (Anywhere, "anywhere"),
    (Layers, "weights"),
    (Losses, "losses"),
    (Picture, "picture"),
    (Overlay, "lists and questions"),
    (Leaving, "leaving a run"),
    (FullScreen, "picture in full screen"),
    (Start, "start screen"),
];

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
                assert!(
                    !same,
                    "{} is bound twice in {:?}",
                    name(one, true),
                    one.context
                );
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

    /// The help's window has 62 columns inside, 12 of them for the keys.
    #[test]
    fn words_fit_into_the_help() {
        for binding in KEYS {
            assert!(binding.words.chars().count() <= 50, "{}", binding.words);
        }
    }

    /// The README's table, between its two marks.
    fn in_readme(readme: &str) -> (usize, usize) {
        let start = readme.find(START).expect("the mark of the start") + START.len();
        let end = readme.find(END).expect("the mark of the end");
        (start, end)
    }
    const START: &str = "<!-- keys: written by `UPDATE_README=1 cargo test keys` -->\n";
    const END: &str = "<!-- end of keys -->";

    #[test]
    fn the_readme_has_every_key() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let readme = std::fs::read_to_string(path).expect("the README");
        let mut table = String::from("| Where | Key | What it does |\n| --- | --- | --- |\n");
        for (title, rows) in explained(true) {
            let mut title = title;
            for (keys, words) in rows {
                let keys: Vec<String> = keys.split(' ').map(|key| format!("`{key}`")).collect();
                table += &format!("| {title} | {} | {words} |\n", keys.join(" "));
                title = "";
            }
        }
        let (start, end) = in_readme(&readme);
        if std::env::var_os("UPDATE_README").is_some() {
            let written = format!("{}{table}{}", &readme[..start], &readme[end..]);
            std::fs::write(path, written).expect("to write the README");
        } else {
            assert_eq!(&readme[start..end], table, "see the mark in the README");
        }
    }

    #[test]
    fn every_context_is_explained() {
        for binding in KEYS {
            assert!(
                CONTEXTS
                    .iter()
                    .any(|(context, _)| *context == binding.context)
            );
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
        assert_eq!(press(Start, Char('q')), None, "it is typed");
        let back = KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT);
        assert_eq!(action(Start, back), Some(A::PreviousPane));
    }
}
