//! The pictures of a run at the sizes that its scales need.
//!
//! On a GPU a picture is brought to the device once, and a resize is two matrix
//! products with the weights of the filter: the host would take longer for one
//! than the GPU for a hundred iterations. On the CPU, where those products would
//! mostly multiply by zero, `Picture::resized` does the same arithmetic. Both give
//! the same numbers within rounding: Lanczos 3, in linear light, clamped to 0..1.

use impasto_core::picture::Picture;
use tch::{Device, Kind, Tensor};

use super::Result;
use super::pixels::tensor_of;

/// The half width of the Lanczos window, in pixels of the smaller picture.
const SUPPORT: f64 = 3.0;
/// Pictures of more pixels are resized on the host: as float32 they would take a
/// noticeable part of a GPU's memory.
pub(super) const MAX_PIXELS: usize = 64 << 20;

/// A picture that is needed at several sizes on one device.
#[derive(Debug)]
pub struct SourcePicture {
    picture: Picture,
    device: Device,
    /// `[3, H, W]`, RGB, linear light, float32, on the device; made when it is
    /// first needed.
    linear: Option<Tensor>,
}

impl SourcePicture {
    pub fn new(picture: &Picture, device: Device) -> Self {
        Self {
            picture: picture.clone(),
            device,
            linear: None,
        }
    }

    /// Width and height of the picture itself.
    pub fn size(&self) -> (u32, u32) {
        self.picture.size()
    }

    /// The picture at this size, `[1, 3, H, W]`, RGB in 0..1. Both sides must be
    /// at least 1.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn at(&mut self, width: u32, height: u32) -> Result<Tensor> {
        let (from_width, from_height) = self.size();
        let pixels = from_width as usize * from_height as usize;
        if self.device == Device::Cpu || pixels > MAX_PIXELS {
            return tensor_of(&self.picture.resized(width, height), self.device);
        }
        if (width, height) == self.size() {
            return tensor_of(&self.picture, self.device);
        }
        let linear = match self.linear.take() {
            Some(linear) => linear,
            None => srgb_to_linear(&tensor_of(&self.picture, self.device)?.f_squeeze_dim(0)?)?,
        };
        resized(self.linear.insert(linear), width, height)
    }
}

/// A picture in linear light `[3, H, W]` at another size, as sRGB `[1, 3, H, W]`.
fn resized(linear: &Tensor, width: u32, height: u32) -> Result<Tensor> {
    let (_, from_height, from_width) = linear.size3()?;
    let device = linear.device();
    let across = filter_matrix(from_width as usize, width as usize, device)?;
    let down = filter_matrix(from_height as usize, height as usize, device)?;
    let narrow = linear.f_matmul(&across.f_tr()?)?;
    let small = down.f_matmul(&narrow)?;
    linear_to_srgb(&small.f_clamp(0.0, 1.0)?)?
        .f_clamp(0.0, 1.0)?
        .f_unsqueeze(0)
        .map_err(Into::into)
}

/// The weights that each of `to` values gives to `from` values, `[to, from]`:
/// Lanczos 3 about its centre, stretched when the picture shrinks, with a sum of
/// one. What lies outside the picture counts nothing.
fn filter_matrix(from: usize, to: usize, device: Device) -> Result<Tensor> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let radius = SUPPORT * stretch;
    let mut weights = vec![0f32; from * to];
    for (place, row) in weights.chunks_exact_mut(from).enumerate() {
        let centre = (place as f64 + 0.5) * scale;
        let first = (centre - radius).floor().max(0.0) as usize;
        let last = ((centre + radius).ceil() as usize).min(from);
        let weight = |index: usize| lanczos((index as f64 + 0.5 - centre) / stretch);
        let sum: f64 = (first..last).map(weight).sum();
        for (index, value) in (first..last).zip(&mut row[first..last]) {
            *value = (weight(index) / sum) as f32;
        }
    }
    let matrix = Tensor::f_from_slice(&weights)?.f_view([to as i64, from as i64])?;
    Ok(matrix.f_to_device(device)?)
}

fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| match x == 0.0 {
        true => 1.0,
        false => (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x),
    };
    match x.abs() < SUPPORT {
        true => sinc(x) * sinc(x / SUPPORT),
        false => 0.0,
    }
}

/// IEC 61966-2-1, as `picture::colour` has it.
fn srgb_to_linear(encoded: &Tensor) -> Result<Tensor> {
    let low = encoded.f_div_scalar(12.92)?;
    let high = encoded
        .f_add_scalar(0.055)?
        .f_div_scalar(1.055)?
        .f_pow_tensor_scalar(2.4)?;
    Ok(low.f_where_self(&encoded.f_le(0.040_45)?, &high)?)
}

/// The inverse.
fn linear_to_srgb(linear: &Tensor) -> Result<Tensor> {
    let low = linear.f_mul_scalar(12.92)?;
    let high = linear
        .f_pow_tensor_scalar(1.0 / 2.4)?
        .f_mul_scalar(1.055)?
        .f_sub_scalar(0.055)?;
    Ok(low
        .f_where_self(&linear.f_le(0.003_130_8)?, &high)?
        .f_to_kind(Kind::Float)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device::devices;

    fn picture(width: u32, height: u32) -> Picture {
        let bytes: Vec<u8> = (0..3 * width * height)
            .map(|index| (index * index % 253) as u8)
            .collect();
        Picture::from_rgb8(width, height, &bytes).unwrap()
    }

    #[test]
    fn both_ways_of_resizing_give_the_same_pixels() {
        let sizes = [
            // Smaller, larger, one side each way, tiny, and far from square.
            ((64, 48), (17, 31)),
            ((37, 53), (80, 111)),
            ((90, 20), (33, 40)),
            ((5, 3), (1, 1)),
            ((1, 1), (7, 4)),
            ((300, 2), (11, 9)),
            ((400, 300), (3, 200)),
        ];
        for &device in devices().iter() {
            for ((from_width, from_height), (width, height)) in sizes {
                let picture = picture(from_width, from_height);
                let wanted = tensor_of(&picture.resized(width, height), device).unwrap();
                let pixels = tensor_of(&picture, device).unwrap().squeeze_dim(0);
                let linear = srgb_to_linear(&pixels).unwrap();
                let found = resized(&linear, width, height).unwrap();
                assert_eq!(found.size(), wanted.size());
                let off = (&found - &wanted).abs().max().double_value(&[]);
                assert!(
                    off < 2e-5,
                    "{from_width}×{from_height} to {width}×{height}: {off}"
                );
                let mut source = SourcePicture::new(&picture, device);
                for _ in 0..2 {
                    let found = source.at(width, height).unwrap();
                    let off = (&found - &wanted).abs().max().double_value(&[]);
                    assert!(off < 2e-5, "{device:?}: {off}");
                }
            }
        }
    }

    #[test]
    fn at_its_own_size_a_picture_is_itself() {
        for &device in devices().iter() {
            let picture = picture(9, 7);
            let found = SourcePicture::new(&picture, device).at(9, 7).unwrap();
            assert_eq!(found, tensor_of(&picture, device).unwrap());
        }
    }
}
