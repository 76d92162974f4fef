//! Files of a run that are gone, damaged, or another version's.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::process::Signal;

use super::{Scene, is_whole, send, unbroken, wait_until};

const ITERATIONS: u32 = 400;

/// Everything in a folder.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path)),
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let place = to.join(path.strip_prefix(from).expect("a file in it"));
        fs::create_dir_all(place.parent().expect("a folder")).expect("a folder");
        fs::copy(&path, place).expect("a copy");
    }
}

fn changed(path: &Path) -> SystemTime {
    let found = fs::metadata(path).expect("a file");
    found.modified().expect("a time")
}

#[test]
fn pictures_and_preset_may_go_while_it_paints() {
    let scene = Scene::new();
    let preset = "style: {layers: {relu1_1: 1}}\ncontent: {layers: {relu1_1: 1}}\n";
    fs::write(scene.path("mine.yaml"), preset).expect("written");
    let run = scene
        .begin(ITERATIONS)
        .with(&["--preset", "mine.yaml"])
        .start();
    run.wait_for_iteration(5);
    for name in ["china.jpg", "night.jpg", "mine.yaml"] {
        fs::remove_file(scene.path(name)).expect("removed");
    }
    let checkpoint = scene.run_folder().join("checkpoint/generation-0");
    wait_until("a checkpoint", || checkpoint.exists());
    send(run.process(), Signal::KILL);
    run.end();
    scene.resume().start().well();
    assert!(is_whole(&scene.output()));
    assert_eq!(scene.last_loss(), unbroken(ITERATIONS));
}

#[test]
fn a_damaged_checkpoint_costs_seconds_and_not_the_run() {
    let scene = Scene::new();
    scene.killed(ITERATIONS);
    let run = scene.run_folder();
    copy(&run, &scene.path("spare"));
    let checkpoint = run.join("checkpoint");
    let generations = ["generation-0", "generation-1"].map(|name| checkpoint.join(name));

    let newest = generations.iter().max_by_key(|path| changed(path));
    fs::write(newest.expect("two"), "rubbish").expect("written");
    let end = scene.resume().start().well();
    assert!(end.has_notice("the newest checkpoint"), "{}", end.said);
    assert_eq!(scene.last_loss(), unbroken(ITERATIONS));
    assert!(is_whole(&scene.output()));

    // Arrays of the optimizer's.
    let again = || {
        fs::remove_dir_all(&run).expect("removed");
        copy(&scene.path("spare"), &run);
        // Of the run as it went on, which this copy of it knows nothing of.
        fs::remove_file(scene.output()).expect("removed");
    };
    again();
    let frozen = files(&checkpoint);
    let frozen = frozen
        .iter()
        .filter(|path| path.to_string_lossy().contains("frozen-"));
    for file in frozen {
        let mut bytes = fs::read(file).expect("the file");
        bytes.iter_mut().for_each(|byte| *byte ^= 1);
        fs::write(file, bytes).expect("written");
    }
    let end = scene.resume().start().well();
    assert!(end.has_notice("history is broken"), "{}", end.said);
    assert!(is_whole(&scene.output()));

    again();
    for generation in &generations {
        let bytes = fs::read(generation).expect("the file");
        fs::write(generation, &bytes[..bytes.len() / 2]).expect("written");
    }
    let before = files(&run);
    let (code, said) = scene.told(&["resume", "--headless", "--run-dir", "run"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("checkpoints can be used"), "{said}");
    assert!(files(&run).is_superset(&before), "something was deleted");
}

#[test]
fn a_checkpoint_of_another_run_is_reported_with_a_way_out() {
    let (scene, other) = (Scene::new(), Scene::new());
    scene.killed(ITERATIONS);
    // Of another shape.
    fs::copy(other.path("night.jpg"), other.path("china.jpg")).expect("a copy");
    other.killed(ITERATIONS);
    let checkpoint = scene.run_folder().join("checkpoint");
    fs::remove_dir_all(&checkpoint).expect("removed");
    copy(&other.run_folder().join("checkpoint"), &checkpoint);
    let resume = ["resume", "--headless", "--run-dir", "run"];
    let (code, said) = scene.told(&[&resume[..], &["-o", "out/picture.png"]].concat());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("other sizes"), "{said}");
    assert!(said.contains("Remove the run's folder"), "{said}");
    assert!(!said.contains("resume it with"), "{said}");
    fs::remove_dir_all(&checkpoint).expect("removed");
    scene.resume().start().well();
    assert_eq!(scene.last_loss(), unbroken(ITERATIONS));
}

#[test]
fn a_recipe_of_other_weights_says_so() {
    let scene = Scene::new();
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights/vgg16.safetensors");
    let mut bytes = fs::read(bundled).expect("the network");
    let import = |bytes: &[u8]| {
        fs::write(scene.path("mine.safetensors"), bytes).expect("a file");
        let flags = ["--convention", "bgr-minus-mean", "--replace"];
        let (code, said) =
            scene.told(&[&["weights", "import", "mine.safetensors"][..], &flags].concat());
        assert_eq!(code, Some(0), "{said}");
    };
    let paint = |flags: &[&str]| {
        let flags = [
            &[
                "run",
                "china.jpg",
                "night.jpg",
                "--headless",
                "--device",
                "cpu",
            ],
            flags,
        ];
        let (code, said) = scene.told(&flags.concat());
        assert_eq!(code, Some(0), "{said}");
        said
    };
    import(&bytes);
    let schedule = "schedule=[{size: 24, iterations: 1}]";
    paint(&[
        "-o",
        "out/first.png",
        "--network",
        "mine",
        "--set",
        schedule,
    ]);
    let again = ["-o", "out/again.png", "--recipe", "out/first.png"];
    let said = paint(&again);
    assert!(!said.contains("other weights"), "{said}");
    // Some bias of the last convolution.
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    import(&bytes);
    let said = paint(&again);
    assert!(said.contains("other weights"), "{said}");
    assert!(said.contains("the network mine"), "{said}");
}

#[test]
fn a_damaged_record_is_reported_by_name_and_left_as_it_is() {
    let scene = Scene::new();
    scene.killed(ITERATIONS);
    let record = scene.run_folder().join("run.json");
    let whole = fs::read_to_string(&record).expect("the record");
    let next_version = whole.replacen("\"format\": 2", "\"format\": 3", 1);
    assert_ne!(next_version, whole);
    let rubbish = "\u{1b}]0;title\u{7}\u{0}".repeat(100);
    let huge = " ".repeat(2 << 20);
    let cases = [
        (next_version.as_str(), "another version of impasto"),
        (&whole[..whole.len() / 2], "run.json is damaged"),
        (&rubbish, "run.json is damaged"),
        (&huge, "run.json"),
        ("", "run.json is damaged"),
    ];
    for (text, words) in cases {
        fs::write(&record, text).expect("written");
        for command in [
            &["resume", "--headless", "--run-dir", "run"][..],
            &["attach", "--headless", "--run-dir", "run"],
            &["runs", "show", "--run-dir", "run"],
            &["engine", "run"],
        ] {
            let (code, said) = scene.told(command);
            assert_eq!(code, Some(2), "{command:?}: {said}");
            assert!(said.contains(words), "{command:?}: {said}");
            let line = said.trim_end();
            assert!(!line.chars().any(char::is_control), "{said:?}");
        }
        assert_eq!(fs::read_to_string(&record).expect("the record"), text);
    }
    fs::write(&record, &whole).expect("written");

    // Where a run stands can be told without its state too.
    for state in ["{\"state\": \"pain", &rubbish, &huge] {
        fs::write(scene.run_folder().join("state.json"), state).expect("written");
        let (code, said) = scene.told(&["runs", "show", "--run-dir", "run"]);
        assert_eq!(code, Some(0), "{said}");
    }
    scene.resume().start().well();
    assert_eq!(scene.last_loss(), unbroken(ITERATIONS));
}
