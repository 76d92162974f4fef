//! What a worker reports of the painting: steps, notices, memory, previews.

use std::time::{Duration, Instant};

use impasto_core::job::Job;
use impasto_core::picture::{Picture, finish};
use impasto_core::preset::Finish;
use impasto_core::protocol::{Event, Preview};

use super::Worker;
use crate::Result;
use crate::painter::Progress;

/// How often the memory in use is reported.
const MEMORY_INTERVAL: Duration = Duration::from_secs(2);

impl Worker<'_> {
    /// Waits until all iterations in flight are known, and reports them.
    pub(super) fn drain(&mut self) -> Result<()> {
        let progress = self.painter.drain()?;
        self.report_progress(progress)
    }

    pub(super) fn report_progress(&mut self, progress: Progress) -> Result<()> {
        let iteration = self.painter.iteration();
        let now = self.elapsed();
        // Several that become known at once were painted one after another.
        let each = now.saturating_sub(self.reported) / progress.steps.len().max(1) as u32;
        for (later, mut step) in (0..progress.steps.len() as u32).rev().zip(progress.steps) {
            step.elapsed = (now - each * later).as_secs_f64();
            self.reported = now;
            // Only a GPU is as fast as that.
            if self.painter.runs_ahead() && !self.throttle.keeps(&step, self.painter.sizes()) {
                continue;
            }
            // A reader that is behind misses steps; it never holds the
            // painter up.
            let _ = self.channels.outbox.try_send(Event::Step(step));
        }
        for message in progress.notices {
            self.channels.send(Event::Notice { iteration, message });
        }
        progress.failure.map_or(Ok(()), Err)
    }

    /// Puts the preview into the slot if it has come; waits for it if `wait`.
    pub(super) fn show_preview(&mut self, wait: bool) -> Result<()> {
        let Some((iteration, mut copy)) = self.preview.take() else {
            return Ok(());
        };
        let (width, height, rgb) = if wait {
            copy.wait()?
        } else if let Some(small) = copy.poll()? {
            small
        } else {
            self.preview = Some((iteration, copy));
            return Ok(());
        };
        let preview = Preview {
            iteration,
            width,
            height,
            rgb,
        };
        let finisher = &self.channels.finisher;
        let Job {
            preset, content, ..
        } = self.painter.job();
        if preset.finish.is_off() {
            finisher.put(preview);
            return Ok(());
        }
        let full = self
            .painter
            .size()
            .map_or(1, |size| size.width.max(size.height));
        let shrink = f64::from(full) / f64::from(width.max(height).max(1));
        let (finish, content) = (preset.finish.shrunk(shrink), content.picture.clone());
        // Painting goes on meanwhile.
        if let Err(error) = finisher.finish(move || finished(preview, &finish, &content)) {
            let message = format!("previews are not shown with their finish: {error}");
            self.channels.send(Event::Notice { iteration, message });
        }
        Ok(())
    }

    pub(super) fn report_memory(&mut self) {
        let due = self
            .memory_reported
            .is_none_or(|reported| reported.elapsed() >= MEMORY_INTERVAL);
        if !due {
            return;
        }
        self.memory_reported = Some(Instant::now());
        if let Some(memory) = self.painter.memory() {
            self.channels.send(Event::Memory(memory));
        }
    }
}

/// A preview, finished as the picture would be.
fn finished(preview: Preview, finish: &Finish, content: &Picture) -> Preview {
    let picture = Picture::from_rgb8(preview.width, preview.height, &preview.rgb);
    let picture = picture.map(|picture| finish::finish(&picture, finish, Some(content)));
    Preview {
        rgb: picture.map_or(preview.rgb, |picture| picture.to_rgb8()),
        ..preview
    }
}
