//! Lines as YAML counts them.

/// The lines of a text as YAML counts them, each with its break.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (at, _) = rest
            .char_indices()
            .find(|(_, c)| is_break(*c))
            .or_else(|| {
                let (at, last) = rest.char_indices().last()?;
                Some((at, last))
            })?;
        let length = match &rest[at..] {
            crlf if crlf.starts_with("\r\n") => 2,
            one => one.chars().next().map_or(0, char::len_utf8),
        };
        let (line, after) = rest.split_at(at + length);
        rest = after;
        Some(line)
    })
}

/// Whether a line ends with this character, alone or as part of `\r\n`.
pub(super) fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}
