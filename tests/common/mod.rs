//! What the tests of the built program share.

// Each test binary uses a part of this.
#![allow(dead_code)]

use std::process::Command;
use std::time::{Duration, Instant};

/// The built program.
pub const IMPASTO: &str = env!("CARGO_BIN_EXE_impasto");
/// The bundled photograph and the bundled painting.
pub const CONTENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/china.jpg");
pub const STYLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/night.jpg");

/// Longer than anything takes on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// Waits until something is as wanted.
#[track_caller]
pub fn wait_until(what: &str, wanted: impl FnMut() -> bool) {
    wait_within(TIMEOUT, what, wanted);
}

/// Waits until something is as wanted that takes its time.
#[track_caller]
pub fn wait_within(timeout: Duration, what: &str, mut wanted: impl FnMut() -> bool) {
    let deadline = Instant::now() + timeout;
    while !wanted() {
        assert!(Instant::now() < deadline, "no {what} in time");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Reports that a test cannot run on this machine. With `CI` in the environment that is
/// a failure.
pub fn skip(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "cannot be skipped in CI: {why}"
    );
    eprintln!("skipped: {why}");
}

/// A terminal that a tmux server of its own holds, in the session `s`.
pub struct Tmux {
    socket: String,
}

impl Tmux {
    /// A server that is not started yet; none, which is reported, where there is no tmux.
    pub fn new(name: &str) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            skip("there is no tmux on this machine");
            return None;
        }
        Some(Self {
            socket: format!("impasto-{name}-{}", std::process::id()),
        })
    }

    /// Starts the session with a window of this many cells; `arguments` are for
    /// `new-session`.
    pub fn start(&self, (width, height): (u16, u16), arguments: &[&str]) {
        let (width, height) = (width.to_string(), height.to_string());
        let session = ["-f", "/dev/null", "new-session", "-d", "-s", "s"];
        let size = ["-x", &width, "-y", &height];
        self.run(&[&session[..], &size, arguments].concat());
    }

    /// Runs a tmux command, and gives its output.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-L", &self.socket])
            .args(arguments)
            .env_remove("TMUX")
            .output()
            .expect("tmux runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Presses keys, by tmux's names for them.
    pub fn keys(&self, keys: &[&str]) {
        self.run(&[&["send-keys", "-t", "s"], keys].concat());
    }

    /// What the window shows; `options` are for `capture-pane`.
    pub fn capture(&self, options: &[&str]) -> String {
        self.run(&[&["capture-pane", "-t", "s", "-p"], options].concat())
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}
