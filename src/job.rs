//! A job: one run, complete and checked, with nothing left to decide.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::paths::is_same_file;
use crate::picture::{
    self, Picture, PictureError, Source, check_destination, display_path, fit_long_side,
};
use crate::preset::{Layer, Network, Preset, PresetError, Scale, Start};
use crate::weights::{NetworkError, Networks};

/// Which processor a run was asked to use. See `engine::device` for what it
/// becomes on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceChoice {
    /// The first CUDA device where there is one, else the CPU.
    #[default]
    Auto,
    Cpu,
    /// The CUDA device of this number, counted from 0.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = match text {
            "auto" => return Ok(Self::Auto),
            "cpu" => return Ok(Self::Cpu),
            "cuda" => "0",
            _ => text.strip_prefix("cuda:").unwrap_or(""),
        };
        match number.parse::<usize>() {
            Ok(index) if index < 64 => Ok(Self::Cuda(index)),
            _ => Err("expected auto, cpu, cuda or cuda:N with N from 0 to 63".to_owned()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => out.write_str("auto"),
            Self::Cpu => out.write_str("cpu"),
            Self::Cuda(index) => write!(out, "cuda:{index}"),
        }
    }
}

/// What a run was asked to compute in. See `engine::precision` for what it
/// becomes on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrecisionChoice {
    /// The fastest that brings the same losses.
    #[default]
    Auto,
    Float32,
    Tf32,
    Bfloat16,
}

impl PrecisionChoice {
    const NAMES: [(&'static str, Self); 4] = [
        ("auto", Self::Auto),
        ("float32", Self::Float32),
        ("tf32", Self::Tf32),
        ("bfloat16", Self::Bfloat16),
    ];
}

impl FromStr for PrecisionChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named(&Self::NAMES, text)
    }
}

impl fmt::Display for PrecisionChoice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(name_in(&Self::NAMES, *self))
    }
}

/// What a run does when memory runs out in spite of all foresight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shortage {
    /// Goes on in smaller tiles, which takes longer.
    #[default]
    Tile,
    /// In smaller tiles first, then at a smaller size.
    Shrink,
    /// Saves the picture so far and ends.
    Stop,
}

impl Shortage {
    const NAMES: [(&'static str, Self); 3] = [
        ("tile", Self::Tile),
        ("shrink", Self::Shrink),
        ("stop", Self::Stop),
    ];
}

impl FromStr for Shortage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named(&Self::NAMES, text)
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(name_in(&Self::NAMES, *self))
    }
}

/// The value that `text` names.
fn named<T: Copy>(names: &[(&'static str, T)], text: &str) -> Result<T, String> {
    let found = names.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// The name of a value that is in the table.
fn name_in<T: PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    let found = names.iter().find(|(_, known)| *known == value);
    found.map_or("", |(name, _)| name)
}

/// Where and how a run computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compute {
    pub device: DeviceChoice,
    pub precision: PrecisionChoice,
    /// The side of the tiles in pixels; none for as few tiles as memory allows.
    pub tile: Option<u32>,
    pub shortage: Shortage,
}

/// Everything a run needs.
#[derive(Clone, Debug)]
pub struct Job {
    pub preset: Preset,
    pub content: Source,
    pub style: Source,
    /// The picture to start from, where the preset's `start` names a file.
    pub start: Option<Source>,
    pub compute: Compute,
    /// Where the finished picture goes.
    pub output: PathBuf,
}

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
#[derive(Clone, Debug, Default, PartialEq)]
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
    #[error(transparent)]
    Network(#[from] NetworkError),
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
    /// When one of them is not there, is no picture, or cannot be written; and
    /// when the network is not there.
    pub fn check(&self) -> Result<(), PlanError> {
        check_network(self.preset.network)?;
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

    /// Reads the pictures. `tell` hears what begins.
    ///
    /// # Errors
    /// When a picture cannot be read, or is too small for the preset.
    pub fn load(self, tell: &mut dyn FnMut(String)) -> Result<Job, PlanError> {
        let mut load = |file: &PictureFile| {
            tell(format!("reading {}", display_path(file.path())));
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

/// One picture that went into a run, told by what is in it rather than by
/// where it lay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The file's name, without its folders.
    pub file: String,
    /// SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
    pub width: u32,
    pub height: u32,
}

/// How a picture was made. It travels in the metadata of the PNG, and
/// `impasto run --recipe` reads it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The version of impasto that painted.
    pub impasto: String,
    /// The preset as it was when the run ended.
    pub preset: Preset,
    pub content: Input,
    pub style: Input,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Input>,
    /// The processor that painted: `cpu` or `cuda:N`.
    pub device: String,
    /// What the network computed in: `float32`, `tf32` or `bfloat16`.
    #[serde(default = "float32")]
    pub precision: String,
    /// The version of libtorch, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub libtorch: Option<String>,
    /// SHA-256 of the file that the network's weights came from.
    pub weights: String,
    /// What that file expects as its input, such as `bgr-minus-mean`.
    #[serde(default)]
    pub convention: String,
}

/// What recipes that do not tell were painted in.
fn float32() -> String {
    "float32".to_owned()
}

/// What a recipe tells of the machine and the network that painted.
#[derive(Clone, Debug, Default)]
pub struct Painted {
    pub device: String,
    pub precision: String,
    pub libtorch: Option<String>,
    pub weights: String,
    pub convention: String,
}

/// The pixel sizes of one scale of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    pub width: u32,
    pub height: u32,
    /// How many iterations this scale is given.
    pub iterations: u32,
}

/// Why a job cannot be painted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    #[error(
        "{role} would have {width}×{height} pixels, but a preset that looks at {layer} needs at \
         least {least} on each side: choose a larger size, or a picture that is larger or less \
         narrow"
    )]
    TooSmall {
        role: String,
        width: u32,
        height: u32,
        layer: Layer,
        least: u32,
    },
}

/// Checks that the network can take a picture of this size as deep as the
/// preset looks.
///
/// # Errors
/// When too few pixels would reach the deepest layer.
pub fn check_size(
    preset: &Preset,
    role: &str,
    (width, height): (u32, u32),
) -> Result<(), JobError> {
    let Some(layer) = preset.deepest() else {
        return Ok(());
    };
    // Each block after the first halves the picture once.
    let least = 1 << layer.block().saturating_sub(1);
    if width.min(height) >= least {
        return Ok(());
    }
    let role = role.to_owned();
    Err(JobError::TooSmall {
        role,
        width,
        height,
        layer,
        least,
    })
}

impl Job {
    /// Checks that the network can take the pictures at every scale.
    ///
    /// # Errors
    /// When a picture is so narrow that a scale leaves fewer pixels than the
    /// preset's deepest layer needs.
    pub fn check(&self) -> Result<(), JobError> {
        for (index, scale) in self.preset.schedule.iter().enumerate() {
            for (role, source) in [("content", &self.content), ("style", &self.style)] {
                let role = format!("at scale {} the {role}", index + 1);
                check_size(&self.preset, &role, fitted(&source.picture, *scale))?;
            }
        }
        Ok(())
    }

    /// The size of the painting at every scale of the schedule.
    pub fn sizes(&self) -> Vec<Size> {
        sizes_of(&self.preset, &self.content.picture)
    }

    /// The recipe of this job, as painted so.
    pub fn recipe(&self, painted: Painted) -> Recipe {
        let Painted {
            device,
            precision,
            libtorch,
            weights,
            convention,
        } = painted;
        Recipe {
            impasto: env!("CARGO_PKG_VERSION").to_owned(),
            preset: self.preset.clone(),
            content: Input::of(&self.content),
            style: Input::of(&self.style),
            start: self.start.as_ref().map(Input::of),
            device,
            precision,
            libtorch,
            weights,
            convention,
        }
    }
}

impl Input {
    /// What a recipe says of a picture.
    pub fn of(source: &Source) -> Self {
        Self {
            file: source
                .path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            sha256: source.sha256.clone(),
            width: source.picture.width(),
            height: source.picture.height(),
        }
    }
}

/// Scales below this long side lose more than they give, and are left out when
/// a schedule shrinks.
const LEAST_USEFUL_SIZE: u32 = 96;

/// Brings the last scale to `size` and the ones before it along in proportion,
/// leaving out those that become too small to matter.
pub fn resize_schedule(schedule: &mut Vec<Scale>, size: u32) {
    let Some(last) = schedule.last().map(|scale| scale.size) else {
        return;
    };
    let count = schedule.len();
    let mut index = 0;
    schedule.retain_mut(|scale| {
        index += 1;
        let proportion = f64::from(scale.size) / f64::from(last.max(1));
        scale.size = (proportion * f64::from(size)).round() as u32;
        index == count || scale.size >= LEAST_USEFUL_SIZE
    });
}

/// Looks whether a network is there, without reading it.
///
/// # Errors
/// When it is not, with the command that gets it.
pub fn check_network(network: Network) -> Result<(), NetworkError> {
    if network == Network::VGG16 {
        return Ok(());
    }
    let networks = Networks::open();
    if networks.path(network.name())?.exists() {
        return Ok(());
    }
    networks.find(network.name()).map(drop)
}

/// Leaves out the scales that are smaller than a picture which is there
/// already; the last one stays in any case.
pub fn go_on_from(schedule: &mut Vec<Scale>, long_side: u32) {
    let last = schedule.len().saturating_sub(1);
    let mut index = 0;
    schedule.retain(|scale| {
        let keep = scale.size >= long_side || index == last;
        index += 1;
        keep
    });
}

/// The size of the painting at every scale of a preset's schedule.
pub fn sizes_of(preset: &Preset, content: &Picture) -> Vec<Size> {
    let size = |scale: &Scale| {
        let (width, height) = fitted(content, *scale);
        Size {
            width,
            height,
            iterations: scale.iterations,
        }
    };
    preset.schedule.iter().map(size).collect()
}

/// The size of `picture` at `scale`.
pub fn fitted(picture: &Picture, scale: Scale) -> (u32, u32) {
    fit_long_side(picture.width(), picture.height(), scale.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_at_the_first_scale_that_is_no_smaller() {
        let schedule = |sizes: &[u32]| -> Vec<Scale> {
            let scale = |size: &u32| Scale {
                size: *size,
                iterations: 10,
            };
            sizes.iter().map(scale).collect()
        };
        for (long_side, left) in [
            (100, &[128, 256, 512][..]),
            (256, &[256, 512]),
            (300, &[512]),
            (2000, &[512]),
        ] {
            let mut sizes = schedule(&[128, 256, 512]);
            go_on_from(&mut sizes, long_side);
            assert_eq!(sizes, schedule(left), "from {long_side}");
        }
    }

    #[test]
    fn devices_parse_and_print() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:99999"] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text} was accepted");
        }
    }

    fn job(width: u32, height: u32, preset: Preset) -> Job {
        let picture = Picture::from_rgb8(width, height, &vec![128; (3 * width * height) as usize]);
        let source = Source {
            picture: picture.unwrap(),
            path: PathBuf::from("folder/a.png"),
            sha256: "0".repeat(64),
        };
        Job {
            preset,
            content: source.clone(),
            style: source,
            start: None,
            compute: Compute::default(),
            output: PathBuf::from("out.png"),
        }
    }

    #[test]
    fn a_scale_that_leaves_too_few_pixels_is_refused() {
        let preset = Preset {
            schedule: vec![Scale {
                size: 64,
                iterations: 1,
            }],
            ..Preset::default()
        };
        assert_eq!(job(64, 48, preset.clone()).check(), Ok(()));
        let error = job(640, 60, preset).check().unwrap_err();
        assert!(error.to_string().contains("64×6"), "{error}");
    }

    #[test]
    fn a_schedule_shrinks_and_grows_as_a_whole() {
        let scale = |size| Scale {
            size,
            iterations: 7,
        };
        let resized = |sizes: &[u32], size| {
            let mut schedule: Vec<_> = sizes.iter().copied().map(scale).collect();
            resize_schedule(&mut schedule, size);
            schedule.iter().map(|scale| scale.size).collect::<Vec<_>>()
        };
        assert_eq!(resized(&[128, 256, 512], 1024), [256, 512, 1024]);
        assert_eq!(resized(&[128, 256, 512], 256), [128, 256]);
        assert_eq!(resized(&[128, 256, 512], 100), [100]);
        assert_eq!(resized(&[512], 32), [32]);
    }

    #[test]
    fn sizes_follow_the_content() {
        let preset = Preset {
            schedule: vec![
                Scale {
                    size: 50,
                    iterations: 3,
                },
                Scale {
                    size: 200,
                    iterations: 4,
                },
            ],
            ..Preset::default()
        };
        let sizes = job(100, 80, preset).sizes();
        assert_eq!(
            sizes[0],
            Size {
                width: 50,
                height: 40,
                iterations: 3
            }
        );
        assert_eq!(
            sizes[1],
            Size {
                width: 200,
                height: 160,
                iterations: 4
            }
        );
    }
}
