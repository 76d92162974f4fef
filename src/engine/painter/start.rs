//! The image that painting begins with.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

use super::Painter;
use crate::engine::pixels::{rescaled, tensor_of};
use crate::engine::{EngineError, Result};
use crate::job::Size;
use crate::picture::Picture;
use crate::preset::Start;

impl Painter {
    /// The picture of a scale, brought to the next scale's size. Where painting
    /// began with the content, the detail that the content has at this size and
    /// had not at the last is added: the content loss asks for it.
    pub(super) fn carried(&self, before: &Tensor, size: Size) -> Result<Tensor> {
        let grown = rescaled(before, size.width, size.height)?;
        let preset = &self.job.preset;
        if preset.start != Start::Content || preset.content.is_off() {
            return Ok(grown);
        }
        let content = &self.job.content.picture;
        let at = |width: u32, height: u32| tensor_of(&content.resized(width, height), self.device);
        let (_, _, height, width) = before.size4()?;
        let without = rescaled(&at(width as u32, height as u32)?, size.width, size.height)?;
        let detail = at(size.width, size.height)?.f_sub(&without)?;
        Ok(grown.f_add(&detail)?.f_clamp_(0.0, 1.0)?)
    }

    /// The image to begin with, at the first scale's size.
    pub(super) fn first_image(&self, size: Size) -> Result<Tensor> {
        let picture = match (&self.job.preset.start, &self.job.start) {
            (Start::Noise, _) => noise(size, self.job.preset.seed),
            (Start::Style, _) => {
                return covering(&self.job.style.picture, size, self.device);
            }
            (Start::File(_), Some(start)) => {
                return covering(&start.picture, size, self.device);
            }
            (Start::Content | Start::File(_), _) => {
                Some(self.job.content.picture.resized(size.width, size.height))
            }
        };
        match picture {
            Some(picture) => tensor_of(&picture, self.device),
            None => Err(EngineError::Torch("a scale without pixels".to_owned())),
        }
    }
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
fn covering(picture: &Picture, size: Size, device: Device) -> Result<Tensor> {
    let scale = f64::max(
        f64::from(size.width) / f64::from(picture.width()),
        f64::from(size.height) / f64::from(picture.height()),
    );
    let side = |side: u32, least: u32| ((f64::from(side) * scale).round() as u32).max(least);
    let (width, height) = (
        side(picture.width(), size.width),
        side(picture.height(), size.height),
    );
    let tensor = tensor_of(&picture.resized(width, height), device)?;
    let middle = |whole: u32, part: u32| i64::from((whole - part) / 2);
    let tensor = tensor.f_narrow(2, middle(height, size.height), i64::from(size.height))?;
    let tensor = tensor.f_narrow(3, middle(width, size.width), i64::from(size.width))?;
    Ok(tensor.f_contiguous()?)
}
