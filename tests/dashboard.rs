//! The real dashboard in a real terminal: tmux holds it, keys are sent, the
//! screen is read back. Where there is no tmux, these tests say so and do
//! nothing.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use impasto::picture;

const CONTENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/china.jpg");
const IMPASTO: &str = env!("CARGO_BIN_EXE_impasto");
const STYLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/night.jpg");

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Whether there is a tmux to hold a terminal; says so if not.
fn tmux_is_here() -> bool {
    let here = Command::new("tmux").arg("-V").output().is_ok();
    if !here {
        eprintln!("skipped: there is no tmux on this machine");
    }
    here
}

/// A terminal with a shell in it, of its own tmux server.
struct Shell {
    socket: String,
    folder: tempfile::TempDir,
}

impl Shell {
    fn open(name: &str, width: u16, height: u16) -> Self {
        let shell = Self {
            socket: format!("impasto-{name}-{}", std::process::id()),
            folder: tempfile::tempdir().expect("a folder"),
        };
        let (width, height) = (width.to_string(), height.to_string());
        let folder = shell
            .folder
            .path()
            .to_str()
            .expect("a name in UTF-8")
            .to_owned();
        let state = format!("XDG_STATE_HOME={folder}");
        let config = format!("XDG_CONFIG_HOME={folder}");
        let data = format!("XDG_DATA_HOME={folder}/data");
        shell.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-s",
            "s",
            "-x",
            &width,
            "-y",
            &height,
            "-c",
            &folder,
            "-e",
            &state,
            "-e",
            &config,
            "-e",
            &data,
            "-e",
            "OMP_NUM_THREADS=1",
            "-e",
            "COLORTERM=truecolor",
            "-e",
            "SHELL=/bin/bash",
            "bash --norc",
        ]);
        shell.wait_until("prompt", |screen| !screen.trim().is_empty());
        shell.enter("PS1='ready> '; clear");
        shell.wait_until("ready", |screen| screen.trim() == "ready>");
        shell
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

    fn keys(&self, keys: &[&str]) {
        let mut arguments = vec!["send-keys", "-t", "s"];
        arguments.extend(keys);
        self.tmux(&arguments);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-t", "s", "-p"])
    }

    /// Waits until the screen is as wanted, and returns it.
    #[track_caller]
    fn wait_until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
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
    fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    /// Starts the dashboard on a long run of a small picture.
    fn start(&self) {
        self.start_with("");
    }

    fn start_with(&self, flags: &str) {
        let command = format!(
            "{IMPASTO} run {CONTENT} {STYLE} -o out.png --device cpu {flags} --set 'schedule=[{{size: 64, \
             iterations: 1000000}}]'"
        );
        self.enter(&command);
        self.wait_for(" of 1000000");
    }

    /// Stops the run and lets it save its picture.
    #[track_caller]
    fn stop(&self) {
        self.keys(&["q"]);
        self.wait_for("Leave the run?");
        self.keys(&["s"]);
    }

    /// What a command prints that has no terminal.
    fn impasto(&self, arguments: &[&str]) -> String {
        let output = Command::new(IMPASTO)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("XDG_DATA_HOME", self.folder.path().join("data"))
            .output()
            .expect("impasto runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// How many iterations the latest run has behind it, and its state.
    fn run(&self) -> (u64, String) {
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
    fn enter(&self, line: &str) {
        self.keys(&["-l", line]);
        self.keys(&["Enter"]);
    }

    /// The total that the chart tells, once it tells one that is wanted.
    #[track_caller]
    fn wait_for_total(&self, wanted: impl Fn(f64) -> bool) -> f64 {
        let total = |screen: &str| -> Option<f64> {
            let rest = screen.split("total ").nth(1)?;
            rest.split_whitespace().next()?.parse().ok()
        };
        let screen = self.wait_until("total", |screen| total(screen).is_some_and(&wanted));
        total(&screen).expect("a total")
    }

    /// Runs a command in the shell and waits for what it prints.
    #[track_caller]
    fn assert_shell_answers(&self) {
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
        self.tmux(&["kill-server"]);
        // An engine outlives its terminal.
        let _ = self.impasto(&["stop"]);
    }
}

fn saved(folder: &Path) -> bool {
    picture::load(&folder.join("out.png")).is_ok()
}

#[test]
fn it_opens_edits_switches_resizes_and_leaves_a_clean_terminal() {
    if !tmux_is_here() {
        return;
    }
    let shell = Shell::open("whole", 120, 36);
    shell.start();
    let screen = shell.wait_for("painting");
    for words in [
        "china.jpg",
        "night.jpg",
        "losses",
        "weights",
        "relu4_2",
        "on cpu",
    ] {
        assert!(screen.contains(words), "no {words} in:\n{screen}");
    }

    // The style counts a million times as much: so does its loss.
    let before = shell.wait_for_total(|_| true);
    shell.keys(&["Down", "Down"]);
    shell.keys(&["-l", "5e7"]);
    shell.keys(&["Enter"]);
    shell.wait_for_total(|total| total > 1e3 * before);
    shell.wait_for("(edited)");
    // Set to nothing, its share goes with it.
    shell.keys(&["0", "Enter"]);
    shell.wait_until("style without a share", |screen| {
        screen
            .lines()
            .any(|line| line.contains("│style") && line.contains(" 0%"))
    });

    shell.keys(&["p"]);
    shell.wait_for("type to find one");
    shell.keys(&["b", "o", "l", "d"]);
    shell.wait_for("Thick strokes");
    // What would change is told before it is taken.
    shell.wait_for("in a new run: schedule");
    shell.keys(&["Enter"]);
    shell.wait_for("from the start");
    shell.keys(&["Escape"]);
    // Escape and a key right behind it would be one key with Alt.
    shell.wait_until("bold applied", |screen| {
        screen.contains("  bold  on cpu")
            && screen.contains("60000")
            && !screen.contains("from the start")
    });

    shell.keys(&["v"]);
    shell.wait_for("v back");
    shell.keys(&["v"]);
    shell.wait_for("losses");

    shell.keys(&["Space"]);
    shell.wait_for("paused");
    shell.keys(&["Space"]);
    shell.wait_until("painting again", |screen| !screen.contains("paused"));

    shell.tmux(&["resize-window", "-t", "s", "-x", "30", "-y", "8"]);
    shell.wait_for("needs 60×16");
    shell.tmux(&["resize-window", "-t", "s", "-x", "80", "-y", "24"]);
    shell.wait_for("weights");

    shell.keys(&["C-z"]);
    shell.wait_for("Stopped");
    shell.assert_shell_answers();
    shell.enter("fg");
    shell.wait_for("weights");

    shell.keys(&["?"]);
    shell.wait_for("one iteration, then pause");
    shell.keys(&["Escape"]);
    shell.wait_until("closed help", |screen| {
        !screen.contains("one iteration, then pause")
    });
    shell.stop();
    shell.wait_for("saved out.png");
    shell.assert_shell_answers();
    assert!(saved(shell.folder.path()));
}

#[test]
fn control_c_asks_first() {
    if !tmux_is_here() {
        return;
    }
    let shell = Shell::open("interrupt", 80, 24);
    shell.start();
    shell.keys(&["C-c"]);
    shell.wait_for("Leave the run?");
    shell.keys(&["s"]);
    shell.wait_for("saved out.png");
    assert!(saved(shell.folder.path()));
    assert_eq!(shell.run().1, "stopped");
}

#[test]
fn the_run_goes_on_without_a_terminal_and_is_seen_again() {
    if !tmux_is_here() {
        return;
    }
    let shell = Shell::open("hangup", 80, 24);
    shell.start();
    shell.tmux(&["kill-server"]);
    let (before, _) = shell.run();
    let deadline = Instant::now() + PATIENCE;
    while shell.run().0 < before + 50 {
        assert!(Instant::now() < deadline, "it did not go on");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(shell.run().1, "painting");
    assert!(!saved(shell.folder.path()));

    let again = Shell::open("again", 80, 24);
    let data = shell.folder.path().join("data");
    again.enter(&format!(
        "XDG_DATA_HOME={} {IMPASTO} attach",
        data.display()
    ));
    again.wait_for(" of 1000000");
    again.wait_for("painting");
    again.stop();
    again.wait_for("out.png");
    again.assert_shell_answers();
    assert!(saved(shell.folder.path()));
    assert_eq!(shell.run().1, "stopped");
}

#[test]
fn it_saves_when_the_terminal_goes_away_if_it_is_told_to() {
    if !tmux_is_here() {
        return;
    }
    let shell = Shell::open("told", 80, 24);
    shell.start_with("--on-hangup stop");
    shell.tmux(&["kill-server"]);
    let deadline = Instant::now() + PATIENCE;
    while !saved(shell.folder.path()) {
        assert!(Instant::now() < deadline, "nothing was saved");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_preset_file_is_taken_up_when_it_is_saved() {
    if !tmux_is_here() {
        return;
    }
    let shell = Shell::open("watch", 120, 36);
    let file = shell.folder.path().join("mine.yaml");
    let write = |style: &str| {
        let text =
            format!("style:\n  weight: {style}\nschedule: [{{size: 64, iterations: 1000000}}]\n");
        std::fs::write(&file, text).expect("to write");
    };
    write("50");
    shell.enter(&format!(
        "{IMPASTO} run {CONTENT} {STYLE} -o out.png --device cpu --preset mine.yaml"
    ));
    shell.wait_for(" of 1000000");
    write("much");
    shell.wait_for("mine.yaml:2:11");
    shell.wait_for("^");
    write("4321");
    shell.wait_for("4321");
    shell.stop();
    shell.wait_for("saved out.png");
    shell.assert_shell_answers();
}

#[test]
fn a_restart_begins_anew_under_another_name() {
    if !tmux_is_here() {
        return;
    }
    let shell = Shell::open("restart", 120, 36);
    shell.start();
    shell.keys(&["r"]);
    shell.wait_for("from here");
    shell.keys(&["s"]);
    shell.wait_for("/out.png");
    shell.wait_for(" of 1000000");
    shell.stop();
    shell.wait_for("saved out-2.png");
    assert!(saved(shell.folder.path()));
}

#[test]
fn without_a_terminal_for_it_there_is_no_dashboard() {
    if !tmux_is_here() {
        return;
    }
    let shell = Shell::open("plain", 100, 24);
    let run = format!(
        "{IMPASTO} run {CONTENT} {STYLE} --device cpu --set 'schedule=[{{size: 48, iterations: 2}}]'"
    );
    for (number, command) in [
        format!("{run} -o 0.png --headless"),
        format!("TERM=dumb {run} -o 1.png"),
        format!("{run} -o 2.png | cat"),
    ]
    .iter()
    .enumerate()
    {
        shell.enter(&format!("{command}; echo code $?{number}"));
        shell.wait_for(&format!("code 0{number}"));
        assert!(shell.folder.path().join(format!("{number}.png")).exists());
    }
}

#[test]
fn the_start_screen_leads_to_a_painting() {
    if !tmux_is_here() {
        return;
    }
    let shell = Shell::open("start", 120, 36);
    let assets = Path::new(CONTENT).parent().expect("a folder");
    shell.enter(&format!("cd {}", assets.display()));
    shell.wait_until("the prompt", |screen| screen.trim_end().ends_with("ready>"));
    // Its output goes where it was started from.
    let folder = shell.folder.path().display().to_string();
    shell.enter(&format!(
        "cp china.jpg night.jpg {folder}; cd {folder}; clear"
    ));
    shell.wait_until("the prompt", |screen| screen.trim() == "ready>");
    shell.enter(&format!("{IMPASTO} --device cpu"));
    shell.wait_for("choose a photograph");
    shell.keys(&["-l", "chi"]);
    // The thumbnail, with the size of the picture.
    shell.wait_for("640×427");
    shell.keys(&["Enter"]);
    shell.wait_for("type to find a name");
    shell.keys(&["-l", "nig"]);
    shell.wait_for("enter takes night.jpg");
    shell.keys(&["Enter"]);
    shell.wait_for("preset default");
    shell.keys(&["-l", "quick"]);
    shell.wait_for("preset quick");
    shell.keys(&["Enter"]);
    shell.wait_for(" it/s");
    shell.stop();
    shell.wait_for("saved china-night.png");
    shell.assert_shell_answers();
    assert!(picture::load(&shell.folder.path().join("china-night.png")).is_ok());
}

#[test]
fn the_start_screen_is_left_without_a_trace() {
    if !tmux_is_here() {
        return;
    }
    let shell = Shell::open("leave", 60, 16);
    shell.enter(IMPASTO);
    shell.wait_for("photograph");
    shell.keys(&["C-z"]);
    shell.wait_for("Stopped");
    shell.assert_shell_answers();
    shell.enter("fg");
    shell.wait_for("photograph");
    shell.keys(&["C-c"]);
    shell.assert_shell_answers();
}

#[test]
fn it_is_drawn_without_colours_and_with_ascii_alone() {
    if !tmux_is_here() {
        return;
    }
    let shell = Shell::open("plainly", 100, 30);
    shell.enter(&format!(
        "NO_COLOR=1 {IMPASTO} run {CONTENT} {STYLE} -o out.png --device cpu --ascii --set \
         'schedule=[{{size: 64, iterations: 1000000}}]'"
    ));
    shell.wait_for(" of 1000000");
    let screen = shell.tmux(&["capture-pane", "-t", "s", "-p", "-e"]);
    assert!(screen.is_ascii(), "{screen}");
    let coloured = screen
        .split("\x1b[")
        .skip(1)
        .filter_map(|rest| rest.split_once('m'))
        .flat_map(|(codes, _)| codes.split(';').map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|code| code.parse::<u32>().ok())
        .any(|code| (30..=38).contains(&code) || (40..=48).contains(&code) || code >= 90);
    assert!(!coloured, "{screen}");
    shell.stop();
    shell.wait_for("saved out.png");
}

#[test]
fn the_second_interrupt_leaves_at_once() {
    if !tmux_is_here() {
        return;
    }
    let shell = Shell::open("twice", 80, 24);
    shell.start();
    shell.keys(&["C-c", "C-c"]);
    shell.wait_for("goes on painting");
    shell.assert_shell_answers();
}

#[test]
fn a_deadly_signal_gives_the_terminal_back() {
    if !tmux_is_here() {
        return;
    }
    for signal in ["ABRT", "SEGV", "QUIT", "USR1"] {
        let shell = Shell::open(&format!("dead-{signal}"), 80, 24);
        // A dump of the whole memory would only cost time.
        shell.enter("ulimit -c 0; clear");
        shell.start();
        let pid = shell.tmux(&["display-message", "-p", "-t", "s", "#{pane_pid}"]);
        let child = Command::new("ps")
            .args(["-o", "pid=", "--ppid", pid.trim()])
            .output()
            .expect("ps runs");
        let child = String::from_utf8_lossy(&child.stdout).trim().to_owned();
        // What libraries print to stdout does not reach the screen either.
        let stdout = std::fs::read_link(format!("/proc/{child}/fd/1")).expect("its stdout");
        assert!(stdout.ends_with("impasto.log"), "{stdout:?}");
        let killed = Command::new("kill")
            .args(["-s", signal, &child])
            .status()
            .expect("kill runs");
        assert!(killed.success());
        shell.wait_until("the prompt", |screen| screen.contains("ready>"));
        shell.assert_shell_answers();
    }
}
