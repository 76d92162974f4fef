//! The engine's numbers against an independent reference: PyTorch in float64,
//! run by `tests/oracle/oracle.py`, its results committed as JSON.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use impasto_core::picture::{Picture, recolour};
use impasto_core::preset::{Layer, Network, Pooling, Preset, Recolour};
use impasto_engine::evaluate::evaluate;
use impasto_engine::network::Vgg;
use impasto_engine::pixels::{picture_of, tensor_of};
use impasto_engine::precision::Precision;
use impasto_engine::statistic::balance;
use impasto_engine::targets::{StyleMask, TargetImages, Targets};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// What float32 may differ from float64 by.
const TOLERANCE: f64 = 1e-4;

fn results(name: &str) -> Value {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .join("tests/oracle")
        .join(name);
    let text = fs::read_to_string(&path).expect("the oracle's results are committed");
    serde_json::from_str(&text).expect("the oracle's results are JSON")
}

fn triangle(n: u32, half: u32) -> u32 {
    half - (n % (2 * half)).abs_diff(half)
}

/// The oracle's made-up pictures: the value of column x, row y, channel c.
fn formula(picture: &str, x: u32, y: u32, c: u32) -> u32 {
    match picture {
        "image" => (7 * x + 13 * y + 29 * c + 5 * ((x * y * (c + 3)) % 31)) % 256,
        "content" => {
            4 * triangle(x + 2 * y + 9 * c, 40) + 3 * triangle(2 * x + y * y / 8 + 17 * c, 30)
        }
        "style" => {
            120 * ((x / 8 + y / 8 + c) % 2)
                + triangle(3 * x + 5 * y + 40 * c, 60)
                + (x * x + 3 * y * y + 7 * c) % 75
        }
        "second" => {
            (90 * (((x + 2 * y) / 10) % 2)
                + 3 * triangle(2 * x + 11 * c, 25)
                + (5 * x * y + 40 * c) % 60)
                % 256
        }
        "left" => 255 - (16 * x.saturating_sub(20)).min(255),
        "lower" => 255 * u32::from(y >= 24),
        "corner" => 255 * u32::from(x < 30 && y < 30),
        other => panic!("no formula for {other}"),
    }
}

/// The picture of a formula as `[1, 3, H, W]`; `first` holds the bytes that the
/// oracle's own copy begins with.
fn made_up(picture: &str, width: u32, height: u32, first: &Value) -> Tensor {
    let mut bytes = Vec::new();
    for y in 0..height {
        for x in 0..width {
            bytes.extend((0..3).map(|c| u8::try_from(formula(picture, x, y, c)).expect("a byte")));
        }
    }
    for (index, byte) in first.as_array().expect("first pixels").iter().enumerate() {
        assert_eq!(
            Value::from(bytes[index]),
            *byte,
            "byte {index} of {picture}"
        );
    }
    let picture = Picture::from_rgb8(width, height, &bytes).expect("a picture");
    tensor_of(&picture, Device::Cpu).expect("a tensor")
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

fn side(value: &Value) -> u32 {
    u32::try_from(value.as_u64().expect("a size")).expect("a size")
}

#[track_caller]
fn assert_close(found: f64, expected: f64, scale: f64, what: &str) {
    let off = (found - expected).abs() / scale.abs().max(f64::MIN_POSITIVE);
    assert!(
        off <= TOLERANCE,
        "{what}: {found}, expected {expected} (off by {off:.2e})"
    );
}

/// Samples of a tensor at places of its flattened CHW form, against `scale`.
fn assert_samples(tensor: &Tensor, samples: &Value, scale: f64, what: &str) {
    let flat = tensor.contiguous().view(-1);
    let samples = samples.as_array().expect("samples");
    assert!(samples.len() >= 10);
    for sample in samples {
        let index = sample[0].as_i64().expect("an index");
        let found = flat.double_value(&[index]);
        assert_close(
            found,
            number(&sample[1]),
            scale,
            &format!("{what} at {index}"),
        );
    }
}

#[test]
fn feature_maps_match() {
    let results = results("features.json");
    let cases = results["features"].as_array().expect("cases");
    assert!(cases.len() >= 2, "both poolings");
    for case in cases {
        let image = made_up(
            "image",
            side(&case["width"]),
            side(&case["height"]),
            &case["first_pixels"],
        );
        let pooling = match case["pooling"].as_str() {
            Some("max") => Pooling::Max,
            Some("average") => Pooling::Average,
            other => panic!("pooling {other:?}"),
        };
        let vgg = Vgg::new(
            Network::VGG16,
            pooling,
            Layer::new(5, 3),
            Device::Cpu,
            Precision::Float32,
        )
        .expect("VGG");
        let mut seen = 0;
        vgg.visit(&image, |layer, map| {
            let expected = &case["layers"][layer.to_string()];
            let what = format!("{layer} with {pooling:?} pooling");
            let shape: Vec<i64> = serde_json::from_value(expected["shape"].clone()).expect("shape");
            assert_eq!(map.size()[1..], shape, "{what}");
            let largest = number(&expected["max"]);
            let sum = |tensor: &Tensor| tensor.sum(Kind::Double).double_value(&[]);
            assert_close(
                sum(map),
                number(&expected["sum"]),
                number(&expected["sum"]),
                &what,
            );
            let squares = number(&expected["sum_of_squares"]);
            assert_close(
                sum(&map.to_kind(Kind::Double).square()),
                squares,
                squares,
                &what,
            );
            assert_close(map.max().double_value(&[]), largest, largest, &what);
            assert_samples(map, &expected["samples"], largest, &what);
            seen += 1;
            Ok(())
        })
        .expect("a pass");
        assert_eq!(seen, 13);
    }
}

#[test]
fn losses_and_gradients_match() {
    let results = results("losses.json");
    let cases = results["cases"].as_array().expect("cases");
    assert!(cases.len() >= 8);
    for case in cases {
        let name = case["name"].as_str().expect("a name");
        let preset: Preset = serde_json::from_value(case["settings"].clone()).expect("settings");
        let (width, height) = (side(&case["width"]), side(&case["height"]));
        let style_size = (side(&case["style_width"]), side(&case["style_height"]));
        let first = &case["first_pixels"];
        let image = made_up("image", width, height, &first["image"]);
        let content = made_up("content", width, height, &first["content"]);
        let style = made_up("style", style_size.0, style_size.1, &first["style"]);
        let vgg = Vgg::new(
            preset.network,
            preset.pooling,
            preset.deepest(),
            Device::Cpu,
            Precision::Float32,
        )
        .expect("VGG");
        let targets = Targets::new(
            &vgg,
            &preset,
            &TargetImages::pair(&content, &style),
            None,
            &mut |_| {},
        )
        .expect("targets");
        let found = evaluate(&vgg, &preset, &targets, &image, None).expect("losses");

        assert!(found.finite, "{name}");
        let layers = &found.losses.layers;
        for (term, found, named) in [
            ("content", &layers.content, &preset.content.layers),
            ("style", &layers.style, &preset.style.layers),
        ] {
            assert_eq!(
                found.len(),
                named.len(),
                "{name}: every layer of the {term} is measured"
            );
            for (layer, loss) in found {
                let expected = number(&case[term][layer.to_string()]);
                assert_close(
                    *loss,
                    expected,
                    expected,
                    &format!("{name}: {term} {layer}"),
                );
            }
        }
        let smoothness = number(&case["smoothness"]);
        assert_close(found.losses.smoothness, smoothness, smoothness, name);
        let total = number(&case["total"]);
        assert_close(found.weighted.total, total, total, name);

        let gradient = found.gradient.to_kind(Kind::Double);
        let expected = &case["gradient"];
        let norm = number(&expected["l2_norm"]);
        assert_close(gradient.norm().double_value(&[]), norm, norm, name);
        let largest = number(&expected["max_abs"]);
        assert_close(
            gradient.abs().max().double_value(&[]),
            largest,
            largest,
            name,
        );
        assert_samples(
            &gradient,
            &expected["samples"],
            largest,
            &format!("{name}: gradient"),
        );
    }
}

/// The preset of a case, and what the balance between statistics adds to each style
/// layer: the reference has the bare formulas, so the layers' weights make up for it.
fn bare(settings: &Value) -> (Preset, BTreeMap<Layer, f64>) {
    let mut preset: Preset = serde_json::from_value(settings.clone()).expect("settings");
    let style = preset.style.clone();
    let balances = style.layers.keys();
    let balances: BTreeMap<Layer, f64> = balances
        .map(|layer| (*layer, balance(&style, *layer)))
        .collect();
    for (layer, weight) in &mut preset.style.layers {
        // Normalised gradients have the strength of the weight, whatever the loss.
        *weight /= match preset.normalize_gradients {
            true => 1.0,
            false => balances[layer],
        };
    }
    (preset, balances)
}

/// The pictures of a case.
fn images(case: &Value, first: &Value) -> (Tensor, TargetImages) {
    let made = |picture: &str, width, height| {
        let begins = match (width, height) == (side(&case["width"]), side(&case["height"])) {
            true => first[picture].clone(),
            false => Value::Array(Vec::new()),
        };
        made_up(picture, width, height, &begins)
    };
    let (width, height) = (side(&case["width"]), side(&case["height"]));
    let styles = case["styles"].as_array().expect("styles");
    let style_size = |style: &Value| (side(&style["width"]), side(&style["height"]));
    let grey = |name: &Value, (width, height)| {
        let picture = made(name.as_str().expect("a mask"), width, height);
        picture.narrow(1, 0, 1)
    };
    let masks = case["masks"].as_array().expect("masks").iter().map(|mask| {
        let style = mask["style"].as_u64().expect("a style") as usize;
        StyleMask {
            style,
            mask: grey(&mask["mask"], (width, height)),
            region: mask
                .get("region")
                .map(|region| grey(region, style_size(&styles[style]))),
        }
    });
    let images = TargetImages {
        content: made("content", width, height),
        styles: styles
            .iter()
            .map(|style| {
                let (width, height) = style_size(style);
                made(style["picture"].as_str().expect("a name"), width, height)
            })
            .collect(),
        masks: masks.collect(),
    };
    (made("image", width, height), images)
}

/// Statistics, several styles, masks, and all other terms: whole and in tiles.
#[test]
fn every_term_matches_whole_and_in_tiles() {
    let results = results("terms.json");
    let cases = results["cases"].as_array().expect("cases");
    assert!(cases.len() >= 18);
    for case in cases {
        let name = case["name"].as_str().expect("a name");
        let (preset, balances) = bare(&case["settings"]);
        let (image, images) = images(case, &results["first_pixels"]);
        let vgg = Vgg::new(
            preset.network,
            preset.pooling,
            preset.deepest(),
            Device::Cpu,
            Precision::Float32,
        )
        .expect("VGG");
        for tile in [None, Some(32)] {
            let name = format!("{name}, tiles {tile:?}");
            let targets = Targets::new(&vgg, &preset, &images, tile, &mut |_| {}).expect(&name);
            let found = evaluate(&vgg, &preset, &targets, &image, tile).expect("losses");
            assert!(found.finite, "{name}");
            let layers = &found.losses.layers;
            for (layer, loss) in &layers.content {
                let expected = number(&case["content"][layer.to_string()]);
                assert_close(
                    *loss,
                    expected,
                    expected,
                    &format!("{name}: content {layer}"),
                );
            }
            assert_eq!(layers.style.len(), preset.style.layers.len(), "{name}");
            for (layer, loss) in &layers.style {
                let expected = number(&case["style"][layer.to_string()]);
                let loss = loss / balances[layer];
                assert_close(loss, expected, expected, &format!("{name}: style {layer}"));
            }
            let smoothness = number(&case["smoothness"]);
            assert_close(found.losses.smoothness, smoothness, smoothness, &name);
            match case["laplacian"].as_f64() {
                Some(expected) => {
                    let found = layers.laplacian.expect("a Laplacian loss");
                    assert_close(found, expected, expected, &name);
                }
                None => assert_eq!(layers.laplacian, None, "{name}"),
            }
            let gradient = found.gradient.to_kind(Kind::Double);
            let expected = &case["gradient"];
            let norm = number(&expected["l2_norm"]);
            assert_close(gradient.norm().double_value(&[]), norm, norm, &name);
            let largest = number(&expected["max_abs"]);
            let what = format!("{name}: gradient");
            assert_close(
                gradient.abs().max().double_value(&[]),
                largest,
                largest,
                &what,
            );
            assert_samples(&gradient, &expected["samples"], largest, &what);
        }
    }
}

/// The colours of one picture given to another.
#[test]
fn colours_match() {
    let results = results("terms.json");
    let picture = |name: &str, width, height| {
        let tensor = made_up(name, width, height, &Value::Array(Vec::new()));
        picture_of(&tensor).expect("a picture")
    };
    let (style, content) = (picture("second", 48, 60), picture("content", 56, 48));
    let how = |name: &str| match name {
        "cholesky" => recolour::recolour(&style, &content, Recolour::Cholesky),
        "pca" => recolour::recolour(&style, &content, Recolour::Pca),
        "symmetric" => recolour::recolour(&style, &content, Recolour::Symmetric),
        "histogram" => recolour::recolour(&style, &content, Recolour::Histogram),
        "luminance" => recolour::luminance(&style),
        other => panic!("no such colours: {other}"),
    };
    let colours = results["colours"].as_object().expect("colours");
    assert_eq!(colours.len(), 5);
    for (name, samples) in colours {
        let found = how(name);
        // The histogram match tells 2¹⁴ levels apart.
        let tolerance = if name == "histogram" { 2e-3 } else { 1e-4 };
        for sample in samples.as_array().expect("samples") {
            let index = sample[0].as_u64().expect("an index") as usize;
            let off = f64::from(found.pixels()[index]) - number(&sample[1]);
            assert!(off.abs() < tolerance, "{name} at {index}: off by {off}");
        }
    }
}
