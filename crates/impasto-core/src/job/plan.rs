//! A run as it was asked for, before its pictures are read.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Compute, Job, JobError, resize_schedule};
use crate::paths::is_same_file;
use crate::picture::{self, PictureError, Source, check_destination};
use crate::preset::{Preset, PresetError, Start};
use crate::text::display_path;

/// A run as it was asked for: its pictures are still files.
#[derive(Clone, Debug)]
pub struct Plan {
    pub preset: Preset,
    pub content: PictureFile,
    pub style: PictureFile,
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

    /// Another preset with what holds for the whole run: sizes, iterations and
    /// the seed.
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
    #[error(
        "{file} is the {role} picture, which the painting would overwrite; name another file with \
         -o"
    )]
    Overwrites { file: String, role: &'static str },
}

impl Plan {
    /// What can be known without decoding a picture: whether the files are
    /// there, and whether the result can be saved.
    ///
    /// # Errors
    /// When one of them is not there, is no picture, or cannot be written.
    pub fn check(&self) -> Result<(), PlanError> {
        self.content.check()?;
        self.style.check()?;
        if let Start::File(path) = &self.preset.start {
            picture::check(path)?;
        }
        let overwritten = self
            .pictures()
            .find(|(_, path)| is_same_file(path, &self.output));
        if let Some((role, path)) = overwritten {
            return Err(PlanError::Overwrites {
                file: display_path(path),
                role,
            });
        }
        check_destination(&self.output)?;
        Ok(())
    }

    /// The files of the pictures that go into the run, and what each is.
    pub fn pictures(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        fn at(file: &PictureFile) -> Option<&Path> {
            match file {
                PictureFile::At(path) => Some(path.as_path()),
                PictureFile::Bundled(..) => None,
            }
        }
        let start = match &self.preset.start {
            Start::File(path) => Some(path.as_path()),
            Start::Content | Start::Noise | Start::Style => None,
        };
        let all = [
            ("content", at(&self.content)),
            ("style", at(&self.style)),
            ("start", start),
        ];
        all.into_iter()
            .filter_map(|(role, path)| Some((role, path?)))
    }

    /// Reads the pictures. `report` is called with each step that begins.
    ///
    /// # Errors
    /// When a picture cannot be read, or is too small for the preset.
    pub fn load(self, report: &mut dyn FnMut(String)) -> Result<Job, PlanError> {
        let mut load = |file: &PictureFile| {
            report(format!("reading {}", display_path(file.path())));
            file.load()
        };
        let content = load(&self.content)?;
        let style = load(&self.style)?;
        let start = match &self.preset.start {
            Start::File(path) => Some(load(&PictureFile::At(path.clone()))?),
            Start::Content | Start::Noise | Start::Style => None,
        };
        let job = Job {
            preset: self.preset,
            content,
            style,
            start,
            compute: self.compute,
            output: self.output,
        };
        job.check()?;
        Ok(job)
    }
}
