//! A terminal of the tests' own: tmux holds it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::common::{CONTENT, IMPASTO, STYLE, TIMEOUT, Tmux};

/// A terminal with a shell in it, of its own tmux server.
pub struct Shell {
    tmux: Tmux,
    pub folder: tempfile::TempDir,
}

impl Shell {
    /// A shell in a window of this many cells; none, which is reported, where there is no
    /// tmux.
    pub fn open(name: &str, width: u16, height: u16) -> Option<Self> {
        let shell = Self {
            tmux: Tmux::new(name)?,
            folder: tempfile::tempdir().expect("a folder"),
        };
        let folder = shell
            .folder
            .path()
            .to_str()
            .expect("a name in UTF-8")
            .to_owned();
        let state = format!("XDG_STATE_HOME={folder}");
        let config = format!("XDG_CONFIG_HOME={folder}");
        let data = format!("XDG_DATA_HOME={folder}/data");
        let mut arguments = vec!["-c", folder.as_str()];
        for variable in [
            state.as_str(),
            &config,
            &data,
            "OMP_NUM_THREADS=1",
            "COLORTERM=truecolor",
            "SHELL=/bin/bash",
        ] {
            arguments.extend(["-e", variable]);
        }
        arguments.push("bash --norc");
        shell.tmux.start((width, height), &arguments);
        shell.wait_until("prompt", |screen| !screen.trim().is_empty());
        shell.enter("PS1='ready> '; clear");
        shell.wait_until("ready", |screen| screen.trim() == "ready>");
        Some(shell)
    }

    pub fn tmux(&self, arguments: &[&str]) -> String {
        self.tmux.run(arguments)
    }

    pub fn keys(&self, keys: &[&str]) {
        self.tmux.keys(keys);
    }

    fn screen(&self) -> String {
        self.tmux.capture(&[])
    }

    /// Waits until the screen is as wanted, and returns it.
    #[track_caller]
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "no {what} in:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    /// Starts the dashboard on a long run of a small picture.
    pub fn start(&self) {
        self.start_with("");
    }

    pub fn start_with(&self, flags: &str) {
        let command = format!(
            "{IMPASTO} run {CONTENT} {STYLE} -o out.png --device cpu {flags} --set 'schedule=[{{size: 64, \
             iterations: 1000000}}]'"
        );
        self.enter(&command);
        self.wait_for(" of 1000000");
    }

    /// Stops the run and lets it save its picture.
    #[track_caller]
    pub fn stop(&self) {
        self.keys(&["q"]);
        self.wait_for("Leave the run?");
        self.keys(&["s"]);
    }

    /// What a command prints that has no terminal.
    pub fn impasto(&self, arguments: &[&str]) -> String {
        let output = Command::new(IMPASTO)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("XDG_DATA_HOME", self.folder.path().join("data"))
            .output()
            .expect("impasto runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// How many iterations the latest run has behind it, and its state.
    pub fn run(&self) -> (u64, String) {
        let json = self.impasto(&["runs", "show", "--json"]);
        let all: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let run = &all["run"];
        let words = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        (
            run["iteration"].as_u64().unwrap_or_default(),
            words(&run["state"]),
        )
    }

    /// Types a line.
    pub fn enter(&self, line: &str) {
        self.keys(&["-l", line]);
        self.keys(&["Enter"]);
    }

    /// The total that the chart tells, once it tells one that is wanted.
    #[track_caller]
    pub fn wait_for_total(&self, wanted: impl Fn(f64) -> bool) -> f64 {
        let total = |screen: &str| -> Option<f64> {
            let rest = screen.split("total ").nth(1)?;
            rest.split_whitespace().next()?.parse().ok()
        };
        let screen = self.wait_until("total", |screen| total(screen).is_some_and(&wanted));
        total(&screen).expect("a total")
    }

    /// Runs a command in the shell and waits for what it prints.
    #[track_caller]
    pub fn assert_shell_answers(&self) {
        self.enter("echo an'swer'");
        self.wait_until("answer", |screen| {
            screen.lines().any(|line| line.trim() == "answer")
        });
        let modes = self.tmux(&[
            "display-message",
            "-p",
            "-t",
            "s",
            "#{alternate_on}#{cursor_flag}#{mouse_any_flag}#{insert_flag}",
        ]);
        assert_eq!(modes.trim(), "0100", "the terminal is as it was");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.tmux.run(&["kill-server"]);
        // An engine outlives its terminal.
        let _ = self.impasto(&["stop"]);
    }
}

/// Whether the picture is there, and whole.
pub fn saved(folder: &Path) -> bool {
    image::open(folder.join("out.png")).is_ok()
}
