//! What goes wrong around a run: disks, files, processes, signals, numbers.
//! Every test paints a tiny picture with the real program, breaks something
//! meanwhile, and looks at what became of the picture and what the user was
//! told.

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod disk;
mod exits;
mod limits;
mod line;
mod links;
mod outputs;
mod processes;
mod sockets;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use common::{IMPASTO, TIMEOUT, skip, wait_until};

/// More iterations than there is time for.
const ENDLESS: u32 = 1_000_000;

fn send(process: u32, signal: Signal) {
    let number = Pid::from_raw(process as i32).expect("a process");
    kill_process(number, signal).expect("a signal is sent");
}

fn is_whole(picture: &Path) -> bool {
    image::open(picture).is_ok_and(|picture| picture.width() == 24)
}

/// What a run that nothing happens to tells last.
fn unbroken(iterations: u32) -> (u64, f64) {
    static LAST: Mutex<BTreeMap<u32, (u64, f64)>> = Mutex::new(BTreeMap::new());
    let mut known = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(last) = known.get(&iterations) {
        return *last;
    }
    let scene = Scene::new();
    scene.begin(iterations).start().well();
    let last = scene.last_loss();
    known.insert(iterations, last);
    last
}

/// A folder for one test: pictures, a preset, and all that a run makes.
struct Scene {
    folder: tempfile::TempDir,
    /// The run's folder in it.
    run: &'static str,
}

impl Scene {
    fn new() -> Self {
        Self::with_run_in("run")
    }

    fn with_run_in(run: &'static str) -> Self {
        Self::made(tempfile::tempdir(), run)
    }

    /// Not in the temporary folder, which something is done to.
    fn elsewhere() -> Self {
        Self::made(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")), "run")
    }

    fn made(folder: std::io::Result<tempfile::TempDir>, run: &'static str) -> Self {
        let folder = folder.expect("a folder");
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        for name in ["china.jpg", "night.jpg"] {
            fs::copy(assets.join(name), folder.path().join(name)).expect("a copy");
        }
        for name in ["out", "tmp", "runtime"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        Self { folder, run }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run_folder(&self) -> PathBuf {
        self.path(self.run)
    }

    fn output(&self) -> PathBuf {
        self.path("out/picture.png")
    }

    /// The program, at home in this folder.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("XDG_RUNTIME_DIR", self.path("runtime"))
            .env("TMPDIR", self.path("tmp"))
            .env("OMP_NUM_THREADS", "1")
            .env("IMPASTO_CHECKPOINT_SECONDS", "0.05");
        command
    }

    /// A run of 24×16 pixels that looks at the first layer alone: an iteration
    /// takes a few milliseconds.
    fn begin(&self, iterations: u32) -> Begin<'_> {
        let mut flags = ["run", "china.jpg", "night.jpg", "--headless"].to_vec();
        flags.extend(["--device", "cpu", "--events", "-", "-o", "out/picture.png"]);
        flags.extend(["--run-dir", self.run]);
        let schedule = format!("schedule=[{{size: 24, iterations: {iterations}}}]");
        Begin {
            scene: self,
            shell: None,
            arguments: flags.into_iter().map(str::to_owned).collect(),
        }
        .with(&["--set", &schedule, "--set", "optimizer.history=12"])
        .with(&["--set", "content.layers={relu1_1: 1}"])
        .with(&["--set", "style.layers={relu1_1: 1}"])
    }

    fn resume(&self) -> Begin<'_> {
        let mut flags = ["resume", "--headless", "--events", "-"].to_vec();
        flags.extend(["--run-dir", self.run]);
        Begin {
            scene: self,
            shell: None,
            arguments: flags.into_iter().map(str::to_owned).collect(),
        }
    }

    /// Carries out a command that ends by itself.
    fn impasto(&self, arguments: &[&str]) -> Output {
        self.command(IMPASTO)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the binary starts")
    }

    /// The exit code of a command, and what it says.
    fn told(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.impasto(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    }

    /// The last iteration that was written down, and its total.
    fn last_loss(&self) -> (u64, f64) {
        let text = fs::read_to_string(self.run_folder().join("metrics.jsonl")).expect("losses");
        let last = text.lines().last().expect("a line");
        let step: Value = serde_json::from_str(last).expect("JSON");
        let total = step["total"].as_f64().expect("a number");
        (step["iteration"].as_u64().expect("a number"), total)
    }

    /// A run that was killed with two checkpoints on the disk.
    fn killed(&self, iterations: u32) {
        let run = self.begin(iterations).start();
        run.wait_for_iteration(20);
        let checkpoints = self.run_folder().join("checkpoint");
        wait_until("two checkpoints", || {
            ["generation-0", "generation-1"]
                .iter()
                .all(|name| checkpoints.join(name).exists())
        });
        send(run.process(), Signal::KILL);
        assert_eq!(run.end().status.code(), None, "it was killed");
    }
}

/// A command that paints, before it is started.
struct Begin<'a> {
    scene: &'a Scene,
    /// What a shell does that starts it.
    shell: Option<(Command, PathBuf)>,
    arguments: Vec<String>,
}

impl Begin<'_> {
    fn with(mut self, flags: &[&str]) -> Self {
        self.arguments
            .extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// Has `shell` start it, which writes the program's number into `number`.
    fn under(mut self, shell: Command, number: PathBuf) -> Self {
        self.shell = Some((shell, number));
        self
    }

    fn start(self) -> Painting {
        let program = IMPASTO;
        let (mut command, number) = match self.shell {
            Some((mut shell, number)) => {
                shell.arg(program);
                (shell, Some(number))
            }
            None => (self.scene.command(program), None),
        };
        let stderr = tempfile::NamedTempFile::new().expect("a file");
        let mut child = command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr.reopen().expect("the file"))
            .spawn()
            .expect("the binary starts");
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = events.clone();
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let reader = std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("an event as JSON");
                heard.lock().expect("no panic").push(event);
            }
        });
        Painting {
            child,
            number,
            events,
            reader: Some(reader),
            stderr,
        }
    }
}

/// A run under way, with the events that it told so far. Ends with the test.
struct Painting {
    child: Child,
    /// The file with the program's number, where a shell stands before it.
    number: Option<PathBuf>,
    events: Arc<Mutex<Vec<Value>>>,
    reader: Option<std::thread::JoinHandle<()>>,
    stderr: tempfile::NamedTempFile,
}

impl Painting {
    fn process(&self) -> u32 {
        let Some(file) = &self.number else {
            return self.child.id();
        };
        let text = fs::read_to_string(file).expect("the program's number");
        text.trim().parse().expect("a number")
    }

    fn iteration(&self) -> u64 {
        let events = self.events.lock().expect("no panic");
        let steps = events
            .iter()
            .filter_map(|event| event["iteration"].as_u64());
        steps.max().unwrap_or_default()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.stderr.path()).expect("what it said")
    }

    #[track_caller]
    fn wait_for_iteration(&self, iteration: u64) {
        wait_until(&format!("iteration {iteration}: {}", self.said()), || {
            self.iteration() >= iteration
        });
    }

    /// Waits until it has painted some more.
    #[track_caller]
    fn wait_for_progress(&self) {
        self.wait_for_iteration(self.iteration() + 50);
    }

    /// Holds the run's process while something is done to it.
    #[track_caller]
    fn meanwhile<T>(&self, act: impl FnOnce() -> T) -> T {
        send(self.process(), Signal::STOP);
        let done = act();
        send(self.process(), Signal::CONT);
        done
    }

    fn end(mut self) -> End {
        let deadline = Instant::now() + TIMEOUT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("an end") {
                break status;
            }
            assert!(Instant::now() < deadline, "it did not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        };
        if let Some(reader) = self.reader.take() {
            reader.join().expect("all lines are events");
        }
        let events = std::mem::take(&mut *self.events.lock().expect("no panic"));
        let said = self.said();
        assert!(!said.contains("panicked"), "{said}");
        End {
            status,
            said,
            events,
        }
    }

    /// Ends with a finished picture.
    #[track_caller]
    fn well(self) -> End {
        let end = self.end();
        assert!(end.status.success(), "{}: {}", end.status, end.said);
        end
    }
}

impl Drop for Painting {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            send(self.process(), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// How a run ended.
struct End {
    status: ExitStatus,
    said: String,
    events: Vec<Value>,
}

impl End {
    fn notices(&self) -> Vec<&str> {
        let notices = self
            .events
            .iter()
            .filter(|event| event["event"] == "notice");
        notices
            .filter_map(|event| event["message"].as_str())
            .collect()
    }

    /// Whether a notice has these words.
    fn has_notice(&self, words: &str) -> bool {
        self.notices().iter().any(|notice| notice.contains(words))
    }
}
