//! Two curves of total losses in characters.

use impasto_core::protocol::Step;
use impasto_runs::plot::{points, short};

/// Columns for the numbers at the left.
const NUMBERS: u16 = 9;
/// What stands below.
const FOOT: &str = "iteration";
/// What the two curves are drawn with where there are no colours.
const LETTERS: [char; 2] = ['a', 'b'];
/// SGR codes that distinguish the curves: blue and yellow, which the
/// colour-blind do not mix up.
const CODES: [u8; 2] = [34, 33];

/// The totals of two runs over their iterations, on a logarithmic scale, in
/// `columns` × `rows` cells and two lines more for what is what.
pub fn drawn(runs: [(&str, &[Step]); 2], columns: u16, rows: u16, colours: bool) -> String {
    let curves = runs.map(|(_, steps)| points(steps, |step| step.total));
    let all = || curves.iter().flatten();
    let width = usize::from(columns.max(NUMBERS + 10) - NUMBERS);
    let height = usize::from(rows.max(3));
    let mut text = String::new();
    if all().next().is_some() {
        let last = all().map(|point| point.0).fold(1.0, f64::max);
        let low = all()
            .map(|point| point.1)
            .fold(f64::INFINITY, f64::min)
            .ln();
        let high = all().map(|point| point.1).fold(0.0, f64::max).ln();
        let span = (high - low).max(1e-9);
        let field = Field::with(&curves, (width, height), last, |loss| {
            (high - loss.ln()) / span
        });
        for (row, cells) in field.cells.chunks(width).enumerate() {
            let number = match row {
                0 => short(high.exp()),
                row if row + 1 == height => short(low.exp()),
                row if row == height / 2 => {
                    let part = row as f64 / (height - 1) as f64;
                    short((high - part * span).exp())
                }
                _ => String::new(),
            };
            let line: String = cells.iter().map(|cell| cell.shown(colours)).collect();
            text += &format!("{number:>7} │{}\n", line.trim_end());
        }
        text += &format!("{:>7} └{}\n", "", "─".repeat(width));
        let foot = format!("{last:.0}");
        let words = width.saturating_sub(1 + foot.len());
        let words = match words > FOOT.len() {
            true => format!("{FOOT:^words$}"),
            false => " ".repeat(words),
        };
        text += &format!("{:>8} 0{words}{foot}\n", "");
    }
    for (number, (name, _)) in runs.iter().enumerate() {
        let sign = Cell::sign(number, colours);
        text += &format!("{sign} {name}\n");
    }
    text
}

/// The dots of the curves, two across and four down in every cell.
struct Field {
    cells: Vec<Cell>,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    /// For each curve its dots, as the bits of a braille character.
    dots: [u8; 2],
}

impl Field {
    fn with(
        curves: &[Vec<(f64, f64)>; 2],
        (width, height): (usize, usize),
        last: f64,
        down: impl Fn(f64) -> f64,
    ) -> Self {
        let mut cells = vec![Cell::default(); width * height];
        let (most_x, most_y) = (2 * width - 1, 4 * height - 1);
        for (number, curve) in curves.iter().enumerate() {
            let place = |&(x, y): &(f64, f64)| (x / last * most_x as f64, down(y) * most_y as f64);
            let mut dot = |x: f64, y: f64| {
                let x = (x.round() as usize).min(most_x);
                let y = (y.round() as usize).min(most_y);
                // Braille counts its dots down the left side, then the right,
                // and was given a fourth row later.
                const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
                if let Some(cell) = cells.get_mut(y / 4 * width + x / 2) {
                    cell.dots[number] |= BITS[y % 4][x % 2];
                }
            };
            if let [only] = curve.as_slice() {
                let (x, y) = place(only);
                dot(x, y);
            }
            for pair in curve.windows(2) {
                let [from, to] = [place(&pair[0]), place(&pair[1])];
                // As many dots as the longer side has, so that no gap shows.
                let count = (to.0 - from.0)
                    .abs()
                    .max((to.1 - from.1).abs())
                    .ceil()
                    .max(1.0);
                for step in 0..=count as u32 {
                    let part = f64::from(step) / count;
                    dot(
                        from.0 + (to.0 - from.0) * part,
                        from.1 + (to.1 - from.1) * part,
                    );
                }
            }
        }
        Self { cells }
    }
}

impl Cell {
    fn shown(self, colours: bool) -> String {
        let [first, second] = self.dots;
        let front = match (first, second) {
            (0, 0) => return " ".to_owned(),
            // Where they meet the second is seen.
            (_, 0) => 0,
            _ => 1,
        };
        if !colours {
            return LETTERS[front].to_string();
        }
        // All 256 patterns are characters.
        let dots = char::from_u32(0x2800 + u32::from(first | second)).unwrap_or(' ');
        format!("\x1b[{}m{dots}\x1b[m", CODES[front])
    }

    fn sign(curve: usize, colours: bool) -> String {
        match colours {
            true => format!("\x1b[{}m━━\x1b[m", CODES[curve]),
            false => LETTERS[curve].to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_core::protocol::LayerLosses;

    fn steps(losses: &[f64]) -> Vec<Step> {
        let numbered = losses.iter().zip(1..);
        numbered
            .map(|(&total, iteration)| Step {
                iteration,
                scale: 1,
                width: 4,
                height: 4,
                content: 0.0,
                style: total,
                smoothness: 0.0,
                total,
                rejected_total: None,
                elapsed: 1.0,
                layers: LayerLosses::default(),
            })
            .collect()
    }

    #[test]
    fn both_curves_are_drawn_from_top_to_bottom() {
        let (one, other) = (steps(&[1000.0, 10.0, 1.0]), steps(&[50.0, 40.0, 30.0]));
        let text = drawn([("one", &one), ("other", &other)], 40, 8, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 8 + 2 + 2);
        assert!(
            lines[0].starts_with("   1000 │") && lines[0].contains('a'),
            "{text}"
        );
        assert!(
            lines[7].starts_with("      1 │") && lines[7].ends_with('a'),
            "{text}"
        );
        assert!(lines[3].ends_with('b') || lines[4].ends_with('b'), "{text}");
        assert_eq!(lines[10..], ["a one", "b other"]);
        assert!(
            lines.iter().all(|line| line.chars().count() <= 40),
            "{text}"
        );
        assert!(lines[9].starts_with("         0 "), "{text}");
        assert!(lines[9].contains(" iteration ") && lines[9].ends_with(" 3"));
        let coloured = drawn([("one", &one), ("other", &other)], 40, 8, true);
        assert!(coloured.contains("\x1b[34m") && coloured.contains("\x1b[33m"));
    }

    #[test]
    fn odd_losses_are_drawn_without_a_panic() {
        for losses in [
            &[][..],
            &[5.0],
            &[5.0, 5.0],
            &[f64::NAN, 0.0],
            &[f64::MAX, 1e-320],
        ] {
            for (columns, rows) in [(0, 0), (1, 1), (40, 3), (u16::MAX, 2)] {
                drawn([("a", &steps(losses)), ("b", &[])], columns, rows, false);
            }
        }
    }
}
