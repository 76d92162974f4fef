//! What must hold of a preset's text before it is read: its size, its
//! characters, and that it is one YAML document.

use serde::{Deserialize, de::IgnoredAny};

use super::MAX_BYTES;
use super::diagnostic::{Diagnostic, without_positions};
use super::error::PresetError;
use super::lines::lines;

/// How many brackets may be open at once. A preset needs 3; the YAML parser
/// takes quadratic time in them.
const MAX_OPEN: usize = 64;

/// The text in the bytes of a file.
pub(super) fn decode<'a>(bytes: &'a [u8], origin: &str) -> Result<&'a str, PresetError> {
    check_size(bytes.len(), origin)?;
    utf8(bytes, origin)
}

/// The text in bytes of any size.
pub(super) fn utf8<'a>(bytes: &'a [u8], origin: &str) -> Result<&'a str, PresetError> {
    std::str::from_utf8(bytes).map_err(|error| {
        // The mark is a character's place, so the bytes are made characters.
        let text = String::from_utf8_lossy(bytes);
        let message = "not UTF-8 text; save the file as UTF-8";
        Diagnostic::at(&text, origin, error.valid_up_to(), message).into()
    })
}

/// Checks a text and returns it without a byte order mark.
pub(super) fn check<'a>(text: &'a str, origin: &str) -> Result<&'a str, PresetError> {
    check_size(text.len(), origin)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check_characters(text, origin)?;
    if is_empty(text) {
        let message = "the file is empty; a preset has at least one key, such as `description`";
        return Err(Diagnostic::at(text, origin, 0, message).into());
    }
    check_document(text, origin, "a preset file holds one preset")?;
    Ok(text)
}

/// Checks the text after a `--set`, which has no place to point at.
pub(super) fn check_setting(text: &str) -> Result<(), String> {
    if text.len() > MAX_BYTES || open_brackets(text).is_some() {
        return Err("too large".to_owned());
    }
    for document in serde_yaml::Deserializer::from_str(text) {
        IgnoredAny::deserialize(document).map_err(|error| {
            format!("not valid YAML: {}", without_positions(&error.to_string()))
        })?;
    }
    Ok(())
}

fn check_size(bytes: usize, origin: &str) -> Result<(), PresetError> {
    if bytes > MAX_BYTES {
        return Err(PresetError::TooLarge {
            origin: origin.to_owned(),
        });
    }
    Ok(())
}

/// Refuses what YAML refuses too, but with the right place.
pub(super) fn check_characters(text: &str, origin: &str) -> Result<(), PresetError> {
    let is_allowed =
        |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{85}') || !(c.is_control() || is_not_yaml(c));
    if let Some(byte) = text.find(|c| !is_allowed(c)) {
        let message = "a control character, which YAML does not allow";
        return Err(Diagnostic::at(text, origin, byte, message).into());
    }
    if let Some(byte) = open_brackets(text) {
        let message = format!("more than {MAX_OPEN} brackets are open here");
        return Err(Diagnostic::at(text, origin, byte, &message).into());
    }
    Ok(())
}

/// Characters beyond the control characters that YAML excludes.
fn is_not_yaml(character: char) -> bool {
    matches!(character, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// The byte at which too many brackets are open. Brackets in quotes and comments
/// count as well: so many of them are in no preset.
fn open_brackets(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    text.bytes().position(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > MAX_OPEN
    })
}

/// Whether there is nothing but blank lines, comments and document marks.
pub(super) fn is_empty(text: &str) -> bool {
    lines(text)
        .map(str::trim)
        .all(|line| line.is_empty() || line.starts_with('#') || matches!(line, "---" | "..."))
}

/// Refuses text that is not YAML, and a second document; `rule` says that there is one.
pub(super) fn check_document(text: &str, origin: &str, rule: &str) -> Result<(), PresetError> {
    for (index, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
        if index > 0 {
            let message = format!("a second document; {rule}");
            return Err(Diagnostic::at(text, origin, second_document(text), &message).into());
        }
        IgnoredAny::deserialize(document)
            .map_err(|error| Diagnostic::from_syntax(text, origin, &error))?;
    }
    Ok(())
}

/// The byte of the `---` that begins the second document. In YAML no other line
/// can begin so, not even inside a block of text.
fn second_document(text: &str) -> usize {
    let mut seen = false;
    let mut start = 0;
    for line in lines(text) {
        let bare = line.trim_end();
        if bare == "---" || bare.starts_with("--- ") {
            if seen {
                return start;
            }
            seen = true;
        } else if !is_empty(bare) && !bare.starts_with('%') {
            seen = true;
        }
        start += line.len();
    }
    0
}
