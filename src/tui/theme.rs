//! Named colours: the only place where the dashboard says what colour a thing
//! has.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

use crate::preview::terminal::Colours;

/// How the parts of the dashboard look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Ordinary words.
    pub text: Style,
    /// Words that may be overlooked.
    pub dim: Style,
    /// A pane's title.
    pub title: Style,
    /// A pane's frame.
    pub border: Style,
    /// The frame of the pane that keys go to.
    pub focus: Style,
    /// The row that keys act on.
    pub selected: Style,
    /// A key that can be pressed.
    pub key: Style,
    /// The three losses and their total, wherever they are drawn.
    pub content: Style,
    pub style: Style,
    pub smoothness: Style,
    pub total: Style,
    /// A mark in the chart: a scale began, a weight changed.
    pub mark: Style,
    pub good: Style,
    pub warning: Style,
    pub error: Style,
    /// Whether to draw with ASCII characters alone.
    pub ascii: bool,
}

impl Theme {
    /// The theme for a terminal of so many colours. Without colours, weight and
    /// underlines tell things apart.
    pub fn new(colours: Colours, ascii: bool) -> Self {
        let plain = Style::new();
        let dim = plain.add_modifier(Modifier::DIM);
        let bold = plain.add_modifier(Modifier::BOLD);
        let reversed = plain.add_modifier(Modifier::REVERSED);
        // Named colours are the 16 that the user's own palette defines, which
        // suits every terminal and every background.
        let colour = |colour| match colours {
            Colours::None => plain,
            Colours::True | Colours::Indexed => plain.fg(colour),
        };
        Self {
            text: plain,
            dim,
            title: bold,
            border: dim,
            focus: colour(Color::Yellow).add_modifier(Modifier::BOLD),
            selected: reversed,
            key: colour(Color::Yellow).add_modifier(Modifier::BOLD),
            content: colour(Color::Cyan),
            style: colour(Color::Magenta),
            smoothness: colour(Color::Green),
            total: bold,
            mark: dim,
            good: colour(Color::Green),
            warning: colour(Color::Yellow),
            error: colour(Color::Red).add_modifier(Modifier::BOLD),
            ascii,
        }
    }

    /// The lines around a pane.
    pub fn frame(&self) -> border::Set<'static> {
        if self.ascii {
            ASCII_FRAME
        } else {
            border::ROUNDED
        }
    }
}

const ASCII_FRAME: border::Set = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};
