//! A sweep on a disk that is full for a while.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::common::{self, IMPASTO, wait_until};
use super::{states, succeed, sweep_file};

/// Makes a small disk and the sweep's folder on it, fills the disk, paints, and copies what
/// the disk had.
const SHELL: &str = "mount -t tmpfs -o size=8m tmpfs disk && \
    \"$0\" sweep commands grid.yaml -o disk/grid >/dev/null && \
    { head -c 16m /dev/zero >disk/filling 2>/dev/null; \
      \"$0\" sweep disk/grid --headless --no-scores; } && \
    cp -r disk/grid copy";

#[test]
fn a_sweep_waits_for_room_on_a_full_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    sweep_file(
        folder,
        &["coffee.jpg"],
        &["wave.jpg", "night.jpg"],
        "set: {size: 48, iterations: 3}\n",
    );
    fs::create_dir(folder.join("disk")).expect("a folder");
    let can = Command::new("unshare")
        .args(["-rm", "true"])
        .stderr(Stdio::null())
        .status();
    if !can.is_ok_and(|status| status.success()) {
        common::skip("no mount namespace can be made here");
        return;
    }
    let begun = Command::new("unshare")
        .args(["-rm", "sh", "-c", SHELL, IMPASTO])
        .current_dir(folder)
        .env("XDG_DATA_HOME", folder.join("data"))
        .env("OMP_NUM_THREADS", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("words")).expect("a file"))
        .spawn();
    let child = begun.expect("unshare runs");
    let words = || fs::read_to_string(folder.join("words")).unwrap_or_default();
    wait_until("it waits for room", || {
        words().contains("the sweep waits for room")
    });
    let seen = Path::new("/proc").join(child.id().to_string()).join("root");
    let seen = seen.join(folder.strip_prefix("/").expect("an absolute path"));
    fs::remove_file(seen.join("disk/filling")).expect("room");
    wait_until("the end", || words().contains("2 of 2 cells are done"));
    succeed(&child.wait_with_output().expect("an end"));
    assert_eq!(words().matches("waits for room").count(), 1, "{}", words());
    assert_eq!(
        states(&folder.join("copy")),
        [("done".to_owned(), 2)].into()
    );
}
