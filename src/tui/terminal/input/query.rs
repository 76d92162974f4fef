//! The time between a question to the terminal and its answer.
//!
//! The answer comes in where keys come in, and crossterm would take it for
//! keys. So until it is there the bytes are read here: replies are taken out,
//! and the rest is keys. Nothing waits for any of this.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use impasto_graphics::terminal::sequence::{self, Sequence};
use impasto_graphics::terminal::tmux::{self, Outer};
use impasto_graphics::terminal::{Answer, Capabilities, Graphics, Terminal};
use rustix::io::{Errno, ioctl_fionread, read};

use super::{InputEvent, MAX_PASTE, keys};

/// A terminal that has not answered by now will not. Nobody waits, so this may
/// be longer than the slowest line takes.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A lone `ESC` is the key if nothing follows it for this long. Longer than
/// usual: the rest of a reply may be in another packet.
const ESCAPE_KEY: Duration = Duration::from_millis(150);
/// What began and was not gone on with for this long is given up.
const STALE: Duration = Duration::from_secs(1);
/// Bytes taken in at once; each may be a key.
const BYTES: usize = 256;
/// Bytes of a paste that are kept.
const PASTE_BYTES: usize = 4 * MAX_PASTE;
const PASTE_BEGINS: Sequence<'_> = Sequence::Csi {
    parameters: b"200",
    last: b'~',
};
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// A question that was asked.
#[derive(Debug)]
pub(super) struct TerminalQuery {
    terminal: Terminal,
    answer: Answer,
    /// Brings what tmux says of the terminal around it.
    tmux: Option<Receiver<Option<Outer>>>,
    outer: Option<Outer>,
    /// Bytes that are no whole sequence yet.
    bytes: Vec<u8>,
    /// The text of a paste that has not ended yet.
    paste: Option<Vec<u8>>,
    deadline: Instant,
    last_read: Instant,
}

impl TerminalQuery {
    /// A question to `terminal` that is asked now.
    pub(super) fn begin(terminal: &Terminal, now: Instant) -> Self {
        Self {
            terminal: terminal.clone(),
            answer: Answer::default(),
            tmux: terminal.tmux.then(tmux::ask),
            outer: None,
            bytes: Vec::new(),
            paste: None,
            deadline: now + TIMEOUT,
            last_read: now,
        }
    }

    /// Takes in some of the bytes that are there. Does not wait.
    ///
    /// # Errors
    /// When the keyboard cannot be read.
    pub(super) fn read(
        &mut self,
        keyboard: BorrowedFd<'_>,
        now: Instant,
        events: &mut Vec<InputEvent>,
    ) -> io::Result<()> {
        // No more than is there, for a keyboard that would block.
        let there = usize::try_from(ioctl_fionread(keyboard)?).unwrap_or(BYTES);
        let mut bytes = [0; BYTES];
        if there == 0 {
            return Ok(());
        }
        match read(keyboard, &mut bytes[..there.min(BYTES)]) {
            Ok(count) => self.take(&bytes[..count], now, events),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Goes on with the time. What the terminal can do, once that is clear;
    /// then all bytes are used up, and there is nothing more to do.
    pub(super) fn turn(
        &mut self,
        now: Instant,
        events: &mut Vec<InputEvent>,
    ) -> Option<Capabilities> {
        self.give_up(now, events);
        if let Some(tmux) = &self.tmux {
            match tmux.try_recv() {
                Ok(outer) => {
                    self.outer = outer;
                    self.tmux = None;
                }
                Err(TryRecvError::Disconnected) => self.tmux = None,
                Err(TryRecvError::Empty) => {}
            }
        }
        let answered = self.tmux.is_none() && self.answer.is_complete(self.outer.as_ref());
        let over = answered || now >= self.deadline;
        (over && self.bytes.is_empty() && self.paste.is_none()).then(|| {
            self.terminal
                .capabilities(&self.answer, self.outer.as_ref())
        })
    }

    fn take(&mut self, bytes: &[u8], now: Instant, events: &mut Vec<InputEvent>) {
        self.last_read = now;
        self.bytes.extend_from_slice(bytes);
        loop {
            if self.paste.is_some() && !self.take_paste(events) {
                return;
            }
            let Some((sequence, length)) = sequence::first(&self.bytes) else {
                return;
            };
            if sequence == PASTE_BEGINS {
                self.paste = Some(Vec::new());
            } else if !self.answer.take(&sequence) {
                events.extend(keys::key(&sequence).map(InputEvent::Key));
            }
            self.bytes.drain(..length);
        }
    }

    /// Moves bytes into the paste. True once it is over.
    fn take_paste(&mut self, events: &mut Vec<InputEvent>) -> bool {
        let Some(paste) = &mut self.paste else {
            return true;
        };
        let end = self
            .bytes
            .windows(PASTE_ENDS.len())
            .position(|bytes| bytes == PASTE_ENDS);
        // The end itself may be there in part.
        let text = end.unwrap_or(self.bytes.len().saturating_sub(PASTE_ENDS.len() - 1));
        let room = PASTE_BYTES.saturating_sub(paste.len());
        paste.extend_from_slice(&self.bytes[..text.min(room)]);
        self.bytes.drain(..text);
        if end.is_some() {
            self.bytes.drain(..PASTE_ENDS.len());
            events.extend(self.pasted());
        }
        end.is_some()
    }

    /// The paste as far as it came.
    fn pasted(&mut self) -> Option<InputEvent> {
        let bytes = self.paste.take()?;
        let text = String::from_utf8_lossy(&bytes);
        Some(InputEvent::Paste(text.chars().take(MAX_PASTE).collect()))
    }

    /// Gives up what was begun and will not end.
    fn give_up(&mut self, now: Instant, events: &mut Vec<InputEvent>) {
        let quiet = now.saturating_duration_since(self.last_read);
        if self.bytes == b"\x1b" && self.paste.is_none() && quiet >= ESCAPE_KEY {
            events.extend(keys::key(&Sequence::Control(0x1b)).map(InputEvent::Key));
            self.bytes.clear();
        }
        if quiet >= STALE {
            self.bytes.clear();
            events.extend(self.pasted());
        }
    }
}

/// What `terminal` can do when it is not to be asked.
pub(super) fn unasked(terminal: &Terminal) -> Capabilities {
    if terminal.multiplexer {
        Capabilities::assumed(Graphics::HalfBlocks, terminal.cell)
    } else {
        terminal.capabilities(&Answer::default(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::sync_channel;

    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use impasto_graphics::terminal::Colours;

    const KITTY: &[u8] = b"\x1b_Gi=31;OK\x1b\\\x1b_Gi=32;EBADF:no\x1b\\\
        \x1bP>|kitty(0.36.4)\x1b\\\x1b[6;18;9t\x1b[4;432;720t\x1b[?62;c";
    const SIXEL: &[u8] = b"\x1bP>|foot(1.16.2)\x1b\\\x1b[?62;4;22c";

    /// A terminal that answers what the test writes.
    struct Scripted {
        query: TerminalQuery,
        near: UnixStream,
        far: UnixStream,
        now: Instant,
        events: Vec<InputEvent>,
        answered: Option<Capabilities>,
    }

    impl Scripted {
        fn new() -> Self {
            let terminal = Terminal {
                columns: 80,
                rows: 24,
                cell: None,
                colours: Colours::True,
                multiplexer: false,
                tmux: false,
                ssh: false,
            };
            let (near, far) = UnixStream::pair().unwrap();
            let now = Instant::now();
            Self {
                query: TerminalQuery::begin(&terminal, now),
                near,
                far,
                now,
                events: Vec::new(),
                answered: None,
            }
        }

        /// The terminal sends so much, and time passes.
        fn send(&mut self, bytes: &[u8], milliseconds: u64) {
            self.far.write_all(bytes).unwrap();
            while ioctl_fionread(&self.near).unwrap() > 0 && self.answered.is_none() {
                let keyboard = self.near.as_fd();
                let events = &mut self.events;
                self.query.read(keyboard, self.now, events).unwrap();
                self.answered = self.query.turn(self.now, events);
            }
            self.pass(milliseconds);
        }

        fn pass(&mut self, milliseconds: u64) {
            self.now += Duration::from_millis(milliseconds);
            if self.answered.is_none() {
                self.answered = self.query.turn(self.now, &mut self.events);
            }
        }

        fn typed(&self) -> String {
            self.events
                .iter()
                .map(|event| match event {
                    InputEvent::Key(key) => match key.code {
                        KeyCode::Char(character) => character,
                        KeyCode::Esc => '\u{1b}',
                        other => panic!("{other:?}"),
                    },
                    other => panic!("{other:?}"),
                })
                .collect()
        }
    }

    #[test]
    fn kitty_reports_all_it_can() {
        let mut scripted = Scripted::new();
        scripted.send(KITTY, 0);
        let answered = scripted.answered.unwrap();
        assert_eq!(answered.pane, Graphics::Kitty);
        assert_eq!(answered.cell, Some((9, 18)));
        assert!(!answered.tmux);
        assert_eq!(scripted.events, []);
    }

    #[test]
    fn byte_by_byte_is_as_good() {
        for (reply, graphics) in [(KITTY, Graphics::Kitty), (SIXEL, Graphics::Sixel)] {
            let mut scripted = Scripted::new();
            for (index, byte) in reply.iter().enumerate() {
                assert!(scripted.answered.is_none(), "{index}");
                scripted.send(&[*byte], 20);
            }
            assert_eq!(scripted.answered.unwrap().pane, graphics);
            assert_eq!(scripted.events, []);
        }
    }

    #[test]
    fn keys_before_between_and_after_are_kept_in_order() {
        let mut scripted = Scripted::new();
        scripted.send(b"a", 10);
        scripted.send(b"b\x1b_Gi=31;OK\x1b\\c\x1b_Gi=32;E\x1b\\d", 10);
        assert!(scripted.answered.is_none());
        scripted.send(b"\x1bP>|kitty(0.36.4)\x1b\\e\x1b[?62;cf", 10);
        assert_eq!(scripted.typed(), "abcdef");
        assert_eq!(scripted.answered.unwrap().pane, Graphics::Kitty);
    }

    #[test]
    fn silence_ends_with_the_deadline() {
        let mut scripted = Scripted::new();
        scripted.send(b"q", 4990);
        assert_eq!(scripted.typed(), "q");
        assert!(scripted.answered.is_none());
        scripted.pass(20);
        assert!(scripted.answered.is_some());
    }

    #[test]
    fn half_a_reply_is_dropped_and_keys_go_on() {
        let mut scripted = Scripted::new();
        scripted.send(b"\x1b_Gi=31;O", 500);
        assert!(scripted.events.is_empty());
        // A control character is never part of a reply.
        scripted.send(b"\x03", 0);
        assert_eq!(
            scripted.events,
            [InputEvent::Key(KeyEvent::new(
                KeyCode::Char('c'),
                KeyModifiers::CONTROL
            ))]
        );
        scripted.events.clear();
        scripted.send(b"\x1b[?6", 1100);
        scripted.send(b"x", 5000);
        assert_eq!(scripted.typed(), "x");
        assert!(scripted.answered.is_some());
    }

    #[test]
    fn a_late_reply_is_still_taken_out() {
        let mut scripted = Scripted::new();
        scripted.pass(4000);
        scripted.send(KITTY, 0);
        assert_eq!(scripted.answered.unwrap().pane, Graphics::Kitty);
        assert_eq!(scripted.events, []);
        // It began in time: its end is waited for.
        let mut scripted = Scripted::new();
        scripted.pass(4900);
        scripted.send(b"\x1b[?62", 200);
        assert!(scripted.answered.is_none());
        scripted.send(b";4c", 0);
        assert_eq!(scripted.answered.unwrap().pane, Graphics::Sixel);
        assert_eq!(scripted.events, []);
    }

    #[test]
    fn a_lone_escape_is_the_key_after_a_while() {
        let mut scripted = Scripted::new();
        scripted.send(b"\x1b", 100);
        assert!(scripted.events.is_empty());
        scripted.pass(60);
        assert_eq!(scripted.typed(), "\u{1b}");
        // Pressed twice, or with another after it.
        scripted.send(b"\x1b\x1b[?62c", 0);
        assert_eq!(scripted.typed(), "\u{1b}\u{1b}");
        assert!(scripted.answered.is_some());
    }

    #[test]
    fn ten_kilobytes_of_junk_neither_hang_nor_grow() {
        for junk in [
            &b"\xff\x80"[..],
            b"\x1b_x",
            b"\x1b[1;",
            b"\x1bP",
            b"\x1b[200~y",
        ] {
            let mut scripted = Scripted::new();
            let much: Vec<u8> = junk.iter().copied().cycle().take(10_240).collect();
            scripted.send(&much, 0);
            assert!(scripted.query.bytes.len() <= 2 * BYTES + 1024);
            scripted.pass(1100);
            assert!(scripted.query.bytes.is_empty());
            scripted.send(b"\x1b[?62;4c", 0);
            assert_eq!(scripted.answered.unwrap().pane, Graphics::Sixel);
        }
    }

    #[test]
    fn a_paste_is_one_event_whatever_is_in_it() {
        let mut scripted = Scripted::new();
        for part in ["\x1b[20", "0~a\x1b[A", "\u{e9}\x03", "z\x1b[20", "1~q"] {
            scripted.send(part.as_bytes(), 0);
        }
        let text = "a\x1b[A\u{e9}\x03z".to_owned();
        assert_eq!(
            scripted.events,
            [
                InputEvent::Paste(text),
                InputEvent::Key(KeyCode::Char('q').into())
            ]
        );
        // One without an end.
        scripted.events.clear();
        scripted.send(format!("\x1b[200~{}", "x".repeat(60_000)).as_bytes(), 1100);
        let Some(InputEvent::Paste(text)) = scripted.events.pop() else {
            panic!("no paste");
        };
        assert_eq!(text.len(), MAX_PASTE);
        scripted.send(KITTY, 0);
        assert!(scripted.answered.is_some());
    }

    #[test]
    fn within_tmux_both_answers_are_waited_for() {
        let mut scripted = Scripted::new();
        let (sender, receiver) = sync_channel(1);
        scripted.query.terminal.multiplexer = true;
        scripted.query.terminal.tmux = true;
        scripted.query.tmux = Some(receiver);
        scripted.send(b"\x1b[?1;2c", 0);
        assert!(scripted.answered.is_none());
        let outer = Outer::read("xterm-kitty|kitty(0.36.4)|RGB|8|16|1");
        sender.send(outer).unwrap();
        scripted.pass(10);
        assert!(scripted.answered.is_none());
        scripted.send(b"\x1b_Gi=31;OK\x1b\\", 0);
        let answered = scripted.answered.unwrap();
        assert_eq!((answered.pane, answered.tmux), (Graphics::Kitty, true));
        assert_eq!(answered.cell, Some((8, 16)));
        assert_eq!(answered.print, Graphics::HalfBlocks);
    }
}
