//! A thread around the painter: commands in, events out.

mod checkpoints;
mod finisher;
mod reports;
mod restart;
mod step_throttle;

use std::cell::Cell;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{
    Receiver, RecvError, RecvTimeoutError, Sender, TryRecvError, bounded, unbounded,
};
use impasto_core::checkpoint::{Checkpoint, RunStorage};
use impasto_core::job::{Job, Painted, Recipe};
use impasto_core::picture::{self, Picture};
use impasto_core::preset::{OutputSettings, Preset};
use impasto_core::protocol::{Command, Event, FIRST_STEPS, Link, PreviewSlot, Step};
use impasto_core::timing;

use super::device;
use super::painter::Painter;
use super::preview::PreviewCopy;
use checkpoints::CheckpointWriter;
use finisher::Finisher;
use step_throttle::StepThrottle;

/// How many events may wait for a slow reader before steps are left out.
const EVENTS_WAITING: usize = 1024;

/// How long a picture that can be saved nowhere waits in memory, and how often
/// saving is tried.
const TIMEOUT: Duration = Duration::from_secs(3600);
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// The steps before each scale but the first.
const SCALE_STEPS: u32 = 2;

/// Starts painting `job` on a thread of its own. A run ends by itself, by
/// [`Command::Stop`], or when the link's command side is dropped; in each case
/// the picture is saved first. Then the thread waits for
/// [`Command::Restart`], until the command side is dropped.
///
/// With `storage`, the run is kept on the disk, and resumes from the checkpoint
/// in there, if any.
///
/// # Errors
/// When the system gives no thread.
pub fn start(job: Job, storage: Option<RunStorage>) -> std::io::Result<(Link, JoinHandle<()>)> {
    start_with(job, storage, None)
}

/// As [`start`], with so many threads on the CPU: for several painters side by side.
///
/// # Errors
/// As [`start`].
pub fn start_with(
    job: Job,
    storage: Option<RunStorage>,
    threads: Option<u32>,
) -> std::io::Result<(Link, JoinHandle<()>)> {
    let (commands, inbox) = unbounded();
    let (outbox, events) = bounded(EVENTS_WAITING);
    let preview = PreviewSlot::default();
    let channels = Channels {
        inbox,
        outbox,
        finisher: Finisher::new(preview.clone()),
    };
    let (mut writer, from) = match storage.map(CheckpointWriter::start).transpose()? {
        Some((writer, from)) => (Some(writer), from),
        None => (None, None),
    };
    let thread = std::thread::Builder::new()
        .name("painter".to_owned())
        .spawn(move || {
            if let Some(threads) = threads {
                // Of this thread's team; OpenMP keeps the number for each thread.
                tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
            }
            let runs = AssertUnwindSafe(|| paint_all(job, &channels, writer.as_mut(), from));
            if let Err(panic) = catch_unwind(runs) {
                let words = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("no words");
                let message = format!("the painter stopped unexpectedly: {words}");
                channels.send(Event::Failed {
                    message,
                    output: None,
                    refused: false,
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

/// Paints one run after another, as long as there are restarts.
fn paint_all(
    job: Job,
    channels: &Channels,
    mut writer: Option<&mut CheckpointWriter>,
    mut from: Option<Checkpoint>,
) {
    let mut next = Some(job);
    while let Some(job) = next.take() {
        let mut steps = Steps::new(channels, FIRST_STEPS);
        let from = from.take();
        let output = job.output.clone();
        match begin(job, from.as_ref(), &mut |what| steps.report(what)) {
            Ok(painter) => {
                let mut worker = Worker::new(painter, channels, steps, writer.as_deref_mut());
                if let Some(Checkpoint { position, .. }) = &from {
                    worker.painted =
                        Duration::try_from_secs_f64(position.elapsed).unwrap_or_default();
                    worker.reported = worker.painted;
                    worker.steps = None;
                }
                next = worker.paint();
            }
            Err(error) => {
                picture::release(&output);
                channels.send(Event::Failed {
                    message: error.to_string(),
                    output: None,
                    refused: error.is_usage_error(),
                });
            }
        }
    }
}

/// A painter at the beginning of its job, or where a checkpoint says.
fn begin(
    mut job: Job,
    from: Option<&Checkpoint>,
    report: &mut dyn FnMut(&str),
) -> super::Result<Painter> {
    let Some(Checkpoint {
        position, contents, ..
    }) = from
    else {
        return Painter::new(job, report);
    };
    job.preset = position.preset.clone();
    job.output.clone_from(&position.output);
    let mut painter = Painter::new(job, report)?;
    painter.restore(position, contents.clone(), report)?;
    Ok(painter)
}

/// The worker's ends of the channels to a front end.
struct Channels {
    inbox: Receiver<Command>,
    outbox: Sender<Event>,
    finisher: Finisher,
}

impl Channels {
    fn send(&self, event: Event) {
        // A front end that went away is no reason to stop painting here: the
        // closed command channel says so too, and is answered by saving.
        let _ = self.outbox.send(event);
    }
}

/// Counts the steps of a preparation while telling them.
struct Steps<'a> {
    channels: &'a Channels,
    done: u32,
    of: u32,
}

impl<'a> Steps<'a> {
    fn new(channels: &'a Channels, of: u32) -> Self {
        Self {
            channels,
            done: 0,
            of,
        }
    }

    fn report(&mut self, what: &str) {
        self.done += 1;
        self.channels.send(Event::Preparing {
            what: what.to_owned(),
            step: self.done,
            of: self.of.max(self.done),
        });
    }
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

struct Worker<'a> {
    painter: Painter,
    channels: &'a Channels,
    /// Keeps the run on the disk.
    writer: Option<&'a mut CheckpointWriter>,
    /// The preparation that is under way; none between two scales.
    steps: Option<Steps<'a>>,
    mode: Mode,
    /// The run to begin after this one, and where this one's picture is.
    next: Option<(Job, Option<PathBuf>)>,
    /// Time spent painting before `since`, pauses left out.
    painted: Duration,
    /// When painting went on; none while paused.
    since: Option<Instant>,
    /// When the memory in use was last reported.
    memory_reported: Option<Instant>,
    /// The painting time of the latest reported step.
    reported: Duration,
    /// Which steps are sent where there are more than anyone reads.
    throttle: StepThrottle,
    /// Where the picture of a run that is over was saved.
    saved: Option<PathBuf>,
    /// Whether that file shows the painting finished or in other colours, and the new run
    /// must not begin with it.
    presented: Cell<bool>,
    /// The preview on its way, and after which iteration it was asked for.
    preview: Option<(u32, PreviewCopy)>,
}

impl<'a> Worker<'a> {
    fn new(
        painter: Painter,
        channels: &'a Channels,
        steps: Steps<'a>,
        writer: Option<&'a mut CheckpointWriter>,
    ) -> Self {
        Self {
            painter,
            channels,
            writer,
            steps: Some(steps),
            mode: Mode::Running,
            next: None,
            painted: Duration::ZERO,
            since: None,
            memory_reported: None,
            reported: Duration::ZERO,
            throttle: StepThrottle::default(),
            saved: None,
            presented: Cell::new(false),
            preview: None,
        }
    }

    /// Paints, and gives the run that is to follow.
    fn paint(mut self) -> Option<Job> {
        let result = self.run();
        if self.next.is_none() {
            self.finish(result);
            self.await_restart();
        }
        let (job, output) = self.next?;
        self.channels.send(Event::Restarting { output });
        Some(job)
    }

    fn run(&mut self) -> super::Result<()> {
        self.channels.send(Event::Started {
            job: Box::new(self.recipe()),
            output: self.painter.job().output.clone(),
            device: self.painter.device_name(),
            sizes: self.painter.sizes().to_vec(),
        });
        self.since = Some(Instant::now());
        loop {
            self.handle_commands()?;
            if self.mode == Mode::Stopping || self.painter.is_finished() {
                self.drain()?;
                return if self.next.is_none() && !self.painter.is_finished() {
                    self.write_checkpoint_now()
                } else {
                    Ok(())
                };
            }
            self.prepare_scale()?;
            let progress = self.painter.step()?;
            self.report_progress(progress)?;
            self.show_preview(false)?;
            self.report_memory();
            self.keep()?;
            if self.mode == Mode::Single {
                self.pause()?;
            }
        }
    }

    /// After the end of a run: shows its picture to whoever asks, finished as they wish,
    /// until a new run is asked for or nobody is left.
    fn await_restart(&mut self) {
        while self.next.is_none() {
            if let Err(error) = self.show_preview(true) {
                let iteration = self.painter.iteration();
                let message = error.to_string();
                self.channels.send(Event::Notice { iteration, message });
            }
            match self.channels.inbox.recv() {
                Ok(
                    command @ (Command::Restart { .. }
                    | Command::Preview { .. }
                    | Command::Snapshot { .. }),
                ) => {
                    if let Err(error) = self.execute(command) {
                        let iteration = self.painter.iteration();
                        let message = error.to_string();
                        self.channels.send(Event::Notice { iteration, message });
                    }
                }
                Ok(Command::Change(preset)) => {
                    if let Err(error) = self.painter.present_as(&preset) {
                        let iteration = self.painter.iteration();
                        let message = format!("the change was not made: {error}");
                        self.channels.send(Event::Notice { iteration, message });
                    }
                }
                Ok(_) => {}
                Err(RecvError) => return,
            }
        }
    }

    fn prepare_scale(&mut self) -> super::Result<()> {
        let Some((scale, size)) = self.painter.scale_due() else {
            return Ok(());
        };
        self.drain()?;
        let of = self.painter.sizes().len();
        let mut steps = self
            .steps
            .take()
            .unwrap_or_else(|| Steps::new(self.channels, SCALE_STEPS));
        let place = format!(
            "at scale {} of {of}, {}×{} pixels",
            scale + 1,
            size.width,
            size.height
        );
        self.painter
            .begin_scale(&mut |what| steps.report(&format!("{what} {place}")))?;
        self.reported = self.elapsed();
        Ok(())
    }

    /// Carries out every command that waits; while paused, waits for more.
    fn handle_commands(&mut self) -> super::Result<()> {
        loop {
            let command = if self.mode == Mode::Paused {
                self.show_preview(true)?;
                self.channels
                    .inbox
                    .recv()
                    .map_err(|RecvError| TryRecvError::Disconnected)
            } else {
                self.channels.inbox.try_recv()
            };
            match command {
                Ok(command) => self.execute(command)?,
                Err(TryRecvError::Empty) => return Ok(()),
                // Nobody is left to stop the run or to see it.
                Err(TryRecvError::Disconnected) => self.mode = Mode::Stopping,
            }
            if self.mode == Mode::Stopping {
                return Ok(());
            }
        }
    }

    fn execute(&mut self, command: Command) -> super::Result<()> {
        let iteration = self.painter.iteration();
        match command {
            Command::Pause if self.mode == Mode::Paused => {}
            Command::Pause => self.pause()?,
            Command::Resume | Command::Step => {
                if self.mode == Mode::Paused {
                    self.since = Some(Instant::now());
                    self.channels.send(Event::Resumed { iteration });
                }
                let single = matches!(command, Command::Step);
                self.mode = if single { Mode::Single } else { Mode::Running };
            }
            Command::Stop => self.mode = Mode::Stopping,
            Command::Change(preset) => self.change(*preset)?,
            Command::Preview { width, height } => {
                let preview = self.painter.preview(width, height)?;
                self.preview = preview.map(|copy| (iteration, copy));
                self.show_preview(false)?;
            }
            Command::Restart {
                preset,
                from,
                output,
            } => {
                self.drain()?;
                match self.restarted(*preset, from, output.clone()) {
                    Ok(next) => {
                        self.next = Some(next);
                        self.mode = Mode::Stopping;
                    }
                    Err(why) => {
                        picture::release(&output);
                        let message = format!("no new run was started: {why}");
                        self.channels.send(Event::Notice { iteration, message });
                    }
                }
            }
            Command::Snapshot { output } => {
                self.drain()?;
                let saved = match &self.writer {
                    Some(writer) if output.as_os_str().is_empty() => {
                        let snapshot = self.picture_and_recipe();
                        snapshot.and_then(|(picture, recipe)| {
                            writer.save_snapshot(iteration, &picture, &recipe, self.settings())
                        })
                    }
                    // The finished picture again, as it is shown now.
                    _ if output == self.painter.job().output => match self.save_in_place() {
                        (Some(saved), None) => Ok(saved),
                        (_, problem) => Err(problem.unwrap_or_default()),
                    },
                    _ => self.save(&output).map(|()| output.clone()),
                };
                let event = match saved {
                    Ok(output) => Event::Saved { iteration, output },
                    Err(message) => {
                        picture::release(&output);
                        Event::Notice { iteration, message }
                    }
                };
                self.channels.send(event);
            }
        }
        Ok(())
    }

    fn pause(&mut self) -> super::Result<()> {
        self.drain()?;
        self.painted = self.elapsed();
        self.since = None;
        self.mode = Mode::Paused;
        self.channels.send(Event::Paused {
            iteration: self.painter.iteration(),
        });
        // A pause may be long.
        self.write_checkpoint_now()
    }

    fn change(&mut self, preset: Preset) -> super::Result<()> {
        self.drain()?;
        let iteration = self.painter.iteration();
        let mut steps = Steps::new(self.channels, SCALE_STEPS);
        match self.painter.change(preset, &mut |what| steps.report(what)) {
            Ok(waiting) => {
                let preset = Box::new(self.painter.job().preset.clone());
                self.throttle = StepThrottle::default();
                self.channels.send(Event::Changed { iteration, preset });
                if !waiting.is_empty() {
                    let keys = waiting.join(", ");
                    let message = format!("a new {keys} takes effect only in a new run");
                    self.channels.send(Event::Notice { iteration, message });
                }
            }
            Err(error) => {
                let preset = Box::new(self.painter.job().preset.clone());
                self.channels.send(Event::Changed { iteration, preset });
                let message = format!("the change was not made: {error}");
                self.channels.send(Event::Notice { iteration, message });
            }
        }
        Ok(())
    }

    /// Saves the picture and reports how the run ended.
    fn finish(&mut self, result: super::Result<()>) {
        let elapsed = self.elapsed().as_secs_f64();
        // What is not painted yet must not take the place of an older picture.
        let saved = match self.painter.iteration() {
            0 => (None, None),
            _ => self.save_with_retries(result.is_ok()),
        };
        picture::release(&self.painter.job().output);
        timing::mark("the picture is saved");
        self.saved.clone_from(&saved.0);
        let event = match (result, saved) {
            (Ok(()), (output, None)) => Event::Finished {
                output,
                iterations: self.painter.iteration(),
                elapsed,
                stopped: self.mode == Mode::Stopping,
                saved: self.saved_step().map(Box::new),
            },
            (Ok(()), (output, Some(message))) => Event::Failed {
                message,
                output,
                refused: false,
            },
            (Err(error), (output, problem)) => {
                let message = match problem {
                    Some(problem) => format!("{error}; also, {problem}"),
                    None => error.to_string(),
                };
                Event::Failed {
                    message,
                    output,
                    refused: error.is_usage_error(),
                }
            }
        };
        self.channels.send(event);
    }

    /// The step of the picture that is saved.
    fn saved_step(&self) -> Option<Step> {
        let step = self.painter.saved_step();
        step.unwrap_or_else(|_| self.painter.best_step().cloned())
    }

    /// Saves the picture. Where it can be saved nowhere, a run that is kept on
    /// the disk and that `went_well` waits for room: the picture is still in
    /// memory.
    fn save_with_retries(&mut self, went_well: bool) -> (Option<PathBuf>, Option<String>) {
        let began = Instant::now();
        let mut reported = false;
        loop {
            let problem = match self.save_in_place() {
                (None, Some(problem)) if self.writer.is_none() || !went_well => {
                    return self.rescue(problem);
                }
                (None, Some(problem)) => problem,
                saved => return saved,
            };
            if began.elapsed() > TIMEOUT {
                return self.rescue(problem);
            }
            if !std::mem::replace(&mut reported, true) {
                let words = problem.trim_end_matches('.');
                self.note(Some(format!(
                    "{words}; the picture is safe in memory, and saving it is tried again every \
                     few seconds for an hour: make room, or stop to give it up"
                )));
            }
            match self.channels.inbox.recv_timeout(RETRY_INTERVAL) {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    return self.rescue(problem);
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Saves the picture where it should go, and in the run's folder where
    /// there is one. Returns where it is and what went wrong.
    fn save_in_place(&self) -> (Option<PathBuf>, Option<String>) {
        let output = &self.painter.job().output;
        let (picture, recipe) = match self.picture_and_recipe() {
            Ok(both) => both,
            Err(problem) => return (None, Some(problem)),
        };
        self.presented.set(self.painter.is_presented());
        let writer = self.writer.as_ref();
        let kept =
            writer.and_then(|writer| writer.save_result(&picture, &recipe, self.settings()).ok());
        match picture::save_with(&picture, output, Some(&recipe), self.settings()) {
            Ok(()) => (Some(output.clone()), None),
            Err(error) => (kept, Some(error.to_string())),
        }
    }

    /// Saves the picture in the temporary folder: all that is left to try. Others
    /// can write there, so it goes into a new folder of an unpredictable name that
    /// only this user can enter.
    fn rescue(&self, problem: String) -> (Option<PathBuf>, Option<String>) {
        let mut folder = tempfile::Builder::new();
        let folder = folder
            .prefix("impasto-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir();
        let saved = folder.ok().and_then(|folder| {
            let picture = folder.path().join("picture.png");
            self.save(&picture).ok()?;
            let _ = folder.keep();
            Some(picture)
        });
        (saved, Some(problem))
    }

    fn save(&self, output: &Path) -> Result<(), String> {
        let (picture, recipe) = self.picture_and_recipe()?;
        picture::save_with(&picture, output, Some(&recipe), self.settings())
            .map_err(|error| error.to_string())
    }

    /// How pictures are written.
    fn settings(&self) -> &OutputSettings {
        &self.painter.job().preset.output
    }

    fn picture_and_recipe(&self) -> Result<(Picture, String), String> {
        let picture = self.painter.picture().map_err(|error| error.to_string())?;
        let picture = picture.ok_or("there is no picture to save yet")?;
        let recipe = serde_json::to_string(&self.recipe()).map_err(|error| error.to_string())?;
        Ok((picture, recipe))
    }

    fn recipe(&self) -> Recipe {
        let job = self.painter.job();
        let provenance = self.painter.provenance();
        job.recipe(Painted {
            device: self.painter.device_name(),
            precision: self.painter.precision().to_string(),
            libtorch: device::libtorch_version(),
            weights: provenance.sha256.clone(),
            convention: provenance.convention.name().to_owned(),
        })
    }

    /// Time spent painting.
    fn elapsed(&self) -> Duration {
        self.painted + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}
