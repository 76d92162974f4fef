//! Runs that are killed again and again end as the unbroken one does.

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use impasto_core::picture;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use common::IMPASTO;

/// How often a run is killed in all.
const KILLS: u32 = 50;

fn impasto(data: &Path) -> Command {
    let mut command = Command::new(IMPASTO);
    command
        .env("XDG_CONFIG_HOME", data.join("config"))
        .env("XDG_DATA_HOME", data)
        .env("OMP_NUM_THREADS", "1")
        .env("IMPASTO_CHECKPOINT_SECONDS", "0.05")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A small run on the CPU, of two scales.
fn begin(folder: &Path) -> Command {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let mut command = impasto(folder);
    command
        .arg("run")
        .arg(assets.join("china.jpg"))
        .arg(assets.join("night.jpg"))
        .args([
            "--headless",
            "--device",
            "cpu",
            "--set",
            "optimizer.history=12",
        ])
        .args([
            "--set",
            "schedule=[{size: 40, iterations: 250}, {size: 56, iterations: 350}]",
        ])
        .arg("-o")
        .arg(folder.join("out.png"))
        .arg("--run-dir")
        .arg(run_folder(folder));
    command
}

fn resume(folder: &Path) -> Command {
    let mut command = impasto(folder);
    command
        .args(["resume", "--headless", "--run-dir"])
        .arg(run_folder(folder));
    command
}

fn run_folder(folder: &Path) -> PathBuf {
    folder.join("run")
}

fn state(folder: &Path) -> String {
    let text = fs::read_to_string(run_folder(folder).join("state.json")).unwrap_or_default();
    let state: Value = serde_json::from_str(&text).unwrap_or_default();
    state["state"].as_str().unwrap_or_default().to_owned()
}

/// Iteration and losses of every step.
fn losses(folder: &Path) -> Vec<(u64, f64, f64, f64)> {
    let text = fs::read_to_string(run_folder(folder).join("metrics.jsonl")).expect("the losses");
    let number = |step: &Value, key: &str| step[key].as_f64().expect("a number");
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|step| {
            (
                step["iteration"].as_u64().expect("a number"),
                number(&step, "content"),
                number(&step, "style"),
                number(&step, "total"),
            )
        })
        .collect()
}

fn kill(child: &mut Child, signal: i32) {
    let number = signal.to_string();
    let status = Command::new("kill")
        .args(["-s", &number, &child.id().to_string()])
        .status()
        .expect("kill runs");
    // It may have ended by itself.
    let _ = status.success();
}

#[test]
fn fifty_kills_change_nothing() {
    let whole = tempfile::tempdir().expect("a folder");
    let status = begin(whole.path()).status().expect("the binary starts");
    assert!(status.success());
    let unbroken = losses(whole.path());
    assert_eq!(unbroken.len(), 600);
    let wanted = picture::load(&whole.path().join("out.png")).expect("the picture");

    let mut random = ChaCha8Rng::seed_from_u64(6);
    let (mut kills, mut runs, mut deaths) = (0, 0, 0);
    while kills < KILLS {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = begin(folder.path());
        loop {
            let mut child = command.spawn().expect("the binary starts");
            // Killed at any moment: while it starts, paints, or writes.
            let moment = random.gen_range(0.0..1.0f64).powi(2) * 2.5;
            if kills < KILLS {
                std::thread::sleep(Duration::from_secs_f64(moment));
                let signal = [9, 9, 9, 15, 2, 11][random.gen_range(0..6)];
                kill(&mut child, signal);
                kills += 1;
            }
            let status = child.wait().expect("an end");
            deaths += u32::from(status.signal().is_some());
            if state(folder.path()) == "finished" {
                break;
            }
            assert!(
                kills < KILLS || !status.success() || !run_folder(folder.path()).exists(),
                "it ended unfinished: {status}"
            );
            // Killed before there was a folder, there is nothing to continue with.
            command = if run_folder(folder.path()).exists() {
                resume(folder.path())
            } else {
                begin(folder.path())
            };
        }
        runs += 1;
        let painted = losses(folder.path());
        // The last few losses before a kill may not have reached the disk.
        assert!(
            painted.len() > unbroken.len() * 9 / 10,
            "{} losses",
            painted.len()
        );
        assert_eq!(painted.last(), unbroken.last());
        for step in &painted {
            assert_eq!(step, &unbroken[step.0 as usize - 1], "after {kills} kills");
        }
        for name in ["out.png", "run/result.png"] {
            let painted = picture::load(&folder.path().join(name)).expect("the picture");
            assert!(painted.picture == wanted.picture, "{name}: another picture");
        }
    }
    eprintln!("{kills} kills, {deaths} of them at once, in {runs} runs");
    assert!(deaths > KILLS / 4, "{deaths} processes died of a signal");
}
