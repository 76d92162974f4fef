//! What a run is made of: its schema, its defaults, its checks, and where presets
//! live. Nothing here knows the tensor library or the terminal.
//!
//! A preset is a YAML mapping. Every key may be left out and then has its default:
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `name` | the file's stem | what the preset is called: 1 to 64 characters |
//! | `description` | empty | what it is for, in a sentence: up to 1000 characters |
//! | `network` | `vgg16` | the network whose feature maps are compared: `vgg16`, `vgg19`, or the name of an imported one |
//! | `pooling` | `max` | `average` or `max`, between the network's blocks |
//! | `content.weight` | 5 | how much the content picture counts: 0 to 1e30 |
//! | `content.layers` | `{relu4_2: 1}` | the layers it is compared in, with their weights |
//! | `style.weight` | 50 | how much the style picture counts: 0 to 1e30 |
//! | `style.layers` | `relu1_1`, `relu2_1`, `relu3_1`, `relu4_1`, `relu5_1`, each 1 | the layers it is compared in, with their weights |
//! | `content.laplacian` | 0 | how much the edges of the content count: 0 to 1e30 |
//! | `style.statistic` | `gram` | what is compared in the layers: `gram`, `mean-std`, `covariance` or `histogram`; or a mapping of layers to these, with `default` for the others |
//! | `style.shift` | 0 | added to every feature before it enters a Gram matrix: -1e6 to 1e6 |
//! | `style.scale` | 1 | the size at which the styles are looked at, as a multiple of the picture's: 0.1 to 4; a list has one for each style |
//! | `style.blend` | `target` | how several styles become one: `target` or `losses` |
//! | `style.blend_weights` | `[]` | the weight of each style: 0 to 1e30, 1 where there is none |
//! | `style.guides` | `resized` | how masks reach the layers: `resized` or `inside` |
//! | `colour` | `style` | where the colours come from: `style`, `content`, `luminance`, `match-cholesky`, `match-pca`, `match-symmetric` or `match-histogram` |
//! | `masks` | `[]` | which style paints where: `{file: sky.png, style: 1}`, and `region: part.png` for a part of the style |
//! | `smoothness.weight` | 10000 | how much the total variation counts: 0 to 1e30 |
//! | `smoothness.norm` | `l1` | `l1`, `l2` or `nine-point` |
//! | `normalize_gradients` | false | whether every layer's own gradient is divided by its L1 norm |
//! | `average` | 0 | the decay of the exponential moving average of all images that `adam` gives as its result: 0 (off) to 0.9999 |
//! | `optimizer.kind` | `lbfgs` | `lbfgs` or `adam`; `optimizer: adam` for short |
//! | `optimizer.rate` | 1 for `lbfgs`, 0.02 for `adam` | the step length: above 0, at most 1000 |
//! | `optimizer.history` | 100 | the steps that `lbfgs` remembers: 1 to 1000 |
//! | `schedule` | 128, 256 and 512 pixels, 60, 50 and 260 iterations | the scales, one after another: 1 to 64 |
//! | `schedule.N.size` | 512 | the long side in pixels: 16 to 16384 |
//! | `schedule.N.iterations` | 200 | the iterations at that size: 1 to 1000000 |
//! | `start` | `content` | `content`, `noise`, `style`, a colour such as `#808080`, or the path of a picture |
//! | `start_noise` | 0 | the share of noise that is blended into the start: 0 to 1 |
//! | `seed` | 0 | the seed of all random numbers: 0 to 2⁶⁴ − 1 |
//! | `finish` | 0 each | what is done to the painted picture: `denoise`, `match_colours`, `brightness`, `contrast`, `saturation`, `sharpen`, `grain` |
//! | `output.depth` | 8 | bits a channel of a PNG or TIFF: 8 or 16 |
//! | `output.quality` | 95 | the quality of a JPEG: 1 to 100 |
//! | `output.dpi` | 0 | dots per inch, for printing: 0 (none) to 10000 |
//!
//! `layers` replaces the default layers altogether. It may be a list, which gives
//! each layer the weight 1, and may be empty, which turns the term off.
//!
//! The losses that the weights multiply are means, so that a preset's balance is
//! the same at every size: the content loss of a layer is mean((F − P)²), its
//! style loss mean((G − A)²) with the Gram matrix G = F·Fᵀ / (C·H·W), and the
//! smoothness (Σ|dx| + Σ|dy|) / (3·H·W) of pixels from 0 to 1.
//!
//! ```text
//! description: Soft colours, fine strokes.
//! style:
//!   weight: 200
//!   layers: {relu1_1: 1, relu2_1: 0.5}
//! schedule:
//!   - {size: 256, iterations: 200}
//!   - {size: 512, iterations: 100}
//! ```
//!
//! The files: `schema` has the types, `network` the layers; `read` and `value` read
//! them out of YAML and make every check on the way, so that a mistake has a place;
//! `text` checks what comes before YAML; `source` does so for other files; `diagnostic`
//! shows a place; `set` follows `--set`; `settings` lists the keys that are edited one by
//! one; `library` finds and saves presets; `difference` compares two; `watch` reads a file
//! again when it is saved.

mod diagnostic;
mod difference;
mod error;
mod library;
mod lines;
mod network;
mod read;
mod schema;
mod set;
mod settings;
mod source;
mod text;
mod value;
mod watch;
mod words;

/// The network that a preset names, wherever it does. One that cannot be read
/// is known when the preset is.
fn network_in(text: &str) -> Network {
    #[derive(serde::Deserialize)]
    struct Named {
        network: Option<Network>,
    }
    let named = serde_yaml::from_str::<Named>(text).ok();
    named.and_then(|it| it.network).unwrap_or(Network::VGG16)
}

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::Serialize;

pub use diagnostic::{Diagnostic, Location};
pub use difference::{Difference, differences};
pub use error::PresetError;
pub use library::{Library, Origin, PresetEntry};
pub use network::{Architecture, Layer, Network, UnknownLayer};
pub use schema::{
    Blend, ColourMode, ContentTerm, Finish, Guides, Mask, Optimizer, OptimizerKind, OutputSettings,
    Pooling, Recolour, Scale, Smoothness, SmoothnessNorm, Start, Statistic, Statistics, StyleScale,
    StyleTerm, Term, Word,
};
pub use settings::{Setting, Values};
pub use source::SourceText;
pub use watch::Watch;
pub use words::{did_you_mean, nearest, quoted};

/// The largest text of a preset, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// Everything that decides how a picture is painted, except the pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preset {
    /// What it is called. Default: the stem of its file.
    pub name: String,
    /// What it is for, in one line. Default: empty.
    pub description: String,
    /// The network that sees the pictures. Default: VGG-16.
    pub network: Network,
    /// How the network pools. Default: max.
    pub pooling: Pooling,
    /// How the picture keeps to the content. Default: 5 on `relu4_2`.
    pub content: ContentTerm,
    /// How the picture keeps to the style. Default: 50 on the Gram matrices of
    /// `relu1_1`, `relu2_1`, `relu3_1`, `relu4_1` and `relu5_1` alike.
    pub style: StyleTerm,
    /// Where the colours come from. Default: the style.
    pub colour: ColourMode,
    /// Which style paints where. Default: everywhere.
    pub masks: Vec<Mask>,
    /// How the picture is kept smooth. Default: 10,000.
    pub smoothness: Smoothness,
    /// Whether each layer's own gradient is divided by its L1 norm, then multiplied by
    /// its weight. Default: no.
    pub normalize_gradients: bool,
    /// The decay of the exponential moving average of all images of a scale, which is the
    /// result; 0: the image with the lowest total is. Adam only. Default: 0.
    pub average: f64,
    /// What moves the pixels. Default: L-BFGS, rate 1, history 100.
    pub optimizer: Optimizer,
    /// The sizes to paint at, one after another, in any order; never empty in a
    /// preset that was read. Default: 128, 256 and 512 pixels for 60, 50 and 260
    /// iterations.
    pub schedule: Vec<Scale>,
    /// What the first iteration changes. Default: the content picture.
    pub start: Start,
    /// The share of noise that is blended into the start. Default: 0.
    pub start_noise: f64,
    /// The seed of all random numbers. Default: 0.
    pub seed: u64,
    /// What is done to the painted picture. Default: nothing.
    pub finish: Finish,
    /// How its file is written. Default: 8 bits, quality 95, no dots per inch.
    pub output: OutputSettings,
}

impl Default for Preset {
    fn default() -> Self {
        let layers = |blocks: &[u8], index| -> BTreeMap<Layer, f64> {
            blocks
                .iter()
                .filter_map(|&block| Some((Layer::new(block, index)?, 1.0)))
                .collect()
        };
        let scale = |size, iterations| Scale { size, iterations };
        Self {
            name: "default".to_owned(),
            description: String::new(),
            network: Network::VGG16,
            pooling: Pooling::Max,
            content: ContentTerm {
                term: Term {
                    weight: 5.0,
                    layers: layers(&[4], 2),
                },
                laplacian: 0.0,
            },
            style: StyleTerm {
                term: Term {
                    weight: 50.0,
                    layers: layers(&[1, 2, 3, 4, 5], 1),
                },
                statistic: Statistics::all(Statistic::Gram),
                shift: 0.0,
                scale: StyleScale::default(),
                blend: Blend::Target,
                blend_weights: Vec::new(),
                guides: Guides::Resized,
            },
            colour: ColourMode::Style,
            masks: Vec::new(),
            smoothness: Smoothness {
                weight: 1e4,
                norm: SmoothnessNorm::L1,
            },
            normalize_gradients: false,
            average: 0.0,
            optimizer: Optimizer::new(OptimizerKind::Lbfgs),
            schedule: vec![scale(128, 60), scale(256, 50), scale(512, 260)],
            start: Start::Content,
            start_noise: 0.0,
            seed: 0,
            finish: Finish::default(),
            output: OutputSettings::default(),
        }
    }
}

impl Preset {
    /// Reads a preset. `origin` is the file's path, or what else to call the text
    /// in a message; its stem is the preset's name if the text gives none.
    ///
    /// # Errors
    /// [`PresetError::Diagnostic`] with its place, or [`PresetError::TooLarge`].
    pub fn from_yaml(text: &str, origin: &str) -> Result<Self, PresetError> {
        let text = text::check(text, origin)?;
        let deserializer = serde_yaml::Deserializer::from_str(text);
        let mut preset = Self::read(network_in(text), deserializer)
            .map_err(|error| Diagnostic::from_yaml(text, origin, &error))?;
        if preset.name.is_empty() {
            preset.name = Path::new(origin).file_stem().map_or_else(
                || "preset".to_owned(),
                |stem| words::shown(&stem.to_string_lossy(), 64),
            );
        }
        Ok(preset)
    }

    /// Writes the preset, every key of it, so that [`from_yaml`](Self::from_yaml)
    /// gives it back.
    ///
    /// # Errors
    /// [`PresetError::Unwritable`] if the path in `start` is not UTF-8.
    pub fn to_yaml(&self) -> Result<String, PresetError> {
        serde_yaml::to_string(self).map_err(|error| PresetError::Unwritable {
            message: error.to_string(),
        })
    }

    /// Checks a preset that was put together in memory: its fields are public and
    /// may hold what no file may, such as a weight that is not a number.
    ///
    /// # Errors
    /// [`PresetError::Unwritable`] if it could not be written and read back.
    pub fn check(&self) -> Result<(), PresetError> {
        match Self::from_yaml(&self.to_yaml()?, "preset") {
            Ok(_) => Ok(()),
            Err(error) => Err(PresetError::Unwritable {
                // The place would be one in a text that nobody has seen.
                message: match error {
                    PresetError::Diagnostic(diagnostic) => diagnostic.message,
                    other => other.to_string(),
                },
            }),
        }
    }

    /// The largest decay of `average`.
    pub const MAX_AVERAGE: f64 = 0.9999;

    /// The decay of the moving average of all images, where that is the result.
    pub fn averages(&self) -> Option<f64> {
        let averages = self.average > 0.0 && self.optimizer.kind == OptimizerKind::Adam;
        averages.then_some(self.average)
    }

    /// This preset with what another says of how the same painting is shown and saved: its
    /// finish, its output, and whether the content's colours are put back.
    #[must_use]
    pub fn presented_as(&self, shown: &Self) -> Self {
        let plain = |colour| matches!(colour, ColourMode::Style | ColourMode::Content);
        Self {
            colour: match plain(self.colour) && plain(shown.colour) {
                true => shown.colour,
                false => self.colour,
            },
            finish: shown.finish,
            output: shown.output,
            ..self.clone()
        }
    }

    /// Every layer that the content or the style names, in the network's order.
    pub fn layers(&self) -> BTreeSet<Layer> {
        let content = self.content.layers.keys();
        content.chain(self.style.layers.keys()).copied().collect()
    }

    /// The last layer named, which is as far as the network has to be computed.
    pub fn deepest(&self) -> Option<Layer> {
        self.layers().last().copied()
    }
}
