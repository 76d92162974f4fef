//! The engine's end of the line.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use impasto_core::protocol::{Command, Event, Notify, Preview};

use super::connection::{Shared, refuse};
use super::frame;
use super::registry::ClientRegistry;
use super::socket::{Announce, Socket, is_trusted};
use super::{MAX_CLIENTS, lock};

/// How many lines may be open: to those that are attached, to those that are
/// about to be, and to those that come to stop the run.
const MAX_LINES: usize = 2 * MAX_CLIENTS;
/// How long what is owed is still written at the end.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait where the system has no more of something.
const BREATH: Duration = Duration::from_millis(100);

/// The engine's end of the line to its clients.
///
/// Nothing here waits for a front end: [`Server::publish`] and
/// [`Server::preview`] put things into queues, from which threads of the
/// server's own write. Dropping it gives them two seconds to write what the
/// clients are still owed, closes every line, and removes the socket.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    /// Closed to end the thread that lets clients in.
    end: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Opens a socket for the clients of a run, at the first of these places
    /// that takes one, and lets them in from then on. `run` is what the run is
    /// called on the command line, `folder` its folder; clients receive both.
    /// `announce` is called with the socket's path, now and when it moves. Where no
    /// place takes a socket it is called with the reason, and they are tried again and again.
    ///
    /// # Errors
    /// When a server listens there already, or the system has no thread left.
    pub fn open(
        places: &[PathBuf],
        run: &str,
        folder: &Path,
        announce: Announce,
    ) -> io::Result<Self> {
        let socket = Socket::open(places, announce)?;
        let shared = Arc::new(Shared {
            board: Mutex::new(ClientRegistry::default()),
            changes: Notify::default(),
            room: Condvar::new(),
            lines: Mutex::default(),
            gone: Condvar::new(),
            run: run.chars().take(1000).collect(),
            // A greeting is JSON, which has Unicode only.
            folder: PathBuf::from(folder.to_string_lossy().into_owned()),
        });
        let (end, ended) = UnixStream::pair()?;
        let thread = thread::Builder::new().name("line".to_owned()).spawn({
            let shared = shared.clone();
            move || let_in(socket, &ended, &shared)
        })?;
        Ok(Self {
            shared,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Tells every front end, now or when it comes (see
    /// [`History`](super::History)). Never waits: a front end that is behind
    /// misses steps, and one that is too far behind for that is let go. A step
    /// whose losses are not finite is sent to nobody.
    pub fn publish(&self, event: &Event) {
        let Some(frame) = frame::event(event) else {
            return;
        };
        lock(&self.shared.board).publish(event, &frame);
        self.shared.room.notify_all();
        self.shared.changes.notify();
    }

    /// The next command, if one waits: from the front end that controls the run, a
    /// [`Command::Stop`] from elsewhere, or a [`Command::Preview`] from any.
    /// Previews are asked for one at a time: the next when [`Server::preview`]
    /// has answered the last, or ten seconds have passed.
    pub fn try_recv(&self) -> Option<Command> {
        let command = lock(&self.shared.board).next_command(Instant::now());
        if command.is_some() {
            self.shared.room.notify_all();
        }
        command
    }

    /// Receives a message after a command has come, a preview is wanted, or a front
    /// end came or went.
    pub fn changes(&self) -> &Receiver<()> {
        self.shared.changes.notified()
    }

    /// As [`Server::try_recv`], but waits for so long if there is none.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Command> {
        let until = Instant::now().checked_add(timeout);
        loop {
            if let Some(command) = self.try_recv() {
                return Some(command);
            }
            let left = until.map_or(BREATH, |until| {
                until.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return None;
            }
            // In short turns, since a preview's time runs out without a word.
            let _ = self.changes().recv_timeout(left.min(BREATH));
        }
    }

    /// Answers the [`Command::Preview`] in hand. It goes to those that asked
    /// for its size; one that nobody waits for goes nowhere.
    pub fn preview(&self, preview: &Preview) {
        let askers = lock(&self.shared.board).take_askers(preview.width, preview.height);
        self.shared.changes.notify();
        if askers.is_empty() {
            return;
        }
        if let Some(frame) = frame::preview(preview) {
            for outbox in askers {
                outbox.put_preview(frame.clone());
            }
        }
    }

    /// How many clients are attached, not counting those that only came to
    /// stop the run.
    pub fn clients(&self) -> usize {
        lock(&self.shared.board).attached()
    }

    /// Whether a front end controls the run.
    pub fn steered(&self) -> bool {
        lock(&self.shared.board).is_steered()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // First nobody is let in any more, then all may go.
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        lock(&self.shared.board).close();
        self.shared.room.notify_all();
        // Nothing more is read. What is owed is still written.
        self.hang_up(Shutdown::Read);
        self.hang_up(Shutdown::Both);
    }
}

impl Server {
    /// Closes this half of every line and waits a while until all are gone.
    fn hang_up(&self, half: Shutdown) {
        let lines = lock(&self.shared.lines);
        for line in lines.values() {
            let _ = line.shutdown(half);
        }
        let patience = FLUSH_PATIENCE;
        let waited = self
            .shared
            .gone
            .wait_timeout_while(lines, patience, |lines| !lines.is_empty());
        drop(waited);
    }
}

/// Lets clients in until `ended` is closed.
fn let_in(mut socket: Socket, ended: &UnixStream, shared: &Arc<Shared>) {
    let mut number = 0;
    while let Some(accepted) = socket.accept(ended) {
        let taken_up = accepted.and_then(|stream| {
            number += 1;
            take_up(stream, number, shared)
        });
        if taken_up.is_err() {
            // No file or thread is left for it: others may end meanwhile.
            thread::sleep(BREATH);
        }
    }
}

/// Gives the line to a thread of its own.
fn take_up(stream: UnixStream, number: u64, shared: &Arc<Shared>) -> io::Result<()> {
    if !is_trusted(&stream) {
        refuse(&stream, "the run belongs to another user");
        return Ok(());
    }
    let mut lines = lock(&shared.lines);
    if lines.len() >= MAX_LINES {
        refuse(&stream, "too many lines to this run are open: try again");
        return Ok(());
    }
    lines.insert(number, stream.try_clone()?);
    drop(lines);
    let line = Line {
        number,
        shared: shared.clone(),
    };
    thread::Builder::new()
        .name("line in".to_owned())
        .spawn(move || {
            line.shared.serve(&stream);
        })
        .map(drop)
}

/// A line's place among those that are open. It goes when this is dropped, be
/// it because no thread could be obtained.
struct Line {
    number: u64,
    shared: Arc<Shared>,
}

impl Drop for Line {
    fn drop(&mut self) {
        lock(&self.shared.lines).remove(&self.number);
        self.shared.gone.notify_all();
    }
}
