//! A job: one run, complete and checked, with nothing left to decide. A [`Plan`]
//! becomes one when its pictures are read.

mod compute;
mod plan;
mod recipe;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::compute::{Compute, DeviceChoice, PrecisionChoice, Shortage};
pub use self::plan::{OutputOverrides, Overrides, PictureFile, Plan, PlanError, Unassembled};
pub use self::recipe::{Input, Painted, Recipe};
use crate::picture::{Picture, Source, fit_long_side, output_format};
use crate::preset::{Layer, OutputSettings, Preset, Scale, StyleTerm};
use crate::text::display_path;

/// Everything a run needs.
#[derive(Clone, Debug)]
pub struct Job {
    pub preset: Preset,
    pub content: Source,
    /// The first style, and the others in their order.
    pub style: Source,
    pub more_styles: Vec<Source>,
    /// The picture to start from, where the preset's `start` names a file.
    pub start: Option<Source>,
    /// The pictures of the preset's masks, in their order.
    pub masks: Vec<MaskPictures>,
    pub compute: Compute,
    /// Where the finished picture goes.
    pub output: PathBuf,
}

/// The pictures of one mask: grey values are read from them.
#[derive(Clone, Debug)]
pub struct MaskPictures {
    pub mask: Source,
    /// The region of the style, where the mask names one.
    pub region: Option<Source>,
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
    #[error("a picture of the run is missing")]
    Incomplete,
    #[error(
        "{file}: only PNG and TIFF have 16 bits a channel; name such a file with -o, or choose a \
         depth of 8"
    )]
    NoDepth { file: String },
    #[error(
        "{file} has {width}×{height} pixels, which is another shape than that of {of} \
         ({of_width}×{of_height}); a mask has the proportions of its picture"
    )]
    MaskShape {
        file: String,
        width: u32,
        height: u32,
        of: String,
        of_width: u32,
        of_height: u32,
    },
    #[error("the mask {file} is for style {style}, but there {}", styles(*.count))]
    NoSuchStyle {
        file: String,
        style: usize,
        count: usize,
    },
    #[error("the mask {file} is black everywhere: style {style} would paint nowhere")]
    EmptyMask { file: String, style: usize },
    #[error(
        "there are {count} styles; a run has at most {}",
        StyleTerm::MAX_STYLES
    )]
    TooManyStyles { count: usize },
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

fn styles(count: usize) -> String {
    match count {
        1 => "is only one style".to_owned(),
        count => format!("are only {count} styles"),
    }
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

/// Checks that the format of the picture's file has the depth that is asked for.
///
/// # Errors
/// [`JobError::NoDepth`]. A path of no known format is let through: where a picture is
/// saved, [`check_destination`](crate::picture::check_destination) refuses it.
pub fn check_depth(settings: &OutputSettings, output: &Path) -> Result<(), JobError> {
    match output_format(output) {
        Ok(format) if settings.depth == 16 && !format.has_16_bits() => Err(JobError::NoDepth {
            file: display_path(output),
        }),
        _ => Ok(()),
    }
}

impl Job {
    /// The styles, in their order.
    pub fn styles(&self) -> impl Iterator<Item = &Source> + Clone {
        std::iter::once(&self.style).chain(&self.more_styles)
    }

    /// Every picture that goes into the run with its role, in the order of
    /// [`Plan::inputs`].
    pub fn pictures(&self) -> Vec<(String, &Source)> {
        let masks = self.masks.iter();
        let masks = masks.map(|pictures| (&pictures.mask, pictures.region.as_ref()));
        in_order(&self.content, self.styles(), self.start.as_ref(), masks)
    }

    /// Checks that the network can take the pictures at every scale, that the masks fit,
    /// and that the output has the depth that the preset asks for.
    ///
    /// # Errors
    /// When the output's format has no such depth; when a picture is so narrow that a scale leaves fewer pixels than the
    /// preset's deepest layer needs; when a mask has another shape than its picture, is
    /// black, or names a style that is not there.
    pub fn check(&self) -> Result<(), JobError> {
        self.check_from(0)
    }

    /// As [`check`](Self::check), from the scale of this index on.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_from(&self, first: usize) -> Result<(), JobError> {
        check_depth(&self.preset.output, &self.output)?;
        for (index, scale) in self.preset.schedule.iter().enumerate().skip(first) {
            let role = |role: &str| format!("at scale {} the {role}", index + 1);
            let content = fitted(&self.content.picture, *scale);
            check_size(&self.preset, &role("content"), content)?;
            for (number, style) in self.styles().enumerate() {
                let size = self.preset.style.scale.of(number) * f64::from(scale.size);
                let picture = &style.picture;
                let size = fit_long_side(picture.width(), picture.height(), size.round() as u32);
                check_size(&self.preset, &role(&numbered("style", number)), size)?;
            }
        }
        let count = self.styles().count();
        if count > StyleTerm::MAX_STYLES {
            return Err(JobError::TooManyStyles { count });
        }
        for (mask, pictures) in self.preset.masks.iter().zip(&self.masks) {
            let file = display_path(&pictures.mask.path);
            let style = mask.style;
            let Some(painted) = self.styles().nth(style.saturating_sub(1)) else {
                return Err(JobError::NoSuchStyle { file, style, count });
            };
            check_shape(&pictures.mask, &self.content, "the content")?;
            if let Some(region) = &pictures.region {
                check_shape(region, painted, &format!("style {style}"))?;
            }
            for source in std::iter::once(&pictures.mask).chain(&pictures.region) {
                if source.picture.pixels().iter().all(|value| *value == 0.0) {
                    let file = display_path(&source.path);
                    return Err(JobError::EmptyMask { file, style });
                }
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
            more_styles: self.more_styles.iter().map(Input::of).collect(),
            start: self.start.as_ref().map(Input::of),
            masks: (self.masks.iter())
                .flat_map(|it| std::iter::once(&it.mask).chain(&it.region))
                .map(Input::of)
                .collect(),
            device,
            precision,
            libtorch,
            weights,
            convention,
        }
    }
}

/// What goes into a run, each with its role: `content`, `style`, `style-2` …, `start`,
/// `mask-1`, `region-1` …
pub fn in_order<T>(
    content: T,
    styles: impl Iterator<Item = T>,
    start: Option<T>,
    masks: impl Iterator<Item = (T, Option<T>)>,
) -> Vec<(String, T)> {
    let mut all = vec![("content".to_owned(), content)];
    let styles = styles.enumerate();
    all.extend(styles.map(|(index, style)| (numbered("style", index), style)));
    all.extend(start.map(|start| ("start".to_owned(), start)));
    for (index, (mask, region)) in masks.enumerate() {
        all.push((format!("mask-{}", index + 1), mask));
        all.extend(region.map(|region| (format!("region-{}", index + 1), region)));
    }
    all
}

/// `style`, `style-2` …
fn numbered(role: &str, index: usize) -> String {
    match index {
        0 => role.to_owned(),
        _ => format!("{role}-{}", index + 1),
    }
}

/// Checks that a mask has the proportions of its picture, but for rounding.
fn check_shape(mask: &Source, picture: &Source, of: &str) -> Result<(), JobError> {
    let (width, height) = mask.picture.size();
    let (of_width, of_height) = picture.picture.size();
    let (fit_width, fit_height) = fit_long_side(of_width, of_height, width.max(height));
    if fit_width.abs_diff(width) <= 1 && fit_height.abs_diff(height) <= 1 {
        return Ok(());
    }
    Err(JobError::MaskShape {
        file: display_path(&mask.path),
        width,
        height,
        of: of.to_owned(),
        of_width,
        of_height,
    })
}

/// Scales below this long side lose more than they give, and are left out when
/// a schedule shrinks.
const MIN_USEFUL_SIZE: u32 = 96;

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
        index == count || scale.size >= MIN_USEFUL_SIZE
    });
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
    use crate::preset::Mask;

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
            more_styles: Vec::new(),
            start: None,
            masks: Vec::new(),
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
    fn an_output_without_the_depth_is_refused() {
        let mut job = job(640, 480, Preset::default());
        job.preset.output.depth = 16;
        for output in ["out.png", "out.TIFF", ""] {
            job.output = PathBuf::from(output);
            assert_eq!(job.check(), Ok(()), "{output}");
        }
        job.output = PathBuf::from("out.jpg");
        let file = "out.jpg".to_owned();
        assert_eq!(job.check(), Err(JobError::NoDepth { file }));
        job.preset.output.depth = 8;
        assert_eq!(job.check(), Ok(()));
    }

    #[test]
    fn a_recipe_has_the_roles_of_its_job() {
        let mut job = job(64, 48, Preset::default());
        let named = |path: &str| Source {
            path: PathBuf::from(path),
            ..job.content.clone()
        };
        let mask = |region: Option<&str>| MaskPictures {
            mask: named("mask.png"),
            region: region.map(named),
        };
        let masks = vec![mask(Some("region.png")), mask(None)];
        let more_styles = vec![named("second.png")];
        job.start = Some(named("start.png"));
        job.more_styles = more_styles;
        job.preset.masks = masks
            .iter()
            .map(|pictures| Mask {
                file: pictures.mask.path.clone(),
                style: 1,
                region: pictures.region.as_ref().map(|it| it.path.clone()),
            })
            .collect();
        job.masks = masks;
        let mut recipe = job.recipe(Painted::default());
        let roles = |recipe: &Recipe| -> Vec<String> {
            let inputs = recipe.inputs().into_iter();
            inputs
                .map(|(role, input)| format!("{role} {}", input.file))
                .collect()
        };
        let expected = [
            "content a.png",
            "style a.png",
            "style-2 second.png",
            "start start.png",
            "mask-1 mask.png",
            "region-1 region.png",
            "mask-2 mask.png",
        ];
        assert_eq!(roles(&recipe), expected);
        recipe.masks.truncate(1);
        assert_eq!(roles(&recipe), expected[..4]);
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
