//! YAML files that are not presets but are read like them, mistakes shown with their line.

use super::diagnostic::Diagnostic;
use super::error::PresetError;
use super::text::{check_characters, check_document, is_empty, utf8};

/// The text of a file, checked up to its being YAML.
#[derive(Clone, Debug)]
pub struct SourceText {
    text: String,
    origin: String,
}

impl SourceText {
    /// The largest file of a sweep, in bytes.
    pub const MAX_SWEEP_BYTES: usize = 4 << 20;

    /// The text of a sweep's file. `origin` is its path.
    ///
    /// # Errors
    /// [`PresetError::Diagnostic`] where it is too large, not UTF-8, empty, or no YAML.
    pub fn of_sweep(bytes: &[u8], origin: &str) -> Result<Self, PresetError> {
        if bytes.len() > Self::MAX_SWEEP_BYTES {
            let limit = Self::MAX_SWEEP_BYTES >> 20;
            let message = format!("too large for a sweep, which may have {limit} MiB at most");
            return Err(Diagnostic::at("", origin, 0, &message).into());
        }
        let text = utf8(bytes, origin)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        check_characters(text, origin)?;
        if is_empty(text) {
            let message = "the file is empty; a sweep has the keys `contents` and `styles`";
            return Err(Diagnostic::at(text, origin, 0, message).into());
        }
        check_document(text, origin, "the file of a sweep holds one sweep")?;
        Ok(Self {
            text: text.to_owned(),
            origin: origin.to_owned(),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The mistake that serde_yaml reports about the text, with its line.
    pub fn diagnostic(&self, error: &serde_yaml::Error) -> PresetError {
        Diagnostic::from_yaml(&self.text, &self.origin, error).into()
    }

    /// A mistake of the whole, shown at its first line. The second line of `message`, if
    /// it has one, becomes a note.
    pub fn at_start(&self, message: &str) -> Diagnostic {
        Diagnostic::at(&self.text, &self.origin, 0, message)
    }
}
