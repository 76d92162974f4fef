//! A picture on its own: printed once, to stay in the scrollback, or over the
//! whole screen.
//!
//! viuer prints. It looks for what a terminal can do by itself: for iTerm2 in
//! the environment, for kitty and sixel by asking the terminal, without a limit
//! on the time it waits. So it may only ask what has just been answered.

use std::fmt::Write as _;
use std::io::{self, Write};

use image::{DynamicImage, RgbImage};
use impasto_core::picture::Picture;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::cells::{Cells, scaled};
use super::pixels::reduced;
use super::terminal::{Colours, Graphics, Terminal};
use super::thumbnail;

/// Rows left free below a printed picture, for the prompt, and below one that
/// fills the screen, for a line of words.
const ROWS_FOR_PROMPT: u16 = 2;
const ROWS_FOR_WORDS: u16 = 1;
/// Cells are about twice as high as wide where the terminal does not report it.
const USUAL_CELL: (u16, u16) = (1, 2);
/// The printer counts sixels in cells of this size, and widens none beyond.
const SIXEL_CELL: (u16, u16) = (6, 12);
const WIDEST_SIXEL: u32 = 1000;
/// Pixels that are sent at most. The printer takes up to seven bytes for one.
const MAX_PIXELS: u32 = 4_000_000;
const MAX_PIXELS_OVER_SSH: u32 = 400_000;

/// Why a picture cannot be printed.
#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    #[error("the picture can only be shown in a terminal, and stdout is none")]
    NoTerminal,
    #[error("the picture needs colours, and NO_COLOR is set or the terminal has none")]
    NoColours,
    #[error("the terminal is too small to show the picture ({0}×{1} cells)")]
    TooSmall(u16, u16),
    #[error("the picture could not be shown: {0}")]
    Printer(String),
}

impl From<io::Error> for PrintError {
    fn from(error: io::Error) -> Self {
        Self::Printer(error.to_string())
    }
}

/// Prints `picture` to the terminal behind stdout, as large as fits. Asks the
/// terminal what it can do, and waits 600 milliseconds for it at most.
///
/// # Errors
/// When stdout is no terminal, or has no colours or no room.
pub fn print(picture: &Picture) -> Result<(), PrintError> {
    print_in(picture, u16::MAX)
}

/// As [`print`], in so many rows at most.
///
/// # Errors
/// As for [`print`].
pub fn print_in(picture: &Picture, rows: u16) -> Result<(), PrintError> {
    let mut terminal = Terminal::detect().ok_or(PrintError::NoTerminal)?;
    terminal.rows = terminal.rows.min(rows.saturating_add(ROWS_FOR_PROMPT));
    if terminal.colours == Colours::None {
        return Err(PrintError::NoColours);
    }
    let graphics = terminal.graphics();
    print_to(&terminal, picture, graphics)
}

/// As [`print`], for a terminal that has answered already: `graphics` is its
/// [`print`](super::terminal::Capabilities::print).
///
/// # Errors
/// As for [`print`].
pub fn print_with(picture: &Picture, graphics: Graphics) -> Result<(), PrintError> {
    let terminal = Terminal::detect().ok_or(PrintError::NoTerminal)?;
    print_to(&terminal, picture, graphics)
}

fn print_to(terminal: &Terminal, picture: &Picture, graphics: Graphics) -> Result<(), PrintError> {
    let (width, height) = picture.size();
    let Some(pixels) = RgbImage::from_raw(width, height, picture.to_rgb8()) else {
        return Err(PrintError::Printer("it has no pixels".to_owned()));
    };
    Page::of(&pixels, terminal, graphics, ROWS_FOR_PROMPT)?.show(&pixels, None)
}

/// Clears the screen and shows `picture` in its middle, as large as fits above
/// the last row, which stays free. For a screen that is ours, in raw mode;
/// `terminal` must have its present size, and `graphics` is the
/// [`print`](super::terminal::Capabilities::print) that it has answered. The
/// cursor stays as visible as it is.
///
/// [`clear`] takes the picture away again.
///
/// # Errors
/// When the terminal has no colours or no room, or cannot be written to.
pub fn full_screen(
    picture: &RgbImage,
    terminal: &Terminal,
    graphics: Graphics,
) -> Result<(), PrintError> {
    let page = Page::of(picture, terminal, graphics, ROWS_FOR_WORDS)?;
    clear(graphics)?;
    let free = |all: u16, taken: u32| all.saturating_sub(u16::try_from(taken).unwrap_or(all)) / 2;
    let left = free(terminal.columns, page.columns);
    let top = free(terminal.rows.saturating_sub(ROWS_FOR_WORDS), page.rows);
    page.show(picture, Some((left, top)))
}

/// Clears the screen of words and of pictures.
///
/// # Errors
/// When the terminal cannot be written to.
pub fn clear(graphics: Graphics) -> io::Result<()> {
    let pictures = match graphics {
        // All that are placed, with their data.
        Graphics::Kitty => "\x1b_Ga=d,d=A,q=2\x1b\\",
        _ => "",
    };
    let mut stdout = io::stdout().lock();
    write!(stdout, "{pictures}\x1b[m\x1b[2J\x1b[H")?;
    stdout.flush()
}

/// How a picture is shown: in which way, and over how many cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Page {
    graphics: Graphics,
    colours: Colours,
    cell: (u16, u16),
    most_pixels: u32,
    columns: u32,
    rows: u32,
}

impl Page {
    /// The largest that leaves so many rows free.
    fn of(
        picture: &RgbImage,
        terminal: &Terminal,
        graphics: Graphics,
        rows_free: u16,
    ) -> Result<Self, PrintError> {
        if terminal.colours == Colours::None {
            return Err(PrintError::NoColours);
        }
        let cell = match graphics {
            // Half-blocks are drawn with two pixels to a cell, whatever its shape.
            Graphics::HalfBlocks => USUAL_CELL,
            Graphics::Sixel => terminal.cell.unwrap_or(SIXEL_CELL),
            _ => terminal.cell.unwrap_or(USUAL_CELL),
        };
        let room = (terminal.columns, terminal.rows.saturating_sub(rows_free));
        if room.0 < 4 || room.1 < 2 || cell.0 == 0 || cell.1 == 0 {
            return Err(PrintError::TooSmall(terminal.columns, terminal.rows));
        }
        let (columns, rows) = cells_for(picture.dimensions(), room, cell);
        Ok(Self {
            graphics,
            colours: terminal.colours,
            cell,
            most_pixels: if terminal.ssh {
                MAX_PIXELS_OVER_SSH
            } else {
                MAX_PIXELS
            },
            columns,
            rows,
        })
    }

    /// The pixels to hand to the printer: no more than are seen.
    fn pixels(&self, picture: (u32, u32)) -> (u32, u32) {
        if self.graphics == Graphics::HalfBlocks {
            return (self.columns, 2 * self.rows);
        }
        let seen = (
            self.columns * u32::from(self.cell.0),
            self.rows * u32::from(self.cell.1),
        );
        let fewer = picture.0 <= seen.0 && picture.1 <= seen.1;
        // Without the size of a cell nobody knows how many are seen.
        let size = if fewer || self.cell == USUAL_CELL {
            picture
        } else {
            seen
        };
        reduced(size, self.most_pixels)
    }

    /// Width and height in the printer's terms, which are cells, but for sixel
    /// such of its own size.
    fn printer_size(&self) -> (u32, u32) {
        if self.graphics != Graphics::Sixel {
            return (self.columns, self.rows);
        }
        let width = f64::from(self.columns) * f64::from(self.cell.0);
        let height = f64::from(self.rows) * f64::from(self.cell.1);
        let scale = f64::min(1.0, f64::from(WIDEST_SIXEL - 1) / width);
        let count = |pixels: f64, cell: u16| ((pixels * scale / f64::from(cell)) as u32).max(1);
        (count(width, SIXEL_CELL.0), count(height, SIXEL_CELL.1))
    }

    /// Shows the picture where the cursor is, or at a place on the screen.
    fn show(&self, picture: &RgbImage, at: Option<(u16, u16)>) -> Result<(), PrintError> {
        // Scaling here rather than in the printer keeps to linear light.
        let (width, height) = self.pixels(picture.dimensions());
        let shown = scaled(picture.as_raw(), picture.dimensions(), (width, height))
            .and_then(|rgb| RgbImage::from_raw(width, height, rgb.into_owned()))
            .ok_or_else(|| PrintError::Printer("it has no pixels".to_owned()))?;
        if self.graphics == Graphics::HalfBlocks && self.colours == Colours::Sixteen {
            let mut stdout = io::stdout().lock();
            stdout.write_all(in_characters(&shown, at).as_bytes())?;
            return Ok(stdout.flush()?);
        }
        let (columns, rows) = self.printer_size();
        let config = viuer::Config {
            absolute_offset: at.is_some(),
            x: at.map_or(0, |(left, _)| left),
            y: at.map_or(0, |(_, top)| i16::try_from(top).unwrap_or(i16::MAX)),
            width: Some(columns),
            height: Some(rows),
            truecolor: self.colours == Colours::True,
            use_kitty: self.graphics == Graphics::Kitty,
            use_iterm: self.graphics == Graphics::Iterm,
            use_sixel: self.graphics == Graphics::Sixel,
            ..viuer::Config::default()
        };
        viuer::print(&DynamicImage::ImageRgb8(shown), &config)
            .map_err(|error| PrintError::Printer(error.to_string()))?;
        Ok(io::stdout().flush()?)
    }
}

/// The picture in characters, for a terminal with 16 colours: viuer would use the first
/// of 256, which such a terminal does not know.
fn in_characters(picture: &RgbImage, at: Option<(u16, u16)>) -> String {
    let (width, height) = picture.dimensions();
    let side = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX);
    let area = Rect::new(0, 0, side(width), side(height.div_ceil(2)));
    let mut cells = Cells::default();
    cells.update(picture.as_raw(), width, height, area.width, area.height);
    let mut buffer = Buffer::empty(area);
    cells.render(area, &mut buffer, Colours::Sixteen);
    let mut text = String::new();
    for y in 0..area.height {
        // Writing into a string does not fail.
        if let Some((left, top)) = at {
            let _ = write!(text, "\x1b[{};{}H", top + y + 1, left + 1);
        }
        text.push_str(&thumbnail::row(&buffer, y));
        if at.is_none() {
            text.push_str("\r\n");
        }
    }
    text
}

/// The largest size in cells that keeps the picture's shape and fits.
fn cells_for(picture: (u32, u32), room: (u16, u16), cell: (u16, u16)) -> (u32, u32) {
    let (width, height) = (f64::from(picture.0.max(1)), f64::from(picture.1.max(1)));
    let (cell_width, cell_height) = (f64::from(cell.0), f64::from(cell.1));
    let scale = f64::min(
        f64::from(room.0) * cell_width / width,
        f64::from(room.1) * cell_height / height,
    );
    let side = |pixels: f64, cell: f64| ((pixels * scale / cell).round() as u32).max(1);
    (side(width, cell_width), side(height, cell_height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn terminal(cell: Option<(u16, u16)>) -> Terminal {
        Terminal {
            columns: 80,
            rows: 24,
            cell,
            colours: Colours::True,
            multiplexer: false,
            tmux: false,
            ssh: false,
        }
    }

    fn page(graphics: Graphics, picture: &RgbImage) -> Page {
        Page::of(picture, &terminal(Some((10, 20))), graphics, 1).unwrap()
    }

    #[test]
    fn pictures_keep_their_shape_and_fit() {
        assert_eq!(cells_for((640, 480), (80, 22), (1, 2)), (59, 22));
        assert_eq!(cells_for((1000, 100), (80, 22), (1, 2)), (80, 4));
        assert_eq!(cells_for((10, 10), (80, 40), (8, 16)), (80, 40));
        assert_eq!(cells_for((10_000, 1), (80, 22), (1, 2)), (80, 1));
    }

    #[test]
    fn no_more_pixels_are_sent_than_are_seen() {
        let large = RgbImage::new(2000, 1000);
        let kitty = page(Graphics::Kitty, &large);
        assert_eq!((kitty.columns, kitty.rows), (80, 20));
        assert_eq!(kitty.pixels((2000, 1000)), (800, 400));
        assert_eq!(kitty.pixels((400, 200)), (400, 200));
        assert_eq!(
            page(Graphics::HalfBlocks, &large).pixels((2000, 1000)),
            (80, 40)
        );
        let slow = Terminal {
            ssh: true,
            columns: 400,
            rows: 200,
            ..terminal(Some((10, 20)))
        };
        let page = Page::of(&large, &slow, Graphics::Kitty, 1).unwrap();
        assert_eq!(page.pixels((2000, 1000)), (894, 447));
        let unknown = Page::of(&large, &terminal(None), Graphics::Kitty, 1).unwrap();
        assert_eq!(unknown.pixels((2000, 1000)), (2000, 1000));
    }

    #[test]
    fn sixels_fill_the_cells_that_they_are_for() {
        // 80 × 20 cells of 10 × 20 pixels.
        let sixel = page(Graphics::Sixel, &RgbImage::new(2000, 1000));
        assert_eq!(sixel.printer_size(), (133, 33));
        // Too wide for the printer, which would squeeze it.
        let wide = Terminal {
            columns: 200,
            ..terminal(Some((10, 20)))
        };
        let page = Page::of(&RgbImage::new(4000, 400), &wide, Graphics::Sixel, 1).unwrap();
        let (width, height) = page.printer_size();
        assert_eq!((width, height), (166, 8));
        assert!(width * 6 < WIDEST_SIXEL);
    }

    #[test]
    fn without_room_or_colours_nothing_is_shown() {
        let picture = RgbImage::new(2, 2);
        let small = Terminal {
            rows: 2,
            ..terminal(None)
        };
        let shown = Page::of(&picture, &small, Graphics::HalfBlocks, 1);
        assert!(matches!(shown, Err(PrintError::TooSmall(80, 2))));
        let plain = Terminal {
            colours: Colours::None,
            ..terminal(None)
        };
        let shown = Page::of(&picture, &plain, Graphics::HalfBlocks, 1);
        assert!(matches!(shown, Err(PrintError::NoColours)));
    }

    #[test]
    fn sixteen_colours_are_too_few_for_a_picture() {
        let mut picture = RgbImage::from_pixel(2, 2, Rgb([255, 255, 255]));
        picture.put_pixel(1, 0, Rgb([0, 0, 0]));
        picture.put_pixel(1, 1, Rgb([0, 0, 0]));
        assert_eq!(in_characters(&picture, None), "@ \r\n");
        assert_eq!(in_characters(&picture, Some((4, 2))), "\x1b[3;5H@ ");
    }
}
