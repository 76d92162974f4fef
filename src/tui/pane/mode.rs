//! Which way the pane draws: by the terminal's own graphics, or by cells.

use std::fmt;

use clap::ValueEnum;
use impasto_graphics::terminal::Graphics;

/// The user's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Pixels where the terminal supports them; over a slow connection only
    /// while the picture does not change.
    #[default]
    Auto,
    /// Pixels wherever the terminal supports them.
    Pixels,
    /// Always characters.
    Cells,
}

impl Mode {
    /// The next in a round of all three.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Auto => Self::Pixels,
            Self::Pixels => Self::Cells,
            Self::Cells => Self::Auto,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Auto => "auto",
            Self::Pixels => "pixels",
            Self::Cells => "cells",
        })
    }
}

/// Seconds that sending a picture may take while it keeps changing, and before
/// the line counts as fast again.
const SLOW: f64 = 1.0;
const FAST: f64 = 0.5;
/// Seconds that a picture may take that stands still.
const TIMEOUT: f64 = 2.0;

/// What is known of the connection to the terminal.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line {
    /// Bytes a second, once that is known.
    rate: Option<f64>,
    slow: bool,
}

impl Line {
    /// Takes note of the line, where a picture of so many `pixels` would be
    /// sent.
    pub(super) fn set(&mut self, rate: f64, ssh: bool, graphics: Graphics, pixels: u32) {
        self.rate = Some(rate.max(1.0)).filter(|rate| rate.is_finite());
        let seconds = self.seconds(graphics, pixels);
        // Two limits, so that it does not waver between both ways.
        let most = if self.slow { FAST } else { SLOW };
        self.slow = ssh || seconds > most;
    }

    pub(super) fn is_slow(&self) -> bool {
        self.slow
    }

    /// Whether a picture that stands still is worth its time. Where it can be
    /// sent small and enlarged by the terminal it always is.
    pub(super) fn bears_still(&self, graphics: Graphics, pixels: u32) -> bool {
        graphics != Graphics::Sixel || self.seconds(graphics, pixels) <= 2.0 * TIMEOUT
    }

    /// The pixels to send at most, so that keys are not held up for long.
    pub(super) fn most_pixels(&self, graphics: Graphics, live: bool) -> u32 {
        match self.rate {
            Some(rate) if self.slow => {
                let seconds = if live { SLOW } else { TIMEOUT };
                // A conversion that is too large ends at the largest.
                (rate * seconds / bytes_per_pixel(graphics)) as u32
            }
            _ => u32::MAX,
        }
    }

    fn seconds(&self, graphics: Graphics, pixels: u32) -> f64 {
        let bytes = f64::from(pixels) * bytes_per_pixel(graphics);
        self.rate.map_or(0.0, |rate| bytes / rate)
    }
}

/// Measured with painted pictures of 480×480 pixels.
fn bytes_per_pixel(graphics: Graphics) -> f64 {
    match graphics {
        Graphics::Kitty => 2.9,
        Graphics::Iterm => 0.55,
        Graphics::Sixel => 3.1,
        Graphics::HalfBlocks => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANE: u32 = 480 * 480;

    #[test]
    fn a_line_is_slow_over_ssh_or_by_its_rate() {
        let mut line = Line::default();
        assert!(!line.is_slow());
        line.set(2e6, false, Graphics::Kitty, PANE);
        assert!(!line.is_slow());
        assert_eq!(line.most_pixels(Graphics::Kitty, true), u32::MAX);
        line.set(300e3, false, Graphics::Kitty, PANE);
        assert!(line.is_slow());
        assert_eq!(line.most_pixels(Graphics::Kitty, true), 103_448);
        // A little faster is not fast yet.
        line.set(800e3, false, Graphics::Kitty, PANE);
        assert!(line.is_slow());
        line.set(2e6, false, Graphics::Kitty, PANE);
        assert!(!line.is_slow());
        line.set(2e6, true, Graphics::Kitty, PANE);
        assert!(line.is_slow());
        // A JPEG is light.
        let mut line = Line::default();
        line.set(300e3, false, Graphics::Iterm, PANE);
        assert!(!line.is_slow());
        line.set(f64::NAN, false, Graphics::Iterm, PANE);
        line.set(-1.0, false, Graphics::Iterm, PANE);
        assert!(line.is_slow());
    }

    #[test]
    fn only_sixel_can_be_too_large() {
        let mut line = Line::default();
        line.set(50e3, true, Graphics::Sixel, PANE);
        assert!(!line.bears_still(Graphics::Sixel, PANE));
        assert!(line.bears_still(Graphics::Sixel, PANE / 16));
        assert!(line.bears_still(Graphics::Kitty, PANE));
    }

    #[test]
    fn the_three_go_round() {
        assert_eq!(Mode::Auto.next().next().next(), Mode::Auto);
        assert_ne!(Mode::Pixels.next(), Mode::Pixels);
    }
}
