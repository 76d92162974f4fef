//! Where everything in a chart is.

use super::ticks;
use super::{Anchor, Canvas, Chart, Rgb};

const INK: Rgb = [0x22, 0x22, 0x22];
const FAINT_INK: Rgb = [0x70, 0x70, 0x70];
const GRID: Rgb = [0xe2, 0xe2, 0xe2];
const MARK: Rgb = [0xb8, 0xb8, 0xb8];

/// Pixels around the curves, besides what title and legend take.
const LEFT: f64 = 96.0;
const RIGHT: f64 = 32.0;
const BOTTOM: f64 = 72.0;
/// The height of a line of words, and the width of a character.
const LINE: f64 = 32.0;
const CHARACTER: f64 = 12.0;
/// How long a line in the legend is, with its space to the word.
const SAMPLE: f64 = 44.0;
/// How far the lines where scales begin stand above the plane.
const MARK_ABOVE: f64 = 18.0;
/// The lowest that is shown is this part of the highest: a content loss that
/// begins at nearly nothing would press all else together.
const DEPTH: f64 = 1e-6;

/// The part of the canvas that the curves lie in, and what it shows.
struct Plane {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    /// The first and the last iteration.
    x: (f64, f64),
    /// The lowest and the highest loss, above 0 and not the same.
    y: (f64, f64),
}

impl Plane {
    fn across(&self, x: f64) -> f64 {
        let part = (x - self.x.0) / (self.x.1 - self.x.0);
        self.left + part.clamp(0.0, 1.0) * (self.right - self.left)
    }

    fn down(&self, y: f64) -> f64 {
        let part = (y / self.y.0).ln() / (self.y.1 / self.y.0).ln();
        self.bottom - part.clamp(0.0, 1.0) * (self.bottom - self.top)
    }
}

/// Lays a chart out.
pub(super) fn draw(chart: &Chart, canvas: &mut dyn Canvas, (width, height): (u32, u32)) {
    let (width, height) = (f64::from(width), f64::from(height));
    let title = cut(&chart.title, width - 2.0 * RIGHT);
    canvas.text((RIGHT, LINE), Anchor::Start, INK, &title);
    let top = legend(chart, canvas, width) + 36.0;
    let (right, bottom) = (width - RIGHT, (height - BOTTOM).max(top + 1.0));
    let Some((x, y)) = ranges(chart) else {
        frame(canvas, (LEFT, right), (top, bottom));
        let middle = ((LEFT + right) / 2.0, (top + bottom) / 2.0);
        canvas.text(middle, Anchor::Middle, FAINT_INK, "no losses yet");
        return;
    };
    let plane = Plane {
        left: LEFT,
        right,
        top,
        bottom,
        x,
        y,
    };
    axes(&plane, canvas);
    marks(chart, &plane, canvas);
    for curve in &chart.curves {
        let place = |(x, y): &(f64, f64)| (plane.across(*x), plane.down(*y));
        let points: Vec<(f64, f64)> = curve.points.iter().map(place).collect();
        canvas.line(&points, curve.colour, curve.width);
    }
}

/// The ranges of iterations and losses; none if there are no points.
pub(super) fn ranges(chart: &Chart) -> Option<((f64, f64), (f64, f64))> {
    let points = || chart.curves.iter().flat_map(|curve| &curve.points);
    let (first, _) = points().next()?;
    let mut x = (*first, *first);
    let mut y = (f64::INFINITY, 0_f64);
    for (iteration, loss) in points() {
        x = (x.0.min(*iteration), x.1.max(*iteration));
        y = (y.0.min(*loss), y.1.max(*loss));
    }
    // A single point has no width, a flat curve no height.
    x.1 = x.1.max(x.0 + 1.0);
    let room = 1.15;
    let low = (y.0 / room).max(y.1 * DEPTH).max(f64::MIN_POSITIVE);
    Some((x, (low, (y.1 * room).max(low * room).min(f64::MAX))))
}

/// Lines with their words below the title, as many rows of them as it takes.
/// Gives where the last row ends.
fn legend(chart: &Chart, canvas: &mut dyn Canvas, width: f64) -> f64 {
    let (mut left, mut foot) = (RIGHT, 2.0 * LINE);
    for curve in &chart.curves {
        let label = cut(&curve.label, width - 2.0 * RIGHT - SAMPLE);
        let length = SAMPLE + words(&label);
        if left + length > width - RIGHT && left > RIGHT {
            (left, foot) = (RIGHT, foot + LINE);
        }
        let middle = foot - 6.0;
        let sample = [(left, middle), (left + SAMPLE - 12.0, middle)];
        canvas.line(&sample, curve.colour, curve.width + 1.0);
        canvas.text((left + SAMPLE, foot), Anchor::Start, INK, &label);
        left += length + 32.0;
    }
    foot
}

fn axes(plane: &Plane, canvas: &mut dyn Canvas) {
    for value in ticks::of_logarithm(plane.y.0, plane.y.1) {
        let y = plane.down(value);
        canvas.line(&[(plane.left, y), (plane.right, y)], GRID, 1.0);
        let label = ticks::short(value);
        canvas.text((plane.left - 12.0, y + 6.0), Anchor::End, INK, &label);
    }
    let room = ((plane.right - plane.left) / 110.0).clamp(2.0, 20.0) as u32;
    for value in ticks::steps_of_value(plane.x.0, plane.x.1, room) {
        // There is no half iteration.
        if value.fract() != 0.0 {
            continue;
        }
        let x = plane.across(value);
        canvas.line(&[(x, plane.bottom), (x, plane.bottom + 6.0)], INK, 1.0);
        let label = format!("{value:.0}");
        canvas.text((x, plane.bottom + 28.0), Anchor::Middle, INK, &label);
    }
    let middle = (plane.left + plane.right) / 2.0;
    let foot = plane.bottom + 58.0;
    canvas.text((middle, foot), Anchor::Middle, FAINT_INK, "iteration");
    frame(canvas, (plane.left, plane.right), (plane.top, plane.bottom));
}

/// The two axes.
fn frame(canvas: &mut dyn Canvas, (left, right): (f64, f64), (top, bottom): (f64, f64)) {
    canvas.line(&[(left, top), (left, bottom), (right, bottom)], INK, 1.0);
}

/// Where scales begin.
fn marks(chart: &Chart, plane: &Plane, canvas: &mut dyn Canvas) {
    let mut free = plane.left;
    for (iteration, label) in &chart.marks {
        let x = plane.across(*iteration);
        let mut y = plane.top - MARK_ABOVE;
        while y < plane.bottom {
            let end = (y + 6.0).min(plane.bottom);
            canvas.line(&[(x, y), (x, end)], MARK, 1.0);
            y += 12.0;
        }
        // A label that has no room is left out.
        let end = x + 8.0 + words(label);
        if x >= free && end <= plane.right {
            canvas.text((x + 8.0, plane.top - 6.0), Anchor::Start, FAINT_INK, label);
            free = end;
        }
    }
}

/// How wide a text is, in pixels.
fn words(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER
}

/// A text that is not wider than this many pixels.
pub(super) fn cut(text: &str, width: f64) -> String {
    if words(text) <= width {
        return text.to_owned();
    }
    let room = (width / CHARACTER).max(0.0) as usize;
    let start: String = text.chars().take(room.saturating_sub(2)).collect();
    format!("{start}..")
}
