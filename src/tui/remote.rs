//! Where the painting is done: in this process, or in another one that paints
//! on without the dashboard.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use impasto_core::job::{Job, Plan};
use impasto_core::preset::Mask;
use impasto_core::protocol::Link;
use impasto_engine::worker;

use crate::headless::EventSink;

/// The longest wait for the last commands to reach another process.
const LAST_WORDS: Duration = Duration::from_secs(2);
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Starts to paint what a plan became, once its pictures are read. An error of the
/// kind [`io::ErrorKind::InvalidInput`] says that what was asked for is wrong.
pub type Engine<'a> = dyn FnMut(&Plan, Job) -> io::Result<Started> + 'a;

/// An engine that paints, and the line to it.
#[derive(Debug)]
pub struct Started {
    pub link: Link,
    /// Ends once the link is dropped. Without a remote the run has ended then,
    /// and its picture is saved.
    pub thread: JoinHandle<()>,
    /// None if dropping the link ends the run.
    pub remote: Option<RemoteEngine>,
    /// Where the link's events are written too. An engine in another process
    /// does that itself.
    pub events: Option<EventSink>,
}

/// An engine in another process: when the link is dropped, it paints on.
#[derive(Clone, Debug)]
pub struct RemoteEngine {
    /// What follows `impasto attach` to come back to it.
    pub called: String,
    /// Whether commands of this front end are obeyed; else it watches, and may
    /// send nothing but [`Command::Preview`](impasto_core::protocol::Command::Preview).
    pub steers: Arc<AtomicBool>,
}

impl RemoteEngine {
    /// Whether commands are obeyed now.
    pub fn steers(&self) -> bool {
        self.steers.load(Ordering::SeqCst)
    }
}

/// A run that is under way already.
#[derive(Clone, Debug)]
pub struct AttachedRun {
    /// The run as it began. Its pictures may be copies; its output, and the
    /// file of its preset where there is one, are absolute paths, for
    /// it may have begun in another folder.
    pub plan: Plan,
    /// The file names of the content and the styles as the user knows them.
    pub content: String,
    pub styles: Vec<String>,
    /// The preset's masks with the paths of the copies.
    pub masks: Vec<Mask>,
}

/// The engine of this process.
///
/// # Errors
/// As [`worker::start`].
pub fn in_process(_: &Plan, job: Job) -> io::Result<Started> {
    let (link, thread) = worker::start(job, None)?;
    Ok(Started {
        link,
        thread,
        remote: None,
        events: None,
    })
}

impl Started {
    /// Drops the link. Waits until the run has ended, or, if it is another
    /// process's, until what was sent is on its way.
    pub(super) fn leave(self) {
        let Self {
            link,
            thread,
            remote,
            events,
        } = self;
        drop(link);
        if let Some(events) = events {
            let _ = events.finish(|| true);
        }
        if remote.is_some() {
            // An engine that reads nothing any more must not block the exit.
            let deadline = Instant::now() + LAST_WORDS;
            while !thread.is_finished() {
                if Instant::now() >= deadline {
                    return;
                }
                std::thread::sleep(LOOK_INTERVAL);
            }
        }
        let _ = thread.join();
    }
}
