//! The start screen: a photograph, a painting and a preset are chosen, then it
//! paints.
//!
//! As in the dashboard itself, `update` takes a [`Message`] in and
//! answers with [`Effect`]s, without terminal, disk or clock, and
//! `view::start` draws the state. What has to be read is
//! a [`Request`], carried out by [`Thumbnails`] on threads of their own, whose
//! answers are messages again.

mod browser;
mod gallery;
pub mod layout;
mod list;
mod paste;
mod presets;
mod slot;
mod thumbnails;
mod update;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::layout::Rect;

pub use self::browser::{Item, Listing, MAX_ITEMS};
pub use self::gallery::{Gallery, Look, Measure, Thumbnail};
pub use self::list::List;
pub use self::presets::{Presets, Row};
pub use self::slot::Slot;
pub use self::thumbnails::{Request, Thumbnails, read_thumbnail};
pub use self::update::update;
use impasto_core::preset::PresetEntry;

/// The three things to choose, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Content,
    Style,
    Preset,
}

impl Choice {
    pub const ALL: [Self; 3] = [Self::Content, Self::Style, Self::Preset];

    /// What it is called on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Content => "photograph",
            Self::Style => "painting",
            Self::Preset => "preset",
        }
    }
}

/// All that the start screen shows and its keys act on.
#[derive(Debug)]
pub struct Start {
    /// What is being chosen.
    pub step: Choice,
    pub content: Slot,
    pub style: Slot,
    /// Further styles, in the order in which they were added.
    pub more_styles: Vec<PathBuf>,
    pub presets: Presets,
    pub gallery: Gallery,
    /// Facts worth knowing, a line each.
    pub notes: Vec<String>,
    /// What went wrong last, such as why painting could not begin.
    pub error: Option<String>,
    /// How far the help is scrolled, while it is shown.
    pub help: Option<u16>,
    /// The window, as far as it is known.
    window: Rect,
    /// The folder and the thumbnail that were asked for last and have not come.
    asked_folder: Option<PathBuf>,
    asked_thumbnail: Option<PathBuf>,
}

/// Something that happened.
#[derive(Debug)]
pub enum Message {
    /// The screen was opened, for the first time or again.
    Opened,
    Key(KeyEvent),
    Paste(String),
    /// The mouse was used in a window of this size.
    Mouse(MouseEvent, Rect),
    /// The window has this size now; pages are as long as its list is high.
    Resized(Rect),
    /// The library's presets, asked for by [`Effect::ListPresets`].
    Presets(Vec<PresetEntry>),
    /// Answers [`Request::List`]; the error is a sentence.
    Listed {
        folder: PathBuf,
        result: Result<Listing, String>,
    },
    /// Answers [`Request::Find`]: the absolute path, and what lies there.
    Found {
        path: PathBuf,
        result: Result<Found, String>,
    },
    /// How large a picture is, before it is decoded.
    Measured {
        path: PathBuf,
        measure: Measure,
    },
    /// Answers [`Request::Thumbnail`]; the error is a sentence.
    Thumbnail {
        path: PathBuf,
        result: Result<Thumbnail, String>,
    },
}

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Folder,
    Picture,
}

/// What the world has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Hand this to [`Thumbnails::ask`].
    Ask(Request),
    /// Answer with [`Message::Presets`].
    ListPresets,
    /// Paint. If that cannot begin, the reason belongs into [`Start::error`].
    Paint {
        content: PathBuf,
        /// One at least.
        styles: Vec<PathBuf>,
        /// What to ask the library for.
        preset: String,
    },
    Suspend,
    /// Leave the program.
    Leave,
}

/// What the key for taking something does now.
#[derive(Clone, Debug, PartialEq)]
pub enum Next<'a> {
    /// Goes into the selected folder.
    Open(&'a Item),
    /// Takes the selected picture.
    Take(&'a Item),
    /// Takes the selected preset and goes to a picture that is still missing.
    TakePreset(&'a Row, Choice),
    Paint {
        content: &'a Path,
        styles: Vec<&'a Path>,
        preset: &'a Row,
    },
    /// Nothing: the selected one cannot be used, for this reason.
    Broken(&'a str),
    /// Nothing: none is selected.
    Nothing,
}

impl Start {
    /// The screen in `folder`, an absolute path, with what was chosen already.
    /// Relative paths count from the folder. A preset may be the name or the
    /// file of one; without it, `default` is selected.
    pub fn new(
        folder: PathBuf,
        content: Option<PathBuf>,
        style: Option<PathBuf>,
        preset: Option<String>,
    ) -> Self {
        let content = Slot::new(&folder, content.as_deref());
        let beside = if content.chosen.is_some() {
            &content.folder
        } else {
            &folder
        };
        let style = match style {
            Some(path) => Slot::new(&folder, Some(&path)),
            None => Slot::new(beside, None),
        };
        let mut start = Self {
            step: Choice::Content,
            content,
            style,
            presets: Presets::new(preset.unwrap_or_else(|| "default".to_owned())),
            gallery: Gallery::default(),
            more_styles: Vec::new(),
            notes: Vec::new(),
            error: None,
            help: None,
            window: Rect::new(0, 0, 80, 24),
            asked_folder: None,
            asked_thumbnail: None,
        };
        start.step = start.open_choice();
        start
    }

    /// Where the picture of a step is looked for.
    pub fn slot(&self, choice: Choice) -> Option<&Slot> {
        match choice {
            Choice::Content => Some(&self.content),
            Choice::Style => Some(&self.style),
            Choice::Preset => None,
        }
    }

    /// The list of the present step.
    pub fn list(&self) -> &List {
        match self.step {
            Choice::Content => &self.content.list,
            Choice::Style => &self.style.list,
            Choice::Preset => &self.presets.list,
        }
    }

    /// What the key for taking something does now.
    pub fn next(&self) -> Next<'_> {
        let Some(slot) = self.slot(self.step) else {
            return self.next_preset();
        };
        match slot.selected() {
            None => Next::Nothing,
            Some(item) if item.folder => Next::Open(item),
            Some(item) => {
                let broken = slot.picture().and_then(|path| self.gallery.broken(&path));
                broken.map_or(Next::Take(item), Next::Broken)
            }
        }
    }

    fn next_preset(&self) -> Next<'_> {
        let Some(row) = self.presets.selected() else {
            return Next::Nothing;
        };
        match (&row.description, &self.content.chosen, &self.style.chosen) {
            (Err(error), _, _) => Next::Broken(error),
            (Ok(_), Some(content), Some(_)) => Next::Paint {
                content,
                styles: self.styles(),
                preset: row,
            },
            (Ok(_), None, _) => Next::TakePreset(row, Choice::Content),
            (Ok(_), _, None) => Next::TakePreset(row, Choice::Style),
        }
    }

    /// The styles that are chosen, in their order.
    pub fn styles(&self) -> Vec<&Path> {
        let all = self.style.chosen.iter().chain(&self.more_styles);
        all.map(PathBuf::as_path).collect()
    }

    /// The first picture that is not chosen yet, else the preset.
    fn open_choice(&self) -> Choice {
        match (&self.content.chosen, &self.style.chosen) {
            (None, _) => Choice::Content,
            (_, None) => Choice::Style,
            _ => Choice::Preset,
        }
    }

    /// The pictures that are in use: the selected one first, then those chosen.
    fn pictures(&self) -> Vec<PathBuf> {
        let selected = self.slot(self.step).and_then(Slot::picture);
        let chosen = [&self.content.chosen, &self.style.chosen];
        let chosen = chosen
            .into_iter()
            .flatten()
            .chain(&self.more_styles)
            .cloned();
        selected.into_iter().chain(chosen).collect()
    }
}
