//! Memory that runs out at the beginning of a scale and in a change.

use std::path::PathBuf;

use impasto_core::job::{Compute, DeviceChoice, MaskPictures};
use impasto_core::picture::Source;
use impasto_core::preset::{Optimizer, OptimizerKind, Scale};

use super::*;
use crate::memory::with_budget;

/// So many steps remembered fit into no memory.
const TOO_MANY: usize = 1 << 40;

fn source(width: u32, height: u32, factor: u32) -> Source {
    let bytes: Vec<u8> = (0..3 * width * height)
        .map(|index| (index * factor % 251) as u8)
        .collect();
    Source {
        picture: Picture::from_rgb8(width, height, &bytes).unwrap(),
        path: PathBuf::from("made-up.png"),
        sha256: "0".repeat(64),
    }
}

/// A job whose scales have these long sides, three iterations each.
fn job(settings: &[&str], scales: &[u32]) -> Job {
    let scale = |size: &u32| Scale {
        size: *size,
        iterations: 3,
    };
    let preset = Preset {
        schedule: scales.iter().map(scale).collect(),
        ..Preset::default()
    };
    let set = |preset: Preset, setting: &&str| preset.set(setting);
    let preset = settings.iter().try_fold(preset, set).unwrap();
    let masks = preset.masks.iter().map(|_| MaskPictures {
        mask: source(40, 30, 3),
        region: None,
    });
    Job {
        masks: masks.collect(),
        preset,
        content: source(400, 300, 7),
        style: source(300, 400, 11),
        more_styles: Vec::new(),
        start: None,
        compute: Compute {
            device: DeviceChoice::Cpu,
            ..Compute::default()
        },
        output: PathBuf::new(),
    }
}

fn painter(job: &Job) -> Painter {
    Painter::new(job.clone(), &mut |_| {}).unwrap()
}

fn totals(painter: &mut Painter, iterations: u32) -> Vec<f64> {
    let steps = (0..iterations).flat_map(|_| painter.step().unwrap().steps);
    steps.map(|step| step.total).collect()
}

#[track_caller]
fn assert_out_of_memory<T>(found: Result<T>) -> String {
    match found.map(drop).unwrap_err() {
        EngineError::OutOfMemory(what) => what,
        other => panic!("{other:?}"),
    }
}

const SHOWN: [&str; 2] = ["colour=content", "masks=[{file: mask.png, style: 1}]"];

#[test]
fn a_scale_that_finds_no_memory_leaves_the_picture_of_the_one_before() {
    let mut job = job(&SHOWN, &[48, 96]);
    job.preset.optimizer.history = TOO_MANY;
    let mut painter = painter(&job);
    totals(&mut painter, 3);
    let before = painter.picture().unwrap().unwrap();
    painter.descent.limit_history(TOO_MANY);
    assert_out_of_memory(painter.enter(1, &mut |_| {}));
    assert!(painter.picture().unwrap().unwrap() == before);
    assert!(painter.checkpoint(BTreeSet::new()).unwrap().is_none());
    // With memory it goes on from there.
    let found = totals(&mut painter, 3);
    assert!(found.iter().all(|total| total.is_finite()));
    assert!(painter.is_finished());
    assert_eq!(painter.picture().unwrap().unwrap().size(), (96, 72));
}

#[test]
fn without_an_optimizer_a_step_says_so_and_the_picture_stays() {
    let mut job = job(&SHOWN, &[48]);
    job.preset.optimizer.history = TOO_MANY;
    let mut painter = painter(&job);
    totals(&mut painter, 2);
    let before = painter.picture().unwrap().unwrap();
    let preset = painter.job.preset.clone();
    assert_out_of_memory(painter.descent.change_optimizer(&preset, TOO_MANY));
    assert!(painter.picture().unwrap().unwrap() == before);
    let what = assert_out_of_memory(painter.step());
    assert!(what.contains("no room for the optimizer"), "{what}");
    assert!(painter.picture().unwrap().unwrap() == before);
    assert_eq!(painter.iteration(), 2);
}

/// A run by Adam, with and without a change in the middle that fails.
#[track_caller]
fn assert_taken_back(
    budget: Option<u64>,
    begins_anew: bool,
    change: impl Fn(&mut Preset),
) -> String {
    let mut job = job(&SHOWN, &[48]);
    job.preset.schedule[0].iterations = 8;
    job.preset.optimizer = Optimizer::new(OptimizerKind::Adam);
    let mut changed = painter(&job);
    let mut untouched = painter(&job);
    totals(&mut untouched, 3);
    totals(&mut changed, 3);
    let mut preset = job.preset.clone();
    change(&mut preset);
    let what = with_budget(budget, || {
        assert_out_of_memory(changed.change(preset, &mut |_| {}))
    });
    assert_eq!(changed.job.preset, job.preset);
    assert!(changed.picture().unwrap() == untouched.picture().unwrap());
    // It goes on from the image or, where the optimizer had to begin anew, from the best.
    let best = untouched.best_step().unwrap().total;
    let (found, wanted) = (totals(&mut changed, 1), totals(&mut untouched, 1));
    let wanted = if begins_anew { best } else { wanted[0] };
    assert!(
        (found[0] / wanted - 1.0).abs() < 1e-6,
        "{}, {wanted}",
        found[0]
    );
    what
}

#[test]
fn a_change_that_does_not_fit_is_refused_as_at_the_start() {
    let what = assert_taken_back(Some(1 << 20), false, |preset| {
        *preset = preset.set("style.statistic=histogram").unwrap();
    });
    assert!(
        what.contains("painting 48×36 pixels takes at least"),
        "{what}"
    );
    // What takes no other memory is not refused.
    let job = job(&[], &[48]);
    let mut painter = painter(&job);
    totals(&mut painter, 1);
    let heavier = job.preset.set("style.weight=3").unwrap();
    let change = || painter.change(heavier, &mut |_| {});
    with_budget(Some(1 << 20), change).unwrap();
}

#[test]
fn a_change_that_finds_no_memory_brings_the_old_targets_back() {
    // Nobody knows how much memory there is.
    assert_taken_back(None, true, |preset| {
        *preset = preset.set("style.statistic=mean-std").unwrap();
        preset.pooling = impasto_core::preset::Pooling::Average;
        preset.optimizer = Optimizer {
            history: TOO_MANY,
            ..Optimizer::new(OptimizerKind::Lbfgs)
        };
    });
}

#[test]
fn a_change_that_takes_more_is_painted_in_tiles() {
    let job = job(&["optimizer=adam"], &[400]);
    let mut painter = painter(&job);
    totals(&mut painter, 1);
    let mut larger = job.clone();
    larger.preset.normalize_gradients = true;
    let layers = painter.layers();
    let size = painter.size().unwrap();
    let plan = |job: &Job| {
        let plan = MemoryPlan::of(job, &layers, Device::Cpu, Precision::Float32);
        plan.layout(size).unwrap()
    };
    let (now, then) = (plan(&job), plan(&larger));
    assert!(now.tile.is_none() && then.tile.is_none() && now.bytes < then.bytes);
    let change = || painter.change(larger.preset.clone(), &mut |_| {});
    with_budget(Some(then.bytes), change).unwrap();
    assert!(painter.tile().is_some());
    let progress = painter.step().unwrap();
    assert!(
        progress.notices.iter().any(|it| it.contains("in tiles of")),
        "{:?}",
        progress.notices
    );
    assert_eq!(progress.steps.len(), 1);
}
