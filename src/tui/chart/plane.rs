//! Where in the chart a value goes, and the round numbers beside it.

use super::ChartState;
use crate::tui::history::Point;

/// The values that a chart can draw.
const DRAWABLE: std::ops::RangeInclusive<f64> = -1e300..=1e300;

/// Which values the chart's edges stand for.
pub struct Plane {
    /// The first and the last iteration.
    pub range: (u32, u32),
    /// The lowest and the highest value; on a logarithmic scale, their
    /// logarithms to base 10.
    low: f64,
    high: f64,
    log: bool,
}

impl Plane {
    /// A plane that holds the chart's curves; none if nothing can be drawn.
    pub fn new(points: &[Point], range: (u32, u32), chart: &ChartState) -> Option<Self> {
        let log = chart.log;
        let (low, high) = chart
            .losses()
            .flat_map(|loss| points.iter().map(move |point| loss.of(point)))
            .filter_map(|value| height(value, log))
            .fold(None, |extremes, value| {
                let (low, high) = extremes.unwrap_or((value, value));
                Some((value.min(low), value.max(high)))
            })?;
        // What hardly changes is drawn flat, in the middle, rather than with
        // its noise blown up.
        let least = match (log, low.abs().max(high.abs())) {
            (true, _) => 0.02,
            (false, size) if size > 1e-12 => size * 0.02,
            (false, _) => 1.0,
        };
        let padding = ((least - (high - low)) / 2.0).max(0.0);
        Some(Self {
            range,
            low: low - padding,
            high: high + padding,
            log,
        })
    }

    /// How far right an iteration is, 0 to 1.
    pub fn x(&self, iteration: u32) -> f64 {
        let (first, last) = self.range;
        let span = last.saturating_sub(first).max(1);
        (f64::from(iteration.saturating_sub(first)) / f64::from(span)).min(1.0)
    }

    /// How far up a value is, 0 to 1; none if it cannot be drawn.
    pub fn y(&self, value: f64) -> Option<f64> {
        let height = height(value, self.log)?;
        Some(((height - self.low) / (self.high - self.low)).clamp(0.0, 1.0))
    }

    /// Round values to write at the side, about `most` of them.
    pub fn values(&self, most: u16) -> Vec<(f64, String)> {
        let (low, high) = (self.low, self.high);
        if !self.log {
            return ticks(low, high, most);
        }
        // From the finest steps to the coarsest: 9, 3, 2 or 1 in a decade.
        let finer: [&[u32]; 4] = [&[1, 2, 3, 4, 5, 6, 7, 8, 9], &[1, 2, 5], &[1, 3], &[1]];
        let decades = low.floor() as i32..=high.ceil() as i32;
        for mantissas in finer {
            let found: Vec<_> = decades
                .clone()
                .flat_map(|decade| mantissas.iter().map(move |&m| (m, decade)))
                .map(|(mantissa, decade)| f64::from(mantissa) * 10_f64.powi(decade))
                .filter(|value| (low..=high).contains(&value.log10()))
                .map(|value| (value, label(value, value)))
                .collect();
            if (2..=usize::from(most)).contains(&found.len()) {
                return found;
            }
        }
        if high - low < 2.0 {
            return ticks(10_f64.powf(low), 10_f64.powf(high), most);
        }
        // Many decades: only some of them.
        ticks(low, high, most)
            .into_iter()
            .map(|(power, _)| 10_f64.powf(power.round()))
            .map(|value| (value, label(value, value)))
            .collect()
    }
}

/// A value on the scale it is drawn on; none if it cannot be drawn.
fn height(value: f64, log: bool) -> Option<f64> {
    let drawable = DRAWABLE.contains(&value) && (!log || value > 0.0);
    drawable.then(|| if log { value.log10() } else { value })
}

/// Round numbers from `low` to `high`, 1, 2 or 5 times a power of ten apart;
/// about `most` of them.
pub fn ticks(low: f64, high: f64, most: u16) -> Vec<(f64, String)> {
    let least = (high - low) / f64::from(most.max(1));
    let power = 10_f64.powi(exponent(least));
    let step = [1.0, 2.0, 5.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|&step| step >= least)
        .unwrap_or(10.0 * power);
    let start = (low / step).ceil();
    (0..=most)
        .map(|i| (start + f64::from(i)) * step)
        .take_while(|&value| value <= high)
        .map(|value| (value, label(value, step)))
        .collect()
}

/// The power of ten in a number's scientific notation.
fn exponent(value: f64) -> i32 {
    if value == 0.0 || !value.is_finite() {
        return 0;
    }
    value.abs().log10().floor() as i32
}

/// Whether a number is written without a power of ten.
fn plain(value: f64) -> bool {
    value == 0.0 || (-2..=2).contains(&exponent(value))
}

/// A number at an axis, as short as steps of this size allow.
fn label(value: f64, step: f64) -> String {
    // Rounding to the step's digits takes away what binary fractions leave
    // over; printing the result again leaves out closing zeros.
    let digits = usize::try_from(exponent(value) - exponent(step)).unwrap_or(0);
    let value: f64 = format!("{value:.digits$e}").parse().unwrap_or(value);
    if plain(value) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

/// A loss in three digits.
pub fn number(value: f64) -> String {
    if plain(value) && value != 0.0 && value.is_finite() {
        let digits = usize::try_from(2 - exponent(value)).unwrap_or(0);
        format!("{value:.digits$}")
    } else if value == 0.0 {
        "0".to_owned()
    } else {
        format!("{value:.2e}")
    }
}

/// Which of `count` cells a fraction falls in.
pub fn cell(fraction: f64, count: u16) -> u16 {
    // In Braille's dots, two to a cell: so a mark stands where the curve's dot
    // of the same iteration is.
    let dots = f64::from(count) * 2.0 - 1.0;
    ((fraction * dots).round() as u16 / 2).min(count.saturating_sub(1))
}

/// The lowest and the highest point of each of `count` bins from left to right,
/// so that a spike stays in sight however many points share its column.
pub fn binned(points: impl Iterator<Item = (f64, f64)>, count: usize) -> Vec<(f64, f64)> {
    let mut bins = vec![None; count];
    for point in points {
        let index = ((point.0 * count as f64) as usize).min(count.saturating_sub(1));
        let Some(bin) = bins.get_mut(index) else {
            continue;
        };
        let (low, high) = bin.get_or_insert((point, point));
        if point.1 < low.1 {
            *low = point;
        }
        if point.1 > high.1 {
            *high = point;
        }
    }
    bins.into_iter()
        .flatten()
        .flat_map(|(low, high)| {
            if low.0 <= high.0 {
                [low, high]
            } else {
                [high, low]
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(low: f64, high: f64, log: bool) -> Plane {
        Plane {
            range: (1, 100),
            low,
            high,
            log,
        }
    }

    fn labels(values: Vec<(f64, String)>) -> Vec<String> {
        values.into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn linear_values_are_round() {
        let labels = |low, high, most| labels(ticks(low, high, most));
        assert_eq!(labels(0.0, 1.0, 5), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(
            labels(3.61e5, 3.68e5, 4),
            ["3.62e5", "3.64e5", "3.66e5", "3.68e5"]
        );
        assert_eq!(labels(0.0, 9000.0, 3), ["0", "5e3"]);
        assert_eq!(labels(-3.0, 3.0, 2), ["0"]);
        assert_eq!(labels(7.0, 7.0, 4), ["7"]);
    }

    #[test]
    fn logarithmic_values_are_as_fine_as_there_is_room_for() {
        let labels = |low, high, most| labels(plane(low, high, true).values(most));
        assert_eq!(labels(4.0, 6.0, 4), ["1e4", "1e5", "1e6"]);
        assert_eq!(labels(4.9, 6.1, 3), ["1e5", "3e5", "1e6"]);
        assert_eq!(labels(-1.5, 1.5, 4), ["0.1", "1", "10"]);
        assert_eq!(labels(5.59, 5.601, 3), ["3.9e5", "3.95e5"]);
        assert_eq!(labels(0.0, 300.0, 3), ["1", "1e100", "1e200", "1e300"]);
    }

    #[test]
    fn values_are_reported_in_three_digits() {
        let cases = [
            (473_210.0, "4.73e5"),
            (999.0, "999"),
            (12.34, "12.3"),
            (0.0456, "0.0456"),
            (0.001, "1.00e-3"),
            (0.0, "0"),
            (-0.0, "0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
        ];
        for (value, words) in cases {
            assert_eq!(number(value), words);
        }
    }

    #[test]
    fn bins_keep_extremes_in_order() {
        let points = (0..1000).map(|i| (f64::from(i) / 1000.0, if i == 503 { 1.0 } else { 0.5 }));
        let bins = binned(points, 10);
        assert_eq!(bins.len(), 20);
        assert!(bins.is_sorted_by(|a, b| a.0 <= b.0));
        assert!(bins.contains(&(0.503, 1.0)));
        assert!(binned([(0.5, 0.5)].into_iter(), 0).is_empty());
    }

    #[test]
    fn a_flat_curve_is_in_the_middle() {
        for value in [1e-300, 0.25, 4.2e5, 1e300, 0.0] {
            let point = Point {
                iteration: 1,
                content: value,
                style: value,
                smoothness: value,
                total: value,
            };
            for log in [true, false] {
                let chart = ChartState {
                    log,
                    ..ChartState::default()
                };
                let plane = Plane::new(&[point], (1, 1), &chart);
                if log && value == 0.0 {
                    assert!(plane.is_none());
                    continue;
                }
                let y = plane.unwrap().y(value).unwrap();
                assert!((y - 0.5).abs() < 1e-9, "{value} {log} {y}");
            }
        }
    }
}
