//! `--set KEY=VALUE`: one change to a preset, by the path of keys to it.

use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use super::{
    Preset,
    diagnostic::tidy,
    error::PresetError,
    schema::{Start, Statistics},
    text::check_setting,
};

impl Preset {
    /// The preset with one change, `KEY=VALUE`, the value written as YAML.
    ///
    /// The key is a path: `seed=7`, `style.weight=500`,
    /// `style.layers.relu3_1=0.5`, `schedule.0.size=300`,
    /// `schedule=[{size: 256, iterations: 100}]`. A list or a mapping is replaced
    /// as a whole, and what it leaves out takes its default. `optimizer=adam`
    /// means `optimizer.kind=adam`; another kind brings its own default rate, so
    /// set a rate after it.
    ///
    /// # Errors
    /// [`PresetError::Set`] if the key does not exist or the value does not fit.
    pub fn set(&self, key_value: &str) -> Result<Self, PresetError> {
        self.changed(key_value).map_err(|message| PresetError::Set {
            setting: key_value.to_owned(),
            message: match message.split_once('\n') {
                Some((message, note)) => format!("{message} ({note})"),
                None => message,
            },
        })
    }

    /// Checks what [`set`](Self::set) would do.
    ///
    /// # Errors
    /// A message without the setting. Its second line, if it has one, says what would be
    /// right.
    pub fn check_setting(&self, key_value: &str) -> Result<(), String> {
        self.changed(key_value).map(drop)
    }

    /// [`set`](Self::set) with a bare message.
    fn changed(&self, key_value: &str) -> Result<Self, String> {
        let (path, text) = key_value
            .split_once('=')
            .ok_or("expected KEY=VALUE, such as seed=7")?;
        check_setting(text)?;
        let value = match Start::colour(text.trim()) {
            // YAML would take it for a comment.
            Some(_) => Value::from(text.trim()),
            None => serde_yaml::from_str(text).map_err(|error| tidy(&error.to_string()))?,
        };
        let mut path: Vec<&str> = path.split('.').map(str::trim).collect();
        if path == ["optimizer"] && value.is_string() {
            path.push("kind");
        }

        let mut preset = serde_yaml::to_value(self).map_err(|error| error.to_string())?;
        if path.starts_with(&["style", "statistic"]) && path.len() > 2 {
            spell_out_statistic(&mut preset);
        }
        if path == ["optimizer", "kind"]
            && let Some(optimizer) = preset.get_mut("optimizer").and_then(Value::as_mapping_mut)
            && value.as_str() != Some(super::schema::Word::word(self.optimizer.kind))
        {
            optimizer.remove("rate");
        }
        *place(&mut preset, &path)? = value;
        Self::deserialize(preset).map_err(|error| tidy(&error.to_string()))
    }
}

/// Makes a mapping of `style.statistic` where it is one word for all layers.
fn spell_out_statistic(preset: &mut Value) {
    let style = preset.get_mut("style").and_then(Value::as_mapping_mut);
    if let Some(statistic) = style.and_then(|style| style.get_mut("statistic"))
        && statistic.is_string()
    {
        let mut mapping = Mapping::new();
        mapping.insert(Value::from(Statistics::DEFAULT), std::mem::take(statistic));
        *statistic = Value::Mapping(mapping);
    }
}

/// The value at the end of a path. A key that is not there is made: if it should
/// not be, reading the preset says so and knows the keys that exist.
fn place<'a>(value: &'a mut Value, path: &[&str]) -> Result<&'a mut Value, String> {
    let Some((key, rest)) = path.split_first() else {
        return Ok(value);
    };
    if key.is_empty() {
        return Err("a key is missing before the `=` or between two dots".to_owned());
    }
    let next = match value {
        Value::Mapping(mapping) => mapping
            .entry(Value::from(*key))
            .or_insert(if rest.is_empty() {
                Value::Null
            } else {
                Value::Mapping(Mapping::new())
            }),
        Value::Sequence(list) => {
            let count = list.len();
            key.parse()
                .ok()
                .and_then(|index: usize| list.get_mut(index))
                .ok_or_else(|| match count {
                    0 => "the list is empty; set all of it, such as [1, 2]".to_owned(),
                    _ => format!("the list's entries are counted from 0 to {}", count - 1),
                })?
        }
        _ => return Err("this key holds a single value and has no keys below it".to_owned()),
    };
    place(next, rest)
}

#[cfg(test)]
mod tests {
    use super::super::{Layer, OptimizerKind, Scale, Start};
    use super::*;

    fn set(settings: &[&str]) -> Preset {
        settings.iter().fold(Preset::default(), |preset, setting| {
            preset.set(setting).unwrap()
        })
    }

    fn message(setting: &str) -> String {
        Preset::default().set(setting).unwrap_err().to_string()
    }

    #[test]
    fn single_values_change_and_the_rest_stays() {
        let preset = set(&[
            "seed=7",
            "style.weight=1e3",
            "start=noise",
            "schedule.0.size=300",
        ]);
        let mut expected = Preset {
            seed: 7,
            start: Start::Noise,
            ..Preset::default()
        };
        expected.style.weight = 1000.0;
        expected.schedule[0].size = 300;
        assert_eq!(preset, expected);
        assert_eq!(set(&["name=mine"]).name, "mine");
        assert_eq!(
            set(&["start=a/b=c.png"]).start,
            Start::File("a/b=c.png".into())
        );
    }

    #[test]
    fn layers_are_added_and_replaced() {
        let relu3_2: Layer = "relu3_2".parse().unwrap();
        let preset = set(&["style.layers.relu3_2=0.5"]);
        assert_eq!(preset.style.layers[&relu3_2], 0.5);
        assert_eq!(
            preset.style.layers.len(),
            Preset::default().style.layers.len() + 1
        );
        let preset = set(&["content.layers=[relu3_2]"]);
        assert_eq!(
            preset.content.term.layers.into_iter().collect::<Vec<_>>(),
            [(relu3_2, 1.0)]
        );
        assert!(set(&["content.layers={}"]).content.layers.is_empty());
    }

    #[test]
    fn a_schedule_is_replaced_as_a_whole() {
        assert_eq!(
            set(&["schedule=[{size: 256, iterations: 100}]"]).schedule,
            [Scale {
                size: 256,
                iterations: 100
            }]
        );
    }

    #[test]
    fn another_kind_of_optimizer_brings_its_rate() {
        for adam in [
            "optimizer=adam",
            "optimizer.kind=adam",
            "optimizer={kind: adam}",
        ] {
            let optimizer = set(&["optimizer=lbfgs", adam]).optimizer;
            assert_eq!(optimizer.kind, OptimizerKind::Adam);
            assert_eq!(optimizer.rate, 0.02, "{adam}");
            let kept = set(&[adam, "optimizer.rate=0.5", adam]).optimizer.rate;
            assert_eq!(kept, if adam.contains('{') { 0.02 } else { 0.5 }, "{adam}");
        }
    }

    #[test]
    fn errors_name_the_setting() {
        assert_eq!(
            message("style.layers.relu4_9=1"),
            "--set style.layers.relu4_9=1: unknown layer `relu4_9`; did you mean `relu4_3`? \
             (layers: relu1_1, relu1_2, relu2_1, relu2_2, relu3_1, relu3_2, relu3_3, \
             relu4_1, relu4_2, relu4_3, relu5_1, relu5_2, relu5_3)"
        );
        for (setting, expected) in [
            (
                "sede=1",
                "unknown key `sede` in a preset; did you mean `seed`? (keys: name, ",
            ),
            ("a.b.c=1", "unknown key `a` in a preset (keys: "),
            ("seed", "expected KEY=VALUE, such as seed=7"),
            ("=1", "a key is missing"),
            ("style..weight=1", "a key is missing"),
            (
                "seed.x=1",
                "this key holds a single value and has no keys below it",
            ),
            (
                "seed=",
                "expected a seed: a whole number from 0 to 18446744073709551615, found nothing",
            ),
            (
                "seed=-1",
                "expected a seed: a whole number from 0 to 18446744073709551615, found `-1`",
            ),
            (
                "schedule.9.size=64",
                "the list's entries are counted from 0 to 2",
            ),
            (
                "schedule.x.size=64",
                "the list's entries are counted from 0 to 2",
            ),
            ("schedule=[]", "the schedule is empty"),
            (
                "style.weight=.nan",
                "expected a weight: a number from 0 to 1e30, found `NaN`",
            ),
            ("style.weight=[", "not valid YAML: "),
            (
                "optimizer=adma",
                "unknown optimizer `adma`; did you mean `adam`? (known: lbfgs, adam)",
            ),
            (
                "network=my/net",
                "`my/net` is no name of a network (names: ",
            ),
            (
                "start=\u{1b}[2J",
                "not valid YAML: control characters are not allowed",
            ),
        ] {
            let message = message(setting);
            let (_, shown) = message.split_once(": ").unwrap();
            assert!(shown.starts_with(expected), "{message}");
            assert!(!message.contains('\u{1b}'), "{message:?}");
        }
        assert!(message(&format!("seed={}", "[".repeat(100))).ends_with("too large"));
    }
}
