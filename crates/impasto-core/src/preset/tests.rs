//! Presets as a whole, and the built-in files.

mod broken;
mod random;

use std::{collections::BTreeSet, fs, path::PathBuf};

use super::*;

/// A folder at the top of the repository.
fn folder(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(name)
}

/// A folder's YAML files, by name.
fn files(name: &str) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder(name))
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect()
}

/// The library without a folder of the user's.
fn built_in() -> Library {
    Library::with_user_folder("/nowhere".into())
}

#[test]
fn an_error_shows_the_line_with_a_caret() {
    let text = "\n\n\n\nstyle:\n  layers:\n    relu4_9: 1.0\n";
    let error = Preset::from_yaml(text, "presets/mine.yaml").unwrap_err();
    assert_eq!(
        error.to_string(),
        "presets/mine.yaml:7:5: unknown layer `relu4_9`; did you mean `relu4_3`?\n  \
           |\n\
         7 |     relu4_9: 1.0\n  \
           |     ^^^^^^^\n  \
           = layers: relu1_1, relu1_2, relu2_1, relu2_2, relu3_1, relu3_2, relu3_3, \
         relu4_1, relu4_2, relu4_3, relu5_1, relu5_2, relu5_3"
    );
}

#[test]
fn a_long_line_is_cut_around_the_caret() {
    let text = format!(
        "style: {{{} wieght: 5}} # {}",
        " ".repeat(500),
        "x".repeat(500)
    );
    let error = Preset::from_yaml(&text, "long.yaml")
        .unwrap_err()
        .to_string();
    assert!(
        error.lines().all(|line| line.chars().count() < 110),
        "{error}"
    );
    assert!(error.contains(" wieght: 5} # xxx"), "{error}");
}

#[test]
fn too_large_a_text_is_refused() {
    let text = format!("seed: 1\n#{}", "x".repeat(MAX_BYTES));
    let error = Preset::from_yaml(&text, "a\u{1b}.yaml").unwrap_err();
    assert!(matches!(error, PresetError::TooLarge { .. }));
    assert_eq!(
        error.to_string(),
        "a�.yaml: too large for a preset, which may have 64 KiB at most"
    );
}

#[test]
fn aliases_cannot_make_a_preset_grow() {
    let bomb = "schedule: &a [*a, *a, *a, *a]\n";
    assert!(Preset::from_yaml(bomb, "bomb.yaml").is_err());
    let many = format!("schedule: [&a {{size: 64}}{}]\n", ", *a".repeat(64));
    let error = Preset::from_yaml(&many, "many.yaml")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the schedule has more than 64 scales"),
        "{error}"
    );
    let fair = "schedule: [&a {size: 64}, *a]\n";
    assert_eq!(
        Preset::from_yaml(fair, "fair.yaml").unwrap().schedule.len(),
        2
    );
}

#[test]
fn built_in_presets_are_the_files() {
    let names: BTreeSet<String> = built_in()
        .list()
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    let stems: BTreeSet<String> = files("presets")
        .keys()
        .map(|name| name.strip_suffix(".yaml").unwrap().to_owned())
        .collect();
    assert_eq!(names, stems);
}

#[test]
fn built_in_presets_are_sound() {
    for entry in built_in().list() {
        let preset = built_in().find(&entry.name).unwrap();
        assert_eq!(preset.name, entry.name);
        assert!(!preset.description.is_empty(), "{}", entry.name);
        assert_eq!(entry.description(), preset.description);
        assert_eq!(entry.preset.unwrap(), preset);
        preset.check().unwrap();
        assert!(
            !(preset.content.is_off() && preset.style.is_off()),
            "{}",
            entry.name
        );
        let source = built_in().source(&entry.name).unwrap();
        assert!(
            source.starts_with("# "),
            "{} says what it is for",
            entry.name
        );
        assert!(
            source.lines().all(|line| line.len() <= 90),
            "{}",
            entry.name
        );
    }
}

#[test]
fn the_default_preset_spells_out_the_defaults() {
    let mut file = built_in().find("default").unwrap();
    file.description.clear();
    assert_eq!(file, Preset::default());
    // Every key is there, in the order in which presets are written.
    let keys = |text: &str| -> Vec<String> {
        let value: serde_yaml::Mapping = serde_yaml::from_str(text).unwrap();
        value
            .keys()
            .map(|key| key.as_str().unwrap().to_owned())
            .collect()
    };
    let source = built_in().source("default").unwrap();
    assert_eq!(keys(&source), keys(&file.to_yaml().unwrap()));
}

#[test]
fn the_table_of_defaults_is_right() {
    let table = include_str!("mod.rs");
    let default = Preset::default();
    for (key, value) in [
        ("content.weight", default.content.weight.to_string()),
        ("style.weight", default.style.weight.to_string()),
        ("smoothness.weight", default.smoothness.weight.to_string()),
        ("optimizer.history", default.optimizer.history.to_string()),
        ("schedule.N.size", Scale::default().size.to_string()),
        (
            "schedule.N.iterations",
            Scale::default().iterations.to_string(),
        ),
        ("seed", default.seed.to_string()),
        ("pooling", format!("`{}`", default.pooling.word())),
        ("network", format!("`{}`", default.network.name())),
        (
            "optimizer.kind",
            format!("`{}`", default.optimizer.kind.word()),
        ),
    ] {
        let row = format!("//! | `{key}` | {value} | ");
        assert!(table.contains(&row), "{row}");
    }
}

#[test]
fn what_is_left_out_takes_its_default() {
    let preset = Preset::from_yaml("style: {weight: 3}", "a folder/mine.yml").unwrap();
    let mut expected = Preset {
        name: "mine".to_owned(),
        ..Preset::default()
    };
    expected.style.weight = 3.0;
    assert_eq!(preset, expected);
}

#[test]
fn the_rate_follows_the_kind_in_either_order() {
    let optimizer = |text: &str| Preset::from_yaml(text, "-").unwrap().optimizer;
    assert_eq!(
        optimizer("optimizer: adam"),
        Optimizer::new(OptimizerKind::Adam)
    );
    assert_eq!(optimizer("optimizer: {kind: adam}").rate, 0.02);
    assert_eq!(optimizer("optimizer: {rate: 0.5, kind: adam}").rate, 0.5);
    assert_eq!(optimizer("optimizer: {history: 7}").rate, 1.0);
}

#[test]
fn layers_are_a_list_or_a_mapping_or_none() {
    let style = |text: &str| Preset::from_yaml(text, "-").unwrap().style;
    let list = style("style: {layers: [relu2_1, relu1_1]}");
    assert_eq!(
        list.layers,
        style("style: {layers: {relu1_1: 1, relu2_1: 1.0}}").layers
    );
    assert!(style("style: {layers: {}}").is_off());
    assert!(style("style: {layers: []}").is_off());
    assert!(style("style: {layers: {relu1_1: 0}}").is_off());
    assert!(style("style: {weight: 0}").is_off());
    assert!(!list.is_off());
}

#[test]
fn the_deepest_layer_is_found_in_either_term() {
    let preset = Preset::default();
    assert_eq!(preset.layers().len(), 6);
    assert_eq!(preset.deepest(), "relu5_1".parse().ok());
    let shallow = preset.set("style.layers=[relu1_1]").unwrap();
    assert_eq!(shallow.deepest(), "relu4_2".parse().ok());
    let none = shallow
        .set("content.layers={}")
        .unwrap()
        .set("style.layers={}")
        .unwrap();
    assert_eq!(none.deepest(), None);
}

#[test]
fn what_no_file_may_hold_is_found_in_memory() {
    type Change = fn(&mut Preset);
    let changes: [(Change, &str); 6] = [
        (|it| it.style.weight = f64::NAN, "a weight: "),
        (
            |it| {
                it.style
                    .layers
                    .values_mut()
                    .for_each(|weight| *weight = -1.0);
            },
            "a weight: ",
        ),
        (|it| it.optimizer.rate = 0.0, "a rate: "),
        (|it| it.schedule.clear(), "the schedule is empty"),
        (|it| it.name.clear(), "a name: "),
        (
            |it| it.start = Start::File("\u{1b}.png".into()),
            "control characters",
        ),
    ];
    for (change, expected) in changes {
        let mut preset = Preset::default();
        assert!(preset.check().is_ok());
        change(&mut preset);
        let error = preset.check().unwrap_err();
        assert!(matches!(error, PresetError::Unwritable { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_file_named_like_a_word_stays_a_file() {
    let mut preset = Preset::default();
    for (path, kept) in [("noise", "./noise"), ("a b/ü: #.png", "a b/ü: #.png")] {
        preset.start = Start::File(path.into());
        let back = Preset::from_yaml(&preset.to_yaml().unwrap(), "-").unwrap();
        assert_eq!(back.start, Start::File(kept.into()));
    }
    preset.start = Start::File(PathBuf::new());
    assert!(matches!(
        preset.to_yaml(),
        Err(PresetError::Unwritable { .. })
    ));
}

#[test]
fn layers_are_those_of_the_network_wherever_it_is_named() {
    let text = "style: {layers: [relu3_4]}\nnetwork: vgg19\n";
    let preset = Preset::from_yaml(text, "deep.yaml").unwrap();
    assert_eq!(preset.network, Network::VGG19);
    let again = Preset::from_yaml(&preset.to_yaml().unwrap(), "again.yaml").unwrap();
    assert_eq!(again.style, preset.style);
    let json = serde_json::to_string(&preset).unwrap();
    assert_eq!(serde_json::from_str::<Preset>(&json).unwrap(), preset);
    let error = Preset::from_yaml("style: {layers: [relu3_4]}\n", "deep.yaml").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("deep.yaml:1:18: unknown layer `relu3_4`")
    );
    let error = preset.set("network=vgg16").unwrap_err().to_string();
    assert!(error.contains("relu3_4"), "{error}");
}
