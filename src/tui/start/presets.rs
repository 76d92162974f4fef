//! The presets to choose from.

use std::path::Path;

use impasto_core::preset::{Origin, PresetEntry};
use impasto_core::text::display_path;

use super::list::List;

/// A preset in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What to ask the library for.
    pub name: String,
    /// The name, fit to be shown.
    pub shown: String,
    /// Whether it is the user's own.
    pub own: bool,
    /// Where it comes from, in words.
    pub origin: String,
    /// The description, or why the preset cannot be used.
    pub description: Result<String, String>,
}

impl From<PresetEntry> for Row {
    fn from(entry: PresetEntry) -> Self {
        let description = entry.preset.map(|preset| preset.description);
        Self {
            shown: display_path(Path::new(&entry.name)),
            name: entry.name,
            own: matches!(entry.origin, Origin::User(_)),
            origin: match &entry.origin {
                Origin::BuiltIn => "built in".to_owned(),
                Origin::User(path) => format!("yours, in {}", display_path(path)),
            },
            description: description.map_err(|error| error.to_string()),
        }
    }
}

/// All presets, and the one chosen.
#[derive(Clone, Debug)]
pub struct Presets {
    pub rows: Vec<Row>,
    pub list: List,
    /// The name of the chosen one.
    pub chosen: String,
}

impl Presets {
    /// No presets yet; `chosen` will be selected once they are there.
    pub fn new(chosen: String) -> Self {
        Self {
            rows: Vec::new(),
            list: List::default(),
            chosen,
        }
    }

    /// Takes the library's presets in.
    pub fn listed(&mut self, entries: Vec<PresetEntry>) {
        self.rows = entries.into_iter().map(Row::from).collect();
        // One that was named when the program began may be a file elsewhere.
        if !self.rows.iter().any(|row| row.name == self.chosen) {
            let given = Row {
                name: self.chosen.clone(),
                shown: display_path(Path::new(&self.chosen)),
                own: true,
                origin: "given at the start of impasto".to_owned(),
                description: Ok(String::new()),
            };
            self.rows.insert(0, given);
        }
        self.find();
        let chosen = self.rows.iter().position(|row| row.name == self.chosen);
        self.list.select_index(chosen.unwrap_or_default());
    }

    /// The selected preset.
    pub fn selected(&self) -> Option<&Row> {
        self.rows.get(self.list.index()?)
    }

    /// Shows what the filter leaves.
    pub fn find(&mut self) {
        let text = |row: &Row| match &row.description {
            Ok(description) => format!("{} {description}", row.name),
            Err(_) => row.name.clone(),
        };
        self.list.find(self.rows.iter().map(text));
    }

    /// Shows everything, with the same preset selected.
    pub fn clear_filter(&mut self) {
        let index = self.list.index();
        self.list.filter.clear();
        self.find();
        if let Some(index) = index {
            self.list.select_index(index);
        }
    }
}
