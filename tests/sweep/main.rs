//! Sweeps from the command line: painted, killed, shared between processes, and failing.

#[path = "../common/mod.rs"]
mod common;

mod cluster;
mod disk;
mod sheet;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use impasto_core::picture;
use serde_json::Value;

use common::{IMPASTO, wait_until};

const ASSETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
const CONTENTS: [&str; 4] = ["china.jpg", "chelsea.jpg", "coffee.jpg", "demo.jpg"];
const STYLES: [&str; 5] = [
    "night.jpg",
    "wave.jpg",
    "mosaic.jpg",
    "hatching.jpg",
    "meadow.jpg",
];

/// The program in a folder, with nothing of the user's.
pub fn impasto(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(IMPASTO);
    command
        .args(arguments)
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env("XDG_DATA_HOME", folder.join("data"))
        // The same sums in the same order everywhere.
        .env("OMP_NUM_THREADS", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    impasto(folder, arguments)
        .output()
        .expect("the binary runs")
}

#[track_caller]
pub fn succeed(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn asset(name: &str) -> String {
    format!("{ASSETS}/{name}")
}

/// Writes a sweep's file with these pictures, and lines of its own.
pub fn sweep_file(folder: &Path, contents: &[&str], styles: &[&str], more: &str) -> PathBuf {
    let list = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| asset(name)).collect();
        names.join(", ")
    };
    let text = format!(
        "contents: [{}]\nstyles: [{}]\n{more}",
        list(contents),
        list(styles)
    );
    let path = folder.join("grid.yaml");
    fs::write(&path, text).expect("a file");
    path
}

pub fn index(folder: &Path) -> Value {
    let text = fs::read(folder.join("sweep.json")).expect("an index");
    serde_json::from_slice(&text).expect("JSON")
}

fn cells(index: &Value) -> &[Value] {
    index["cells"].as_array().expect("cells")
}

/// How many cells are in each state.
pub fn states(folder: &Path) -> BTreeMap<String, usize> {
    let index = index(folder);
    let mut states = BTreeMap::new();
    for cell in cells(&index) {
        let state = cell["state"].as_str().expect("a state").to_owned();
        *states.entry(state).or_default() += 1;
    }
    states
}

pub fn pixels(path: &Path) -> Vec<u8> {
    let source = picture::load(path).unwrap_or_else(|error| panic!("{error}"));
    source.picture.to_rgb8()
}

fn result(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("cells/{number:04}/result.png"))
}

/// A number that differs from run to run.
fn random(below: u64) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
        % below
}

#[test]
fn a_sweep_that_is_killed_three_times_ends_as_if_painted_one_by_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let set = "set: {size: 128, iterations: 3}\n";
    sweep_file(folder, &CONTENTS, &STYLES, set);
    let arguments = ["sweep", "grid.yaml", "-o", "grid", "--headless"];
    let grid = folder.join("grid");
    let painted = || {
        (0..20)
            .filter(|number| result(&grid, *number).exists())
            .count()
    };
    for _ in 0..3 {
        let before = painted();
        let mut child = impasto(folder, &arguments)
            .spawn()
            .expect("the binary starts");
        wait_until("a cell is painted", || painted() > before || before == 20);
        std::thread::sleep(Duration::from_millis(random(1500)));
        child.kill().expect("it can be killed");
        child.wait().expect("an end");
    }
    succeed(&run(folder, &arguments));
    assert_eq!(states(&grid), [("done".to_owned(), 20)].into());
    let index = index(&grid);
    for (number, cell) in cells(&index).iter().enumerate() {
        let (content, style) = (asset(CONTENTS[number / 5]), asset(STYLES[number % 5]));
        assert_eq!(cell["number"], number);
        assert_eq!(cell["content"], content);
        assert_eq!(cell["style"], style);
        assert_eq!(cell["iteration"], 3);
        let alone = format!("alone-{number}.png");
        let paint = [
            "run",
            &content,
            &style,
            "--size",
            "128",
            "--iterations",
            "3",
            "--headless",
            "-o",
            &alone,
        ];
        succeed(&run(folder, &paint));
        assert!(
            pixels(&folder.join(&alone)) == pixels(&result(&grid, number)),
            "the cell {number} is another picture"
        );
    }
    // Nothing is left of what was killed.
    assert_eq!(
        fs::read_dir(grid.join("claims")).expect("a folder").count(),
        0
    );
    let names = |path: &Path| {
        let entries = fs::read_dir(path).expect("a folder").flatten();
        entries.map(|entry| entry.file_name()).collect::<Vec<_>>()
    };
    assert_eq!(names(&grid.join("cells")).len(), 20);
    // Once more paints nothing.
    let before = fs::metadata(result(&grid, 0))
        .expect("a picture")
        .modified();
    succeed(&run(folder, &arguments));
    let after = fs::metadata(result(&grid, 0))
        .expect("a picture")
        .modified();
    assert_eq!(before.expect("a time"), after.expect("a time"));
    let csv = fs::read_to_string(grid.join("cells.csv")).expect("a table");
    assert_eq!(csv.lines().count(), 21);
    assert!(csv.starts_with("number,content,style,state,iterations,seconds,content_loss,"));
}

#[test]
fn two_processes_share_a_sweep() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let more = "set: {size: 48, iterations: 30}\nvary: {style.weight: [5, 50, 500]}\n";
    sweep_file(folder, &CONTENTS[..2], &STYLES[..1], more);
    let events = |name: &str| {
        let file = format!("{name}.jsonl");
        let arguments = [
            "sweep",
            "grid.yaml",
            "-o",
            "grid",
            "--headless",
            "--events",
            &file,
        ];
        (
            impasto(folder, &arguments).spawn().expect("it starts"),
            folder.join(&file),
        )
    };
    let children = [events("one"), events("other")];
    let mut started = Vec::new();
    for (child, file) in children {
        succeed(&child.wait_with_output().expect("an end"));
        let text = fs::read_to_string(file).expect("events");
        for line in text.lines() {
            let event: Value = serde_json::from_str(line).expect("JSON");
            if event["event"] == "cell_started" {
                started.push(event["number"].as_u64().expect("a number"));
            }
        }
        assert!(
            text.lines()
                .last()
                .expect("a line")
                .contains("\"finished\"")
        );
    }
    started.sort_unstable();
    assert_eq!(started, [0, 1, 2, 3, 4, 5], "each cell is painted once");
    let grid = folder.join("grid");
    assert_eq!(states(&grid), [("done".to_owned(), 6)].into());
    let index = index(&grid);
    assert_eq!(cells(&index)[1]["values"]["style.weight"], 50);
    assert!(
        cells(&index)[1]["losses"]["total"]
            .as_f64()
            .expect("a loss")
            > 0.0
    );
    assert!(
        cells(&index)[1]["scores"]["style_gram"]
            .as_f64()
            .expect("a score")
            > 0.0
    );
    // Each picture is on the disk once.
    use std::os::unix::fs::MetadataExt;
    let copy = fs::metadata(grid.join("cells/0000/inputs/style.jpg")).expect("a picture");
    assert_eq!(copy.nlink(), 7);
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("a signal");
}

fn stop(child: Child) -> Output {
    signal(&child, rustix::process::Signal::TERM);
    child.wait_with_output().expect("an end")
}

#[test]
fn a_sweep_that_is_told_to_stop_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    sweep_file(
        folder,
        &CONTENTS[..1],
        &STYLES[..2],
        "set: {size: 48, iterations: 300}\n",
    );
    let arguments = ["sweep", "grid.yaml", "--headless", "--no-scores"];
    let child = impasto(folder, &arguments).spawn().expect("it starts");
    let grid = folder.join("grid");
    let metrics = grid.join("cells/0000/metrics.jsonl");
    let lines = || fs::read_to_string(&metrics).map_or(0, |text| text.lines().count());
    wait_until("some iterations are done", || lines() > 20);
    // Its terminal goes away.
    signal(&child, rustix::process::Signal::HUP);
    let before = lines();
    wait_until("it goes on", || lines() > before + 20);
    let output = stop(child);
    assert_eq!(output.status.code(), Some(128 + 15), "{}", said(&output));
    let before = lines();
    assert!(before < 300, "it was stopped early");
    assert_eq!(states(&grid)["stopped"], 1);
    succeed(&run(folder, &arguments));
    assert_eq!(states(&grid), [("done".to_owned(), 2)].into());
    // The first was resumed: had it begun anew, its losses would not be those of one run.
    let text = fs::read_to_string(&metrics).expect("losses");
    let iterations: Vec<u64> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("JSON")["iteration"]
                .as_u64()
                .expect("a number")
        })
        .collect();
    assert_eq!(iterations, (1..=300).collect::<Vec<_>>());
    // The same as without the stop.
    let paint = [
        "run",
        &asset(CONTENTS[0]),
        &asset(STYLES[0]),
        "--size",
        "48",
        "--iterations",
        "300",
        "--headless",
        "-o",
        "alone.png",
    ];
    succeed(&run(folder, &paint));
    assert!(pixels(&folder.join("alone.png")) == pixels(&result(&grid, 0)));
}

#[test]
fn a_cell_that_fails_keeps_its_sentence_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let whole = fs::read(asset("coffee.jpg")).expect("a picture");
    fs::write(folder.join("broken.jpg"), &whole[..2000]).expect("a file");
    let text = format!(
        "contents: [broken.jpg, {}]\nstyles: {}\nset: {{size: 48, iterations: 2}}\n",
        asset("coffee.jpg"),
        asset("wave.jpg")
    );
    fs::write(folder.join("grid.yaml"), text).expect("a file");
    let output = run(folder, &["sweep", "grid.yaml", "--headless"]);
    assert_eq!(output.status.code(), Some(1));
    let words = said(&output);
    assert!(
        words.contains("broken.jpg") && words.contains("1 of 2 cells failed"),
        "{words}"
    );
    let grid = folder.join("grid");
    let index_ = index(&grid);
    let cells_ = cells(&index_);
    assert_eq!(
        (cells_[0]["state"].as_str(), cells_[1]["state"].as_str()),
        (Some("failed"), Some("done"))
    );
    assert!(
        cells_[0]["message"]
            .as_str()
            .expect("a sentence")
            .contains("broken.jpg")
    );
    // Mended, it is painted with the next try.
    fs::write(folder.join("broken.jpg"), whole).expect("a file");
    succeed(&run(folder, &["sweep", "grid", "--headless"]));
    assert_eq!(states(&grid), [("done".to_owned(), 2)].into());
    assert!(index(&grid)["cells"][0].get("message").is_none());
}

#[test]
fn mistakes_are_shown_with_their_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let refuse = |text: &str, arguments: &[&str], words: &[&str]| {
        fs::write(folder.join("grid.yaml"), text).expect("a file");
        let output = run(
            folder,
            &[&["sweep", "grid.yaml", "--headless"], arguments].concat(),
        );
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        for word in words {
            assert!(said.contains(word), "{word} in {said}");
        }
        assert!(!folder.join("grid").exists(), "nothing is begun");
    };
    let (content, style) = (asset("coffee.jpg"), asset("wave.jpg"));
    let whole = format!("contents: [{content}]\nstyles: [{style}]\n");
    refuse(
        &format!("{whole}vary:\n  style.wieght: [1, 2]\n"),
        &[],
        &["grid.yaml:4:", "^", "style.wieght", "weight"],
    );
    refuse(
        &format!("{whole}set: {{size: 9}}\n"),
        &[],
        &["grid.yaml:3:", "^", "from 16 to"],
    );
    refuse(
        &format!("{whole}presett: bold\n"),
        &[],
        &["grid.yaml:3:", "preset"],
    );
    refuse(
        &format!("contents: [nowhere.jpg]\nstyles: [{style}]\n"),
        &[],
        &["grid.yaml:1:", "there is no file", "nowhere.jpg"],
    );
    refuse(
        &format!("contents: [{content}]\n"),
        &[],
        &["`styles` is missing"],
    );
    refuse(
        &whole,
        &["--vary", "style.weight=a"],
        &["--vary style.weight=a"],
    );
    refuse(&whole, &["--set", "sede=1"], &["--set sede=1", "seed"]);
    refuse(&whole, &["--cells", "1"], &["there is no cell 1"]);
    refuse(
        &whole,
        &["--vary", "style.weight=[1,2"],
        &["--vary style.weight=[1,2"],
    );
    // Another sweep is in the folder.
    fs::write(folder.join("grid.yaml"), &whole).expect("a file");
    let small = ["--size", "48", "--iterations", "1"];
    let begin = |arguments: &[&str]| {
        run(
            folder,
            &[&["sweep", "grid.yaml", "--headless"], arguments].concat(),
        )
    };
    succeed(&begin(&small));
    let output = begin(&["--size", "64"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("holds another sweep"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_folder_of_pictures_is_painted_in_each_style() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    fs::create_dir(folder.join("photos")).expect("a folder");
    for name in ["coffee.jpg", "china.jpg"] {
        fs::copy(asset(name), folder.join("photos").join(name)).expect("a copy");
    }
    fs::write(folder.join("photos/notes.txt"), "not a picture").expect("a file");
    let (night, wave) = (asset("night.jpg"), asset("wave.jpg"));
    let arguments = [
        "batch",
        "photos",
        &night,
        &wave,
        "-o",
        "painted",
        "--size",
        "48",
        "--iterations",
        "2",
        "--vary",
        "colour=style,content",
        "--headless",
    ];
    let dry = succeed(&run(folder, &[&arguments[..], &["--dry-run"]].concat()));
    assert!(
        dry.contains("8 cells: 2 contents × 2 styles × 2 values of colour"),
        "{dry}"
    );
    assert!(dry.contains("0007  coffee × wave  colour=content"), "{dry}");
    assert!(dry.contains("8 cells to paint: about"), "{dry}");
    assert!(!folder.join("painted").exists(), "nothing is begun");
    succeed(&run(
        folder,
        &[&arguments[..], &["--cells", "0-2,7"]].concat(),
    ));
    let painted = folder.join("painted");
    assert_eq!(
        states(&painted),
        [("done".to_owned(), 4), ("waiting".to_owned(), 4)].into()
    );
    succeed(&run(folder, &["sweep", "painted", "--headless"]));
    assert_eq!(states(&painted), [("done".to_owned(), 8)].into());
    // A recipe is in every picture.
    let recipe = picture::read_recipe(&result(&painted, 7)).expect("a recipe");
    let recipe: Value = serde_json::from_str(&recipe).expect("JSON");
    assert_eq!(recipe["preset"]["colour"], "content");
}
