//! Words in columns that are too narrow for them.

/// The text in lines of so many characters at most, broken where one would.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut rest: Vec<char> = text.chars().collect();
    let mut lines = Vec::new();
    while rest.len() > width {
        // Behind a sign that ends a part, or before a space.
        let ends = |place: &usize| {
            let before = place.checked_sub(1).and_then(|it| rest.get(it));
            rest.get(*place) == Some(&' ')
                || before.is_some_and(|sign| matches!(sign, ' ' | '-' | ',' | '/'))
        };
        let place = (1..=width).rev().find(ends).unwrap_or(width);
        let tail = rest.split_off(place);
        lines.push(rest.iter().collect::<String>().trim_end().to_owned());
        rest = tail.into_iter().skip_while(|&sign| sign == ' ').collect();
    }
    lines.push(rest.into_iter().collect());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_parts() {
        let name = "20261122-101326-china-mosaic";
        assert_eq!(wrapped(name, 28), [name]);
        assert_eq!(wrapped(name, 20), ["20261122-101326-", "china-mosaic"]);
        assert_eq!(wrapped("64×120 96×100", 7), ["64×120", "96×100"]);
        assert_eq!(wrapped("64×120 96×100", 6), ["64×120", "96×100"]);
        assert_eq!(wrapped("abcdefg", 3), ["abc", "def", "g"]);
        assert_eq!(wrapped("ab", 0), ["a", "b"]);
        assert_eq!(wrapped("", 5), [""]);
        assert_eq!(wrapped("a    b", 2), ["a", "b"]);
    }
}
