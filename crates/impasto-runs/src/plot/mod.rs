//! The losses of a run as a chart: in colours that colour-blind people can tell
//! apart, on a logarithmic scale, since losses fall by powers of ten.
//!
//! [`Chart`] knows what is shown. It is laid out once, onto a `Canvas`, which
//! is a text of SVG or a field of pixels.

mod layout;
mod letters;
mod raster;
mod svg;
mod ticks;

use image::RgbImage;
use impasto_core::protocol::Step;

pub use ticks::{short, steps_of_value};

/// A colour: red, green and blue, sRGB.
pub type Rgb = [u8; 3];

/// The size of a chart in pixels.
pub const SIZE: (u32, u32) = (1200, 720);

/// The most points of a curve; more than a chart has columns are not seen.
const MAX_POINTS: usize = 2000;

/// From the palette of Okabe and Ito, dark enough for thin lines on white.
pub const BLUE: Rgb = [0x00, 0x72, 0xb2];
pub const VERMILION: Rgb = [0xd5, 0x5e, 0x00];
const BLACK: Rgb = [0x22, 0x22, 0x22];

/// Curves over iterations.
#[derive(Clone, Debug)]
pub struct Chart {
    title: String,
    curves: Vec<Curve>,
    /// Where scales begin, and what to call them.
    marks: Vec<(f64, String)>,
}

#[derive(Clone, Debug)]
struct Curve {
    label: String,
    colour: Rgb,
    /// In pixels.
    width: f64,
    /// Iterations and losses; all losses are above 0.
    points: Vec<(f64, f64)>,
}

/// The chart of a run's losses as SVG.
pub fn losses_svg(steps: &[Step], title: &str) -> String {
    Chart::of_losses(steps, title).svg()
}

/// The chart of a run's losses in pixels, [`SIZE`] of them.
pub fn losses_png(steps: &[Step], title: &str) -> RgbImage {
    Chart::of_losses(steps, title).pixels(SIZE.0, SIZE.1)
}

impl Chart {
    /// Total, content and style loss of a run, and where its scales begin.
    pub fn of_losses(steps: &[Step], title: &str) -> Self {
        let curve = |label: &str, colour, width, loss: fn(&Step) -> f64| Curve {
            label: label.to_owned(),
            colour,
            width,
            points: points(steps, loss),
        };
        let marks = steps
            .windows(2)
            .filter_map(|pair| match pair {
                [before, step] if before.scale != step.scale => Some((
                    f64::from(step.iteration),
                    format!("{}×{}", step.width, step.height),
                )),
                _ => None,
            })
            // A schedule has no more scales; a damaged file may.
            .take(64)
            .collect();
        Self {
            title: title.to_owned(),
            // The total is drawn first, so that it hides nothing.
            curves: vec![
                curve("total", BLACK, 3.5, |step| step.total),
                curve("content", BLUE, 2.0, |step| step.content),
                curve("style", VERMILION, 2.0, |step| step.style),
            ],
            marks,
        }
    }

    /// The total losses of two runs.
    pub fn of_totals(runs: [(&str, &[Step]); 2]) -> Self {
        let colours = [BLUE, VERMILION];
        let curves = runs
            .into_iter()
            .zip(colours)
            .map(|((label, steps), colour)| Curve {
                label: label.to_owned(),
                colour,
                width: 2.5,
                points: points(steps, |step| step.total),
            });
        Self {
            title: "total loss".to_owned(),
            curves: curves.collect(),
            marks: Vec::new(),
        }
    }

    /// The chart as a file of SVG.
    pub fn svg(&self) -> String {
        let mut canvas = svg::Svg::new(SIZE);
        layout::draw(self, &mut canvas, SIZE);
        canvas.finish()
    }

    /// The chart in pixels. A side is at least 200 and at most 4096 of them.
    pub fn pixels(&self, width: u32, height: u32) -> RgbImage {
        let size = (width.clamp(200, 4096), height.clamp(200, 4096));
        let mut canvas = raster::Raster::new(size);
        layout::draw(self, &mut canvas, size);
        canvas.finish()
    }
}

/// A caption in pixels, dark on white, as wide as given and 40 pixels high.
pub fn caption(text: &str, width: u32) -> RgbImage {
    let mut canvas = raster::Raster::new((width, 40));
    let text = layout::cut(text, f64::from(width) - 8.0);
    let place = (f64::from(width) / 2.0, 26.0);
    canvas.text(place, Anchor::Middle, BLACK, &text);
    canvas.finish()
}

/// Something to lay a chart out on. Places are in pixels from the upper left
/// corner.
trait Canvas {
    fn line(&mut self, points: &[(f64, f64)], colour: Rgb, width: f64);
    /// Writes a line of text whose foot is at a place.
    fn text(&mut self, at: (f64, f64), anchor: Anchor, colour: Rgb, text: &str);
}

/// Which part of a text lies at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    Start,
    Middle,
    End,
}

/// A curve's points, thinned so that every stretch keeps its lowest and its
/// highest. Losses that have no logarithm are left out.
pub fn points(steps: &[Step], loss: impl Fn(&Step) -> f64) -> Vec<(f64, f64)> {
    let points: Vec<(f64, f64)> = steps
        .iter()
        .map(|step| (f64::from(step.iteration), loss(step)))
        .filter(|(_, loss)| loss.is_finite() && *loss > 0.0)
        .collect();
    if points.len() <= MAX_POINTS {
        return points;
    }
    let stretch = points.len().div_ceil(MAX_POINTS / 2);
    let thinned = points.chunks(stretch).flat_map(|chunk| {
        let lowest = chunk
            .iter()
            .enumerate()
            .min_by(|a, b| a.1.1.total_cmp(&b.1.1));
        let highest = chunk
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.1.total_cmp(&b.1.1));
        let mut both: Vec<_> = lowest.into_iter().chain(highest).collect();
        both.sort_by_key(|(index, _)| *index);
        both.dedup_by_key(|(index, _)| *index);
        both.into_iter().map(|(_, point)| *point)
    });
    thinned.collect()
}

#[cfg(test)]
mod tests;
