//! The loop on tiny pictures, as a painter sees it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use impasto_core::job::{Compute, DeviceChoice, Job, PrecisionChoice};
use impasto_core::picture::{Picture, Source};
use impasto_core::preset::{Layer, Optimizer, OptimizerKind, Pooling, Scale};
use impasto_core::protocol::Step;
use tch::{Device, Kind, Tensor};

use super::*;
use crate::evaluate::{DeviceEvaluation, evaluate};
use crate::network::Vgg;
use crate::painter::{Painter, Progress};
use crate::pixels::tensor_of;
use crate::precision::Precision;
use crate::recorder::{Recorder, Work};
use crate::targets::TargetImages;
use crate::test_device::{devices, gpu};

fn picture(width: u32, height: u32, factor: u32) -> Picture {
    let bytes: Vec<u8> = (0..3 * width * height)
        .map(|index| (index * factor % 251) as u8)
        .collect();
    Picture::from_rgb8(width, height, &bytes).unwrap()
}

fn source(width: u32, height: u32, factor: u32) -> Source {
    Source {
        picture: picture(width, height, factor),
        path: PathBuf::from("made-up.png"),
        sha256: "0".repeat(64),
    }
}

/// Adam over a tiny picture, `scales` as long side and iterations.
fn job(scales: &[(u32, u32)], device: DeviceChoice) -> Job {
    let scale = |&(size, iterations)| Scale { size, iterations };
    Job {
        preset: Preset {
            schedule: scales.iter().map(scale).collect(),
            optimizer: Optimizer::new(OptimizerKind::Adam),
            ..Preset::default()
        },
        content: source(64, 48, 7),
        style: source(48, 64, 11),
        more_styles: Vec::new(),
        start: None,
        masks: Vec::new(),
        compute: Compute {
            device,
            ..Compute::default()
        },
        output: PathBuf::new(),
    }
}

fn paint(painter: &mut Painter, iterations: u32) -> Progress {
    let mut all = Progress::default();
    let mut add = |progress: Progress| {
        all.steps.extend(progress.steps);
        all.notices.extend(progress.notices);
        all.failure = all.failure.take().or(progress.failure);
    };
    for _ in 0..iterations {
        add(painter.step().unwrap());
    }
    add(painter.drain().unwrap());
    all
}

#[track_caller]
fn assert_same_step(found: &Step, wanted: &Step, tolerance: f64) {
    let place = |step: &Step| (step.iteration, step.scale, step.width, step.height);
    assert_eq!(place(found), place(wanted));
    let losses = |step: &Step| {
        let layers: Vec<f64> = [&step.layers.content, &step.layers.style]
            .into_iter()
            .flat_map(|losses| losses.values().copied())
            .collect();
        let terms = [step.total, step.content, step.style, step.smoothness];
        [terms.to_vec(), layers].concat()
    };
    let (found_losses, wanted_losses) = (losses(found), losses(wanted));
    assert_eq!(found_losses.len(), wanted_losses.len());
    for (found, wanted) in found_losses.into_iter().zip(wanted_losses) {
        let off = (found - wanted).abs();
        assert!(off <= tolerance * wanted.abs(), "{found}, not {wanted}");
    }
}

/// Weights whose gradient no float32 holds.
fn too_heavy(preset: &Preset) -> Preset {
    let mut heavy = preset.clone();
    heavy.style.weight = 1e30;
    for weight in heavy.style.layers.values_mut() {
        *weight = 1e30;
    }
    heavy
}

fn painter(job: &Job) -> Painter {
    Painter::new(job.clone(), &mut |_| {}).unwrap()
}

const BOTH: [OptimizerKind; 2] = [OptimizerKind::Adam, OptimizerKind::Lbfgs];

/// The total of a picture as `impasto measure` finds it.
fn measured(painter: &Painter) -> f64 {
    let job = painter.job();
    let picture = painter.picture().unwrap().unwrap();
    let size = (picture.width(), picture.height());
    let style = &job.style.picture;
    let long_side = size.0.max(size.1);
    let (width, height) =
        impasto_core::picture::fit_long_side(style.width(), style.height(), long_side);
    let tensor = |picture: &Picture| tensor_of(picture, Device::Cpu).unwrap();
    let vgg = network(Device::Cpu, Precision::Float32);
    let content = tensor(&job.content.picture.resized(size.0, size.1));
    let style = tensor(&style.resized(width, height));
    let targets = Targets::new(
        &vgg,
        &job.preset,
        &TargetImages::pair(&content, &style),
        None,
        &mut |_| {},
    )
    .unwrap();
    let found = evaluate(&vgg, &job.preset, &targets, &tensor(&picture), None).unwrap();
    found.weighted.total
}

#[test]
fn every_iteration_is_reported_in_order_and_the_loss_falls() {
    for kind in BOTH {
        let mut job = job(&[(64, 20)], DeviceChoice::Cpu);
        job.preset.optimizer = Optimizer::new(kind);
        let mut painter = painter(&job);
        let progress = paint(&mut painter, 20);
        let iterations: Vec<u32> = progress.steps.iter().map(|step| step.iteration).collect();
        assert_eq!(iterations, (1..=20).collect::<Vec<_>>());
        assert!(progress.steps[19].total < progress.steps[0].total);
        assert!(painter.is_finished());
    }
}

/// The reported loss is that of an accepted image: it never rises, the
/// last is that of the picture, and steps that were taken back are marked.
#[test]
fn rejected_steps_are_reported_with_the_losses_of_the_accepted_image() {
    let mut job = job(&[(32, 40), (64, 40)], DeviceChoice::Cpu);
    job.preset.optimizer = Optimizer {
        // Steps that are too long on purpose.
        rate: 6.0,
        ..Optimizer::new(OptimizerKind::Lbfgs)
    };
    let mut painter = painter(&job);
    let steps = paint(&mut painter, 80).steps;
    assert_eq!(steps.len(), 80);
    let rejected: Vec<&Step> = steps
        .iter()
        .filter(|step| step.rejected_total.is_some())
        .collect();
    assert!(!rejected.is_empty());
    for step in rejected {
        assert!(step.rejected_total.unwrap() > step.total);
    }
    for pair in steps
        .windows(2)
        .filter(|pair| pair[0].scale == pair[1].scale)
    {
        assert!(pair[1].total <= pair[0].total * (1.0 + 1e-5));
        if pair[1].rejected_total.is_some() {
            assert_eq!(pair[1].total, pair[0].total);
            assert_eq!(pair[1].layers, pair[0].layers);
        }
    }
    let best = painter.best_step().unwrap().total;
    assert!((best / steps[79].total - 1.0).abs() < 1e-5);
    assert!((best / measured(&painter) - 1.0).abs() < 1e-4);
}

#[test]
fn the_picture_is_the_one_whose_losses_are_reported_last() {
    let mut job = job(&[(48, 25)], DeviceChoice::Cpu);
    // So large that totals rise now and then, and the best image is an older one.
    job.preset.optimizer.rate = 0.2;
    let mut painter = painter(&job);
    let steps = paint(&mut painter, 25).steps;
    let rises = |pair: &[Step]| pair[1].total > pair[0].total;
    assert!(steps.windows(2).any(rises), "nothing was tried");
    let lowest = steps
        .iter()
        .map(|step| step.total)
        .fold(f64::INFINITY, f64::min);
    assert_eq!(painter.best_step().unwrap().total, lowest);
    assert!((lowest / measured(&painter) - 1.0).abs() < 1e-4);
}

#[test]
fn weights_layers_pooling_and_optimizer_change_on_the_way() {
    for kind in BOTH {
        let mut job = job(&[(32, 6), (48, 30)], DeviceChoice::Cpu);
        job.preset.optimizer = Optimizer::new(kind);
        let mut painter = painter(&job);
        let mut preset = job.preset.clone();
        assert_eq!(paint(&mut painter, 10).steps[9].scale, 2);
        let before = painter.best_step().unwrap().total;

        preset.style.weight *= 0.1;
        painter.change(preset.clone(), &mut |_| {}).unwrap();
        assert_eq!(painter.best_step(), None);
        // The image that was best is evaluated anew, by the new weights.
        let steps = paint(&mut painter, 2).steps;
        assert!(steps[0].total < before && steps[0].rejected_total.is_none());

        let layer = |block, index| Layer::new(block, index).unwrap();
        preset.content.layers = BTreeMap::from([(layer(2, 2), 1.0)]);
        preset.style.layers = BTreeMap::from([(layer(1, 2), 0.5), (layer(3, 1), 2.0)]);
        preset.pooling = Pooling::Average;
        painter.change(preset.clone(), &mut |_| {}).unwrap();
        let steps = paint(&mut painter, 8).steps;
        assert!(steps[7].total < steps[0].total);

        let [one, other] = BOTH;
        preset.optimizer = Optimizer::new(if kind == one { other } else { one });
        painter.change(preset.clone(), &mut |_| {}).unwrap();
        let steps = paint(&mut painter, 8).steps;
        assert_eq!((steps[0].iteration, steps.len()), (21, 8));
        // Adam, new to it, may rise at first.
        if preset.optimizer.kind == OptimizerKind::Lbfgs {
            assert!(steps[7].total < steps[0].total);
        }
    }
}

#[test]
fn what_is_not_finite_leads_back_and_ends_the_run_the_third_time() {
    for kind in BOTH {
        let mut job = job(&[(32, 10), (48, 100)], DeviceChoice::Cpu);
        job.preset.optimizer = Optimizer::new(kind);
        let mut painter = painter(&job);
        // Before there is a best image, then in the middle, then in the next scale.
        let change = |painter: &mut Painter, preset: &Preset| {
            painter.change(preset.clone(), &mut |_| {}).unwrap();
        };
        let heavy = too_heavy(&job.preset);
        change(&mut painter, &heavy);
        let first = paint(&mut painter, 1);
        assert!(first.notices[0].starts_with("iteration 1 gave a loss"));
        change(&mut painter, &job.preset);
        assert_eq!(paint(&mut painter, 4).steps.len(), 4);
        change(&mut painter, &heavy);
        assert_eq!(paint(&mut painter, 1).notices.len(), 1);
        change(&mut painter, &job.preset);
        // Over the end of the scale: steps stay small.
        let steps = paint(&mut painter, 6).steps;
        assert_eq!((steps[0].iteration, steps[5].scale), (7, 2));
        change(&mut painter, &heavy);
        let last = paint(&mut painter, 1);
        let failure = last.failure.unwrap().to_string();
        assert!(failure.contains("3 times") && failure.contains("iteration 13"));
    }
}

fn network(device: Device, precision: Precision) -> Vgg {
    let preset = Preset::default();
    let deepest = preset.deepest();
    Vgg::new(preset.network, preset.pooling, deepest, device, precision).unwrap()
}

#[test]
fn a_run_from_graphs_is_an_eager_run() {
    let Some(_gpu) = gpu() else { return };
    for kind in BOTH {
        for precision in [PrecisionChoice::Float32, PrecisionChoice::Bfloat16] {
            let run = |device| {
                let mut job = job(&[(32, 20), (64, 40)], device);
                job.preset.optimizer = Optimizer::new(kind);
                if device != DeviceChoice::Cpu {
                    job.compute.precision = precision;
                }
                paint(&mut painter(&job), 60)
            };
            let wanted = run(DeviceChoice::Cpu);
            let found = run(DeviceChoice::Cuda(0));
            assert_eq!(found.notices, Vec::<String>::new());
            assert_eq!(found.steps.len(), 60);
            // Small differences grow on the way.
            assert_same_step(&found.steps[0], &wanted.steps[0], 0.02);
            assert_same_step(&found.steps[59], &wanted.steps[59], 0.1);
        }
    }
}

/// Where the latest image is the picture, a step that was taken back is none.
#[test]
fn the_latest_picture_is_the_one_that_was_accepted() {
    let mut job = job(&[(64, 60)], DeviceChoice::Cpu);
    job.preset.normalize_gradients = true;
    job.preset.optimizer = Optimizer {
        // Steps that are too long on purpose.
        rate: 50.0,
        ..Optimizer::new(OptimizerKind::Lbfgs)
    };
    let mut painter = painter(&job);
    let mut rejected = 0;
    for _ in 0..60 {
        for step in painter.step().unwrap().steps {
            rejected += u32::from(step.rejected_total.is_some());
            assert_eq!(painter.best_step().unwrap().total, step.total);
        }
    }
    assert!(rejected > 0, "nothing was tried");
}

#[test]
fn normalized_gradients_follow_the_cpu_on_a_gpu() {
    let Some(_gpu) = gpu() else { return };
    for kind in BOTH {
        let run = |device| {
            let mut job = job(&[(64, 30)], device);
            job.preset.optimizer = Optimizer::new(kind);
            job.preset.normalize_gradients = true;
            if device != DeviceChoice::Cpu {
                job.compute.precision = PrecisionChoice::Float32;
            }
            paint(&mut painter(&job), 30)
        };
        let wanted = run(DeviceChoice::Cpu);
        let found = run(DeviceChoice::Cuda(0));
        assert_eq!(found.notices, Vec::<String>::new());
        assert_eq!(found.steps.len(), 30);
        assert_same_step(&found.steps[0], &wanted.steps[0], 0.02);
    }
}

#[test]
fn a_recorder_that_forgets_warms_up_again() {
    struct Bowl(Tensor);
    impl Work for Bowl {
        fn evaluate(&mut self) -> Result<DeviceEvaluation> {
            Ok(DeviceEvaluation {
                gradient: self.0.f_mul_scalar(2.0)?,
                row: self.0.f_sum(Kind::Float)?.f_view([1])?,
                total: self.0.f_square()?.f_sum(Kind::Double)?,
            })
        }
        fn advance(&mut self, findings: &DeviceEvaluation) -> Result<()> {
            let _ = self.0.f_sub_(&findings.gradient.f_mul_scalar(0.25)?)?;
            Ok(())
        }
        fn state(&self) -> Vec<Tensor> {
            vec![self.0.shallow_clone()]
        }
    }
    // On the CPU there is no graph, with a GPU there is: the work is the same.
    for &device in devices().iter() {
        let stream = Stream::side(device).unwrap();
        let runs = || {
            let mut bowl = Bowl(Tensor::f_ones([8], (Kind::Float, device))?);
            let mut recorder = Recorder::new(stream);
            for run in 1..=20 {
                if run % 8 == 0 {
                    recorder.forget();
                }
                recorder.run(&mut bowl, run != 6)?;
                let wanted = 0.5f64.powi(run);
                assert_eq!(bowl.0.max().double_value(&[]), wanted, "{device:?}, {run}");
            }
            assert_eq!(recorder.is_recorded(), device != Device::Cpu);
            Ok(())
        };
        stream.run(runs).unwrap();
    }
}
