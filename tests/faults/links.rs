//! Links and pipes in the folder of a run, which may come from somebody else.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::fs::{CWD, mkfifoat};

use super::{IMPASTO, Scene, is_whole, wait_until};

const ITERATIONS: u32 = 400;

/// What a link in the run's folder leads to.
const FILES: [&str; 4] = ["victim", "metrics.jsonl", "generation-0", "frozen-1"];

/// Outside the run's folder: files that nothing may happen to.
fn outside(scene: &Scene) -> impl Fn() -> Vec<(String, Vec<u8>)> {
    let folder = scene.path("outside");
    fs::create_dir(&folder).expect("a folder");
    for name in FILES {
        fs::write(folder.join(name), "private").expect("a file");
    }
    move || {
        let entries = fs::read_dir(&folder).expect("the folder").flatten();
        let mut found: Vec<(String, Vec<u8>)> = entries
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, fs::read(entry.path()).expect("a file"))
            })
            .collect();
        found.sort();
        found
    }
}

/// Waits for a command that must not hang.
fn ends(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(input).expect("it reads");
    drop(stdin);
    let mut ended = false;
    let deadline = std::time::Instant::now() + super::TIMEOUT;
    while !ended && std::time::Instant::now() < deadline {
        ended = child.try_wait().expect("its status").is_some();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let _ = child.kill();
    let output = child.wait_with_output().expect("its words");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(ended, "it hangs: {said}");
    output
}

fn resumes(scene: &Scene) -> (Option<i32>, String) {
    let mut command = scene.command(IMPASTO);
    command.args(["resume", "--headless", "--run-dir", "run"]);
    let output = ends(command, b"");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).expect("removed"),
        Ok(_) => fs::remove_file(path).expect("removed"),
        Err(_) => {}
    }
}

#[test]
fn no_link_or_pipe_in_a_run_leads_out_of_it() {
    let scene = Scene::new();
    scene.killed(ITERATIONS);
    let run = scene.run_folder();
    fs::rename(&run, scene.path("spare")).expect("renamed");
    let seen = outside(&scene);
    let before = seen();
    // What is written whole takes the place of whatever lies there; all else is
    // refused.
    let replaced = [
        "result.png",
        "preview.png",
        "state.json",
        "socket.json",
        "losses.png",
    ];
    let refused = [
        "run.json",
        "lock",
        "metrics.jsonl",
        "log.txt",
        "checkpoint",
        "inputs",
        "inputs/content.jpg",
    ];
    type Make = fn(&Scene, &Path);
    let makers: [(&str, Make); 3] = [
        ("link", |scene, path| {
            symlink(scene.path("outside/victim"), path).expect("a link");
        }),
        ("link to a folder", |scene, path| {
            symlink(scene.path("outside"), path).expect("a link");
        }),
        ("pipe", |_, path| {
            mkfifoat(CWD, path, 0o600.into()).expect("a pipe");
        }),
    ];
    for (kind, make) in makers {
        for name in replaced.iter().chain(&refused) {
            let is_folder = ["checkpoint", "inputs"].contains(name);
            if kind == "link to a folder" && !is_folder {
                continue;
            }
            let copied = Command::new("cp")
                .arg("-a")
                .args([scene.path("spare"), run.clone()])
                .status();
            assert!(copied.expect("cp").success());
            remove(&scene.output());
            remove(&run.join(name));
            make(&scene, &run.join(name));
            let (code, said) = resumes(&scene);
            assert_eq!(seen(), before, "{name} as a {kind}: {said}");
            if replaced.contains(name) {
                assert_eq!(code, Some(0), "{name} as a {kind}: {said}");
                assert!(is_whole(&scene.output()), "{name} as a {kind}");
            } else {
                assert_eq!(code, Some(2), "{name} as a {kind}: {said}");
                let last = name.rsplit('/').next().unwrap_or(name);
                assert!(said.contains(last), "{name} as a {kind}: {said}");
            }
            remove(&run);
        }
    }
}

#[test]
fn checkpoints_are_not_read_through_links() {
    let scene = Scene::new();
    scene.killed(ITERATIONS);
    let seen = outside(&scene);
    let checkpoints = scene.run_folder().join("checkpoint");
    for name in ["generation-0", "generation-1"] {
        let elsewhere = scene.path(name);
        fs::rename(checkpoints.join(name), &elsewhere).expect("renamed");
        symlink(&elsewhere, checkpoints.join(name)).expect("a link");
    }
    let before = seen();
    let (code, said) = resumes(&scene);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not an ordinary file"), "{said}");
    for name in ["generation-0", "generation-1"] {
        remove(&checkpoints.join(name));
        mkfifoat(CWD, checkpoints.join(name), 0o600.into()).expect("a pipe");
    }
    let (code, said) = resumes(&scene);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(seen(), before);
}

#[test]
fn an_engine_writes_its_words_through_no_link() {
    let scene = Scene::new();
    scene.killed(ITERATIONS);
    let seen = outside(&scene);
    let before = seen();
    let words = scene.run_folder().join("stderr.txt");
    // As a front end sends it: the length, and what is asked for.
    let request = [scene.run_folder().to_string_lossy().as_bytes(), b"\0"].concat();
    let length = (request.len() as u32).to_le_bytes();
    let request = [&length[..], &request].concat();
    for pipe in [false, true] {
        match pipe {
            true => mkfifoat(CWD, &words, 0o600.into()).expect("a pipe"),
            false => symlink(scene.path("outside/victim"), &words).expect("a link"),
        }
        let mut command = scene.command(IMPASTO);
        command.arg("engine");
        let output = ends(command, &request);
        assert!(!output.status.success());
        assert_eq!(seen(), before);
        remove(&words);
    }
    // Without them it paints.
    let mut command = scene.command(IMPASTO);
    command.arg("engine");
    assert!(ends(command, &request).status.success());
    wait_until("a picture", || is_whole(&scene.output()));
}
