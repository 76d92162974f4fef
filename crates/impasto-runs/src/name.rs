//! Names of runs: what a folder in the store may be called.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use impasto_core::text::display_path;
use serde::{Deserialize, Serialize};

use super::clock;

/// The name of a run, such as `20261122-080317-china-night`: at most 80
/// characters, `a` to `z`, digits, `-`, `_` and `.`, the first a letter or a
/// digit. So it is never a path, and may be printed and typed as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunName(String);

/// The text is no name of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} cannot be a run's name: that is at most 80 characters, a to z, digits, `-`, `_` and `.`, \
     the first a letter or a digit"
)]
pub struct NotAName(String);

impl RunName {
    /// The longest name, in bytes.
    pub const MAX_LENGTH: usize = 80;
    /// The longest part that a picture gives: two of them, the time and a
    /// number of four digits fit into a name.
    const MAX_PART: usize = 28;

    /// The name for a run with these two pictures, begun this many seconds after
    /// the beginning of 1970: `YYYYMMDD-HHMMSS-content-style` in UTC.
    pub fn for_pictures(created: u64, content: &Path, style: &Path) -> Self {
        let time = clock::utc(created).strftime("%Y%m%d-%H%M%S");
        Self(format!("{time}-{}-{}", part(content), part(style)))
    }

    /// This name with a number, for when it is taken: `name-2`.
    pub(super) fn numbered(&self, number: u32) -> Self {
        let number = format!("-{number}");
        let room = Self::MAX_LENGTH - number.len();
        // Names are ASCII: every byte is a character.
        Self(self.0.chars().take(room).chain(number.chars()).collect())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A file's stem as part of a name.
fn part(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut part = String::new();
    for character in stem.chars().map(|c| c.to_ascii_lowercase()) {
        match character {
            'a'..='z' | '0'..='9' | '_' => part.push(character),
            // All else becomes a hyphen, several in a row become one.
            _ if part.is_empty() || part.ends_with('-') => {}
            _ => part.push('-'),
        }
        if part.len() == RunName::MAX_PART {
            break;
        }
    }
    match part.trim_matches(['-', '_']) {
        "" => "picture".to_owned(),
        part => part.to_owned(),
    }
}

impl FromStr for RunName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let plain = (1..=Self::MAX_LENGTH).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && text
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'));
        match plain {
            true => Ok(Self(text.to_owned())),
            false => Err(NotAName(shown(text))),
        }
    }
}

/// A text that should have been a name, cut short and fit for a terminal.
pub(super) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(RunName::MAX_LENGTH + 1).collect();
    format!("`{}`", display_path(Path::new(&cut)))
}

impl TryFrom<String> for RunName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        text.parse()
    }
}

impl From<RunName> for String {
    fn from(name: RunName) -> Self {
        name.0
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keeps to a width, if one is given.
        out.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_are_names() {
        for name in ["a", "7", "20261122-080317-a.b_c-2", &"x".repeat(80)] {
            assert_eq!(name.parse::<RunName>().unwrap().as_str(), name);
        }
        let wrong = [
            "",
            ".",
            "..",
            ".a",
            "-a",
            "_a",
            "a/b",
            "/",
            "A",
            "é",
            "a b",
            "a\n",
            "a\u{1b}[2J",
            "a\0",
            &"x".repeat(81),
        ];
        for name in wrong {
            let error = name.parse::<RunName>().unwrap_err().to_string();
            assert!(!error.contains(char::is_control), "{error:?}");
            assert!(error.len() < 400, "{error}");
        }
    }

    #[test]
    fn pictures_give_a_name_that_is_one() {
        let name = |content: &str, style: &str| {
            let name = RunName::for_pictures(951_782_400, content.as_ref(), style.as_ref());
            assert_eq!(Ok(name.clone()), name.as_str().parse());
            assert_eq!(
                Ok(name.numbered(9999)),
                name.numbered(9999).as_str().parse()
            );
            name.to_string()
        };
        assert_eq!(
            name("/home/ann/Old Town.JPG", "night.png"),
            "20000229-000000-old-town-night"
        );
        assert_eq!(
            name("..", "\u{1b}[2J写真.jpg"),
            "20000229-000000-picture-2j"
        );
        assert_eq!(name("--.png", "写真"), "20000229-000000-picture-picture");
        let long = "long".repeat(40);
        assert_eq!(name(&long, &long).len(), 16 + 28 + 1 + 28);
        let full: RunName = "y".repeat(80).parse().unwrap();
        assert_eq!(full.numbered(12).as_str(), "y".repeat(77) + "-12");
    }

    #[test]
    fn a_name_in_a_file_is_checked() {
        assert!(serde_json::from_str::<RunName>("\"a-b\"").is_ok());
        assert!(serde_json::from_str::<RunName>("\"../a\"").is_err());
    }
}
