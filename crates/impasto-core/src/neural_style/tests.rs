//! The numbers here are worked out by hand from the formulas of both programs. The tests of
//! `impasto-engine` compare whole losses and gradients with these formulas.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{ImportError, Imported, MAX_BYTES, import, import_words, split};
use crate::preset::{
    Blend, ColourMode, Network, OptimizerKind, Pooling, Preset, Scale, SmoothnessNorm, Start,
};

#[track_caller]
fn imported(command: &str) -> Imported {
    import(command).unwrap_or_else(|error| panic!("{command}: {error}"))
}

#[track_caller]
fn preset(command: &str) -> Preset {
    imported(command).preset
}

#[track_caller]
fn message(command: &str) -> String {
    import(command).unwrap_err().to_string()
}

#[track_caller]
fn assert_near(value: f64, expected: f64) {
    let close = (value - expected).abs() <= 1e-12 * expected.abs();
    assert!(close, "{value} is not {expected}");
}

fn weights(layers: &BTreeMap<crate::preset::Layer, f64>) -> Vec<(String, f64)> {
    let layers = layers.iter();
    layers
        .map(|(layer, weight)| (layer.to_string(), *weight))
        .collect()
}

fn names(layers: &BTreeMap<crate::preset::Layer, f64>) -> String {
    let names: Vec<String> = layers.keys().map(ToString::to_string).collect();
    names.join(" ")
}

#[test]
fn missing_flags_have_their_defaults() {
    let Imported {
        preset,
        content,
        styles,
        output,
        ..
    } = imported("python neural_style.py");
    assert_eq!((content, styles, output), (None, Vec::new(), None));
    assert_eq!(preset.network, Network::VGG19);
    assert_eq!(preset.pooling, Pooling::Max);
    assert_eq!(preset.content.weight, 5.0);
    assert_eq!(
        weights(&preset.content.layers),
        [("relu4_2".to_owned(), 1.0)]
    );
    assert_eq!(preset.style.weight, 100.0);
    let layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"];
    assert_eq!(
        weights(&preset.style.layers),
        layers.map(|name| (name.to_owned(), 1.0))
    );
    assert_eq!(preset.style.blend, Blend::Target);
    assert_eq!(preset.style.scale.0, [1.0]);
    assert_eq!(preset.colour, ColourMode::Style);
    // 0.001 · 256 · 3 · 512 · 384
    assert_eq!(preset.smoothness.norm, SmoothnessNorm::L1);
    assert_near(preset.smoothness.weight, 150_994.944);
    assert_eq!(preset.optimizer.kind, OptimizerKind::Lbfgs);
    assert_eq!(
        (preset.optimizer.rate, preset.optimizer.history),
        (1.0, 100)
    );
    let scale = |size, iterations| Scale { size, iterations };
    assert_eq!(preset.schedule, [scale(512, 1000)]);
    // 255/256 of 123.68, 116.779 and 103.939.
    assert_eq!(preset.start, Start::Colour([123, 116, 104]));
    // Of noise from 0.4 to 0.6, what has the standard deviation 0.001/256.
    assert_near(preset.start_noise * 0.2 / 12_f64.sqrt(), 0.001 / 256.0);
    assert_eq!(preset.seed, 0);
    assert!(!preset.normalize_gradients);
}

#[test]
fn the_lua_program_differs_in_smoothness_and_rate() {
    let lua = preset("th neural_style.lua -optimizer adam");
    // 0.001 / 2 · 256² · 3 · 512 · 384
    assert_eq!(lua.smoothness.norm, SmoothnessNorm::L2);
    assert_near(lua.smoothness.weight, 19_327_352.832);
    assert_near(lua.optimizer.rate, 10.0 / 256.0);
    let python = preset("python3 neural_style.py -optimizer adam");
    assert_near(python.optimizer.rate, 1.0 / 256.0);
    let notes = imported("th neural_style.lua").notes.join("\n");
    assert!(notes.contains("squared differences"), "{notes}");
}

#[test]
fn a_command_from_a_readme_is_imported_whole() {
    let command = "CUDA_VISIBLE_DEVICES=0 python3.11 ./neural-style-pt/neural_style.py \\\r\n  \
                   -style_image 'starry night.jpg',wave.png -style_blend_weights 3,1 \\\n  \
                   --content_image=photo.jpg -style_weight=1e3 -content_weight 0.5 -tv_weight 0 \
                   -image_size 1024 -num_iterations 300 -init image -optimizer adam \
                   -learning_rate 2.56 -pooling max -style_scale 0.5 -original_colors 1 \
                   -content_layers relu2_2,relu4_2 -style_layers relu1_1,relu3_3 -seed 123 \
                   -model_file models/vgg16-00b39a1b.pth -output_image out/a.png -gpu 1 \
                   -backend cudnn -cudnn_autotune -print_iter 10 -save_iter 0 -disable_check \
                   -lbfgs_num_correction 20  # good colours";
    let Imported {
        preset,
        content,
        styles,
        output,
        notes,
        ..
    } = imported(command);
    assert_eq!(content, Some(PathBuf::from("photo.jpg")));
    assert_eq!(styles, ["starry night.jpg", "wave.png"].map(PathBuf::from));
    assert_eq!(output, Some(PathBuf::from("out/a.png")));
    assert_eq!(preset.network, Network::VGG16);
    assert_eq!((preset.content.weight, preset.style.weight), (0.5, 1000.0));
    assert_eq!(names(&preset.content.layers), "relu2_2 relu4_2");
    assert_eq!(names(&preset.style.layers), "relu1_1 relu3_3");
    assert_eq!(preset.style.blend_weights, [3.0, 1.0]);
    assert_eq!(preset.style.shares(2), [0.75, 0.25]);
    assert_eq!(preset.style.scale.0, [0.5]);
    assert_eq!(preset.colour, ColourMode::Content);
    assert_eq!(preset.smoothness.weight, 0.0);
    assert_eq!(preset.optimizer.kind, OptimizerKind::Adam);
    assert_near(preset.optimizer.rate, 0.01);
    assert_eq!(preset.optimizer.history, 20);
    let [Scale { size, iterations }] = preset.schedule[..] else {
        panic!("{:?}", preset.schedule);
    };
    assert_eq!((size, iterations), (1024, 300));
    assert_eq!((preset.start, preset.start_noise), (Start::Content, 0.0));
    assert_eq!(preset.seed, 123);
    let notes = notes.join("\n");
    for piece in [
        "--device cuda:1",
        "-seed 123",
        "divided by 256",
        "-backend, -cudnn_autotune, -disable_check, -print_iter",
    ] {
        assert!(notes.contains(piece), "no {piece:?} in: {notes}");
    }
    for piece in ["smoothness", "VGG-19", "save_iter", "init", "Nothing says"] {
        assert!(!notes.contains(piece), "{piece:?} in: {notes}");
    }
}

#[test]
fn smoothness_is_that_of_the_pictures_size() {
    let weight = |command: &str, shape: Option<(u32, u32)>| {
        let words = split(command).unwrap();
        let asked = |path: &Path| {
            assert_eq!(path, Path::new("a.jpg"));
            shape
        };
        let imported = import_words(&words, asked).unwrap();
        (imported.preset.smoothness.weight, imported.notes.join("\n"))
    };
    let command = "neural_style.py -content_image a.jpg -image_size 300 -tv_weight 0.01";
    // 0.01 · 256 · 3 · 300 · 225
    let (assumed, notes) = weight(command, None);
    assert_near(assumed, 518_400.0);
    assert!(notes.contains("300×225 pixels, for a content of 4:3"));
    // 0.01 · 256 · 3 · 150 · 300, whichever side is the long one.
    for shape in [(400, 800), (800, 400)] {
        let (known, notes) = weight(command, Some(shape));
        assert_near(known, 345_600.0);
        assert!(notes.contains("the size of a.jpg"), "{notes}");
    }
    for off in ["0", "-1"] {
        let command = format!("python neural_style.py -tv_weight {off}");
        assert_eq!(preset(&command).smoothness.weight, 0.0);
    }
}

#[test]
fn average_pooling_divides_what_impasto_doubles() {
    let averaged = preset("python neural_style.py -pooling avg");
    assert_eq!(averaged.pooling, Pooling::Average);
    // (2³)⁻²
    assert_eq!(
        weights(&averaged.content.layers),
        [("relu4_2".to_owned(), 1.0 / 64.0)]
    );
    // (2^(b−1))⁻⁴
    let expected = [1.0, 1.0 / 16.0, 1.0 / 256.0, 1.0 / 4096.0, 1.0 / 65536.0];
    let found: Vec<f64> = averaged.style.layers.values().copied().collect();
    assert_eq!(found, expected);
    // Of normalised gradients one factor of 2^(b−1) is left.
    let both = preset("th neural_style.lua -pooling avg -normalize_gradients 1");
    assert!(both.normalize_gradients);
    assert_eq!(
        weights(&both.content.layers),
        [("relu4_2".to_owned(), 0.125)]
    );
    let found: Vec<f64> = both.style.layers.values().copied().collect();
    assert_eq!(found, [1.0, 0.5, 0.25, 0.125, 0.0625]);
    assert_eq!((both.content.weight, both.style.weight), (5.0, 100.0));
}

#[test]
fn normalisations_follow_each_program() {
    let lua = |value: &str| {
        let command = format!("th neural_style.lua -normalize_gradients {value}");
        let imported = imported(&command);
        (imported.preset.normalize_gradients, imported.notes.len())
    };
    let plain = imported("th neural_style.lua").notes.len();
    assert_eq!(lua("-tv_weight 0.001"), (true, plain + 1));
    assert_eq!(lua("0"), (false, plain));
    assert_eq!(lua("1.0"), (true, plain + 1));
    assert_eq!(lua("0.7"), (true, plain + 2));
    assert_eq!(lua("0.2"), (false, plain + 2));
    // The gradient of loss · w by a function that makes w² of it.
    let python = preset("python neural_style.py -normalize_gradients -style_weight 30");
    assert!(!python.normalize_gradients);
    assert_eq!((python.content.weight, python.style.weight), (25.0, 900.0));

    let divided =
        preset("python neural_style.py -normalize_weights -content_layers relu1_2,relu4_2");
    let found: Vec<f64> = divided.style.layers.values().copied().collect();
    let expected = [64.0, 128.0, 256.0, 512.0, 512.0].map(|channels| 1.0 / channels);
    assert_eq!(found, expected);
    // At 512 pixels relu1_2 has 64 × 384 × 512 values, relu4_2 512 × 48 × 64.
    let found: Vec<f64> = divided.content.layers.values().copied().collect();
    assert_eq!(found, [1.0 / 512.0, 1.0 / 512.0]);
    let both = preset("python neural_style.py -normalize_weights -normalize_gradients");
    assert_eq!(both.style.weight, 10_000.0);
    assert_near(both.style.layers.values().sum::<f64>(), {
        let squares = [64.0, 128.0, 256.0, 512.0, 512.0].map(|c: f64| 1.0 / (c * c));
        squares.iter().sum()
    });
}

#[test]
fn networks_are_told_by_their_files() {
    let network = |file: &str| preset(&format!("neural_style.py -model_file {file}")).network;
    for file in [
        "models/vgg16-00b39a1b.pth",
        "VGG_ILSVRC_16_layers.caffemodel",
        "models19/VGG16_SOD_finetune.pth",
        "models/channel_pruning.pth",
        "nyud-fcn32s-color-heavy.pth",
    ] {
        assert_eq!(network(file), Network::VGG16, "{file}");
    }
    for file in [
        "models/vgg19-d01eb7cb.pth",
        "/m16/VGG_ILSVRC_19_layers.caffemodel",
        "models/vgg_normalised.caffemodel",
    ] {
        assert_eq!(network(file), Network::VGG19, "{file}");
    }
    assert!(message("-model_file models/nin_imagenet.pth").contains("leave the flag out"));
    let notes = imported("neural_style.py").notes.join("\n");
    assert!(notes.contains("impasto weights fetch vgg19"), "{notes}");
}

#[test]
fn the_start_is_theirs() {
    let start = |flags: &str| {
        let found = preset(&format!("python neural_style.py {flags}"));
        (found.start, found.start_noise)
    };
    assert_eq!(start("-init image"), (Start::Content, 0.0));
    let file = Start::File(PathBuf::from("old/noise"));
    assert_eq!(start("-init image -init_image old/noise"), (file, 0.0));
    // Both programs read it with `-init image` alone.
    let (ignored, noise) = start("-init_image old.png");
    assert_eq!(ignored, Start::Colour([123, 116, 104]));
    assert!(noise > 0.0);
}

#[test]
fn programs_are_told_by_script_launcher_or_flags() {
    let norm = |command: &str| {
        let found = imported(command);
        let assumed = found.notes.iter().any(|note| note.contains("Nothing says"));
        (found.preset.smoothness.norm, assumed)
    };
    let (lua, python) = (SmoothnessNorm::L2, SmoothnessNorm::L1);
    for (command, expected) in [
        ("th neural_style.lua -seed 1", lua),
        ("$ th ./neural-style/neural_style.lua", lua),
        ("qlua -seed 1", lua),
        ("-proto_file a.prototxt", lua),
        ("-model_file models/VGG_ILSVRC_19_layers.caffemodel", lua),
        ("-gpu -1", lua),
        ("-backend clnn", lua),
        ("cd x && python neural_style.py -seed 1", python),
        ("python -u neural_style.py -seed 1", python),
        ("nohup neural-style -seed 1", python),
        ("-disable_check", python),
        ("-gpu c", python),
        ("-backend mkl", python),
        ("A=1 B=2 /usr/bin/python3 -seed 1", python),
    ] {
        assert_eq!(norm(command), (expected, false), "{command}");
    }
    assert_eq!(norm("-seed 1"), (python, true));
    assert_eq!(norm("neural_style -seed 1"), (python, true));
    let notes = imported("python train.py -seed 1").notes.join("\n");
    assert!(notes.contains("`train.py` is taken for neural_style.py"));
}

#[test]
fn what_follows_the_command_is_left_out() {
    for end in ["&& python next.py -a 1", "> log.txt 2>&1", "| tee log", "&"] {
        let found = imported(&format!("python neural_style.py -style_weight 7 {end}"));
        assert_eq!(found.preset.style.weight, 7.0);
        assert!(found.notes[0].contains("left out"), "{:?}", found.notes);
    }
    // Words are not split again.
    let words = [
        "-style_image",
        "a b.jpg",
        "-style_weight",
        "2",
        "-style_weight",
        "3",
    ];
    let found = import_words(&words.map(str::to_owned), |_| None).unwrap();
    assert_eq!(found.styles, [PathBuf::from("a b.jpg")]);
    assert_eq!(found.preset.style.weight, 3.0);
}

#[test]
fn layers_have_names_of_caffe() {
    let layers = |flags: &str| {
        let found = imported(flags);
        (
            names(&found.preset.style.layers),
            found.notes.iter().any(|note| note.contains("rectifier")),
            found.notes.iter().any(|note| note.contains("order")),
        )
    };
    let expected = |names: &str, rectifier, order| (names.to_owned(), rectifier, order);
    assert_eq!(
        layers("python neural_style.py -style_layers relu5_4,conv1_1"),
        expected("relu1_1 relu5_4", true, false)
    );
    // It goes through the network once, looking for one name at a time.
    assert_eq!(
        layers("th neural_style.lua -style_layers relu2_1,relu4_1,relu3_1,relu5_1"),
        expected("relu2_1 relu4_1", false, true)
    );
    assert_eq!(
        layers("th neural_style.lua -style_layers conv2_1,relu2_1"),
        expected("relu2_1", true, false)
    );
    assert!(layers("-style_layers ''").0.is_empty());
}

#[test]
fn mistakes_are_explained() {
    for (command, expected) in [
        ("", "expected a command line such as"),
        ("python3", "expected a command line such as"),
        ("  \\\n # nothing", "expected a command line such as"),
        ("neural_style.py 'a", "ends inside a quotation"),
        ("neural_style.py -seed 1\\", "ends inside a quotation"),
        (
            "neural_style.py -style_wieght 5",
            "neural-style has no flag `-style_wieght`; did you mean `-style_weight`?",
        ),
        (
            "python neural_style.py --content-image a.jpg",
            "neural-style has no flag `--content-image`; did you mean `-content_image`?",
        ),
        ("neural_style.py -sky 1", "neural-style has no flag `-sky`"),
        (
            "neural_style.py -content_image my photo.jpg",
            "expected a flag of neural-style, such as -style_weight, found `photo.jpg`; a value \
             with spaces needs quotes",
        ),
        ("neural_style.py -seed", "`-seed` needs a value"),
        (
            "neural_style.py -style_weight -seed 1",
            "`-style_weight` needs a value",
        ),
        (
            "neural_style.py -style_weight high",
            "`-style_weight`: expected a number from 0 to 1e30, found `high`",
        ),
        (
            "neural_style.py -style_weight $WEIGHT",
            "found `$WEIGHT`; write the value in place of the variable",
        ),
        (
            "neural_style.py -content_weight -1",
            "`-content_weight`: expected a number from 0 to 1e30, found `-1`",
        ),
        ("neural_style.py -tv_weight nan", "found `nan`"),
        (
            "neural_style.py -image_size 8",
            "`-image_size`: expected a whole number from 16 to 16384, found `8`",
        ),
        ("neural_style.py -num_iterations 0", "from 1 to 1000000"),
        ("neural_style.py -style_scale 9", "from 0.1 to 4"),
        (
            "neural_style.py -optimizer sgd",
            "expected lbfgs or adam, found `sgd`",
        ),
        ("neural_style.py -pooling mean", "expected max or avg"),
        ("neural_style.py -init noise", "expected random or image"),
        ("neural_style.py -original_colors 2", "expected 0 or 1"),
        (
            "neural_style.py -style_layers relu4_9",
            "`-style_layers`: unknown layer `relu4_9`; did you mean `relu4_4`?",
        ),
        (
            "neural_style.py -model_file vgg16.pth -content_layers relu3_4",
            "unknown layer `relu3_4`; did you mean `relu3_3`?",
        ),
        (
            "neural_style.lua -content_layers pool4",
            "`pool4` is a pooling",
        ),
        (
            "neural_style.py -style_image a,b -style_blend_weights 1,2,3",
            "3 and 2 entries; each picture needs one weight",
        ),
        (
            "neural_style.py -style_image a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q",
            "17 styles; impasto blends 16 at most",
        ),
        (
            "neural_style.py -normalize_gradients -style_weight 1e20",
            "1e30",
        ),
    ] {
        let message = message(command);
        assert!(message.contains(expected), "{command}: {message}");
    }
}

#[test]
fn a_file_names_where_it_comes_from_and_how_to_use_it() {
    let found = imported(
        "python neural_style.py -style_image 'a b.jpg,-c.jpg' -content_image p.jpg \
         -output_image 'out [1].png'",
    );
    let yaml = found.to_yaml(Some(Path::new("mine"))).unwrap();
    let mut lines = yaml.lines();
    for expected in [
        "# Imported from:",
        "#   python neural_style.py -style_image 'a b.jpg,-c.jpg' -content_image p.jpg \
         -output_image 'out [1].png'",
        "# Paint with it:",
        "#   impasto run p.jpg 'a b.jpg' ./-c.jpg --preset ./mine -o 'out [1].png'",
        "name: imported",
    ] {
        assert_eq!(lines.next(), Some(expected));
    }
    assert_eq!(Preset::from_yaml(&yaml, "mine").unwrap(), found.preset);
    let yaml = imported("python neural_style.py").to_yaml(None).unwrap();
    assert!(yaml.contains("\n#   impasto run CONTENT STYLE --preset preset.yaml\n"));
}

/// What a terminal would obey.
fn is_printable(text: &str) -> bool {
    !text
        .chars()
        .any(|c| c.is_control() || c == '\u{202e}' || c == '\u{feff}')
}

#[track_caller]
fn assert_harmless(command: &str) {
    match import(command) {
        Ok(found) => {
            assert!(found.notes.iter().all(|note| is_printable(note)));
            if let Ok(yaml) = found.to_yaml(Some(Path::new("a\u{1b}\n[b.yaml"))) {
                assert!(yaml.lines().all(is_printable), "{yaml:?}");
                let read = Preset::from_yaml(&yaml, "imported.yaml");
                assert_eq!(read.unwrap(), found.preset);
            }
        }
        Err(error) => {
            let message = error.to_string();
            assert!(is_printable(&message), "{message:?}");
            assert!(message.chars().count() < 1000, "{message}");
        }
    }
}

#[test]
fn hostile_text_is_refused_or_made_harmless() {
    let evil = "\u{1b}[2J\u{7}\u{0}\r\u{9b}\u{202e}\u{feff}\u{fffe}\u{85}é画";
    for command in [
        evil.to_owned(),
        format!("-style_image '{evil}'"),
        format!("-content_image '{evil}\n---\n'"),
        format!("-init image -init_image '{evil}'"),
        format!("-{evil} 1"),
        format!("-style_weight '{evil}'"),
        format!("-style_layers '{evil},pool{evil},conv{evil}'"),
        format!("-style_layers 'pool{evil}'"),
        format!("-model_file '{evil}16'"),
        format!("-model_file '{evil}sod'"),
        format!("-model_file '{evil}'"),
        format!("-gpu '{evil},1'"),
        format!("'{evil}.py' -seed 1"),
        format!("-seed 1 '>{evil}'"),
        format!("-output_image '{}'", "[".repeat(10_000)),
        format!("-init image -init_image '{}.png'", "{".repeat(100)),
        format!("-init image -init_image '{}.png'", "x".repeat(5000)),
        format!("-content_image {}", "x".repeat(30_000)),
        format!("-{}", "x".repeat(30_000)),
        "-".to_owned(),
        "--".to_owned(),
        "-=".to_owned(),
        "--=1 -seed=".to_owned(),
        "-style_image= -content_image=".to_owned(),
        "-style_image ,,, -style_blend_weights ,".to_owned(),
        "-learning_rate 1e-300 -optimizer adam".to_owned(),
        "-tv_weight 1e30".to_owned(),
        "-seed 99999999999999999999".to_owned(),
        "-seed -9223372036854775808".to_owned(),
    ] {
        assert_harmless(&command);
    }
    let long = "-style_weight 5 ".repeat(1 << 16);
    assert_eq!(import(&long), Err(ImportError::TooLong));
    let words = vec!["x".repeat(MAX_BYTES + 1)];
    assert_eq!(import_words(&words, |_| None), Err(ImportError::TooLong));
}

#[test]
fn random_text_never_panics() {
    let pieces = [
        "python",
        "neural_style.py",
        "th",
        "neural_style.lua",
        "-style_weight",
        "--seed",
        "-gpu",
        "=",
        "1",
        "-1",
        "1e400",
        "nan",
        "'",
        "\"",
        "\\",
        "\n",
        " ",
        " ",
        " ",
        "$",
        "#",
        "&&",
        ">",
        "-init",
        "image",
        "-init_image",
        "a,b",
        "\u{1b}",
        "\u{0}",
        "é",
        "-style_layers",
        "relu1_1",
        "conv9_9",
        "-normalize_gradients",
        "-pooling",
        "avg",
        "-optimizer",
        "adam",
        "-",
    ];
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..5000 {
        let count = random.gen_range(0..24);
        let text: String = (0..count)
            .filter_map(|_| pieces.choose(&mut random).copied())
            .collect();
        assert_harmless(&text);
    }
}
