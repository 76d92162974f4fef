//! `state.json`: where a run stands. Written again and again by the process
//! that paints, and read by all others.

use std::path::PathBuf;

use impasto_core::protocol::Step;
use serde::{Deserialize, Serialize};

use super::{Folder, clock, files};

/// Its name in the run's folder.
pub(super) const FILE: &str = "state.json";

/// What a run does, as the process that paints it last said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It paints, or makes ready to.
    Painting,
    Paused,
    Finished,
    /// It was stopped early.
    Stopped,
    Failed,
    /// What was written cannot be read.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunProgress {
    pub state: RunState,
    /// Iterations done.
    pub iteration: u32,
    /// Iterations in all, over every scale.
    pub iterations: u32,
    /// The scale in hand, from 1; 0 before the first.
    pub scale: u32,
    /// How many scales there are.
    pub scales: u32,
    /// The size of the painting in pixels; 0 before it is known.
    pub width: u32,
    pub height: u32,
    /// The losses of the last iteration, where they are numbers.
    pub losses: Option<Losses>,
    /// Seconds of painting, pauses left out.
    pub elapsed: f64,
    /// When this was written, in seconds after the beginning of 1970.
    pub updated: u64,
    /// What went wrong, or what else there is to say.
    pub message: Option<String>,
    /// Where the finished picture was saved.
    #[serde(with = "super::record::path::optional")]
    pub output: Option<PathBuf>,
    /// SHA-256 of the picture that this run saved last outside its folder.
    pub output_sha256: Option<String>,
}

/// The weighted losses of one iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    pub content: f64,
    pub style: f64,
    pub smoothness: f64,
    pub total: f64,
}

impl RunProgress {
    /// The state of a run that has just been made.
    pub fn new(iterations: u32, scales: u32) -> Self {
        Self {
            state: RunState::Painting,
            iterations,
            scales,
            updated: clock::now(),
            ..Self::default()
        }
    }

    /// Takes in an iteration.
    pub fn note(&mut self, step: &Step) {
        self.iteration = step.iteration;
        self.scale = step.scale;
        (self.width, self.height) = (step.width, step.height);
        self.elapsed = step.elapsed;
        self.note_losses(step);
    }

    /// Takes in the losses of an iteration, such as the one whose picture was
    /// saved.
    pub fn note_losses(&mut self, step: &Step) {
        let losses = [step.content, step.style, step.smoothness, step.total];
        // JSON knows no others.
        self.losses = losses
            .iter()
            .all(|loss| loss.is_finite())
            .then_some(Losses {
                content: step.content,
                style: step.style,
                smoothness: step.smoothness,
                total: step.total,
            });
    }

    /// Reads a state; one that is missing or damaged is unknown.
    pub(super) fn read(folder: &Folder) -> Self {
        let bytes = folder.read(FILE, files::MAX_TEXT).unwrap_or_default();
        let state: Self = serde_json::from_slice(&bytes).unwrap_or_default();
        match state.elapsed.is_finite() && state.elapsed >= 0.0 {
            true => state,
            false => Self::default(),
        }
    }
}

/// How a run is doing, by what was written and by whether anybody paints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    Painting,
    Paused,
    /// Nobody paints it, and it did not end: it can be resumed.
    Interrupted,
    Finished,
    Stopped,
    Failed,
    Unknown,
}

impl RunStatus {
    pub(super) fn of(state: RunState, painted: bool) -> Self {
        match (state, painted) {
            (RunState::Finished, _) => Self::Finished,
            (RunState::Stopped, _) => Self::Stopped,
            (RunState::Failed, _) => Self::Failed,
            (RunState::Paused, true) => Self::Paused,
            (RunState::Painting | RunState::Unknown, true) => Self::Painting,
            (RunState::Painting | RunState::Paused, false) => Self::Interrupted,
            (RunState::Unknown, false) => Self::Unknown,
        }
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Painting => "painting",
            Self::Paused => "paused",
            Self::Interrupted => "interrupted",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}
