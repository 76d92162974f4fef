//! What a sweep paints, and its cells by their numbers.

use std::path::{Path, PathBuf};

use impasto_core::job::{Compute, Overrides, PictureFile, Plan};
use impasto_core::preset::{Network, Preset, PresetError};
use serde::{Deserialize, Serialize};

pub use serde_json::Value;

use super::error::SweepError;

/// What a sweep paints: a grid of contents × styles × values of keys, or a list of rows.
/// Paths are absolute, and presets are those that were found when it was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Definition {
    pub contents: Vec<String>,
    /// Each entry is what one cell is painted with: one style, or several that are blended.
    pub styles: Vec<Vec<Style>>,
    /// The preset's name or file.
    pub preset: String,
    /// What holds for every cell: keys of the preset, `size`, `iterations` and `seed`.
    pub set: Vec<(String, Value)>,
    /// The keys that differ from cell to cell, each with its values; `preset` may be one.
    pub vary: Vec<(String, Vec<Value>)>,
    /// The cells one by one, in place of the grid.
    pub rows: Vec<Row>,
    /// Every preset that is named, as it was when the sweep began: its name here, and its
    /// text.
    pub presets: Vec<(String, String)>,
}

/// A style picture, and its weight where it has one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Style {
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
}

/// A cell that is written out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    pub content: String,
    pub style: Vec<Style>,
    /// Another preset than that of the sweep.
    pub preset: Option<String>,
    pub set: Vec<(String, Value)>,
}

/// One cell of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Counted from 0.
    pub number: usize,
    pub content: String,
    pub styles: Vec<Style>,
    pub preset: String,
    /// What holds for every cell, then what is its own.
    pub set: Vec<(String, Value)>,
    /// What is its own: the axes of the grid besides the pictures.
    pub values: Vec<(String, Value)>,
}

/// The most cells of a sweep.
pub const MAX_CELLS: usize = 100_000;
/// Keys that are no keys of a preset.
pub const PRESET: &str = "preset";
pub const SIZE: &str = "size";
pub const ITERATIONS: &str = "iterations";

/// A key and its value as `--set` takes it.
pub fn setting(key: &str, value: &Value) -> String {
    match value {
        // Most words need no quotes; YAML tells which do.
        Value::String(text)
            if serde_yaml::from_str::<serde_yaml::Value>(text)
                .is_ok_and(|read| read.as_str() == Some(text)) =>
        {
            format!("{key}={text}")
        }
        value => format!("{key}={value}"),
    }
}

impl Definition {
    /// How many cells there are.
    pub fn count(&self) -> usize {
        if !self.rows.is_empty() {
            return self.rows.len();
        }
        let grid = [self.contents.len(), self.styles.len()].into_iter();
        let varied = self.vary.iter().map(|(_, values)| values.len());
        grid.chain(varied).fold(1, usize::saturating_mul)
    }

    /// Checks that there are not too many cells.
    ///
    /// # Errors
    /// [`SweepError::TooMany`].
    pub fn check_count(&self) -> Result<(), SweepError> {
        match self.count() {
            count if count > MAX_CELLS => Err(SweepError::TooMany {
                count,
                most: MAX_CELLS,
            }),
            _ => Ok(()),
        }
    }

    /// The cell of a number; none beyond the last.
    pub fn cell(&self, number: usize) -> Option<Cell> {
        if !self.rows.is_empty() {
            let row = self.rows.get(number)?;
            return Some(Cell {
                number,
                content: row.content.clone(),
                styles: row.style.clone(),
                preset: row.preset.clone().unwrap_or_else(|| self.preset.clone()),
                set: [self.set.clone(), row.set.clone()].concat(),
                values: row.values(),
            });
        }
        if number >= self.count() {
            return None;
        }
        // The last key changes fastest.
        let mut rest = number;
        let mut values = Vec::new();
        for (key, choices) in self.vary.iter().rev() {
            let value = choices.get(rest % choices.len().max(1))?;
            values.push((key.clone(), value.clone()));
            rest /= choices.len().max(1);
        }
        values.reverse();
        let style = self.styles.get(rest % self.styles.len().max(1))?;
        let content = self.contents.get(rest / self.styles.len().max(1))?;
        let (presets, own): (Vec<_>, Vec<_>) =
            values.iter().cloned().partition(|(key, _)| key == PRESET);
        let preset = presets.first().and_then(|(_, value)| value.as_str());
        Some(Cell {
            number,
            content: content.clone(),
            styles: style.clone(),
            preset: preset.unwrap_or(&self.preset).to_owned(),
            set: [self.set.clone(), own].concat(),
            values,
        })
    }

    /// Every cell, in order.
    pub fn cells(&self) -> impl Iterator<Item = Cell> + '_ {
        (0..self.count()).filter_map(|number| self.cell(number))
    }

    /// The paths of all pictures.
    pub fn pictures(&self) -> impl Iterator<Item = &str> {
        let styles = self
            .styles
            .iter()
            .flatten()
            .map(|style| style.path.as_str());
        let rows = self.rows.iter().flat_map(|row| {
            let styles = row.style.iter().map(|style| style.path.as_str());
            std::iter::once(row.content.as_str()).chain(styles)
        });
        let contents = self.contents.iter().map(String::as_str);
        contents.chain(styles).chain(rows)
    }

    /// The networks that its cells need.
    ///
    /// # Errors
    /// As [`preset_of`](Self::preset_of).
    pub fn networks(&self) -> Result<Vec<Network>, PresetError> {
        let mut networks = Vec::new();
        for cell in self.distinct_presets() {
            let (preset, _) = self.preset_of(&cell)?;
            if !networks.contains(&preset.network) {
                networks.push(preset.network);
            }
        }
        Ok(networks)
    }

    /// A cell for each preset with its changes: in a grid, those of the first content and
    /// style.
    pub fn distinct_presets(&self) -> impl Iterator<Item = Cell> + '_ {
        let pictures = self.contents.len().max(1) * self.styles.len().max(1);
        let count = match self.rows.is_empty() {
            true => self.count() / pictures,
            false => self.count(),
        };
        (0..count).filter_map(|number| self.cell(number))
    }

    /// The keys in which cells differ besides their pictures, in order.
    pub fn varied_keys(&self) -> Vec<String> {
        if self.rows.is_empty() {
            return self.vary.iter().map(|(key, _)| key.clone()).collect();
        }
        let mut keys = Vec::new();
        for (key, _) in self.rows.iter().flat_map(Row::values) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// The text of a preset that the sweep names.
    fn preset(&self, name: &str) -> Result<Preset, PresetError> {
        let found = self.presets.iter().find(|(known, _)| known == name);
        let (name, text) = found.ok_or_else(|| PresetError::Unknown {
            name: name.to_owned(),
            near: None,
        })?;
        Preset::from_yaml(text, name)
    }

    /// The preset of a cell before and after its changes, and these.
    ///
    /// # Errors
    /// When a setting fits no key or no value.
    pub fn preset_of(&self, cell: &Cell) -> Result<(Preset, Overrides), PresetError> {
        let preset = self.preset(&cell.preset)?;
        let mut overrides = Overrides::default();
        for (key, value) in &cell.set {
            let whole = value.as_u64().and_then(|value| u32::try_from(value).ok());
            match (key.as_str(), whole) {
                (SIZE, Some(size)) => overrides.size = Some(size),
                (ITERATIONS, Some(iterations)) => overrides.iterations = Some(iterations),
                _ => overrides.settings.push(setting(key, value)),
            }
        }
        if cell.styles.iter().any(|style| style.weight.is_some()) {
            let weights = cell.styles.iter().map(|style| style.weight.unwrap_or(1.0));
            overrides.blend_weights = Some(weights.collect());
        }
        let preset = overrides.apply(preset)?;
        Ok((preset, overrides))
    }

    /// What paints a cell into a file.
    ///
    /// # Errors
    /// As [`preset_of`](Self::preset_of).
    pub fn plan(
        &self,
        cell: &Cell,
        compute: Compute,
        output: PathBuf,
    ) -> Result<Plan, PresetError> {
        let (preset, overrides) = self.preset_of(cell)?;
        let mut styles = cell.styles.iter().map(|style| picture(&style.path));
        Ok(Plan {
            preset,
            content: picture(&cell.content),
            // A cell has one style at least.
            style: styles.next().unwrap_or_else(|| picture("")),
            more_styles: styles.collect(),
            compute,
            output,
            preset_name: Some(cell.preset.clone()),
            overrides,
        })
    }
}

fn picture(path: &str) -> PictureFile {
    PictureFile::At(PathBuf::from(path))
}

impl Row {
    /// What is its own, the preset included.
    fn values(&self) -> Vec<(String, Value)> {
        let preset = self.preset.iter();
        let preset = preset.map(|name| (PRESET.to_owned(), Value::from(name.as_str())));
        preset.chain(self.set.iter().cloned()).collect()
    }
}

impl Cell {
    /// What it is, in a line: `china × night, style.weight 50`.
    pub fn words(&self) -> String {
        let styles: Vec<&str> = self.styles.iter().map(|style| stem(&style.path)).collect();
        let mut words = format!("{} × {}", stem(&self.content), styles.join(" + "));
        for (key, value) in &self.values {
            words += &format!(", {key} {}", plain(value));
        }
        words
    }
}

/// A file's name without its folders and its ending.
pub fn stem(path: &str) -> &str {
    Path::new(path)
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or(path)
}

/// A value as it is shown: text without quotes.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(value) => match value.as_f64() {
            Some(value) => impasto_core::text::number(value, 6),
            None => value.to_string(),
        },
        value => value.to_string(),
    }
}
