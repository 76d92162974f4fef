//! Small pictures as text, to stand beside words.

use impasto_core::picture::Picture;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

use super::cells::Cells;
use super::terminal::Colours;

/// A picture in a few cells.
pub struct Thumbnail(Buffer);

impl Thumbnail {
    /// The room for a thumbnail, in cells.
    pub const COLUMNS: u16 = 20;
    const ROWS: u16 = 7;

    pub fn new(picture: &Picture, colours: Colours) -> Self {
        let area = Rect::new(0, 0, Self::COLUMNS, Self::ROWS);
        let mut cells = Cells::default();
        let (width, height) = picture.size();
        cells.update(&picture.to_rgb8(), width, height, Self::COLUMNS, Self::ROWS);
        let mut buffer = Buffer::empty(area);
        cells.render(area, &mut buffer, colours);
        Self(buffer)
    }

    /// The rows that the picture covers, with their colours, each
    /// [`COLUMNS`](Self::COLUMNS) wide.
    pub fn rows(&self) -> Vec<String> {
        let rows = (0..Self::ROWS).map(|y| row(&self.0, y));
        rows.filter(|row| !row.trim().is_empty()).collect()
    }
}

/// A row of cells as text, with the sequences that colour it and, behind it,
/// the one that ends all colours.
pub(super) fn row(buffer: &Buffer, y: u16) -> String {
    let mut row = String::new();
    let plain = (Color::Reset, Color::Reset);
    let mut last = plain;
    for x in 0..buffer.area.width {
        let cell = &buffer[(x, y)];
        if (cell.fg, cell.bg) != last {
            row += &format!("\x1b[{};{}m", code(cell.fg, 30), code(cell.bg, 40));
            last = (cell.fg, cell.bg);
        }
        row.push_str(cell.symbol());
    }
    if last != plain {
        row.push_str("\x1b[m");
    }
    row
}

/// A colour's part of an SGR sequence; `base` is 30 for the front, 40 for the
/// back.
fn code(colour: Color, base: usize) -> String {
    match colour {
        Color::Rgb(red, green, blue) => format!("{};2;{red};{green};{blue}", base + 8),
        Color::Indexed(number) => format!("{};5;{number}", base + 8),
        // The terminal's own; cells have no others.
        _ => (base + 9).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_picture_takes_the_rows_it_covers() {
        let picture = Picture::from_rgb8(40, 8, &[200, 10, 10].repeat(320)).unwrap();
        let rows = Thumbnail::new(&picture, Colours::True).rows();
        assert_eq!(rows.len(), 2);
        let cells = "▀".repeat(20);
        assert_eq!(
            rows[0],
            format!("\x1b[38;2;200;10;10;48;2;200;10;10m{cells}\x1b[m")
        );
        for colours in [Colours::Indexed, Colours::Sixteen, Colours::None] {
            assert_eq!(Thumbnail::new(&picture, colours).rows().len(), 2);
        }
    }

    #[test]
    fn colours_have_their_codes() {
        for (colour, front, back) in [
            (Color::Reset, "39", "49"),
            (Color::Indexed(9), "38;5;9", "48;5;9"),
            (Color::Rgb(1, 2, 3), "38;2;1;2;3", "48;2;1;2;3"),
        ] {
            assert_eq!([code(colour, 30), code(colour, 40)], [front, back]);
        }
    }
}
