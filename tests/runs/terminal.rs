//! A command in a real terminal, which tmux holds.

use std::process::Command;

use super::store::{IMPASTO, Store, wait_for};

/// A terminal with one command in it.
pub struct Screen {
    socket: String,
}

impl Screen {
    /// Runs impasto in a terminal of so many cells, with `settings` such as
    /// `NO_COLOR=1`. None where there is no tmux, which is told.
    pub fn open(
        store: &Store,
        name: &str,
        (width, height): (u16, u16),
        settings: &str,
        arguments: &[&str],
    ) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("skipped: there is no tmux on this machine");
            return None;
        }
        let screen = Self {
            socket: format!("impasto-runs-{name}-{}", std::process::id()),
        };
        let environment = store.environment();
        let environment = environment.map(|(key, value)| format!("{key}='{}'", value.display()));
        let arguments: Vec<String> = arguments.iter().map(|it| format!("'{it}'")).collect();
        let command = format!(
            "cd '{}'; trap : INT; clear; env COLORTERM=truecolor {} {settings} '{IMPASTO}' {}; \
             code=$?; echo; echo \"code $code.\"; sleep 600",
            store.folder().display(),
            environment.join(" "),
            arguments.join(" ")
        );
        screen.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-s",
            "s",
            "-x",
            &width.to_string(),
            "-y",
            &height.to_string(),
            &command,
        ]);
        Some(screen)
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-L", &self.socket])
            .args(arguments)
            .env_remove("TMUX")
            .output()
            .expect("tmux runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn keys(&self, keys: &[&str]) {
        let mut arguments = vec!["send-keys", "-t", "s"];
        arguments.extend(keys);
        self.tmux(&arguments);
    }

    /// All that was printed, also what has left the screen, without colours.
    pub fn text(&self) -> String {
        self.tmux(&["capture-pane", "-t", "s", "-p", "-S", "-"])
    }

    /// All that was printed, with the sequences that colour it.
    pub fn coloured(&self) -> String {
        self.tmux(&["capture-pane", "-t", "s", "-p", "-e", "-S", "-"])
    }

    /// Waits until a text is seen, and returns all that is.
    #[track_caller]
    pub fn shows(&self, text: &str) -> String {
        wait_for(text, || {
            Some(self.text()).filter(|seen| seen.contains(text))
        })
    }

    /// Waits for the command's end and tells its exit code.
    #[track_caller]
    pub fn code(&self) -> u8 {
        let text = self.shows("\ncode ");
        let code = text.rsplit("\ncode ").next().unwrap_or_default();
        let code = code.split('.').next().unwrap_or_default();
        code.parse().expect("a number")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
