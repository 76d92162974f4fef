//! A run with its folder and its socket: the painter's events are written down
//! and sent to every attached client; clients' commands go to the painter.
//!
//! The painter never waits for any of it. A folder that cannot be written to is
//! reported once and tried again; a slow client misses steps.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, never, select, unbounded};
use impasto_core::checkpoint::{Checkpoint, RunStorage};
use impasto_core::job::{Job, check_depth, sizes_of};
use impasto_core::picture;
use impasto_core::preset::Preset;
use impasto_core::protocol::{Command, Event, Link, PreviewSlot, Step};
use impasto_core::text::display_path;
use impasto_runs::checkpoint::Checkpoints;
use impasto_runs::{
    Address, Folder, Metrics, Run, RunError, RunLock, RunLog, RunProgress, RunState, digest_at,
};

use crate::ipc::{Announce, Server, place};

/// The longest wait between two checks whether the run is over.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_millis(250);
/// How often the state is written while painting.
const STATE_INTERVAL: Duration = Duration::from_secs(2);
/// How long an engine that is done waits for its first front end.
const FIRST_CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
/// The most events that are taken in before commands are looked at again.
const MAX_AT_ONCE: usize = 64;
/// Events that wait for the process's own front end.
const EVENTS_WAITING: usize = 1024;
/// The most earlier steps that are sent of a resumed run.
const MAX_EARLIER_STEPS: usize = 2000;

/// When the host of a run that is over ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitWhen {
    AtOnce,
    /// When nobody looks at it any more.
    NoClients,
}

/// A run that is being painted by this process.
#[derive(Debug)]
pub struct HostedRun {
    /// The process's own end of the line. Dropping it does not end the run.
    pub link: Link,
    /// Ends after the run.
    pub thread: JoinHandle<()>,
}

/// Starts to paint a job on a thread of its own, keeping it in the storage: the
/// engine's `worker::start`.
pub type StartPainter<'a> =
    &'a dyn Fn(Job, Option<RunStorage>) -> io::Result<(Link, JoinHandle<()>)>;

/// Where the picture of a run is saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Where the run has it, unless somebody else's file lies there.
    #[default]
    Own,
    /// Where the run has it, whatever lies there.
    Replace,
    /// In this file, as an absolute path.
    At(PathBuf),
}

/// Why a run cannot be painted here.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("cannot start painting: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Checkpoint(String),
}

/// Paints a run whose lock this process holds: from its beginning, or from its
/// last checkpoint if there is one. `job` is the run's, where it is at hand.
///
/// # Errors
/// When the folder cannot be read or written, the picture cannot be saved as
/// `output` says, or the system gives no thread.
pub fn paint(
    run: Run,
    lock: RunLock,
    job: Option<Job>,
    output: &Output,
    ending: ExitWhen,
    start: StartPainter<'_>,
) -> Result<HostedRun, HostError> {
    let mut job = match job {
        Some(job) => job,
        None => run.job()?,
    };
    let folder = run.open_folder()?;
    let mut checkpoints = Checkpoints::open(&folder)
        .map_err(|cause| RunError::not_written(&run.checkpoint_folder(), cause))?;
    let mut from = if checkpoints.is_empty() {
        None
    } else {
        let sizes = |preset: &Preset| sizes_of(preset, &job.content.picture);
        Some(checkpoints.read(&sizes).map_err(HostError::Checkpoint)?)
    };
    let (place, preset) = match &mut from {
        Some(from) => (&mut from.position.output, &from.position.preset),
        None => (&mut job.output, &job.preset),
    };
    check_output(&run, place, output)?;
    if let Output::At(path) = output {
        place.clone_from(path);
    }
    check_depth(&preset.output, place).map_err(RunError::from)?;
    let mut state = RunProgress {
        output_sha256: run.state().output_sha256,
        ..RunProgress::new(0, 0)
    };
    let earlier = match &from {
        Some(Checkpoint { position, .. }) => {
            state.iterations = position.sizes.iter().map(|size| size.iterations).sum();
            state.scales = position.sizes.len() as u32;
            Some(position.iteration)
        }
        None => {
            let sizes = job.sizes();
            state.iterations = sizes.iter().map(|size| size.iterations).sum();
            state.scales = sizes.len() as u32;
            None
        }
    };
    let metrics = Metrics::open(&folder, Some(earlier.unwrap_or(0)))?;
    let log = RunLog::open(&folder)?;
    let (announce, unreachable) = announce(&folder);
    let server = Server::open(
        &place::sockets_for(run.folder())?,
        &run.called(),
        run.folder(),
        announce,
    )?;
    let notice = from.as_ref().and_then(|from| from.notice.clone());
    let notices = notice.into_iter().chain(unreachable.try_iter()).collect();
    let storage = RunStorage {
        checkpoints: Box::new(checkpoints),
        pictures: Box::new(folder.clone()),
        from,
    };
    let (painter, painter_thread) = start(job, Some(storage))?;
    let (commands, inbox) = unbounded();
    let (outbox, events) = bounded(EVENTS_WAITING);
    let mut host = Host {
        run,
        folder,
        lock,
        painter,
        server,
        inbox,
        outbox: Some(outbox),
        metrics,
        log,
        state,
        state_written: None,
        earlier,
        notices,
        iteration: 0,
        started: false,
        over: None,
        began: Instant::now(),
        met: false,
        failing: BTreeSet::new(),
        ending,
    };
    let thread = std::thread::Builder::new()
        .name("host".to_owned())
        .spawn(move || {
            host.run_loop();
            let Host {
                painter,
                server,
                lock,
                folder,
                ..
            } = host;
            // Without commands to wait for, the painter's thread ends.
            drop(painter);
            let _ = painter_thread.join();
            drop(server);
            Address::remove(&folder);
            drop(lock);
        })?;
    let link = Link {
        commands,
        events,
        preview: PreviewSlot::default(),
    };
    Ok(HostedRun { link, thread })
}

/// Looks whether the picture of a run can be saved.
///
/// # Errors
/// When it cannot, or would replace somebody else's file.
pub fn check_output(run: &Run, place: &Path, output: &Output) -> Result<(), RunError> {
    let place = match output {
        Output::At(path) => path,
        Output::Own if run.is_foreign(place) => {
            return Err(RunError::ForeignOutput {
                file: display_path(place),
            });
        }
        Output::Own | Output::Replace => place,
    };
    picture::check_destination(place).map_err(RunError::Output)?;
    Ok(())
}

/// Writes where the run can be reached into its folder, whenever that changes. Why
/// it cannot be is sent as a notice too.
fn announce(folder: &Folder) -> (Announce, Receiver<String>) {
    let (outbox, notices) = unbounded();
    let folder = folder.clone();
    let announce = move |socket: Result<&Path, &io::Error>| {
        let socket = socket.map_err(ToString::to_string);
        if let Err(why) = &socket {
            let _ = outbox.send(format!(
                "no terminal can attach to this run ({why}); painting continues, and a socket is \
                 tried again every few seconds"
            ));
        }
        // Without it the usual places are looked through.
        let _ = Address::here(socket).write(&folder);
    };
    (Box::new(announce), notices)
}

struct Host {
    run: Run,
    folder: Folder,
    lock: RunLock,
    painter: Link,
    server: Server,
    /// The process's own front end.
    inbox: Receiver<Command>,
    outbox: Option<Sender<Event>>,
    metrics: Metrics,
    log: RunLog,
    state: RunProgress,
    state_written: Option<Instant>,
    /// The iteration that a run resumes from.
    earlier: Option<u32>,
    /// Notices to send once the run has started.
    notices: Vec<String>,
    iteration: u32,
    /// Whether it came so far that resuming may help.
    started: bool,
    /// When the run came to its end.
    over: Option<Instant>,
    began: Instant,
    /// Whether any front end ever came over the socket.
    met: bool,
    /// What in the folder cannot be written to at present.
    failing: BTreeSet<&'static str>,
    ending: ExitWhen,
}

impl Host {
    fn run_loop(&mut self) {
        loop {
            // Waits for whichever channel is ready first; the rest is drained below.
            let mut first = None;
            select! {
                recv(self.painter.events) -> event => match event {
                    Ok(event) => first = Some(event),
                    Err(_) => return,
                },
                recv(self.inbox) -> command => match command {
                    Ok(command) => drop(self.painter.commands.send(command)),
                    // A disconnected channel is always ready.
                    Err(_) => self.inbox = never(),
                },
                recv(self.server.changes()) -> _ => {}
                recv(self.painter.preview.arrivals()) -> _ => {}
                default(HOUSEKEEPING_INTERVAL) => {}
            }
            // Before the events, which there may be many of.
            while let Some(command) = self.server.try_recv() {
                let _ = self.painter.commands.send(command);
            }
            if let Some(event) = first {
                self.handle_event(event);
                for _ in 0..MAX_AT_ONCE {
                    let Ok(event) = self.painter.events.try_recv() else {
                        break;
                    };
                    self.handle_event(event);
                }
                // At once: a checkpoint must not know more than the losses.
                let flushed = self.metrics.flush();
                self.report_write_error("losses", flushed.map_err(|error| error.to_string()));
            }
            if let Some(preview) = self.painter.preview.take() {
                self.server.preview(&preview);
            }
            if self.is_done() {
                return;
            }
        }
    }

    fn is_done(&mut self) -> bool {
        let alone = self.server.clients() == 0;
        self.met |= !alone;
        let waited = self.met || self.began.elapsed() >= FIRST_CLIENT_TIMEOUT;
        match self.ending {
            ExitWhen::AtOnce => self.over.is_some(),
            ExitWhen::NoClients => self.over.is_some() && alone && waited,
        }
    }

    /// Writes an event down and passes it on.
    fn handle_event(&mut self, mut event: Event) {
        if let Event::Failed { message, .. } = &mut event
            && self.started
            && self.run.has_checkpoint()
        {
            let called = self.run.called();
            *message += &format!("; resume it with `impasto resume {called}`");
        }
        let is_start = matches!(event, Event::Started { .. });
        self.started |= is_start;
        if let Event::Restarting { .. } = event {
            self.archive_losses();
        }
        self.record_event(&event);
        self.send_event(event);
        if is_start {
            self.send_earlier_steps();
            for message in std::mem::take(&mut self.notices) {
                let iteration = self.iteration;
                self.handle_event(Event::Notice { iteration, message });
            }
        }
    }

    fn send_event(&mut self, event: Event) {
        self.server.publish(&event);
        let step = matches!(event, Event::Step(_));
        let gone = match &self.outbox {
            // A reader that is behind misses steps.
            Some(outbox) if step => {
                matches!(outbox.try_send(event), Err(TrySendError::Disconnected(_)))
            }
            Some(outbox) => outbox.send(event).is_err(),
            None => false,
        };
        if gone {
            self.outbox = None;
        }
    }

    /// The losses from before the checkpoint, for those who draw them.
    fn send_earlier_steps(&mut self) {
        if self.earlier.take().is_none() {
            return;
        }
        let steps = self.run.metrics().unwrap_or_default();
        let every = steps.len().div_ceil(MAX_EARLIER_STEPS).max(1);
        let last = steps.len().saturating_sub(1);
        for (index, step) in steps.into_iter().enumerate() {
            if index % every == 0 || index == last {
                self.send_event(Event::Step(step));
            }
        }
    }

    fn record_event(&mut self, event: &Event) {
        let words = match event {
            Event::Preparing { what, .. } => Some(what.clone()),
            Event::Started { device, .. } => Some(format!("painting on {device}")),
            Event::Step(step) => {
                self.iteration = step.iteration;
                self.step(step);
                None
            }
            Event::Paused { iteration } => {
                self.state.state = RunState::Paused;
                Some(format!("paused after iteration {iteration}"))
            }
            Event::Resumed { .. } => {
                self.state.state = RunState::Painting;
                Some("resumed".to_owned())
            }
            Event::Changed { iteration, .. } => Some(format!(
                "the preset was changed after iteration {iteration}"
            )),
            Event::Notice { message, .. } => Some(message.clone()),
            Event::Memory(_) => None,
            Event::Restarting { .. } => Some("restarted with the same pictures".to_owned()),
            Event::Saved { output, .. } => {
                if self.state.output.as_ref() == Some(output) {
                    // The run's own picture, saved as it is shown now.
                    self.state.output_sha256 = digest_at(output).ok();
                    self.write_state();
                }
                Some(format!("saved {}", output.display()))
            }
            Event::Finished {
                output,
                stopped,
                saved,
                ..
            } => {
                if let Some(saved) = saved {
                    self.state.note_losses(saved);
                }
                let ended = if *stopped {
                    RunState::Stopped
                } else {
                    RunState::Finished
                };
                let words = if *stopped { "stopped" } else { "finished" };
                self.end(ended, output.as_deref(), None);
                Some(words.to_owned())
            }
            Event::Failed {
                message, output, ..
            } => {
                self.end(RunState::Failed, output.as_deref(), Some(message));
                Some(format!("failed: {message}"))
            }
        };
        if let Some(words) = words {
            let outcome = self.log.line(&words).map_err(|error| error.to_string());
            self.report_write_error("log", outcome);
        }
        if matches!(event, Event::Paused { .. } | Event::Resumed { .. }) {
            self.write_state();
        }
    }

    fn step(&mut self, step: &Step) {
        let appended = self.metrics.append(step);
        self.report_write_error("losses", appended.map_err(|error| error.to_string()));
        self.state.note(step);
        let due = self
            .state_written
            .is_none_or(|written| written.elapsed() >= STATE_INTERVAL);
        if due {
            self.write_state();
        }
    }

    fn write_state(&mut self) {
        self.state_written = Some(Instant::now());
        self.state.updated = impasto_runs::clock::now();
        let written = self.run.write_state(&self.state);
        self.report_write_error("state", written.map_err(|error| error.to_string()));
    }

    fn end(&mut self, state: RunState, output: Option<&Path>, message: Option<&str>) {
        self.over = Some(Instant::now());
        self.state.state = state;
        let absolute =
            |output: &Path| std::path::absolute(output).unwrap_or_else(|_| output.into());
        self.state.output = output.map(absolute);
        if let Some(output) = &self.state.output
            && !output.starts_with(self.run.folder())
        {
            self.state.output_sha256 = digest_at(output).ok();
        }
        self.state.message = message.map(str::to_owned);
        self.write_state();
        if self.iteration > 0 {
            let written = self.run.write_plots();
            self.report_write_error("chart", written.map_err(|error| error.to_string()));
        }
        if state == RunState::Finished {
            // Nothing is left to continue with.
            let _ = fs::remove_dir_all(self.run.checkpoint_folder());
        }
    }

    /// The losses of a run that is begun anew would mix with the new ones.
    fn archive_losses(&mut self) {
        self.over = None;
        self.state.state = RunState::Painting;
        (self.state.output, self.state.message) = (None, None);
        let _ = self.metrics.flush();
        let free = (1..1000).map(|number| format!("metrics-{number}.jsonl"));
        if let Some(aside) = { free }.find(|name| !self.folder.has(name)) {
            let _ = self.folder.rename("metrics.jsonl", &aside);
        }
        match Metrics::open(&self.folder, Some(0)) {
            Ok(metrics) => self.metrics = metrics,
            Err(error) => self.report_write_error("losses", Err(error.to_string())),
        }
    }

    /// Tells once that something in the folder cannot be written to; again only
    /// after it could be.
    fn report_write_error(&mut self, what: &'static str, outcome: Result<(), String>) {
        let Err(why) = outcome else {
            self.failing.remove(what);
            return;
        };
        if self.failing.insert(what) {
            let message = format!("{why}; painting continues and writing the {what} is retried");
            let iteration = self.iteration;
            self.send_event(Event::Notice { iteration, message });
        }
    }
}
