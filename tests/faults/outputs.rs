//! Places that a run is to write to: proved before it paints, and never somebody
//! else's.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Stdio};

use rustix::fs::{CWD, mkfifoat};
use rustix::process::Signal;

use super::{ENDLESS, IMPASTO, Scene, is_whole, send, wait_until};

/// Everything in the test's folder that is no folder.
fn all_files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("its kind"));
        if kind.is_dir() {
            found.extend(all_files(&path));
        } else if kind.is_file() {
            let bytes = fs::read(&path).expect("a file");
            found.push((path.to_string_lossy().into_owned(), bytes));
        }
    }
    found.sort();
    found
}

#[test]
fn a_place_that_cannot_be_written_to_is_reported_before_painting() {
    let scene = Scene::new();
    fs::create_dir(scene.path("folder.png")).expect("a folder");
    for pipe in ["pipe.png", "pipe.jsonl"] {
        mkfifoat(CWD, scene.path(pipe), 0o600.into()).expect("a pipe");
    }
    fs::write(scene.path("other.jpg"), b"\xff\xd8\xff a picture").expect("a file");
    symlink(scene.path("china.jpg"), scene.path("link.jpg")).expect("a link");
    fs::hard_link(scene.path("night.jpg"), scene.path("hard.jpg")).expect("a link");
    let long = format!("{}.png", "x".repeat(300));
    let before = all_files(scene.path("").as_path());
    let good = ["-o", "out/picture.png"];
    for (flags, words) in [
        // Where the picture goes.
        (&["-o", "slash.png/"][..], "names a folder"),
        (&["-o", "folder.png"], "a folder of that name"),
        (&["-o", &long], "too long"),
        (&["-o", "pipe.png"], "pipe"),
        (&["-o", "no/picture.png"], "does not exist"),
        (&["-o", "china.jpg"], "is the content picture"),
        (&["-o", "./link.jpg"], "is the content picture"),
        (&["-o", "hard.jpg"], "is the style picture"),
        // Where the events go.
        (
            &["--events", "no/events"],
            "cannot write events to no/events",
        ),
        (&["--events", "out"], "cannot write events to out"),
        (&["--events", "night.jpg"], "it is a picture of this run"),
        (
            &["--events", "out/../out/picture.png"],
            "it is a picture of this run",
        ),
        (&["--events", "other.jpg"], "something other than events"),
        (&["--events", "pipe.jsonl"], "Start its reader first"),
        // Where the run goes.
        (&["--run-dir", "out"], "is not empty"),
        (&["--run-dir", "china.jpg"], "is not empty"),
        (&["--run-dir", "/proc/run"], "/proc/run"),
    ] {
        let mut arguments = vec!["run", "china.jpg", "night.jpg", "--headless"];
        arguments.extend(["--device", "cpu"]);
        arguments.extend(["--set", "schedule=[{size: 24, iterations: 1000000}]"]);
        arguments.extend(flags);
        if !flags.contains(&"-o") {
            arguments.extend(good);
        }
        fs::write(scene.path("out/neighbour"), "").expect("a file");
        let (code, said) = scene.told(&arguments);
        fs::remove_file(scene.path("out/neighbour")).expect("removed");
        assert_eq!(code, Some(2), "{flags:?}: {said}");
        assert!(said.contains(words), "{flags:?}: {said}");
        assert!(!said.contains("iteration"), "{flags:?}: {said}");
        assert_eq!(all_files(scene.path("").as_path()), before, "{flags:?}");
    }
}

#[test]
fn a_working_folder_that_was_deleted_ends_nothing() {
    let scene = Scene::new();
    let deleted = scene.path("deleted");
    let from_there = |arguments: &[&str]| {
        fs::create_dir(&deleted).expect("a folder");
        let output = scene
            .command("sh")
            .current_dir(&deleted)
            .args(["-c", "rmdir \"$PWD\"; exec \"$@\"", "sh"])
            .arg(IMPASTO)
            .args(arguments)
            .output()
            .expect("the shell starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let (content, style) = (scene.path("china.jpg"), scene.path("night.jpg"));
    let output = scene.output();
    let paths = [&content, &style, &output].map(|path| path.to_str().expect("text"));
    let run = ["run", paths[0], paths[1], "--headless", "--device", "cpu"];
    let run = [&run[..], &["--set", "schedule=[{size: 24, iterations: 2}]"]].concat();

    let (code, said) = from_there(&["presets", "list"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = from_there(&run);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the folder . does not exist"), "{said}");
    let (code, said) = from_there(&[&run[..], &["-o", paths[2]]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(is_whole(&output));
}

/// A process that ends with the test.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A run without a name for its picture.
fn nameless(scene: &Scene, iterations: u32, words: &str) -> Guarded {
    let schedule = format!("schedule=[{{size: 24, iterations: {iterations}}}]");
    let file = fs::File::create(scene.path(words)).expect("a file");
    let child = scene
        .command(IMPASTO)
        .args(["run", "china.jpg", "night.jpg", "--headless"])
        .args(["--device", "cpu", "--set", &schedule])
        .args(["--set", "style.layers={relu1_1: 1}"])
        .args(["--set", "content.layers={relu1_1: 1}"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn();
    Guarded(child.expect("the binary starts"))
}

#[test]
fn runs_that_start_together_take_different_names() {
    let scene = Scene::new();
    let runs: Vec<Guarded> = ["1", "2", "3"]
        .iter()
        .map(|words| nameless(&scene, 30, words))
        .collect();
    for mut run in runs {
        assert!(run.0.wait().expect("an end").success());
    }
    for name in ["china-night.png", "china-night-2.png", "china-night-3.png"] {
        assert!(is_whole(&scene.path(name)), "{name}");
    }
    assert!(!scene.path("china-night-4.png").exists());
}

#[test]
fn a_name_is_free_again_where_nothing_was_saved() {
    let scene = Scene::new();
    let pictures = || {
        let names = fs::read_dir(scene.path("")).expect("a folder").flatten();
        names
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(".png"))
            .count()
    };
    for flags in [
        // Known at once, when the pictures are read, and when the painter starts.
        &["run", "china.jpg", "no.jpg", "--headless"][..],
        &["run", "china.jpg", "broken.jpg", "--headless"],
        &[
            "run",
            "china.jpg",
            "night.jpg",
            "--headless",
            "--device",
            "cuda:63",
        ],
    ] {
        fs::write(scene.path("broken.jpg"), b"\xff\xd8\xff a picture").expect("a file");
        let (code, said) = scene.told(flags);
        assert!(matches!(code, Some(1 | 2)), "{said}");
        assert_eq!(pictures(), 0, "{flags:?}: {said}");
    }
    let mut run = nameless(&scene, ENDLESS, "words");
    let words = || fs::read_to_string(scene.path("words")).unwrap_or_default();
    wait_until("a run", || words().contains("weights"));
    assert_eq!(pictures(), 1);
    send(run.0.id(), Signal::TERM);
    run.0.wait().expect("an end");
    let words = words();
    match words.contains("nothing was saved") {
        true => assert_eq!(pictures(), 0, "{words}"),
        false => assert!(is_whole(&scene.path("china-night.png")), "{words}"),
    }
}

#[test]
fn a_run_that_goes_on_replaces_no_file_of_others() {
    let scene = Scene::new();
    let output = scene.output();
    fs::write(&output, "asked to be replaced").expect("a file");
    scene.killed(400);
    let resume = |flags: &[&str]| {
        let mut arguments = vec!["resume", "--headless", "--run-dir", "run"];
        arguments.extend(flags);
        scene.told(&arguments)
    };
    // Not what the run was begun to replace, nor what it painted.
    fs::write(&output, "somebody else's").expect("a file");
    let (code, said) = resume(&[]);
    assert_eq!(code, Some(2), "{said}");
    for words in ["did not write it", "-o", "--replace"] {
        assert!(said.contains(words), "no {words} in: {said}");
    }
    assert_eq!(fs::read(&output).expect("the file"), b"somebody else's");
    let (code, said) = resume(&["-o", "no/other.png"]);
    assert_eq!(code, Some(2), "{said}");

    fs::write(&output, "asked to be replaced").expect("a file");
    let run = scene.resume().start();
    run.wait_for_iteration(60);
    send(run.process(), Signal::TERM);
    run.end();
    assert!(is_whole(&output));
    let painted = fs::read(&output).expect("the picture");
    fs::write(&output, "edited since").expect("a file");
    let (code, said) = resume(&[]);
    assert_eq!(code, Some(2), "{said}");
    fs::write(&output, painted).expect("the picture");
    let run = scene.resume().start();
    run.wait_for_iteration(100);
    send(run.process(), Signal::KILL);
    run.end();

    fs::write(&output, "somebody else's").expect("a file");
    let (code, said) = resume(&["-o", "out/other.png"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(is_whole(&scene.path("out/other.png")));
    assert_eq!(fs::read(&output).expect("the file"), b"somebody else's");
}

#[test]
fn a_file_in_the_way_is_replaced_when_that_is_said() {
    let scene = Scene::new();
    scene.killed(400);
    fs::write(scene.output(), "somebody else's").expect("a file");
    scene.resume().with(&["--replace"]).start().well();
    assert!(is_whole(&scene.output()));
}
