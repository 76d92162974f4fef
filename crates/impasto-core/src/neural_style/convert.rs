//! Flags to a preset. The formulas are in the documentation of the parent module.

use std::path::{Path, PathBuf};

use super::Imported;
use super::error::ImportError;
use super::flags::{Flags, Program};
use super::layers::{Axes, Factors, layers};
use crate::picture::fit_long_side;
use crate::preset::{
    Blend, ColourMode, ContentTerm, Guides, Network, Optimizer, OptimizerKind, Pooling, Preset,
    PresetError, Scale, Smoothness, SmoothnessNorm, Start, Statistic, Statistics, StyleScale,
    StyleTerm, Term, quoted,
};
use crate::text::{display_path, number};

/// What their pixels are multiplied by: from 0 to 1, to those that the network sees.
const LEVELS: f64 = 256.0;

/// Their mean colour, which is where their noise is centred: red, green and blue.
const MEAN: [f64; 3] = [123.68, 116.779, 103.939];

/// The standard deviation of their noise, in levels.
const NOISE: f64 = 0.001;

/// The width of the interval that ours is drawn from.
const OUR_NOISE: f64 = 0.2;

const STYLE_LAYERS: &str = "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1";

/// The conversion, and the notes so far.
struct Conversion {
    flags: Flags,
    notes: Vec<String>,
}

/// Converts the flags of a command line, whose words are given too.
///
/// # Errors
/// When a value is wrong, or outside what a preset can hold.
pub(super) fn convert(
    flags: Flags,
    words: &[String],
    shape: &dyn Fn(&Path) -> Option<(u32, u32)>,
) -> Result<Imported, ImportError> {
    let mut conversion = Conversion {
        flags,
        notes: Vec::new(),
    };
    conversion.note_program();
    let content = conversion.path("content_image");
    let styles = conversion.styles()?;
    let preset = conversion.preset(styles.len(), content.as_deref().map(|path| (path, shape)))?;
    conversion.note_the_rest();
    preset.check().map_err(|error| ImportError::Preset {
        message: match error {
            PresetError::Unwritable { message } => message,
            other => other.to_string(),
        },
    })?;
    Ok(Imported {
        preset,
        content,
        styles,
        output: conversion.path("output_image"),
        notes: conversion.notes,
        command: words.to_vec(),
    })
}

/// A picture, and who knows its size.
type Shaped<'a> = (&'a Path, &'a dyn Fn(&Path) -> Option<(u32, u32)>);

impl Conversion {
    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn path(&self, flag: &str) -> Option<PathBuf> {
        let path = self.flags.get(flag)?;
        (!path.is_empty()).then(|| PathBuf::from(path))
    }

    fn preset(
        &mut self,
        styles: usize,
        content: Option<Shaped<'_>>,
    ) -> Result<Preset, ImportError> {
        let schedule = self.schedule()?;
        let network = self.network()?;
        let pooling = self.pooling()?;
        let mut preset = Preset {
            name: "imported".to_owned(),
            description: format!(
                "Imported from a command line of {}.",
                self.flags.program.script()
            ),
            network,
            pooling,
            colour: self.colour()?,
            smoothness: self.smoothness(schedule.size, content)?,
            optimizer: self.optimizer()?,
            seed: self.seed()?,
            schedule: vec![schedule],
            ..Preset::default()
        };
        self.terms(&mut preset, styles)?;
        (preset.start, preset.start_noise) = self.start()?;
        Ok(preset)
    }

    fn schedule(&self) -> Result<Scale, ImportError> {
        let sizes = i64::from(Scale::MIN_SIZE)..=i64::from(Scale::MAX_SIZE);
        let iterations = 1..=i64::from(Scale::MAX_ITERATIONS);
        Ok(Scale {
            size: self.flags.whole("image_size", 512, sizes)? as u32,
            iterations: self.flags.whole("num_iterations", 1000, iterations)? as u32,
        })
    }

    fn network(&mut self) -> Result<Network, ImportError> {
        let file = self.flags.get("model_file").map(str::to_owned);
        let name = file.as_deref().map_or_else(String::new, |file| {
            let name = Path::new(file).file_name().unwrap_or_default();
            name.to_string_lossy().to_lowercase()
        });
        let other = ["fcn32s", "pruning", "sod", "normalised"];
        let network = match &file {
            // Versions of VGG-16 and VGG-19 whose features have other sizes.
            Some(file) if other.iter().any(|other| name.contains(other)) => {
                let normalised = name.contains("normalised");
                let network = match normalised {
                    true => Network::VGG19,
                    false => Network::VGG16,
                };
                self.note(format!(
                    "`-model_file` {} has weights of its own: the preset names {}, whose \
                     features have other sizes, so that its weights need tuning.",
                    quoted(file),
                    network.name()
                ));
                network
            }
            None => Network::VGG19,
            Some(_) if name.contains("19") => Network::VGG19,
            Some(_) if name.contains("16") => Network::VGG16,
            Some(file) => return Err(ImportError::Network { file: file.clone() }),
        };
        if network == Network::VGG19 {
            self.note(
                "The network is VGG-19, which is not part of impasto: `impasto weights fetch \
                 vgg19` gets torchvision's. neural-style's own is the file vgg19-d01eb7cb.pth, \
                 for `impasto weights import vgg19-d01eb7cb.pth --name caffe19` and `--network \
                 caffe19`. `--network vgg16` paints with the one that is there.",
            );
            self.note(
                "impasto brings the features of VGG-19 to the size that those of VGG-16 have, \
                 layer by layer, so the balance of content and style is only about the same.",
            );
        }
        Ok(network)
    }

    fn pooling(&mut self) -> Result<Pooling, ImportError> {
        if self.flags.choice("pooling", &["max", "avg"])? == "max" {
            return Ok(Pooling::Max);
        }
        self.note(
            "`-pooling avg`: impasto doubles every average, so the weights of the layers are \
             divided by what that adds to their losses. Biases make this inexact, by about 2 %.",
        );
        Ok(Pooling::Average)
    }

    /// Content and style.
    fn terms(&mut self, preset: &mut Preset, styles: usize) -> Result<(), ImportError> {
        let (normalized, squared) = self.normalize_gradients()?;
        preset.normalize_gradients = normalized;
        let side = preset.schedule.first().map_or(0, |scale| scale.size);
        let divide = self.flags.has("normalize_weights");
        if divide {
            self.note(
                "`-normalize_weights` became weights of the layers, for this size: 1 divided by \
                 the longest axis of what each compares.",
            );
        }
        let factors = |power: i32, axes: Axes| Factors {
            power: match (preset.pooling, normalized) {
                (Pooling::Max, _) => 0,
                (Pooling::Average, true) => 1,
                (Pooling::Average, false) => power,
            },
            divide: divide.then_some(axes),
            squared,
        };
        let content = factors(2, Axes::Features(side));
        let style = factors(4, Axes::Gram);
        preset.content = ContentTerm {
            term: Term {
                weight: self.weight("content_weight", 5.0, squared)?,
                layers: layers(
                    &self.flags,
                    ("content_layers", "relu4_2"),
                    preset.network,
                    content,
                    &mut self.notes,
                )?,
            },
            laplacian: 0.0,
        };
        let scales = StyleScale::MIN..=StyleScale::MAX;
        preset.style = StyleTerm {
            term: Term {
                weight: self.weight("style_weight", 100.0, squared)?,
                layers: layers(
                    &self.flags,
                    ("style_layers", STYLE_LAYERS),
                    preset.network,
                    style,
                    &mut self.notes,
                )?,
            },
            statistic: Statistics::all(Statistic::Gram),
            shift: 0.0,
            scale: StyleScale(vec![self.flags.number("style_scale", 1.0, scales)?]),
            blend: Blend::Target,
            blend_weights: self.blend_weights(styles)?,
            guides: Guides::Resized,
        };
        Ok(())
    }

    fn weight(&self, flag: &'static str, default: f64, squared: bool) -> Result<f64, ImportError> {
        let weight = self.flags.number(flag, default, 0.0..=Term::MAX)?;
        Ok(if squared { weight * weight } else { weight })
    }

    /// Whether gradients are normalised, and whether weights are squared.
    fn normalize_gradients(&mut self) -> Result<(bool, bool), ImportError> {
        let how = self.flags.number("normalize_gradients", 0.0, -1e3..=1e3)?;
        if how == 0.0 {
            return Ok((false, false));
        }
        if self.flags.program == Program::Python {
            self.note(
                "`-normalize_gradients`: neural_style.py normalises the loss, a single number, \
                 and not its gradient, which squares the weights. So does this preset; \
                 `normalize_gradients: true` is what was meant.",
            );
            return Ok((false, true));
        }
        if how != 1.0 {
            self.note(format!(
                "`-normalize_gradients {}`: impasto has no power of the gradient's norm; it is \
                 {} here.",
                number(how, 4),
                if how >= 0.5 { "on (1)" } else { "off (0)" }
            ));
        }
        self.note(
            "`-normalize_gradients`: neural_style.lua leaves gradients alone while the content \
             loss is below 1; impasto does not.",
        );
        Ok((how >= 0.5, false))
    }

    fn styles(&self) -> Result<Vec<PathBuf>, ImportError> {
        let styles = self.flags.list("style_image").unwrap_or_default();
        if styles.len() > StyleTerm::MAX_STYLES {
            return Err(ImportError::Styles {
                count: styles.len(),
            });
        }
        Ok(styles.into_iter().map(PathBuf::from).collect())
    }

    /// Their weights are divided by their sum, as ours are.
    fn blend_weights(&self, styles: usize) -> Result<Vec<f64>, ImportError> {
        const FLAG: &str = "style_blend_weights";
        // The Lua program's word for none.
        if self.flags.get(FLAG) == Some("nil") {
            return Ok(Vec::new());
        }
        let weights = self.flags.numbers(FLAG, &(0.0..=Term::MAX))?;
        let count = weights.len();
        if styles > 0 && count > 0 && count != styles {
            return Err(ImportError::Blend {
                weights: count,
                styles,
            });
        }
        if count > StyleTerm::MAX_STYLES {
            return Err(ImportError::Styles { count });
        }
        Ok(weights)
    }

    fn colour(&self) -> Result<ColourMode, ImportError> {
        Ok(match self.flags.choice("original_colors", &["0", "1"])? {
            "1" => ColourMode::Content,
            _ => ColourMode::Style,
        })
    }

    /// Their sum over the picture as our mean.
    fn smoothness(
        &mut self,
        size: u32,
        content: Option<Shaped<'_>>,
    ) -> Result<Smoothness, ImportError> {
        let weight = self
            .flags
            .number("tv_weight", 1e-3, -Term::MAX..=Term::MAX)?
            .max(0.0);
        let shape = content.and_then(|(path, shape)| Some((path, shape(path)?)));
        let (width, height) = shape.map_or((4, 3), |(_, shape)| shape);
        let (width, height) = fit_long_side(width, height, size);
        let elements = 3.0 * f64::from(width) * f64::from(height);
        let (norm, factor) = match self.flags.program {
            Program::Python => (SmoothnessNorm::L1, LEVELS),
            Program::Lua => (SmoothnessNorm::L2, LEVELS * LEVELS / 2.0),
        };
        if weight > 0.0 {
            let of = match shape {
                Some((path, _)) => format!(", the size of {}", display_path(path)),
                None => ", for a content of 4:3".to_owned(),
            };
            self.note(format!(
                "`smoothness.weight` is that of {width}×{height} pixels{of}: neural-style adds \
                 up the differences of pixels, impasto takes their mean. For another size \
                 multiply it by the ratio of the areas."
            ));
            if norm == SmoothnessNorm::L2 {
                self.note(
                    "`smoothness.norm` is `l2`: the gradient of neural_style.lua is that of \
                     squared differences.",
                );
            }
        }
        Ok(Smoothness {
            weight: weight * factor * elements,
            norm,
        })
    }

    fn optimizer(&mut self) -> Result<Optimizer, ImportError> {
        let kind = match self.flags.choice("optimizer", &["lbfgs", "adam"])? {
            "adam" => OptimizerKind::Adam,
            _ => OptimizerKind::Lbfgs,
        };
        let mut optimizer = Optimizer::new(kind);
        // Nobody can ask for a rate of zero.
        let rates = 1e-9..=Optimizer::MAX_RATE * LEVELS;
        let default = match self.flags.program {
            Program::Lua => 10.0,
            Program::Python => 1.0,
        };
        let rate = self.flags.number("learning_rate", default, rates)?;
        match kind {
            OptimizerKind::Adam => {
                optimizer.rate = rate / LEVELS;
                self.note(
                    "`-optimizer adam`: the rate is divided by 256, because impasto's pixels are \
                     from 0 to 1. impasto's Adam forgets faster (0.99, theirs 0.999).",
                );
            }
            OptimizerKind::Lbfgs if self.flags.has("learning_rate") => self.note(
                "`-learning_rate` is left out: neural-style reads it with `-optimizer adam` only.",
            ),
            OptimizerKind::Lbfgs => {}
        }
        let most = Optimizer::MAX_HISTORY as i64;
        let history = self.flags.whole("lbfgs_num_correction", 0, 0..=most)?;
        // 0 is the Lua program's word for 100.
        if history > 0 {
            optimizer.history = history as usize;
        }
        Ok(optimizer)
    }

    fn seed(&mut self) -> Result<u64, ImportError> {
        let seed = self.flags.whole("seed", -1, i64::MIN..=i64::MAX)?;
        let Ok(seed) = u64::try_from(seed) else {
            return Ok(0);
        };
        self.note(format!(
            "`-seed {seed}` is kept, but impasto draws other random numbers from it."
        ));
        Ok(seed)
    }

    fn start(&mut self) -> Result<(Start, f64), ImportError> {
        let image = self.path("init_image");
        if self.flags.choice("init", &["random", "image"])? == "random" {
            if image.is_some() {
                self.note(
                    "`-init_image` is left out: neural-style reads it with `-init image` only.",
                );
            }
            self.note(
                "`-init random` became a plain colour: neural-style's noise is a thousandth of a \
                 level about its mean colour. `start: noise` is impasto's own.",
            );
            let colour = MEAN.map(|mean| (mean / LEVELS * 255.0).round() as u8);
            let share = NOISE / LEVELS * 12_f64.sqrt() / OUR_NOISE;
            return Ok((Start::Colour(colour), share));
        }
        let Some(image) = image else {
            return Ok((Start::Content, 0.0));
        };
        self.note(
            "`-init_image`: impasto cuts the middle out of a picture of another shape; \
             neural-style stretches it.",
        );
        Ok((Start::File(image), 0.0))
    }

    /// What nothing in the command line says, or too much.
    fn note_program(&mut self) {
        if let Some(word) = &self.flags.left_out {
            let note = format!(
                "What comes from {} on is left out: one command is imported.",
                quoted(word)
            );
            self.note(note);
        }
        if self.flags.assumed {
            self.note(
                "Nothing says which program the flags are for: they are read as those of \
                 neural_style.py. Put `neural_style.lua` before them if they are for that, which \
                 smooths otherwise and has another rate for Adam.",
            );
        }
        if let Some(script) = &self.flags.script {
            let name = Path::new(script).file_stem().unwrap_or_default();
            let name = name.to_string_lossy().to_lowercase();
            let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
            if !plain.contains("neuralstyle") {
                let note = format!(
                    "{} is taken for {}, by its extension.",
                    quoted(script),
                    self.flags.program.script()
                );
                self.note(note);
            }
        }
    }

    /// Flags that are no settings of a preset.
    fn note_the_rest(&mut self) {
        if let Some(gpu) = self.flags.get("gpu") {
            let device = match gpu.split(',').next().unwrap_or_default() {
                "c" | "-1" => "cpu".to_owned(),
                first => match first.parse::<u32>() {
                    Ok(index) => format!("cuda:{index}"),
                    Err(_) => "auto".to_owned(),
                },
            };
            let several = match gpu.contains(',') {
                true => " impasto paints on one device, in tiles if the picture does not fit.",
                false => "",
            };
            self.note(format!(
                "`-gpu` is no setting of a preset: `impasto run --device {device}` is the \
                 same.{several}"
            ));
        }
        if self
            .flags
            .get("save_iter")
            .is_some_and(|every| every != "0")
        {
            self.note(
                "`-save_iter` has no equivalent: a run keeps checkpoints instead of pictures, and \
                 the dashboard shows the picture while it is painted.",
            );
        }
        let masks = self
            .flags
            .given(&["content_seg", "style_seg", "color_codes"]);
        if !masks.is_empty() {
            self.note(
                "Segmentations are not imported: give a mask to each style with `impasto run \
                 --mask`.",
            );
        }
        let needless = self.flags.given(&[
            "backend",
            "cudnn_autotune",
            "disable_check",
            "multidevice_strategy",
            "multigpu_strategy",
            "print_iter",
            "proto_file",
        ]);
        if !needless.is_empty() {
            self.note(format!(
                "Left out, because impasto decides for itself: -{}.",
                needless.join(", -")
            ));
        }
    }
}
