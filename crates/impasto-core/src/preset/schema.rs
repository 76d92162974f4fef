//! The parts of a preset: the types, their defaults and how they are written.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Serialize, Serializer, ser};

use super::network::Layer;

/// A value that a preset names by one word.
///
/// The words are the same for reading, writing, messages and help.
pub trait Word: Copy + 'static {
    /// What the word stands for, in a message: "pooling".
    const WHAT: &'static str;
    /// Every value.
    const ALL: &'static [Self];
    /// The word for this value.
    fn word(self) -> &'static str;
}

/// How the network halves its feature maps between blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// `max`: the largest of each 2×2, as the network was trained.
    Max,
    /// `average`: the mean of each 2×2, which gives smoother pictures.
    Average,
}

impl Word for Pooling {
    const WHAT: &'static str = "pooling";
    const ALL: &'static [Self] = &[Self::Max, Self::Average];

    fn word(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::Average => "average",
        }
    }
}

/// A loss that compares feature maps: the content term or the style term.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Term {
    /// What the sum over the layers is multiplied by: finite, 0 to 1e30.
    pub weight: f64,
    /// The layers compared, and the weight of each. None: the term is off.
    pub layers: BTreeMap<Layer, f64>,
}

impl Term {
    /// The largest weight a preset may give.
    pub const MAX: f64 = 1e30;

    /// What a layer's loss is multiplied by in the total: the term's weight times the
    /// layer's. 0 for a layer that is not compared.
    pub fn factor(&self, layer: Layer) -> f64 {
        self.weight * self.layers.get(&layer).copied().unwrap_or(0.0)
    }

    /// Whether the term adds nothing: no layers, or no weight on any.
    pub fn is_off(&self) -> bool {
        self.weight == 0.0 || self.layers.values().all(|&weight| weight == 0.0)
    }
}

/// The loss that favours smooth pictures: their total variation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Smoothness {
    /// What (Σ|dx| + Σ|dy|) / (3·H·W) of the pixels, taken from 0 to 1, is
    /// multiplied by: finite, 0 to 1e30. Zero: off.
    pub weight: f64,
}

/// The method that moves the pixels downhill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptimizerKind {
    /// `lbfgs`: limited-memory Broyden, Fletcher, Goldfarb and Shanno. Fewer
    /// iterations, more memory.
    Lbfgs,
    /// `adam`: moments of the gradient. Steadier, lean on memory.
    Adam,
}

impl OptimizerKind {
    /// The rate to start from: 1 for L-BFGS, 0.02 (of pixels from 0 to 1) for Adam.
    pub fn default_rate(self) -> f64 {
        match self {
            Self::Lbfgs => 1.0,
            Self::Adam => 0.02,
        }
    }
}

impl Word for OptimizerKind {
    const WHAT: &'static str = "optimizer";
    const ALL: &'static [Self] = &[Self::Lbfgs, Self::Adam];

    fn word(self) -> &'static str {
        match self {
            Self::Lbfgs => "lbfgs",
            Self::Adam => "adam",
        }
    }
}

/// The optimiser and its settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Optimizer {
    /// The method.
    pub kind: OptimizerKind,
    /// The step length: above 0, at most 1000. Its default depends on the kind.
    pub rate: f64,
    /// How many past steps L-BFGS remembers, 1 to 1000; Adam ignores it. Each
    /// takes twice the memory of the picture in 32-bit floats.
    pub history: usize,
}

impl Optimizer {
    /// The largest rate a preset may give.
    pub const MAX_RATE: f64 = 1e3;
    /// The longest history a preset may give.
    pub const MAX_HISTORY: usize = 1000;

    /// An optimiser with the defaults for its kind.
    pub fn new(kind: OptimizerKind) -> Self {
        Self {
            kind,
            rate: kind.default_rate(),
            history: 100,
        }
    }
}

/// One level of the resolution pyramid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Scale {
    /// The long side of the picture in pixels: 16 to 16384.
    pub size: u32,
    /// How many iterations to spend at this size: 1 to 1,000,000.
    pub iterations: u32,
}

impl Scale {
    /// The smallest long side: what is left after four poolings is one pixel.
    pub const MIN_SIZE: u32 = 16;
    /// The largest long side.
    pub const MAX_SIZE: u32 = 16_384;
    /// The most iterations at one size.
    pub const MAX_ITERATIONS: u32 = 1_000_000;
    /// The most scales in one schedule.
    pub const MAX: usize = 64;
}

impl Default for Scale {
    fn default() -> Self {
        Self {
            size: 512,
            iterations: 200,
        }
    }
}

/// The picture that the first iteration changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// `content`: the content picture.
    Content,
    /// `noise`: random pixels, drawn from the preset's seed.
    Noise,
    /// `style`: the style picture.
    Style,
    /// The path of a picture, taken from the working directory.
    File(PathBuf),
}

impl Start {
    /// The words that are no paths.
    pub(super) const WORDS: [(&'static str, Self); 3] = [
        ("content", Self::Content),
        ("noise", Self::Noise),
        ("style", Self::Style),
    ];

    /// The longest path, in characters.
    pub(super) const MAX_PATH: usize = 4096;

    /// Whether a preset's text means a path rather than a word.
    ///
    /// A mistyped word should not end as "no such file", so a path shows itself
    /// by a `/` or a `.`.
    pub(super) fn is_path(text: &str) -> bool {
        text.contains(['/', '.'])
    }
}

/// Writes a one-word value as its word.
fn serialize_word<T: Word, S: Serializer>(value: T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.word())
}

impl Serialize for Pooling {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_word(*self, serializer)
    }
}

impl Serialize for OptimizerKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_word(*self, serializer)
    }
}

impl Serialize for Start {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let path = match self {
            Self::File(path) => path,
            word => {
                let named = Self::WORDS.iter().find(|(_, start)| start == word);
                return serializer.serialize_str(named.map_or("content", |(name, _)| name));
            }
        };
        match path.to_str() {
            None | Some("") => Err(ser::Error::custom("the path in `start` is not plain text")),
            Some(text) if Self::is_path(text) => serializer.serialize_str(text),
            // A file called `noise` must not come back as the word.
            Some(_) => Path::new(".").join(path).serialize(serializer),
        }
    }
}
