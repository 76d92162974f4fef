//! The two descents side by side.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tch::{Device, Kind, Tensor};

use super::hosted::RecordedEvaluation;
use super::*;
use crate::engine::accelerator::graphs_available;
use crate::engine::device;
use crate::engine::evaluate::Findings;
use crate::engine::network::Vgg;
use crate::engine::painter::{Painter, Progress};
use crate::engine::pixels::tensor_of;
use crate::engine::precision::{self, Precision};
use crate::engine::recorder::{Recorder, Work};
use crate::job::{Compute, DeviceChoice, Job, PrecisionChoice};
use crate::picture::{Picture, Source};
use crate::preset::{Layer, Optimizer, Pooling, Scale};
use crate::protocol::Step;

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
        start: None,
        compute: Compute {
            device,
            ..Compute::default()
        },
        output: PathBuf::new(),
    }
}

/// The same run twice: hosted, and resident.
struct Pair {
    hosted: Painter,
    resident: Painter,
}

impl Pair {
    fn new(job: &Job) -> Self {
        let painter = |resident| {
            let mut painter = Painter::new(job.clone(), &mut |_| {}).unwrap();
            painter.set_resident(resident);
            painter
        };
        let pair = Self {
            hosted: painter(false),
            resident: painter(true),
        };
        assert!(pair.resident.runs_ahead() && !pair.hosted.runs_ahead());
        pair
    }

    fn change(&mut self, preset: &Preset) {
        for painter in [&mut self.hosted, &mut self.resident] {
            painter.change(preset.clone(), &mut |_| {}).unwrap();
        }
    }

    /// Paints so many iterations, and compares what is told and shown. Returns
    /// what is told.
    #[track_caller]
    fn paint(&mut self, iterations: u32, tolerance: f64) -> Progress {
        let wanted = paint(&mut self.hosted, iterations);
        let found = paint(&mut self.resident, iterations);
        assert_eq!(found.notices, wanted.notices);
        let words = |progress: &Progress| progress.failure.as_ref().map(ToString::to_string);
        assert_eq!(words(&found), words(&wanted));
        assert_eq!(found.steps.len(), wanted.steps.len());
        for (found, wanted) in found.steps.iter().zip(&wanted.steps) {
            assert_same_step(found, wanted, tolerance);
        }
        let pictures = [&self.hosted, &self.resident].map(|painter| {
            let picture = painter.picture().unwrap().unwrap();
            (picture.size(), picture.pixels().to_vec())
        });
        assert_eq!(pictures[0].0, pictures[1].0);
        let pixels = pictures[0].1.iter().zip(&pictures[1].1);
        let most = pixels.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(
            f64::from(most) <= tolerance,
            "the pictures are {most} apart"
        );
        wanted
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

#[test]
fn a_resident_run_is_a_hosted_run() {
    let mut pair = Pair::new(&job(&[(64, 20)], DeviceChoice::Cpu));
    let progress = pair.paint(20, 1e-4);
    let iterations: Vec<u32> = progress.steps.iter().map(|step| step.iteration).collect();
    assert_eq!(iterations, (1..=20).collect::<Vec<_>>());
    assert!(progress.steps[19].total < progress.steps[0].total);
    assert!(pair.resident.is_finished());
}

#[test]
fn scales_and_changes_are_those_of_a_hosted_run() {
    let mut job = job(&[(32, 6), (48, 8), (64, 6)], DeviceChoice::Cpu);
    // So large that totals rise now and then, and the best image is an older one.
    job.preset.optimizer.rate = 0.2;
    let mut pair = Pair::new(&job);
    let mut preset = job.preset.clone();
    let progress = pair.paint(10, 1e-4);
    assert_eq!(progress.steps[9].scale, 2);
    let rises = |pair: &[Step]| pair[1].total > pair[0].total;
    assert!(progress.steps.windows(2).any(rises), "nothing was tried");

    preset.style.weight *= 0.1;
    pair.change(&preset);
    pair.paint(2, 1e-4);

    let layer = |block, index| Layer::new(block, index).unwrap();
    preset.content.layers = BTreeMap::from([(layer(2, 2), 1.0)]);
    preset.style.layers = BTreeMap::from([(layer(1, 2), 0.5), (layer(3, 1), 2.0)]);
    preset.pooling = Pooling::Average;
    pair.change(&preset);
    pair.paint(4, 1e-4);

    preset.optimizer.rate = 0.01;
    pair.change(&preset);
    pair.paint(4, 1e-4);
    assert!(pair.resident.is_finished() && pair.hosted.is_finished());
}

#[test]
fn the_optimizer_may_change_on_the_way() {
    let job = job(&[(48, 100)], DeviceChoice::Cpu);
    let mut pair = Pair::new(&job);
    pair.paint(4, 1e-4);
    let mut other = job.preset.clone();
    other.optimizer = Optimizer::new(OptimizerKind::Lbfgs);
    pair.change(&other);
    assert!(!pair.resident.runs_ahead());
    pair.paint(2, 1e-3);
    pair.change(&job.preset);
    assert!(pair.resident.runs_ahead());
    pair.paint(4, 1e-3);
}

#[test]
fn what_is_not_finite_is_met_as_in_a_hosted_run() {
    let job = job(&[(32, 10), (48, 100)], DeviceChoice::Cpu);
    let mut pair = Pair::new(&job);
    // Before there is a best image, then in the middle, then in the next scale.
    pair.change(&too_heavy(&job.preset));
    let first = pair.paint(1, 1e-4);
    assert!(first.notices[0].starts_with("iteration 1 gave a loss"));
    pair.change(&job.preset);
    pair.paint(4, 1e-4);
    pair.change(&too_heavy(&job.preset));
    assert_eq!(pair.paint(1, 1e-4).notices.len(), 1);
    pair.change(&job.preset);
    // Over the end of the scale: steps stay small.
    let steps = pair.paint(6, 1e-4).steps;
    assert_eq!((steps[0].iteration, steps[5].scale), (7, 2));
    pair.change(&too_heavy(&job.preset));
    let last = pair.paint(1, 1e-4);
    let failure = last.failure.unwrap().to_string();
    assert!(failure.contains("3 times") && failure.contains("iteration 13"));
}

#[test]
fn without_graphs_evaluations_stay_eager_and_it_is_told_once() {
    let vgg = network(Device::Cpu, Precision::Float32);
    let preset = Preset::default();
    let (targets, images) = targets_and_images(&vgg, &preset, Device::Cpu);
    let scene = scene(&vgg, &preset, &targets);
    let mut recorded = RecordedEvaluation::new(Place::on(Device::Cpu).unwrap());
    let mut notices = Vec::new();
    for image in images.iter().cycle().take(8) {
        let found = recorded.evaluate(&scene, image).unwrap();
        let wanted = scene.evaluate(image).unwrap();
        assert_eq!(found.losses, wanted.losses);
        assert_eq!(found.gradient, wanted.gradient);
        notices.extend(recorded.recorder.take_notice());
    }
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("without a CUDA graph"), "{notices:?}");
}

fn network(device: Device, precision: Precision) -> Vgg {
    let preset = Preset::default();
    let deepest = preset.deepest();
    Vgg::new(preset.network, preset.pooling, deepest, device, precision).unwrap()
}

fn targets_and_images(vgg: &Vgg, preset: &Preset, device: Device) -> (Targets, [Tensor; 3]) {
    let tensor = |factor| {
        let picture = picture(64, 48, factor);
        tensor_of(&picture, device).unwrap()
    };
    let (content, style) = (tensor(7), tensor(11));
    let targets = Targets::new(vgg, preset, &content, &style, None, &mut |_| {}).unwrap();
    (targets, [tensor(5), tensor(13), content])
}

fn scene<'a>(vgg: &'a Vgg, preset: &'a Preset, targets: &'a Targets) -> Scene<'a> {
    Scene {
        vgg,
        preset,
        targets,
        tile: None,
    }
}

/// Whether graphs can be tried; a word about why not otherwise.
fn graphs_can_be_tried() -> bool {
    let usable = device::enable_cuda()
        .map_err(str::to_owned)
        .and_then(|()| graphs_available().map_err(|error| error.to_string()));
    if let Err(why) = &usable {
        eprintln!("skipped: {why}");
    }
    usable.is_ok()
}

#[test]
fn a_graph_evaluates_as_eager_runs_do() {
    if !graphs_can_be_tried() {
        return;
    }
    let device = Device::Cuda(0);
    let place = Place::on(device).unwrap();
    for choice in [PrecisionChoice::Float32, PrecisionChoice::Bfloat16] {
        let compare = || {
            let vgg = network(device, precision::resolve(choice, device)?);
            let preset = Preset::default();
            let (targets, images) = targets_and_images(&vgg, &preset, device);
            let scene = scene(&vgg, &preset, &targets);
            let mut recorded = RecordedEvaluation::new(place);
            for (number, image) in images.iter().cycle().take(12).enumerate() {
                let found = recorded.evaluate(&scene, image)?;
                assert_eq!(recorded.recorder.take_notice(), None);
                assert_eq!(recorded.recorder.is_recorded(), number >= 3);
                let wanted = scene.evaluate(image)?;
                let off = found.weighted.total / wanted.weighted.total - 1.0;
                assert!(off.abs() < 0.01, "{choice}, {number}: off by {off}");
                let size = |tensor: Tensor| tensor.norm().double_value(&[]);
                let off = size(&found.gradient - &wanted.gradient) / size(wanted.gradient);
                assert!(off < 0.01, "{choice}, {number}: off by {off}");
            }
            Ok(())
        };
        place.stream.run(compare).unwrap();
    }
}

#[test]
fn a_run_from_graphs_is_an_eager_run() {
    if !graphs_can_be_tried() {
        return;
    }
    let mut on_gpu = job(&[(32, 20), (64, 40)], DeviceChoice::Cuda(0));
    on_gpu.compute.precision = PrecisionChoice::Float32;
    let on_cpu = job(&[(32, 20), (64, 40)], DeviceChoice::Cpu);
    let painter = |job: &Job| Painter::new(job.clone(), &mut |_| {}).unwrap();
    // The first has no graph; the second has one for all of an iteration, the
    // third one for evaluations.
    let mut eager = painter(&on_cpu);
    let mut resident = painter(&on_gpu);
    let mut hosted = painter(&on_gpu);
    hosted.set_resident(false);
    let wanted = paint(&mut eager, 60);
    for painter in [&mut resident, &mut hosted] {
        let found = paint(painter, 60);
        assert_eq!(found.notices, Vec::<String>::new());
        assert_eq!(found.steps.len(), 60);
        for (found, wanted) in found.steps.iter().zip(&wanted.steps) {
            // Small differences grow on the way.
            assert_same_step(found, wanted, 0.1);
        }
    }
}

#[test]
fn a_recorder_that_forgets_warms_up_again() {
    struct Bowl(Tensor);
    impl Work for Bowl {
        fn evaluate(&mut self) -> Result<Findings> {
            Ok(Findings {
                gradient: self.0.f_mul_scalar(2.0)?,
                row: self.0.f_sum(Kind::Float)?.f_view([1])?,
                total: self.0.f_square()?.f_sum(Kind::Double)?,
            })
        }
        fn advance(&mut self, findings: &Findings) -> Result<()> {
            let _ = self.0.f_sub_(&findings.gradient.f_mul_scalar(0.25)?)?;
            Ok(())
        }
        fn state(&self) -> Vec<Tensor> {
            vec![self.0.shallow_clone()]
        }
    }
    // On the CPU there is no graph, with a GPU there is: the work is the same.
    let gpu = graphs_can_be_tried().then_some(Device::Cuda(0));
    for device in [Some(Device::Cpu), gpu].into_iter().flatten() {
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
