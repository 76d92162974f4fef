//! A front end's end of the line.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, unbounded};
use impasto_core::protocol::{Command, Event, Link, PreviewSlot};
use impasto_core::text::display_path;
use thiserror::Error;

use super::connection::is_timeout;
use super::frame::{self, FrameError, Kind};
use super::place::Reachable;
use super::socket::is_trusted;
use super::{Greeting, Hello, PROTOCOL_VERSION, Role};

/// How many events may wait for a slow reader before no more are taken off the
/// line; the engine's end then leaves steps out.
const EVENTS_WAITING: usize = 1024;
/// How long the engine may take to greet.
const GREETING_PATIENCE: Duration = Duration::from_secs(5);
/// How often a line that takes no commands is tried.
const WRITE_TURN: Duration = Duration::from_millis(100);
/// How long the last commands of one who left are tried.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A line to a run that another process paints.
///
/// Dropping the link closes it: the run continues. What was sent before is still
/// delivered, unless the engine takes nothing for a second.
#[derive(Debug)]
pub struct Connection {
    /// As to a painter in this process. The last event is always
    /// [`Event::Finished`] or [`Event::Failed`]: the latter also where the line
    /// ends before the engine reported the run's end.
    pub link: Link,
    pub greeting: Greeting,
    /// Whether this front end controls the run. Becomes true when it is its turn.
    pub steers: Arc<AtomicBool>,
    /// Ends soon after the link is dropped.
    pub thread: JoinHandle<()>,
}

/// Why there is no line to a run.
#[derive(Debug, Error)]
pub enum LineError {
    #[error("no process is painting this run. `impasto resume` resumes it.")]
    NotPainted,

    #[error(
        "what listens at {0} belongs to another user. Attach to runs that are your own, as the \
         user who began them."
    )]
    NotOurs(String),

    #[error("the engine did not let this terminal in: {0}.")]
    Refused(String),

    #[error(
        "the engine speaks version {theirs} of the line's protocol, this is version {ours}. Use \
         the impasto that began the run."
    )]
    OtherVersion { theirs: u32, ours: u32 },

    #[error("the engine does not answer. Try again, or see whether its process is stopped.")]
    Silent,

    #[error("the engine's answer makes no sense: {0}. Use the impasto that began the run.")]
    Senseless(String),

    #[error("cannot reach the engine at {0}: {1}.")]
    Unreachable(String, io::Error),
}

/// Attaches to the run whose engine listens at one of these places.
///
/// # Errors
/// When nobody listens there, or the engine is another user's, of another
/// version, stuck, or lets nobody in.
pub fn connect(places: &[PathBuf], role: Role) -> Result<Connection, LineError> {
    // A place that others hold says nothing of the next.
    let mut problem = LineError::NotPainted;
    for socket in places {
        let connected = Reachable::to(socket).and_then(|it| UnixStream::connect(&it.path));
        match connected {
            Ok(stream) if !is_trusted(&stream) => {
                problem = LineError::NotOurs(display_path(socket));
            }
            Ok(stream) => return attach(socket, stream, role),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::ConnectionRefused => {}
                _ => problem = LineError::Unreachable(display_path(socket), error),
            },
        }
    }
    Err(problem)
}

fn attach(socket: &Path, stream: UnixStream, role: Role) -> Result<Connection, LineError> {
    let unreachable = |error| LineError::Unreachable(display_path(socket), error);
    let greeting = greet(&stream, role).map_err(|error| match error {
        HandshakeError::Line(error) => error,
        HandshakeError::Io(error) if is_timeout(&error) => LineError::Silent,
        // It ended just now.
        HandshakeError::Io(error) if is_end(&error) => LineError::NotPainted,
        HandshakeError::Io(error) => unreachable(error),
    })?;

    let (commands, inbox) = unbounded();
    let (outbox, events) = bounded(EVENTS_WAITING);
    let preview = PreviewSlot::default();
    let steers = Arc::new(AtomicBool::new(greeting.steers));
    let reader = FrameReader {
        events: outbox,
        preview: preview.clone(),
        steers: steers.clone(),
        run: greeting.run.clone(),
        over: false,
    };
    let thread = thread::Builder::new()
        .name("line".to_owned())
        .spawn(move || {
            let ended = AtomicBool::new(false);
            thread::scope(|scope| {
                let writer = thread::Builder::new()
                    .name("line out".to_owned())
                    .spawn_scoped(scope, || {
                        FrameWriter::new(inbox).all(&stream, &ended);
                        // For the reader too the line ends now.
                        let _ = stream.shutdown(Shutdown::Both);
                    });
                if writer.is_err() {
                    let _ = stream.shutdown(Shutdown::Both);
                }
                reader.all(&stream);
                // Commands fail from now on instead of waiting for nobody.
                ended.store(true, Ordering::Relaxed);
                let _ = stream.shutdown(Shutdown::Both);
            });
        })
        .map_err(unreachable)?;
    Ok(Connection {
        link: Link {
            commands,
            events,
            preview,
        },
        greeting,
        steers,
        thread,
    })
}

/// Why no greeting came.
enum HandshakeError {
    Line(LineError),
    Io(io::Error),
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<FrameError> for HandshakeError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Broken(error) => Self::Io(error),
            FrameError::InvalidFrame(sentence) => Self::Line(LineError::Senseless(sentence)),
        }
    }
}

/// Says hello and waits for the answer.
fn greet(mut stream: &UnixStream, role: Role) -> Result<Greeting, HandshakeError> {
    stream.set_read_timeout(Some(GREETING_PATIENCE))?;
    stream.set_write_timeout(Some(WRITE_TURN))?;
    let hello = Hello {
        impasto: PROTOCOL_VERSION,
        role,
    };
    // Who refuses may do so without having listened, so that a failure here is
    // looked at only if there is no answer.
    let said = match frame::json(Kind::Hello, &hello) {
        Some(frame) => stream.write_all(&frame),
        None => Ok(()),
    };
    let answer = frame::read(&mut stream, &[Kind::Greeting, Kind::HandshakeError]);
    let (kind, payload) = match (answer, said) {
        (Ok(answer), _) => answer,
        (Err(_), Err(error)) => return Err(error.into()),
        (Err(error), Ok(())) => return Err(error.into()),
    };
    if kind == Kind::HandshakeError {
        let error = LineError::Refused(sentence(&payload));
        return Err(HandshakeError::Line(error));
    }
    let mut greeting: Greeting = frame::parsed(&payload, "the greeting")?;
    if greeting.version != PROTOCOL_VERSION {
        return Err(HandshakeError::Line(LineError::OtherVersion {
            theirs: greeting.version,
            ours: PROTOCOL_VERSION,
        }));
    }
    greeting.run = printable(&greeting.run);
    greeting.impasto = printable(&greeting.impasto);
    stream.set_read_timeout(None)?;
    Ok(greeting)
}

/// What comes from the engine.
struct FrameReader {
    events: Sender<Event>,
    preview: PreviewSlot,
    steers: Arc<AtomicBool>,
    run: String,
    /// Whether the engine reported the run's end.
    over: bool,
}

impl FrameReader {
    /// Hands everything on until the line ends or nobody listens.
    fn all(mut self, stream: &UnixStream) {
        let Some(message) = self.until_the_end(stream) else {
            return;
        };
        if !self.over {
            let _ = self.events.send(Event::Failed {
                message,
                output: None,
                refused: false,
            });
        }
    }

    /// Why the line ended, if anybody still listens.
    fn until_the_end(&mut self, mut stream: &UnixStream) -> Option<String> {
        loop {
            let read = frame::read(
                &mut stream,
                &[Kind::Event, Kind::Preview, Kind::Role, Kind::HandshakeError],
            );
            let outcome = read.and_then(|(kind, payload)| self.take_in(kind, payload));
            match outcome {
                Ok(FrameOutcome::Going) => {}
                Ok(FrameOutcome::Alone) => return None,
                Ok(FrameOutcome::LetGo(sentence)) => {
                    return Some(format!(
                        "the line to the engine ended ({sentence}); the run itself may go on: \
                         impasto attach {} looks again",
                        self.run
                    ));
                }
                Err(FrameError::InvalidFrame(sentence)) => {
                    return Some(format!(
                        "what the engine said makes no sense ({sentence}); the run itself may go \
                         on: impasto attach {} looks again",
                        self.run
                    ));
                }
                Err(FrameError::Broken(_)) => {
                    return Some(format!(
                        "the engine ended unexpectedly, perhaps killed or out of memory: \
                         impasto resume {} resumes it",
                        self.run
                    ));
                }
            }
        }
    }

    fn take_in(&mut self, kind: Kind, payload: Vec<u8>) -> Result<FrameOutcome, FrameError> {
        match kind {
            Kind::Preview => self.preview.put(frame::parsed_preview(payload)?),
            Kind::Role => {
                let steers = payload.first() == Some(&1);
                self.steers.store(steers, Ordering::Relaxed);
            }
            Kind::HandshakeError => return Ok(FrameOutcome::LetGo(sentence(&payload))),
            _ => {
                let event: Event = frame::parsed(&payload, "an event")?;
                match event {
                    Event::Finished { .. } | Event::Failed { .. } => self.over = true,
                    Event::Restarting { .. } | Event::Started { .. } => self.over = false,
                    _ => {}
                }
                if self.events.send(event).is_err() {
                    return Ok(FrameOutcome::Alone);
                }
            }
        }
        Ok(FrameOutcome::Going)
    }
}

/// How the line continues after a frame.
enum FrameOutcome {
    Going,
    /// Nobody listens to events any more.
    Alone,
    /// The engine ended the line, and says why.
    LetGo(String),
}

/// What goes to the engine.
struct FrameWriter {
    commands: Receiver<Command>,
    /// Taken out of `commands` while the line was stuck.
    waiting: VecDeque<Command>,
    /// When it was found that the link was dropped.
    left: Option<Instant>,
}

impl FrameWriter {
    fn new(commands: Receiver<Command>) -> Self {
        Self {
            commands,
            waiting: VecDeque::new(),
            left: None,
        }
    }

    /// Passes commands on until the link is dropped or the line has `ended`.
    fn all(mut self, stream: &UnixStream, ended: &AtomicBool) {
        while let Some(command) = self.next() {
            // Only a preset of a size that none has would give no frame.
            if let Some(frame) = frame::command(&command)
                && self.write(stream, &frame).is_err()
            {
                // An engine that no longer listens may still be telling how
                // the run ended: the line stays open while anybody wants to
                // hear that.
                while self.left.is_none() && !ended.load(Ordering::Relaxed) {
                    thread::sleep(WRITE_TURN);
                    self.look();
                }
                return;
            }
        }
    }

    fn next(&mut self) -> Option<Command> {
        let waited = self.waiting.pop_front();
        waited.or_else(|| self.commands.recv().ok())
    }

    /// Writes a frame, however long the engine does not read. Gives up soon
    /// once the link is dropped.
    fn write(&mut self, mut stream: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match stream.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => {
                    self.look();
                    if self.left.is_some_and(|left| left.elapsed() >= LAST_WORDS) {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Checks whether the link was dropped, which its channel reveals only to who has
    /// taken out all that is in it.
    fn look(&mut self) {
        while self.left.is_none() {
            match self.commands.try_recv() {
                Ok(command) => self.waiting.push_back(command),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => self.left = Some(Instant::now()),
            }
        }
    }
}

/// A refusal's sentence, fit for a terminal, without its full stop.
fn sentence(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(payload);
    printable(text.trim_end_matches('.'))
}

/// Text from the other end, fit for a terminal.
fn printable(text: &str) -> String {
    display_path(Path::new(text))
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}
