//! The parts of a preset: the types, their defaults and how they are written.

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Deref, DerefMut},
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

/// How the picture keeps to the content: a term over feature maps, and the
/// Laplacian of the pixels beside it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContentTerm {
    #[serde(flatten)]
    pub term: Term,
    /// What the Laplacian loss is multiplied by: finite, 0 to 1e30. It compares the
    /// edges of the picture with those of the content. Zero: off.
    pub laplacian: f64,
}

impl ContentTerm {
    /// Whether the content does not matter to the picture.
    pub fn is_off(&self) -> bool {
        self.term.is_off() && self.laplacian == 0.0
    }
}

impl Deref for ContentTerm {
    type Target = Term;

    fn deref(&self) -> &Term {
        &self.term
    }
}

impl DerefMut for ContentTerm {
    fn deref_mut(&mut self) -> &mut Term {
        &mut self.term
    }
}

/// How the picture keeps to the style: a term over feature maps, what is compared
/// in each of them, and how several styles share the work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StyleTerm {
    #[serde(flatten)]
    pub term: Term,
    /// What is compared in the layers.
    pub statistic: Statistics,
    /// Added to every feature before it enters a Gram matrix (activation shift):
    /// -1e6 to 1e6.
    pub shift: f64,
    /// At what size the styles are looked at, as a multiple of the picture's long
    /// side.
    pub scale: StyleScale,
    /// How several styles become one.
    pub blend: Blend,
    /// The weight of each style, in the order of the command line; they are divided
    /// by their sum. A style without an entry has the weight 1.
    pub blend_weights: Vec<f64>,
    /// How masks reach the layers.
    pub guides: Guides,
}

impl StyleTerm {
    /// The most styles of one run.
    pub const MAX_STYLES: usize = 16;
    /// The largest shift, in either direction.
    pub const MAX_SHIFT: f64 = 1e6;

    /// The share of each of `count` styles; they add up to 1. Weights that are all
    /// zero count alike.
    pub fn shares(&self, count: usize) -> Vec<f64> {
        let weight = |index: usize| self.blend_weights.get(index).copied().unwrap_or(1.0);
        let weights: Vec<f64> = (0..count).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        match sum > 0.0 {
            true => weights.iter().map(|weight| weight / sum).collect(),
            false => vec![1.0 / count.max(1) as f64; count],
        }
    }
}

impl Deref for StyleTerm {
    type Target = Term;

    fn deref(&self) -> &Term {
        &self.term
    }
}

impl DerefMut for StyleTerm {
    fn deref_mut(&mut self) -> &mut Term {
        &mut self.term
    }
}

/// What of a style layer's features is compared with the style's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statistic {
    /// `gram`: the Gram matrix (Gatys et al. 2016).
    Gram,
    /// `mean-std`: mean and standard deviation of each channel.
    MeanStd,
    /// `covariance`: means and covariances, by the Wasserstein-2 distance of the
    /// Gaussians that have them.
    Covariance,
    /// `histogram`: the whole distribution of each channel (Risser et al. 2017).
    Histogram,
}

impl Word for Statistic {
    const WHAT: &'static str = "statistic";
    const ALL: &'static [Self] = &[Self::Gram, Self::MeanStd, Self::Covariance, Self::Histogram];

    fn word(self) -> &'static str {
        match self {
            Self::Gram => "gram",
            Self::MeanStd => "mean-std",
            Self::Covariance => "covariance",
            Self::Histogram => "histogram",
        }
    }
}

/// The statistic of each style layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// That of the layers that are not named.
    pub default: Statistic,
    pub layers: BTreeMap<Layer, Statistic>,
}

impl Statistics {
    /// The key of the default in a preset.
    pub(super) const DEFAULT: &'static str = "default";

    /// The same for every layer.
    pub fn all(statistic: Statistic) -> Self {
        Self {
            default: statistic,
            layers: BTreeMap::new(),
        }
    }

    /// The statistic of one layer.
    pub fn of(&self, layer: Layer) -> Statistic {
        self.layers.get(&layer).copied().unwrap_or(self.default)
    }
}

impl Serialize for Statistics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.layers.is_empty() {
            return self.default.serialize(serializer);
        }
        let default = (Self::DEFAULT.to_owned(), self.default);
        let layers = self.layers.iter();
        let layers = layers.map(|(layer, statistic)| (layer.to_string(), *statistic));
        serializer.collect_map(std::iter::once(default).chain(layers))
    }
}

/// The size that each style is looked at, as a multiple of the picture's long side:
/// one number for all, or one for each. Small: fine strokes.
#[derive(Clone, Debug, PartialEq)]
pub struct StyleScale(pub Vec<f64>);

impl StyleScale {
    /// The smallest and the largest scale.
    pub const MIN: f64 = 0.1;
    pub const MAX: f64 = 4.0;

    /// That of the style with this index. Styles beyond the list take its last entry.
    pub fn of(&self, index: usize) -> f64 {
        let scale = self.0.get(index).or(self.0.last());
        scale.copied().unwrap_or(1.0)
    }
}

impl Default for StyleScale {
    fn default() -> Self {
        Self(vec![1.0])
    }
}

impl Serialize for StyleScale {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0[..] {
            [scale] => serializer.serialize_f64(scale),
            _ => self.0.serialize(serializer),
        }
    }
}

/// How several styles become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blend {
    /// `target`: their statistics are averaged, and the picture is compared with that.
    Target,
    /// `losses`: the picture is compared with each, and the losses are averaged.
    Losses,
}

impl Word for Blend {
    const WHAT: &'static str = "blend";
    const ALL: &'static [Self] = &[Self::Target, Self::Losses];

    fn word(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Losses => "losses",
        }
    }
}

/// How masks reach the deeper layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guides {
    /// `resized`: the mask at the layer's size.
    Resized,
    /// `inside`: as `resized`, but only units that see nothing outside the region.
    Inside,
}

impl Word for Guides {
    const WHAT: &'static str = "guides";
    const ALL: &'static [Self] = &[Self::Resized, Self::Inside];

    fn word(self) -> &'static str {
        match self {
            Self::Resized => "resized",
            Self::Inside => "inside",
        }
    }
}

/// Where the picture's colours come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColourMode {
    /// `style`: from the style, as it comes.
    Style,
    /// `content`: the content's colours are put back when the picture is shown or
    /// saved; what is painted is the same.
    Content,
    /// `luminance`: only light and dark are painted; the colours are the content's.
    Luminance,
    /// `match-…`: the style takes the content's colours before painting.
    Match(Recolour),
}

/// How a style is brought to the colours of the content (Gatys et al. 2016,
/// "Preserving Color in Neural Artistic Style Transfer").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Recolour {
    Cholesky,
    Pca,
    Symmetric,
    Histogram,
}

impl Word for ColourMode {
    const WHAT: &'static str = "colour";
    const ALL: &'static [Self] = &[
        Self::Style,
        Self::Content,
        Self::Luminance,
        Self::Match(Recolour::Cholesky),
        Self::Match(Recolour::Pca),
        Self::Match(Recolour::Symmetric),
        Self::Match(Recolour::Histogram),
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Style => "style",
            Self::Content => "content",
            Self::Luminance => "luminance",
            Self::Match(Recolour::Cholesky) => "match-cholesky",
            Self::Match(Recolour::Pca) => "match-pca",
            Self::Match(Recolour::Symmetric) => "match-symmetric",
            Self::Match(Recolour::Histogram) => "match-histogram",
        }
    }
}

/// One region of the content that one style paints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mask {
    /// A greyscale picture: white is the region. It is stretched to the content.
    #[serde(serialize_with = "serialize_path")]
    pub file: PathBuf,
    /// The style that paints it, counted from 1.
    pub style: usize,
    /// The region of the style to take, a greyscale picture too. None: all of it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "serialize_some_path"
    )]
    pub region: Option<PathBuf>,
}

impl Mask {
    /// The most masks of one run.
    pub const MAX: usize = 64;
}

/// How the variation of neighbouring pixels is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SmoothnessNorm {
    /// `l1`: absolute differences to the right and below.
    L1,
    /// `l2`: their squares.
    L2,
    /// `nine-point`: squares, diagonal neighbours included.
    NinePoint,
}

impl Word for SmoothnessNorm {
    const WHAT: &'static str = "norm";
    const ALL: &'static [Self] = &[Self::L1, Self::L2, Self::NinePoint];

    fn word(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
            Self::NinePoint => "nine-point",
        }
    }
}

/// The loss that favours smooth pictures: their total variation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Smoothness {
    /// What the variation of the pixels, taken from 0 to 1, is multiplied by:
    /// finite, 0 to 1e30. Zero: off.
    pub weight: f64,
    pub norm: SmoothnessNorm,
}

/// How the picture's file is written.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OutputSettings {
    /// Bits a channel of PNG and TIFF: 8 or 16.
    pub depth: u32,
    /// The quality of a JPEG: 1 to 100.
    pub quality: u32,
    /// Dots per inch, for printing: 0 (none is written) to 10,000.
    pub dpi: f64,
}

impl OutputSettings {
    /// The largest number of dots per inch.
    pub const MAX_DPI: f64 = 1e4;
}

impl Default for OutputSettings {
    fn default() -> Self {
        Self {
            depth: 8,
            quality: 95,
            dpi: 0.0,
        }
    }
}

/// What is done to a painted picture before it is shown and saved. The painting
/// itself is not changed. Zero everywhere: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Finish {
    /// Noise reduction that keeps strokes: 0 to 1.
    pub denoise: f64,
    /// How far the colours go to the content's, by means and covariances: 0 to 1.
    pub match_colours: f64,
    /// A gamma curve with the exponent 2^-brightness, which keeps black and white: -1
    /// (darker) to 1 (lighter).
    pub brightness: f64,
    /// About the middle grey: -1 (none) to 1 (double).
    pub contrast: f64,
    /// -1 (grey) to 1 (double).
    pub saturation: f64,
    /// Edges: 0 to 2.
    pub sharpen: f64,
    /// Film grain: 0 to 1.
    pub grain: f64,
}

impl Finish {
    /// Each number's key, and its bounds.
    pub const BOUNDS: [(&'static str, f64, f64); 7] = [
        ("denoise", 0.0, 1.0),
        ("match_colours", 0.0, 1.0),
        ("brightness", -1.0, 1.0),
        ("contrast", -1.0, 1.0),
        ("saturation", -1.0, 1.0),
        ("sharpen", 0.0, 2.0),
        ("grain", 0.0, 1.0),
    ];

    /// Whether it leaves every picture as it is.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// What is seen of it in a picture that is shrunk by this factor: noise and grain are
    /// averaged away, and edges are steeper.
    #[must_use]
    pub fn shrunk(self, factor: f64) -> Self {
        let factor = factor.max(1.0);
        Self {
            denoise: self.denoise / factor,
            sharpen: self.sharpen / factor,
            grain: self.grain / factor,
            ..self
        }
    }

    /// The number with this key, one of [`BOUNDS`](Self::BOUNDS).
    pub fn get(&self, key: &str) -> Option<f64> {
        let mut copy = *self;
        copy.get_mut(key).copied()
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut f64> {
        Some(match key {
            "denoise" => &mut self.denoise,
            "match_colours" => &mut self.match_colours,
            "brightness" => &mut self.brightness,
            "contrast" => &mut self.contrast,
            "saturation" => &mut self.saturation,
            "sharpen" => &mut self.sharpen,
            "grain" => &mut self.grain,
            _ => return None,
        })
    }
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
    /// `#rrggbb`: one colour everywhere.
    Colour([u8; 3]),
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

    /// The colour that `#rrggbb` means.
    pub(super) fn colour(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(digits, 16).ok()?;
        let [_, red, green, blue] = number.to_be_bytes();
        Some(Self::Colour([red, green, blue]))
    }
}

/// A colour as `#rrggbb`.
pub(super) struct Hexadecimal(pub [u8; 3]);

impl fmt::Display for Hexadecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// Writes one-word values as their words.
macro_rules! serialize_as_word {
    ($($type:ty),+) => {
        $(impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        })+
    };
}

serialize_as_word!(
    Pooling,
    OptimizerKind,
    Statistic,
    Blend,
    Guides,
    ColourMode,
    SmoothnessNorm
);

fn serialize_path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    match path.to_str() {
        Some(text) if !text.is_empty() => serializer.serialize_str(text),
        _ => Err(ser::Error::custom("the path of a mask is not plain text")),
    }
}

fn serialize_some_path<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serialize_path(path.as_deref().unwrap_or(Path::new("")), serializer)
}

impl Serialize for Start {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let path = match self {
            Self::File(path) => path,
            Self::Colour(colour) => return serializer.collect_str(&Hexadecimal(*colour)),
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
