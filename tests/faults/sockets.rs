//! Folders for sockets that is not available, and sockets that lie elsewhere.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Begin, ENDLESS, IMPASTO, Scene, is_whole, skip, wait_until};

/// What the shell does before the program, in the test's folder: no shared folder
/// takes a socket. The test's folder and the program may themselves lie in /tmp.
const WITHOUT_SHARED_FOLDERS: &str = "mount --bind /tmp /tmp || exit 77
mount -o remount,bind,ro /tmp || exit 77
mount --bind \"$PWD\" \"$PWD\" || exit 77
mount -o remount,bind,rw \"$PWD\" || exit 77
cd \"$PWD\" || exit 77
mount -t tmpfs -o ro tmpfs /run || exit 77
[ $# = 0 ] && exit 0
\"$@\" & echo $! > number.new; mv number.new number
wait $(cat number)";

/// A command that paints where only the run's own folder takes a socket; none
/// where this machine does not allow it.
fn without_shared_folders<'a>(scene: &'a Scene, begin: Begin<'a>) -> Option<Begin<'a>> {
    let shell = || {
        let mut command = scene.command("unshare");
        command.args(["--mount", "--user", "--map-root-user", "sh", "-c"]);
        command.args([WITHOUT_SHARED_FOLDERS, "sh"]);
        command
    };
    if !shell().output().is_ok_and(|tried| tried.status.success()) {
        skip("a process may not mount a disk of its own on this machine");
        return None;
    }
    // In the way of the runtime folder's.
    let _ = fs::remove_dir_all(scene.path("runtime/impasto"));
    fs::write(scene.path("runtime/impasto"), "").expect("a file");
    Some(begin.under(shell(), scene.path("number")))
}

/// As from a shell with another runtime folder.
fn told_elsewhere(scene: &Scene, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command: Command = scene.command(IMPASTO);
    let output = command
        .env("XDG_RUNTIME_DIR", scene.path("out"))
        .args(arguments)
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn without_shared_folders_a_run_is_reached_in_its_own() {
    let scene = Scene::elsewhere();
    let Some(begin) = without_shared_folders(&scene, scene.begin(ENDLESS)) else {
        return;
    };
    let run = begin.start();
    run.wait_for_iteration(5);
    let (code, said) = scene.told(&["stop", "--run-dir", "run"]);
    assert_eq!(code, Some(0), "{said}");
    let end = run.well();
    assert!(end.notices().is_empty(), "{:?}", end.notices());
    assert!(is_whole(&scene.output()));
    assert!(!scene.run_folder().join("engine.sock").exists());
}

#[test]
fn without_any_place_for_a_socket_it_paints_and_attach_says_why() {
    let scene = Scene::elsewhere();
    scene.killed(ENDLESS);
    let in_the_way = scene.run_folder().join("engine.sock");
    fs::write(&in_the_way, "").expect("a file");
    let Some(begin) = without_shared_folders(&scene, scene.resume()) else {
        return;
    };
    let run = begin.start();
    run.wait_for_progress();
    let process = run.process().to_string();
    for command in ["attach", "stop"] {
        let (code, said) = scene.told(&[command, "--run-dir", "run"]);
        assert_eq!(code, Some(1), "{said}");
        for words in ["engine.sock is in the way", &process, "kill"] {
            assert!(said.contains(words), "no {words} in: {said}");
        }
        assert!(!said.contains("resume"), "{said}");
    }
    fs::remove_file(&in_the_way).expect("removed");
    wait_until("a socket", || in_the_way.exists());
    let (code, said) = scene.told(&["stop", "--run-dir", "run"]);
    assert_eq!(code, Some(0), "{said}");
    let end = run.well();
    assert!(
        end.has_notice("no terminal can attach"),
        "{:?}",
        end.notices()
    );
    assert!(is_whole(&scene.output()));
}

#[test]
fn a_run_is_found_from_a_shell_with_another_runtime_folder() {
    let scene = Scene::new();
    let run = scene.begin(ENDLESS).start();
    run.wait_for_iteration(5);
    let record = scene.run_folder().join("socket.json");
    let record_text = fs::read_to_string(&record).expect("the address");

    // Without the address it cannot be found, and nothing contradicts itself.
    fs::remove_file(&record).expect("removed");
    let process = run.process().to_string();
    for command in ["attach", "stop"] {
        let (code, said) = told_elsewhere(&scene, &[command, "--run-dir", "run"]);
        assert_eq!(code, Some(1), "{said}");
        for words in [&process, "nobody listens at", "out/impasto/", "kill"] {
            assert!(said.contains(words), "no {words} in: {said}");
        }
        assert!(!said.contains("nobody is painting"), "{said}");
        assert!(!said.contains("resume"), "{said}");
    }

    fs::write(&record, record_text).expect("written");
    let (code, said) = told_elsewhere(&scene, &["stop", "--run-dir", "run"]);
    assert_eq!(code, Some(0), "{said}");
    run.well();
    assert!(is_whole(&scene.output()));
    assert!(!record.exists());
}

#[test]
fn a_run_that_cannot_begin_leaves_nothing_behind() {
    let scene = Scene::new();
    let data = scene.path("data");
    let kept = |folder: &Path| fs::read_dir(folder).map_or(0, Iterator::count);
    let mut failed = 0;
    // As few open files as the program needs to come so far.
    for files in (8..30).rev().step_by(3) {
        let output = scene
            .command("sh")
            .args(["-c", "ulimit -n $0; exec \"$@\"", &files.to_string()])
            .arg(IMPASTO)
            .args(["run", "china.jpg", "night.jpg", "--headless"])
            .args(["--device", "cpu", "-o", "out/picture.png"])
            .args(["--set", "schedule=[{size: 24, iterations: 1}]"])
            .output()
            .expect("the shell starts");
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            fs::remove_dir_all(&data).expect("the run");
            continue;
        }
        assert!(!said.contains("panicked"), "{said}");
        assert!(!said.contains("cannot paint Too"), "{said}");
        if !said.contains("finding the processor") {
            failed += 1;
            let runs = data.join("impasto/runs");
            assert_eq!(kept(&runs), 0, "with {files} files: {said}");
        } else {
            let _ = fs::remove_dir_all(&data);
        }
    }
    assert!(failed > 0, "it always could begin");
}
