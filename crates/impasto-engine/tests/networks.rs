//! Networks from files against an independent reference: PyTorch in float64 on
//! torchvision's layout, run by `tests/oracle/networks.py`, its results
//! committed as JSON. And how maps are brought to the built-in VGG-16's size.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use impasto_core::picture::Picture;
use impasto_core::preset::{Layer, Network, Pooling};
use impasto_engine::network::Vgg;
use impasto_engine::pixels::tensor_of;
use impasto_engine::precision::Precision;
use impasto_engine::{calibrate, weights as parameters};
use impasto_weights::Architecture;
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize_to_file};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

/// What float32 may differ from float64 by.
const TOLERANCE: f64 = 1e-4;

/// The number that the oracle's formula knows its picture by.
const PICTURE: u64 = 1000;

fn cases() -> Vec<Value> {
    let path =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("tests/oracle/networks.json");
    let text = fs::read_to_string(path).expect("the oracle's results are committed");
    let results: Value = serde_json::from_str(&text).expect("the oracle's results are JSON");
    let cases = results["cases"].as_array().expect("cases").clone();
    assert!(cases.len() >= 3);
    cases
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

fn word(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

/// The oracle's made-up numbers in -1..1: splitmix64 of the tensor's number and
/// each element's index, of which 24 bits are kept, as many as a float32 has.
fn uniform(tensor: u64, count: usize) -> impl Iterator<Item = f32> {
    (1..=count as u64).map(move |index| {
        let mut z = ((tensor << 32) + index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((z >> 40) as f32 - 8_388_608.0) / 8_388_608.0
    })
}

/// The picture of a case, `[1, 3, H, W]`, RGB in 0..1.
fn made_picture(case: &Value) -> Tensor {
    let [width, height] = ["width", "height"].map(|side| number(&case[side]) as usize);
    let values: Vec<f32> = uniform(PICTURE, 3 * height * width)
        .map(|value| (value + 1.0) / 2.0)
        .collect();
    Tensor::from_slice(&values).view([1, 3, height as i64, width as i64])
}

/// A case's network, written to a file as torchvision names its tensors, and
/// read again.
fn made_file(case: &Value) -> impasto_weights::File {
    let convention = word(&case["convention"]);
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut digest = Sha256::new();
    let mut add = |name: String, shape: Vec<usize>, values: &mut dyn Iterator<Item = f32>| {
        let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
        digest.update(&bytes);
        tensors.push((name, shape, bytes));
    };
    let mut inputs = 3;
    for (position, layer) in (0..).zip(case["layers"].as_object().expect("layers").values()) {
        let name = word(&layer["convolution"]);
        let outputs = number(&layer["shape"][0]) as usize;
        let mut bound = (6.0 / (9 * inputs) as f64).sqrt() as f32;
        if position == 0 && convention == "bgr-minus-mean" {
            bound /= 64.0;
        }
        let shape = vec![outputs, inputs, 3, 3];
        let count = shape.iter().product();
        add(
            format!("{name}.weight"),
            shape,
            &mut uniform(2 * position, count).map(|value| bound * value),
        );
        add(
            format!("{name}.bias"),
            vec![outputs],
            &mut uniform(2 * position + 1, outputs).map(|value| value / 8.0),
        );
        inputs = outputs;
    }
    assert_eq!(
        format!("{:x}", digest.finalize()),
        word(&case["sha256"]),
        "the oracle has the same weights"
    );

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("network.safetensors");
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a tensor");
        (name, view)
    });
    let header = HashMap::from([("convention".to_owned(), convention.to_owned())]);
    serialize_to_file(views, &Some(header), &path).expect("a file");
    let file = impasto_weights::read(&path, None).expect("weights");
    let architecture = match word(&case["network"]) {
        "vgg16" => Architecture::Vgg16,
        "vgg19" => Architecture::Vgg19,
        other => panic!("network {other}"),
    };
    assert_eq!(file.architecture, architecture);
    assert_eq!(file.convention.name(), convention);
    file
}

fn layer_of(convolution: &impasto_weights::Convolution) -> Layer {
    Layer::new(convolution.block, convolution.index).expect("a layer")
}

/// The whole network of a file.
fn network(file: &impasto_weights::File, scales: &BTreeMap<Layer, f64>) -> Vgg {
    let deepest = layer_of(file.deepest().expect("a convolution"));
    let layers = file.convolutions.iter().map(layer_of);
    let scales: Vec<f64> = layers
        .map(|layer| scales.get(&layer).copied().unwrap_or(1.0))
        .collect();
    let parameters = parameters::from_file(file, &scales, deepest, Device::Cpu).expect("weights");
    Vgg::from_parameters(parameters, Pooling::Max, Device::Cpu, Precision::Float32).expect("VGG")
}

/// The scales of a file's layers, as they are measured.
fn measured(file: &impasto_weights::File) -> BTreeMap<Layer, f64> {
    let scales = calibrate::scales(file, &pictures()).expect("scales");
    assert_eq!(scales.len(), file.convolutions.len());
    file.convolutions.iter().map(layer_of).zip(scales).collect()
}

fn mean(tensor: &Tensor) -> f64 {
    tensor.mean(Kind::Double).double_value(&[])
}

fn mean_square(tensor: &Tensor) -> f64 {
    mean(&tensor.to_kind(Kind::Double).square())
}

#[track_caller]
fn assert_close(found: f64, expected: f64, scale: f64, what: &str) {
    let off = (found - expected).abs() / scale;
    assert!(
        off <= TOLERANCE,
        "{what}: {found}, expected {expected} (off by {off:.2e})"
    );
}

#[track_caller]
fn assert_samples(tensor: &Tensor, samples: &Value, scale: f64, what: &str) {
    let samples = samples.as_array().expect("samples");
    assert!(samples.len() >= 8);
    for sample in samples {
        let [c, y, x] = [0, 1, 2].map(|part| sample[part].as_i64().expect("a place"));
        let found = tensor.double_value(&[0, c, y, x]);
        let what = format!("{what} at {c}, {y}, {x}");
        assert_close(found, number(&sample[3]), scale, &what);
    }
}

fn assert_maps(vgg: &Vgg, scales: &BTreeMap<Layer, f64>, case: &Value, name: &str) {
    let mut seen = 0;
    vgg.visit(&made_picture(case), |layer, map| {
        let map = map / scales.get(&layer).copied().unwrap_or(1.0);
        let expected = &case["layers"][layer.to_string()];
        let what = format!("{name}: {layer}");
        let shape: Vec<i64> = serde_json::from_value(expected["shape"].clone()).expect("shape");
        assert_eq!(map.size()[1..], shape, "{what}");
        let size = number(&expected["rms"]);
        assert_close(mean(&map), number(&expected["mean"]), size, &what);
        assert_close(mean_square(&map).sqrt(), size, size, &what);
        assert_samples(&map, &expected["samples"], size, &what);
        seen += 1;
        Ok(())
    })
    .expect("a pass");
    let layers = case["layers"].as_object().expect("layers");
    assert_eq!(seen, layers.len(), "{name}: every layer is seen");
}

/// The gradient of the sum of some maps' mean squares.
fn assert_gradient(vgg: &Vgg, scales: &BTreeMap<Layer, f64>, case: &Value, name: &str) {
    let wanted = case["loss"]["layers"].as_array().expect("layers");
    let mut loss = 0.0;
    let trace = vgg.trace(&made_picture(case)).expect("a pass");
    let gradient = vgg.gradient(
        trace,
        |_| true,
        |layer, map, upstream| {
            if !wanted.contains(&Value::from(layer.to_string())) {
                return Ok(upstream);
            }
            let scale = scales.get(&layer).copied().unwrap_or(1.0).powi(2);
            loss += mean_square(map) / scale;
            let own = map * (2.0 / (scale * map.numel() as f64));
            Ok(Some(match upstream {
                Some(upstream) => upstream + own,
                None => own,
            }))
        },
    );
    let gradient = gradient.expect("a pass back").expect("a gradient");
    let expected = number(&case["loss"]["value"]);
    assert_close(loss, expected, expected, name);

    let expected = &case["gradient"];
    let what = format!("{name}: gradient");
    let size = number(&expected["rms"]);
    assert_close(mean_square(&gradient).sqrt(), size, size, &what);
    let largest = number(&expected["largest"]);
    assert_samples(&gradient, &expected["samples"], largest, &what);
}

#[test]
fn maps_and_gradients_are_those_of_pytorch() {
    for case in cases() {
        let file = made_file(&case);
        let none = BTreeMap::new();
        // Scales, whichever they are, change nothing but the size of the maps.
        let layers = file.convolutions.iter().map(layer_of);
        let some = layers.zip([0.25, 3.0, 0.7].into_iter().cycle()).collect();
        for (scales, what) in [(none, "as it is"), (some, "scaled")] {
            let [network_name, convention] = ["network", "convention"].map(|key| word(&case[key]));
            let name = format!("{network_name}, {convention}, {what}");
            let vgg = network(&file, &scales);
            assert_maps(&vgg, &scales, &case, &name);
            assert_gradient(&vgg, &scales, &case, &name);
        }
    }
}

/// Two pictures of noise, one of single pixels and one of squares, of the size
/// that networks are compared at.
fn pictures() -> [Picture; 2] {
    [(224, 96, 1), (64, 224, 16)].map(|(width, height, square): (u32, u32, u32)| {
        let noise: Vec<f32> = uniform(PICTURE, 3 * 224 * 224)
            .map(|value| (value + 1.0) / 2.0)
            .collect();
        let mut pixels = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let place = 3 * (y / square * width + x / square) as usize;
                pixels.extend(&noise[place..place + 3]);
            }
        }
        Picture::new(width, height, pixels).expect("a picture")
    })
}

/// The mean of the squares of each layer's maps of those pictures.
fn mean_squares(vgg: &Vgg) -> BTreeMap<Layer, f64> {
    let mut found = BTreeMap::new();
    for picture in pictures() {
        let image = tensor_of(&picture, Device::Cpu).expect("a tensor");
        vgg.visit(&image, |layer, map| {
            *found.entry(layer).or_insert(0.0) += mean_square(map) / 2.0;
            Ok(())
        })
        .expect("a pass");
    }
    found
}

#[test]
fn scales_bring_maps_to_the_size_of_the_built_in_networks() {
    let deepest = Layer::new(5, 3);
    let built_in = Vgg::new(
        Network::VGG16,
        Pooling::Max,
        deepest,
        Device::Cpu,
        Precision::Float32,
    )
    .expect("VGG");
    let built_in = mean_squares(&built_in);
    assert_eq!(built_in.len(), 13);

    let case = &cases()[0];
    assert_eq!(word(&case["network"]), "vgg19");
    let file = made_file(case);
    let scales = measured(&file);
    let (unscaled, scaled) = (
        mean_squares(&network(&file, &BTreeMap::new())),
        mean_squares(&network(&file, &scales)),
    );
    assert_eq!(scaled.len(), 16);
    for (layer, found) in scaled {
        // VGG-16 has three layers where VGG-19 has four; the third stands for both.
        let like = Layer::new(layer.block(), layer.index().min(3)).expect("a layer");
        let expected = built_in[&like];
        let off = (found / expected - 1.0).abs();
        assert!(off < 1e-3, "{layer}: {found}, expected {expected}");
        let off = (unscaled[&layer] / expected - 1.0).abs();
        assert!(off > 0.1, "{layer} had that size before");
    }
}

#[test]
fn the_built_in_network_keeps_its_size() {
    let path =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("weights/vgg16.safetensors");
    let file = impasto_weights::read(&path, None).expect("the built-in weights");
    let scales = measured(&file);
    assert_eq!(scales.len(), 13);
    for (layer, scale) in scales {
        assert!((scale - 1.0).abs() < 1e-5, "{layer}: {scale}");
    }
}

/// Files of every format, as `tests/oracle/networks.py --files FOLDER` writes
/// them: too large to keep, so that this is for whoever made them.
#[test]
fn files_of_every_format_hold_the_same_network() {
    let Some(folder) = std::env::var_os("IMPASTO_NETWORK_FILES") else {
        eprintln!("skipped: IMPASTO_NETWORK_FILES names no folder of networks");
        return;
    };
    for case in cases() {
        let [network_name, convention] = ["network", "convention"].map(|key| word(&case[key]));
        let expected = made_file(&case);
        for (ending, error) in [
            ("zip.pth", 0.0),
            ("legacy.pth", 0.0),
            ("float32.safetensors", 0.0),
            ("float16.safetensors", 1e-3),
            ("bfloat16.safetensors", 1e-2),
        ] {
            let path = Path::new(&folder).join(format!("{network_name}-{convention}-{ending}"));
            let stated = Some(convention.parse().expect("a convention"));
            let found = impasto_weights::read(&path, stated).expect("weights");
            assert_eq!(found.architecture, expected.architecture, "{ending}");
            let pairs = found.convolutions.iter().zip(&expected.convolutions);
            assert_eq!(found.convolutions.len(), expected.convolutions.len());
            for (found, expected) in pairs {
                assert_eq!(found.shape, expected.shape);
                let largest = expected
                    .weight
                    .iter()
                    .fold(0.0_f32, |most, it| most.max(it.abs()));
                let values = found.weight.iter().zip(&expected.weight);
                for (found, expected) in values.chain(found.bias.iter().zip(&expected.bias)) {
                    let off = (found - expected).abs();
                    assert!(
                        off <= error * largest.max(1.0),
                        "{ending}: {found}, {expected}"
                    );
                }
            }
        }
    }
}
