//! Reading single values: numbers, text and words, each within its bounds.

use std::{fmt, marker::PhantomData, path::PathBuf};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, SeqAccess, Unexpected, Visitor},
};

use super::{
    Preset,
    schema::{
        Blend, ColourMode, Guides, Optimizer, OptimizerKind, OutputSettings, Pooling, Scale,
        SmoothnessNorm, Start, Statistic, StyleScale, StyleTerm, Term, Word,
    },
    words::{did_you_mean, is_harmless, nearest, quoted},
};

/// Reads a floating-point number between bounds.
#[derive(Clone, Copy)]
pub(super) struct Number {
    expected: &'static str,
    least: f64,
    most: f64,
}

pub(super) const WEIGHT: Number = Number {
    expected: "a weight: a number from 0 to 1e30",
    least: 0.0,
    most: Term::MAX,
};

pub(super) const RATE: Number = Number {
    expected: "a rate: a number above 0, at most 1000",
    least: f64::MIN_POSITIVE,
    most: Optimizer::MAX_RATE,
};

pub(super) const SHIFT: Number = Number {
    expected: "a shift: a number from -1e6 to 1e6",
    least: -StyleTerm::MAX_SHIFT,
    most: StyleTerm::MAX_SHIFT,
};

pub(super) const STYLE_SCALE: Number = Number {
    expected: "a style scale: a number from 0.1 to 4, or a list with one for each style",
    least: StyleScale::MIN,
    most: StyleScale::MAX,
};

pub(super) const AVERAGE: Number = Number {
    expected: "the decay of an average: a number from 0 (off) to 0.9999",
    least: 0.0,
    most: Preset::MAX_AVERAGE,
};

pub(super) const SHARE: Number = Number {
    expected: "a share: a number from 0 to 1",
    least: 0.0,
    most: 1.0,
};

pub(super) const DPI: Number = Number {
    expected: "dots per inch: a number from 0 to 10000",
    least: 0.0,
    most: OutputSettings::MAX_DPI,
};

/// A number of `finish` between these bounds.
pub(super) fn finish_number(least: f64, most: f64) -> Number {
    let expected = match (least < 0.0, most > 1.0) {
        (true, _) => "a number from -1 to 1",
        (false, true) => "a number from 0 to 2",
        (false, false) => "a number from 0 to 1",
    };
    Number {
        expected,
        least,
        most,
    }
}

impl<'de> DeserializeSeed<'de> for Number {
    type Value = f64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<f64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

// Whole numbers become floats: no whole number that a weight or a rate can be
// is changed by more than rounding.
#[allow(clippy::cast_precision_loss)]
impl Visitor<'_> for Number {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        // NaN is in no range.
        if (self.least..=self.most).contains(&number) {
            Ok(number)
        } else {
            Err(E::invalid_value(Unexpected::Float(number), &self))
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<f64, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<f64, E> {
        self.visit_f64(number as f64)
    }

    fn visit_u128<E: Error>(self, number: u128) -> Result<f64, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<f64, E> {
        self.visit_f64(number as f64)
    }
}

/// Reads a whole number between bounds.
pub(super) struct Whole<T> {
    expected: &'static str,
    least: T,
    most: T,
}

pub(super) const SIZE: Whole<u32> = Whole {
    expected: "a size: a whole number of pixels from 16 to 16384",
    least: Scale::MIN_SIZE,
    most: Scale::MAX_SIZE,
};

pub(super) const ITERATIONS: Whole<u32> = Whole {
    expected: "iterations: a whole number from 1 to 1000000",
    least: 1,
    most: Scale::MAX_ITERATIONS,
};

pub(super) const QUALITY: Whole<u32> = Whole {
    expected: "a quality: a whole number from 1 to 100",
    least: 1,
    most: 100,
};

pub(super) const HISTORY: Whole<usize> = Whole {
    expected: "a history: a whole number from 1 to 1000",
    least: 1,
    most: Optimizer::MAX_HISTORY,
};

pub(super) const SEED: Whole<u64> = Whole {
    expected: "a seed: a whole number from 0 to 18446744073709551615",
    least: 0,
    most: u64::MAX,
};

pub(super) const STYLE_NUMBER: Whole<usize> = Whole {
    expected: "the number of a style: a whole number from 1 to 16",
    least: 1,
    most: StyleTerm::MAX_STYLES,
};

impl<'de, T: TryFrom<u64> + PartialOrd> DeserializeSeed<'de> for Whole<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<T: TryFrom<u64> + PartialOrd> Visitor<'_> for Whole<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::try_from(number)
            .ok()
            .filter(|whole| (&self.least..=&self.most).contains(&whole))
            .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }
}

/// Reads a list of numbers; with `single`, also one number in place of the list.
pub(super) struct Numbers {
    pub number: Number,
    pub single: bool,
}

impl<'de> DeserializeSeed<'de> for Numbers {
    type Value = Vec<f64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Numbers {
    type Value = Vec<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.single {
            true => f.write_str(self.number.expected),
            false => f.write_str("a list of weights, one for each style: [0.7, 0.3]"),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        match self.single {
            true => Ok(vec![self.number.visit_f64(number)?]),
            false => Err(E::invalid_type(Unexpected::Float(number), &self)),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        match self.single {
            true => Ok(vec![self.number.visit_u64(number)?]),
            false => Err(E::invalid_type(Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        match self.single {
            true => Ok(vec![self.number.visit_i64(number)?]),
            false => Err(E::invalid_type(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut numbers = Vec::new();
        while let Some(number) = seq.next_element_seed(self.number)? {
            if numbers.len() == StyleTerm::MAX_STYLES {
                return Err(A::Error::custom(format_args!(
                    "the list has more than {} entries",
                    StyleTerm::MAX_STYLES
                )));
            }
            numbers.push(number);
        }
        if numbers.is_empty() && self.single {
            return Err(A::Error::custom(
                "the list is empty; it needs one number at least",
            ));
        }
        Ok(numbers)
    }
}

/// Reads the path of a mask.
pub(super) struct MaskPath;

impl<'de> DeserializeSeed<'de> for MaskPath {
    type Value = PathBuf;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<PathBuf, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for MaskPath {
    type Value = PathBuf;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path of a greyscale picture")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PathBuf, E> {
        if text.is_empty() {
            return Err(E::invalid_value(Unexpected::Str(text), &self));
        }
        check_path(text)?;
        Ok(text.into())
    }
}

/// Refuses what is no path that people use.
fn check_path<E: Error>(text: &str) -> Result<(), E> {
    if text.chars().any(char::is_control) {
        return Err(E::custom("control characters are not allowed in a path"));
    }
    if text.chars().count() > Start::MAX_PATH {
        return Err(E::custom("the path is too long"));
    }
    Ok(())
}

/// Reads text of one line. Runs of white space, line ends among them, become
/// one space, so that a long description may be folded in the file.
pub(super) struct Text {
    expected: &'static str,
    least: usize,
    most: usize,
}

pub(super) const NAME: Text = Text {
    expected: "a name: text of 1 to 64 characters",
    least: 1,
    most: 64,
};

pub(super) const DESCRIPTION: Text = Text {
    expected: "a description: text of at most 1000 characters",
    least: 0,
    most: 1000,
};

impl<'de> DeserializeSeed<'de> for Text {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if !(self.least..=self.most).contains(&line.chars().count()) {
            return Err(E::invalid_value(Unexpected::Str(text), &self));
        }
        if !line.chars().all(is_harmless) {
            return Err(E::custom("control or invisible characters are not allowed"));
        }
        Ok(line)
    }
}

/// The value that a word stands for.
pub(super) fn find_word<T: Word, E: Error>(word: &str) -> Result<T, E> {
    let words: Vec<&str> = T::ALL.iter().map(|value| value.word()).collect();
    T::ALL
        .iter()
        .copied()
        .find(|value| value.word() == word)
        .ok_or_else(|| {
            E::custom(format_args!(
                "unknown {} {}{}\nknown: {}",
                T::WHAT,
                quoted(word),
                did_you_mean(nearest(word, words.iter().copied())),
                words.join(", "),
            ))
        })
}

/// Reads a one-word value.
struct OneWord<T>(PhantomData<T>);

impl<T: Word> Visitor<'_> for OneWord<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = T::ALL.iter().map(|value| value.word()).collect();
        match words.split_last() {
            Some((last, [])) => write!(f, "the {}: {last}", T::WHAT),
            Some((last, others)) => {
                write!(f, "the {}: {} or {last}", T::WHAT, others.join(", "))
            }
            None => f.write_str(T::WHAT),
        }
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
        find_word(word)
    }
}

/// Reads one-word values by their words.
macro_rules! deserialize_from_word {
    ($($type:ty),+) => {
        $(impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(OneWord(PhantomData))
            }
        })+
    };
}

deserialize_from_word!(
    Pooling,
    OptimizerKind,
    Statistic,
    Blend,
    Guides,
    ColourMode,
    SmoothnessNorm
);

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StartVisitor;
        impl Visitor<'_> for StartVisitor {
            type Value = Start;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the start: content, noise, style, a colour or the path of a picture")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Start, E> {
                let mut words = Start::WORDS.into_iter();
                if let Some((_, start)) = words.find(|(word, _)| *word == text) {
                    return Ok(start);
                }
                if let Some(colour) = Start::colour(text) {
                    return Ok(colour);
                }
                if !Start::is_path(text) {
                    let words = Start::WORDS.iter().map(|(word, _)| *word);
                    return Err(E::custom(format_args!(
                        "unknown start {}{}\nknown: content, noise, style, a colour such as #808080, or a path with a `/` or a `.` in it",
                        quoted(text),
                        did_you_mean(nearest(text, words)),
                    )));
                }
                check_path(text)?;
                Ok(Start::File(text.into()))
            }
        }
        deserializer.deserialize_any(StartVisitor)
    }
}
