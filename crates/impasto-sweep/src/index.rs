//! `sweep.json`: the definition and where every cell stands.

use std::fmt::Write as _;

use impasto_runs::{Losses, RunStatus};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::definition::{Cell, Definition, Value, plain};

/// The number of the format that this version writes and reads.
pub const FORMAT: u64 = 1;

/// A sweep as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// [`FORMAT`].
    pub format: u64,
    /// The version of impasto that wrote it.
    pub impasto: String,
    pub definition: Definition,
    pub cells: Vec<CellEntry>,
}

/// One cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellEntry {
    /// Counted from 0.
    pub number: usize,
    /// The path of the content.
    pub content: String,
    /// The path of the style; of several, with ` + ` between them.
    pub style: String,
    /// The varied keys with their values here.
    pub values: Map<String, Value>,
    pub state: CellState,
    /// The losses of the saved picture or, before there is one, of the last iteration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losses: Option<Losses>,
    /// See `impasto measure --scores`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub scores: Map<String, Value>,
    /// Iterations done, and in all.
    #[serde(default)]
    pub iteration: u32,
    #[serde(default)]
    pub iterations: u32,
    /// Seconds of painting.
    #[serde(default)]
    pub seconds: f64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The picture, as a path in the sweep's folder; none before there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
}

impl CellEntry {
    /// A cell before anybody began it.
    pub fn waiting(cell: &Cell) -> Self {
        let styles = cell.styles.iter().map(|style| style.path.as_str());
        Self {
            number: cell.number,
            content: cell.content.clone(),
            style: styles.collect::<Vec<_>>().join(" + "),
            values: cell.values.iter().cloned().collect(),
            state: CellState::Waiting,
            losses: None,
            scores: Map::new(),
            iteration: 0,
            iterations: 0,
            seconds: 0.0,
            message: None,
            picture: None,
        }
    }
}

/// Where a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellState {
    /// Nobody has begun it.
    Waiting,
    Painting,
    Paused,
    /// Its process ended before it did; it is resumed from its checkpoint.
    Interrupted,
    /// It was stopped early; the picture so far is saved, and it can be resumed.
    Stopped,
    Done,
    Failed,
}

impl CellState {
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::Painting,
        Self::Paused,
        Self::Interrupted,
        Self::Stopped,
        Self::Failed,
        Self::Waiting,
    ];

    /// Whether it is not painted any more, however it went.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Painting => "painting",
            Self::Paused => "paused",
            Self::Interrupted => "interrupted",
            Self::Stopped => "stopped",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl From<RunStatus> for CellState {
    fn from(status: RunStatus) -> Self {
        match status {
            RunStatus::Painting => Self::Painting,
            RunStatus::Paused => Self::Paused,
            // A state that cannot be read is painted again from the last checkpoint.
            RunStatus::Interrupted | RunStatus::Unknown => Self::Interrupted,
            RunStatus::Finished => Self::Done,
            RunStatus::Stopped => Self::Stopped,
            RunStatus::Failed => Self::Failed,
        }
    }
}

impl Index {
    /// How many cells are in each state, those without any left out.
    pub fn counts(&self) -> Vec<(CellState, usize)> {
        let count = |state| self.cells.iter().filter(|cell| cell.state == state).count();
        let counts = CellState::ALL.map(|state| (state, count(state)));
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Whether nothing is left to paint.
    pub fn is_done(&self) -> bool {
        self.cells.iter().all(|cell| cell.state == CellState::Done)
    }

    /// The cells as comma-separated values, with a line of headings.
    pub fn csv(&self) -> String {
        let keys = self.definition.varied_keys();
        let mut scores: Vec<&String> = Vec::new();
        for cell in &self.cells {
            for name in cell.scores.keys() {
                if !scores.contains(&name) {
                    scores.push(name);
                }
            }
        }
        let mut text = String::from("number,content,style");
        for key in &keys {
            let _ = write!(text, ",{}", quoted(key));
        }
        text += ",state,iterations,seconds,content_loss,style_loss,smoothness_loss,total_loss";
        for name in &scores {
            let _ = write!(text, ",{name}");
        }
        text.push('\n');
        for cell in &self.cells {
            let CellEntry {
                number,
                content,
                style,
                state,
                iteration,
                seconds,
                ..
            } = cell;
            let _ = write!(text, "{number},{},{}", quoted(content), quoted(style));
            for key in &keys {
                let value = cell.values.get(key).map(plain).unwrap_or_default();
                let _ = write!(text, ",{}", quoted(&value));
            }
            let _ = write!(text, ",{},{iteration},{seconds:.3}", state.word());
            match &cell.losses {
                Some(losses) => {
                    let Losses {
                        content,
                        style,
                        smoothness,
                        total,
                    } = losses;
                    let _ = write!(text, ",{content},{style},{smoothness},{total}");
                }
                None => text += ",,,,",
            }
            for name in &scores {
                let value = cell.scores.get(*name).map(plain).unwrap_or_default();
                let _ = write!(text, ",{value}");
            }
            text.push('\n');
        }
        text
    }
}

/// A field of comma-separated values (RFC 4180). A spreadsheet would take a leading `=` or
/// the like for a formula, so such a text gets a blank before it.
fn quoted(text: &str) -> String {
    let number = text.parse::<f64>().is_ok();
    let formula = !number && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = match formula {
        true => format!(" {text}"),
        false => text.to_owned(),
    };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}
