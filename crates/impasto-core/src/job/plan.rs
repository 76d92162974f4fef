//! A run as it was asked for, before its pictures are read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Compute, Job, JobError, MaskPictures, check_depth, in_order, resize_schedule};
use crate::paths::is_same_file;
use crate::picture::{self, PictureError, Source, check_destination};
use crate::preset::{Mask, OutputSettings, Preset, PresetError, Start};
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
    /// How the picture's file is written.
    #[serde(default, skip_serializing_if = "OutputOverrides::is_empty")]
    pub output: OutputOverrides,
}

/// What a command line may say of the picture's file; see [`OutputSettings`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutputOverrides {
    pub depth: Option<u32>,
    pub quality: Option<u32>,
    pub dpi: Option<f64>,
}

impl OutputOverrides {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These settings with what the command line says.
    #[must_use]
    pub fn apply(&self, settings: OutputSettings) -> OutputSettings {
        OutputSettings {
            depth: self.depth.unwrap_or(settings.depth),
            quality: self.quality.unwrap_or(settings.quality),
            dpi: self.dpi.unwrap_or(settings.dpi),
        }
    }
}

impl Overrides {
    /// The preset that the command line means when it names this one.
    ///
    /// # Errors
    /// When a setting fits no key or no value, or the result is no preset.
    pub fn apply(&self, preset: Preset) -> Result<Preset, PresetError> {
        let mut settings = self.settings.iter();
        let set = |preset: Preset, setting: &String| preset.set(setting);
        let preset = self.apply_to_run(settings.try_fold(preset, set)?);
        preset.check()?;
        Ok(preset)
    }

    /// Another preset with what holds for the whole run: sizes, iterations, the
    /// seed, the styles' weights, the masks and how the file is written.
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
        preset.output = self.output.apply(preset.output);
        preset
    }
}

/// Where a picture comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PictureFile {
    At(PathBuf),
    /// Part of the program: the name it goes by, and its bytes.
    Bundled(&'static str, &'static [u8]),
    /// Read already, as from a pipe: the name it goes by, and its bytes.
    Read {
        name: String,
        bytes: Arc<[u8]>,
    },
}

impl PictureFile {
    /// The path, or the name that stands for one.
    pub fn path(&self) -> &Path {
        match self {
            Self::At(path) => path,
            Self::Bundled(name, _) => Path::new(name),
            Self::Read { name, .. } => Path::new(name),
        }
    }

    /// Looks whether there is a picture, without decoding it.
    ///
    /// # Errors
    /// As [`picture::check`].
    pub fn check(&self) -> Result<(), PictureError> {
        match self {
            Self::At(path) => picture::check(path),
            Self::Bundled(..) | Self::Read { .. } => Ok(()),
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
            Self::Read { name, bytes } => picture::load_bytes(bytes, Path::new(name)),
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
        check_destination(&self.output)?;
        Ok(check_depth(&self.preset.output, &self.output)?)
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
            PictureFile::Bundled(..) | PictureFile::Read { .. } => None,
        });
        files.collect()
    }

    /// Reads the pictures. `report` is called with each step that begins.
    ///
    /// # Errors
    /// When a picture cannot be read, is too small for the preset, or is a mask that
    /// does not fit.
    pub fn load(self, report: &mut dyn FnMut(String)) -> Result<Job, PlanError> {
        self.load_with(&mut |file| {
            report(format!("reading {}", display_path(file.path())));
            file.load()
        })
    }

    /// Puts the job together with pictures that `picture` gives.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(
        self,
        picture: &mut dyn FnMut(&PictureFile) -> Result<Source, PictureError>,
    ) -> Result<Job, PlanError> {
        let mut pictures = Vec::new();
        for (_, file) in self.inputs() {
            pictures.push(picture(&file)?);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Picture, encode};
    use crate::preset::OutputSettings;

    #[test]
    fn what_holds_for_the_run_holds_for_another_preset_too() {
        let overrides = Overrides {
            settings: vec!["output.quality=70".to_owned(), "output.dpi=72".to_owned()],
            output: OutputOverrides {
                depth: Some(16),
                dpi: Some(300.0),
                ..OutputOverrides::default()
            },
            ..Overrides::default()
        };
        let first = overrides.apply(Preset::default()).unwrap().output;
        assert_eq!((first.depth, first.quality, first.dpi), (16, 70, 300.0));
        let other = overrides.apply_to_run(Preset::default()).output;
        let quality = OutputSettings::default().quality;
        assert_eq!(
            (other.depth, other.quality, other.dpi),
            (16, quality, 300.0)
        );

        let text = serde_json::to_string(&overrides).unwrap();
        let read: Overrides = serde_json::from_str(&text).unwrap();
        assert_eq!(read, overrides);
        let old = r#"{"settings":[],"size":64,"iterations":null,"seed":null}"#;
        let old: Overrides = serde_json::from_str(old).unwrap();
        assert!(old.output.is_empty());
    }

    #[test]
    fn what_the_command_line_makes_of_a_preset_is_one() {
        let wrong = Overrides {
            masks: Some(vec![Mask {
                file: PathBuf::from("sky.png"),
                style: 0,
                region: None,
            }]),
            ..Overrides::default()
        };
        assert!(wrong.apply(Preset::default()).is_err());
        let wrong = Overrides {
            blend_weights: Some(vec![f64::NAN]),
            ..Overrides::default()
        };
        assert!(wrong.apply(Preset::default()).is_err());
    }

    #[test]
    fn a_picture_that_was_read_needs_no_file() {
        let picture = Picture::from_rgb8(2, 1, &[1, 2, 3, 4, 5, 6]).unwrap();
        let settings = OutputSettings::default();
        let bytes = encode(&picture, Path::new("a.png"), None, &settings).unwrap();
        let read = |bytes: &[u8]| PictureFile::Read {
            name: "stdin".to_owned(),
            bytes: bytes.into(),
        };
        let whole = read(&bytes);
        whole.check().unwrap();
        let source = whole.load().unwrap();
        assert_eq!(source.picture, picture);
        assert_eq!(
            (source.path.as_path(), whole.path()),
            (Path::new("stdin"), Path::new("stdin"))
        );
        let error = read(&bytes[..20]).load().unwrap_err().to_string();
        assert!(error.starts_with("stdin is cut short"), "{error}");
    }
}
