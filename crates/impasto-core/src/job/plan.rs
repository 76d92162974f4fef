//! A run as it was asked for, before its pictures are read.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Compute, Job, JobError, MaskPictures, in_order, resize_schedule};
use crate::paths::is_same_file;
use crate::picture::{self, PictureError, Source, check_destination};
use crate::preset::{Mask, Preset, PresetError, Start};
use crate::text::display_path;

/// A run as it was asked for: its pictures are still files.
#[derive(Clone, Debug)]
pub struct Plan {
    pub preset: Preset,
    pub content: PictureFile,
    /// The first style, and the others in their order.
    pub style: PictureFile,
    pub more_styles: Vec<PictureFile>,
    pub compute: Compute,
    pub output: PathBuf,
    /// Where the preset was found, to watch it: its name or its file.
    pub preset_name: Option<String>,
    /// What the command line says over the preset, whatever that is.
    pub overrides: Overrides,
}

/// What a command line may say over a preset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overrides {
    /// `key=value`, in order, for the preset named there.
    pub settings: Vec<String>,
    /// The long side of the last scale in pixels.
    pub size: Option<u32>,
    /// Iterations of every scale.
    pub iterations: Option<u32>,
    pub seed: Option<u64>,
    /// The weight of each style, where the command line gives any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blend_weights: Option<Vec<f64>>,
    /// The masks of the command line, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masks: Option<Vec<Mask>>,
}

impl Overrides {
    /// The preset that the command line means when it names this one.
    ///
    /// # Errors
    /// When a setting fits no key or no value.
    pub fn apply(&self, preset: Preset) -> Result<Preset, PresetError> {
        let mut settings = self.settings.iter();
        let set = |preset: Preset, setting: &String| preset.set(setting);
        Ok(self.apply_to_run(settings.try_fold(preset, set)?))
    }

    /// Another preset with what holds for the whole run: sizes, iterations, the
    /// seed, the styles' weights and the masks.
    #[must_use]
    pub fn apply_to_run(&self, mut preset: Preset) -> Preset {
        if let Some(size) = self.size {
            resize_schedule(&mut preset.schedule, size);
        }
        if let Some(iterations) = self.iterations {
            for scale in &mut preset.schedule {
                scale.iterations = iterations;
            }
        }
        if let Some(seed) = self.seed {
            preset.seed = seed;
        }
        if let Some(weights) = &self.blend_weights {
            preset.style.blend_weights.clone_from(weights);
        }
        if let Some(masks) = &self.masks {
            preset.masks.clone_from(masks);
        }
        preset
    }
}

/// Where a picture comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PictureFile {
    At(PathBuf),
    /// Part of the program: the name it goes by, and its bytes.
    Bundled(&'static str, &'static [u8]),
}

impl PictureFile {
    /// The path, or the name that stands for one.
    pub fn path(&self) -> &Path {
        match self {
            Self::At(path) => path,
            Self::Bundled(name, _) => Path::new(name),
        }
    }

    /// Looks whether there is a picture, without decoding it.
    ///
    /// # Errors
    /// As [`picture::check`].
    pub fn check(&self) -> Result<(), PictureError> {
        match self {
            Self::At(path) => picture::check(path),
            Self::Bundled(..) => Ok(()),
        }
    }

    /// Reads and decodes the picture.
    ///
    /// # Errors
    /// As [`picture::load`].
    pub fn load(&self) -> Result<Source, PictureError> {
        match self {
            Self::At(path) => picture::load(path),
            Self::Bundled(name, bytes) => picture::load_bytes(bytes, Path::new(name)),
        }
    }
}

/// Why a plan cannot become a job.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error("{file}: only PNG and TIFF have 16 bits a channel; name such a file with -o")]
    NoDepth { file: String },
    #[error(
        "{file} is the {role} picture, which the painting would overwrite; name another file with \
         -o"
    )]
    Overwrites { file: String, role: String },
}

impl Plan {
    /// What can be known without decoding a picture: whether the files are
    /// there, and whether the result can be saved.
    ///
    /// # Errors
    /// When one of them is not there, is no picture, or cannot be written.
    pub fn check(&self) -> Result<(), PlanError> {
        for (_, file) in self.inputs() {
            file.check()?;
        }
        let overwritten = self
            .pictures()
            .into_iter()
            .find(|(_, path)| is_same_file(path, &self.output));
        if let Some((role, path)) = overwritten {
            return Err(PlanError::Overwrites {
                file: display_path(&path),
                role,
            });
        }
        let format = check_destination(&self.output)?;
        if self.preset.output.depth == 16 && !format.has_16_bits() {
            let file = display_path(&self.output);
            return Err(PlanError::NoDepth { file });
        }
        Ok(())
    }

    /// The styles, in their order.
    pub fn styles(&self) -> impl Iterator<Item = &PictureFile> {
        std::iter::once(&self.style).chain(&self.more_styles)
    }

    /// Every picture that goes into the run with its role: `content`, `style`,
    /// `style-2` …, `start`, `mask-1`, `region-1` …
    pub fn inputs(&self) -> Vec<(String, PictureFile)> {
        let start = match &self.preset.start {
            Start::File(path) => Some(PictureFile::At(path.clone())),
            _ => None,
        };
        let masks = self.preset.masks.iter().map(|mask| {
            let region = mask.region.clone().map(PictureFile::At);
            (PictureFile::At(mask.file.clone()), region)
        });
        in_order(self.content.clone(), self.styles().cloned(), start, masks)
    }

    /// The files among the pictures, and what each is.
    pub fn pictures(&self) -> Vec<(String, PathBuf)> {
        let inputs = self.inputs().into_iter();
        let files = inputs.filter_map(|(role, file)| match file {
            PictureFile::At(path) => Some((role, path)),
            PictureFile::Bundled(..) => None,
        });
        files.collect()
    }

    /// Reads the pictures. `report` is called with each step that begins.
    ///
    /// # Errors
    /// When a picture cannot be read, is too small for the preset, or is a mask that
    /// does not fit.
    pub fn load(self, report: &mut dyn FnMut(String)) -> Result<Job, PlanError> {
        let mut pictures = Vec::new();
        for (_, file) in self.inputs() {
            report(format!("reading {}", display_path(file.path())));
            pictures.push(file.load()?);
        }
        let unassembled = Unassembled {
            has_start: matches!(self.preset.start, Start::File(_)),
            preset: self.preset,
            styles: 1 + self.more_styles.len(),
            compute: self.compute,
            output: self.output,
        };
        let job = unassembled.with(pictures);
        // There are as many pictures as there were files.
        let job = job.ok_or(JobError::Incomplete)?;
        job.check()?;
        Ok(job)
    }
}

/// A job without its pictures.
#[derive(Clone, Debug)]
pub struct Unassembled {
    pub preset: Preset,
    /// How many styles there are.
    pub styles: usize,
    /// Whether there is a picture to start from.
    pub has_start: bool,
    pub compute: Compute,
    pub output: PathBuf,
}

impl Unassembled {
    /// The job with these pictures, in the order of [`Plan::inputs`]; none if there
    /// are too few.
    pub fn with(self, pictures: impl IntoIterator<Item = Source>) -> Option<Job> {
        let mut pictures = pictures.into_iter();
        let content = pictures.next()?;
        let style = pictures.next()?;
        let mut more_styles = Vec::new();
        for _ in 1..self.styles {
            more_styles.push(pictures.next()?);
        }
        let start = match self.has_start {
            true => Some(pictures.next()?),
            false => None,
        };
        let mut masks = Vec::new();
        for mask in &self.preset.masks {
            masks.push(MaskPictures {
                mask: pictures.next()?,
                region: match mask.region {
                    Some(_) => Some(pictures.next()?),
                    None => None,
                },
            });
        }
        Some(Job {
            preset: self.preset,
            content,
            style,
            more_styles,
            start,
            masks,
            compute: self.compute,
            output: self.output,
        })
    }
}
