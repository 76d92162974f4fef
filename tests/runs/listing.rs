//! `impasto runs list`.

use std::fs;

use super::store::{Store, state, words};
use super::terminal::Screen;

#[test]
fn the_newest_is_first_with_its_state_preset_loss_and_duration() {
    let store = Store::open();
    let text = store.prints(&["runs", "list"]);
    let mut lines = text.lines();
    let headings: Vec<&str> = lines.next().expect("headings").split_whitespace().collect();
    assert_eq!(
        headings,
        [
            "run",
            "state",
            "preset",
            "size",
            "iterations",
            "total",
            "time",
            "when"
        ]
    );
    let rows: Vec<Vec<&str>> = lines
        .map(|line| line.split_whitespace().collect())
        .collect();
    let column = |number: usize| -> Vec<&str> { rows.iter().map(|row| row[number]).collect() };
    assert_eq!(column(0), store.names.listed());
    assert_eq!(
        column(1),
        ["interrupted", "stopped", "finished", "finished"]
    );
    assert_eq!(column(2), ["default", "default", "bold", "default"]);
    assert_eq!(column(3), ["24×16"; 4]);
    assert_eq!(column(4)[2..], ["9/9", "6/6"]);
    for (row, name) in rows.iter().zip(store.names.listed()) {
        let state = state(&store.run(name));
        let total: f64 = row[5].parse().expect("a number");
        let written = state["losses"]["total"].as_f64().expect("a number");
        assert!((total / written - 1.0).abs() < 1e-3, "{total} {written}");
        let elapsed = state["elapsed"].as_f64().expect("a number") as u64;
        let time: Vec<u64> = row[6]
            .split(':')
            .map(|it| it.parse().expect("it"))
            .collect();
        assert!(time[0] * 60 + time[1] <= elapsed + 1, "{time:?} {elapsed}");
    }
    let when: Vec<String> = rows.iter().map(|row| row[7..].join(" ")).collect();
    assert_eq!(when[..3], ["1 day ago", "10 days ago", "20 days ago"]);
    assert!(when[3].starts_with("20") && when[3].len() == 10, "{when:?}");
    // The columns of words begin in one place.
    let mut lines = text.lines().map(|line| line.chars().collect::<Vec<char>>());
    let headings: String = lines.next().expect("headings").into_iter().collect();
    let place = headings.find("state").expect("a heading");
    assert!(
        lines.all(|line| line[place - 1] == ' ' && line[place] != ' '),
        "{text}"
    );
    let output = store.impasto(&["runs", "list"]);
    assert!(words(&output.stderr).contains(&format!("impasto resume {}", store.names.killed)));
}

#[test]
fn json_reports_what_the_files_say() {
    let store = Store::open();
    let all = store.json(&["runs", "list", "--json"]);
    let all = all.as_array().expect("an array");
    let names: Vec<&str> = all.iter().filter_map(|run| run["name"].as_str()).collect();
    assert_eq!(names, store.names.listed());
    for run in all {
        let folder = store.run(run["name"].as_str().expect("a name"));
        let state = state(&folder);
        assert_eq!(run["folder"].as_str(), folder.to_str());
        for key in [
            "iteration",
            "iterations",
            "losses",
            "elapsed",
            "updated",
            "width",
            "height",
        ] {
            assert_eq!(run[key], state[key], "{key}");
        }
        assert_eq!(run["content"], "china.jpg");
        assert!(run["pid"].is_null());
    }
    assert_eq!(all[0]["state"], "interrupted");
    let output = store.folder().join("finished.png");
    assert_eq!(all[3]["output"].as_str(), output.to_str());
    assert!(output.exists());
}

#[test]
fn a_run_that_is_painted_says_so_and_by_whom() {
    let store = Store::empty();
    let (live, name) = store.begin_long();
    let all = store.json(&["runs", "list", "--json"]);
    assert_eq!(all[0]["name"], name.as_str());
    assert_eq!(all[0]["state"], "painting");
    assert_eq!(all[0]["pid"], live.0.id());
    assert!(
        store
            .prints(&["runs", "show"])
            .contains(&format!("process {}", live.0.id()))
    );
}

#[test]
fn an_empty_store_is_no_mistake() {
    let store = Store::empty();
    let text = store.prints(&["runs", "list"]);
    assert!(
        text.contains("no runs yet") && text.contains("impasto run"),
        "{text}"
    );
    assert_eq!(
        store
            .json(&["runs", "list", "--json"])
            .as_array()
            .map(Vec::len),
        Some(0)
    );
    for arguments in [
        &["runs", "show"][..],
        &["runs", "open"],
        &["runs", "show", "a"],
    ] {
        assert!(store.refuses(arguments).contains("no runs yet"));
    }
    for command in ["stop", "attach", "resume"] {
        assert!(
            store.refuses(&[command]).contains("impasto runs list"),
            "{command}"
        );
    }
    let output = store.impasto(&["runs", "prune", "--keep", "0", "--yes"]);
    assert!(output.status.success());
    assert!(words(&output.stderr).contains("nothing to delete"));
}

#[test]
fn what_is_no_run_does_not_hide_those_that_are() {
    let store = Store::open();
    let broken = store.run("broken");
    fs::create_dir(&broken).expect("made");
    fs::write(broken.join("run.json"), "{\"format\": 1, \"\u{1b}[2J").expect("written");
    let newer = store.run("newer");
    fs::create_dir(&newer).expect("made");
    fs::write(newer.join("run.json"), "{\"format\": 99}").expect("written");
    fs::create_dir(store.run("empty")).expect("made");
    fs::write(store.run("file"), "").expect("written");
    std::os::unix::fs::symlink("/etc", store.run("link")).expect("linked");
    fs::remove_file(store.run(&store.names.stopped).join("state.json")).expect("removed");
    let output = store.impasto(&["runs", "list"]);
    let (table, notes) = (words(&output.stdout), words(&output.stderr));
    assert!(output.status.success(), "{notes}");
    assert_eq!(table.lines().count(), 5, "{table}");
    assert!(table.contains("unknown"), "{table}");
    for words in ["broken: broken: ", "newer: broken: ", "99"] {
        assert!(notes.contains(words), "{notes}");
    }
    for words in ["empty", "file:", "link", "\u{1b}"] {
        assert!(
            !notes.contains(words) && !table.contains(words),
            "{words}: {notes}"
        );
    }
    let all = store.json(&["runs", "list", "--json"]);
    assert_eq!(all.as_array().map(Vec::len), Some(4));
    // Such a folder can be deleted by its name.
    store.prints(&["runs", "delete", "--yes", "broken", "newer"]);
    assert!(!broken.exists() && !newer.exists());
}

#[test]
fn into_a_pipe_goes_plain_text() {
    let store = Store::open();
    let names = &store.names;
    for arguments in [
        &["runs", "list"][..],
        &["runs", "list", "--json"],
        &["runs", "show"],
        &["runs", "compare", &names.finished, &names.bold],
        &["runs", "open", "--picture"],
        &["runs", "prune", "--keep", "0", "--dry-run"],
    ] {
        let output = store.impasto(arguments);
        assert!(output.status.success(), "{arguments:?}");
        assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b));
    }
    let complaint = store.refuses(&["runs", "list", "--thumbnails"]);
    assert!(complaint.contains("terminal"), "{complaint}");
}

#[test]
fn a_terminal_shows_pictures_beside_the_words() {
    let store = Store::open();
    let list = ["runs", "list", "--thumbnails"];
    let Some(screen) = Screen::open(&store, "gallery", (80, 24), "", &list) else {
        return;
    };
    assert_eq!(screen.code(), 0);
    let text = screen.text();
    let mut places = Vec::new();
    for name in store.names.listed() {
        let line = text
            .lines()
            .find(|line| line.contains(name))
            .expect("a line");
        let (picture, words) = line.split_at(line.find(name).expect("the name"));
        assert_eq!(words.trim(), name);
        assert_eq!(
            picture.chars().filter(|&it| it == '▀').count(),
            20,
            "{line}"
        );
        places.push(text.find(name).expect("the name"));
    }
    assert!(places.is_sorted(), "{text}");
    assert!(text.contains("preset bold, 24×16") && text.contains("iteration 6/6"));
    assert!(screen.coloured().contains("\u{1b}[38;2;"));

    let Some(screen) = Screen::open(&store, "plain", (80, 24), "NO_COLOR=1", &list) else {
        return;
    };
    assert_eq!(screen.code(), 0);
    assert!(!screen.coloured().contains('\u{1b}'));
    assert!(screen.text().contains(&store.names.bold));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let store = Store::open();
    let [first, second] = [&store.names.finished, &store.names.bold];
    for (width, command) in [
        (60, &["runs", "list"][..]),
        (80, &["runs", "list"]),
        (60, &["runs", "compare", first, second]),
    ] {
        // A line that is too wide would continue in the next.
        let name = format!("narrow-{width}-{}", command[1]);
        let Some(screen) = Screen::open(&store, &name, (width, 40), "NO_COLOR=1", command) else {
            return;
        };
        assert_eq!(screen.code(), 0);
        let text = screen.text();
        if command[1] == "list" {
            let rows = text.lines().filter(|line| line.starts_with("20"));
            assert_eq!(rows.count(), 4, "{text}");
            assert!(text.contains("total") || width < 80, "{text}");
        } else {
            let row = |word: &str| text.lines().any(|line| line.starts_with(word));
            for word in ["total", "style", "schedule", "style.weight"] {
                assert!(row(word), "no {word} in:\n{text}");
            }
            assert!(text.contains("24×6") && text.contains("24×9"), "{text}");
        }
    }
}
