//! Words and pictures that the parts of the start screen are made of.

use std::path::Path;

use impasto_core::text::display_path;
use impasto_graphics::cells::Cells;
use impasto_graphics::terminal::Colours;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Span;

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

/// The names of several pictures.
pub fn names(paths: &[&Path]) -> String {
    let names: Vec<String> = paths.iter().map(|path| file_name(path)).collect();
    names.join(" + ")
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
}
