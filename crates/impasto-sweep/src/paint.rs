//! Paints the cells of a sweep: a thread for each worker, one for the index.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use impasto_core::checkpoint::RunStorage;
use impasto_core::job::{Compute, Job, PictureFile};
use impasto_core::picture::{Picture, PictureError, Source};
use impasto_core::protocol::{Command, Event, Link};
use impasto_runs::{NewRun, Run};
use impasto_service::host::{self, ExitWhen, HostError, Output};
use serde_json::Map;

use super::claims::{Claimed, Claims};
use super::definition::{Cell, Value};
use super::error::{Result, SweepError};
use super::folder::SweepFolder;
use super::index::{CellEntry, CellState, Index};

/// How often a stop is looked for while a cell is being painted.
const LOOK: Duration = Duration::from_millis(100);
/// How long a worker waits before it looks again at cells that others paint, and at a
/// full disk.
const WAIT: Duration = Duration::from_secs(2);
/// The index is written at most so often, and at most this share of the time.
const INDEX_INTERVAL: Duration = Duration::from_secs(2);
const INDEX_SHARE: u32 = 20;
/// Decoded pictures are kept up to so many values, 4 bytes each.
const KEPT_VALUES: usize = 256 << 20;

/// Starts to paint a job: the engine's `worker::start` for the cells of one worker.
pub type Start =
    Arc<dyn Fn(Job, Option<RunStorage>) -> std::io::Result<(Link, JoinHandle<()>)> + Send + Sync>;
/// Scores a finished picture.
pub type Score = Arc<dyn Fn(&Picture, &Job) -> Option<Map<String, Value>> + Send + Sync>;

/// What paints one cell after another.
#[derive(Clone)]
pub struct Worker {
    pub compute: Compute,
    pub start: Start,
}

/// What happens in a sweep. As JSON, `event` names the kind.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum SweepEvent {
    /// A cell is begun, or resumed.
    CellStarted { number: usize, cell: String },
    /// An iteration of a cell was done.
    CellStep {
        number: usize,
        iteration: u32,
        iterations: u32,
        total: f64,
    },
    /// A cell is done, failed or was stopped.
    CellEnded(Box<CellEntry>),
    /// Something the user should know; `number` names the cell that it is about.
    Notice {
        #[serde(skip_serializing_if = "Option::is_none")]
        number: Option<usize>,
        message: String,
    },
    /// All that is left is being painted by other processes.
    Waiting { cells: usize, message: String },
    /// Nothing is left to do here.
    Finished(Finished),
}

/// How a sweep ended, of the cells that were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Finished {
    pub done: usize,
    pub failed: usize,
    /// Stopped, interrupted or never begun.
    pub left: usize,
}

/// A sweep that is being painted by this process.
#[derive(Debug)]
pub struct Painting {
    pub events: Receiver<SweepEvent>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Painting {
    /// Begins to paint the cells of these numbers, which are in order, a thread for each
    /// worker.
    ///
    /// # Errors
    /// When the folder cannot be read or written, or the system gives no thread.
    pub fn start(
        folder: SweepFolder,
        numbers: Vec<usize>,
        workers: Vec<Worker>,
        score: Option<Score>,
    ) -> Result<Self> {
        let unwritten = |cause| SweepError::not_written(folder.path(), cause);
        folder.clean();
        let index = folder.index()?;
        // What is done already is not looked at again.
        let open = |number: &usize| {
            let cell = index.cells.get(*number);
            cell.is_some_and(|cell| cell.state != CellState::Done)
        };
        let is_done = |number: usize| !open(&number);
        let claims = folder.claims()?;
        claims.clean(is_done);
        let (outbox, inbox) = unbounded();
        let (events_out, events) = unbounded();
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared {
            claims,
            queue: Mutex::new(Queue {
                ready: numbers.iter().copied().filter(open).collect(),
                elsewhere: VecDeque::new(),
                busy: 0,
            }),
            pictures: Mutex::default(),
            score,
            events: outbox,
            stop: stop.clone(),
            folder: folder.clone(),
        });
        let mut threads = Vec::new();
        for (number, worker) in workers.into_iter().enumerate() {
            let shared = shared.clone();
            let thread = std::thread::Builder::new()
                .name(format!("cells-{number}"))
                .spawn(move || shared.work(&worker))
                .map_err(unwritten)?;
            threads.push(thread);
        }
        let keeper = IndexKeeper {
            folder: folder.clone(),
            index,
            numbers,
            workers: Arc::downgrade(&shared),
            looked: Duration::ZERO,
            written: Instant::now(),
            pause: Duration::ZERO,
            failing: false,
        };
        drop(shared);
        let thread = std::thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || keeper.keep(&inbox, &events_out))
            .map_err(unwritten)?;
        threads.push(thread);
        Ok(Self {
            events,
            stop,
            threads,
        })
    }

    /// Stops every cell in hand after its iteration, with a checkpoint, and begins no
    /// other.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits for the end.
    pub fn join(self) {
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// What the workers share.
struct Shared {
    folder: SweepFolder,
    claims: Claims,
    queue: Mutex<Queue>,
    /// Decoded pictures, the one used last at the end.
    pictures: Mutex<Vec<(PathBuf, Source)>>,
    score: Option<Score>,
    events: Sender<SweepEvent>,
    stop: Arc<AtomicBool>,
}

/// Cells that are left.
struct Queue {
    ready: VecDeque<usize>,
    /// Those that other processes paint.
    elsewhere: VecDeque<usize>,
    /// Workers that may still give one back.
    busy: usize,
}

/// What became of a cell.
enum Outcome {
    /// It is not to be looked at again.
    Over,
    /// Another process has it.
    Elsewhere(String),
    /// There is no room on the disk.
    DiskFull(String),
}

impl Shared {
    fn send(&self, event: SweepEvent) {
        let _ = self.events.send(event);
    }

    fn note(&self, number: Option<usize>, message: String) {
        self.send(SweepEvent::Notice { number, message });
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps, unless it is to stop.
    fn wait(&self) {
        let began = Instant::now();
        while began.elapsed() < WAIT && !self.is_stopping() {
            std::thread::sleep(LOOK);
        }
    }

    fn work(&self, worker: &Worker) {
        let mut waiting = false;
        let mut full = false;
        while !self.is_stopping() {
            let next = {
                let mut queue = self.queue();
                let next = queue.ready.pop_front();
                queue.busy += usize::from(next.is_some());
                next
            };
            let Some(number) = next else {
                let (left, busy) = {
                    let mut queue = self.queue();
                    let left = queue.elsewhere.len();
                    let again = std::mem::take(&mut queue.elsewhere);
                    queue.ready.extend(again);
                    (left, queue.busy)
                };
                if left == 0 && busy == 0 {
                    return;
                }
                self.wait();
                continue;
            };
            let outcome = self.paint(worker, number);
            let mut queue = self.queue();
            queue.busy -= 1;
            match outcome {
                Outcome::Over => (waiting, full) = (false, false),
                Outcome::Elsewhere(owner) => {
                    queue.elsewhere.push_back(number);
                    let alone = queue.ready.is_empty() && queue.busy == 0;
                    let cells = queue.elsewhere.len();
                    drop(queue);
                    if alone && !std::mem::replace(&mut waiting, true) {
                        let message = format!(
                            "{cells} cells are being painted by other processes, such as {owner}; \
                             waiting for them"
                        );
                        self.send(SweepEvent::Waiting { cells, message });
                    }
                }
                Outcome::DiskFull(message) => {
                    queue.ready.push_front(number);
                    drop(queue);
                    if !std::mem::replace(&mut full, true) {
                        let message = format!("{message}; the sweep waits for room");
                        self.note(Some(number), message);
                    }
                    self.wait();
                }
            }
        }
    }

    /// Paints a cell if nobody else does.
    fn paint(&self, worker: &Worker, number: usize) -> Outcome {
        let guard = match self.claims.claim(number) {
            Ok(Claimed::Yes(guard)) => guard,
            Ok(Claimed::By(owner)) => {
                return Outcome::Elsewhere(format!("process {} on {}", owner.pid, owner.host));
            }
            Err(cause) => {
                let error = SweepError::not_written(self.folder.path(), cause);
                return self.failed(number, &error);
            }
        };
        // Somebody may have done it meanwhile.
        match self.folder.entry(number) {
            Ok(entry) if entry.state == CellState::Done => {
                self.send(SweepEvent::CellEnded(Box::new(entry)));
                return Outcome::Over;
            }
            Ok(entry) if matches!(entry.state, CellState::Painting | CellState::Paused) => {
                return Outcome::Elsewhere("a process that paints this cell alone".to_owned());
            }
            Ok(_) => {}
            Err(error) => return self.failed(number, &error),
        }
        let lost = || guard.is_lost();
        match self.paint_claimed(worker, number, &lost) {
            Ok(()) => {
                if let Ok(entry) = self.folder.entry(number) {
                    self.send(SweepEvent::CellEnded(Box::new(entry)));
                }
                Outcome::Over
            }
            Err(error) => self.failed(number, &error),
        }
    }

    /// A cell that could not be painted.
    fn failed(&self, number: usize, error: &SweepError) -> Outcome {
        if error.is_disk_full() {
            return Outcome::DiskFull(error.to_string());
        }
        let message = error.to_string();
        let written = self.folder.note_failure(number, Some(&message));
        if let Err(error) = written {
            self.note(Some(number), error.to_string());
        }
        match self.folder.entry(number) {
            Ok(entry) => {
                let entry = CellEntry {
                    state: CellState::Failed,
                    message: Some(message),
                    ..entry
                };
                self.send(SweepEvent::CellEnded(Box::new(entry)));
            }
            Err(_) => self.note(Some(number), message),
        }
        Outcome::Over
    }

    fn paint_claimed(&self, worker: &Worker, number: usize, lost: &dyn Fn() -> bool) -> Result<()> {
        let cell = self.folder.cell(number)?;
        self.send(SweepEvent::CellStarted {
            number,
            cell: cell.words(),
        });
        self.folder.note_failure(number, None)?;
        let (run, job) = match self.folder.run(number) {
            Ok(Some(run)) => (run, None),
            // What cannot be read was left behind by a broken disk: the cell is begun anew.
            Err(error) => {
                self.note(Some(number), format!("{error}; the cell is painted anew"));
                self.folder.reset(number)?;
                self.begin(worker, &cell)?
            }
            Ok(None) => self.begin(worker, &cell)?,
        };
        let start = &*worker.start;
        let paint = |run: Run, job: Option<Job>| -> Result<host::HostedRun> {
            let lock = run.lock()?;
            let hosted = host::paint(run, lock, job, &Output::Own, ExitWhen::AtOnce, start)?;
            Ok(hosted)
        };
        let mut jobs = job.clone();
        let hosted = match paint(run, job) {
            Err(SweepError::Host(HostError::Checkpoint(why))) => {
                self.note(Some(number), format!("{why}; the cell is painted anew"));
                self.folder.reset(number)?;
                let (run, job) = self.begin(worker, &cell)?;
                jobs.clone_from(&job);
                paint(run, job)?
            }
            hosted => hosted?,
        };
        self.follow(number, &hosted.link, lost);
        drop(hosted.link);
        let _ = hosted.thread.join();
        self.score(number, jobs);
        Ok(())
    }

    /// Makes the run of a cell.
    fn begin(&self, worker: &Worker, cell: &Cell) -> Result<(Run, Option<Job>)> {
        let folder = self.folder.cell_folder(cell.number);
        let output = folder.join(Run::RESULT);
        let plan = self
            .folder
            .definition()
            .plan(cell, worker.compute, output)?;
        let files: Vec<PictureFile> = plan.inputs().into_iter().map(|(_, file)| file).collect();
        let preset_name = plan.preset_name.clone();
        let overrides = plan.overrides.clone();
        let job = plan.load_with(&mut |file| self.picture(file))?;
        let shared = self.folder.inputs_folder();
        let new = NewRun {
            job: &job,
            preset_name: preset_name.as_deref(),
            overrides: &overrides,
            files: &files,
            shared: Some(&shared),
        };
        Ok((Run::create_at(&folder, &new)?, Some(job)))
    }

    /// A picture, decoded once for many cells.
    fn picture(&self, file: &PictureFile) -> std::result::Result<Source, PictureError> {
        let path = file.path().to_owned();
        let kept = || self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut pictures = kept();
            if let Some(at) = pictures.iter().position(|(known, _)| *known == path) {
                let found = pictures.remove(at);
                let source = found.1.clone();
                pictures.push(found);
                return Ok(source);
            }
        }
        let source = file.load()?;
        let mut pictures = kept();
        pictures.push((path, source.clone()));
        let values = |pictures: &[(PathBuf, Source)]| -> usize {
            pictures
                .iter()
                .map(|(_, it)| it.picture.pixels().len())
                .sum()
        };
        while pictures.len() > 1 && values(&pictures) > KEPT_VALUES {
            pictures.remove(0);
        }
        Ok(source)
    }

    /// Follows a run to its end.
    fn follow(&self, number: usize, link: &Link, lost: &dyn Fn() -> bool) {
        let mut stopped = false;
        let mut iterations = 0;
        loop {
            if !stopped && (self.is_stopping() || lost()) {
                stopped = true;
                let _ = link.commands.send(Command::Stop);
            }
            let event = match link.events.recv_timeout(LOOK) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match event {
                Event::Started { sizes, .. } => {
                    iterations = sizes.iter().map(|size| size.iterations).sum();
                }
                Event::Step(step) => self.send(SweepEvent::CellStep {
                    number,
                    iteration: step.iteration,
                    iterations,
                    total: step.total,
                }),
                Event::Notice { message, .. } => self.note(Some(number), message),
                Event::Finished { .. } | Event::Failed { .. } => return,
                _ => {}
            }
        }
    }

    /// Scores a cell that is done.
    fn score(&self, number: usize, job: Option<Job>) {
        let Some(score) = &self.score else {
            return;
        };
        let Ok(Some(run)) = self.folder.run(number) else {
            return;
        };
        if CellState::from(run.status()) != CellState::Done {
            return;
        }
        let job = job.map_or_else(|| run.job().ok(), Some);
        let picture = run.picture(Run::RESULT).ok();
        let scores = picture
            .zip(job)
            .and_then(|(picture, job)| score(&picture, &job));
        if let Some(scores) = scores
            && let Err(error) = self.folder.write_scores(number, &scores)
        {
            self.note(Some(number), error.to_string());
        }
    }
}

/// Keeps the index true while cells are painted.
struct IndexKeeper {
    folder: SweepFolder,
    index: Index,
    /// The cells that were asked for, in order.
    numbers: Vec<usize>,
    /// Gone once all workers have come to their end.
    workers: Weak<Shared>,
    written: Instant,
    /// How long the last look at all cells took.
    looked: Duration,
    /// How long the next writing has to wait.
    pause: Duration,
    failing: bool,
}

impl IndexKeeper {
    fn keep(mut self, inbox: &Receiver<SweepEvent>, outbox: &Sender<SweepEvent>) {
        let mut dirty = true;
        loop {
            match inbox.recv_timeout(INDEX_INTERVAL) {
                Ok(event) => {
                    match &event {
                        SweepEvent::CellEnded(entry) => {
                            dirty = true;
                            if let Some(cell) = self.index.cells.get_mut(entry.number) {
                                *cell = CellEntry::clone(entry);
                            }
                        }
                        SweepEvent::CellStarted { number, .. } => {
                            dirty = true;
                            if let Some(cell) = self.index.cells.get_mut(*number) {
                                cell.state = CellState::Painting;
                            }
                        }
                        SweepEvent::CellStep {
                            number,
                            iteration,
                            iterations,
                            ..
                        } => {
                            if let Some(cell) = self.index.cells.get_mut(*number) {
                                (cell.iteration, cell.iterations) = (*iteration, *iterations);
                            }
                        }
                        _ => {}
                    }
                    let _ = outbox.send(event);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.written.elapsed() >= INDEX_INTERVAL.max(self.pause) {
                dirty |= self.look_at_others();
                self.write(std::mem::take(&mut dirty), outbox);
            }
        }
        let _ = self.folder.refresh(&mut self.index);
        self.write(true, outbox);
        let state = |number: &usize| self.index.cells.get(*number).map(|cell| cell.state);
        let mut finished = Finished::default();
        for number in &self.numbers {
            match state(number) {
                Some(CellState::Done) => finished.done += 1,
                Some(CellState::Failed) => finished.failed += 1,
                _ => finished.left += 1,
            }
        }
        let _ = outbox.send(SweepEvent::Finished(finished));
    }

    /// Takes in what other processes did. Cells that somebody had begun anew are painted
    /// again. Returns whether anything changed.
    fn look_at_others(&mut self) -> bool {
        let before = self.index.clone();
        let began = Instant::now();
        let reset = self
            .folder
            .refresh_begun(&mut self.index)
            .unwrap_or_default();
        self.looked = began.elapsed();
        if let Some(shared) = self.workers.upgrade() {
            let ours = |number: &usize| {
                let asked_for = self.numbers.binary_search(number).is_ok();
                asked_for && shared.claims.holder(*number).is_none()
            };
            let mut queue = shared.queue();
            for number in reset.into_iter().filter(ours) {
                if !queue.ready.contains(&number) {
                    queue.ready.push_back(number);
                }
            }
        }
        before != self.index
    }

    fn write(&mut self, dirty: bool, outbox: &Sender<SweepEvent>) {
        let began = Instant::now();
        let written = match dirty {
            true => self.folder.write_index(&self.index),
            false => Ok(()),
        };
        self.written = Instant::now();
        self.pause = INDEX_SHARE * (began.elapsed() + self.looked);
        match written {
            Ok(()) => self.failing = false,
            Err(error) if !std::mem::replace(&mut self.failing, true) => {
                let message = format!("{error}; painting continues, and writing it is retried");
                let _ = outbox.send(SweepEvent::Notice {
                    number: None,
                    message,
                });
            }
            Err(_) => {}
        }
    }
}
