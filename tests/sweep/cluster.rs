//! A sweep over several processes as clusters start them: a real Slurm on this machine, and
//! GNU parallel.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::common::{self, TIMEOUT, wait_until, wait_within};
use super::{asset, impasto, index, pixels, result, run, states, succeed, sweep_file};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/slurm.sh");

/// A Slurm of one node, until dropped.
struct Slurm {
    folder: PathBuf,
    conf: PathBuf,
}

impl Slurm {
    fn start(folder: &Path) -> Option<Self> {
        let started = script("start", folder);
        if !started.status.success() {
            common::skip(&String::from_utf8_lossy(&started.stderr));
            return None;
        }
        let conf = String::from_utf8_lossy(&started.stdout).trim().to_owned();
        Some(Self {
            folder: folder.to_owned(),
            conf: conf.into(),
        })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SLURM_CONF", &self.conf);
        command
    }

    /// The tasks that are queued or running.
    fn tasks(&self) -> usize {
        let output = self.command("squeue").args(["-h", "-r"]).output();
        succeed(&output.expect("squeue runs")).lines().count()
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        let _ = self.command("scancel").arg("--user=root").output();
        script("stop", &self.folder);
    }
}

fn script(what: &str, folder: &Path) -> Output {
    let mut command = Command::new(SCRIPT);
    command.arg(what).arg(folder);
    command.output().expect("the script runs")
}

/// The process that paints a cell, as its claim says.
fn painter(folder: &Path) -> Option<i32> {
    let claims = fs::read_dir(folder.join("claims")).ok()?;
    claims.flatten().find_map(|claim| {
        let text = fs::read(claim.path()).ok()?;
        let claim: Value = serde_json::from_slice(&text).ok()?;
        i32::try_from(claim["owner"]["pid"].as_i64()?).ok()
    })
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a process number");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a signal");
}

#[test]
fn slurm_paints_a_sweep_in_an_array_even_if_a_worker_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let Some(slurm) = Slurm::start(&folder.join("slurm")) else {
        return;
    };
    let contents = ["china.jpg", "chelsea.jpg", "coffee.jpg", "demo.jpg"];
    let styles = [
        "night.jpg",
        "wave.jpg",
        "mosaic.jpg",
        "hatching.jpg",
        "meadow.jpg",
    ];
    sweep_file(
        folder,
        &contents,
        &styles,
        "set: {size: 64, iterations: 20}\n",
    );
    let arguments = [
        "sweep",
        "slurm",
        "grid.yaml",
        "-o",
        "grid",
        "--pack",
        "5",
        "--limit",
        "2",
        "--cpus",
        "1",
        "--time",
        "10",
        "--no-scores",
    ];
    let job = succeed(&run(folder, &arguments));
    assert!(job.contains("#SBATCH --array=0-3%2"), "{job}");
    fs::write(folder.join("job.sh"), job).expect("a file");
    let grid = folder.join("grid");
    let queued = slurm
        .command("sbatch")
        .args(["--parsable", "job.sh"])
        .current_dir(folder)
        .env("OMP_NUM_THREADS", "1")
        .output();
    succeed(&queued.expect("sbatch runs"));
    // One of the workers dies while it paints.
    let done = || {
        (0..20)
            .filter(|number| result(&grid, *number).exists())
            .count()
    };
    let mut victim = None;
    wait_until("a cell is painted, and another begun", || {
        victim = painter(&grid);
        done() > 0 && victim.is_some()
    });
    kill(victim.expect("a process"));
    wait_within(5 * TIMEOUT, "an empty queue", || slurm.tasks() == 0);
    succeed(&run(folder, &["sweep", "grid", "--headless", "--dry-run"]));
    let logs = || -> String {
        let logs = fs::read_dir(grid.join("logs")).expect("logs").flatten();
        logs.map(|log| fs::read_to_string(log.path()).unwrap_or_default())
            .collect()
    };
    assert_eq!(
        states(&grid),
        [("done".to_owned(), 20)].into(),
        "{}",
        logs()
    );
    let cells = index(&grid)["cells"].clone();
    for number in [0, 7, 13, 19] {
        let alone = format!("alone-{number}.png");
        let (content, style) = (asset(contents[number / 5]), asset(styles[number % 5]));
        assert_eq!(cells[number]["content"], content);
        let paint = [
            "run",
            &content,
            &style,
            "--size",
            "64",
            "--iterations",
            "20",
            "--headless",
            "-o",
            &alone,
        ];
        succeed(&run(folder, &paint));
        assert!(
            pixels(&folder.join(&alone)) == pixels(&result(&grid, number)),
            "the cell {number} is another picture"
        );
    }
}

#[test]
fn slurm_queues_a_task_again_that_reaches_its_time_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    // Slurm counts time limits in minutes: `scontrol` and `scancel` stand in here, so that
    // the script is told to end when the test says.
    let tools = folder.join("tools");
    fs::create_dir(&tools).expect("a folder");
    let scontrol = tools.join("scontrol");
    fs::write(&scontrol, "#!/bin/sh\necho \"$@\" >>scontrol.txt\n").expect("a file");
    fs::set_permissions(&scontrol, fs::Permissions::from_mode(0o755)).expect("a mode");
    sweep_file(
        folder,
        &["coffee.jpg"],
        &["wave.jpg"],
        "set: {size: 48, iterations: 2000}\n",
    );
    let job = succeed(&run(
        folder,
        &["sweep", "slurm", "grid.yaml", "--pack", "1"],
    ));
    fs::write(folder.join("job.sh"), job).expect("a file");
    let path = format!(
        "{}:{}",
        tools.display(),
        std::env::var("PATH").expect("a path")
    );
    let mut command = Command::new("bash");
    command
        .arg("job.sh")
        .current_dir(folder)
        .env("PATH", path)
        .env("OMP_NUM_THREADS", "1")
        .env("SLURM_ARRAY_TASK_ID", "0")
        .env("SLURM_ARRAY_JOB_ID", "7");
    let child = command.spawn().expect("bash runs");
    let grid = folder.join("grid");
    let metrics = grid.join("cells/0000/metrics.jsonl");
    let lines = || fs::read_to_string(&metrics).map_or(0, |text| text.lines().count());
    wait_until("some iterations are done", || lines() > 10);
    let output = super::stop(child);
    assert_eq!(output.status.code(), Some(128 + 15));
    let asked = fs::read_to_string(folder.join("scontrol.txt")).expect("it asked");
    assert_eq!(asked, "requeue 7_0\n");
    assert_eq!(states(&grid), [("stopped".to_owned(), 1)].into());
    assert!(lines() < 2000);
}

#[test]
fn gnu_parallel_paints_a_sweep() {
    if Command::new("parallel").arg("--version").output().is_err() {
        common::skip("there is no GNU parallel on this machine");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let more = "set: {size: 48, iterations: 5}\nvary: {style.weight: [5, 50, 500]}\n";
    sweep_file(folder, &["china.jpg", "coffee.jpg"], &["night.jpg"], more);
    let commands = succeed(&run(
        folder,
        &[
            "sweep",
            "commands",
            "grid.yaml",
            "--pack",
            "2",
            "--no-scores",
        ],
    ));
    assert_eq!(commands.lines().count(), 3);
    // Each twice: what is done, or being done, is left alone.
    fs::write(folder.join("commands"), commands.repeat(2)).expect("a file");
    let output = Command::new("parallel")
        .args(["-j", "3", "--will-cite", "-a", "commands"])
        .current_dir(folder)
        .env("HOME", folder)
        .env("OMP_NUM_THREADS", "1")
        .output()
        .expect("it runs");
    succeed(&output);
    assert_eq!(
        states(&folder.join("grid")),
        [("done".to_owned(), 6)].into()
    );
    // The same without it.
    let again = impasto(folder, &["sweep", "grid", "--headless"]).output();
    succeed(&again.expect("the binary runs"));
}
