//! A run that resumes from a checkpoint ends as the unbroken one does.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use impasto_core::checkpoint::{Checkpoint, RunStorage};
use impasto_core::job::{Compute, DeviceChoice, Job, MaskPictures};
use impasto_core::preset::{Optimizer, OptimizerKind, Preset, Scale, Start};
use impasto_core::protocol::{Command, Event, Link, Step};
use impasto_engine::worker;
use impasto_runs::Folder;
use impasto_runs::checkpoint::Checkpoints;

use common::{TIMEOUT, source};

fn job(kind: OptimizerKind, folder: &Path) -> Job {
    tch::set_num_threads(1);
    let scale = |size, iterations| Scale { size, iterations };
    Job {
        preset: Preset {
            schedule: vec![scale(24, 20), scale(33, 30)],
            start: Start::Noise,
            optimizer: Optimizer {
                history: 8,
                ..Optimizer::new(kind)
            },
            ..Preset::default()
        },
        content: source("content.png", 40, 30, 7),
        style: source("style.png", 30, 40, 11),
        more_styles: Vec::new(),
        start: None,
        masks: Vec::new(),
        compute: Compute {
            device: DeviceChoice::Cpu,
            ..Compute::default()
        },
        output: folder.join("out.png"),
    }
}

/// The same with all that a run may have to remember besides: other statistics, several
/// styles, a mask, and the mean of all images or the latest one as the result.
fn artful(kind: OptimizerKind, folder: &Path) -> Job {
    let mut job = job(kind, folder);
    let settings = [
        "style.statistic={relu1_1: histogram, relu2_1: mean-std, relu3_1: covariance}",
        "style.blend_weights=[2, 1]",
        "style.shift=-1",
        "content.laplacian=100",
        "smoothness.norm=nine-point",
        "masks=[{file: mask.png, style: 2}]",
        "start=#406080",
        "start_noise=0.5",
        match kind {
            OptimizerKind::Adam => "average=0.9",
            OptimizerKind::Lbfgs => "normalize_gradients=true",
        },
    ];
    for setting in settings {
        job.preset = job.preset.set(setting).expect("a setting");
    }
    job.more_styles = vec![source("second.png", 32, 32, 5)];
    job.masks = vec![MaskPictures {
        mask: source("mask.png", 40, 30, 3),
        region: None,
    }];
    job
}

fn storage(run: &Path, from: Option<Checkpoint>) -> RunStorage {
    let folder = Folder::open(run).expect("a folder");
    RunStorage {
        checkpoints: Box::new(Checkpoints::open(&folder).expect("a folder")),
        pictures: Box::new(folder),
        from,
    }
}

fn checkpoint_in(run: &Path) -> Checkpoint {
    let folder = Folder::open(run).expect("a folder");
    let mut checkpoints = Checkpoints::open(&folder).expect("a folder");
    let sizes = |_: &Preset| job(OptimizerKind::Adam, run).sizes();
    checkpoints.read(&sizes).expect("a whole one")
}

fn next(link: &Link) -> Event {
    link.events.recv_timeout(TIMEOUT).expect("an event in time")
}

/// All steps until the end.
fn rest(link: &Link) -> Vec<Step> {
    let mut steps = Vec::new();
    loop {
        match next(link) {
            Event::Step(step) => steps.push(step),
            Event::Finished { .. } => return steps,
            Event::Failed { message, .. } => panic!("{message}"),
            _ => {}
        }
    }
}

/// What must not differ by a bit.
fn losses(steps: &[Step]) -> Vec<(u32, u32, f64, f64, f64)> {
    let of = |step: &Step| {
        (
            step.iteration,
            step.scale,
            step.content,
            step.style,
            step.total,
        )
    };
    steps.iter().map(of).collect()
}

/// Paints until after the iteration, and leaves the checkpoint that was written
/// then, as a process that is killed would.
fn broken_off(job: Job, after: u32, folder: &Path) -> PathBuf {
    let checkpoints = folder.join("checkpoint");
    let kept = folder.join("kept");
    let copies = kept.join("checkpoint");
    let (link, thread) = worker::start(job, Some(storage(folder, None))).expect("a thread");
    let step = || link.commands.send(Command::Step).expect("the run listens");
    step();
    loop {
        match next(&link) {
            Event::Paused { iteration } if iteration >= after => break,
            Event::Paused { .. } => step(),
            Event::Failed { message, .. } => panic!("{message}"),
            _ => {}
        }
    }
    // The checkpoint is written after the pause was reported: whatever is asked
    // next comes later.
    link.commands
        .send(Command::Snapshot {
            output: folder.join("snapshot.png"),
        })
        .expect("the run listens");
    while !matches!(next(&link), Event::Saved { .. }) {}
    fs::create_dir_all(&copies).expect("a folder");
    for entry in fs::read_dir(&checkpoints).expect("the folder") {
        let path = entry.expect("a file").path();
        fs::copy(&path, copies.join(path.file_name().expect("a name"))).expect("a copy");
    }
    drop(link);
    thread.join().expect("the painter ends");
    kept
}

#[test]
fn a_run_that_goes_on_is_the_unbroken_one_bit_by_bit() {
    type Make = fn(OptimizerKind, &Path) -> Job;
    let kinds = [OptimizerKind::Lbfgs, OptimizerKind::Adam];
    let makers = [job as Make, artful];
    for (kind, job) in kinds
        .into_iter()
        .flat_map(|kind| makers.map(|make| (kind, make)))
    {
        let folder = tempfile::tempdir().expect("a folder");
        let (link, thread) = worker::start(job(kind, folder.path()), None).expect("a thread");
        let unbroken = rest(&link);
        assert_eq!(unbroken.len(), 50);
        let whole = fs::read(folder.path().join("out.png")).expect("the picture");
        drop(link);
        thread.join().expect("the painter ends");
        for after in [1, 7, 20, 21, 44] {
            let folder = tempfile::tempdir().expect("a folder");
            let kept = broken_off(job(kind, folder.path()), after, folder.path());
            let from = checkpoint_in(&kept);
            assert_eq!(from.notice, None);
            assert_eq!(from.position.iteration, after);
            let keeping = storage(&kept, Some(from));
            let (link, thread) =
                worker::start(job(kind, folder.path()), Some(keeping)).expect("a thread");
            let steps = rest(&link);
            drop(link);
            thread.join().expect("the painter ends");
            let wanted = &unbroken[after as usize..];
            assert_eq!(losses(&steps), losses(wanted), "{kind:?} after {after}");
            let painted = fs::read(folder.path().join("out.png")).expect("the picture");
            assert!(painted == whole, "{kind:?} after {after}: another picture");
        }
    }
}

#[test]
fn without_its_history_the_run_still_comes_to_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let kind = OptimizerKind::Lbfgs;
    let kept = broken_off(job(kind, folder.path()), 12, folder.path());
    for entry in fs::read_dir(kept.join("checkpoint")).expect("the folder") {
        let path = entry.expect("a file").path();
        if path.to_string_lossy().contains("frozen") {
            fs::remove_file(path).expect("removed");
        }
    }
    let from = checkpoint_in(&kept);
    assert!(from.notice.is_some());
    let (link, _) = worker::start(job(kind, folder.path()), Some(storage(&kept, Some(from))))
        .expect("a thread");
    let steps = rest(&link);
    assert_eq!(steps.first().map(|step| step.iteration), Some(13));
    assert_eq!(steps.last().map(|step| step.iteration), Some(50));
}
