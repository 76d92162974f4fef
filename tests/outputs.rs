//! How pictures are written: their depth and resolution, their recipes, and what finishing
//! them keeps of both.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use impasto_core::picture::{self, Picture};
use serde_json::Value;

use common::{CONTENT, IMPASTO, STYLE, wait_until};

const OTHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/wave.jpg");
/// A few iterations of a tiny picture.
const TINY: [&str; 2] = ["--set", "schedule=[{size: 48, iterations: 3}]"];

fn impasto(folder: &Path, arguments: &[&[&str]]) -> Command {
    let mut command = Command::new(IMPASTO);
    command
        .args(arguments.concat())
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env("XDG_DATA_HOME", folder.join("data"))
        .env("TMPDIR", folder)
        .env("OMP_NUM_THREADS", "1")
        .stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What it says on stderr.
#[track_caller]
fn succeed(folder: &Path, arguments: &[&[&str]]) -> String {
    let output = impasto(folder, arguments).output().expect("a program");
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

/// Why it is refused, in one line.
#[track_caller]
fn refuse(folder: &Path, arguments: &[&[&str]]) -> String {
    let output = impasto(folder, arguments).output().expect("a program");
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    said
}

fn recipe(path: &Path) -> Value {
    let text = picture::read_recipe(path).expect("a recipe");
    serde_json::from_str(&text).expect("JSON")
}

/// Saves a mask that is white left of the middle.
fn mask(folder: &Path, name: &str, width: u32) {
    let (wide, high) = picture::load(Path::new(CONTENT)).unwrap().picture.size();
    let height = (width * high).div_ceil(wide);
    let row = (0..width).flat_map(|x| [u8::from(2 * x < width) * 255; 3]);
    let rows: Vec<u8> = row.collect::<Vec<u8>>().repeat(height as usize);
    let mask = Picture::from_rgb8(width, height, &rows).unwrap();
    picture::save(&mask, &folder.join(name), None).unwrap();
}

#[test]
fn inches_are_taken_at_the_presets_resolution_unless_one_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let print = "schedule: [{size: 64, iterations: 1}]\noutput: {dpi: 100}\n";
    fs::write(folder.join("print.yaml"), print).unwrap();
    let plain = "schedule: [{size: 64, iterations: 1}]\n";
    fs::write(folder.join("plain.yaml"), plain).unwrap();
    for (preset, flags, (size, dpi)) in [
        ("print.yaml", &["--inches", "0.5"][..], (50, 100.0)),
        (
            "print.yaml",
            &["--inches", "0.5", "--dpi", "96"],
            (48, 96.0),
        ),
        ("plain.yaml", &["--inches", "0.16"], (48, 300.0)),
        (
            "plain.yaml",
            &["--inches", "0.16", "--set", "output.dpi=400"],
            (64, 400.0),
        ),
    ] {
        let run = ["run", CONTENT, STYLE, "-o", "out.png", "--preset", preset];
        succeed(folder, &[&run, flags]);
        let preset = recipe(&folder.join("out.png"))["preset"].clone();
        assert_eq!(preset["schedule"][0]["size"], size, "{flags:?}");
        assert_eq!(preset["output"]["dpi"], dpi, "{flags:?}");
    }
}

#[test]
fn a_recipe_says_which_of_its_pictures_are_others() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    mask(folder, "left.png", 64);
    fs::copy(CONTENT, folder.join("start.jpg")).unwrap();
    let run = ["run", CONTENT, STYLE, "--mask", "left.png=1"];
    let start = ["--set", "start=start.jpg", "-o", "first.png"];
    succeed(folder, &[&run, &start, &TINY]);

    let again = ["--recipe", "first.png", "-o", "again.png"];
    let same = succeed(folder, &[&["run", CONTENT, STYLE], &again]);
    assert!(!same.contains("note:"), "{same}");

    mask(folder, "left.png", 32);
    fs::copy(OTHER, folder.join("start.jpg")).unwrap();
    let other = succeed(folder, &[&["run", CONTENT, STYLE, OTHER], &again]);
    for note in [
        "painted with 1 style; painting with 2",
        "painted with another start (start.jpg)",
        "painted with another mask-1 (left.png)",
    ] {
        assert!(other.contains(note), "{note}: {other}");
    }
    assert!(!other.contains("another style"), "{other}");
}

#[test]
fn measuring_needs_no_picture_to_start_from() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let measure = ["measure", CONTENT, CONTENT, STYLE, "--json"];
    let losses = |extra: &[&str]| {
        let output = impasto(folder, &[&measure, extra]).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        output.stdout
    };
    let missing = losses(&["--set", "start=missing.png"]);
    assert_eq!(missing, losses(&["--set", "start=noise"]));
}

#[test]
fn a_run_resumes_into_a_format_that_has_its_depth() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = ["run", CONTENT, STYLE, "-o", "out.png", "--run-dir", "kept"];
    let endless = ["--set", "schedule=[{size: 48, iterations: 1000000}]"];
    let mut command = impasto(folder, &[&run, &endless, &["--depth", "16"]]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let losses = folder.join("kept/metrics.jsonl");
    wait_until("step", || {
        fs::metadata(&losses).is_ok_and(|found| found.len() > 0)
    });
    let kill = ["-s", "INT", &child.id().to_string()].map(str::to_owned);
    assert!(Command::new("kill").args(kill).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let before = fs::read(folder.join("out.png")).unwrap();

    let resume = ["resume", "--run-dir", "kept", "--headless", "-o"];
    let said = refuse(folder, &[&resume, &["out.jpg"]]);
    assert!(said.contains("out.jpg: only PNG and TIFF"), "{said}");
    let said = refuse(folder, &[&resume, &["-"]]);
    assert!(said.contains("does not write to stdout"), "{said}");
    assert!(!folder.join("out.jpg").exists() && !folder.join("-").exists());
    assert_eq!(fs::read(folder.join("out.png")).unwrap(), before);
}

#[test]
fn a_finished_picture_replaces_nothing_that_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::copy(CONTENT, folder.join("content.jpg")).unwrap();
    fs::copy(STYLE, folder.join("painted.jpg")).unwrap();
    let finish = ["finish", "painted.jpg", "--contrast", "0.2"];
    let content = ["--content", "content.jpg", "--match-colours", "0.5"];
    for (output, role) in [
        ("painted.jpg", "painted picture"),
        ("content.jpg", "content picture"),
    ] {
        let said = refuse(folder, &[&finish, &content, &["-o", output]]);
        assert!(said.contains(role) && said.contains(output), "{said}");
    }
    let bytes = |path: &Path| fs::read(path).unwrap();
    assert_eq!(bytes(&folder.join("content.jpg")), bytes(CONTENT.as_ref()));
    assert_eq!(bytes(&folder.join("painted.jpg")), bytes(STYLE.as_ref()));
}

#[test]
fn a_finished_picture_is_written_as_the_painting_was_and_named_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = ["run", CONTENT, STYLE, "-o", "sunset.png"];
    succeed(folder, &[&run, &["--depth", "16", "--dpi", "200"], &TINY]);
    let name = fs::read_dir(folder.join("data/impasto/runs")).unwrap();
    let name = name.last().unwrap().unwrap().file_name();
    let output = |path: &str| recipe(&folder.join(path))["preset"]["output"].clone();

    succeed(
        folder,
        &[&["finish", name.to_str().unwrap()], &["--grain", "0.1"]],
    );
    let written = output("sunset-finished.png");
    assert_eq!(
        (&written["depth"], &written["dpi"]),
        (&16.into(), &200.0.into())
    );
    let chosen = ["--depth", "8", "--dpi", "72", "-o", "chosen.png"];
    succeed(folder, &[&["finish", "sunset.png"], &chosen]);
    let written = output("chosen.png");
    assert_eq!(
        (&written["depth"], &written["dpi"]),
        (&8.into(), &72.0.into())
    );
    // What the painting had is not asked of a format that cannot have it.
    let finish = ["finish", "sunset.png", "-o", "small.jpg"];
    succeed(folder, &[&finish]);
    let said = refuse(folder, &[&finish, &["--depth", "16"]]);
    assert!(said.contains("only PNG and TIFF"), "{said}");

    let colours = ["--match-colours", "0.5", "-o", "colours.png", "--content"];
    let said = succeed(folder, &[&["finish", "sunset.png"], &colours, &[CONTENT]]);
    assert!(!said.contains("note:"), "{said}");
    output("colours.png");
    let said = succeed(folder, &[&["finish", "sunset.png"], &colours, &[OTHER]]);
    assert!(said.contains("another content"), "{said}");
    assert!(picture::read_recipe(&folder.join("colours.png")).is_err());
}
