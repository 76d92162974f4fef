//! The preset of an imported command line has the losses of neural-style and its gradient.
//! They are computed here by that program's formulas, in float64 with autograd. One thing is
//! ours: pixels from 0 to 255, where neural-style has 256.

use std::collections::BTreeMap;

use impasto_core::neural_style::{import_words, split};
use impasto_core::picture::Picture;
use impasto_core::preset::{Layer, Network, Preset};
use impasto_engine::evaluate::{Evaluation, evaluate};
use impasto_engine::network::Vgg;
use impasto_engine::pixels::tensor_of;
use impasto_engine::precision::Precision;
use impasto_engine::targets::{TargetImages, Targets};
use impasto_engine::weights::{self, Parameters};
use tch::{Device, Kind, Tensor};

const WIDTH: u32 = 64;
const HEIGHT: u32 = 48;
const CONTENT_LAYERS: [&str; 2] = ["relu2_2", "relu4_2"];
const STYLE_LAYERS: [&str; 3] = ["relu1_1", "relu3_1", "relu5_1"];
const CONTENT_WEIGHT: f64 = 3.0;
const STYLE_WEIGHT: f64 = 700.0;
const TV_WEIGHT: f64 = 0.02;
const BLEND: [f64; 2] = [1.0, 3.0];

/// How the program is called.
#[derive(Clone, Copy, Default)]
struct Called {
    lua: bool,
    average: bool,
    normalize_gradients: bool,
    normalize_weights: bool,
}

/// A term of the total.
struct Loss {
    /// With its weight; none where the program has only a gradient.
    value: Option<f64>,
    /// With respect to pixels from 0 to 1, RGB.
    gradient: Tensor,
}

struct Images {
    image: Tensor,
    content: Tensor,
    styles: [Tensor; 2],
}

impl Images {
    fn new() -> Self {
        let made_up = |width: u32, height: u32, seed: u32| {
            let value = |x: u32, y: u32, c: u32| {
                (x * (3 + c) + y * y / (5 + seed) + 31 * c + 7 * x * y % (11 + seed)) % 251
            };
            let pixels: Vec<u8> = (0..width * height)
                .flat_map(|at| (0..3).map(move |c| value(at % width, at / width, c) as u8))
                .collect();
            let picture = Picture::from_rgb8(width, height, &pixels).unwrap();
            tensor_of(&picture, Device::Cpu).unwrap()
        };
        Self {
            image: made_up(WIDTH, HEIGHT, 1),
            content: made_up(WIDTH, HEIGHT, 2),
            styles: [made_up(60, 64, 3), made_up(64, 40, 4)],
        }
    }
}

fn imported(called: Called) -> Preset {
    let Called {
        lua,
        average,
        normalize_gradients,
        normalize_weights,
    } = called;
    let mut command = format!(
        "{} -model_file vgg16-00b39a1b.pth -image_size {WIDTH} -content_image content.png \
         -style_image a.png,b.png -style_blend_weights {},{} -content_layers {} -style_layers {} \
         -content_weight {CONTENT_WEIGHT} -style_weight {STYLE_WEIGHT} -tv_weight {TV_WEIGHT}",
        if lua {
            "neural_style.lua"
        } else {
            "neural_style.py"
        },
        BLEND[0],
        BLEND[1],
        CONTENT_LAYERS.join(","),
        STYLE_LAYERS.join(","),
    );
    for (given, flag) in [
        (average, " -pooling avg"),
        (normalize_gradients, " -normalize_gradients 1"),
        (normalize_weights, " -normalize_weights"),
    ] {
        if given {
            command += flag;
        }
    }
    let words = split(&command).unwrap();
    import_words(&words, |_| Some((WIDTH, HEIGHT)))
        .unwrap()
        .preset
}

fn ours(preset: &Preset, images: &Images) -> Evaluation {
    let (device, precision) = (Device::Cpu, Precision::Float32);
    let deepest = preset.deepest();
    let vgg = Vgg::new(preset.network, preset.pooling, deepest, device, precision).unwrap();
    let compared = TargetImages {
        content: images.content.shallow_clone(),
        styles: images.styles.iter().map(Tensor::shallow_clone).collect(),
        masks: Vec::new(),
    };
    let targets = Targets::new(&vgg, preset, &compared, None, &mut |_| {}).unwrap();
    evaluate(&vgg, preset, &targets, &images.image, None).unwrap()
}

/// The feature maps of a picture `[1, 3, H, W]`.
fn features(parameters: &Parameters, average: bool, image: &Tensor) -> BTreeMap<Layer, Tensor> {
    let mean = parameters.mean_bgr.map(f64::from);
    let mean = Tensor::from_slice(&mean).reshape([1, 3, 1, 1]);
    let mut map = image.to_kind(Kind::Double).flip([1]) * 255.0 - mean;
    let mut maps = BTreeMap::new();
    for (layer, convolution) in &parameters.convolutions {
        if layer.block() > 1 && layer.index() == 1 {
            map = match average {
                true => map.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None::<i64>),
                false => map.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false),
            };
        }
        let weight = convolution.weight.to_kind(Kind::Double);
        let bias = convolution.bias.to_kind(Kind::Double);
        map = map
            .conv2d(&weight, Some(&bias), [1, 1], [1, 1], [1, 1], 1)
            .relu();
        maps.insert(*layer, map.shallow_clone());
    }
    maps
}

/// A Gram matrix divided by the number of elements.
fn gram(map: &Tensor) -> Tensor {
    let rows = map.flatten(2, 3).squeeze_dim(0);
    rows.matmul(&rows.transpose(0, 1)) / map.numel() as f64
}

fn mean_square(difference: &Tensor) -> Tensor {
    difference.square().mean(Kind::Double)
}

fn longest_axis(tensor: &Tensor) -> f64 {
    tensor.size().into_iter().max().unwrap() as f64
}

/// The loss of a module, and the gradient that it adds at its place in the network.
fn module(
    called: Called,
    map: &Tensor,
    strength: f64,
    loss: &dyn Fn(&Tensor) -> Tensor,
) -> (f64, Tensor) {
    let leaf = map.detach().copy().set_requires_grad(true);
    let loss = loss(&leaf);
    loss.backward();
    let gradient = leaf.grad();
    let factor = match (called.normalize_gradients, called.lua) {
        (false, _) => strength,
        // The norm of the gradient of a number is divided out: its strength.
        (true, false) => strength * strength,
        (true, true) => strength / (gradient.abs().sum(Kind::Double).double_value(&[]) + 1e-8),
    };
    (strength * loss.double_value(&[]), gradient * factor)
}

/// Content, style and smoothness.
fn theirs(called: Called, images: &Images) -> [Loss; 3] {
    let deepest = Layer::of(Network::VGG16, "relu5_1").unwrap();
    let parameters = weights::load(Network::VGG16, deepest, Device::Cpu).unwrap();
    let features = |image: &Tensor| features(&parameters, called.average, image);
    let pixels = images.image.to_kind(Kind::Double).set_requires_grad(true);
    let maps = features(&pixels);
    let wanted = features(&images.content);
    let styles = images.styles.each_ref().map(features);
    let layer = |name: &str| Layer::of(Network::VGG16, name).unwrap();
    let strength = |weight: f64, target: &Tensor| match called.normalize_weights {
        true => weight / longest_axis(target),
        false => weight,
    };
    // The gradient of a term is that of all its modules, each carried back from its place.
    let carried_back = |modules: Vec<(&Tensor, (f64, Tensor))>| {
        let values = modules.iter().map(|(_, (value, _))| value);
        let carried = modules.iter().map(|(map, (_, gradient))| *map * gradient);
        let carried: Tensor = carried.map(|it| it.sum(Kind::Double)).sum();
        let gradients = Tensor::run_backward(&[carried], &[&pixels], true, false);
        Loss {
            value: Some(values.sum()),
            gradient: gradients[0].shallow_clone(),
        }
    };
    let content = CONTENT_LAYERS.map(|name| {
        let (map, target) = (&maps[&layer(name)], &wanted[&layer(name)]);
        let strength = strength(CONTENT_WEIGHT, target);
        let loss = |map: &Tensor| mean_square(&(map - target));
        (map, module(called, map, strength, &loss))
    });
    let style = STYLE_LAYERS.map(|name| {
        let map = &maps[&layer(name)];
        let [first, second] = styles.each_ref().map(|maps| gram(&maps[&layer(name)]));
        let target = (first * BLEND[0] + second * BLEND[1]) / (BLEND[0] + BLEND[1]);
        let strength = strength(STYLE_WEIGHT, &target);
        let loss = |map: &Tensor| mean_square(&(gram(map) - &target));
        (map, module(called, map, strength, &loss))
    });
    [
        carried_back(content.into()),
        carried_back(style.into()),
        smoothness(called, &images.image),
    ]
}

/// The smoothness, which is a module before the network.
fn smoothness(called: Called, image: &Tensor) -> Loss {
    let input = (image.to_kind(Kind::Double) * 256.0).set_requires_grad(true);
    if !called.lua {
        let across = input.diff(1, 3, None::<Tensor>, None::<Tensor>).abs();
        let down = input.diff(1, 2, None::<Tensor>, None::<Tensor>).abs();
        let loss = (across.sum(Kind::Double) + down.sum(Kind::Double)) * TV_WEIGHT;
        loss.backward();
        return Loss {
            value: Some(loss.double_value(&[])),
            gradient: input.grad() * 256.0,
        };
    }
    let part = |tensor: &Tensor, down: i64, right: i64| {
        let (rows, columns) = (i64::from(HEIGHT) - 1, i64::from(WIDTH) - 1);
        tensor.narrow(2, down, rows).narrow(3, right, columns)
    };
    let input = input.detach();
    let across = part(&input, 0, 0) - part(&input, 0, 1);
    let down = part(&input, 0, 0) - part(&input, 1, 0);
    let added = input.zeros_like();
    let _ = part(&added, 0, 0).g_add_(&(&across + &down));
    let _ = part(&added, 0, 1).g_sub_(&across);
    let _ = part(&added, 1, 0).g_sub_(&down);
    Loss {
        value: None,
        gradient: added * (TV_WEIGHT * 256.0),
    }
}

#[track_caller]
fn compare(called: Called, tolerance: f64) {
    let images = Images::new();
    let preset = imported(called);
    // neural_style.lua leaves out differences within the last row and column.
    let inner = |gradient: &Tensor| {
        let gradient = gradient.to_kind(Kind::Double);
        gradient
            .narrow(2, 0, i64::from(HEIGHT) - 1)
            .narrow(3, 0, i64::from(WIDTH) - 1)
    };
    let norm = |tensor: &Tensor| tensor.norm().double_value(&[]);
    for (index, theirs) in theirs(called, &images).iter().enumerate() {
        let mut alone = preset.clone();
        let term = ["content", "style", "smoothness"][index];
        for (other, weight) in [
            &mut alone.content.weight,
            &mut alone.style.weight,
            &mut alone.smoothness.weight,
        ]
        .into_iter()
        .enumerate()
        {
            if other != index {
                *weight = 0.0;
            }
        }
        let ours = ours(&alone, &images);
        if let Some(value) = theirs.value.filter(|_| !called.normalize_gradients) {
            let off = (ours.weighted.total / value - 1.0).abs();
            assert!(off <= tolerance, "{term} is off by {off:.2e}");
        }
        let expected = inner(&theirs.gradient);
        let off = norm(&(inner(&ours.gradient) - &expected)) / norm(&expected);
        assert!(
            off <= tolerance,
            "the gradient of {term} is off by {off:.2e}"
        );
    }
}

#[test]
fn losses_and_gradients_are_theirs() {
    let plain = Called::default();
    for called in [
        plain,
        Called { lua: true, ..plain },
        Called {
            lua: true,
            normalize_gradients: true,
            ..plain
        },
        Called {
            normalize_gradients: true,
            ..plain
        },
        Called {
            normalize_weights: true,
            ..plain
        },
    ] {
        compare(called, 2e-4);
    }
}

#[test]
fn after_average_pooling_only_biases_differ() {
    let average = Called {
        average: true,
        ..Called::default()
    };
    compare(average, 0.05);
    let lua = Called {
        lua: true,
        normalize_gradients: true,
        ..average
    };
    compare(lua, 0.05);
}
