//! The dashboard's pictures: previews asked for and taken in, the picture in
//! place of the dashboard, and what the connection to the terminal carries.

use std::io;
use std::time::{Duration, Instant};

use impasto_core::protocol::Command;

use super::Dashboard;
use crate::tui::app::Phase;
use crate::tui::console::Console;
use crate::tui::pane::Shown;
use crate::tui::update::{Effect, Message};
use crate::tui::{layout, view};

/// Previews are asked for no more often than this.
const PREVIEW_INTERVAL: Duration = Duration::from_millis(250);

/// One from another process that has not come by then was lost on the way, or
/// gave way to another terminal's.
const PREVIEW_LOST: Duration = Duration::from_secs(10);

/// Whether the full screen has the picture at its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Larger {
    Wanted,
    Asked,
    Enough,
}

impl Dashboard<'_> {
    /// Takes in a preview. True if the next frame shows another picture.
    pub(super) fn take_in_preview(&mut self, effects: &mut Vec<Effect>) -> bool {
        if let Some(preview) = self.run.as_ref().and_then(|run| run.link.preview.take()) {
            self.picture.set_painting(preview);
            self.preview_to_come = false;
            if self.shows_picture && self.larger == Larger::Asked {
                self.larger = Larger::Enough;
                effects.push(Effect::ShowFullScreen);
            }
        }
        self.picture.is_fresh()
    }

    pub(super) fn show_full_screen(&mut self, console: &mut dyn Console) -> io::Result<()> {
        let Some(picture) = self.picture.picture() else {
            self.update(Message::NoPicture);
            return Ok(());
        };
        let painting = matches!(self.picture.shown(), Shown::Painting | Shown::Split);
        if !self.shows_picture && painting {
            self.larger = Larger::Wanted;
        }
        self.shows_picture = true;
        let words = view::full_screen_words(&self.app, self.picture.shown());
        console.show(&picture, &words)?;
        let (bytes, took) = console.sent();
        self.budget.wrote(bytes, took);
        Ok(())
    }

    pub(super) fn ask_for_preview(&mut self) {
        let Some(run) = &self.run else { return };
        // A run that is over still answers, once: its last picture.
        if self.app.step.is_none() || self.app.phase == Phase::Stopping {
            return;
        }
        if self.shows_picture {
            if self.larger == Larger::Wanted {
                self.larger = Larger::Asked;
                let (width, height) = self.picture.full_screen_pixels(self.window);
                let _ = run.link.commands.send(Command::Preview { width, height });
            }
            return;
        }
        let passed = |time| {
            self.preview_asked
                .is_none_or(|asked| asked.elapsed() >= time)
        };
        let due = passed(PREVIEW_INTERVAL);
        let to_come = self.preview_to_come && (run.remote.is_none() || !passed(PREVIEW_LOST));
        let Some(places) = layout::places(&self.app, self.window) else {
            return;
        };
        let size = self.picture.wanted_pixels(places.picture);
        let iteration = self.app.step.as_ref().map_or(0, |step| step.iteration);
        let news = self.app.phase == Phase::Running || self.asked != Some((iteration, size));
        if due && news && !to_come && self.budget.ready(Instant::now()) {
            let (width, height) = size;
            let _ = run.link.commands.send(Command::Preview { width, height });
            self.preview_asked = Some(Instant::now());
            self.preview_to_come = true;
            self.asked = Some((iteration, size));
        }
    }
}

/// Bytes a second, over the last second or so.
#[derive(Debug, Default)]
pub(super) struct Rate {
    since: Option<Instant>,
    bytes: u64,
    rate: f64,
}

impl Rate {
    /// Takes note of what was sent, and gives the rate.
    pub(super) fn sent(&mut self, bytes: u64, now: Instant) -> f64 {
        let since = *self.since.get_or_insert(now);
        self.bytes += bytes;
        let seconds = now.saturating_duration_since(since).as_secs_f64();
        if seconds >= 1.0 {
            self.rate = self.bytes as f64 / seconds;
            (self.bytes, self.since) = (0, Some(now));
        }
        self.rate
    }
}
