//! A picture as half-blocks: two pixels to a cell, one above the other.

use std::borrow::Cow;

use impasto_core::picture::Picture;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

use super::palette::dithered;
use super::terminal::Colours;

/// A cell stays as it is unless a channel of it moved by this much: the eye
/// does not see less, and a cell that stays costs no bytes.
const DEAD_BAND: u8 = 4;
/// No terminal is larger; what lies beyond is not drawn.
const MAX_COLUMNS: u16 = 2048;
const MAX_ROWS: u16 = 1024;
/// From dark to light, for terminals without colours.
const RAMP: [&str; 10] = [" ", ".", ":", "-", "=", "+", "*", "#", "%", "@"];

type Rgb = [u8; 3];

/// The two pixels of a cell; none where the picture does not reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pair {
    top: Option<Rgb>,
    bottom: Option<Rgb>,
}

/// The cells of a picture as they are shown now.
#[derive(Clone, Debug, Default)]
pub struct Cells {
    columns: u16,
    rows: u16,
    shown: Vec<Pair>,
    /// The cells that the picture covers.
    placed: Rect,
}

impl Cells {
    /// Shows a picture of `width` × `height` pixels, `3 * width * height`
    /// bytes of RGB, as large as `columns` × `rows` cells allow and in their
    /// middle. Cells that hardly differ from the picture shown before stay as
    /// they are. Gives the number of cells that changed.
    ///
    /// A picture that has no pixels, or not as many as it says, is ignored.
    pub fn update(
        &mut self,
        rgb: &[u8],
        width: u32,
        height: u32,
        columns: u16,
        rows: u16,
    ) -> usize {
        let columns = columns.min(MAX_COLUMNS);
        let rows = rows.min(MAX_ROWS);
        let room = (u32::from(columns), 2 * u32::from(rows));
        let (wide, high) = fit((width, height), room);
        let Some(pixels) = scaled(rgb, (width, height), (wide, high)) else {
            return 0;
        };
        if (self.columns, self.rows) != (columns, rows) {
            *self = Self {
                columns,
                rows,
                shown: vec![Pair::default(); usize::from(columns) * usize::from(rows)],
                placed: Rect::ZERO,
            };
        }
        if columns == 0 || rows == 0 {
            return 0;
        }
        // The picture begins at a whole cell, so that at most its last row
        // fills half a cell. All of these are at most 2048.
        let left = (room.0 - wide) / 2;
        let top = (room.1 - high) / 4 * 2;
        self.placed = Rect::new(
            left as u16,
            (top / 2) as u16,
            wide as u16,
            high.div_ceil(2) as u16,
        );
        let pixel = |x: u32, y: u32| -> Option<Rgb> {
            let (x, y) = (x.checked_sub(left)?, y.checked_sub(top)?);
            if x >= wide || y >= high {
                return None;
            }
            let start = 3 * (y as usize * wide as usize + x as usize);
            pixels.get(start..start + 3)?.try_into().ok()
        };
        let mut changed = 0;
        for (index, shown) in self.shown.iter_mut().enumerate() {
            let x = (index % usize::from(columns)) as u32;
            let y = 2 * (index / usize::from(columns)) as u32;
            let new = Pair {
                top: pixel(x, y),
                bottom: pixel(x, y + 1),
            };
            if differs(shown.top, new.top) || differs(shown.bottom, new.bottom) {
                *shown = new;
                changed += 1;
            }
        }
        changed
    }

    /// Draws the cells into `buffer` from the upper left corner of `area` on;
    /// nothing outside of it.
    pub fn render(&self, area: Rect, buffer: &mut Buffer, colours: Colours) {
        let width = usize::from(self.columns.max(1));
        for (y, row) in (0..area.height).zip(self.shown.chunks(width)) {
            for (x, pair) in (0..area.width).zip(row) {
                let place = (area.x.saturating_add(x), area.y.saturating_add(y));
                let Some(cell) = buffer.cell_mut(place) else {
                    continue;
                };
                cell.reset();
                if matches!(colours, Colours::None | Colours::Sixteen) {
                    // A user's own sixteen colours may be any.
                    cell.set_symbol(ramp(*pair));
                    continue;
                }
                let row = 2 * (y % 2);
                let colour = |rgb: Rgb, y: u16| match colours {
                    Colours::True => Color::Rgb(rgb[0], rgb[1], rgb[2]),
                    _ => Color::Indexed(dithered(rgb, x, y)),
                };
                let top = pair.top.map(|rgb| colour(rgb, row));
                let bottom = pair.bottom.map(|rgb| colour(rgb, row + 1));
                match (top, bottom) {
                    (Some(top), Some(bottom)) => {
                        cell.set_symbol("▀").set_fg(top).set_bg(bottom);
                    }
                    (Some(top), None) => {
                        cell.set_symbol("▀").set_fg(top);
                    }
                    (None, Some(bottom)) => {
                        cell.set_symbol("▄").set_fg(bottom);
                    }
                    (None, None) => {}
                }
            }
        }
    }

    /// The cells that the picture covers, counted from the upper left corner
    /// of the room it was given.
    #[must_use]
    pub fn placed(&self) -> Rect {
        self.placed
    }
}

/// The largest size with the shape of `picture` that fits into `room`, at
/// least one pixel each way if the room has any.
pub fn fit(picture: (u32, u32), room: (u32, u32)) -> (u32, u32) {
    let fits = picture.0 <= room.0 && picture.1 <= room.1;
    if fits && (picture.0 == room.0 || picture.1 == room.1) {
        // It was made for this room: another rounding must not blur it.
        return picture;
    }
    let (width, height) = (f64::from(picture.0.max(1)), f64::from(picture.1.max(1)));
    let scale = f64::min(f64::from(room.0) / width, f64::from(room.1) / height);
    let side = |pixels: f64, most: u32| ((pixels * scale).round() as u32).max(1).min(most);
    (side(width, room.0), side(height, room.1))
}

/// The RGB bytes of a picture at another size, scaled in linear light. `None`
/// if the bytes are not the picture's.
pub fn scaled(rgb: &[u8], size: (u32, u32), to: (u32, u32)) -> Option<Cow<'_, [u8]>> {
    let pixels = u64::from(size.0) * u64::from(size.1);
    if pixels == 0 || pixels.checked_mul(3) != Some(rgb.len() as u64) {
        return None;
    }
    if size == to {
        return Some(Cow::Borrowed(rgb));
    }
    let picture = Picture::from_rgb8(size.0, size.1, rgb)?;
    Some(Cow::Owned(picture.resized(to.0, to.1).to_rgb8()))
}

fn differs(shown: Option<Rgb>, new: Option<Rgb>) -> bool {
    match (shown, new) {
        (Some(shown), Some(new)) => shown
            .iter()
            .zip(new)
            .any(|(shown, new)| shown.abs_diff(new) >= DEAD_BAND),
        (None, None) => false,
        _ => true,
    }
}

/// The character as bright as a cell.
fn ramp(pair: Pair) -> &'static str {
    let light = |rgb: Option<Rgb>| {
        rgb.map_or(0, |[red, green, blue]| {
            // The weights of Rec. 709, out of 256.
            (54 * usize::from(red) + 183 * usize::from(green) + 19 * usize::from(blue)) / 256
        })
    };
    // Up to 255: the step is below the number of characters.
    RAMP[(light(pair.top) + light(pair.bottom)) / 2 * RAMP.len() / 256]
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: Rgb = [255, 0, 0];
    const GREEN: Rgb = [0, 255, 0];
    const BLUE: Rgb = [0, 0, 255];
    const WHITE: Rgb = [255, 255, 255];

    fn drawn(cells: &Cells, columns: u16, rows: u16, colours: Colours) -> Buffer {
        let area = Rect::new(0, 0, columns, rows);
        let mut buffer = Buffer::empty(area);
        cells.render(area, &mut buffer, colours);
        buffer
    }

    fn look(buffer: &Buffer, x: u16, y: u16) -> (&str, Color, Color) {
        let cell = &buffer[(x, y)];
        (cell.symbol(), cell.fg, cell.bg)
    }

    fn true_colour([red, green, blue]: Rgb) -> Color {
        Color::Rgb(red, green, blue)
    }

    #[test]
    fn four_pixels_are_two_cells_of_exactly_their_colours() {
        let mut cells = Cells::default();
        let rgb = [RED, GREEN, BLUE, WHITE].concat();
        assert_eq!(cells.update(&rgb, 2, 2, 2, 1), 2);
        let buffer = drawn(&cells, 2, 1, Colours::True);
        assert_eq!(
            look(&buffer, 0, 0),
            ("▀", true_colour(RED), true_colour(BLUE))
        );
        assert_eq!(
            look(&buffer, 1, 0),
            ("▀", true_colour(GREEN), true_colour(WHITE))
        );
        let buffer = drawn(&cells, 2, 1, Colours::Indexed);
        assert_eq!(
            look(&buffer, 0, 0),
            ("▀", Color::Indexed(196), Color::Indexed(21))
        );
        assert_eq!(
            look(&buffer, 1, 0),
            ("▀", Color::Indexed(46), Color::Indexed(231))
        );
    }

    #[test]
    fn small_changes_are_kept_back_until_they_add_up() {
        let mut cells = Cells::default();
        let mut rgb = [100_u8; 3 * 8];
        assert_eq!(cells.update(&rgb, 4, 2, 4, 1), 4);
        assert_eq!(cells.update(&rgb, 4, 2, 4, 1), 0);
        rgb[1] = 103;
        rgb[3 * 7] = 97;
        assert_eq!(cells.update(&rgb, 4, 2, 4, 1), 0);
        let before = drawn(&cells, 4, 1, Colours::True);
        assert_eq!(look(&before, 0, 0).1, Color::Rgb(100, 100, 100));
        // One more step of the first pixel, and of the last: two cells of four.
        rgb[1] = 104;
        rgb[3 * 7] = 96;
        assert_eq!(cells.update(&rgb, 4, 2, 4, 1), 2);
        let after = drawn(&cells, 4, 1, Colours::True);
        assert_eq!(look(&after, 0, 0).1, Color::Rgb(100, 104, 100));
        assert_eq!(look(&after, 3, 0).2, Color::Rgb(96, 100, 100));
        assert_eq!(look(&after, 1, 0), look(&before, 1, 0));
        // Another size begins anew.
        assert_eq!(cells.update(&rgb, 4, 2, 8, 2), 16);
    }

    #[test]
    fn pictures_lie_in_the_middle_with_nothing_around() {
        // Wide: 8 × 2 pixels in 8 × 3 cells fill the middle row.
        let mut cells = Cells::default();
        assert_eq!(cells.update(&WHITE.repeat(16), 8, 2, 8, 3), 8);
        assert_eq!(cells.placed(), Rect::new(0, 1, 8, 1));
        let buffer = drawn(&cells, 8, 3, Colours::True);
        let white = true_colour(WHITE);
        assert_eq!(look(&buffer, 0, 0), (" ", Color::Reset, Color::Reset));
        assert_eq!(look(&buffer, 7, 1), ("▀", white, white));
        assert_eq!(look(&buffer, 7, 2), (" ", Color::Reset, Color::Reset));
        // Tall: 2 × 6 pixels stand in the middle columns. Two cells of the row
        // stay, six go, and four are new.
        assert_eq!(cells.update(&WHITE.repeat(12), 2, 6, 8, 3), 10);
        assert_eq!(cells.placed(), Rect::new(3, 0, 2, 3));
        // An odd height leaves the lower half of the last row free.
        assert_eq!(cells.update(&RED.repeat(15), 5, 3, 5, 3), 10);
        let buffer = drawn(&cells, 5, 3, Colours::True);
        let red = true_colour(RED);
        assert_eq!(look(&buffer, 0, 0), ("▀", red, red));
        assert_eq!(look(&buffer, 0, 1), ("▀", red, Color::Reset));
        assert_eq!(look(&buffer, 0, 2), (" ", Color::Reset, Color::Reset));
    }

    #[test]
    fn the_shape_is_kept_and_a_fitting_picture_untouched() {
        assert_eq!(fit((640, 480), (80, 60)), (80, 60));
        assert_eq!(fit((1000, 10), (80, 60)), (80, 1));
        assert_eq!(fit((10, 100_000), (80, 60)), (1, 60));
        assert_eq!(fit((80, 47), (80, 60)), (80, 47));
        assert_eq!(fit((40, 30), (80, 80)), (80, 60));
        assert_eq!(fit((7, 7), (0, 5)), (0, 1));
        assert_eq!(fit((0, 0), (3, 3)), (3, 3));
    }

    #[test]
    fn no_size_panics() {
        let mut cells = Cells::default();
        for width in 0..20_u32 {
            for height in [0, 1, 2, 3, 7, 19] {
                let rgb = vec![77; (3 * width * height) as usize];
                for columns in 0..20_u16 {
                    for rows in 0..20_u16 {
                        cells.update(&rgb, width, height, columns, rows);
                    }
                    drawn(&cells, columns, 19, Colours::Indexed);
                    drawn(&cells, 19, columns, Colours::None);
                }
            }
        }
        let mut buffer = Buffer::empty(Rect::new(5, 5, 3, 3));
        cells.render(Rect::new(u16::MAX - 1, 0, 9, 9), &mut buffer, Colours::True);
        cells.render(Rect::new(6, 6, 90, 90), &mut buffer, Colours::True);
        assert_eq!(cells.update(&[0; 3], 1, 1, u16::MAX, 1), 2);
    }

    #[test]
    fn a_picture_that_is_none_leaves_what_is_shown() {
        let mut cells = Cells::default();
        assert_eq!(cells.update(&RED, 1, 1, 1, 1), 1);
        for (rgb, width, height) in [
            (&[0; 5][..], 1, 1),
            (&[], 0, 0),
            (&[0; 3], u32::MAX, u32::MAX),
        ] {
            assert_eq!(cells.update(rgb, width, height, 1, 1), 0);
        }
        let buffer = drawn(&cells, 1, 1, Colours::True);
        assert_eq!(look(&buffer, 0, 0).1, true_colour(RED));
    }

    #[test]
    fn without_colours_light_is_a_character() {
        let mut cells = Cells::default();
        let rgb: Vec<u8> = [0_u8, 30, 60, 128, 200, 255]
            .repeat(2)
            .into_iter()
            .flat_map(|grey| [grey; 3])
            .collect();
        cells.update(&rgb, 6, 2, 6, 1);
        for colours in [Colours::None, Colours::Sixteen] {
            let buffer = drawn(&cells, 6, 1, colours);
            let text: String = (0..6).map(|x| buffer[(x, 0)].symbol()).collect();
            assert_eq!(text, " .:+#@");
            assert_eq!(look(&buffer, 5, 0), ("@", Color::Reset, Color::Reset));
        }
    }
}
