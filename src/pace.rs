//! How fast a run goes and how long it will take, and both in words.

use std::collections::VecDeque;

use impasto_core::job::Size;
use impasto_core::protocol::Step;

/// How fast it goes, from the last few seconds.
#[derive(Debug, Default)]
pub struct Pace {
    recent: VecDeque<Mark>,
    pixels: f64,
}

/// How far the run was at one step.
#[derive(Clone, Copy, Debug)]
struct Mark {
    elapsed: f64,
    /// Pixels painted so far, over all iterations.
    pixels: f64,
    iteration: u32,
}

impl Pace {
    const WINDOW: f64 = 5.0;

    /// Takes note of a step. Steps between it and the one before may be missing:
    /// a reader that is behind, or came late, does not receive all of them.
    pub fn note(&mut self, step: &Step) {
        let iterations = match self.recent.back() {
            Some(last) if step.iteration > last.iteration && step.elapsed >= last.elapsed => {
                step.iteration - last.iteration
            }
            Some(_) => {
                // It resumes from an earlier point.
                *self = Self::default();
                1
            }
            None => 1,
        };
        self.pixels += area(step.width, step.height) * f64::from(iterations);
        self.recent.push_back(Mark {
            elapsed: step.elapsed,
            pixels: self.pixels,
            iteration: step.iteration,
        });
        while self.recent.len() > 2
            && self
                .recent
                .front()
                .is_some_and(|old| step.elapsed - old.elapsed > Self::WINDOW)
        {
            self.recent.pop_front();
        }
    }

    /// Seconds left, judging by the pace and by the pixels still to paint.
    pub fn left(&self, step: &Step, sizes: &[Size]) -> Option<f64> {
        let pace = self.pixels_per_second()?;
        let mut pixels = 0.0;
        let mut before = 0;
        for size in sizes {
            let done = step.iteration.saturating_sub(before).min(size.iterations);
            pixels += area(size.width, size.height) * f64::from(size.iterations - done);
            before += size.iterations;
        }
        Some(pixels / pace)
    }

    /// The oldest and the newest mark, if time passed between them.
    fn ends(&self) -> Option<(Mark, Mark)> {
        let (first, last) = (*self.recent.front()?, *self.recent.back()?);
        (last.elapsed > first.elapsed).then_some((first, last))
    }

    fn pixels_per_second(&self) -> Option<f64> {
        let (first, last) = self.ends()?;
        Some((last.pixels - first.pixels) / (last.elapsed - first.elapsed))
    }

    /// Iterations per second, once two steps were noted.
    pub fn iterations_per_second(&self) -> Option<f64> {
        let (first, last) = self.ends()?;
        Some(f64::from(last.iteration - first.iteration) / (last.elapsed - first.elapsed))
    }
}

fn area(width: u32, height: u32) -> f64 {
    f64::from(width) * f64::from(height)
}

/// A speed in a few characters.
pub fn per_second(rate: f64) -> String {
    if rate < 10.0 {
        format!("{rate:.1} it/s")
    } else {
        format!("{rate:.0} it/s")
    }
}

/// Seconds as minutes and seconds, or hours too.
pub fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_core::protocol::LayerLosses;

    fn step(iteration: u32, elapsed: f64) -> Step {
        Step {
            iteration,
            scale: 1,
            width: 10,
            height: 10,
            content: 1.0,
            style: 1.0,
            smoothness: 0.0,
            total: 2.0,
            rejected_total: None,
            elapsed,
            layers: LayerLosses::default(),
        }
    }

    #[test]
    fn clocks_read_well() {
        assert_eq!(clock(0.4), "0:00");
        assert_eq!(clock(75.0), "1:15");
        assert_eq!(clock(3661.0), "1:01:01");
    }

    #[test]
    fn the_pace_is_that_of_the_last_seconds() {
        let mut pace = Pace::default();
        assert_eq!(pace.iterations_per_second(), None);
        for iteration in 1..=10 {
            pace.note(&step(iteration, f64::from(iteration)));
        }
        assert_eq!(pace.iterations_per_second(), Some(1.0));
        for iteration in 11..=60 {
            pace.note(&step(iteration, 10.0 + f64::from(iteration - 10) * 0.1));
        }
        assert!((pace.iterations_per_second().unwrap() - 10.0).abs() < 0.5);
        assert!((pace.pixels_per_second().unwrap() - 1000.0).abs() < 50.0);
    }

    #[test]
    fn steps_that_were_not_reported_count_all_the_same() {
        let mut pace = Pace::default();
        for iteration in (1..=1001).step_by(100) {
            pace.note(&step(iteration, f64::from(iteration) / 50.0));
        }
        assert!((pace.iterations_per_second().unwrap() - 50.0).abs() < 1e-9);
        assert!((pace.pixels_per_second().unwrap() - 5000.0).abs() < 1e-6);
    }

    #[test]
    fn a_run_that_goes_on_from_an_earlier_point_has_a_pace_again() {
        let mut pace = Pace::default();
        pace.note(&step(500, 100.0));
        pace.note(&step(501, 100.2));
        pace.note(&step(401, 101.0));
        assert_eq!(pace.iterations_per_second(), None);
        pace.note(&step(402, 101.5));
        assert_eq!(pace.iterations_per_second(), Some(2.0));
    }
}
