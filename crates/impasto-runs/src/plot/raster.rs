//! A chart in pixels.

use image::{Rgb as Pixel, RgbImage};

use super::{Anchor, Canvas, Rgb, letters};

/// How many pixels a dot of a letter has on each side.
const DOT: u32 = 2;

pub(super) struct Raster {
    pixels: RgbImage,
    /// How much of each pixel the line in hand covers, from 0 to 1.
    covered: Vec<f32>,
    /// The rows in which it does, from the first to the one after the last.
    rows: (u32, u32),
}

impl Raster {
    pub(super) fn new((width, height): (u32, u32)) -> Self {
        Self {
            pixels: RgbImage::from_pixel(width, height, Pixel([255; 3])),
            covered: vec![0.0; width as usize * height as usize],
            rows: (height, 0),
        }
    }

    pub(super) fn finish(self) -> RgbImage {
        self.pixels
    }

    /// Lays a colour over a pixel; `part` is from 0 to 1.
    fn blend(&mut self, x: u32, y: u32, colour: Rgb, part: f32) {
        if let Some(pixel) = self.pixels.get_pixel_mut_checked(x, y) {
            for (below, above) in pixel.0.iter_mut().zip(colour) {
                let mixed = f32::from(*below) * (1.0 - part) + f32::from(above) * part;
                *below = mixed.round() as u8;
            }
        }
    }

    /// Notes how much of each pixel a piece of a line covers.
    fn cover(&mut self, from: (f64, f64), to: (f64, f64), half: f64) {
        let (width, height) = self.pixels.dimensions();
        let span = |a: f64, b: f64, most: u32| {
            let low = (a.min(b) - half - 1.0).floor().clamp(0.0, f64::from(most));
            let high = (a.max(b) + half + 2.0).ceil().clamp(0.0, f64::from(most));
            low as u32..high as u32
        };
        let (across, down) = (to.0 - from.0, to.1 - from.1);
        let length = across * across + down * down;
        let rows = span(from.1, to.1, height);
        self.rows = (self.rows.0.min(rows.start), self.rows.1.max(rows.end));
        for y in rows {
            for x in span(from.0, to.0, width) {
                let (px, py) = (f64::from(x) + 0.5 - from.0, f64::from(y) + 0.5 - from.1);
                // The nearest place on the piece: 0 is its beginning, 1 its end.
                let at = match length > 0.0 {
                    true => ((px * across + py * down) / length).clamp(0.0, 1.0),
                    false => 0.0,
                };
                let distance = (px - at * across).hypot(py - at * down);
                let part = (half + 0.5 - distance).clamp(0.0, 1.0) as f32;
                let index = y as usize * width as usize + x as usize;
                if let Some(covered) = self.covered.get_mut(index) {
                    *covered = covered.max(part);
                }
            }
        }
    }
}

impl Canvas for Raster {
    fn line(&mut self, points: &[(f64, f64)], colour: Rgb, width: f64) {
        let half = width / 2.0;
        // Thin upright and level lines fall onto whole pixels, to be sharp.
        let sharp = |at: f64| if width <= 1.0 { at.floor() + 0.5 } else { at };
        let place = |&(x, y): &(f64, f64)| (sharp(x), sharp(y));
        if let [point] = points {
            self.cover(place(point), place(point), half + 1.0);
        }
        for pair in points.windows(2) {
            if let [from, to] = pair {
                self.cover(place(from), place(to), half);
            }
        }
        // The whole line at once: where its pieces meet it is no darker.
        let (columns, rows) = self.pixels.dimensions();
        let (first, end) = std::mem::replace(&mut self.rows, (rows, 0));
        for y in first..end {
            for x in 0..columns {
                let index = y as usize * columns as usize + x as usize;
                let part = self.covered.get_mut(index).map_or(0.0, std::mem::take);
                if part > 0.0 {
                    self.blend(x, y, colour, part);
                }
            }
        }
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, colour: Rgb, text: &str) {
        let count = text.chars().count();
        let width = (count * letters::ADVANCE).saturating_sub(1) as f64 * f64::from(DOT);
        let left = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - width / 2.0,
            Anchor::End => x - width,
        };
        let (left, top) = (left.round() as i64, y.round() as i64);
        let top = top - (letters::ABOVE_LINE as i64) * i64::from(DOT);
        for (number, character) in text.chars().enumerate() {
            for (row, dots) in letters::dots(character).into_iter().enumerate() {
                for column in 0..letters::WIDTH {
                    if dots & (1 << (letters::WIDTH - 1 - column)) == 0 {
                        continue;
                    }
                    let right = (number * letters::ADVANCE + column) as i64;
                    for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                        let x = left + right * i64::from(DOT) + dx;
                        let y = top + row as i64 * i64::from(DOT) + dy;
                        if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) {
                            self.blend(x, y, colour, 1.0);
                        }
                    }
                }
            }
        }
    }
}
