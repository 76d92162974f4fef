//! Texts made at random from presets, good and broken.

use super::*;

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

/// Reads a text, and checks what must hold whether or not it is a preset.
fn read_anything(text: &str) {
    match Preset::from_yaml(text, "any.yaml") {
        Ok(preset) => {
            let yaml = preset.to_yaml().unwrap();
            assert_eq!(
                Preset::from_yaml(&yaml, "-").unwrap(),
                preset,
                "{text}\n{yaml}"
            );
            let json = serde_json::to_string(&preset).unwrap();
            assert_eq!(
                serde_json::from_str::<Preset>(&json).unwrap(),
                preset,
                "{json}"
            );
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(
                shown.chars().all(|c| c == '\n' || !c.is_control()),
                "{shown:?}"
            );
            assert!(shown.lines().count() <= 5, "{shown}");
            let location = error.location().unwrap();
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            // The end of the text may be a line of its own.
            let mut lines = lines::lines(text).chain([""]);
            let line = lines.nth(location.line - 1).expect(&shown);
            assert!(location.column <= line.chars().count() + 1, "{shown}");
        }
    }
}

#[test]
fn presets_read_back_as_they_were_written() {
    for text in files("presets").values() {
        read_anything(std::str::from_utf8(text).unwrap());
    }
    for (name, text) in [
        ("null", "true"),
        ("1e3", "- a"),
        ("'\"", "a: b # c"),
        ("&x", "*x !y |"),
        ("画", "größe"),
        ("-", "~"),
    ] {
        let preset = Preset {
            name: name.to_owned(),
            description: text.to_owned(),
            seed: u64::MAX,
            ..Preset::default()
        };
        read_anything(&preset.to_yaml().unwrap());
        let back = Preset::from_yaml(&preset.to_yaml().unwrap(), "-").unwrap();
        assert_eq!(back, preset);
    }
}

#[test]
fn no_text_makes_reading_panic() {
    let mut files = files("presets");
    files.extend(super::files("tests/presets"));
    let mut dice = Dice(7);
    for bytes in files.values() {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let characters: Vec<char> = text.chars().collect();
        for _ in 0..40 {
            read_anything(
                &characters[..dice.below(characters.len())]
                    .iter()
                    .collect::<String>(),
            );
        }
        for _ in 0..60 {
            let mut changed = characters.clone();
            for _ in 0..=dice.below(4) {
                change(&mut changed, &mut dice);
            }
            read_anything(&changed.iter().collect::<String>());
        }
    }
}

/// Changes a text in one place: removes, inserts or repeats something.
fn change(text: &mut Vec<char>, dice: &mut Dice) {
    const ODD: &[&str] = &[
        ":", "- ", "[", "]", "{", "}", "\n", "\t", "\"", "'", "&a ", "*a", "!t ", "?", "|", "#",
        "\r", "\0", "\u{1b}", "é", "画", "\u{feff}", "\u{85}", "\u{2028}", "---\n", "null", ".nan",
        "1e999", "-0", "0x10", "<<: *a", "\n  ", "~", "%",
    ];
    let at = dice.below(text.len() + 1);
    let end = (at + dice.below(12)).min(text.len());
    match dice.below(3) {
        0 => drop(text.drain(at..end)),
        1 => drop(text.splice(at..at, ODD[dice.below(ODD.len())].chars())),
        _ => {
            let copy: Vec<char> = text[at..end].to_vec();
            let to = dice.below(text.len() + 1);
            text.splice(to..to, copy);
        }
    }
}

#[test]
fn no_setting_makes_a_change_panic() {
    let mut dice = Dice(11);
    for setting in [
        "style.layers.relu3_1=0.5",
        "schedule.0.size=300",
        "schedule=[{size: 256, iterations: 100}]",
        "optimizer={kind: adam}",
        "style.statistic=covariance",
        "style.statistic.relu3_1=histogram",
        "style.statistic={default: mean-std, relu1_1: gram}",
        "style.scale=[0.5, 2]",
        "style.blend_weights=[0.7, 0.3]",
        "style.blend=losses",
        "style.shift=-1",
        "content.laplacian=1e4",
        "colour=match-cholesky",
        "masks=[{file: a/sky.png, style: 2, region: b.png}]",
        "smoothness.norm=nine-point",
        "normalize_gradients=true",
        "average=0.99",
        "start=#80ff00",
        "start_noise=0.25",
        "finish={denoise: 0.5, grain: 0.1}",
        "finish.saturation=-0.5",
        "output={depth: 16, dpi: 300}",
    ] {
        for _ in 0..500 {
            let mut changed: Vec<char> = setting.chars().collect();
            for _ in 0..=dice.below(3) {
                change(&mut changed, &mut dice);
            }
            let changed: String = changed.iter().collect();
            match Preset::default().set(&changed) {
                Ok(preset) => read_anything(&preset.to_yaml().unwrap()),
                Err(error) => {
                    let shown = error.to_string();
                    assert!(!shown.chars().any(char::is_control), "{shown:?}");
                }
            }
        }
    }
}
