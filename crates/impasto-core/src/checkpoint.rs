//! Checkpoints: the state that a painter needs to resume, as plain data, and the
//! traits for storing it.
//!
//! The engine creates and restores checkpoints. [`CheckpointStore`] and [`PictureStore`]
//! hide where they are stored, such as in a run folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::job::{Input, Size};
use crate::picture::Picture;
use crate::preset::{OutputSettings, Preset};
use crate::protocol::Step;

/// The progress of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The preset as it was edited.
    pub preset: Preset,
    /// The picture that the run began with, if the preset names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Input>,
    pub output: PathBuf,
    /// Every scale, as memory allows it.
    pub sizes: Vec<Size>,
    /// The side of the tiles, where there are any.
    pub tile: Option<u32>,
    /// Which scale is being painted, from 0.
    pub scale: u32,
    /// Iterations done in the run and in the scale.
    pub iteration: u32,
    pub in_scale: u32,
    /// How many iterations had losses that were not finite.
    pub failures: u32,
    /// Seconds of painting.
    pub elapsed: f64,
    /// The last step of this scale whose image the optimizer accepted, and the
    /// one whose image has the lowest total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Box<Step>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Box<Step>>,
}

/// The state of an image and its optimizer: scalars and arrays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// The bits of float64 numbers.
    pub numbers: BTreeMap<String, u64>,
    pub arrays: Vec<Array>,
    /// Arrays whose values never change: each is stored once, by its name.
    pub frozen: Vec<Array>,
}

/// An n-dimensional array of float32 or float64.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub name: String,
    pub shape: Vec<i64>,
    /// Whether they are float64 rather than float32.
    pub wide: bool,
    /// The values, little-endian; none for an array that is kept already.
    pub bytes: Vec<u8>,
}

impl Array {
    /// One that is on the disk already.
    pub fn kept(name: String) -> Self {
        Self {
            name,
            shape: Vec::new(),
            wide: false,
            bytes: Vec::new(),
        }
    }
}

/// A checkpoint as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub position: Position,
    pub contents: Contents,
    /// What the user should know about it, such as that the newest was broken.
    pub notice: Option<String>,
}

/// Where checkpoints are written, on a thread of its own.
pub trait CheckpointStore: Send {
    /// The names of the frozen arrays that are stored already.
    fn frozen(&self) -> BTreeSet<String>;

    /// Stores a checkpoint beside the one before.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(&mut self, position: &Position, contents: &Contents) -> io::Result<()>;

    /// Stores a small picture of how far the run is.
    ///
    /// # Errors
    /// When it cannot be written, in words for the user.
    fn write_preview(&mut self, picture: &Picture) -> Result<(), String>;
}

/// Where a run's own copies of its pictures are saved.
pub trait PictureStore: Send {
    /// Saves the finished picture with its recipe. Returns where it is.
    ///
    /// # Errors
    /// When it cannot be written, in words for the user.
    fn save_result(
        &self,
        picture: &Picture,
        recipe: &str,
        settings: &OutputSettings,
    ) -> Result<PathBuf, String>;

    /// Saves the picture as it is after `iteration`. Returns where it is.
    ///
    /// # Errors
    /// When it cannot be written, in words for the user.
    fn save_snapshot(
        &self,
        iteration: u32,
        picture: &Picture,
        recipe: &str,
        settings: &OutputSettings,
    ) -> Result<PathBuf, String>;
}

/// Where a run is kept while it is painted, and what it resumes from.
pub struct RunStorage {
    pub checkpoints: Box<dyn CheckpointStore>,
    pub pictures: Box<dyn PictureStore>,
    /// The checkpoint to resume from.
    pub from: Option<Checkpoint>,
}
