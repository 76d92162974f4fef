//! Text for people: what comes from outside made safe to print, and numbers.
//!
//! File names, and what libraries quote from files, are untrusted: a terminal would
//! obey the escape sequences in them.

use std::path::Path;

/// A file's name, safe to print: line breaks, escape sequences and characters
/// that hide or reorder text are written out, as `\u{1b}`.
#[must_use]
pub fn display_path(path: &Path) -> String {
    if path.as_os_str().is_empty() {
        return "\"\"".to_owned();
    }
    printable(&path.to_string_lossy())
}

/// The reason a library gives, safe to print and short, since it may quote
/// the file.
pub fn display_reason(reason: &dyn std::fmt::Display) -> String {
    const MAX_LENGTH: usize = 200;
    let reason = reason.to_string();
    let reason: String = reason
        .trim_end_matches(['.', '\n'])
        .chars()
        .take(MAX_LENGTH)
        .collect();
    printable(&reason)
}

/// Text from a file, a terminal or a server, safe to print: as [`display_path`]
/// writes a name.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        let invisible = matches!(
            character,
            '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'
                ..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        );
        if character.is_control() || invisible {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A number rounded to at most so many significant digits, in as few characters as it
/// takes: `0.25`, `1500`, `60000`, `1.5e5`.
#[must_use]
pub fn number(value: f64, digits: usize) -> String {
    let rounded = format!("{value:.*e}", digits.saturating_sub(1));
    // What was just written can be read; and both forms below are the shortest
    // that mean this very number.
    let rounded = rounded.parse().unwrap_or(value);
    // Zeros that stand for digits left out would be wrong.
    let exact = rounded == value && (10_000.0..100_000.0).contains(&value.abs());
    if rounded == 0.0 || (0.001..10_000.0).contains(&rounded.abs()) || exact {
        rounded.to_string()
    } else {
        format!("{rounded:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn names_cannot_speak_to_the_terminal() {
        let shown = display_path(Path::new("a\u{1b}[2J\r\n\u{9b}1m\u{202e}gpj.exe"));
        assert_eq!(shown, "a\\u{1b}[2J\\r\\n\\u{9b}1m\\u{202e}gpj.exe");
        let broken = Path::new(OsStr::from_bytes(b"\xff\x07.png"));
        assert_eq!(display_path(broken), "\u{fffd}\\u{7}.png");
        assert_eq!(display_path(Path::new("")), "\"\"");
    }

    #[test]
    fn ordinary_names_are_shown_as_they_are() {
        let name = "Ann's \"naïve\" 写真 e\u{301} 👩\u{200d}🎨 C:\\x.png";
        assert_eq!(display_path(Path::new(name)), name);
    }

    #[test]
    fn reasons_are_cut_and_made_safe() {
        let shown = display_reason(&format!("bad chunk \u{1b}{}", "x".repeat(10_000)));
        assert!(shown.starts_with("bad chunk \\u{1b}xxx"));
        assert!(shown.chars().count() < 220);
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        for (value, text) in [
            (0.0, "0"),
            (5.0, "5"),
            (0.1, "0.1"),
            (0.001, "0.001"),
            (0.0005, "5e-4"),
            (6.050_000_000_000_001, "6.05"),
            (1500.0, "1500"),
            (9999.6, "1e4"),
            (60_000.0, "60000"),
            (60_123.0, "6.012e4"),
            (150_000.0, "1.5e5"),
            (1e30, "1e30"),
            (f64::MIN_POSITIVE, "2.225e-308"),
            (-0.35, "-0.35"),
            (-1.0, "-1"),
            (-150_000.0, "-1.5e5"),
        ] {
            assert_eq!(number(value, 4), text);
        }
    }
}
