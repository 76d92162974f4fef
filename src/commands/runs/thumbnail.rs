//! Small pictures as text, to stand beside words.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

use crate::picture::{self, Picture};
use crate::preview::cells::Cells;
use crate::preview::terminal::Colours;
use crate::runs::Run;

/// The size of a thumbnail in cells.
pub const COLUMNS: u16 = 20;
const ROWS: u16 = 7;

/// The picture of a run: the one that is kept small, else the result.
pub fn picture(run: &Run) -> Option<Picture> {
    [run.preview_path(), run.result_path()]
        .iter()
        .find_map(|path| Some(picture::load(path).ok()?.picture))
}

/// A picture in a few cells.
pub struct Thumbnail(Buffer);

impl Thumbnail {
    pub fn new(picture: &Picture, colours: Colours) -> Self {
        let area = Rect::new(0, 0, COLUMNS, ROWS);
        let mut cells = Cells::default();
        let (width, height) = picture.size();
        cells.update(&picture.to_rgb8(), width, height, COLUMNS, ROWS);
        let mut buffer = Buffer::empty(area);
        cells.render(area, &mut buffer, colours);
        Self(buffer)
    }

    /// The rows that the picture covers, with their colours, each
    /// [`COLUMNS`] wide.
    pub fn rows(self) -> Vec<String> {
        let rows = (0..ROWS).map(|y| {
            let mut row = String::new();
            let mut last = (Color::Reset, Color::Reset);
            for x in 0..COLUMNS {
                let cell = &self.0[(x, y)];
                if (cell.fg, cell.bg) != last {
                    row += &format!("\x1b[{};{}m", code(cell.fg, 30), code(cell.bg, 40));
                    last = (cell.fg, cell.bg);
                }
                row.push_str(cell.symbol());
            }
            match last {
                (Color::Reset, Color::Reset) => row,
                _ => row + "\x1b[m",
            }
        });
        rows.filter(|row| !row.trim().is_empty()).collect()
    }
}

/// A colour's part of an SGR sequence; `base` is 30 for the front, 40 for the
/// back.
fn code(colour: Color, base: u8) -> String {
    let number = match colour {
        Color::Rgb(red, green, blue) => return format!("{};2;{red};{green};{blue}", base + 8),
        Color::Indexed(number) => return format!("{};5;{number}", base + 8),
        Color::Reset => return (base + 9).to_string(),
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 60,
        Color::LightRed => 61,
        Color::LightGreen => 62,
        Color::LightYellow => 63,
        Color::LightBlue => 64,
        Color::LightMagenta => 65,
        Color::LightCyan => 66,
        Color::White => 67,
    };
    (base + number).to_string()
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
        let rows = Thumbnail::new(&picture, Colours::Sixteen).rows();
        assert!(
            rows[0].starts_with("\x1b[3") || rows[0].starts_with("\x1b[9"),
            "{rows:?}"
        );
        for colours in [Colours::Indexed, Colours::None] {
            assert_eq!(Thumbnail::new(&picture, colours).rows().len(), 2);
        }
    }
}
