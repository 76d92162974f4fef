//! What tmux says of the terminal that it runs in.

use std::env;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::placeholders::has_placeholders;

const FORMAT: &str = "#{client_termname}|#{client_termtype}|#{client_termfeatures}|\
    #{client_cell_width}|#{client_cell_height}|#{allow-passthrough}";
/// tmux answers in milliseconds, unless it hangs.
const TIMEOUT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);
const MAX_LENGTH: u64 = 1024;

/// The terminal around tmux.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outer {
    /// Its `TERM`.
    term: String,
    /// What it calls itself.
    name: String,
    features: Vec<String>,
    pub(super) cell: Option<(u16, u16)>,
    /// Whether tmux hands on what is wrapped for the terminal.
    passthrough: bool,
}

impl Outer {
    /// Whether pictures by kitty's protocol can get through and be placed. They
    /// are named by a colour, so tmux must not take colours to the nearest of
    /// 256; from these two terminals' own descriptions it knows that.
    pub fn may_show_kitty(&self) -> bool {
        let own = self.term.contains("kitty") || self.term.contains("ghostty");
        let colours = own || self.has("RGB");
        let placeholders = if self.name.is_empty() {
            own
        } else {
            has_placeholders(&self.name)
        };
        self.passthrough && colours && placeholders
    }

    pub(super) fn has_sixel(&self) -> bool {
        self.has("sixel")
    }

    fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|one| one == feature)
    }

    /// From a line in [`FORMAT`].
    pub fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.trim_end().split('|').collect();
        let [term, name, features, width, height, passthrough] = fields[..] else {
            return None;
        };
        let cell = (width.parse().unwrap_or(0), height.parse().unwrap_or(0));
        Some(Self {
            term: term.to_owned(),
            name: name.to_owned(),
            features: features.split(',').map(str::to_owned).collect(),
            cell: (cell.0 > 0 && cell.1 > 0).then_some(cell),
            passthrough: matches!(passthrough, "1" | "2" | "on" | "all"),
        })
    }
}

/// Asks tmux, on a thread of its own. The answer may be that there is none;
/// it comes soon.
pub fn ask() -> Receiver<Option<Outer>> {
    let (sender, receiver) = sync_channel(1);
    let asked = thread::Builder::new()
        .name("tmux".to_owned())
        .spawn(move || sender.send(run()));
    // Without a thread the channel closes, which is an answer too.
    drop(asked);
    receiver
}

fn run() -> Option<Outer> {
    let mut command = Command::new("tmux");
    command.args(["display-message", "-p"]);
    if let Ok(pane) = env::var("TMUX_PANE") {
        command.args(["-t", &pane]);
    }
    let mut child = command
        .arg(FORMAT)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let deadline = Instant::now() + TIMEOUT;
    while child.try_wait().ok()?.is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        thread::sleep(PAUSE);
    }
    // It is over, so all that it wrote waits to be read.
    let mut words = Vec::new();
    let stdout = child.stdout.take()?;
    stdout.take(MAX_LENGTH).read_to_end(&mut words).ok()?;
    Outer::read(&String::from_utf8_lossy(&words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_read() {
        let outer = Outer::read("xterm-256color|kitty(0.36.4)|RGB,title|8|16|1\n").unwrap();
        assert_eq!(outer.cell, Some((8, 16)));
        assert!(outer.may_show_kitty() && !outer.has_sixel());
        assert_eq!(Outer::read(""), None);
        assert_eq!(Outer::read("a|b|c|d|e|f|g"), None);
        assert_eq!(Outer::read("a|b|c|d|e|").unwrap().cell, None);
    }

    #[test]
    fn kitty_gets_through_only_where_all_is_right() {
        let may = |line: &str| Outer::read(line).unwrap().may_show_kitty();
        assert!(may("xterm-kitty||title|8|16|on"));
        assert!(may("xterm-ghostty|ghostty 1.1|title|8|16|all"));
        assert!(may("xterm-256color|kitty(0.36.4)|RGB|8|16|2"));
        // Colours would be lost, nothing gets through, or it knows no places.
        assert!(!may("xterm-256color|kitty(0.36.4)|title|8|16|1"));
        assert!(!may("xterm-kitty|kitty(0.36.4)|title|8|16|0"));
        assert!(!may("xterm-kitty|kitty(0.36.4)|title|8|16|"));
        assert!(!may("xterm-256color|WezTerm 2024|RGB|8|16|1"));
        assert!(!may("xterm-256color||RGB|8|16|1"));
    }
}
