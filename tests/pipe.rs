//! Pictures through a pipe: `-` as the content, as a style and as the output.

mod common;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use impasto_core::picture;
use serde_json::Value;

use common::{CONTENT, IMPASTO, STYLE, Tmux, wait_until};

/// A few iterations of a tiny picture.
const TINY: [&str; 2] = ["--set", "schedule=[{size: 48, iterations: 4}]"];
/// More iterations than any test waits for.
const ENDLESS: [&str; 2] = ["--set", "schedule=[{size: 48, iterations: 1000000}]"];

fn impasto(folder: &Path, arguments: &[&[&str]]) -> Command {
    let mut command = Command::new(IMPASTO);
    command
        .args(arguments.concat())
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env("XDG_DATA_HOME", folder.join("data"))
        .env("TMPDIR", folder)
        .env("OMP_NUM_THREADS", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the program with these bytes on its stdin, through a pipe.
#[track_caller]
fn feed(folder: &Path, bytes: &[u8], arguments: &[&[&str]]) -> Output {
    let mut child = impasto(folder, arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may have refused before it read everything.
    let _ = stdin.write_all(bytes);
    drop(stdin);
    child.wait_with_output().expect("an end")
}

#[track_caller]
fn succeed(output: Output) -> Vec<u8> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    output.stdout
}

/// Asserts a refusal in one line, and that stdout got nothing.
#[track_caller]
fn refused(output: &Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    assert!(said.contains(words), "{said}");
    assert!(output.stdout.is_empty(), "stdout is not empty");
}

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    fs::read(path).expect("a file")
}

fn recipe(folder: &Path, bytes: &[u8]) -> Value {
    let path = folder.join("recipe.png");
    fs::write(&path, bytes).expect("a file");
    let text = picture::read_recipe(&path).expect("a recipe");
    serde_json::from_str(&text).expect("JSON")
}

fn pixels(bytes: &[u8]) -> Vec<u8> {
    let source = picture::load_bytes(bytes, Path::new("stdout")).expect("a picture");
    source.picture.to_rgb8()
}

/// What is left behind in the folder, but for what the tests put there.
fn left_behind(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("impasto-")).collect()
}

/// The only run's folder.
fn run_folder(folder: &Path) -> PathBuf {
    let runs = fs::read_dir(folder.join("data/impasto/runs")).expect("runs");
    let mut folders = runs.map(|entry| entry.expect("an entry").path());
    let found = folders.next().expect("a run");
    assert_eq!(folders.next(), None);
    found
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(kill.expect("kill runs").success());
}

/// Waits until the run has painted something.
fn wait_for_steps(folder: &Path) {
    wait_until("step", || {
        let losses = folder.join("metrics.jsonl");
        fs::metadata(losses).is_ok_and(|found| found.len() > 0)
    });
}

#[test]
fn the_content_comes_from_stdin_and_the_picture_goes_to_stdout() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let content = read(CONTENT);
    let run = ["run", "-", STYLE];
    let piped = feed(folder, &content, &[&run, &["-o", "-"], &TINY]);
    let said = String::from_utf8_lossy(&piped.stderr).into_owned();
    assert!(said.contains("painted the picture (48×"), "{said}");
    let piped = succeed(piped);
    // The run has the bytes as they came, and the picture.
    let kept = run_folder(folder);
    assert_eq!(read(kept.join("inputs/content")), content);
    assert_eq!(read(kept.join("result.png")), piped);
    assert!(kept.to_string_lossy().ends_with("-stdin-night"));
    assert_eq!(left_behind(folder), [""; 0]);

    let named = [&run, &["-o", "out.png", "--headless"][..], &TINY];
    assert!(succeed(feed(folder, &content, &named)).is_empty());
    assert_eq!(read(folder.join("out.png")), piped);
    let unnamed = [&run, &["--headless"][..], &TINY];
    succeed(feed(folder, &content, &unnamed));
    assert_eq!(read(folder.join("stdin-night.png")), piped);
    assert_eq!(recipe(folder, &piped)["content"]["file"], "stdin");

    // By the recipe, and from a file: the same pixels.
    let again = ["--recipe", "out.png", "-o", "-"];
    let again = feed(folder, &content, &[&run, &again]);
    assert!(!String::from_utf8_lossy(&again.stderr).contains("another content"));
    assert_eq!(pixels(&succeed(again)), pixels(&piped));
    let from_file = impasto(folder, &[&["run", CONTENT, STYLE, "-o", "-"], &TINY]);
    let from_file = succeed({ from_file }.output().unwrap());
    assert_eq!(pixels(&from_file), pixels(&piped));
}

#[test]
fn a_style_comes_from_stdin() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = ["run", CONTENT, STYLE, "-", "-o", "-"];
    let run_dir = ["--run-dir", "kept"];
    let painted = succeed(feed(folder, &read(CONTENT), &[&run, &run_dir, &TINY]));
    let recipe = recipe(folder, &painted);
    assert_eq!(recipe["more_styles"][0]["file"], "stdin");
    assert_eq!(read(folder.join("kept/inputs/style-2")), read(CONTENT));
    assert_eq!(read(folder.join("kept/result.png")), painted);
}

#[test]
fn a_run_that_cannot_be_kept_still_goes_to_stdout() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("data"), "no folder").unwrap();
    let run = ["run", "-", STYLE, "-o", "-"];
    let output = feed(folder, &read(CONTENT), &[&run, &TINY]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("not kept"));
    assert!(!pixels(&succeed(output)).is_empty());
    assert_eq!(left_behind(folder), [""; 0]);
}

#[test]
fn what_makes_no_sense_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let content = read(CONTENT);
    for (bytes, arguments, words) in [
        (&content[..], &["run", "-", "-"][..], "more than once"),
        (&content, &["measure", "-", CONTENT, "-"], "more than once"),
        (
            &content,
            &["finish", "-", "--content", "-", "-o", "-"],
            "more than once",
        ),
        (b"", &["run", "-", STYLE], "stdin is empty"),
        (b"", &["finish", "-"], "stdin is empty"),
        (b"text", &["run", "-", STYLE], "stdin is not a picture"),
        (
            &content[..999],
            &["run", "-", STYLE, "-o", "-"],
            "stdin is cut short",
        ),
        (
            &content,
            &["run", "-", STYLE, "-o", "-", "--events", "-"],
            "both write to stdout",
        ),
        (&content, &["run", "./-", STYLE, "-o", "-"], "no file ./-"),
    ] {
        refused(
            &feed(
                folder,
                bytes,
                &[arguments, &TINY[..2 * usize::from(arguments[0] == "run")]],
            ),
            words,
        );
    }
    assert_eq!(left_behind(folder), [""; 0]);
    assert!(!folder.join("data").exists());
}

#[test]
fn a_file_called_dash_has_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::copy(CONTENT, folder.join("-")).unwrap();
    let run = ["run", "./-", STYLE, "-o", "-"];
    succeed(impasto(folder, &[&run, &TINY]).output().unwrap());
}

#[test]
fn a_terminal_gets_no_picture_and_gives_none() {
    let Some(tmux) = Tmux::new("pipe") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let shell = ["-c", folder.path().to_str().unwrap(), "sh"];
    tmux.start((120, 36), &shell);
    for (arguments, words) in [
        (
            format!("{CONTENT} {STYLE} -o -"),
            "would go to the terminal",
        ),
        (format!("- {STYLE} -o - > out.png"), "stdin is the terminal"),
    ] {
        let line = format!("clear; {IMPASTO} run {arguments}; echo code $?");
        tmux.keys(&[&line, "Enter"]);
        let mut screen = String::new();
        wait_until(words, || {
            screen = tmux.capture(&["-J"]);
            screen.contains(words) && screen.contains("code 2")
        });
    }
}

#[test]
fn ctrl_c_writes_the_picture_so_far_and_the_run_resumes_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = ["run", CONTENT, STYLE, "-o", "-", "--run-dir", "kept"];
    let mut command = impasto(folder, &[&run, &ENDLESS]);
    let out = folder.join("out.png");
    let child = command.stdout(File::create(&out).unwrap()).spawn().unwrap();
    wait_for_steps(&folder.join("kept"));
    assert_eq!(fs::metadata(&out).unwrap().len(), 0);
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let stopped = read(&out);
    assert_eq!(read(folder.join("kept/result.png")), stopped);
    assert!(!pixels(&stopped).is_empty());

    let resume = ["resume", "--run-dir", "kept", "--headless"];
    let child = impasto(folder, &[&resume]).spawn().unwrap();
    let losses = folder.join("kept/metrics.jsonl");
    let before = fs::metadata(&losses).unwrap().len();
    wait_until("step", || fs::metadata(&losses).unwrap().len() > before);
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("saved kept/result.png"), "{said}");
    assert_ne!(read(folder.join("kept/result.png")), stopped);
}

#[test]
fn a_run_that_was_killed_before_its_first_checkpoint_resumes_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = ["run", CONTENT, STYLE, "-o", "-"];
    let mut child = impasto(folder, &[&run, &TINY]).spawn().unwrap();
    let record = || {
        let runs = fs::read_dir(folder.join("data/impasto/runs")).ok()?;
        let kept = runs.flatten().map(|entry| entry.path()).next()?;
        let text = fs::read_to_string(kept.join("run.json")).ok()?;
        let record: Value = serde_json::from_str(&text).ok()?;
        let output = PathBuf::from(record["output"].as_str()?);
        (output == kept.join("result.png")).then_some(())
    };
    wait_until("record", || record().is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = run_folder(folder);
    if !kept.join("result.png").exists() {
        succeed(
            impasto(folder, &[&["resume", "--headless"]])
                .output()
                .unwrap(),
        );
    }
    assert!(!pixels(&read(kept.join("result.png"))).is_empty());
}

#[test]
fn a_reader_that_goes_leaves_the_picture_in_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = ["run", CONTENT, STYLE, "-o", "-", "--run-dir", "kept"];
    let mut child = impasto(folder, &[&run, &TINY]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the reader of stdout is gone"), "{said}");
    assert!(said.contains("kept/result.png"), "{said}");
    assert!(!pixels(&read(folder.join("kept/result.png"))).is_empty());

    // Where no run is kept either, the picture is.
    fs::write(folder.join("data"), "no folder").unwrap();
    let run = ["run", CONTENT, STYLE, "-o", "-"];
    let mut child = impasto(folder, &[&run, &TINY]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let [left] = &left_behind(folder)[..] else {
        panic!("no picture is left: {said}");
    };
    assert!(said.contains(left), "{said}");
    assert!(!pixels(&read(folder.join(left).join("picture.png"))).is_empty());

    let mut child = impasto(folder, &[&["finish", "kept/result.png", "-o", "-"]]);
    let mut child = child.spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_reader_that_takes_nothing_is_given_up_on_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // More than a pipe holds.
    let large = ["--set", "schedule=[{size: 256, iterations: 1}]"];
    let run = ["run", CONTENT, STYLE, "-o", "-", "--run-dir", "kept"];
    let mut child = impasto(folder, &[&run, &large]).spawn().unwrap();
    let said = child.stderr.take().unwrap();
    wait_until("picture", || {
        folder.join("kept/state.json").exists() && {
            let state = fs::read_to_string(folder.join("kept/state.json")).unwrap_or_default();
            state.contains("\"finished\"")
        }
    });
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    let mut words = String::new();
    { said }.read_to_string(&mut words).unwrap();
    assert!(words.contains("takes nothing"), "{words}");
    assert!(words.contains("kept/result.png"), "{words}");
}

#[test]
fn a_pipeline_measures_and_finishes_what_is_painted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = ["run", CONTENT, STYLE, "-o", "-"];
    let painted = succeed(impasto(folder, &[&run, &TINY]).output().unwrap());
    fs::write(folder.join("painted.png"), &painted).unwrap();

    let measured = |image: &str| {
        let arguments = ["measure", image, CONTENT, STYLE, "--json"];
        succeed(feed(folder, &painted, &[&arguments]))
    };
    assert_eq!(measured("-"), measured("painted.png"));

    let finished = |image: &str, output: &[&str]| {
        let arguments = ["finish", image, "--contrast", "0.3"];
        succeed(feed(folder, &painted, &[&arguments, output]))
    };
    let through = finished("-", &["-o", "-"]);
    finished("painted.png", &["-o", "finished.png"]);
    assert_eq!(read(folder.join("finished.png")), through);
    assert_eq!(
        recipe(folder, &through)["preset"]["finish"]["contrast"],
        0.3
    );
    assert!(finished("-", &[]).is_empty());
    assert_eq!(read(folder.join("stdin-finished.png")), through);
}
