//! A store of runs: some that are over in one way or another, painted once and
//! copied for each test, and some that are being painted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::common::{IMPASTO, TIMEOUT};

const DAY: u64 = 86_400;

/// The runs in a store, from the oldest on: `finished` has ended 40 days ago,
/// `bold` 20, `stopped` 10 and `killed` a day.
#[derive(Clone, Debug)]
pub struct Names {
    pub finished: String,
    pub bold: String,
    pub stopped: String,
    /// Its process was killed.
    pub killed: String,
}

impl Names {
    /// The newest first.
    pub fn listed(&self) -> [&str; 4] {
        [&self.killed, &self.stopped, &self.bold, &self.finished]
    }
}

/// A folder with runs in it.
pub struct Store {
    folder: tempfile::TempDir,
    pub names: Names,
}

impl Store {
    /// A store with the four runs.
    pub fn open() -> Self {
        static PAINTED: OnceLock<Painted> = OnceLock::new();
        PAINTED.get_or_init(Painted::paint).copy()
    }

    /// A store without runs.
    pub fn empty() -> Self {
        let none = String::new;
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            names: Names {
                finished: none(),
                bold: none(),
                stopped: none(),
                killed: none(),
            },
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn runs(&self) -> PathBuf {
        self.folder().join("data/impasto/runs")
    }

    pub fn run(&self, name: &str) -> PathBuf {
        self.runs().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(IMPASTO);
        command
            .args(arguments)
            .current_dir(self.folder())
            .envs(self.environment())
            .env_remove("NO_COLOR")
            .env("COLORTERM", "truecolor")
            .stdin(Stdio::null());
        command
    }

    pub fn environment(&self) -> [(&'static str, PathBuf); 5] {
        [
            ("XDG_DATA_HOME", self.folder().join("data")),
            ("XDG_CONFIG_HOME", self.folder().join("config")),
            ("XDG_STATE_HOME", self.folder().join("state")),
            ("OMP_NUM_THREADS", "1".into()),
            ("IMPASTO_CHECKPOINT_SECONDS", "0.05".into()),
        ]
    }

    pub fn impasto(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output();
        output.expect("the binary starts")
    }

    /// What a command prints that succeeds.
    #[track_caller]
    pub fn prints(&self, arguments: &[&str]) -> String {
        let output = self.impasto(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            words(&output.stderr)
        );
        words(&output.stdout)
    }

    /// What a command prints that succeeds, as JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.prints(arguments)).expect("JSON")
    }

    /// What a command complains that is wrong usage.
    #[track_caller]
    pub fn refuses(&self, arguments: &[&str]) -> String {
        let output = self.impasto(arguments);
        let complaint = words(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {complaint:?}"
        );
        assert_eq!(words(&output.stdout), "", "{arguments:?}");
        complaint
    }

    /// Begins to paint small pictures, for this many iterations.
    pub fn begin(&self, style: &str, iterations: u32, more: &[&str]) -> Live {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let schedule = format!("schedule=[{{size: 24, iterations: {iterations}}}]");
        let mut command = self.command(&["run"]);
        command
            .args([assets.join("china.jpg"), assets.join(style)])
            .args(["--headless", "--device", "cpu", "--set", &schedule])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Live(command.spawn().expect("the binary starts"))
    }

    /// Begins a run that does not come to its end by itself, and waits until it
    /// paints.
    pub fn begin_long(&self) -> (Live, String) {
        let before: Vec<PathBuf> = self.folders();
        let live = self.begin("mosaic.jpg", 1_000_000, &["-o", "live.png"]);
        let name = wait_for("a new run", || {
            let new = self.folders().into_iter().find(|it| !before.contains(it))?;
            (state(&new)["iteration"].as_u64()? > 0).then_some(new)
        });
        let name = name.file_name().expect("a name").to_string_lossy();
        (live, name.into_owned())
    }

    pub fn folders(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.runs()).into_iter().flatten();
        let mut folders: Vec<PathBuf> = entries
            .map(|entry| entry.expect("an entry").path())
            .collect();
        folders.sort();
        folders
    }

    /// The names of the runs that are there.
    pub fn kept(&self) -> Vec<String> {
        let folders = self.folders().into_iter();
        let name = |path: PathBuf| path.file_name().map(|it| it.to_string_lossy().into_owned());
        folders.filter_map(name).collect()
    }
}

/// A process that paints; it is killed with the test.
pub struct Live(pub Child);

impl Live {
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Waits for its end, and tells whether it succeeded.
    #[track_caller]
    pub fn ends(&mut self) -> bool {
        wait_for("the end of a process", || {
            self.0.try_wait().expect("a child")
        })
        .success()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn words(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// What `state.json` of a run holds.
pub fn state(run: &Path) -> Value {
    let text = fs::read_to_string(run.join("state.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// The lines of `metrics.jsonl`.
pub fn metrics(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).expect("the losses");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Looks until there is something to see.
#[track_caller]
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    let mut look = look;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: waited in vain");
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// The four runs, byte for byte, so that no folder outlives the tests.
struct Painted {
    root: String,
    files: Vec<(PathBuf, Vec<u8>)>,
    names: Names,
}

impl Painted {
    fn paint() -> Self {
        let store = Store::empty();
        let mut names = Vec::new();
        let mut known = Vec::new();
        let mut begin = |style: &str, iterations: u32, more: &[&str]| {
            let live = store.begin(style, iterations, more);
            let name = wait_for("a run", || {
                let all = store.kept().into_iter();
                all.filter(|name| name.starts_with(char::is_numeric))
                    .find(|name| !known.contains(name))
            });
            known.push(name.clone());
            names.push(name);
            live
        };
        let mut finished = begin("night.jpg", 6, &["-o", "finished.png"]);
        let bold = ["-o", "bold.png", "--preset", "bold", "--seed", "7"];
        let mut bold = begin("wave.jpg", 9, &bold);
        let mut stopped = begin("hatching.jpg", 1_000_000, &["-o", "stopped.png"]);
        let mut killed = begin("mosaic.jpg", 1_000_000, &["-o", "killed.png"]);
        let names: [String; 4] = names.try_into().expect("four runs");
        let [first, second, third, fourth] = names;
        let names = Names {
            finished: first,
            bold: second,
            stopped: third,
            killed: fourth,
        };
        for (name, live) in [(&names.stopped, &mut stopped), (&names.killed, &mut killed)] {
            let folder = store.run(name);
            wait_for("a checkpoint", || {
                let painted = state(&folder)["iteration"].as_u64()? > 2;
                (painted && folder.join("preview.png").exists()).then_some(())
            });
            if name == &names.killed {
                live.kill();
            } else {
                store.prints(&["stop", name]);
                live.ends();
            }
        }
        assert!(finished.ends() && bold.ends());
        for (name, age) in [
            (&names.finished, 40),
            (&names.bold, 20),
            (&names.stopped, 10),
            (&names.killed, 1),
        ] {
            make_old(&store.run(name), age);
        }
        let mut files = Vec::new();
        read_all(store.folder(), store.folder(), &mut files);
        let root = store.folder().to_str().expect("a name in UTF-8").to_owned();
        Self { root, files, names }
    }

    fn copy(&self) -> Store {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().to_str().expect("a name in UTF-8").to_owned();
        for (path, bytes) in &self.files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            let json = path.extension().is_some_and(|it| it == "json");
            let moved = json.then(|| words(bytes).replace(&self.root, &root).into_bytes());
            fs::write(path, moved.as_ref().unwrap_or(bytes)).expect("written");
        }
        Store {
            folder,
            names: self.names.clone(),
        }
    }
}

/// Sets a run back by so many days.
fn make_old(run: &Path, days: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let then = now.expect("a clock").as_secs() - days * DAY - 60;
    for (file, key) in [("run.json", "created"), ("state.json", "updated")] {
        let path = run.join(file);
        let text = fs::read_to_string(&path).expect("the file");
        let mut all: Value = serde_json::from_str(&text).expect("JSON");
        all[key] = then.into();
        fs::write(path, all.to_string()).expect("written");
    }
}

fn read_all(folder: &Path, root: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            // Where nothing is in it, it is not made again.
            read_all(&path, root, files);
        } else if path.is_file() {
            let name = path.strip_prefix(root).expect("inside").to_owned();
            files.push((name, fs::read(&path).expect("the file")));
        }
    }
}
