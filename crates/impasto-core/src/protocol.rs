//! What the engine and its front ends say to each other.
//!
//! Plain data on both sides, without tensors and without a terminal, so that
//! the engine can sit behind a channel today and behind a socket tomorrow.
//! The dashboard, the headless run and the recorder are all readers of the
//! same [`Event`]s and writers of the same [`Command`]s.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::{Deserialize, Serialize};

use crate::job::{Recipe, Size};
use crate::preset::{Layer, Preset};

/// The steps of a preparation before the first iteration: the processor, the
/// network, and the two pictures to compare with.
pub const FIRST_STEPS: u32 = 4;

/// What a front end may ask of a run. The worker reads commands between any
/// two iterations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Hold still after the iteration in hand.
    Pause,
    Resume,
    /// Do one iteration, then pause.
    Step,
    /// Save the picture so far and end the run.
    Stop,
    /// Go on with this preset: weights change in place, layers that are new
    /// get their targets computed. Answered by [`Event::Changed`], or by a
    /// [`Event::Notice`] when the change needs a new run.
    Change(Box<Preset>),
    /// Put the picture as it is into the [`PreviewSlot`], no larger than this.
    Preview {
        width: u32,
        height: u32,
    },
    /// Write the picture as it is to a file and continue.
    Snapshot {
        output: PathBuf,
    },
    /// End the run as [`Command::Stop`] does, and begin another with the same
    /// pictures and this preset. Heard after the end of a run too. Answered by
    /// [`Event::Restarting`], then as a new run is.
    Restart {
        preset: Box<Preset>,
        from: RestartFrom,
        /// Where the new run's picture goes.
        output: PathBuf,
    },
}

/// What a new run begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartFrom {
    /// What the preset says.
    Start,
    /// The picture as it is, at the first scale that is no smaller.
    Here,
}

/// What a run reports. As JSON, one object a line, `event` names the kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A step of the preparation begins, such as reading the weights or
    /// computing a scale's targets.
    Preparing {
        what: String,
        /// Which step this is, from 1, of how many until painting begins or
        /// continues.
        step: u32,
        of: u32,
    },
    /// All is ready; the first iteration follows.
    Started {
        job: Box<Recipe>,
        output: PathBuf,
        device: String,
        /// Every scale, in order.
        sizes: Vec<Size>,
    },
    Step(Step),
    Paused {
        iteration: u32,
    },
    Resumed {
        iteration: u32,
    },
    /// The run continues with this preset.
    Changed {
        iteration: u32,
        preset: Box<Preset>,
    },
    /// Something the user should know; the run continues.
    Notice {
        iteration: u32,
        message: String,
    },
    /// The memory in use, now and then.
    Memory(Memory),
    /// The run is over, and another begins: its picture, if it had one, is
    /// saved. Iterations count from 1 again.
    Restarting {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<PathBuf>,
    },
    /// A snapshot was written.
    Saved {
        iteration: u32,
        output: PathBuf,
    },
    /// The run is over and the picture is saved.
    Finished {
        /// Where the picture is; none if the run was stopped before its first
        /// iteration, when there was nothing to save.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<PathBuf>,
        iterations: u32,
        elapsed: f64,
        /// Whether it was stopped early.
        #[serde(default)]
        stopped: bool,
        /// The step whose image was saved, with the losses of that image.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        saved: Option<Box<Step>>,
    },
    /// The run is over and went wrong.
    Failed {
        message: String,
        /// The picture so far, where one could be saved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<PathBuf>,
        /// What was asked for cannot be done here: a device, a network or a file
        /// is wrong. The exit code says so.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
    },
}

/// One iteration: the losses of the accepted image. `content`, `style` and
/// `smoothness` carry their weights already: they add up to `total`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Counted over the whole run, from 1.
    pub iteration: u32,
    /// Which scale of the schedule, from 1.
    pub scale: u32,
    pub width: u32,
    pub height: u32,
    pub content: f64,
    pub style: f64,
    pub smoothness: f64,
    pub total: f64,
    /// The total of an image that the optimizer tried in this iteration and
    /// rejected: the losses beside it are those of the image before, from which
    /// it continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_total: Option<f64>,
    /// Seconds of painting since the run began, pauses left out.
    pub elapsed: f64,
    /// Each layer's loss before any weight.
    pub layers: LayerLosses,
}

/// Memory where the painting is done: the GPU's, or this process's part of the
/// machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub used_bytes: u64,
    pub total_bytes: u64,
}

/// The losses of single layers, before any weight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerLosses {
    pub content: BTreeMap<Layer, f64>,
    pub style: BTreeMap<Layer, f64>,
    /// The difference of the edges, where the preset compares them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub laplacian: Option<f64>,
}

/// The picture as it was at one iteration, scaled down for looking at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    pub iteration: u32,
    pub width: u32,
    pub height: u32,
    /// `3 * width * height` bytes, RGB, rows from the top.
    pub rgb: Vec<u8>,
}

/// Where the worker leaves previews: the latest one wins.
#[derive(Clone, Debug, Default)]
pub struct PreviewSlot {
    slot: Arc<Mutex<Option<Preview>>>,
    arrived: Notify,
}

impl PreviewSlot {
    /// Takes the latest preview, if there is one that was not yet taken.
    pub fn take(&self) -> Option<Preview> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.take()
    }

    /// Puts a preview, replacing one that nobody took.
    pub fn put(&self, preview: Preview) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(preview);
        self.arrived.notify();
    }

    /// Receives a message after a preview was put.
    pub fn arrivals(&self) -> &Receiver<()> {
        self.arrived.notified()
    }
}

/// Wakes one waiting thread, or the next one that waits. Notifications do not add
/// up. Clones are the same.
#[derive(Clone, Debug)]
pub struct Notify {
    sender: Sender<()>,
    receiver: Receiver<()>,
}

impl Default for Notify {
    fn default() -> Self {
        let (sender, receiver) = bounded(1);
        Self { sender, receiver }
    }
}

impl Notify {
    pub fn notify(&self) {
        // A full channel has a notification in it already.
        let _ = self.sender.try_send(());
    }

    /// Receives a message for one or more notifications. Never disconnected.
    pub fn notified(&self) -> &Receiver<()> {
        &self.receiver
    }
}

/// A front end's end of the line to a run.
#[derive(Debug)]
pub struct Link {
    pub commands: Sender<Command>,
    pub events: Receiver<Event>,
    pub preview: PreviewSlot,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_one_flat_json_object() {
        let step = Step {
            iteration: 3,
            scale: 1,
            width: 4,
            height: 2,
            content: 1.0,
            style: 2.0,
            smoothness: 0.5,
            total: 3.5,
            rejected_total: None,
            elapsed: 0.25,
            layers: LayerLosses::default(),
        };
        let json = serde_json::to_value(Event::Step(step.clone())).unwrap();
        assert_eq!(json["event"], "step");
        assert_eq!(json["iteration"], 3);
        assert_eq!(json["total"], 3.5);
        assert_eq!(
            serde_json::from_value::<Event>(json).unwrap(),
            Event::Step(step)
        );
    }

    #[test]
    fn the_latest_preview_wins() {
        let slot = PreviewSlot::default();
        let preview = |iteration| Preview {
            iteration,
            width: 1,
            height: 1,
            rgb: vec![0; 3],
        };
        slot.put(preview(1));
        slot.put(preview(2));
        assert_eq!(slot.take(), Some(preview(2)));
        assert_eq!(slot.take(), None);
    }
}
