//! The dashboard's state: one struct, and no input or output.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use super::history::History;
use super::view::losses::ChartState;
use crate::job::{Job, Size};
use crate::picture::display_path;
use crate::preset::{Entry, Layer, Preset};
use crate::protocol::Step;

/// How many changes can be undone.
const MOST_UNDO: usize = 200;
/// How many messages are kept.
const MOST_MESSAGES: usize = 50;

/// All that the screen shows and the keys act on.
#[derive(Debug)]
pub struct App {
    /// The file names of the pictures, fit to be shown.
    pub content: String,
    pub style: String,
    pub output: PathBuf,
    /// The processor, once it is known.
    pub device: Option<String>,
    pub sizes: Vec<Size>,
    pub phase: Phase,
    /// The last iteration.
    pub step: Option<Step>,
    /// Iterations per second over the last few seconds.
    pub speed: Option<f64>,
    /// Seconds left at the present pace.
    pub left: Option<f64>,
    pub history: History,
    pub chart: ChartState,
    /// The preset as the user has it; the engine follows.
    pub preset: Preset,
    /// The preset it began with or that was last applied, for the differences.
    pub base: Preset,
    pub undo: Vec<Preset>,
    pub redo: Vec<Preset>,
    /// The weights of muted rows, to bring back.
    pub muted: BTreeMap<Row, f64>,
    pub focus: Pane,
    /// The selected row of the layers.
    pub row: usize,
    /// A number being typed for the selected row.
    pub typed: Option<String>,
    pub overlay: Option<Overlay>,
    /// Whether the picture fills the screen.
    pub picture_alone: bool,
    pub messages: VecDeque<Note>,
    /// Whether the user asked to stop and waits for the picture to be saved.
    pub leaving: bool,
    /// Whether it was Ctrl-C that asked to leave.
    pub interrupted: bool,
}

/// What the run is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    Preparing(String),
    Running,
    Paused,
    Stopping,
    Finished {
        output: Option<PathBuf>,
    },
    Failed {
        message: String,
        output: Option<PathBuf>,
    },
}

/// The pane that keys go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    Layers,
    Losses,
    Picture,
}

/// Something on top of the panes.
#[derive(Debug)]
pub enum Overlay {
    Help { scroll: u16 },
    Quit,
    Presets(Chooser),
    SavePreset { name: String, error: Option<String> },
}

/// The list of presets, with what was typed to find one.
#[derive(Debug)]
pub struct Chooser {
    pub entries: Vec<Entry>,
    pub filter: String,
    pub selected: usize,
    /// Why the selected one could not be applied.
    pub error: Option<String>,
}

impl Chooser {
    /// The entries that the filter leaves.
    pub fn shown(&self) -> Vec<&Entry> {
        let wanted = self.filter.to_lowercase();
        let matches = |entry: &&Entry| {
            let description = entry
                .description
                .as_deref()
                .unwrap_or_default()
                .to_lowercase();
            entry.name.to_lowercase().contains(&wanted) || description.contains(&wanted)
        };
        self.entries.iter().filter(matches).collect()
    }
}

/// A message to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub text: String,
    pub warning: bool,
}

/// One of the three terms of the total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Content,
    Style,
    Smoothness,
}

/// A weight that can be edited: that of a part, or of one of its layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub part: Part,
    pub layer: Option<Layer>,
}

impl App {
    /// The state before the run told anything.
    pub fn new(job: &Job) -> Self {
        let name = |path: &std::path::Path| {
            display_path(std::path::Path::new(path.file_name().unwrap_or_default()))
        };
        Self {
            content: name(&job.content.path),
            style: name(&job.style.path),
            output: job.output.clone(),
            device: None,
            sizes: job.sizes(),
            phase: Phase::Preparing("starting".to_owned()),
            step: None,
            speed: None,
            left: None,
            history: History::default(),
            chart: ChartState::default(),
            preset: job.preset.clone(),
            base: job.preset.clone(),
            undo: Vec::new(),
            redo: Vec::new(),
            muted: BTreeMap::new(),
            focus: Pane::Layers,
            row: 0,
            typed: None,
            overlay: None,
            picture_alone: false,
            messages: VecDeque::new(),
            leaving: false,
            interrupted: false,
        }
    }

    /// Every weight, in the order of the pane.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (part, term) in [
            (Part::Content, &self.preset.content),
            (Part::Style, &self.preset.style),
        ] {
            rows.push(Row { part, layer: None });
            rows.extend(term.layers.keys().map(|layer| Row {
                part,
                layer: Some(*layer),
            }));
        }
        rows.push(Row {
            part: Part::Smoothness,
            layer: None,
        });
        rows
    }

    /// The row that keys act on.
    pub fn selected_row(&self) -> Option<Row> {
        self.rows().get(self.row).copied()
    }

    /// The weight of a row.
    pub fn weight(&self, row: Row) -> f64 {
        let term = match row.part {
            Part::Content => &self.preset.content,
            Part::Style => &self.preset.style,
            Part::Smoothness => return self.preset.smoothness.weight,
        };
        match row.layer {
            None => term.weight,
            Some(layer) => term.layers.get(&layer).copied().unwrap_or(0.0),
        }
    }

    /// Sets the weight of a row, remembering the preset as it was.
    pub fn set_weight(&mut self, row: Row, weight: f64) {
        self.remember();
        let term = match row.part {
            Part::Content => &mut self.preset.content,
            Part::Style => &mut self.preset.style,
            Part::Smoothness => {
                self.preset.smoothness.weight = weight;
                return;
            }
        };
        match row.layer {
            None => term.weight = weight,
            Some(layer) => drop(term.layers.insert(layer, weight)),
        }
    }

    /// Puts the preset as it is on the pile of what can be undone.
    pub fn remember(&mut self) {
        if self.undo.len() >= MOST_UNDO {
            self.undo.remove(0);
        }
        self.undo.push(self.preset.clone());
        self.redo.clear();
    }

    /// The share of a row in the total, from 0 to 1, by the last step's losses
    /// and the weights as they are now.
    pub fn share(&self, row: Row) -> Option<f64> {
        let step = self.step.as_ref()?;
        let layer = |row: Row| {
            let (term, losses) = match row.part {
                Part::Content => (&self.preset.content, &step.layers.content),
                Part::Style => (&self.preset.style, &step.layers.style),
                Part::Smoothness => return step.smoothness,
            };
            match row.layer {
                // A layer that is new has no loss before the next step.
                Some(layer) => {
                    losses.get(&layer).copied().unwrap_or(0.0) * self.weight(row) * term.weight
                }
                None => 0.0,
            }
        };
        let rows = self.rows();
        let total: f64 = rows.iter().copied().map(layer).sum();
        let own: f64 = match row {
            Row {
                part: Part::Content | Part::Style,
                layer: None,
            } => rows
                .iter()
                .copied()
                .filter(|other| other.part == row.part)
                .map(layer)
                .sum(),
            _ => layer(row),
        };
        let share = own / total;
        share.is_finite().then(|| share.clamp(0.0, 1.0))
    }

    /// All iterations of the run.
    pub fn iterations(&self) -> u32 {
        self.sizes.iter().map(|size| size.iterations).sum()
    }

    /// Whether the run is over.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Finished { .. } | Phase::Failed { .. })
    }

    /// Tells the user something.
    pub fn note(&mut self, text: impl Into<String>, warning: bool) {
        if self.messages.len() >= MOST_MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(Note {
            text: text.into(),
            warning,
        });
    }
}
