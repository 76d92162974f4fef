//! Signals, processes that are killed or held, and second ones on one run.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use rustix::process::Signal;

use super::{ENDLESS, IMPASTO, Scene, is_whole, send, wait_until};

/// `impasto attach`, with its words in a file.
fn attach(scene: &Scene, words: &str) -> Child {
    let file = fs::File::create(scene.path(words)).expect("a file");
    scene
        .command(IMPASTO)
        .args(["attach", "--headless", "--run-dir", "run"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .expect("the binary starts")
}

#[track_caller]
fn wait_for_words(scene: &Scene, file: &str, words: &str) -> String {
    let read = || fs::read_to_string(scene.path(file)).unwrap_or_default();
    wait_until(&format!("{words} in {file}"), || read().contains(words));
    read()
}

#[test]
fn the_second_process_on_a_run_is_refused() {
    let scene = Scene::new();
    let run = scene.begin(ENDLESS).start();
    run.wait_for_iteration(5);
    let (code, said) = scene.told(&["resume", "--headless", "--run-dir", "run"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("being painted"), "{said}");
    assert!(said.contains(&run.process().to_string()), "{said}");
    let (code, said) = scene.told(&["engine", "run"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("being painted"), "{said}");
    assert!(said.contains(&run.process().to_string()), "{said}");
    // A new run has no place there either.
    let end = scene.begin(2).start().end();
    assert_eq!(end.status.code(), Some(2), "{}", end.said);
    assert!(end.said.contains("is not empty"), "{}", end.said);
    run.wait_for_progress();
    send(run.process(), Signal::TERM);
    run.end();
    assert!(is_whole(&scene.output()));
}

#[test]
fn signals_that_end_a_run_save_it() {
    for (signal, number, flags) in [
        (Signal::TERM, 15, &[][..]),
        (Signal::HUP, 1, &["--on-hangup", "stop"]),
    ] {
        let scene = Scene::new();
        let run = scene.begin(ENDLESS).with(flags).start();
        run.wait_for_iteration(5);
        send(run.process(), signal);
        let end = run.end();
        assert_eq!(end.status.code(), Some(128 + number), "{}", end.said);
        assert!(end.said.contains("saved out/picture.png"), "{}", end.said);
        assert!(is_whole(&scene.output()));
    }
}

#[test]
fn a_hangup_alone_ends_nothing() {
    let scene = Scene::new();
    let run = scene.begin(ENDLESS).start();
    run.wait_for_iteration(5);
    for _ in 0..3 {
        send(run.process(), Signal::HUP);
        run.wait_for_progress();
    }
    let (code, said) = scene.told(&["stop", "--run-dir", "run"]);
    assert_eq!(code, Some(0), "{said}");
    run.well();
    assert!(is_whole(&scene.output()));
}

#[test]
fn a_reader_that_leaves_does_not_end_the_run() {
    let scene = Scene::new();
    let mut child = scene
        .command("sh")
        .args(["-c", "\"$@\" 2> words; echo $? > code", "sh"])
        .arg(IMPASTO)
        .args(["run", "china.jpg", "night.jpg", "--device", "cpu"])
        .args(["--set", "schedule=[{size: 24, iterations: 60}]"])
        .args(["--events", "-", "-o", "out/picture.png", "--run-dir", "run"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the shell starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("stdout"));
    stdout.read_line(&mut line).expect("a line");
    drop(stdout);
    assert!(line.contains("\"started\""), "{line}");
    child.wait().expect("an end");
    let words = fs::read_to_string(scene.path("words")).expect("its words");
    let code = fs::read_to_string(scene.path("code")).expect("its code");
    assert_eq!(code.trim(), "0", "{words}");
    assert!(words.contains("events can no longer be written"), "{words}");
    assert!(is_whole(&scene.output()));
}

/// A run whose events go into a pipe that is open and that nobody reads.
struct Unread {
    child: Child,
    _pipe: ChildStdout,
}

impl Unread {
    fn start(scene: &Scene) -> Self {
        let words = fs::File::create(scene.path("words")).expect("a file");
        let mut child = scene
            .command(IMPASTO)
            .args(["run", "china.jpg", "night.jpg", "--device", "cpu"])
            .args(["--set", "schedule=[{size: 24, iterations: 1000000}]"])
            .args(["--events", "-", "-o", "out/picture.png", "--run-dir", "run"])
            .args(["--set", "style.layers={relu1_1: 1}"])
            .args(["--set", "content.layers={relu1_1: 1}"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(words)
            .spawn()
            .expect("the binary starts");
        let pipe = child.stdout.take().expect("stdout");
        let unread = Self { child, _pipe: pipe };
        // The pipe takes some two hundred steps.
        wait_until("five hundred iterations", || {
            let text = fs::read_to_string(scene.path("run/metrics.jsonl"));
            text.is_ok_and(|text| text.lines().count() > 500)
        });
        unread
    }

    #[track_caller]
    fn end(mut self, scene: &Scene) -> (Option<i32>, String) {
        let mut status = None;
        wait_until("end", || {
            status = self.child.try_wait().expect("its status");
            status.is_some()
        });
        let words = fs::read_to_string(scene.path("words")).expect("its words");
        assert!(is_whole(&scene.output()), "{words}");
        (status.expect("an end").code(), words)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this process was started to ignore a signal.
fn is_ignored(number: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("its status");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = u64::from_str_radix(mask.expect("a mask").trim(), 16).expect("a number");
    mask & (1 << (number - 1)) != 0
}

#[test]
fn events_that_nobody_reads_hold_neither_painter_nor_end_up() {
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2)] {
        // What a shell starts in the background ignores Ctrl-C, and so does all
        // that it starts.
        if is_ignored(number) {
            continue;
        }
        let scene = Scene::new();
        let run = Unread::start(&scene);
        send(run.child.id(), signal);
        let (code, words) = run.end(&scene);
        assert_eq!(code, Some(128 + number), "{words}");
        assert!(words.contains("events were left out"), "{words}");
    }
    let scene = Scene::new();
    let run = Unread::start(&scene);
    let (code, said) = scene.told(&["stop", "--run-dir", "run"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, words) = run.end(&scene);
    assert_eq!(code, Some(0), "{words}");
}

#[test]
fn a_run_that_was_suspended_goes_on() {
    let scene = Scene::new();
    let run = scene.begin(ENDLESS).start();
    run.wait_for_iteration(5);
    let mut before = attach(&scene, "before");
    wait_for_words(&scene, "before", "iteration ");
    // Held for as long as a front end waits for an answer.
    let (code, said) = run.meanwhile(|| scene.told(&["attach", "--headless", "--run-dir", "run"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("does not answer"), "{said}");
    run.wait_for_progress();
    let mut after = attach(&scene, "after");
    wait_for_words(&scene, "after", "iteration ");
    let (code, said) = scene.told(&["stop", "--run-dir", "run"]);
    assert_eq!(code, Some(0), "{said}");
    run.well();
    for (child, file) in [(&mut before, "before"), (&mut after, "after")] {
        let status = child.wait().expect("an end");
        let said = wait_for_words(&scene, file, "saved ");
        assert!(status.success(), "{said}");
    }
    assert!(is_whole(&scene.output()));
}

#[test]
fn who_watches_an_engine_die_is_reported_how_to_go_on() {
    let scene = Scene::new();
    let run = scene.begin(ENDLESS).start();
    run.wait_for_iteration(5);
    let mut watcher = attach(&scene, "words");
    wait_for_words(&scene, "words", "iteration ");
    send(run.process(), Signal::KILL);
    let status = watcher.wait().expect("an end");
    let said = wait_for_words(&scene, "words", "impasto: ");
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("impasto resume"), "{said}");
    run.end();
    // Whoever comes now is told the same.
    let (code, said) = scene.told(&["attach", "--headless", "--run-dir", "run"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("impasto resume"), "{said}");
}
