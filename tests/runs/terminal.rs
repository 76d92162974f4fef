//! A command in a real terminal, which tmux holds.

use super::common::{IMPASTO, Tmux};
use super::store::{Store, wait_for};

/// A terminal with one command in it.
pub struct Screen {
    tmux: Tmux,
}

impl Screen {
    /// Runs impasto in a terminal of this many cells, with `settings` such as
    /// `NO_COLOR=1`. None where there is no tmux, which is told.
    pub fn open(
        store: &Store,
        name: &str,
        size: (u16, u16),
        settings: &str,
        arguments: &[&str],
    ) -> Option<Self> {
        let tmux = Tmux::new(&format!("runs-{name}"))?;
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
        tmux.start(size, &[&command]);
        Some(Self { tmux })
    }

    pub fn keys(&self, keys: &[&str]) {
        self.tmux.keys(keys);
    }

    /// All that was printed, also what has left the screen, without colours.
    pub fn text(&self) -> String {
        self.tmux.capture(&["-S", "-"])
    }

    /// All that was printed, with the sequences that colour it.
    pub fn coloured(&self) -> String {
        self.tmux.capture(&["-e", "-S", "-"])
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
