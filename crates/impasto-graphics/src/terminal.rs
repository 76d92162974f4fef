//! What the terminal can do, found out without ever waiting on it for long.
//!
//! Most of it comes from the environment. Whether pictures can be shown as true
//! pixels only the terminal itself knows, and a terminal that does not know
//! the question stays silent: so every question has a deadline, and it ends
//! with one that every terminal answers.

mod answer;
mod placeholders;
pub mod sequence;
pub mod tmux;

use std::env;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

pub use answer::{Answer, question};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode, window_size};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::termios::{QueueSelector, tcflush, tcgetpgrp};

/// How long a terminal may take to answer where nothing can continue meanwhile. A
/// line around the world and back takes a third of a second.
const TIMEOUT: Duration = Duration::from_millis(600);
/// No answer is longer than this; more is not an answer.
const MAX_ANSWER: usize = 4096;
/// Terminals without graphics of which some print the question's text.
const NOT_ASKED: [&str; 5] = ["", "dumb", "linux", "ansi", "cons25"];
/// Terminals that show every colour, whether or not COLORTERM comes through.
const ALL_COLOURS: [&str; 6] = ["kitty", "ghostty", "alacritty", "foot", "wezterm", "iterm"];

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

impl Graphics {
    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kitty => "kitty",
            Self::Iterm => "iTerm2",
            Self::Sixel => "sixel",
            Self::HalfBlocks => "half-blocks",
        }
    }
}

/// How a terminal shows pictures, as it has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// What can be drawn over and over in a pane.
    pub pane: Graphics,
    /// What the printer can use, for a picture on its own.
    pub print: Graphics,
    /// Width and height of a cell in pixels.
    pub cell: Option<(u16, u16)>,
    /// Whether pictures by kitty's protocol go through tmux.
    pub tmux: bool,
}

impl Capabilities {
    /// Graphics that are taken for granted, with cells of `cell` pixels.
    #[must_use]
    pub fn assumed(graphics: Graphics, cell: Option<(u16, u16)>) -> Self {
        Self {
            pane: graphics,
            print: graphics,
            cell,
            tmux: false,
        }
    }
}

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    True,
    Indexed,
    /// The sixteen that the user's own palette defines.
    Sixteen,
    /// The user set `NO_COLOR`, or the terminal has none.
    None,
}

impl fmt::Display for Colours {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::True => "16 million colours",
            Self::Indexed => "256 colours",
            Self::Sixteen => "16 colours",
            Self::None => "no colours",
        })
    }
}

/// More than fit on any screen that there is, and little enough for memory.
const MAX_COLUMNS: u16 = 1000;
const MAX_ROWS: u16 = 500;
/// The largest side of a cell that is believed, in pixels.
const LARGEST_CELL: u16 = 500;

/// The terminal that stdout is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminal {
    pub columns: u16,
    pub rows: u16,
    /// Width and height of a cell in pixels, where the terminal reports it.
    pub cell: Option<(u16, u16)>,
    pub colours: Colours,
    /// Inside tmux or screen.
    pub multiplexer: bool,
    /// Inside a tmux that can be asked about the terminal around it.
    pub tmux: bool,
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
        let (columns, rows) = clamp_size(size.columns, size.rows);
        Some(Self {
            columns,
            rows,
            cell: cell_size(),
            colours: colours(
                &variable("TERM"),
                &variable("COLORTERM"),
                &variable("NO_COLOR"),
                !variable("TMUX").is_empty(),
            ),
            multiplexer: multiplexer(&variable("TERM"), &variable("TMUX"), &variable("STY")),
            tmux: !variable("TMUX").is_empty() && variable("STY").is_empty(),
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

    /// How a picture is printed on this terminal. Asks the terminal, and waits
    /// 600 milliseconds at most; without an answer, and inside tmux and screen,
    /// it is half-blocks.
    pub fn graphics(&self) -> Graphics {
        if viuer::is_iterm_supported() && !self.multiplexer {
            return Graphics::Iterm;
        }
        if self.multiplexer || !self.may_be_asked() {
            return Graphics::HalfBlocks;
        }
        ask(self).map_or(Graphics::HalfBlocks, |answer| {
            self.capabilities(&answer, None).print
        })
    }

    /// Whether it makes sense to ask this terminal about graphics.
    #[must_use]
    pub fn may_be_asked(&self) -> bool {
        self.colours != Colours::None
            && (self.tmux || !self.multiplexer)
            && is_asked(&variable("TERM"))
    }
}

/// Width and height of a cell in pixels, as the terminal reports them now, if it
/// does.
pub fn cell_size() -> Option<(u16, u16)> {
    let size = window_size().ok()?;
    let width = size.width.checked_div(size.columns)?;
    let height = size.height.checked_div(size.rows)?;
    Some((width, height)).filter(|cell| is_plausible_cell_size(*cell))
}

/// Whether a cell may have this width and height in pixels.
fn is_plausible_cell_size((width, height): (u16, u16)) -> bool {
    let believed = 1..=LARGEST_CELL;
    believed.contains(&width) && believed.contains(&height)
}

/// As many columns and rows as a terminal may have; one that says it has more is
/// believed so far.
pub fn clamp_size(columns: u16, rows: u16) -> (u16, u16) {
    (columns.min(MAX_COLUMNS), rows.min(MAX_ROWS))
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn colours(term: &str, colorterm: &str, no_color: &str, tmux: bool) -> Colours {
    let all = colorterm.contains("truecolor")
        || colorterm.contains("24bit")
        || term.ends_with("-direct")
        || ALL_COLOURS.iter().any(|name| term.contains(name));
    if !no_color.is_empty() || term == "dumb" {
        Colours::None
    } else if all {
        Colours::True
    } else if term.contains("256color") || tmux {
        // tmux itself takes colours to the nearest that the terminal has.
        Colours::Indexed
    } else {
        Colours::Sixteen
    }
}

fn is_asked(term: &str) -> bool {
    !NOT_ASKED.contains(&term) && !term.starts_with("vt1") && !term.starts_with("vt2")
}

fn multiplexer(term: &str, tmux: &str, screen: &str) -> bool {
    !tmux.is_empty() || !screen.is_empty() || term.starts_with("tmux") || term.starts_with("screen")
}

/// Asks the terminal, and waits [`TIMEOUT`] at most.
fn ask(about: &Terminal) -> io::Result<Answer> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    // A background job that touches the terminal would be stopped.
    if tcgetpgrp(&terminal)? != getpgrp() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    enable_raw_mode()?;
    let answer = converse(&mut terminal, &question(about));
    if answer.is_err() {
        // What arrives late must not end up at the shell's prompt.
        let _ = tcflush(&terminal, QueueSelector::IFlush);
    }
    disable_raw_mode()?;
    answer
}

fn converse(terminal: &mut File, question: &str) -> io::Result<Answer> {
    terminal.write_all(question.as_bytes())?;
    let deadline = Instant::now() + TIMEOUT;
    let mut answer = Answer::default();
    let mut bytes = Vec::new();
    let mut total = 0;
    while !answer.is_complete(None) {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let fd = terminal.as_fd();
        if left.is_zero() || poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&wait))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut more = [0; 256];
        let count = terminal.read(&mut more)?;
        total += count;
        if count == 0 || total > MAX_ANSWER {
            return Err(io::ErrorKind::InvalidData.into());
        }
        bytes.extend_from_slice(&more[..count]);
        // Keys that were typed meanwhile are no one's.
        while let Some((sequence, length)) = sequence::first(&bytes) {
            answer.take(&sequence);
            bytes.drain(..length);
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_environment() {
        let by = |term, colorterm| colours(term, colorterm, "", false);
        assert_eq!(by("xterm-256color", "truecolor"), Colours::True);
        assert_eq!(by("linux", "24bit"), Colours::True);
        for term in [
            "xterm-direct",
            "xterm-kitty",
            "xterm-ghostty",
            "alacritty",
            "foot-extra",
        ] {
            assert_eq!(by(term, ""), Colours::True, "{term}");
        }
        for term in ["xterm-256color", "screen-256color", "tmux-256color"] {
            assert_eq!(by(term, ""), Colours::Indexed, "{term}");
        }
        for term in ["linux", "xterm", "vt100", "ansi", "screen", "rxvt", ""] {
            assert_eq!(by(term, ""), Colours::Sixteen, "{term}");
        }
        assert_eq!(by("dumb", "truecolor"), Colours::None);
        assert_eq!(colours("xterm", "truecolor", "1", false), Colours::None);
        // tmux calls itself screen at times, and knows more colours.
        assert_eq!(colours("screen", "", "", true), Colours::Indexed);
    }

    #[test]
    fn terminals_that_would_print_the_question_are_not_asked() {
        for term in ["", "dumb", "linux", "vt100", "vt220", "ansi"] {
            assert!(!is_asked(term), "{term}");
        }
        for term in ["xterm", "xterm-256color", "foot", "screen"] {
            assert!(is_asked(term), "{term}");
        }
    }

    #[test]
    fn multiplexers_are_seen() {
        assert!(multiplexer("tmux-256color", "", ""));
        assert!(multiplexer("xterm", "/tmp/tmux-0/default,1,0", ""));
        assert!(multiplexer("screen", "", ""));
        assert!(!multiplexer("xterm-kitty", "", ""));
    }
}
