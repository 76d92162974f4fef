//! Text that comes from outside, made safe to print.
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
}
