//! The same losses and the same gradient, however they are computed.

use impasto_core::picture::Picture;
use impasto_core::preset::{Pooling, Preset};
use impasto_engine::evaluate::{Evaluation, evaluate};
use impasto_engine::network::Vgg;
use impasto_engine::pixels::tensor_of;
use impasto_engine::precision::{Precision, cpu_has_bfloat16};
use impasto_engine::targets::{TargetImages, Targets};
use tch::{Device, Tensor};

/// A picture without any regularity that a cut could fall in step with.
fn made_up(width: u32, height: u32, seed: u32) -> Tensor {
    let value = |x: u32, y: u32, c: u32| {
        let wave = (x * (3 + c) + y * y / (5 + seed) + 31 * c) % 97;
        let grain = (x * 7 + y * 13 + x * y % (11 + seed)) % 23;
        (wave * 2 + grain * 2) as u8
    };
    let pixels: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| (0..3).map(move |c| value(x, y, c)))
        .collect();
    let picture = Picture::from_rgb8(width, height, &pixels).expect("a picture");
    tensor_of(&picture, Device::Cpu).expect("a tensor")
}

fn preset(pooling: Pooling) -> Preset {
    let preset = Preset {
        pooling,
        ..Preset::default()
    };
    let settings = ["content.layers={relu2_2: 0.5, relu4_2: 1}"];
    settings
        .iter()
        .try_fold(preset, |preset, setting| preset.set(setting))
        .expect("a setting")
}

fn evaluated(preset: &Preset, precision: Precision, tile: Option<u32>) -> Evaluation {
    let (width, height) = (210, 277);
    let vgg = Vgg::new(
        preset.network,
        preset.pooling,
        preset.deepest(),
        Device::Cpu,
        precision,
    )
    .expect("VGG");
    let (content, style) = (made_up(width, height, 1), made_up(190, 150, 2));
    let targets = Targets::new(
        &vgg,
        preset,
        &TargetImages::pair(&content, &style),
        tile,
        &mut |_| {},
    )
    .expect("targets");
    evaluate(&vgg, preset, &targets, &made_up(width, height, 3), tile).expect("losses")
}

#[track_caller]
fn assert_same(found: &Evaluation, expected: &Evaluation, tolerance: f64) {
    assert!(found.finite && expected.finite);
    let close = |found: f64, expected: f64, what: &str| {
        let off = (found - expected).abs() / expected.abs();
        assert!(off <= tolerance, "{what}: {found}, expected {expected}");
    };
    for (found, expected) in [
        (
            &found.losses.layers.content,
            &expected.losses.layers.content,
        ),
        (&found.losses.layers.style, &expected.losses.layers.style),
    ] {
        assert_eq!(found.len(), expected.len());
        for (layer, loss) in found {
            close(*loss, expected[layer], &layer.to_string());
        }
    }
    close(found.weighted.total, expected.weighted.total, "the total");
    let difference = (&found.gradient - &expected.gradient)
        .norm()
        .double_value(&[]);
    let off = difference / expected.gradient.norm().double_value(&[]);
    assert!(off <= tolerance, "the gradient is off by {off:.2e}");
}

#[test]
fn tiles_add_up_to_the_whole() {
    for pooling in [Pooling::Max, Pooling::Average] {
        let preset = preset(pooling);
        let whole = evaluated(&preset, Precision::Float32, None);
        for tile in [64, 100, 160] {
            let tiled = evaluated(&preset, Precision::Float32, Some(tile));
            assert_same(&tiled, &whole, 1e-4);
        }
    }
}

#[test]
fn a_picture_smaller_than_a_tile_is_painted_in_one_piece() {
    let preset = preset(Pooling::Max);
    let whole = evaluated(&preset, Precision::Float32, None);
    let tiled = evaluated(&preset, Precision::Float32, Some(512));
    assert_eq!(tiled.weighted, whole.weighted);
}

#[test]
fn bfloat16_is_off_by_no_more_than_its_own_rounding() {
    if !cpu_has_bfloat16() {
        eprintln!("skipped: this CPU has no instructions for bfloat16");
        return;
    }
    let preset = preset(Pooling::Max);
    let exact = evaluated(&preset, Precision::Float32, None);
    let rounded = evaluated(&preset, Precision::Bfloat16, None);
    assert_same(&rounded, &exact, 0.05);
    let tiled = evaluated(&preset, Precision::Bfloat16, Some(100));
    assert_same(&tiled, &rounded, 0.02);
}
