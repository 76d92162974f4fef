//! `impasto stop`, `attach` and `resume` at the command line.

use std::fs;
use std::process::Stdio;

use super::store::{Live, Store, metrics, state, wait_for, words};

#[test]
fn a_stopped_run_has_its_picture_and_goes_on_to_the_end() {
    let store = Store::empty();
    let folder = store.folder().join("kept");
    let place = folder.to_str().expect("a name");
    let mut live = store.begin("night.jpg", 200, &["-o", "out.png", "--run-dir", place]);
    wait_for("some iterations", || {
        (state(&folder)["iteration"].as_u64()? > 3).then_some(())
    });
    let output = store.impasto(&["stop", "--run-dir", place]);
    let note = words(&output.stderr);
    assert!(
        output.status.success() && note.contains("saved out.png"),
        "{note}"
    );
    assert!(live.ends());
    assert!(store.kept().is_empty(), "it is none of the others");
    let early = image::open(store.folder().join("out.png")).expect("a picture");
    let stopped = state(&folder);
    assert_eq!(stopped["state"], "stopped");
    let done = stopped["iteration"].as_u64().expect("a number");
    assert!(done < 200);

    // What is over cannot be attached to or stopped.
    for command in ["stop", "attach"] {
        let complaint = store.refuses(&[command, "--run-dir", place]);
        assert!(complaint.contains("was stopped"), "{complaint}");
        let advice = format!("`impasto resume --run-dir {place}`");
        assert!(complaint.contains(&advice), "{complaint}");
    }
    let output = store.impasto(&["resume", "--headless", "--run-dir", place]);
    assert!(output.status.success(), "{}", words(&output.stderr));
    let all = store.json(&["runs", "show", "--json", "--run-dir", place]);
    assert_eq!(all["run"]["state"], "finished");
    assert_eq!(all["last"]["iteration"], 200);
    let steps = metrics(&folder);
    let numbers: Vec<u64> = steps
        .iter()
        .filter_map(|it| it["iteration"].as_u64())
        .collect();
    assert_eq!(numbers, (1..=200).collect::<Vec<u64>>());
    let late = image::open(store.folder().join("out.png")).expect("a picture");
    assert_eq!(late.to_rgb8().dimensions(), (24, 16));
    assert_ne!(late.to_rgb8(), early.to_rgb8());
    assert!(folder.join("losses.svg").exists());
    image::open(folder.join("losses.png")).expect("a chart");
    let complaint = store.refuses(&["resume", "--headless", "--run-dir", place]);
    assert!(complaint.contains("is finished"), "{complaint}");
}

#[test]
fn a_run_that_was_killed_goes_on_where_it_was() {
    let store = Store::open();
    let name = store.names.killed.clone();
    let before = state(&store.run(&name))["iteration"].as_u64();
    // It has a million iterations: it is stopped a second time.
    let mut command = store.command(&["resume", "--headless"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut live = Live(command.spawn().expect("the binary starts"));
    wait_for("more iterations", || {
        let state = state(&store.run(&name));
        (state["iteration"].as_u64() > before).then_some(())
    });
    let complaint = store.refuses(&["resume", &name]);
    assert!(complaint.contains("being painted"), "{complaint}");
    let output = store.impasto(&["stop"]);
    assert!(words(&output.stderr).contains("saved killed.png"));
    assert!(live.ends());
    assert_eq!(state(&store.run(&name))["state"], "stopped");
    image::open(store.folder().join("killed.png")).expect("a picture");
}

#[test]
fn attach_follows_a_run_to_its_end() {
    let store = Store::empty();
    let (mut live, name) = store.begin_long();
    let attach = |place: &str, arguments: &[&str]| {
        let place = store.folder().join(place);
        let mut command = store.command(arguments);
        let told = fs::File::create(&place).expect("a file");
        command.stdout(Stdio::null()).stderr(told);
        let live = Live(command.spawn().expect("the binary starts"));
        wait_for("progress", || {
            let told = fs::read_to_string(&place).expect("text");
            told.contains(" of 1000000").then_some(())
        });
        (live, place)
    };
    let beginning = &name[..name.len() - 1];
    let watchers = [
        attach("one", &["attach", "--headless"]),
        attach("two", &["attach", "--headless", "--watch", beginning]),
    ];
    // Who leaves does not end the run.
    let (mut leaver, _) = attach("three", &["attach", "--headless"]);
    leaver.kill();
    let before = state(&store.run(&name))["iteration"].as_u64();
    wait_for("more iterations", || {
        let state = state(&store.run(&name));
        (state["iteration"].as_u64() > before).then_some(())
    });
    assert_eq!(state(&store.run(&name))["state"], "painting");
    store.prints(&["stop", &name]);
    assert!(live.ends());
    for (mut watcher, place) in watchers {
        let succeeded = watcher.ends();
        let told = fs::read_to_string(place).expect("text");
        assert!(succeeded && told.contains("saved live.png"), "{told}");
    }
    let complaint = store.refuses(&["stop"]);
    assert!(complaint.contains("no run is being painted"), "{complaint}");
}

#[test]
fn a_folder_of_one_s_own_must_be_free() {
    let store = Store::open();
    let taken = store.run(&store.names.bold);
    let before = fs::read(taken.join("run.json")).expect("the record");
    let mut live = store.begin(
        "night.jpg",
        5,
        &["--run-dir", taken.to_str().expect("a name")],
    );
    assert!(!live.ends());
    assert_eq!(
        fs::read(taken.join("run.json")).expect("the record"),
        before
    );
}
