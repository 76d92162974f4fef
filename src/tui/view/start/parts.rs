//! Words and pictures that the parts of the start screen are made of.

use std::path::Path;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::picture::display_path;
use crate::preview::cells::Cells;
use crate::preview::terminal::Colours;
use crate::tui::start::{Measure, Thumbnail};
use crate::tui::theme::Theme;

/// Draws a thumbnail into the middle of an area, as large as fits.
pub fn picture(
    frame: &mut Frame,
    area: Rect,
    thumbnail: &Thumbnail,
    theme: &Theme,
    colours: Colours,
) {
    let colours = if theme.ascii { Colours::None } else { colours };
    let (width, height) = thumbnail.pixels.dimensions();
    let mut cells = Cells::default();
    cells.update(
        thumbnail.pixels.as_raw(),
        width,
        height,
        area.width,
        area.height,
    );
    cells.render(area, frame.buffer_mut(), colours);
}

/// A file's name without its folder, fit to be shown.
pub fn file_name(path: &Path) -> String {
    display_path(Path::new(path.file_name().unwrap_or_default()))
}

/// A picture's size in pixels.
pub fn size(measure: Measure, ascii: bool) -> String {
    let times = if ascii { "x" } else { "×" };
    format!("{}{times}{}", measure.width, measure.height)
}

/// A number of bytes with its unit.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..999_500 => format!("{:.0} kB", bytes as f64 / 1e3),
        999_500..999_500_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// What stands for what was left out.
pub fn dots(theme: &Theme) -> &'static str {
    if theme.ascii { ".." } else { "…" }
}

/// The end of a text, at most `columns` wide; `dots` stand for the rest.
pub fn tail(text: &str, columns: usize, dots: &str) -> String {
    if Span::raw(text).width() <= columns {
        return text.to_owned();
    }
    let mut room = columns.saturating_sub(Span::raw(dots).width());
    let mut start = text.len();
    for (index, character) in text.char_indices().rev() {
        let width = Span::raw(character.to_string()).width();
        if width > room {
            break;
        }
        room -= width;
        start = index;
    }
    format!("{dots}{}", &text[start..])
}

/// Rows that a text takes when it is wrapped between words; nearly, since a
/// word that is wider than a row may be split elsewhere.
pub fn wrapped_rows(text: &str, columns: u16) -> u16 {
    let columns = usize::from(columns.max(1));
    let (mut rows, mut used) = (1_usize, 0);
    for word in text.split_whitespace() {
        let width = Span::raw(word).width();
        let with_space = used + usize::from(used > 0) + width;
        if with_space <= columns {
            used = with_space;
        } else {
            rows += usize::from(used > 0) + width.saturating_sub(1) / columns;
            used = width.saturating_sub(1) % columns + 1;
        }
    }
    u16::try_from(rows).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_is_what_counts() {
        assert_eq!(tail("/a/b", 4, "…"), "/a/b");
        assert_eq!(tail("/home/ann/pictures", 9, "…"), "…pictures");
        assert_eq!(tail("/写真/写真", 4, ".."), "..真");
        assert_eq!(tail("/home", 0, "…"), "…");
    }

    #[test]
    fn bytes_have_units() {
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (2_400_000, "2.4 MB"),
            (1 << 30, "1.1 GB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn rows_are_counted_as_they_are_wrapped() {
        for (text, columns, rows) in [
            ("", 10, 1),
            ("one two", 7, 1),
            ("one two", 6, 2),
            ("one two three", 7, 2),
            ("abcdefghij", 5, 2),
            ("ab abcdefghij", 5, 3),
            ("a b", 0, 2),
        ] {
            assert_eq!(wrapped_rows(text, columns), rows, "{text} in {columns}");
        }
    }
}
