//! Statistics on every processor that there is.

use std::path::PathBuf;

use impasto_core::job::{Compute, DeviceChoice, Job, MaskPictures};
use impasto_core::picture::{Picture, Source};
use impasto_core::preset::{Preset, Scale};
use tch::{Device, Kind, Tensor};

use super::{Statistic as _, Sums, histogram::Histogram};

use crate::evaluate::evaluate;
use crate::network::Vgg;
use crate::painter::Painter;
use crate::pictures::Pictures;
use crate::precision::Precision;
use crate::targets::Targets;
use crate::test_device::{devices, gpu};
use crate::tiles::Part;

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

/// A job with every statistic, two styles and a mask.
fn job(device: DeviceChoice) -> Job {
    let settings = [
        "style.statistic={default: gram, relu1_1: histogram, relu2_1: mean-std, relu3_1: covariance}",
        "style.shift=-1",
        "content.laplacian=100",
        "masks=[{file: mask.png, style: 2}]",
        "optimizer=adam",
    ];
    let preset = Preset {
        schedule: vec![Scale {
            size: 96,
            iterations: 8,
        }],
        ..Preset::default()
    };
    let set = |preset: Preset, setting: &&str| preset.set(setting);
    Job {
        preset: settings.iter().try_fold(preset, set).unwrap(),
        content: source(96, 72, 7),
        style: source(80, 90, 11),
        more_styles: vec![source(64, 64, 5)],
        start: None,
        masks: vec![MaskPictures {
            mask: source(96, 72, 3),
            region: None,
        }],
        compute: Compute {
            device,
            ..Compute::default()
        },
        output: PathBuf::new(),
    }
}

#[test]
fn every_processor_finds_the_same() {
    let job = job(DeviceChoice::Cpu);
    let mut expected: Option<(f64, Tensor)> = None;
    for &device in devices().iter() {
        let preset = &job.preset;
        let vgg = Vgg::new(
            preset.network,
            preset.pooling,
            preset.deepest(),
            device,
            Precision::Float32,
        )
        .unwrap();
        let images = Pictures::new(&job, device)
            .unwrap()
            .at(preset, (96, 72))
            .unwrap();
        let targets = Targets::new(&vgg, preset, &images, None, &mut |_| {}).unwrap();
        let image = images.content.flip([3]).contiguous();
        let found = evaluate(&vgg, preset, &targets, &image, None).unwrap();
        let gradient = found.gradient.to_device(Device::Cpu).to_kind(Kind::Double);
        let total = found.weighted.total;
        let Some((wanted, wanted_gradient)) = &expected else {
            assert!(found.finite && total > 0.0);
            expected = Some((total, gradient));
            continue;
        };
        // Products alone do not settle the smallest eigenvalues of a covariance.
        assert!(
            (total / wanted - 1.0).abs() < 0.02,
            "{device:?}: {total}, {wanted}"
        );
        let off = (gradient - wanted_gradient).norm() / wanted_gradient.norm();
        assert!(off.double_value(&[]) < 0.05, "{device:?}: {off}");
    }
}

#[test]
fn a_single_position_has_a_histogram() {
    let map = Tensor::from_slice(&[0.25f32, 4.0]).view([1, 2, 1, 1]);
    let weights = Tensor::from_slice(&[1.0f32]).view([1, 1, 1, 1]);
    let one = Part::whole(1, 1);
    for guide in [None, Some(&weights)] {
        let sums = Sums::of(Histogram.needs(), &map, (one, one), guide).unwrap();
        let target = Histogram.target(&sums, 3).unwrap();
        let wanted = [0.25f32, 0.25, 0.25, 4.0, 4.0, 4.0];
        assert_eq!(target.0[0], Tensor::from_slice(&wanted).view([2, 3]));
        let target = Histogram.target(&sums, 1).unwrap();
        let found = Histogram.compare(&sums, &target, 1.0).unwrap();
        assert_eq!(found.loss.double_value(&[]), 0.0);
    }
}

#[test]
fn every_statistic_can_be_captured() {
    let Some(_gpu) = gpu() else { return };
    let mut painter = Painter::new(job(DeviceChoice::Cuda(0)), &mut |_| {}).unwrap();
    let mut notices = Vec::new();
    while !painter.is_finished() {
        notices.extend(painter.step().unwrap().notices);
    }
    notices.extend(painter.drain().unwrap().notices);
    assert!(notices.is_empty(), "{notices:?}");
}
