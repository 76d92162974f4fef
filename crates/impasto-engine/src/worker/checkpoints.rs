//! Checkpoints while painting continues: taken by the painter's thread, written by
//! another one.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use impasto_core::checkpoint::{Checkpoint, CheckpointStore, PictureStore, Position, RunStorage};
use impasto_core::picture::Picture;
use impasto_core::preset::OutputSettings;
use impasto_core::protocol::Event;

use super::Worker;
use crate::painter::Painter;
use crate::state::StateDict;

/// How long painting continues until the next checkpoint is taken, in seconds:
/// the variable that says so, and how long it is without.
const EVERY_VARIABLE: &str = "IMPASTO_CHECKPOINT_SECONDS";
const INTERVAL: f64 = 5.0;
/// The longest side of the small picture beside a checkpoint.
const SMALL: u32 = 256;

/// A checkpoint on its way to the disk.
struct Taken {
    position: Position,
    state: StateDict,
    small: Option<(u32, u32, Vec<u8>)>,
}

/// What became of one.
struct Written {
    /// The frozen tensors that the disk has.
    kept: BTreeSet<String>,
    outcome: Result<(), String>,
}

/// Takes checkpoints, one at a time.
pub(super) struct CheckpointWriter {
    pictures: Box<dyn PictureStore>,
    to_disk: Option<SyncSender<Taken>>,
    written: Receiver<Written>,
    thread: Option<JoinHandle<()>>,
    kept: BTreeSet<String>,
    busy: bool,
    /// When the last one was taken, and how long until the next.
    taken: Instant,
    every: Duration,
    /// Whether the last one could not be written.
    failing: bool,
}

impl CheckpointWriter {
    /// Begins to keep, and gives the checkpoint to resume from.
    pub(super) fn start(storage: RunStorage) -> io::Result<(Self, Option<Checkpoint>)> {
        let RunStorage {
            mut checkpoints,
            pictures,
            from,
        } = storage;
        let (to_disk, inbox) = sync_channel::<Taken>(1);
        let (outbox, written) = sync_channel(1);
        let kept = checkpoints.frozen();
        let thread = std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || {
                for taken in inbox {
                    let outcome = write(&mut *checkpoints, taken);
                    let kept = checkpoints.frozen();
                    if outbox.send(Written { kept, outcome }).is_err() {
                        return;
                    }
                }
            })?;
        let writer = Self {
            pictures,
            to_disk: Some(to_disk),
            written,
            thread: Some(thread),
            kept,
            busy: false,
            taken: Instant::now(),
            every: every(),
            failing: false,
        };
        Ok((writer, from))
    }

    /// Keeps the finished picture besides the place that the user named. Returns
    /// where it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn save_result(
        &self,
        picture: &Picture,
        recipe: &str,
        settings: &OutputSettings,
    ) -> Result<PathBuf, String> {
        self.pictures.save_result(picture, recipe, settings)
    }

    /// Keeps a picture on the way. Returns where it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn save_snapshot(
        &self,
        iteration: u32,
        picture: &Picture,
        recipe: &str,
        settings: &OutputSettings,
    ) -> Result<PathBuf, String> {
        self.pictures
            .save_snapshot(iteration, picture, recipe, settings)
    }

    /// Hears what became of the checkpoint under way; waits for it if `wait`.
    /// Brings what the user should know.
    fn poll_written(&mut self, wait: bool) -> Option<String> {
        if !self.busy {
            return None;
        }
        let written = if wait {
            self.written.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            self.written.try_recv()
        };
        let outcome = match written {
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err("its thread ended".to_owned()),
            Ok(Written { kept, outcome }) => {
                self.kept = kept;
                outcome
            }
        };
        self.busy = false;
        let failed_before = std::mem::replace(&mut self.failing, outcome.is_err());
        match outcome {
            Err(why) if !failed_before => Some(format!(
                "no checkpoint could be written ({why}); painting continues and it is tried again"
            )),
            Ok(()) if failed_before => Some("checkpoints are written again".to_owned()),
            _ => None,
        }
    }

    /// Takes a checkpoint, unless one is under way.
    fn take(&mut self, painter: &mut Painter, elapsed: f64) -> crate::Result<()> {
        self.taken = Instant::now();
        let Some((position, state)) = painter.checkpoint(self.kept.clone())? else {
            return Ok(());
        };
        let small = match painter.preview(SMALL, SMALL)? {
            Some(copy) => Some(copy.wait()?),
            None => None,
        };
        let taken = Taken {
            position: Position {
                elapsed,
                ..position
            },
            state,
            small,
        };
        // There is room for it, since none is under way.
        let disk = self.to_disk.as_ref();
        self.busy = disk.is_some_and(|disk| disk.try_send(taken).is_ok());
        Ok(())
    }
}

impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        self.to_disk = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Worker<'_> {
    /// Takes a checkpoint if one is due.
    pub(super) fn keep(&mut self) -> crate::Result<()> {
        let Some(writer) = self.writer.as_deref_mut() else {
            return Ok(());
        };
        let notice = writer.poll_written(false);
        let due = !writer.busy && writer.taken.elapsed() >= writer.every;
        self.note(notice);
        if due { self.start_checkpoint() } else { Ok(()) }
    }

    /// Takes a checkpoint now, and waits until it is written.
    pub(super) fn write_checkpoint_now(&mut self) -> crate::Result<()> {
        let Some(writer) = self.writer.as_deref_mut() else {
            return Ok(());
        };
        let notice = writer.poll_written(true);
        self.note(notice);
        self.start_checkpoint()?;
        let notice = self
            .writer
            .as_deref_mut()
            .and_then(|writer| writer.poll_written(true));
        self.note(notice);
        Ok(())
    }

    fn start_checkpoint(&mut self) -> crate::Result<()> {
        self.drain()?;
        let elapsed = self.elapsed().as_secs_f64();
        match self.writer.as_deref_mut() {
            Some(writer) => writer.take(&mut self.painter, elapsed),
            None => Ok(()),
        }
    }

    pub(super) fn note(&self, notice: Option<String>) {
        if let Some(message) = notice {
            let iteration = self.painter.iteration();
            self.channels.send(Event::Notice { iteration, message });
        }
    }
}

fn every() -> Duration {
    let said = std::env::var(EVERY_VARIABLE).ok();
    let seconds = said.and_then(|text| text.parse().ok()).unwrap_or(INTERVAL);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs_f64(INTERVAL))
}

fn write(checkpoints: &mut dyn CheckpointStore, taken: Taken) -> Result<(), String> {
    let Taken {
        position,
        state,
        small,
    } = taken;
    let contents = state.write().map_err(|error| error.to_string())?;
    checkpoints
        .write(&position, &contents)
        .map_err(|error| error.to_string())?;
    let small = small.and_then(|(width, height, rgb)| Picture::from_rgb8(width, height, &rgb));
    if let Some(small) = small {
        // Nothing depends on it, and the next checkpoint tries again.
        let _ = checkpoints.write_preview(&small);
    }
    Ok(())
}
