//! Disks that are full, folders that go away or may not be written to.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use super::{Begin, ENDLESS, Scene, is_whole, send, skip, wait_until};

/// What the shell does before and after the program: the folder `out`, and in
/// it the run's folder, lie on a small disk of their own. What is on it at the
/// end is copied to `after`, since the disk goes with the shell.
const ON_A_SMALL_DISK: &str = "mount -t tmpfs -o size=4m tmpfs out || exit 77
\"$@\" & echo $! > number.new; mv number.new number
(while [ ! -e readonly ]; do sleep 0.05; done; mount -o remount,bind,ro out; rm readonly) & watcher=$!
wait $(cat number); code=$?
kill $watcher 2> /dev/null; cp -a out after; exit $code";

/// A shell in a mount namespace of its own, where this machine allows that.
fn shell_with_a_disk(scene: &Scene) -> Option<Command> {
    let unshare = |script: &str| {
        let mut command = scene.command("unshare");
        command.args(["--mount", "--user", "--map-root-user", "sh", "-c", script]);
        command.arg("sh");
        command
    };
    let tried = unshare("mount -t tmpfs -o size=4m tmpfs out").output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        skip("a process may not mount a disk of its own on this machine");
        return None;
    }
    Some(unshare(ON_A_SMALL_DISK))
}

/// A run that starts under the shell, where there is one.
fn begin_on_disk(scene: &Scene, iterations: u32) -> Option<Begin<'_>> {
    let shell = shell_with_a_disk(scene)?;
    let begin = scene.begin(iterations);
    Some(begin.under(shell, scene.path("number")))
}

/// The disk as its processes see it.
fn seen_by(process: u32, folder: &Path) -> PathBuf {
    let inside = folder.strip_prefix("/").expect("an absolute path");
    Path::new("/proc")
        .join(process.to_string())
        .join("root")
        .join(inside)
}

/// Takes the last byte.
fn fill(disk: &Path) {
    let mut file = fs::File::create(disk.join("filling")).expect("a file");
    for portion in [1 << 16, 1 << 10, 1] {
        let bytes = vec![0; portion];
        while file.write_all(&bytes).is_ok() {}
    }
}

/// Half-written files that were left behind.
fn left_behind(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            found.extend(left_behind(&entry.path()));
        } else if name.contains(".part") || name.starts_with(".tmp") {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn a_disk_that_fills_up_holds_nothing_up() {
    let scene = Scene::with_run_in("out/run");
    let Some(begin) = begin_on_disk(&scene, 1500) else {
        return;
    };
    let run = begin.start();
    run.wait_for_iteration(20);
    let disk = seen_by(run.process(), &scene.path("out"));
    run.meanwhile(|| fill(&disk));
    run.wait_for_iteration(run.iteration() + 400);
    run.meanwhile(|| fs::remove_file(disk.join("filling")).expect("removed"));
    let end = run.well();
    let notices = end.notices();
    assert!(end.has_notice("the disk is full"), "{notices:?}");
    assert!(end.has_notice("painting continues"), "{notices:?}");
    for (number, notice) in notices.iter().enumerate() {
        assert!(!notices[..number].contains(notice), "told twice: {notice}");
    }
    let after = scene.path("after");
    assert!(is_whole(&after.join("picture.png")));
    assert!(is_whole(&after.join("run/result.png")));
    let left = left_behind(&after);
    assert!(left.is_empty(), "{left:?}");
    // What was not written at once was written later.
    let losses = fs::read_to_string(after.join("run/metrics.jsonl")).expect("the losses");
    assert_eq!(losses.lines().count(), 1500);
}

#[test]
fn a_finished_picture_waits_for_room() {
    let scene = Scene::with_run_in("out/run");
    let Some(begin) = begin_on_disk(&scene, 300) else {
        return;
    };
    let run = begin.start();
    run.wait_for_iteration(20);
    let disk = seen_by(run.process(), &scene.path("out"));
    run.meanwhile(|| fill(&disk));
    wait_until("word of the picture", || run.said().contains("in memory"));
    fs::remove_file(disk.join("filling")).expect("removed");
    run.well();
    assert!(is_whole(&scene.path("after/picture.png")));
    assert!(is_whole(&scene.path("after/run/result.png")));
}

#[test]
fn a_run_that_is_given_up_on_a_full_disk_can_go_on() {
    let scene = Scene::with_run_in("out/run");
    let Some(begin) = begin_on_disk(&scene, 300) else {
        return;
    };
    let run = begin.start();
    let checkpoint = scene.path("out/run/checkpoint/generation-1");
    let checkpoint = |process| seen_by(process, &checkpoint);
    run.wait_for_iteration(1);
    wait_until("a checkpoint", || checkpoint(run.process()).exists());
    let disk = seen_by(run.process(), &scene.path("out"));
    run.meanwhile(|| fill(&disk));
    wait_until("word of the picture", || run.said().contains("in memory"));
    // What another user may have planted under a name that can be foreseen.
    let victim = scene.path("victim");
    fs::write(&victim, "private").expect("a file");
    let foreseen = scene.path(&format!("tmp/impasto-{}.png", run.process()));
    std::os::unix::fs::symlink(&victim, &foreseen).expect("a link");
    send(run.process(), Signal::TERM);
    let end = run.end();
    assert_eq!(end.status.code(), Some(1), "{}", end.said);
    let last = end.said.lines().last().unwrap_or_default();
    assert!(last.starts_with("impasto: "), "{last}");
    assert!(last.contains("picture.png"), "{last}");
    assert!(last.contains("full"), "{last}");
    // In the temporary folder, where there is room still.
    let rescued = last.rsplit("the picture is in ").next().unwrap_or_default();
    let rescued = Path::new(rescued);
    assert!(is_whole(rescued), "{last}");
    // Others can write there too: a folder that only this user can enter, and that
    // nobody could foresee.
    let folder = rescued.parent().expect("a folder");
    let mode = fs::metadata(folder)
        .expect("the folder")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700, "{last}");
    assert_eq!(fs::read_link(&foreseen).expect("the link"), victim);
    assert_eq!(fs::read(&victim).expect("the file"), b"private");
    assert!(!scene.path("after/picture.png").exists());
    let left = left_behind(&scene.path("after"));
    assert!(left.is_empty(), "{left:?}");
    // With another disk in the full one's place.
    fs::remove_dir(scene.path("out")).expect("the empty folder");
    fs::remove_file(scene.path("after/filling")).expect("removed");
    fs::rename(scene.path("after"), scene.path("out")).expect("renamed");
    scene.resume().start().well();
    assert!(is_whole(&scene.output()));
}

/// Takes the output's folder away while the run paints, ends the run, and
/// looks where the picture is and what is said of it.
fn without_its_output_folder(scene: &Scene, begin: Begin, take_away: impl FnOnce()) {
    let run = begin.start();
    run.wait_for_iteration(20);
    take_away();
    run.wait_for_progress();
    send(run.process(), Signal::TERM);
    let end = run.end();
    assert_eq!(end.status.code(), Some(1), "{}", end.said);
    let last = end.said.lines().last().unwrap_or_default();
    for words in ["impasto: ", "out/picture.png", "result.png"] {
        assert!(last.contains(words), "no {words} in: {last}");
    }
    assert!(is_whole(&scene.run_folder().join("result.png")));
}

#[test]
fn without_its_output_folder_a_run_keeps_its_picture() {
    let scene = Scene::new();
    without_its_output_folder(&scene, scene.begin(ENDLESS), || {
        fs::remove_dir(scene.path("out")).expect("removed");
    });
    let scene = Scene::new();
    without_its_output_folder(&scene, scene.begin(ENDLESS), || {
        fs::remove_dir(scene.path("out")).expect("removed");
        fs::write(scene.path("out"), "a file").expect("written");
    });
    assert_eq!(fs::read(scene.path("out")).expect("the file"), b"a file");
}

#[test]
fn with_a_read_only_output_folder_a_run_keeps_its_picture() {
    let scene = Scene::new();
    let Some(begin) = begin_on_disk(&scene, ENDLESS) else {
        return;
    };
    let asked = scene.path("readonly");
    without_its_output_folder(&scene, begin, || {
        fs::write(&asked, "").expect("written");
        wait_until("a read-only disk", || !asked.exists());
    });
}

#[test]
fn without_its_own_folder_a_run_still_saves_its_picture() {
    let scene = Scene::new();
    let run = scene.begin(ENDLESS).start();
    run.wait_for_iteration(20);
    run.meanwhile(|| fs::remove_dir_all(scene.run_folder()).expect("removed"));
    wait_until("word of it", || run.said().contains("painting continues"));
    send(run.process(), Signal::TERM);
    let end = run.end();
    assert_eq!(end.status.code(), Some(128 + 15), "{}", end.said);
    assert!(is_whole(&scene.output()));
}
