//! What the terminal can do, found out without ever waiting on it for long.
//!
//! Most of it the environment tells. Whether pictures can be shown as true
//! pixels only the terminal itself knows, and a terminal that does not know
//! the question stays silent: so every question has a deadline, and it ends
//! with one that every terminal answers.

use std::env;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crossterm::terminal::{disable_raw_mode, enable_raw_mode, window_size};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::termios::{QueueSelector, tcflush, tcgetpgrp};

/// How long a terminal may take to answer. A line around the world and back
/// takes a third of a second.
const PATIENCE: Duration = Duration::from_millis(600);
/// Whether a picture could be shown that is sent along (31), whether one that
/// lies in a file (32, a file that is not there), then the device attributes.
/// The printer asks the first two again and waits for its answers without a
/// limit, so a terminal counts as kitty's only if it answers both.
const QUESTION: &[u8] = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\
    \x1b_Gi=32,s=1,v=1,a=q,t=t;L3RtcC8udHR5LWdyYXBoaWNzLXByb3RvY29sLm5vbmU=\x1b\\\x1b[c";
/// No answer is longer than this; more is not an answer.
const LONGEST_REPLY: usize = 1024;

/// How the terminal can show pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Graphics {
    /// kitty's graphics protocol.
    Kitty,
    /// iTerm2's inline images.
    Iterm,
    Sixel,
    /// Two pixels to a cell, by way of the character ▀.
    HalfBlocks,
}

impl fmt::Display for Graphics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Kitty => "pixels by the kitty protocol",
            Self::Iterm => "pixels by the iTerm2 protocol",
            Self::Sixel => "pixels by sixel",
            Self::HalfBlocks => "half-blocks",
        })
    }
}

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    True,
    Indexed,
    /// The user set `NO_COLOR`, or the terminal has none.
    None,
}

impl fmt::Display for Colours {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::True => "16 million colours",
            Self::Indexed => "256 colours",
            Self::None => "no colours",
        })
    }
}

/// The terminal that stdout is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminal {
    pub columns: u16,
    pub rows: u16,
    /// Width and height of a cell in pixels, where the terminal tells.
    pub cell: Option<(u16, u16)>,
    pub colours: Colours,
    /// Inside tmux or screen.
    pub multiplexer: bool,
    /// Over an SSH connection.
    pub ssh: bool,
}

impl Terminal {
    /// The terminal as the environment describes it; none if stdout is no
    /// terminal. Asks the terminal nothing.
    pub fn detect() -> Option<Self> {
        if !io::stdout().is_terminal() {
            return None;
        }
        let size = window_size().ok()?;
        let cell = match (
            size.width.checked_div(size.columns),
            size.height.checked_div(size.rows),
        ) {
            (Some(width), Some(height)) if width > 0 && height > 0 => Some((width, height)),
            _ => None,
        };
        Some(Self {
            columns: size.columns,
            rows: size.rows,
            cell,
            colours: colours(
                &variable("TERM"),
                &variable("COLORTERM"),
                &variable("NO_COLOR"),
            ),
            multiplexer: multiplexer(&variable("TERM"), &variable("TMUX"), &variable("STY")),
            ssh: ["SSH_CONNECTION", "SSH_TTY"]
                .iter()
                .any(|name| !variable(name).is_empty()),
        })
    }

    /// How this terminal surely shows pictures that are drawn over and over,
    /// judging by its name alone: for a screen that must stand at once. Over
    /// SSH it is half-blocks, the only kind that takes few bytes.
    pub fn graphics_by_name(&self) -> Graphics {
        let term = variable("TERM");
        if self.multiplexer || self.ssh {
            Graphics::HalfBlocks
        } else if term.contains("kitty") || term.contains("ghostty") {
            Graphics::Kitty
        } else if viuer::is_iterm_supported() {
            Graphics::Iterm
        } else {
            Graphics::HalfBlocks
        }
    }

    /// How this terminal shows pictures. Asks the terminal, and waits
    /// [`PATIENCE`] at most; without an answer, and inside tmux and screen,
    /// it is half-blocks.
    pub fn graphics(&self) -> Graphics {
        if self.multiplexer || variable("TERM") == "dumb" {
            return Graphics::HalfBlocks;
        }
        if viuer::is_iterm_supported() {
            return Graphics::Iterm;
        }
        match ask() {
            Ok(reply) => graphics_in(&reply),
            Err(_) => Graphics::HalfBlocks,
        }
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn colours(term: &str, colorterm: &str, no_color: &str) -> Colours {
    if !no_color.is_empty() || term == "dumb" {
        Colours::None
    } else if colorterm.contains("truecolor") || colorterm.contains("24bit") {
        Colours::True
    } else {
        Colours::Indexed
    }
}

fn multiplexer(term: &str, tmux: &str, screen: &str) -> bool {
    !tmux.is_empty() || !screen.is_empty() || term.starts_with("tmux") || term.starts_with("screen")
}

/// Asks [`QUESTION`]. Its last part tells of sixel, and every terminal answers
/// it.
fn ask() -> io::Result<Vec<u8>> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    // A background job that touches the terminal would be stopped.
    if tcgetpgrp(&terminal)? != getpgrp() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    enable_raw_mode()?;
    let reply = converse(&mut terminal);
    if reply.is_err() {
        // What arrives late must not end up at the shell's prompt.
        let _ = tcflush(&terminal, QueueSelector::IFlush);
    }
    disable_raw_mode()?;
    reply
}

fn converse(terminal: &mut File) -> io::Result<Vec<u8>> {
    terminal.write_all(QUESTION)?;
    let deadline = Instant::now() + PATIENCE;
    let mut reply = Vec::new();
    while !is_complete(&reply) {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let fd = terminal.as_fd();
        if left.is_zero() || poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&wait))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut bytes = [0; 256];
        let count = terminal.read(&mut bytes)?;
        reply.extend_from_slice(&bytes[..count]);
        if count == 0 || reply.len() > LONGEST_REPLY {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(reply)
}

/// The device attributes in a reply: the text between `ESC [ ?` and `c`.
fn attributes(reply: &[u8]) -> Option<&[u8]> {
    let start = reply.windows(3).position(|bytes| bytes == b"\x1b[?")? + 3;
    let rest = &reply[start..];
    let length = rest
        .iter()
        .position(|byte| !byte.is_ascii_digit() && *byte != b';')?;
    (rest[length] == b'c').then_some(&rest[..length])
}

fn is_complete(reply: &[u8]) -> bool {
    attributes(reply).is_some()
}

fn graphics_in(reply: &[u8]) -> Graphics {
    let says = |words: &[u8]| reply.windows(words.len()).any(|bytes| bytes == words);
    if says(b"\x1b_Gi=31;OK") && says(b"\x1b_Gi=32;") {
        return Graphics::Kitty;
    }
    let sixel = attributes(reply).is_some_and(|attributes| {
        attributes
            .split(|byte| *byte == b';')
            .any(|one| one == b"4")
    });
    if sixel {
        Graphics::Sixel
    } else {
        Graphics::HalfBlocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_understood() {
        assert_eq!(
            graphics_in(b"\x1b_Gi=31;OK\x1b\\\x1b_Gi=32;EBADF:no such file\x1b\\\x1b[?62;c"),
            Graphics::Kitty
        );
        // One that leaves the second question open would hang the printer.
        assert_eq!(
            graphics_in(b"\x1b_Gi=31;OK\x1b\\\x1b[?62;c"),
            Graphics::HalfBlocks
        );
        assert_eq!(graphics_in(b"\x1b[?62;4;22c"), Graphics::Sixel);
        assert_eq!(graphics_in(b"\x1b[?64;14;44c"), Graphics::HalfBlocks);
        assert_eq!(
            graphics_in(b"\x1b_Gi=31;ENOTSUPPORTED\x1b\\\x1b[?1;2c"),
            Graphics::HalfBlocks
        );
        // A key that was typed first is no answer and spoils none.
        assert_eq!(graphics_in(b"q\x1b[?62;4c"), Graphics::Sixel);
    }

    #[test]
    fn a_reply_is_complete_with_the_device_attributes() {
        assert!(is_complete(b"\x1b_Gi=31;OK\x1b\\\x1b[?62c"));
        for partial in [
            &b""[..],
            b"\x1b",
            b"\x1b[?",
            b"\x1b[?62;4",
            b"\x1b_Gi=31;OK\x1b\\",
            b"c",
        ] {
            assert!(!is_complete(partial), "{partial:?}");
        }
    }

    #[test]
    fn colours_follow_the_environment() {
        assert_eq!(colours("xterm-256color", "truecolor", ""), Colours::True);
        assert_eq!(colours("xterm-256color", "", ""), Colours::Indexed);
        assert_eq!(colours("xterm-256color", "truecolor", "1"), Colours::None);
        assert_eq!(colours("dumb", "", ""), Colours::None);
    }

    #[test]
    fn multiplexers_are_seen() {
        assert!(multiplexer("tmux-256color", "", ""));
        assert!(multiplexer("xterm", "/tmp/tmux-0/default,1,0", ""));
        assert!(multiplexer("screen", "", ""));
        assert!(!multiplexer("xterm-kitty", "", ""));
    }
}
