//! `impasto runs delete` and `impasto runs prune`.

use std::fs;

use super::store::{Store, words};
use super::terminal::Screen;

#[test]
fn without_anybody_to_ask_nothing_is_deleted() {
    let store = Store::open();
    let before = store.kept();
    let complaint = store.refuses(&["runs", "delete", &store.names.bold]);
    assert!(complaint.contains("--yes"), "{complaint}");
    let output = store.impasto(&["runs", "prune", "--keep", "0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(words(&output.stderr).contains("--yes"));
    assert_eq!(store.kept(), before);
}

#[test]
fn deleted_runs_go_and_pictures_saved_elsewhere_stay() {
    let store = Store::open();
    let names = &store.names;
    let output = store.impasto(&[
        "runs",
        "delete",
        "--yes",
        &names.finished,
        &names.bold,
        &names.bold,
    ]);
    assert!(output.status.success());
    assert!(words(&output.stderr).contains("deleted 2 runs"));
    let mut left = vec![names.stopped.clone(), names.killed.clone()];
    left.sort();
    assert_eq!(store.kept(), left);
    for picture in ["finished.png", "bold.png"] {
        image::open(store.folder().join(picture)).expect("it stays");
    }
    // One that is unknown keeps the others from going.
    let complaint = store.refuses(&["runs", "delete", "--yes", &names.stopped, "nothing"]);
    assert!(complaint.contains("nothing"), "{complaint}");
    assert_eq!(store.kept(), left);
    // What was linked to is left alone.
    let picture = store.folder().join("finished.png");
    let link = store.run(&names.stopped).join("inputs/link.png");
    std::os::unix::fs::symlink(&picture, link).expect("linked");
    let folder = store.run(&names.stopped).join("inputs/folder");
    std::os::unix::fs::symlink(store.folder(), folder).expect("linked");
    store.prints(&["runs", "delete", "-y", &names.stopped, &names.killed]);
    assert_eq!(store.kept(), Vec::<String>::new());
    assert!(picture.exists());
}

#[test]
fn a_run_that_is_painted_is_never_deleted() {
    let store = Store::open();
    let names = store.names.clone();
    let (mut live, name) = store.begin_long();
    // Whichever comes first, all stay.
    for pair in [[&name, &names.bold], [&names.bold, &name]] {
        let complaint = store.refuses(&["runs", "delete", "--yes", pair[0], pair[1]]);
        assert!(complaint.contains("being painted"), "{complaint}");
        assert!(complaint.contains(&live.0.id().to_string()), "{complaint}");
        assert_eq!(store.kept().len(), 5);
    }
    store.prints(&["runs", "prune", "--keep", "0", "--yes"]);
    let mut left = vec![names.killed, name.clone()];
    left.sort();
    assert_eq!(store.kept(), left, "one is interrupted, one is painted");
    store.prints(&["stop", &name]);
    assert!(live.ends());
    store.prints(&["runs", "delete", "--yes", &name]);
    assert!(store.folder().join("live.png").exists());
}

#[test]
fn prune_takes_the_old_or_all_but_the_newest() {
    let store = Store::open();
    let names = &store.names;
    let told = |arguments: &[&str]| {
        let before = store.kept();
        let all = [&["runs", "prune", "--dry-run"], arguments].concat();
        let output = store.impasto(&all);
        assert!(output.status.success(), "{arguments:?}");
        assert_eq!(store.kept(), before, "{arguments:?}");
        let lines = words(&output.stdout);
        let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
        let doomed: Vec<String> = lines.lines().filter_map(first).collect();
        let note = words(&output.stderr);
        let count = match doomed.len() {
            0 => "nothing to delete".to_owned(),
            1 => "would delete 1 run ".to_owned(),
            count => format!("would delete {count} runs "),
        };
        assert!(note.contains(&count), "{note}");
        doomed
    };
    // The newest ended run is the stopped one; the interrupted one counts for
    // nothing.
    let ended = [&names.stopped, &names.bold, &names.finished].map(Clone::clone);
    assert_eq!(told(&["--older-than", "0"]), ended);
    assert_eq!(told(&["--older-than", "10"]), ended);
    assert_eq!(told(&["--older-than", "11"]), ended[1..]);
    assert_eq!(told(&["--older-than", "30"]), ended[2..]);
    assert_eq!(told(&["--older-than", "41"]), ended[3..]);
    assert_eq!(told(&["--keep", "0"]), ended);
    assert_eq!(told(&["--keep", "2"]), ended[2..]);
    assert_eq!(told(&["--keep", "3"]), ended[3..]);
    assert_eq!(told(&["--keep", "1", "--older-than", "15"]), ended[1..]);
    assert_eq!(told(&["--keep", "2", "--older-than", "15"]), ended[2..]);
    assert_eq!(told(&["--keep", "1", "--older-than", "30"]), ended[2..]);

    let output = store.impasto(&["runs", "prune", "--keep", "1", "--yes"]);
    assert!(output.status.success());
    let listed = words(&output.stdout);
    assert!(
        listed.contains("finished") && listed.contains("20 days ago"),
        "{listed}"
    );
    assert!(words(&output.stderr).contains("deleted 2 runs"));
    let mut left = vec![names.stopped.clone(), names.killed.clone()];
    left.sort();
    assert_eq!(store.kept(), left);
}

#[test]
fn prune_wants_to_be_reported_what() {
    let store = Store::open();
    for arguments in [
        &["runs", "prune"][..],
        &["runs", "prune", "--yes"],
        &["runs", "prune", "--keep", "-1"],
        &["runs", "prune", "--older-than", "soon"],
    ] {
        store.refuses(arguments);
    }
    assert_eq!(store.kept().len(), 4);
    // A folder that is no run is nothing to prune.
    let broken = store.run("broken");
    fs::create_dir(&broken).expect("made");
    fs::write(broken.join("run.json"), "{").expect("written");
    store.prints(&["runs", "prune", "--keep", "0", "--yes"]);
    assert!(broken.exists());
}

#[test]
fn only_a_yes_deletes() {
    let store = Store::open();
    let name = store.names.bold.clone();
    let delete = ["runs", "delete", &name];
    for (number, (keys, deleted, code)) in [
        (&["n", "Enter"][..], false, 0),
        (&["Enter"], false, 0),
        (&["C-d"], false, 0),
        (&["C-c"], false, 130),
        (&["q", "Enter"], false, 0),
        (&["y", "Enter"], true, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let terminal = format!("delete-{number}");
        let Some(screen) = Screen::open(&store, &terminal, (100, 24), "", &delete) else {
            return;
        };
        let text = screen.shows("[y/N]");
        assert!(
            text.contains(&name) && text.contains("MB") || text.contains("kB"),
            "{text}"
        );
        screen.keys(keys);
        assert_eq!(screen.code(), code, "{keys:?}: {}", screen.text());
        let text = screen.text();
        assert_eq!(store.run(&name).exists(), !deleted, "{keys:?}: {text}");
        let line = text
            .lines()
            .find(|line| line.starts_with("nothing was deleted"));
        assert_eq!(line.is_some(), !deleted && code == 0, "{keys:?}: {text}");
    }
}
