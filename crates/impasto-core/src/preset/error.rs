//! What can go wrong with a preset.

use std::{io, path::PathBuf};

use super::{
    diagnostic::{Diagnostic, Location},
    words::{did_you_mean, quoted, shown},
};

/// Why a preset could not be read, changed, found or saved.
///
/// The text is safe to print: whatever came from a file or the command line has
/// its control characters replaced.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    /// The text of a preset is wrong at a known place.
    #[error(transparent)]
    Diagnostic(Box<Diagnostic>),

    /// The text is larger than any preset needs to be.
    #[error(
        "{}: too large for a preset, which may have {} KiB at most",
        shown(origin, 4096),
        super::MAX_BYTES / 1024
    )]
    TooLarge {
        /// The file, or what else the text came from.
        origin: String,
    },

    /// A `--set KEY=VALUE` cannot be followed.
    #[error("--set {}: {message}", shown(setting, 200))]
    Set {
        /// The key and the value, as given.
        setting: String,
        /// What is wrong with it.
        message: String,
    },

    /// There is no preset of that name.
    #[error(
        "there is no preset called {}{}\n`impasto presets list` shows every preset; a path to a file needs a `/` or ends in `.yaml`",
        quoted(name),
        did_you_mean(near.as_deref())
    )]
    Unknown {
        /// The name asked for.
        name: String,
        /// The name it comes nearest to.
        near: Option<String>,
    },

    /// The file of a preset cannot be read.
    #[error("cannot read the preset `{}`: {source}", shown(&path.to_string_lossy(), 4096))]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// The name cannot be the name of a saved preset.
    #[error(
        "{} cannot name a preset: use 1 to 64 lower-case letters, digits, `-` and `_`",
        quoted(name)
    )]
    Name {
        /// The name asked for.
        name: String,
    },

    /// The name belongs to a built-in preset, which saving must not hide.
    #[error("`{name}` is a built-in preset; save yours under another name")]
    BuiltIn {
        /// The name asked for.
        name: String,
    },

    /// The preset cannot be expressed in YAML.
    #[error("the preset cannot be written as YAML: {message}")]
    Unwritable {
        /// The reason.
        message: String,
    },

    /// The file of a preset cannot be written.
    #[error("cannot save the preset as `{}`: {source}", shown(&path.to_string_lossy(), 4096))]
    Save {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// No home folder is known, so there is no place for presets of one's own.
    #[error("no home folder is known to keep presets in; set HOME, or give a preset by its path")]
    NoUserFolder,
}

impl PresetError {
    /// Where in the preset's text the mistake is, if it is a mistake in a text.
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::Diagnostic(diagnostic) => Some(&diagnostic.location),
            _ => None,
        }
    }
}

impl From<Diagnostic> for PresetError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Diagnostic(Box::new(diagnostic))
    }
}
