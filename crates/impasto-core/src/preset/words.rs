//! Words from outside: the nearest known one, and a form that is safe to show.

use std::cmp::Reverse;

use strsim::damerau_levenshtein;

/// The candidate that `word` was most likely meant to be, if any comes close.
///
/// Case is ignored. Close means a slip in at most a third of the letters, or a
/// beginning of at least three letters (`iter` for `iterations`). Of equally
/// near candidates the last wins: among layers that is the deepest, so that
/// `relu4_9` suggests `relu4_3`.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nothing known is this long, and the distance takes quadratic time.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase();
    let length = word.chars().count();
    candidates
        .into_iter()
        .map(|candidate| {
            let begins = length >= 3 && candidate.starts_with(&word);
            let slips = damerau_levenshtein(&word, candidate);
            (if begins { slips.min(1) } else { slips }, candidate)
        })
        .filter(|(slips, candidate)| slips * 3 <= length.max(candidate.len()))
        // Of equals, `max_by_key` keeps the last.
        .max_by_key(|(slips, _)| Reverse(*slips))
        .map(|(_, candidate)| candidate)
}

/// `; did you mean ...?`, or nothing.
pub fn did_you_mean(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// `text` with everything that could disturb a terminal or a line replaced by
/// `�`, one character for one, and cut to `limit` characters.
pub(super) fn shown(text: &str, limit: usize) -> String {
    let mut shown: String = text.chars().take(limit).map(harmless).collect();
    if text.chars().nth(limit).is_some() {
        shown.push('…');
    }
    shown
}

/// A user's word between backticks, harmless and short enough for a message.
pub fn quoted(word: &str) -> String {
    format!("`{}`", shown(word, 60))
}

/// The character itself, or `�` if it would move the cursor, change the
/// terminal's state, turn the direction of the text or be invisible.
fn harmless(character: char) -> char {
    if is_harmless(character) {
        character
    } else {
        char::REPLACEMENT_CHARACTER
    }
}

/// Whether a terminal shows the character in its place, without side effects.
pub(super) fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_beginnings_are_recognised() {
        let keys = ["weight", "layers", "iterations", "size"];
        assert_eq!(nearest("wieght", keys), Some("weight"));
        assert_eq!(nearest("Layer", keys), Some("layers"));
        assert_eq!(nearest("iter", keys), Some("iterations"));
        assert_eq!(nearest("sice", keys), Some("size"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest(&"x".repeat(100_000), keys), None);
    }

    #[test]
    fn the_last_of_equally_near_candidates_wins() {
        let layers = ["relu4_1", "relu4_2", "relu4_3", "relu5_1"];
        assert_eq!(nearest("relu4_9", layers), Some("relu4_3"));
    }

    #[test]
    fn shown_text_cannot_disturb_a_terminal() {
        assert_eq!(shown("a\u{1b}[2Jb\u{202e}\tc", 99), "a�[2Jb��c");
        assert_eq!(shown("naïve 画", 99), "naïve 画");
        assert_eq!(shown("abcdef", 3), "abc…");
        assert_eq!(shown("abc", 3), "abc");
    }
}
