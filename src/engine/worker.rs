//! A thread around the painter: commands in, events out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvError, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::painter::Painter;
use super::{device, weights};
use crate::job::{Job, Recipe};
use crate::picture;
use crate::preset::Preset;
use crate::protocol::{Command, Event, Link, Preview, PreviewSlot};

/// How many events may wait for a slow reader before steps are left out.
const EVENTS_WAITING: usize = 1024;

/// Starts painting `job` on a thread of its own. The run ends by itself, by
/// [`Command::Stop`], or when the link's command side is dropped; in each case
/// the picture is saved first.
///
/// # Errors
/// When the system gives no thread.
pub fn start(job: Job) -> std::io::Result<(Link, JoinHandle<()>)> {
    let (commands, inbox) = channel();
    let (outbox, events) = sync_channel(EVENTS_WAITING);
    let preview = PreviewSlot::default();
    let slot = preview.clone();
    let thread = std::thread::Builder::new()
        .name("painter".to_owned())
        .spawn(move || {
            let panic_outbox = outbox.clone();
            let run = AssertUnwindSafe(|| Worker::paint(job, inbox, outbox, slot));
            if let Err(panic) = catch_unwind(run) {
                let words = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("no words");
                let message = format!("the painter stopped unexpectedly: {words}");
                let _ = panic_outbox.send(Event::Failed {
                    message,
                    output: None,
                });
            }
        })?;
    Ok((
        Link {
            commands,
            events,
            preview,
        },
        thread,
    ))
}

/// What the run should do next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Running,
    Paused,
    /// One iteration, then paused.
    Single,
    Stopping,
}

struct Worker {
    painter: Painter,
    inbox: Receiver<Command>,
    outbox: SyncSender<Event>,
    slot: PreviewSlot,
    mode: Mode,
    /// Time spent painting before `since`, pauses left out.
    painted: Duration,
    /// When painting went on; none while paused.
    since: Option<Instant>,
}

impl Worker {
    fn paint(job: Job, inbox: Receiver<Command>, outbox: SyncSender<Event>, slot: PreviewSlot) {
        let preparing = |what: &str| {
            let _ = outbox.send(Event::Preparing {
                what: what.to_owned(),
            });
        };
        preparing("reading the network's weights");
        let painter = match Painter::new(job) {
            Ok(painter) => painter,
            Err(error) => {
                let _ = outbox.send(Event::Failed {
                    message: error.to_string(),
                    output: None,
                });
                return;
            }
        };
        let mut worker = Self {
            painter,
            inbox,
            outbox,
            slot,
            mode: Mode::Running,
            painted: Duration::ZERO,
            since: None,
        };
        let result = worker.run();
        worker.finish(result);
    }

    fn run(&mut self) -> super::Result<()> {
        self.tell(Event::Started {
            job: Box::new(self.recipe()),
            output: self.painter.job().output.clone(),
            device: self.painter.device_name(),
            sizes: self.painter.sizes().to_vec(),
        });
        self.since = Some(Instant::now());
        loop {
            self.obey()?;
            if self.mode == Mode::Stopping || self.painter.is_finished() {
                return Ok(());
            }
            self.prepare_scale()?;
            let progress = self.painter.step()?;
            let iteration = self.painter.iteration();
            if let Some(mut step) = progress.step {
                step.elapsed = self.elapsed().as_secs_f64();
                // A reader that is behind misses steps; it never holds the
                // painter up.
                let _ = self.outbox.try_send(Event::Step(step));
            }
            if let Some(message) = progress.notice {
                self.tell(Event::Notice { iteration, message });
            }
            if self.mode == Mode::Single {
                self.pause();
            }
        }
    }

    fn prepare_scale(&mut self) -> super::Result<()> {
        let Some((scale, size)) = self.painter.scale_due() else {
            return Ok(());
        };
        let of = self.painter.sizes().len();
        self.tell(Event::Preparing {
            what: format!(
                "scale {} of {of}: {}×{} pixels",
                scale + 1,
                size.width,
                size.height
            ),
        });
        self.painter.begin_scale()
    }

    /// Carries out every command that waits; while paused, waits for more.
    fn obey(&mut self) -> super::Result<()> {
        loop {
            let command = if self.mode == Mode::Paused {
                self.inbox
                    .recv()
                    .map_err(|RecvError| TryRecvError::Disconnected)
            } else {
                self.inbox.try_recv()
            };
            match command {
                Ok(command) => self.carry_out(command)?,
                Err(TryRecvError::Empty) => return Ok(()),
                // Nobody is left to stop the run or to see it.
                Err(TryRecvError::Disconnected) => self.mode = Mode::Stopping,
            }
            if self.mode == Mode::Stopping {
                return Ok(());
            }
        }
    }

    fn carry_out(&mut self, command: Command) -> super::Result<()> {
        let iteration = self.painter.iteration();
        match command {
            Command::Pause if self.mode == Mode::Paused => {}
            Command::Pause => self.pause(),
            Command::Resume | Command::Step => {
                if self.mode == Mode::Paused {
                    self.since = Some(Instant::now());
                    self.tell(Event::Resumed { iteration });
                }
                let single = matches!(command, Command::Step);
                self.mode = if single { Mode::Single } else { Mode::Running };
            }
            Command::Stop => self.mode = Mode::Stopping,
            Command::Change(preset) => self.change(*preset),
            Command::Preview { width, height } => {
                if let Some((width, height, rgb)) = self.painter.preview(width, height)? {
                    self.slot.put(Preview {
                        iteration,
                        width,
                        height,
                        rgb,
                    });
                }
            }
            Command::Snapshot { output } => {
                let event = match self.save(&output) {
                    Ok(()) => Event::Saved { iteration, output },
                    Err(message) => Event::Notice { iteration, message },
                };
                self.tell(event);
            }
        }
        Ok(())
    }

    fn pause(&mut self) {
        self.painted = self.elapsed();
        self.since = None;
        self.mode = Mode::Paused;
        self.tell(Event::Paused {
            iteration: self.painter.iteration(),
        });
    }

    fn change(&mut self, preset: Preset) {
        let iteration = self.painter.iteration();
        match self.painter.change(preset) {
            Ok(waiting) => {
                let preset = Box::new(self.painter.job().preset.clone());
                self.tell(Event::Changed { iteration, preset });
                if !waiting.is_empty() {
                    let keys = waiting.join(", ");
                    let message = format!("a new {keys} takes effect only in a new run");
                    self.tell(Event::Notice { iteration, message });
                }
            }
            Err(error) => {
                let message = format!("the change was not made: {error}");
                self.tell(Event::Notice { iteration, message });
            }
        }
    }

    /// Saves the picture and tells how it ended.
    fn finish(&mut self, result: super::Result<()>) {
        let elapsed = self.elapsed().as_secs_f64();
        // What is not painted yet must not take the place of an older picture.
        let saved = match self.painter.iteration() {
            0 => (None, None),
            _ => self.save_or_rescue(),
        };
        let event = match (result, saved) {
            (Ok(()), (output, None)) => Event::Finished {
                output,
                iterations: self.painter.iteration(),
                elapsed,
                stopped: self.mode == Mode::Stopping,
            },
            (Ok(()), (output, Some(message))) => Event::Failed { message, output },
            (Err(error), (output, problem)) => {
                let message = match problem {
                    Some(problem) => format!("{error}; also, {problem}"),
                    None => error.to_string(),
                };
                Event::Failed { message, output }
            }
        };
        self.tell(event);
    }

    /// Saves the picture where it should go or, if that fails, where there is
    /// room. Returns where it is and what went wrong.
    fn save_or_rescue(&self) -> (Option<PathBuf>, Option<String>) {
        let output = &self.painter.job().output;
        let problem = match self.save(output) {
            Ok(()) => return (Some(output.clone()), None),
            Err(problem) => problem,
        };
        let rescue = std::env::temp_dir().join(format!("impasto-{}.png", std::process::id()));
        let saved = self.save(&rescue).is_ok();
        (saved.then_some(rescue), Some(problem))
    }

    fn save(&self, output: &Path) -> Result<(), String> {
        let picture = self.painter.picture().map_err(|error| error.to_string())?;
        let picture = picture.ok_or("there is no picture to save yet")?;
        let recipe = serde_json::to_string(&self.recipe()).map_err(|error| error.to_string())?;
        picture::save(&picture, output, Some(&recipe)).map_err(|error| error.to_string())
    }

    fn recipe(&self) -> Recipe {
        let job = self.painter.job();
        let weights = weights::sha256(job.preset.network);
        job.recipe(
            self.painter.device_name(),
            device::libtorch_version(),
            weights,
        )
    }

    /// Time spent painting.
    fn elapsed(&self) -> Duration {
        self.painted + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn tell(&self, event: Event) {
        // A front end that went away is no reason to stop painting here: the
        // closed command channel says so too, and is answered by saving.
        let _ = self.outbox.send(event);
    }
}
