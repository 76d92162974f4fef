//! Which run is meant, and what `impasto runs show` and `open` tell of it.

use std::fs;

use super::store::{Store, metrics, state, words};
use super::terminal::Screen;

#[test]
fn a_run_is_shown_by_its_name_by_a_beginning_or_as_the_latest() {
    let store = Store::open();
    let names = &store.names;
    let shown = |arguments: &[&str]| {
        let all = [&["runs", "show", "--json"], arguments].concat();
        let name = &store.json(&all)["run"]["name"];
        name.as_str().expect("a name").to_owned()
    };
    assert_eq!(shown(&[]), names.killed);
    assert_eq!(shown(&[&names.bold]), names.bold);
    let beginning = names.bold.trim_end_matches("ave");
    assert_eq!(shown(&[beginning]), names.bold);
    let folder = store.run(&names.stopped);
    let folder = folder.to_str().expect("a name");
    assert_eq!(shown(&["--run-dir", folder]), names.stopped);

    let complaint = store.refuses(&["runs", "show", "20"]);
    for name in names.listed().iter().take(3) {
        let named = complaint.contains(name);
        assert!(named || complaint.contains(&names.finished), "{complaint}");
    }
    assert!(complaint.contains("several runs"), "{complaint}");
    let wrong = names.bold.replace("wave", "wvae");
    let complaint = store.refuses(&["runs", "show", &wrong]);
    assert!(
        complaint.contains("no run") && complaint.contains(&names.bold),
        "{complaint}"
    );
    let complaint = store.refuses(&["runs", "show", &names.bold, "--run-dir", folder]);
    assert!(complaint.contains("cannot be used with"), "{complaint}");
}

#[test]
fn all_is_reported_of_a_run() {
    let store = Store::open();
    let names = &store.names;
    let text = store.prints(&["runs", "show", &names.bold]);
    let folder = store.run(&names.bold);
    for words in [
        &names.bold,
        "finished",
        "china.jpg",
        "wave.jpg",
        "bold",
        "24×16",
        "9/9",
        "bold.png",
        "result.png",
        "metrics.jsonl",
        folder.to_str().expect("a name"),
    ] {
        assert!(text.contains(words), "no {words} in:\n{text}");
    }
    let text = store.prints(&["runs", "show", &names.killed]);
    let advice = format!("impasto resume {}", names.killed);
    assert!(
        text.contains("interrupted") && text.contains(&advice),
        "{text}"
    );
    // That of a run kept elsewhere names its folder.
    let elsewhere = store.folder().join("elsewhere");
    fs::rename(store.run(&names.killed), &elsewhere).expect("moved");
    let elsewhere = elsewhere.to_str().expect("a name");
    let text = store.prints(&["runs", "show", "--run-dir", elsewhere]);
    let advice = format!("impasto resume --run-dir {elsewhere}");
    assert!(text.contains(&advice), "{text}");
}

#[test]
fn json_and_csv_agree_with_the_losses_that_were_written() {
    let store = Store::open();
    for name in store.names.listed() {
        let folder = store.run(name);
        let steps = metrics(&folder);
        assert!(!steps.is_empty());
        let all = store.json(&["runs", "show", name, "--json"]);
        for (key, step) in [("first", steps.first()), ("last", steps.last())] {
            for loss in [
                "iteration",
                "total",
                "content",
                "style",
                "smoothness",
                "layers",
            ] {
                assert_eq!(
                    Some(&all[key][loss]),
                    step.map(|it| &it[loss]),
                    "{key} {loss}"
                );
            }
        }
        let record = fs::read_to_string(folder.join("run.json")).expect("the record");
        let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
        assert_eq!(all["record"]["output"], record["output"]);
        assert_eq!(all["record"]["preset"], record["preset"]);
        assert_eq!(all["run"]["losses"], state(&folder)["losses"]);
        assert!(all["bytes"].as_u64().is_some_and(|bytes| bytes > 10_000));

        let csv = store.prints(&["runs", "show", name, "--csv"]);
        let mut lines = csv.lines();
        let columns: Vec<&str> = lines.next().expect("headings").split(',').collect();
        let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), steps.len());
        for (row, step) in rows.iter().zip(&steps) {
            assert_eq!(row.len(), columns.len());
            for (column, cell) in columns.iter().zip(row) {
                let written = match column.split_once("_relu") {
                    None => &step[*column],
                    Some((kind, layer)) => &step["layers"][kind][&format!("relu{layer}")],
                };
                let number: f64 = cell.parse().expect("a number");
                assert_eq!(Some(number), written.as_f64(), "{column}");
            }
        }
        assert!(columns.contains(&"style_relu1_1") && columns.contains(&"total"));
    }
    let complaint = store.refuses(&["runs", "show", "--json", "--csv"]);
    assert!(complaint.contains("cannot be used with"), "{complaint}");
}

#[test]
fn open_prints_a_path_for_the_shell() {
    let store = Store::open();
    let names = &store.names;
    let folder = store.run(&names.bold);
    let printed = store.prints(&["runs", "open", &names.bold]);
    assert_eq!(printed.strip_suffix('\n'), folder.to_str());
    let printed = store.prints(&["runs", "open", &names.bold, "--picture"]);
    assert_eq!(
        printed.strip_suffix('\n'),
        folder.join("result.png").to_str()
    );
    image::open(folder.join("result.png")).expect("a picture");
    // The latest is not finished and has only a small one.
    let printed = store.prints(&["runs", "open", "--picture"]);
    let picture = store.run(&names.killed).join("preview.png");
    assert_eq!(printed.strip_suffix('\n'), picture.to_str());

    fs::remove_file(picture).expect("removed");
    let complaint = store.refuses(&["runs", "open", "--picture"]);
    assert!(complaint.contains("no picture yet"), "{complaint}");
}

#[test]
fn what_is_no_name_is_refused_and_never_echoed_raw() {
    let store = Store::open();
    fs::write(store.folder().join("data/impasto/kept"), "").expect("written");
    let long = "x".repeat(100_000);
    let before = store.kept();
    let commands = [
        &["runs", "delete", "--yes", "--"][..],
        &["runs", "show", "--"],
        &["runs", "open", "--"],
        &["stop", "--"],
        &["attach", "--"],
        &["resume", "--"],
        &["runs", "compare", &store.names.bold, "--"],
    ];
    for name in [
        "../runs",
        "..",
        ".",
        "/",
        "/etc",
        "",
        "*",
        "-",
        "A\u{1b}[2J\u{7}\n",
        "写真",
        &long,
    ] {
        for command in &commands {
            let arguments = [*command, &[name]].concat();
            let complaint = store.refuses(&arguments);
            let line = complaint.strip_suffix('\n').expect("a line");
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(line.starts_with("impasto: ") && line.len() < 1000, "{line}");
            // All commands ask the same; with one name that is seen.
            if name != "../runs" {
                break;
            }
        }
    }
    assert_eq!(store.kept(), before);
    let complaint = store.refuses(&["runs", "show", "--run-dir", "no\u{1b}[2J\n"]);
    assert!(
        !complaint.trim_end().contains(char::is_control),
        "{complaint:?}"
    );
    let complaint = store.refuses(&["runs", "show", "--run-dir", "/etc"]);
    assert!(complaint.contains("holds no run"), "{complaint}");
}

#[test]
fn words_from_a_run_s_files_are_fit_for_a_terminal() {
    let store = Store::open();
    let folder = store.run(&store.names.stopped);
    let path = folder.join("run.json");
    let mut record: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).expect("the record")).expect("JSON");
    record["content"]["file"] = "a\u{1b}[2J\n.jpg".into();
    record["preset_name"] = "p\u{1b}[2J".into();
    fs::write(&path, record.to_string()).expect("written");
    let path = folder.join("state.json");
    let mut state = state(&folder);
    state["message"] = "m\u{1b}]0;x\u{7}".into();
    state["output"] = "/o\u{1b}c".into();
    fs::write(&path, state.to_string()).expect("written");
    let names = &store.names;
    for arguments in [
        &["runs", "list"][..],
        &["runs", "show", &names.stopped],
        &["runs", "compare", &names.stopped, &names.bold],
    ] {
        let text = store.prints(arguments);
        let raw = text.replace('\n', "");
        assert!(!raw.contains(char::is_control), "{arguments:?}: {text:?}");
    }
}

#[test]
fn a_terminal_shows_the_picture_and_the_facts() {
    let store = Store::open();
    let show = ["runs", "show", &store.names.finished];
    let Some(screen) = Screen::open(&store, "show", (100, 50), "", &show) else {
        return;
    };
    assert_eq!(screen.code(), 0);
    let text = screen.text();
    let drawn = text.contains(['▀', '▄']);
    assert!(drawn && text.contains("finished"), "{text}");
    // The exit code stands below.
    assert!(text.lines().count() <= 52, "both are seen at once:\n{text}");
    let Some(screen) = Screen::open(&store, "show-plain", (100, 50), "NO_COLOR=1", &show) else {
        return;
    };
    assert_eq!(screen.code(), 0);
    let text = screen.coloured();
    assert!(
        !text.contains('\u{1b}') && text.contains("finished"),
        "{text}"
    );
}

#[test]
fn a_reader_that_leaves_is_no_mistake() {
    let store = Store::open();
    for arguments in [
        &["runs", "list"][..],
        &["runs", "show", "--csv"],
        &["runs", "show"],
    ] {
        let mut child = store
            .command(arguments)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the binary starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("an end");
        let complaint = words(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {complaint}");
        assert!(
            !complaint.contains("impasto: "),
            "{arguments:?}: {complaint}"
        );
    }
}
