//! The keys of a preset that are edited one by one while it is painted, besides weights
//! and layers: each with the values that it takes.

use serde_yaml::Value;

use super::schema::{
    Blend, ColourMode, Finish, Guides, Optimizer, OptimizerKind, OutputSettings, Pooling,
    SmoothnessNorm, Statistic, StyleScale, StyleTerm, Term, Word,
};
use super::{Preset, PresetError};
use crate::text::number;

/// One key, and the values that it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// As `--set` takes it.
    pub key: String,
    pub values: Values,
    /// What it does, in a few words.
    pub words: &'static str,
}

/// The values of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Words(Vec<&'static str>),
    /// Numbers between bounds, in steps of one size.
    Steps {
        least: f64,
        most: f64,
        step: f64,
    },
    /// Numbers up to a bound, each step a tenth; the first step from zero leads to `first`.
    Factors {
        most: f64,
        first: f64,
    },
}

fn words<T: Word>() -> Values {
    Values::Words(T::ALL.iter().map(|value| value.word()).collect())
}

impl Setting {
    fn new(key: impl Into<String>, values: Values, words: &'static str) -> Self {
        Self {
            key: key.into(),
            values,
            words,
        }
    }

    /// Every key that a run of `preset` with so many styles can take up.
    pub fn all(preset: &Preset, styles: usize) -> Vec<Self> {
        let steps = |least, most, step| Values::Steps { least, most, step };
        let mut all = vec![
            Self::new(
                "colour",
                words::<ColourMode>(),
                "where the colours come from",
            ),
            Self::new(
                "style.statistic",
                words::<Statistic>(),
                "what style layers compare",
            ),
        ];
        if !preset.style.statistic.layers.is_empty() {
            all[1].key += ".default";
        }
        all.extend(preset.style.layers.keys().map(|layer| {
            let key = format!("style.statistic.{layer}");
            Self::new(key, words::<Statistic>(), "in this layer")
        }));
        let scale = || steps(StyleScale::MIN, StyleScale::MAX, 0.1);
        match preset.style.scale.0.len() {
            0 | 1 => all.push(Self::new(
                "style.scale",
                scale(),
                "the style's size; small: fine strokes",
            )),
            count => all.extend((0..count).map(|index| {
                Self::new(
                    format!("style.scale.{index}"),
                    scale(),
                    "the size of one style",
                )
            })),
        }
        if styles > 1 {
            all.push(Self::new(
                "style.blend",
                words::<Blend>(),
                "how styles become one",
            ));
        }
        if !preset.masks.is_empty() {
            all.push(Self::new(
                "style.guides",
                words::<Guides>(),
                "how masks reach the layers",
            ));
        }
        let shift = steps(-StyleTerm::MAX_SHIFT, StyleTerm::MAX_SHIFT, 1.0);
        let weight = |first| Values::Factors {
            most: Term::MAX,
            first,
        };
        all.extend([
            Self::new("style.shift", shift, "added before Gram matrices"),
            Self::new(
                "content.laplacian",
                weight(1000.0),
                "how much the content's edges count",
            ),
            Self::new(
                "smoothness.norm",
                words::<SmoothnessNorm>(),
                "how smoothness is measured",
            ),
            Self::new(
                "pooling",
                words::<Pooling>(),
                "between the network's blocks",
            ),
            Self::new(
                "optimizer.kind",
                words::<OptimizerKind>(),
                "what moves the pixels",
            ),
            Self::new(
                "optimizer.rate",
                Values::Factors {
                    most: Optimizer::MAX_RATE,
                    first: 0.01,
                },
                "the length of a step",
            ),
            Self::new(
                "normalize_gradients",
                Values::Words(vec!["false", "true"]),
                "each layer pulls by its weight alone",
            ),
            Self::new(
                "average",
                steps(0.0, Preset::MAX_AVERAGE, 0.01),
                "decay of the moving average; adam only",
            ),
        ]);
        for (key, least, most) in Finish::BOUNDS {
            let words = match key {
                "denoise" => "less noise, strokes stay",
                "match_colours" => "towards the content's colours",
                "sharpen" => "sharper edges",
                "grain" => "film grain",
                _ => "",
            };
            all.push(Self::new(
                format!("finish.{key}"),
                steps(least, most, 0.05),
                words,
            ));
        }
        all.extend([
            Self::new(
                "output.depth",
                Values::Words(vec!["8", "16"]),
                "bits a channel; PNG and TIFF",
            ),
            Self::new("output.quality", steps(1.0, 100.0, 1.0), "of a JPEG"),
            Self::new(
                "output.dpi",
                steps(0.0, OutputSettings::MAX_DPI, 50.0),
                "dots per inch, for printing",
            ),
        ]);
        all
    }

    /// The value in a preset, as a preset's file has it.
    pub fn value(&self, preset: &Preset) -> String {
        if let Some(layer) = self.key.strip_prefix("style.statistic.")
            && let Ok(layer) = layer.parse()
        {
            return preset.style.statistic.of(layer).word().to_owned();
        }
        let value = serde_yaml::to_value(preset).ok();
        let found = value.as_ref().and_then(|value| {
            self.key
                .split('.')
                .try_fold(value, |value, key| match value {
                    Value::Sequence(list) => list.get(key.parse::<usize>().ok()?),
                    value => value.get(key),
                })
        });
        match found {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(value)) => value.to_string(),
            Some(Value::Number(value)) => number(value.as_f64().unwrap_or(0.0), 6),
            _ => String::new(),
        }
    }

    /// The preset with the value before or after this one; `steps` says how far. Words go
    /// round, numbers end at their bounds.
    ///
    /// # Errors
    /// As [`Preset::set`].
    pub fn stepped(&self, preset: &Preset, steps: i32) -> Result<Preset, PresetError> {
        let now = self.value(preset);
        let next = match &self.values {
            Values::Words(words) => {
                let place = words.iter().position(|word| *word == now).unwrap_or(0) as i32;
                let next = (place + steps).rem_euclid(words.len().max(1) as i32);
                words.get(next as usize).copied().unwrap_or("").to_owned()
            }
            Values::Steps { least, most, step } => {
                let now: f64 = now.parse().unwrap_or(0.0);
                // On the grid, so that tenths stay tenths.
                let next = ((now / step).round() + f64::from(steps)) * step;
                number(next.clamp(*least, *most), 6)
            }
            Values::Factors { most, first } => {
                let now: f64 = now.parse().unwrap_or(0.0);
                let next = match now {
                    0.0 if steps > 0 => *first,
                    // A weight that becomes small is meant to go.
                    now if steps < 0 && self.key == "content.laplacian" && now < first / 1000.0 => {
                        0.0
                    }
                    now => (now * 1.1f64.powi(steps)).min(*most),
                };
                number(next, 4)
            }
        };
        preset.set(&format!("{}={next}", self.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_can_be_stepped_through_and_read_back() {
        let preset = Preset::default()
            .set("masks=[{file: a.png}]")
            .and_then(|preset| preset.set("style.scale=[1, 0.5]"))
            .and_then(|preset| preset.set("style.statistic.relu1_1=histogram"))
            .unwrap();
        let all = Setting::all(&preset, 2);
        assert!(all.len() > 25);
        for setting in all {
            let now = setting.value(&preset);
            assert!(!now.is_empty(), "{}", setting.key);
            let next = setting.stepped(&preset, 1).unwrap();
            let value = setting.value(&next);
            assert_ne!(value, now, "{}", setting.key);
            let again = preset.set(&format!("{}={value}", setting.key)).unwrap();
            // Another kind of optimizer brings its own rate, either way.
            assert_eq!(again, next, "{}", setting.key);
            assert!(preset.needs_new_run(&next).is_empty(), "{}", setting.key);
        }
    }

    #[test]
    fn values_stay_within_their_bounds() {
        let preset = Preset::default();
        let of = |key: &str| {
            let all = Setting::all(&preset, 1);
            all.into_iter().find(|setting| setting.key == key).unwrap()
        };
        let grain = of("finish.grain");
        assert_eq!(grain.stepped(&preset, 3).unwrap().finish.grain, 0.15);
        assert_eq!(grain.stepped(&preset, 99).unwrap().finish.grain, 1.0);
        assert_eq!(grain.stepped(&preset, -1).unwrap().finish.grain, 0.0);
        let colour = of("colour");
        let back = colour.stepped(&preset, -1).unwrap();
        assert_eq!(colour.value(&back), "match-histogram");
        let laplacian = of("content.laplacian");
        let on = laplacian.stepped(&preset, 1).unwrap();
        assert_eq!(on.content.laplacian, 1000.0);
        let faint = preset.set("content.laplacian=0.5").unwrap();
        assert_eq!(
            laplacian.stepped(&faint, -1).unwrap().content.laplacian,
            0.0
        );
    }
}
