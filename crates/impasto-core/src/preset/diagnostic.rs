//! A mistake in a preset's text: the message, the place, and the line with a
//! caret under it.

use std::fmt;

use super::lines::{is_break, lines};
use super::words::shown;

/// A place in a preset's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, or what else the text came from; as given, not made harmless.
    pub origin: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
}

/// What is wrong in a preset's text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Diagnostic {
    /// What is wrong, in one line.
    pub message: String,
    /// What would be right, where a list helps.
    pub note: Option<String>,
    /// Where it is.
    pub location: Location,
    /// The text of that line.
    line: String,
    /// How many characters the carets mark.
    length: usize,
}

/// The most characters of a line that an excerpt shows.
const WIDTH: usize = 100;

impl Diagnostic {
    /// A mistake at a byte of the text; the carets mark the word found there.
    /// The second line of `message`, if it has one, becomes the note.
    pub(super) fn at(text: &str, origin: &str, byte: usize, message: &str) -> Self {
        let byte = boundary(text, byte);
        let (number, starts, line) = line_at(text, byte);
        let column = text[starts..byte].chars().count();
        let (message, note) = match message.split_once('\n') {
            Some((message, note)) => (message, Some(note.to_owned())),
            None => (message, None),
        };
        Self {
            message: message.to_owned(),
            note,
            location: Location {
                origin: origin.to_owned(),
                line: number,
                column: column + 1,
            },
            line: line.to_owned(),
            length: word_length(line.get(byte - starts..).unwrap_or_default()),
        }
    }

    /// The mistake that serde_yaml reports about `text`.
    pub(super) fn from_yaml(text: &str, origin: &str, error: &serde_yaml::Error) -> Self {
        let message = tidy(&unplaced(error));
        let mut byte = error.location().map_or(0, |location| location.index());
        if message.ends_with("found nothing") {
            byte = back_to_key(text, byte);
        }
        Self::at(text, origin, byte, &message)
    }

    /// The mistake of text that is no YAML at all.
    pub(super) fn from_syntax(text: &str, origin: &str, error: &serde_yaml::Error) -> Self {
        let found = error.to_string();
        let byte = error.location().map_or(0, |location| location.index());
        let mut byte = boundary(text, byte);
        // Where the text ran out there is nothing to see; where that began, there is.
        if text[byte..].trim().is_empty()
            && let Some(begun) = last_position(text, &found)
        {
            byte = begun;
        }
        let (_, starts, line) = line_at(text, byte);
        let indent = &line[..line.len() - line.trim_start().len()];
        if let Some(tab) = indent.find('\t') {
            let message = "a tab cannot indent YAML; use spaces";
            return Self::at(text, origin, starts + tab, message);
        }
        let problem = without_positions(&found);
        Self::at(text, origin, byte, &format!("not valid YAML: {problem}"))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location {
            origin,
            line: number,
            column,
        } = &self.location;
        let origin = shown(origin, 4096);
        write!(f, "{origin}:{number}:{column}: {}", self.message)?;
        if self.line.trim().is_empty() {
            return Ok(());
        }

        // A window of the line in which the marked word is in sight.
        let before = column - 1;
        let first = if before + self.length < WIDTH {
            0
        } else {
            before.saturating_sub(WIDTH / 2)
        };
        let left = if first > 0 { "…" } else { "" };
        let rest: String = self.line.chars().skip(first).collect();
        // A tab would move what follows it away from the caret.
        let excerpt = shown(&rest.replace('\t', " "), WIDTH);
        let margin = " ".repeat(number.to_string().len());
        let indent = " ".repeat(left.chars().count() + before - first);
        let carets = "^".repeat(self.length.min(WIDTH - (before - first).min(WIDTH - 1)));
        write!(f, "\n{margin} |")?;
        write!(f, "\n{number} | {left}{excerpt}")?;
        write!(f, "\n{margin} | {indent}{carets}")?;
        match &self.note {
            Some(note) => write!(f, "\n{margin} = {note}"),
            None => Ok(()),
        }
    }
}

/// The line that a byte is in: its number from 1, the byte that it begins with, and
/// its text without a break.
fn line_at(text: &str, byte: usize) -> (usize, usize, &str) {
    let (mut number, mut starts) = (1, 0);
    for line in lines(text) {
        let ends = starts + line.len();
        if byte < ends || !line.ends_with(is_break) {
            return (number, starts, line.trim_end_matches(is_break));
        }
        (number, starts) = (number + 1, ends);
    }
    (number, starts, "")
}

/// The byte, or the nearest before it that begins a character or ends the text.
fn boundary(text: &str, byte: usize) -> usize {
    (0..=byte.min(text.len()))
        .rev()
        .find(|&byte| text.is_char_boundary(byte))
        .unwrap_or(0)
}

/// How many characters belong to the key or value that `rest` of a line begins
/// with; at least 1.
fn word_length(rest: &str) -> usize {
    let mut characters = rest.chars();
    let Some(first) = characters.next() else {
        return 1;
    };
    if matches!(first, '"' | '\'') {
        return match characters.position(|character| character == first) {
            Some(inside) => inside + 2,
            None => rest.trim_end().chars().count(),
        };
    }
    let ends = |(at, character): (usize, char)| {
        let after = &rest[at + character.len_utf8()..];
        character.is_whitespace()
            || matches!(character, ',' | '[' | ']' | '{' | '}')
            || (character == ':' && !after.starts_with(|next: char| !next.is_whitespace()))
    };
    let end = rest.char_indices().find(|&place| ends(place));
    let word = end.map_or(rest, |(end, _)| &rest[..end]);
    word.chars().count().max(1)
}

/// The beginning of the key whose empty value is at `byte`.
///
/// A value that is not there has its place after the colon, or even at the end
/// of the file: nothing to see. The key says more.
fn back_to_key(text: &str, byte: usize) -> usize {
    let byte = boundary(text, byte);
    let before = text[..byte].trim_end();
    if !before.ends_with(':') || text[byte..].starts_with(|c: char| !c.is_whitespace()) {
        return byte;
    }
    let key = before.trim_end_matches(':').trim_end();
    key.rfind(|c: char| c.is_whitespace() || matches!(c, '{' | ','))
        .map_or(0, |space| space + 1)
}

/// serde_yaml's message without the place, which it puts at the end, and the
/// path of keys, which it puts before.
fn unplaced(error: &serde_yaml::Error) -> String {
    let mut message = error.to_string();
    if let Some(location) = error.location() {
        let place = format!(" at line {} column {}", location.line(), location.column());
        if let Some(bare) = message.strip_suffix(&place) {
            message.truncate(bare.len());
        }
    }
    // A path is made of known keys and indices; no message begins like one.
    let is_path = |path: &str| {
        path.chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '[' | ']' | '?'))
    };
    match message.split_once(": ") {
        Some((path, bare)) if is_path(path) => bare.to_owned(),
        _ => message,
    }
}

/// serde's wording of a wrong type or value, put into plainer words.
pub(super) fn tidy(message: &str) -> String {
    let Some(rest) = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
    else {
        return message.to_owned();
    };
    // The text found may itself say ", expected "; what is expected never does.
    let Some((found, expected)) = rest.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let found = match found {
        "unit value" | "Option value" => "nothing".to_owned(),
        "sequence" => "a list".to_owned(),
        "map" => "a mapping".to_owned(),
        "enum" => "a tag".to_owned(),
        found => {
            let bare = ["integer ", "floating point ", "boolean "]
                .iter()
                .find_map(|kind| found.strip_prefix(kind))
                .map(|number| number.split_once(" as ").map_or(number, |(bare, _)| bare));
            match bare {
                Some(number) => shown(&number.replace(".0`", "`"), 60),
                None => shown(&found.replacen("string ", "the text ", 1), 60),
            }
        }
    };
    format!("expected {expected}, found {found}")
}

/// The byte of the last "at line 3 column 1" in a message of the YAML parser.
fn last_position(text: &str, message: &str) -> Option<usize> {
    let (_, place) = message.rsplit_once(" at line ")?;
    let (line, column) = place.split_once(" column ")?;
    let (line, column): (usize, usize) = (line.parse().ok()?, column.parse().ok()?);
    let mut lines = lines(text);
    let before: usize = lines
        .by_ref()
        .take(line.checked_sub(1)?)
        .map(str::len)
        .sum();
    let (inside, _) = lines.next()?.char_indices().nth(column.checked_sub(1)?)?;
    Some(before + inside)
}

/// A message of the YAML parser without its " at line 3 column 1".
pub(super) fn without_positions(message: &str) -> String {
    let mut parts = message.split(" at line ");
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let after = part.find(", ").map_or("", |comma| &part[comma..]);
        bare.push_str(after);
    }
    bare
}
