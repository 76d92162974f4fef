//! The dashboard's state: one struct, and no input or output.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use impasto_core::job::{Overrides, Plan, Size};
use impasto_core::preset::{Layer, Preset, PresetEntry, Setting};
use impasto_core::protocol::{Memory, Step};
use impasto_core::text::display_path;

use super::chart::ChartState;
use super::history::History;
use super::keymap::Context;

/// How many changes can be undone.
const MAX_UNDO: usize = 200;
/// How many messages are kept.
const MAX_MESSAGES: usize = 100;
/// How many seconds a message stays in the footer; a warning stays longer.
const NEWS: f64 = 6.0;
const WARNING_NEWS: f64 = 20.0;

/// All that the screen shows and the keys act on.
#[derive(Debug)]
pub struct App {
    /// The file names of the pictures, fit to be shown.
    pub content: String,
    pub styles: Vec<String>,
    pub output: PathBuf,
    /// The processor, once it is known, and the memory in use there.
    pub device: Option<String>,
    pub memory: Option<Memory>,
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
    /// Its network, schedule, start and seed are those of the next run, if
    /// there is one.
    pub base: Preset,
    /// What the command line says over every preset.
    pub overrides: Overrides,
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
    /// Whether the pane that keys go to has all the room.
    pub zoomed: bool,
    /// Whether the picture is shown in place of the dashboard.
    pub full_screen: bool,
    pub messages: VecDeque<Note>,
    /// Seconds since the dashboard opened.
    pub clock: f64,
    /// How pictures are drawn, in words, and the bytes a second that the
    /// terminal is sent.
    pub drawn_as: String,
    pub bytes_per_second: f64,
    /// Where the words of libraries go.
    pub log: Option<String>,
    /// Whether the user asked to stop and waits for the picture to be saved.
    pub leaving: bool,
    /// Whether it was Ctrl-C that asked to leave.
    pub interrupted: bool,
    /// The process that paints, if it is another than this one.
    pub remote: Option<RemoteRun>,
    /// Changes of the preset that were sent and not yet answered.
    pub unanswered: u32,
    /// Whether a restart was asked for that has not begun.
    pub restarting: bool,
}

/// A run that another process paints, as this terminal stands to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteRun {
    /// What follows `impasto attach` to come back to it.
    pub called: String,
    /// Whether this terminal controls the run, or only watches it.
    pub steers: bool,
}

/// What the run is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    Preparing(Preparation),
    Running,
    Paused,
    Stopping,
    Finished {
        output: Option<PathBuf>,
    },
    Failed {
        message: String,
        output: Option<PathBuf>,
        /// What was asked for is wrong here, rather than something that went wrong.
        refused: bool,
    },
}

/// How far the preparation is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preparation {
    /// The steps so far, the last of them under way.
    pub steps: Vec<String>,
    /// How many there will be.
    pub of: u32,
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
    Help {
        scroll: u16,
    },
    Quit,
    /// Whether to stop the run, or to leave it to the process that paints it.
    Leave,
    Presets(PresetChooser),
    /// The other keys of the preset, one by one.
    Settings(SettingsEditor),
    SavePreset {
        name: String,
        error: Option<String>,
    },
    /// Layers to add to the content or the style.
    Layers(LayerChooser),
    /// Whether to begin anew, and from where.
    Restart,
    Messages {
        scroll: u16,
    },
    /// The preset's file has a mistake; the run continues.
    Mistake(String),
    /// The run failed.
    Failure,
}

/// The list of settings, and a value being typed for the selected one.
#[derive(Debug, Default)]
pub struct SettingsEditor {
    pub selected: usize,
    pub typed: Option<String>,
    /// Why the last value could not be set.
    pub error: Option<String>,
}

/// The layers that a part of the preset lacks.
#[derive(Debug)]
pub struct LayerChooser {
    pub part: Part,
    pub layers: Vec<Layer>,
    pub selected: usize,
}

/// The list of presets, with what was typed to find one.
#[derive(Debug)]
pub struct PresetChooser {
    pub entries: Vec<PresetEntry>,
    pub filter: String,
    pub selected: usize,
    /// Why the selected one could not be applied.
    pub error: Option<String>,
}

impl PresetChooser {
    /// The entries that the filter leaves.
    pub fn shown(&self) -> Vec<&PresetEntry> {
        let wanted = self.filter.to_lowercase();
        let matches = |entry: &&PresetEntry| {
            let description = entry.description().to_lowercase();
            entry.name.to_lowercase().contains(&wanted) || description.contains(&wanted)
        };
        self.entries.iter().filter(matches).collect()
    }
}

/// A message to the user.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    pub text: String,
    pub warning: bool,
    /// When it came, in seconds since the dashboard opened.
    pub at: f64,
    /// The iteration it came at, 0 before the first.
    pub iteration: u32,
}

/// One of the three terms of the total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Content,
    Style,
    Smoothness,
}

impl Part {
    /// Its name, as the screen shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Style => "style",
            Self::Smoothness => "smoothness",
        }
    }
}

/// A weight that can be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub part: Part,
    pub item: RowItem,
}

/// What of its part a weight belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowItem {
    /// All of it.
    Term,
    Layer(Layer),
    /// The content's edges.
    Laplacian,
    /// One of several styles, counted from 0.
    Style(usize),
}

impl Row {
    /// The row of a whole part.
    pub fn term(part: Part) -> Self {
        Self {
            part,
            item: RowItem::Term,
        }
    }
}

impl App {
    /// What keys mean now.
    pub fn context(&self) -> Context {
        match (&self.overlay, self.focus) {
            _ if self.full_screen => Context::FullScreen,
            (Some(Overlay::Leave), _) => Context::Leaving,
            (Some(_), _) => Context::Overlay,
            (None, Pane::Layers) => Context::Layers,
            (None, Pane::Losses) => Context::Losses,
            (None, Pane::Picture) => Context::Picture,
        }
    }

    /// The state before the run reported anything.
    pub fn new(plan: &Plan) -> Self {
        let name = |path: &Path| display_path(Path::new(path.file_name().unwrap_or_default()));
        Self {
            content: name(plan.content.path()),
            styles: plan.styles().map(|style| name(style.path())).collect(),
            output: plan.output.clone(),
            device: None,
            memory: None,
            sizes: Vec::new(),
            phase: Phase::Preparing(Preparation::default()),
            step: None,
            speed: None,
            left: None,
            history: History::default(),
            chart: ChartState::default(),
            preset: plan.preset.clone(),
            base: plan.preset.clone(),
            overrides: plan.overrides.clone(),
            undo: Vec::new(),
            redo: Vec::new(),
            muted: BTreeMap::new(),
            focus: Pane::Layers,
            row: 0,
            typed: None,
            overlay: None,
            zoomed: false,
            full_screen: false,
            messages: VecDeque::new(),
            clock: 0.0,
            drawn_as: String::new(),
            bytes_per_second: 0.0,
            log: None,
            leaving: false,
            interrupted: false,
            remote: None,
            unanswered: 0,
            restarting: false,
        }
    }

    /// The preset as a new run would take it: the weights as they are, and
    /// what only a new run can adopt as it was last asked for.
    pub fn preset_of_new_run(&self) -> Preset {
        self.preset.clone().for_a_run_like(&self.base)
    }

    /// The names of the styles in one line.
    pub fn style_names(&self) -> String {
        self.styles.join(" + ")
    }

    /// Whether a weight differs from the preset's.
    pub fn is_edited(&self, row: Row) -> bool {
        weight_in(&self.base, row) != weight_in(&self.preset, row)
    }

    /// Whether anything was edited since the preset was applied.
    pub fn has_edits(&self) -> bool {
        self.preset_of_new_run() != self.base
    }

    /// The message that is still news.
    pub fn news(&self) -> Option<&Note> {
        let note = self.messages.back()?;
        let lasts = if note.warning { WARNING_NEWS } else { NEWS };
        (self.clock - note.at < lasts).then_some(note)
    }

    /// Every weight, in the order of the pane.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (part, term) in [
            (Part::Content, &self.preset.content.term),
            (Part::Style, &self.preset.style.term),
        ] {
            rows.push(Row::term(part));
            rows.extend(term.layers.keys().map(|layer| Row {
                part,
                item: RowItem::Layer(*layer),
            }));
            if part == Part::Content && self.has_laplacian() {
                rows.push(Row {
                    part,
                    item: RowItem::Laplacian,
                });
            }
        }
        if self.styles.len() > 1 {
            rows.extend((0..self.styles.len()).map(|index| Row {
                part: Part::Style,
                item: RowItem::Style(index),
            }));
        }
        rows.push(Row::term(Part::Smoothness));
        rows
    }

    /// Whether the content's edges count, or did before they were edited or muted.
    fn has_laplacian(&self) -> bool {
        let row = Row {
            part: Part::Content,
            item: RowItem::Laplacian,
        };
        self.preset.content.laplacian > 0.0
            || self.base.content.laplacian > 0.0
            || self.muted.contains_key(&row)
    }

    /// Selects a row where it is now, or the one in its place.
    pub fn select_row(&mut self, row: Option<Row>) {
        let rows = self.rows();
        let found = rows.iter().position(|it| Some(*it) == row);
        self.row = found.unwrap_or(self.row).min(rows.len().saturating_sub(1));
    }

    /// The keys of the preset that the list of settings has.
    pub fn settings(&self) -> Vec<Setting> {
        Setting::all(&self.preset, self.styles.len())
    }

    /// The one that is selected there.
    pub fn selected_setting(&self) -> Option<Setting> {
        match &self.overlay {
            Some(Overlay::Settings(editor)) => self.settings().into_iter().nth(editor.selected),
            _ => None,
        }
    }

    /// The row that keys act on.
    pub fn selected_row(&self) -> Option<Row> {
        self.rows().get(self.row).copied()
    }

    /// The weight of a row.
    pub fn weight(&self, row: Row) -> f64 {
        weight_in(&self.preset, row).unwrap_or(0.0)
    }

    /// Sets the weight of a row, remembering the preset as it was.
    pub fn set_weight(&mut self, row: Row, weight: f64) {
        self.remember();
        let count = self.styles.len();
        let preset = &mut self.preset;
        let term = match row.part {
            Part::Content => &mut preset.content.term,
            Part::Style => &mut preset.style.term,
            Part::Smoothness => {
                preset.smoothness.weight = weight;
                return;
            }
        };
        match row.item {
            RowItem::Term => term.weight = weight,
            RowItem::Layer(layer) => drop(term.layers.insert(layer, weight)),
            RowItem::Laplacian => preset.content.laplacian = weight,
            RowItem::Style(index) => {
                let weights = &mut preset.style.blend_weights;
                // A style without an entry has the weight 1.
                weights.resize(weights.len().max(count), 1.0);
                if let Some(own) = weights.get_mut(index) {
                    *own = weight;
                }
            }
        }
    }

    /// Takes a row's layer out of its part, remembering the preset as it was.
    /// False if the row is no layer.
    pub fn remove_layer(&mut self, row: Row) -> bool {
        let RowItem::Layer(layer) = row.item else {
            return false;
        };
        self.remember();
        match row.part {
            Part::Content => drop(self.preset.content.layers.remove(&layer)),
            Part::Style => drop(self.preset.style.layers.remove(&layer)),
            Part::Smoothness => {}
        }
        self.row = self.row.min(self.rows().len().saturating_sub(1));
        true
    }

    /// The network's layers that a part lacks, in their order.
    pub fn missing_layers(&self, part: Part) -> Vec<Layer> {
        let there = match part {
            Part::Content => &self.preset.content.layers,
            Part::Style => &self.preset.style.layers,
            Part::Smoothness => return Vec::new(),
        };
        let all = self.preset.network.layers();
        all.filter(|layer| !there.contains_key(layer)).collect()
    }

    /// Puts the preset as it is on the pile of what can be undone.
    pub fn remember(&mut self) {
        if self.undo.len() >= MAX_UNDO {
            self.undo.remove(0);
        }
        self.undo.push(self.preset.clone());
        self.redo.clear();
    }

    /// The share of a row in the total, from 0 to 1, by the last step's losses
    /// and the weights as they are now; of one of several styles, its share in the style.
    pub fn share(&self, row: Row) -> Option<f64> {
        let step = self.step.as_ref()?;
        if let RowItem::Style(index) = row.item {
            let shares = self.preset.style.shares(self.styles.len());
            return shares.get(index).copied();
        }
        let layer = |row: Row| {
            let (term, losses) = match row.part {
                Part::Content => (&self.preset.content.term, &step.layers.content),
                Part::Style => (&self.preset.style.term, &step.layers.style),
                Part::Smoothness => return step.smoothness,
            };
            match row.item {
                // A layer that is new has no loss before the next step.
                RowItem::Layer(layer) => {
                    losses.get(&layer).copied().unwrap_or(0.0) * term.factor(layer)
                }
                RowItem::Laplacian => {
                    step.layers.laplacian.unwrap_or(0.0) * self.preset.content.laplacian
                }
                RowItem::Term | RowItem::Style(_) => 0.0,
            }
        };
        let rows = self.rows();
        let total: f64 = rows.iter().copied().map(layer).sum();
        let own: f64 = match row {
            Row {
                part: Part::Content | Part::Style,
                item: RowItem::Term,
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

    /// Whether another terminal controls the run.
    pub fn is_watching(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| !remote.steers)
    }

    /// Adopts the preset that the run continues with at another's word. What
    /// was to be undone here is no longer what it was.
    pub fn adopt(&mut self, preset: Preset) {
        if preset == self.preset {
            return;
        }
        if preset.name != self.preset.name {
            self.base = preset.clone();
        }
        self.preset = preset;
        self.undo.clear();
        self.redo.clear();
        self.muted.clear();
        self.row = self.row.min(self.rows().len().saturating_sub(1));
    }

    /// Tells the user something.
    pub fn note(&mut self, text: impl Into<String>, warning: bool) {
        if self.messages.len() >= MAX_MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(Note {
            text: text.into(),
            warning,
            at: self.clock,
            iteration: self.step.as_ref().map_or(0, |step| step.iteration),
        });
    }
}

/// The weight of a row in a preset; none where it has no such layer.
fn weight_in(preset: &Preset, row: Row) -> Option<f64> {
    let term = match row.part {
        Part::Content => &preset.content.term,
        Part::Style => &preset.style.term,
        Part::Smoothness => return Some(preset.smoothness.weight),
    };
    match row.item {
        RowItem::Term => Some(term.weight),
        RowItem::Layer(layer) => term.layers.get(&layer).copied(),
        RowItem::Laplacian => Some(preset.content.laplacian),
        RowItem::Style(index) => {
            let weights = &preset.style.blend_weights;
            Some(weights.get(index).copied().unwrap_or(1.0))
        }
    }
}
