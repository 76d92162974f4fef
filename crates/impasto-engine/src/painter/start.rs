//! The image that painting begins with.

use impasto_core::job::Size;
use impasto_core::picture::Picture;
use impasto_core::preset::Start;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

use super::Painter;
use crate::pixels::{rescaled, tensor_of};
use crate::source_picture::SourcePicture;
use crate::{EngineError, Result};

impl Painter {
    /// The picture of a scale, brought to the next scale's size. Where painting
    /// began with the content, the detail that the content has at this size and
    /// had not at the last is added: the content loss asks for it.
    pub(super) fn carried(&mut self, before: &Tensor, size: Size) -> Result<Tensor> {
        let grown = rescaled(before, size.width, size.height)?;
        let preset = &self.job.preset;
        if preset.start != Start::Content || preset.content.is_off() {
            return Ok(grown);
        }
        let content = &mut self.pictures.content;
        let (_, _, height, width) = before.size4()?;
        let small = content.at(width as u32, height as u32)?;
        let without = rescaled(&small, size.width, size.height)?;
        let detail = content.at(size.width, size.height)?.f_sub(&without)?;
        Ok(grown.f_add(&detail)?.f_clamp_(0.0, 1.0)?)
    }

    /// The image to begin with, at the first scale's size.
    pub(super) fn first_image(&mut self, size: Size) -> Result<Tensor> {
        let pictures = &mut self.pictures;
        let preset = &self.job.preset;
        let noise = || match noise(size, preset.seed) {
            Some(picture) => tensor_of(&picture, self.device),
            None => Err(EngineError::Torch("a scale without pixels".to_owned())),
        };
        let image = match (&preset.start, &mut pictures.start) {
            (Start::Noise, _) => return noise(),
            (Start::Style, _) => covering(&mut pictures.styles[0], size)?,
            (Start::Colour(colour), _) => plain(*colour, size, self.device)?,
            (Start::File(_), Some(start)) => covering(start, size)?,
            (Start::Content | Start::File(_), _) => pictures.content.at(size.width, size.height)?,
        };
        match preset.start_noise {
            0.0 => Ok(image),
            share => Ok(image.f_lerp(&noise()?, share)?),
        }
    }
}

/// One colour everywhere.
fn plain(colour: [u8; 3], size: Size, device: Device) -> Result<Tensor> {
    let colour = colour.map(|value| f32::from(value) / 255.0);
    let shape = [1, 3, i64::from(size.height), i64::from(size.width)];
    let colour = Tensor::f_from_slice(&colour)?.f_view([1, 3, 1, 1])?;
    Ok(colour
        .f_to_device(device)?
        .f_expand(shape, false)?
        .f_contiguous()?)
}

/// White noise about a middle grey, the same for the same seed on every
/// machine. Faint, because the network is nearly blind to the finest grain:
/// strong noise would still be there when the picture is done.
fn noise(size: Size, seed: u64) -> Option<Picture> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = 3 * size.width as usize * size.height as usize;
    let pixels = (0..count)
        .map(|_| 0.4 + 0.2 * random.r#gen::<f32>())
        .collect();
    Picture::new(size.width, size.height, pixels)
}

/// The picture scaled until it covers `size`, its middle cut out.
fn covering(picture: &mut SourcePicture, size: Size) -> Result<Tensor> {
    let (full_width, full_height) = picture.size();
    let scale = f64::max(
        f64::from(size.width) / f64::from(full_width),
        f64::from(size.height) / f64::from(full_height),
    );
    let side = |side: u32, least: u32| ((f64::from(side) * scale).round() as u32).max(least);
    let (width, height) = (side(full_width, size.width), side(full_height, size.height));
    let tensor = picture.at(width, height)?;
    let middle = |whole: u32, part: u32| i64::from((whole - part) / 2);
    let tensor = tensor.f_narrow(2, middle(height, size.height), i64::from(size.height))?;
    let tensor = tensor.f_narrow(3, middle(width, size.width), i64::from(size.width))?;
    Ok(tensor.f_contiguous()?)
}
