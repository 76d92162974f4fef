//! Pasted text as a path: terminals paste the path of a file that is dropped
//! on them, each in its own way.

use std::ffi::OsString;
use std::iter::Peekable;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::str::Chars;

/// The first path in a pasted text: plain, quoted, with backslashes before
/// what is special to a shell, or as a `file://` address. None if the text is
/// no path: those have a `/` in them or begin with `~`.
pub fn path(text: &str) -> Option<PathBuf> {
    let line = text.trim().lines().next()?.trim_end();
    let word = if line.starts_with(['\'', '"']) || line.contains('\\') {
        shell_word(line)
    } else {
        line.to_owned()
    };
    if let Some(address) = word.strip_prefix("file://") {
        // Before the path stands the name of the machine, or nothing.
        let path = &address[address.find('/')?..];
        return Some(OsString::from_vec(percent_decoded(path)).into());
    }
    (word.contains('/') || word == "~").then(|| word.into())
}

/// The first word of a line, without a shell's quotes and backslashes.
fn shell_word(line: &str) -> String {
    let mut word = String::new();
    let mut characters = line.chars();
    let mut quote = None;
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', None) => word.extend(characters.next()),
            ('\\', Some('"')) => match characters.next() {
                Some(special @ ('"' | '\\' | '$' | '`')) => word.push(special),
                other => {
                    word.push('\\');
                    word.extend(other);
                }
            },
            ('\'' | '"', None) => quote = Some(character),
            (_, Some(open)) if open == character => quote = None,
            (_, None) if character.is_whitespace() => break,
            _ => word.push(character),
        }
    }
    word
}

/// The bytes of an address's path. A `%` that no two digits follow is itself.
fn percent_decoded(path: &str) -> Vec<u8> {
    fn digit(characters: &mut Peekable<Chars>) -> Option<u8> {
        let value = characters.peek()?.to_digit(16)?;
        characters.next();
        Some(value as u8)
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut characters = path.chars().peekable();
    while let Some(character) = characters.next() {
        let mut ahead = characters.clone();
        match (character, digit(&mut ahead), digit(&mut ahead)) {
            ('%', Some(high), Some(low)) => {
                bytes.push(16 * high + low);
                characters = ahead;
            }
            _ => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    #[test]
    fn dropped_files_are_understood_however_they_are_written() {
        for (text, expected) in [
            ("/a/b.jpg", "/a/b.jpg"),
            ("  /a/my photo.jpg \r\n", "/a/my photo.jpg"),
            ("'/a/my photo.jpg' '/a/other.jpg' ", "/a/my photo.jpg"),
            ("'/a/Ann'\\''s.jpg'", "/a/Ann's.jpg"),
            ("\"/a/say \\\"x\\\" \\n.jpg\"", "/a/say \"x\" \\n.jpg"),
            ("/a/my\\ photo\\(1\\).jpg", "/a/my photo(1).jpg"),
            ("/a/Ann's.jpg", "/a/Ann's.jpg"),
            ("file:///a/my%20photo.jpg", "/a/my photo.jpg"),
            ("'file://host/a/100%.jpg'", "/a/100%.jpg"),
            ("~/a.jpg", "~/a.jpg"),
            ("~", "~"),
            ("b/c.png", "b/c.png"),
            ("/a.jpg\n/b.jpg", "/a.jpg"),
        ] {
            assert_eq!(path(text).as_deref(), Some(Path::new(expected)), "{text}");
        }
        let odd = path("file:///%ff%4").unwrap();
        assert_eq!(odd.as_os_str().as_bytes(), b"/\xff%4");
    }

    #[test]
    fn other_text_is_no_path() {
        for text in [
            "",
            " \n",
            "tower",
            "file://",
            "file://host",
            "'tower'",
            "\\",
        ] {
            assert_eq!(path(text), None, "{text:?}");
        }
    }
}
