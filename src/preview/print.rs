//! A picture printed once, to stay in the scrollback.

use image::{DynamicImage, RgbImage};

use super::terminal::{Colours, Graphics, Terminal};
use crate::picture::Picture;

/// Rows left free below a picture, for the prompt.
const ROWS_FREE: u16 = 2;
/// Cells are about twice as high as wide where the terminal does not tell.
const USUAL_CELL: (u16, u16) = (1, 2);

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

/// Prints `picture` to the terminal behind stdout, as large as fits.
///
/// # Errors
/// When stdout is no terminal, or has no colours or no room.
pub fn print(picture: &Picture) -> Result<(), PrintError> {
    let terminal = Terminal::detect().ok_or(PrintError::NoTerminal)?;
    if terminal.colours == Colours::None {
        return Err(PrintError::NoColours);
    }
    let graphics = terminal.graphics();
    let cell = match graphics {
        // Half-blocks are drawn with two pixels to a cell, whatever its shape.
        Graphics::HalfBlocks => USUAL_CELL,
        _ => terminal.cell.unwrap_or(USUAL_CELL),
    };
    let (columns, rows) = (terminal.columns, terminal.rows.saturating_sub(ROWS_FREE));
    if columns < 4 || rows < 2 {
        return Err(PrintError::TooSmall(terminal.columns, terminal.rows));
    }
    let (width, height) = cells_for(picture.size(), (columns, rows), cell);
    // Half-blocks show two pixels to a cell; scaling here rather than in the
    // printer keeps to linear light.
    let shown = match graphics {
        Graphics::HalfBlocks => picture.resized(width, 2 * height),
        _ => picture.clone(),
    };
    let Some(pixels) = RgbImage::from_raw(shown.width(), shown.height(), shown.to_rgb8()) else {
        return Err(PrintError::Printer("it has no pixels".to_owned()));
    };
    let config = viuer::Config {
        absolute_offset: false,
        width: Some(width),
        height: Some(height),
        truecolor: terminal.colours == Colours::True,
        // The printer asks the terminal about these by itself, without a limit
        // on the time it waits: only what has just answered may be asked.
        use_kitty: graphics == Graphics::Kitty,
        use_iterm: graphics == Graphics::Iterm,
        use_sixel: graphics == Graphics::Sixel,
        ..viuer::Config::default()
    };
    viuer::print(&DynamicImage::ImageRgb8(pixels), &config)
        .map_err(|error| PrintError::Printer(error.to_string()))?;
    Ok(())
}

/// The largest size in cells that keeps the picture's shape and fits.
fn cells_for(picture: (u32, u32), room: (u16, u16), cell: (u16, u16)) -> (u32, u32) {
    let (width, height) = (f64::from(picture.0), f64::from(picture.1));
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

    #[test]
    fn pictures_keep_their_shape_and_fit() {
        assert_eq!(cells_for((640, 480), (80, 22), (1, 2)), (59, 22));
        assert_eq!(cells_for((1000, 100), (80, 22), (1, 2)), (80, 4));
        assert_eq!(cells_for((10, 10), (80, 40), (8, 16)), (80, 40));
        assert_eq!(cells_for((10_000, 1), (80, 22), (1, 2)), (80, 1));
    }
}
