//! The engine's end of the line to one front end: a thread that reads, and one
//! that writes.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use impasto_core::protocol::{Command, Notify};

use super::frame::{self, Frame, FrameError, Kind};
use super::outbox::{Item, Outbox};
use super::registry::{ClientRegistry, CommandOutcome};
use super::{Greeting, Hello, PROTOCOL_VERSION, Role, lock};

/// How long a front end may take to say hello.
const HELLO_PATIENCE: Duration = Duration::from_secs(5);
/// How long a front end's socket may take nothing that it is owed.
const STALL_PATIENCE: Duration = Duration::from_secs(30);

/// What all threads of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub board: Mutex<ClientRegistry>,
    /// A command waits, a preview is wanted, or somebody came or went.
    pub changes: Notify,
    /// There may be room for commands.
    pub room: Condvar,
    /// The sockets of those that are attached or about to be.
    pub lines: Mutex<BTreeMap<u64, UnixStream>>,
    /// A line is gone.
    pub gone: Condvar,
    pub run: String,
    pub folder: PathBuf,
}

impl Shared {
    /// Talks with whoever came until one of the two leaves.
    pub(super) fn serve(&self, stream: &UnixStream) {
        let role = match hello(stream) {
            Ok(role) => role,
            Err(FrameError::InvalidFrame(sentence)) => return refuse(stream, &sentence),
            Err(FrameError::Broken(error)) if is_timeout(&error) => {
                return refuse(stream, "no hello came");
            }
            Err(FrameError::Broken(_)) => return,
        };
        let attached = lock(&self.board).attach(role, |steers| self.greeting(steers));
        let (id, outbox) = match attached {
            Ok(attached) => attached,
            Err(sentence) => return refuse(stream, &sentence),
        };
        self.changes.notify();
        thread::scope(|scope| {
            let writer = thread::Builder::new()
                .name("line out".to_owned())
                .spawn_scoped(scope, || write_all(stream, &outbox));
            let read = match writer {
                Ok(_) => self.handle_command(id, stream),
                Err(error) => Err(error.into()),
            };
            let mut board = lock(&self.board);
            if let Err(FrameError::InvalidFrame(sentence)) = read {
                board.let_go(id, &sentence);
            }
            board.detach(id);
            // What it is owed is still tried: a line that nobody reads from
            // fails at once, and at the end of the server only this half of it
            // is closed.
            outbox.end();
            drop(board);
            self.changes.notify();
        });
    }

    /// Takes in commands until the line ends.
    fn handle_command(&self, id: u64, mut stream: &UnixStream) -> Result<(), FrameError> {
        loop {
            let (_, payload) = frame::read(&mut stream, &[Kind::Command])?;
            let mut command: Command = frame::parsed(&payload, "the command")?;
            let mut board = lock(&self.board);
            loop {
                match board.handle_command(id, command) {
                    CommandOutcome::Done => break,
                    CommandOutcome::OutOfPlace(sentence) => {
                        return Err(FrameError::InvalidFrame(sentence.to_owned()));
                    }
                    CommandOutcome::Full(_) if board.is_closed() => return Ok(()),
                    CommandOutcome::Full(again) => {
                        command = again;
                        let waited = self.room.wait(board);
                        board = waited.unwrap_or_else(PoisonError::into_inner);
                    }
                }
            }
            drop(board);
            self.changes.notify();
        }
    }

    fn greeting(&self, steers: bool) -> Frame {
        let greeting = Greeting {
            version: PROTOCOL_VERSION,
            impasto: env!("CARGO_PKG_VERSION").to_owned(),
            run: self.run.clone(),
            folder: self.folder.clone(),
            steers,
            pid: std::process::id(),
        };
        // The server has seen to it that these can be written.
        frame::json(Kind::Greeting, &greeting)
            .unwrap_or_else(|| frame::plain(Kind::HandshakeError, b"the run has no name"))
    }
}

/// Waits for who it is. A version that is not ours is refused.
fn hello(stream: &UnixStream) -> Result<Role, FrameError> {
    let until = Instant::now() + HELLO_PATIENCE;
    let (_, payload) = frame::read(&mut DeadlineReader { stream, until }, &[Kind::Hello])?;
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(Some(STALL_PATIENCE))?;
    // The version before the rest: what else another version says is unknown.
    let said: serde_json::Value = frame::parsed(&payload, "the hello")?;
    match said.get("impasto").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(PROTOCOL_VERSION) => {}
        Some(version) => {
            return Err(FrameError::InvalidFrame(format!(
                "the engine is impasto {} and speaks version {PROTOCOL_VERSION} of the line's \
                 protocol, this terminal speaks version {version}: use the impasto that began \
                 the run",
                env!("CARGO_PKG_VERSION")
            )));
        }
        None => {
            return Err(FrameError::InvalidFrame(
                "the hello is not one of impasto's".to_owned(),
            ));
        }
    }
    let hello: Hello = frame::parsed(&payload, "the hello")?;
    Ok(hello.role)
}

/// Reads until an instant, however slowly the bytes come.
struct DeadlineReader<'a> {
    stream: &'a UnixStream,
    until: Instant,
}

impl Read for DeadlineReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

/// Says why somebody is not let in. Nothing was written to this socket before,
/// so that there is room for a sentence, and nobody has to wait.
pub(super) fn refuse(mut stream: &UnixStream, sentence: &str) {
    let frame = frame::plain(Kind::HandshakeError, sentence.as_bytes());
    let _ = stream.write_all(&frame);
}

/// Writes what the front end is owed until that ends, or it takes no more.
fn write_all(stream: &UnixStream, outbox: &Outbox) {
    // An error says that the front end is gone or stuck, and there is nobody
    // else to tell.
    let _ = write_owed(stream, outbox);
    let _ = stream.shutdown(Shutdown::Both);
}

fn write_owed(mut stream: &UnixStream, outbox: &Outbox) -> io::Result<()> {
    while let Some((item, preview)) = outbox.next() {
        match item {
            Some(Item::Frame(frame)) => stream.write_all(&frame)?,
            Some(Item::Replay(events)) => {
                for frame in events.iter().filter_map(frame::event) {
                    stream.write_all(&frame)?;
                }
            }
            None => {}
        }
        if let Some(preview) = preview {
            stream.write_all(&preview)?;
        }
    }
    Ok(())
}

/// Whether a read or write was given up because it took too long.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
