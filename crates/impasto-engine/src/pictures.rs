//! The pictures of a job at the sizes of its scales, with their colours as the preset
//! wants them.

use impasto_core::job::Job;
use impasto_core::picture::{Picture, fit_long_side, recolour};
use impasto_core::preset::{ColourMode, Preset};
use tch::{Device, Kind, Tensor};

use super::Result;
use super::source_picture::SourcePicture;
use super::targets::{StyleMask, TargetImages};

/// The pictures of a job, on the device that needs them.
pub struct Pictures {
    /// The content as it is, for its colours, where what is painted is grey.
    pub colours: Option<SourcePicture>,
    pub content: SourcePicture,
    pub styles: Vec<SourcePicture>,
    pub start: Option<SourcePicture>,
    masks: Vec<Mask>,
}

struct Mask {
    style: usize,
    mask: Tensor,
    region: Option<Tensor>,
}

impl Pictures {
    /// # Errors
    /// When memory runs out.
    pub fn new(job: &Job, device: Device) -> Result<Self> {
        let source = |picture: &Picture| SourcePicture::new(picture, device);
        let content = &job.content.picture;
        let styles = job.styles().map(|style| &style.picture);
        let (content, styles, colours) = match job.preset.colour {
            ColourMode::Style | ColourMode::Content => {
                (source(content), styles.map(source).collect(), None)
            }
            ColourMode::Luminance => {
                let grey = recolour::luminance(content);
                let styles = styles.map(|style| {
                    source(&recolour::with_mean_of(&recolour::luminance(style), &grey))
                });
                (source(&grey), styles.collect(), Some(source(content)))
            }
            ColourMode::Match(how) => {
                let styles = styles.map(|style| source(&recolour::recolour(style, content, how)));
                (source(content), styles.collect(), None)
            }
        };
        let mut masks = Vec::new();
        for (mask, pictures) in job.preset.masks.iter().zip(&job.masks) {
            let region = pictures.region.as_ref();
            masks.push(Mask {
                style: mask.style.saturating_sub(1),
                mask: grey(&pictures.mask.picture, device)?,
                region: region.map(|it| grey(&it.picture, device)).transpose()?,
            });
        }
        Ok(Self {
            colours,
            content,
            styles,
            start: job.start.as_ref().map(|start| source(&start.picture)),
            masks,
        })
    }

    /// The pictures for an image of this size. Styles are brought to its long side, times
    /// their scale.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn at(&mut self, preset: &Preset, size: (u32, u32)) -> Result<TargetImages> {
        let (width, height) = size;
        let content = self.content.at(width, height)?;
        let mut styles = Vec::new();
        for (index, style) in self.styles.iter_mut().enumerate() {
            let (width, height) = style_size(preset, index, style.size(), size);
            styles.push(style.at(width, height)?);
        }
        let mut masks = Vec::new();
        for mask in &self.masks {
            let region = match (&mask.region, styles.get(mask.style)) {
                (Some(region), Some(style)) => {
                    let (_, _, height, width) = style.size4()?;
                    Some(stretched(region, height, width)?)
                }
                _ => None,
            };
            masks.push(StyleMask {
                style: mask.style,
                mask: stretched(&mask.mask, i64::from(height), i64::from(width))?,
                region,
            });
        }
        Ok(TargetImages {
            content,
            styles,
            masks,
        })
    }

    /// The content with its own colours, at this size.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn content_in_colour(&mut self, (width, height): (u32, u32)) -> Result<Tensor> {
        match &mut self.colours {
            Some(colours) => colours.at(width, height),
            None => self.content.at(width, height),
        }
    }
}

/// The size at which a style is looked at for an image of this size.
pub fn style_size(
    preset: &Preset,
    index: usize,
    (width, height): (u32, u32),
    image: (u32, u32),
) -> (u32, u32) {
    let long_side = f64::from(image.0.max(image.1)) * preset.style.scale.of(index);
    fit_long_side(width, height, (long_side.round() as u32).max(1))
}

/// A picture's grey values `[1, 1, H, W]` in 0..1, as they are written: a mask is no
/// light.
fn grey(picture: &Picture, device: Device) -> Result<Tensor> {
    let (width, height) = picture.size();
    let values = picture.pixels().chunks_exact(3);
    let values: Vec<f32> = values.map(|rgb| (rgb[0] + rgb[1] + rgb[2]) / 3.0).collect();
    let shape = [1, 1, i64::from(height), i64::from(width)];
    Ok(Tensor::f_from_slice(&values)?
        .f_view(shape)?
        .f_clamp(0.0, 1.0)?
        .f_to_kind(Kind::Float)?
        .f_to_device(device)?)
}

/// A mask at another size.
fn stretched(mask: &Tensor, height: i64, width: i64) -> Result<Tensor> {
    let mask = mask.f_internal_upsample_bilinear2d_aa([height, width], false, None, None)?;
    Ok(mask.f_clamp(0.0, 1.0)?)
}
