//! Numbers that run out of range, and memory that runs out.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use super::{ENDLESS, IMPASTO, Scene, is_whole, send};

#[test]
fn losses_that_are_not_finite_end_the_run_with_its_picture() {
    let scene = Scene::new();
    let end = scene
        .begin(ENDLESS)
        .with(&["--set", "style.weight=1e30"])
        .with(&["--set", "style.layers={relu1_1: 1e30}"])
        .start()
        .end();
    assert_eq!(end.status.code(), Some(1), "{}", end.said);
    let last = end.said.lines().last().unwrap_or_default();
    for words in ["impasto: ", "not a number", "lower", "out/picture.png"] {
        assert!(last.contains(words), "no {words} in: {last}");
    }
    assert!(is_whole(&scene.output()));
    assert_eq!(end.notices().len(), 2, "{:?}", end.notices());
}

#[test]
fn the_largest_rate_of_adam_does_no_harm() {
    let scene = Scene::new();
    let end = scene
        .begin(60)
        .with(&[
            "--set",
            "optimizer.kind=adam",
            "--set",
            "optimizer.rate=1000",
        ])
        .start()
        .end();
    assert!(matches!(end.status.code(), Some(0 | 1)), "{}", end.said);
    assert!(is_whole(&scene.output()));
}

#[test]
fn a_limit_on_the_size_of_files_is_as_a_full_disk() {
    let scene = Scene::new();
    let run = scene.begin(1500).start();
    run.wait_for_iteration(20);
    // Less than a checkpoint takes, or the losses; enough for the picture.
    let limit = Rlimit {
        current: Some(8 << 10),
        maximum: None,
    };
    let pid = Pid::from_raw(run.process() as i32).expect("a number");
    prlimit(Some(pid), Resource::Fsize, limit).expect("a limit");
    let end = run.end();
    assert_eq!(end.status.code(), Some(0), "{}", end.said);
    let notices = end.notices().join("\n");
    assert!(notices.contains("File too large"), "{notices}");
    assert!(is_whole(&scene.output()));
}

#[test]
fn without_memory_a_sentence_says_so() {
    // What the program takes in any case.
    let scene = Scene::new();
    let all_layers = ["--preset", "default"];
    let run = scene.begin(ENDLESS).start();
    run.wait_for_iteration(5);
    let status = fs::read_to_string(format!("/proc/{}/status", run.process()));
    let status = status.expect("the process");
    let taken = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let taken = taken.and_then(|words| words.split_whitespace().next());
    let taken: u64 = taken
        .and_then(|kilobytes| kilobytes.parse().ok())
        .expect("kB");
    send(run.process(), Signal::KILL);
    run.end();

    let scene = Scene::new();
    let output = scene
        .command("sh")
        .args(["-c", "ulimit -c 0; ulimit -v $0; exec \"$@\""])
        // Enough for the pictures, and far too little for what the network makes of them.
        .arg((taken + 150_000).to_string())
        .arg(IMPASTO)
        .args([
            "run",
            "china.jpg",
            "night.jpg",
            "--headless",
            "--device",
            "cpu",
        ])
        .args(["--set", "schedule=[{size: 640, iterations: 5}]"])
        .args(all_layers)
        .args(["-o", "out/picture.png", "--run-dir", "run"])
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("impasto: out of memory"), "{said}");
    assert!(last.contains("impasto fit"), "{last}");
}
