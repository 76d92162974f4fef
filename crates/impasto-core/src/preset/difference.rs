//! How two presets differ, key by key, in words short enough for one line.

use std::{collections::BTreeMap, fmt};

use super::{
    ContentTerm, Finish, Layer, Mask, Preset, Scale, Smoothness, Start, StyleTerm, Term,
    schema::{Hexadecimal, Optimizer, OutputSettings, Statistics, Word},
    words::shown,
};
use crate::text::number;

/// One key that two presets give different values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key, as `--set` takes it: `style.layers.relu1_1`.
    pub key: String,
    /// The value in the first preset, shortened; none if it has no such layer.
    pub from: Option<String>,
    /// The value in the second preset. Where the two values differ, so do their
    /// texts: numbers get as many digits as that takes.
    pub to: Option<String>,
    /// Whether a run that is under way cannot take the second value up.
    pub needs_new_run: bool,
}

impl Difference {
    /// The difference in one line, safe to print: `style.weight 50 → 250`, or
    /// `style.layers.relu1_1 1 → off`. With `ascii` it has only characters of
    /// ASCII, except those of a path.
    pub fn shown(&self, ascii: bool) -> String {
        let value = |value: &Option<String>| {
            let value = value.as_deref().unwrap_or("off");
            match self.key.as_str() {
                // The only value with a sign of our own.
                "schedule" if ascii => value.replace('×', "x"),
                _ => value.to_owned(),
            }
        };
        let arrow = if ascii { "->" } else { "→" };
        let (from, to) = (value(&self.from), value(&self.to));
        format!("{} {from} {arrow} {to}", self.key)
    }
}

/// As [`Difference::shown`] without `ascii`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(false))
    }
}

/// Every key but `name` and `description` in which two presets differ, in the
/// order in which presets are written. A schedule is one difference.
pub fn differences(from: &Preset, to: &Preset) -> Vec<Difference> {
    let mut found = Found {
        waiting: from.needs_new_run(to),
        differences: Vec::new(),
    };
    // Taken apart, so that a new key cannot be forgotten here.
    let Preset {
        name: _,
        description: _,
        network,
        pooling,
        content: ContentTerm {
            term: content,
            laplacian,
        },
        style:
            StyleTerm {
                term: style,
                statistic,
                shift,
                scale,
                blend,
                blend_weights,
                guides,
            },
        colour,
        masks,
        smoothness: Smoothness { weight, norm },
        normalize_gradients,
        average,
        optimizer: Optimizer {
            kind,
            rate,
            history,
        },
        schedule,
        start,
        start_noise,
        seed,
        finish,
        output: OutputSettings {
            depth,
            quality,
            dpi,
        },
    } = from;
    found.values("network", network.name(), to.network.name());
    found.values("pooling", pooling.word(), to.pooling.word());
    found.term("content", content, &to.content);
    found.numbers("content.laplacian", *laplacian, to.content.laplacian);
    found.term("style", style, &to.style);
    found.statistics(statistic, &to.style.statistic);
    found.numbers("style.shift", *shift, to.style.shift);
    let (before, after) = (one_or_list(&scale.0), one_or_list(&to.style.scale.0));
    found.values("style.scale", before, after);
    found.values("style.blend", blend.word(), to.style.blend.word());
    let (before, after) = (list(blend_weights), list(&to.style.blend_weights));
    found.values("style.blend_weights", before, after);
    found.values("style.guides", guides.word(), to.style.guides.word());
    found.values("colour", colour.word(), to.colour.word());
    found.values("masks", regions(masks), regions(&to.masks));
    found.numbers("smoothness.weight", *weight, to.smoothness.weight);
    found.values("smoothness.norm", norm.word(), to.smoothness.norm.word());
    let key = "normalize_gradients";
    found.values(key, *normalize_gradients, to.normalize_gradients);
    found.numbers("average", *average, to.average);
    found.values("optimizer.kind", kind.word(), to.optimizer.kind.word());
    found.numbers("optimizer.rate", *rate, to.optimizer.rate);
    found.values("optimizer.history", *history, to.optimizer.history);
    found.values("schedule", scales(schedule), scales(&to.schedule));
    found.values("start", beginning(start), beginning(&to.start));
    found.numbers("start_noise", *start_noise, to.start_noise);
    found.values("seed", *seed, to.seed);
    for (key, ..) in Finish::BOUNDS {
        let (from, to) = (finish.get(key), to.finish.get(key));
        let key = format!("finish.{key}");
        found.numbers(&key, from.unwrap_or(0.0), to.unwrap_or(0.0));
    }
    found.values("output.depth", *depth, to.output.depth);
    found.values("output.quality", *quality, to.output.quality);
    found.numbers("output.dpi", *dpi, to.output.dpi);
    found.differences
}

impl Preset {
    /// The keys in which `other` differs and that only a new run can adopt.
    pub fn needs_new_run(&self, other: &Self) -> Vec<&'static str> {
        [
            ("network", self.network != other.network),
            ("masks", self.masks != other.masks),
            ("schedule", self.schedule != other.schedule),
            ("start", self.start != other.start),
            ("start_noise", self.start_noise != other.start_noise),
            ("seed", self.seed != other.seed),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
    }

    /// This preset as a run of `running` can take it up: what would need a new
    /// run is as it is there.
    #[must_use]
    pub fn for_a_run_like(self, running: &Self) -> Self {
        Self {
            network: running.network,
            masks: running.masks.clone(),
            schedule: running.schedule.clone(),
            start: running.start.clone(),
            start_noise: running.start_noise,
            seed: running.seed,
            ..self
        }
    }
}

/// The differences found so far.
struct Found {
    waiting: Vec<&'static str>,
    differences: Vec<Difference>,
}

impl Found {
    /// Notes a key, if its two texts differ.
    fn push(&mut self, key: &str, from: Option<String>, to: Option<String>) {
        if from != to {
            self.differences.push(Difference {
                key: key.to_owned(),
                from,
                to,
                needs_new_run: self.waiting.contains(&key),
            });
        }
    }

    /// Notes values whose whole text is shown.
    fn values(&mut self, key: &str, from: impl ToString, to: impl ToString) {
        self.push(key, Some(from.to_string()), Some(to.to_string()));
    }

    /// Notes numbers.
    fn numbers(&mut self, key: &str, from: f64, to: f64) {
        let (from, to) = pair(from, to);
        self.values(key, from, to);
    }

    /// Notes the statistic of the layers that are not named, and each that is.
    fn statistics(&mut self, from: &Statistics, to: &Statistics) {
        if from.layers.is_empty() && to.layers.is_empty() {
            return self.values("style.statistic", from.default.word(), to.default.word());
        }
        let key = format!("style.statistic.{}", Statistics::DEFAULT);
        self.values(&key, from.default.word(), to.default.word());
        let layers: BTreeMap<&Layer, _> = from.layers.iter().chain(&to.layers).collect();
        for layer in layers.into_keys() {
            let key = format!("style.statistic.{layer}");
            // A layer that is not named follows the default, also into the second preset.
            let before = from.layers.get(layer).unwrap_or(&to.default);
            self.values(&key, before.word(), to.of(*layer).word());
        }
    }

    /// Notes the weight of a term, and each layer by itself.
    fn term(&mut self, name: &str, from: &Term, to: &Term) {
        self.numbers(&format!("{name}.weight"), from.weight, to.weight);
        let layers: BTreeMap<&Layer, _> = from.layers.iter().chain(&to.layers).collect();
        for layer in layers.into_keys() {
            let key = format!("{name}.layers.{layer}");
            match (from.layers.get(layer), to.layers.get(layer)) {
                (Some(from), Some(to)) => self.numbers(&key, *from, *to),
                (from, to) => self.push(
                    &key,
                    from.map(|weight| number(*weight, FEWEST_DIGITS)),
                    to.map(|weight| number(*weight, FEWEST_DIGITS)),
                ),
            }
        }
    }
}

/// The digits a number is rounded to where that is enough.
const FEWEST_DIGITS: usize = 4;
/// The digits after which no two numbers print the same.
const MAX_DIGITS: usize = 17;

/// Two numbers as people write them, with more digits while they look alike.
fn pair(from: f64, to: f64) -> (String, String) {
    let rounded = |digits| (number(from, digits), number(to, digits));
    let differ = |(from, to): &(String, String)| from != to;
    (FEWEST_DIGITS..MAX_DIGITS)
        .map(rounded)
        .find(differ)
        .unwrap_or_else(|| rounded(MAX_DIGITS))
}

/// `128×150 256×150 512×100`: the size and the iterations of each scale.
fn scales(schedule: &[Scale]) -> String {
    let scales: Vec<String> = schedule
        .iter()
        .map(|Scale { size, iterations }| format!("{size}×{iterations}"))
        .collect();
    scales.join(" ")
}

/// `0.7` where one number stands for all, else as [`list`].
fn one_or_list(numbers: &[f64]) -> String {
    match numbers {
        [it] => number(*it, MAX_DIGITS),
        _ => list(numbers),
    }
}

/// `[0.7, 0.3]`
fn list(numbers: &[f64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(|it| number(*it, MAX_DIGITS)).collect();
    format!("[{}]", numbers.join(", "))
}

/// `sky.png=1 wall.png=2`, or `none`: each mask and its style.
fn regions(masks: &[Mask]) -> String {
    if masks.is_empty() {
        return "none".to_owned();
    }
    let region = |mask: &Mask| {
        let path = |path: &std::path::Path| shown(&path.to_string_lossy(), Start::MAX_PATH);
        let region = mask.region.as_deref().map(path);
        let region = region.map_or_else(String::new, |region| format!(":{region}"));
        format!("{}={}{region}", path(&mask.file), mask.style)
    };
    let regions: Vec<String> = masks.iter().map(region).collect();
    regions.join(" ")
}

/// What the first iteration changes, as a preset's file says it.
fn beginning(start: &Start) -> String {
    let named = Start::WORDS.iter().find(|(_, word)| word == start);
    match (named, start) {
        (Some((word, _)), _) => (*word).to_owned(),
        (None, Start::Colour(colour)) => Hexadecimal(*colour).to_string(),
        (None, Start::File(path)) => {
            let text = path.to_string_lossy();
            // A file called `noise` is not the word.
            let here = if Start::is_path(&text) { "" } else { "./" };
            let harmless = shown(&text, Start::MAX_PATH);
            if harmless == text {
                format!("{here}{text}")
            } else {
                // Escaped, two that would look alike still differ.
                shown(&format!("{path:?}"), Start::MAX_PATH)
            }
        }
        (None, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Library, Network, OptimizerKind, Pooling};
    use super::*;

    fn set(settings: &[&str]) -> Preset {
        settings.iter().fold(Preset::default(), |preset, setting| {
            preset.set(setting).unwrap()
        })
    }

    /// What differs from the defaults, as it is shown.
    fn listed(settings: &[&str]) -> Vec<String> {
        let differences = differences(&Preset::default(), &set(settings));
        differences.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_key_is_reported_in_the_order_of_the_file() {
        let listed = listed(&[
            "seed=18446744073709551615",
            "start=noise",
            "schedule=[{size: 256, iterations: 90}]",
            "optimizer=adam",
            "optimizer.history=7",
            "smoothness.weight=0",
            "style.weight=250",
            "style.layers={relu1_1: 0.5, relu2_2: 1e-5, relu3_1: 1, relu4_1: 1, relu5_1: 1}",
            "content.weight=12345",
            "content.layers=[]",
            "pooling=average",
        ]);
        assert_eq!(
            listed,
            [
                "pooling max → average",
                "content.weight 5 → 1.234e4",
                "content.layers.relu4_2 1 → off",
                "style.weight 50 → 250",
                "style.layers.relu1_1 1 → 0.5",
                "style.layers.relu2_1 1 → off",
                "style.layers.relu2_2 off → 1e-5",
                "smoothness.weight 10000 → 0",
                "optimizer.kind lbfgs → adam",
                "optimizer.rate 1 → 0.02",
                "optimizer.history 100 → 7",
                "schedule 128×60 256×50 512×260 → 256×90",
                "start content → noise",
                "seed 0 → 18446744073709551615",
            ]
        );
    }

    #[test]
    fn names_and_descriptions_do_not_count() {
        assert!(listed(&["name=mine", "description=My own."]).is_empty());
    }

    #[test]
    fn lists_are_written_as_set_takes_them() {
        assert_eq!(
            listed(&["style.blend_weights=[2]", "style.scale=[0.5]"]),
            ["style.scale 1 → 0.5", "style.blend_weights [] → [2]"]
        );
        assert_eq!(
            listed(&["style.blend_weights=[2, 1]", "style.scale=[0.5, 1]"]),
            [
                "style.scale 1 → [0.5, 1]",
                "style.blend_weights [] → [2, 1]"
            ]
        );
        let other = set(&["style.blend_weights=[0.7]"]);
        let [weights] = &differences(&Preset::default(), &other)[..] else {
            panic!("one key differs");
        };
        let setting = format!("{}={}", weights.key, weights.to.as_deref().unwrap());
        assert_eq!(Preset::default().set(&setting).unwrap(), other);
    }

    #[test]
    fn ascii_has_its_own_signs() {
        let schedule = set(&["schedule.2.size=600", "start=a×b.png"]);
        let lines: Vec<String> = differences(&Preset::default(), &schedule)
            .iter()
            .map(|difference| difference.shown(true))
            .collect();
        assert_eq!(
            lines,
            [
                "schedule 128x60 256x50 512x260 -> 128x60 256x50 600x260",
                "start content -> a×b.png",
            ]
        );
    }

    #[test]
    fn numbers_that_differ_never_look_alike() {
        let texts = |from, to| {
            let (from, to) = pair(from, to);
            format!("{from} {to}")
        };
        assert_eq!(texts(1.000_01, 1.000_02), "1.00001 1.00002");
        assert_eq!(texts(12_346.0, 12_347.0), "12346 12347");
        for number in [0.3, 1.0, 9999.9, 1e4, 1e30, 1e-300, f64::MIN_POSITIVE] {
            let next = f64::from_bits(f64::to_bits(number) + 1);
            let (from, to) = pair(number, next);
            assert_ne!(from, to);
        }
    }

    #[test]
    fn a_file_is_distinguished_from_a_word_and_cannot_disturb_a_terminal() {
        let begins = |path: &str| beginning(&Start::File(path.into()));
        assert_eq!(begins("noise"), "./noise");
        assert_eq!(begins("a/b.png"), "a/b.png");
        assert_eq!(begins("\u{1b}[2J.png"), r#""\u{1b}[2J.png""#);
        assert_ne!(begins("a\u{200b}.png"), begins("a\u{200c}.png"));
        assert_eq!(beginning(&Start::Style), "style");
    }

    /// Between any two built-in presets, the differences lead from one to the
    /// other by `--set`, save for layers that go.
    #[test]
    fn a_difference_can_be_followed() {
        let library = Library::with_user_folder("/nowhere".into());
        let presets: Vec<Preset> = library
            .list()
            .into_iter()
            .map(|entry| entry.preset.unwrap())
            .collect();
        for from in &presets {
            for to in &presets {
                let mut followed = from.clone();
                for difference in differences(from, to) {
                    match (difference.key.as_str(), &difference.to) {
                        ("schedule", _) => followed.schedule = to.schedule.clone(),
                        (key, Some(value)) => {
                            followed = followed.set(&format!("{key}={value}")).unwrap();
                        }
                        (key, None) => {
                            let (term, layer) = key.split_once(".layers.").unwrap();
                            let term = match term {
                                "content" => &mut followed.content.term,
                                _ => &mut followed.style.term,
                            };
                            term.layers.remove(&layer.parse().unwrap()).unwrap();
                        }
                    }
                }
                // What is left is what rounding took.
                for left in differences(&followed, to) {
                    let key = &left.key;
                    let [from, to] =
                        [left.from, left.to].map(|value| value.unwrap().parse::<f64>().expect(key));
                    assert!((from - to).abs() <= 1e-3 * to, "{}", left.key);
                }
            }
        }
    }

    #[test]
    fn a_run_keeps_what_it_cannot_take_up() {
        let running = set(&["seed=7", "start=noise", "schedule=[{size: 64}]"]);
        let other = set(&["style.weight=9", "optimizer=adam", "pooling=average"]);
        assert_eq!(running.needs_new_run(&other), ["schedule", "start", "seed"]);
        for difference in differences(&running, &other) {
            let key = difference.key.as_str();
            let waits = matches!(key, "network" | "schedule" | "start" | "seed");
            assert_eq!(difference.needs_new_run, waits, "{key}");
        }
        let taken = other.for_a_run_like(&running);
        assert!(running.needs_new_run(&taken).is_empty());
        assert_eq!((taken.network, taken.seed), (Network::VGG16, 7));
        assert_eq!(taken.pooling, Pooling::Average);
        assert_eq!(taken.optimizer.kind, OptimizerKind::Adam);
        assert_eq!(taken.style.weight, 9.0);
    }
}
