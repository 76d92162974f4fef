//! What comes in: keys, the mouse, pasted text, signals, and the terminal's
//! end.
//!
//! crossterm understands the bytes; when to let it read is decided here. Left
//! alone it would wait for the rest of a key it does not know, and it would
//! try for ever to read from a terminal that is gone.

mod keys;
mod query;
mod stray_replies;

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event, KeyEvent, MouseEvent};
use crossterm::terminal::window_size;
use impasto_graphics::terminal::{Capabilities, Terminal, clamp_size, question};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionread};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use signal_hook::consts::SIGWINCH;

use self::query::{TerminalQuery, unasked};
use self::stray_replies::StrayReplies;
use super::crash;
use super::signals::Signals;

/// More events than this wait for the next call.
const MAX_EVENTS: usize = 256;
/// Characters of a pasted text that are kept; a file name is far shorter.
const MAX_PASTE: usize = 8192;
/// The pause where bytes came that are no event yet.
const INCOMPLETE: Duration = Duration::from_millis(5);
/// How often a question that is out is looked after.
const WHILE_ASKING: Duration = Duration::from_millis(20);

/// Something that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputEvent {
    Key(KeyEvent),
    /// The mouse was pressed, released, dragged, or its wheel turned.
    Mouse(MouseEvent),
    /// The terminal has a new size, in columns and rows.
    Resize(u16, u16),
    /// Pasted text, as untrusted as a file: it may hold control characters.
    Paste(String),
    /// A signal by its number: SIGINT, SIGTERM, SIGHUP, SIGTSTP or SIGCONT.
    Signal(i32),
    /// What the terminal can do: comes once for each [`Input::ask`].
    Graphics(Capabilities),
    /// The terminal is gone. Nothing more comes in, and nothing can be shown.
    Hangup,
}

/// The only reader of the keyboard, and the catcher of signals. One at a time,
/// used by one thread.
#[derive(Debug)]
pub struct Input {
    signals: Signals,
    /// Whether the terminal is gone; see [`watch`].
    gone: Arc<AtomicBool>,
    /// Whether crossterm may hold events that it has already read.
    more: bool,
    /// A question that is out; meanwhile crossterm reads nothing.
    query: Option<TerminalQuery>,
    /// Events to deliver without asking the terminal.
    known: Option<Capabilities>,
    stray: StrayReplies,
}

impl Input {
    /// Starts to listen. From now on, and until the process ends, stdin is the
    /// process's own terminal, whatever it was before.
    ///
    /// # Errors
    /// When there is no terminal to read keys from.
    pub fn open() -> io::Result<Self> {
        open_keyboard()?;
        let signals = Signals::catch()?;
        let gone = Arc::new(AtomicBool::new(false));
        let keyboard = io::stdin().as_fd().try_clone_to_owned()?;
        watch(keyboard, signals.waker()?, gone.clone())?;
        Ok(Self {
            signals,
            gone,
            more: false,
            query: None,
            known: None,
            stray: StrayReplies::default(),
        })
    }

    /// Asks the terminal what graphics it can do. Does not wait: the answer is
    /// among the events that [`Input::wait`] returns, within about five seconds,
    /// and keys keep coming meanwhile. To be called while the terminal is in
    /// raw mode and nothing else writes to it.
    pub fn ask(&mut self, terminal: &Terminal) {
        let query = TerminalQuery::begin(terminal, Instant::now());
        if terminal.may_be_asked() {
            // A terminal that takes nothing answers nothing: the deadline decides.
            let _ = write_all(question(terminal).as_bytes());
            self.query = Some(query);
        } else {
            self.known = Some(unasked(terminal));
        }
    }

    /// Waits until something comes in or `timeout` is over, and returns all
    /// that is there, 256 events at most; without any, the time is over. A
    /// timeout of zero only looks.
    ///
    /// # Errors
    /// When the keyboard cannot be read for another reason than its end, which
    /// is an event.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<Vec<InputEvent>> {
        let keyboard = rustix::stdio::stdin();
        let deadline = Instant::now() + timeout;
        let mut events = Vec::new();
        events.extend(self.known.take().map(InputEvent::Graphics));
        loop {
            let mut left = deadline.saturating_duration_since(Instant::now());
            if self.more || !events.is_empty() {
                left = Duration::ZERO;
            } else if self.query.is_some() {
                left = left.min(WHILE_ASKING);
            }
            let ready = ready(keyboard, self.signals.fd(), left)?;
            if ready.signal {
                self.take_signals(&mut events);
            }
            if ready.keyboard == Keyboard::Gone || self.gone.load(Ordering::SeqCst) {
                events.push(InputEvent::Hangup);
                return Ok(events);
            }
            if let Some(query) = &mut self.query {
                let now = Instant::now();
                if ready.keyboard == Keyboard::Readable {
                    query.read(keyboard, now, &mut events)?;
                }
                if let Some(answered) = query.turn(now, &mut events) {
                    events.push(InputEvent::Graphics(answered));
                    self.query = None;
                }
            } else if ready.keyboard == Keyboard::Readable || self.more {
                self.read(keyboard, &mut events)?;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !events.is_empty() || left.is_zero() {
                return Ok(events);
            }
            if ready.keyboard == Keyboard::Readable {
                thread::sleep(INCOMPLETE.min(left));
            }
        }
    }

    fn take_signals(&mut self, events: &mut Vec<InputEvent>) {
        for number in self.signals.take() {
            if number != SIGWINCH {
                events.push(InputEvent::Signal(number));
            } else if let Ok(size) = window_size() {
                let (columns, rows) = clamp_size(size.columns, size.rows);
                events.push(InputEvent::Resize(columns, rows));
            }
        }
    }

    /// Lets crossterm read what is there.
    fn read(&mut self, keyboard: BorrowedFd<'_>, events: &mut Vec<InputEvent>) -> io::Result<()> {
        self.more = false;
        let mut nudged = false;
        loop {
            if events.len() >= MAX_EVENTS {
                self.more = true;
                return Ok(());
            }
            if event::poll(Duration::ZERO)? {
                let event = event::read()?;
                if !self.stray.holds(&event, Instant::now()) {
                    events.extend(understood(event));
                }
                nudged = false;
            } else if !nudged && state(keyboard)? == Keyboard::Readable {
                nudge(keyboard);
                nudged = true;
            } else {
                return Ok(());
            }
        }
    }
}

/// The event in our own type; none where a signal reports the same.
fn understood(event: Event) -> Option<InputEvent> {
    match event {
        Event::Key(key) => Some(InputEvent::Key(key)),
        Event::Mouse(mouse) => Some(InputEvent::Mouse(mouse)),
        Event::Paste(text) => Some(InputEvent::Paste(text.chars().take(MAX_PASTE).collect())),
        Event::Resize(..) | Event::FocusGained | Event::FocusLost => None,
    }
}

/// Makes stdin a handle of our own on the terminal that never blocks. The one
/// we were given is shared with the shell and with stdout, which must block.
fn open_keyboard() -> io::Result<()> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags.bits().cast_signed())
        .open("/dev/tty");
    match opened {
        Ok(terminal) => Ok(rustix::stdio::dup2_stdin(terminal)?),
        // Without a controlling terminal stdin may still be one.
        Err(_) if io::stdin().is_terminal() => Ok(()),
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("there is no terminal to read keys from: {error}"),
        )),
    }
}

/// Writes to the terminal as the screen does, which is behind stdout.
fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    // Stdout itself may be kept from the terminal while the screen is ours.
    let terminal = crash::terminal().unwrap_or_else(rustix::stdio::stdout);
    while !bytes.is_empty() {
        match rustix::io::write(terminal, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits on a thread for the terminal's end. crossterm may be reading then, and
/// would not come back from it: so stdin becomes a place where nothing can be
/// read yet. That makes crossterm return, however it came to be there.
fn watch(keyboard: OwnedFd, mut waker: UnixStream, gone: Arc<AtomicBool>) -> io::Result<()> {
    let (nothing, silent) = UnixStream::pair()?;
    nothing.set_nonblocking(true)?;
    let wait = move || {
        // With no events requested, poll reports only the end.
        let mut fds = [PollFd::new(&keyboard, PollFlags::empty())];
        while matches!(poll(&mut fds, None), Ok(0) | Err(Errno::INTR)) {}
        gone.store(true, Ordering::SeqCst);
        // Nobody is left to notify.
        let _ = rustix::stdio::dup2_stdin(nothing);
        let _ = waker.write_all(b"X");
        // Its end must stay open, or there would be an end to read.
        std::mem::forget(silent);
    };
    thread::Builder::new()
        .name("hangup".to_owned())
        .spawn(wait)?;
    Ok(())
}

/// Makes crossterm look again. It reads 1024 bytes and is then notified of new
/// bytes only, not of the rest; setting the modes as they are wakes every
/// reader. A terminal that is gone needs no nudge.
fn nudge(keyboard: BorrowedFd<'_>) {
    if let Ok(modes) = tcgetattr(keyboard) {
        let _ = tcsetattr(keyboard, OptionalActions::Now, &modes);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keyboard {
    Quiet,
    Readable,
    /// Hung up, or at its end.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ready {
    keyboard: Keyboard,
    signal: bool,
}

/// Waits for either, for `timeout` at most.
fn ready(keyboard: BorrowedFd<'_>, signal: BorrowedFd<'_>, timeout: Duration) -> io::Result<Ready> {
    let mut fds = [
        PollFd::new(&keyboard, PollFlags::IN),
        PollFd::new(&signal, PollFlags::IN),
    ];
    // A longer time than the kernel can count is forever.
    let timeout = Timespec::try_from(timeout).ok();
    match poll(&mut fds, timeout.as_ref()) {
        // The caller comes back for the signal.
        Err(Errno::INTR) => {
            return Ok(Ready {
                keyboard: Keyboard::Quiet,
                signal: true,
            });
        }
        result => result?,
    };
    let happened = fds[0].revents();
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    let keyboard = if happened.intersects(gone) {
        Keyboard::Gone
    } else if !happened.contains(PollFlags::IN) {
        Keyboard::Quiet
    } else if matches!(ioctl_fionread(keyboard), Ok(1..)) {
        Keyboard::Readable
    } else {
        // Readable and without a byte to read: the end.
        Keyboard::Gone
    };
    Ok(Ready {
        keyboard,
        signal: !fds[1].revents().is_empty(),
    })
}

/// How the keyboard is right now.
fn state(keyboard: BorrowedFd<'_>) -> io::Result<Keyboard> {
    ready(keyboard, keyboard, Duration::ZERO).map(|ready| ready.keyboard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyboard_that_is_gone_is_seen() {
        let (near, far) = UnixStream::pair().unwrap();
        assert_eq!(state(near.as_fd()).unwrap(), Keyboard::Quiet);
        (&far).write_all(b"q").unwrap();
        assert_eq!(state(near.as_fd()).unwrap(), Keyboard::Readable);
        drop(far);
        assert_eq!(state(near.as_fd()).unwrap(), Keyboard::Gone);
    }

    #[test]
    fn the_end_of_a_file_is_the_end() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(state(file.as_fd()).unwrap(), Keyboard::Gone);
    }

    #[test]
    fn a_signal_ends_the_wait() {
        let (keyboard, _far) = UnixStream::pair().unwrap();
        let (signal, waker) = UnixStream::pair().unwrap();
        let start = Instant::now();
        let before = ready(keyboard.as_fd(), signal.as_fd(), Duration::from_millis(30)).unwrap();
        assert!(!before.signal && start.elapsed() >= Duration::from_millis(30));
        (&waker).write_all(b"X").unwrap();
        let after = ready(keyboard.as_fd(), signal.as_fd(), Duration::from_secs(60)).unwrap();
        assert!(after.signal && after.keyboard == Keyboard::Quiet);
    }

    #[test]
    fn pasted_text_is_cut() {
        let text = "é".repeat(MAX_PASTE + 5);
        let Some(InputEvent::Paste(kept)) = understood(Event::Paste(text)) else {
            panic!("no paste");
        };
        assert_eq!(kept.chars().count(), MAX_PASTE);
        assert_eq!(understood(Event::Resize(1, 1)), None);
    }
}
