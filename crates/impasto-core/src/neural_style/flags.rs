//! The flags of both programs: what a command line says, before anything is converted.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;

use super::error::ImportError;
use crate::preset::nearest;
use crate::text::number;

/// Whose command line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// jcjohnson/neural-style.
    Lua,
    /// ProGamerGov/neural-style-pt.
    Python,
}

impl Program {
    /// The name of its script.
    pub(super) fn script(self) -> &'static str {
        match self {
            Self::Lua => "neural_style.lua",
            Self::Python => "neural_style.py",
        }
    }
}

/// What follows a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Value,
    Nothing,
    /// A number, if there is one.
    MaybeNumber,
}

/// The flags, those of only one program with its name.
const FLAGS: [(&str, Takes, Option<Program>); 35] = {
    use Program::{Lua, Python};
    use Takes::{MaybeNumber, Nothing, Value};
    [
        ("style_image", Value, None),
        ("style_blend_weights", Value, None),
        ("content_image", Value, None),
        ("image_size", Value, None),
        ("gpu", Value, None),
        ("multigpu_strategy", Value, Some(Lua)),
        ("multidevice_strategy", Value, Some(Python)),
        ("content_weight", Value, None),
        ("style_weight", Value, None),
        ("normalize_weights", Nothing, Some(Python)),
        // Not `Lua`: neural-style-pt has it too.
        ("normalize_gradients", MaybeNumber, None),
        ("tv_weight", Value, None),
        ("num_iterations", Value, None),
        ("init", Value, None),
        ("init_image", Value, None),
        ("optimizer", Value, None),
        ("learning_rate", Value, None),
        ("lbfgs_num_correction", Value, None),
        ("print_iter", Value, None),
        ("save_iter", Value, None),
        ("output_image", Value, None),
        ("style_scale", Value, None),
        ("original_colors", Value, None),
        ("pooling", Value, None),
        ("proto_file", Value, Some(Lua)),
        ("model_file", Value, None),
        ("disable_check", Nothing, Some(Python)),
        ("backend", Value, None),
        ("cudnn_autotune", Nothing, None),
        ("seed", Value, None),
        ("content_layers", Value, None),
        ("style_layers", Value, None),
        ("content_seg", Value, Some(Python)),
        ("style_seg", Value, Some(Python)),
        ("color_codes", Value, Some(Python)),
    ]
};

/// What may stand before the script's name, or before the flags where there is none.
const LAUNCHERS: [&str; 13] = [
    "$",
    "%",
    "env",
    "nice",
    "nohup",
    "py",
    "python",
    "sudo",
    "th",
    "time",
    "qlua",
    "neural-style",
    "neural_style",
];

/// What ends a command in a shell, or sends its output somewhere.
const OPERATORS: [&str; 8] = ["&&", "||", ";", "&", "|", ">", ">>", "2>"];

/// The flags of a command line.
#[derive(Debug)]
pub(super) struct Flags {
    pub(super) program: Program,
    /// Whether nothing in the command line says which program it is.
    pub(super) assumed: bool,
    /// The script, where one is named.
    pub(super) script: Option<String>,
    /// What follows the command: left out.
    pub(super) left_out: Option<String>,
    values: BTreeMap<&'static str, String>,
}

impl Flags {
    /// Reads the words of a command line.
    ///
    /// # Errors
    /// When a flag is unknown, has no value, or is no flag.
    pub(super) fn read(words: &[String]) -> Result<Self, ImportError> {
        let first = words.iter().position(|word| known(word).is_some());
        let (before, _) = words.split_at(first.unwrap_or(words.len()));
        let script = before.iter().position(|word| is_script(word));
        let begin = script.map_or_else(
            || before.iter().take_while(|word| is_launcher(word)).count(),
            |script| script + 1,
        );
        let mut flags = Self {
            program: Program::Python,
            assumed: false,
            script: script.map(|script| words[script].clone()),
            left_out: None,
            values: BTreeMap::new(),
        };
        flags.add(&words[begin..])?;
        if flags.values.is_empty() && script.is_none() {
            return Err(ImportError::Empty);
        }
        match program_of(&words[..begin]).or_else(|| flags.telling()) {
            Some(program) => flags.program = program,
            None => flags.assumed = true,
        }
        Ok(flags)
    }

    /// Reads the words after the script's name.
    fn add(&mut self, words: &[String]) -> Result<(), ImportError> {
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            // What a line break in the wrong place leaves behind.
            if word.trim().is_empty() {
                continue;
            }
            if is_operator(word) {
                self.left_out = Some(word.clone());
                break;
            }
            let Some((name, value)) = flag(word) else {
                return Err(ImportError::Word { word: word.clone() });
            };
            let Some((name, takes, _)) = known_name(name) else {
                let names = FLAGS.iter().map(|(name, ..)| *name);
                return Err(ImportError::UnknownFlag {
                    flag: word.clone(),
                    near: nearest(name, names).map(|near| format!("-{near}")),
                });
            };
            let value = match (takes, value) {
                (_, Some(value)) => value.to_owned(),
                (Takes::Nothing, None) => "1".to_owned(),
                (Takes::MaybeNumber, None) => words
                    .next_if(|next| next.parse::<f64>().is_ok())
                    .map_or_else(|| "1".to_owned(), Clone::clone),
                (Takes::Value, None) => words
                    .next_if(|next| known(next).is_none())
                    .cloned()
                    .ok_or(ImportError::NoValue { flag: name })?,
            };
            // As in both programs, the last one counts.
            self.values.insert(name, value);
        }
        Ok(())
    }

    /// The program that the flags belong to, where they say so.
    fn telling(&self) -> Option<Program> {
        let owner = |name: &str| known_name(name).and_then(|(_, _, owner)| owner);
        let has = |flag: &str, test: fn(&str) -> bool| self.get(flag).is_some_and(test);
        let mut owners = self.values.keys().filter_map(|name| owner(name));
        owners.next().or_else(|| {
            let lua = has("backend", |it| it == "clnn")
                || has("gpu", |it| it == "-1")
                || has("model_file", |it| {
                    it.ends_with(".caffemodel") || it.ends_with(".t7")
                });
            let python = has("backend", |it| it.contains("mkl") || it == "openmp")
                || has("gpu", |it| it.contains('c'))
                || has("model_file", |it| it.ends_with(".pth"));
            match (lua, python) {
                (true, _) => Some(Program::Lua),
                (_, true) => Some(Program::Python),
                _ => None,
            }
        })
    }

    /// The value of a flag, where it is given.
    pub(super) fn get(&self, flag: &str) -> Option<&str> {
        self.values.get(flag).map(String::as_str)
    }

    /// Whether a flag without a value is there.
    pub(super) fn has(&self, flag: &str) -> bool {
        self.get(flag).is_some()
    }

    /// A number.
    ///
    /// # Errors
    /// When it is none, or not within the bounds.
    pub(super) fn number(
        &self,
        flag: &'static str,
        default: f64,
        bounds: RangeInclusive<f64>,
    ) -> Result<f64, ImportError> {
        let Some(value) = self.get(flag) else {
            return Ok(default);
        };
        parse(flag, value, bounds)
    }

    /// A whole number.
    ///
    /// # Errors
    /// When it is none, or not within the bounds.
    pub(super) fn whole(
        &self,
        flag: &'static str,
        default: i64,
        bounds: RangeInclusive<i64>,
    ) -> Result<i64, ImportError> {
        let Some(value) = self.get(flag) else {
            return Ok(default);
        };
        let number = value.parse().ok().or_else(|| {
            // Lua reads 1e3 and 512.0 as well.
            let number: f64 = value.parse().ok()?;
            (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
        });
        number
            .filter(|number| bounds.contains(number))
            .ok_or_else(|| {
                let (least, most) = bounds.into_inner();
                wrong(
                    flag,
                    value,
                    format!("a whole number {}", range(least, most)),
                )
            })
    }

    /// One of some words; the first is the default.
    ///
    /// # Errors
    /// When it is none of them.
    pub(super) fn choice<'a>(
        &self,
        flag: &'static str,
        words: &[&'a str],
    ) -> Result<&'a str, ImportError> {
        let value = self.get(flag);
        let chosen = words
            .iter()
            .find(|word| value.is_none_or(|value| value == **word));
        chosen.copied().ok_or_else(|| {
            let value = value.unwrap_or_default();
            wrong(flag, value, words.join(" or "))
        })
    }

    /// The parts of a value between commas.
    pub(super) fn list(&self, flag: &str) -> Option<Vec<&str>> {
        let parts = self.get(flag)?.split(',').map(str::trim);
        Some(parts.filter(|part| !part.is_empty()).collect())
    }

    /// As [`list`](Self::list), of numbers.
    ///
    /// # Errors
    /// When one is none, or not within the bounds.
    pub(super) fn numbers(
        &self,
        flag: &'static str,
        bounds: &RangeInclusive<f64>,
    ) -> Result<Vec<f64>, ImportError> {
        let parts = self.list(flag).unwrap_or_default();
        let numbers = parts.iter().map(|part| parse(flag, part, bounds.clone()));
        numbers.collect()
    }

    /// Those of some flags that are given.
    pub(super) fn given<'a>(&self, flags: &[&'a str]) -> Vec<&'a str> {
        let given = flags.iter().filter(|flag| self.has(flag));
        given.copied().collect()
    }
}

fn parse(flag: &'static str, value: &str, bounds: RangeInclusive<f64>) -> Result<f64, ImportError> {
    let parsed = value.parse().ok().filter(|number| bounds.contains(number));
    parsed.ok_or_else(|| {
        let (least, most) = bounds.into_inner();
        let range = range(number(least, 4), number(most, 4));
        wrong(flag, value, format!("a number {range}"))
    })
}

fn range(least: impl Display, most: impl Display) -> String {
    format!("from {least} to {most}")
}

/// The value does not fit the flag.
pub(super) fn wrong(flag: &'static str, value: &str, expected: String) -> ImportError {
    ImportError::Value {
        flag,
        value: value.to_owned(),
        expected,
    }
}

/// The name of a flag, and the value after its `=`.
fn flag(word: &str) -> Option<(&str, Option<&str>)> {
    let word = word.strip_prefix('-')?;
    let word = word.strip_prefix('-').unwrap_or(word);
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        .then_some((name, value))
}

fn known_name(name: &str) -> Option<(&'static str, Takes, Option<Program>)> {
    FLAGS.iter().find(|(known, ..)| *known == name).copied()
}

fn known(word: &str) -> Option<(&'static str, Takes, Option<Program>)> {
    known_name(flag(word)?.0)
}

/// `2>&1` and `>log.txt` are operators too.
fn is_operator(word: &str) -> bool {
    OPERATORS.contains(&word) || word.starts_with('>') || word.starts_with("2>")
}

fn is_script(word: &str) -> bool {
    extension(word).is_some()
}

/// The program that a script's extension speaks of.
fn extension(word: &str) -> Option<Program> {
    let extension = Path::new(word).extension()?;
    if extension == "lua" {
        Some(Program::Lua)
    } else if extension == "py" {
        Some(Program::Python)
    } else {
        None
    }
}

fn is_launcher(word: &str) -> bool {
    is_assignment(word) || is_python(word) || LAUNCHERS.contains(&file_name(word))
}

fn file_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// `python`, `python3`, `/usr/bin/python3.11`.
fn is_python(word: &str) -> bool {
    let version = file_name(word).strip_prefix("python");
    version.is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

/// `CUDA_VISIBLE_DEVICES=0`.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// The program that the words before the flags name.
fn program_of(words: &[String]) -> Option<Program> {
    let script = words.last().and_then(|word| extension(word));
    script.or_else(|| {
        words.iter().find_map(|word| match file_name(word) {
            "th" | "qlua" => Some(Program::Lua),
            // The command that the Python package installs.
            "py" | "neural-style" => Some(Program::Python),
            _ => is_python(word).then_some(Program::Python),
        })
    })
}
