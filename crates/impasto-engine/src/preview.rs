//! A small picture of the image on its way to the host.

use tch::{Kind, Tensor};

use super::accelerator::{HostCopy, Stream};
use super::pixels::size_of;
use super::{EngineError, Result};

/// A picture scaled down on its own device, whose bytes come to the host
/// without holding up what is painted meanwhile.
#[derive(Debug)]
pub struct PreviewCopy {
    width: u32,
    height: u32,
    bytes: HostCopy,
}

/// Width, height, and `3 * width * height` bytes, RGB, rows from the top.
pub type SmallPicture = (u32, u32, Vec<u8>);

impl PreviewCopy {
    /// Begins with a picture `[1, 3, H, W]`, RGB in 0..1, as it is after the
    /// work submitted so far; scales it down (never up) to fit `width` ×
    /// `height`. The copy runs on the stream `side`.
    ///
    /// # Errors
    /// When the tensor has another shape, or libtorch fails.
    pub fn start(tensor: &Tensor, width: u32, height: u32, side: &Stream) -> Result<Self> {
        let (full_width, full_height) = size_of(tensor)?;
        let shrink = f64::min(
            f64::from(width.max(1)) / f64::from(full_width),
            f64::from(height.max(1)) / f64::from(full_height),
        );
        let mut small = tensor.shallow_clone();
        if shrink < 1.0 {
            let side = |full: u32| ((f64::from(full) * shrink).round() as i64).max(1);
            let size = [side(full_height), side(full_width)];
            small = small.f_internal_upsample_bilinear2d_aa(size, false, None, None)?;
        }
        let bytes = small
            .f_clamp(0.0, 1.0)?
            .f_mul_scalar(255.0)?
            .f_round()?
            .f_to_kind(Kind::Uint8)?
            .f_permute([0, 2, 3, 1])?;
        let (width, height) = size_of(&small)?;
        Ok(Self {
            width,
            height,
            bytes: HostCopy::start(&bytes, side)?,
        })
    }

    /// The picture once it is there; none before, and none after it was taken.
    /// Does not wait; on the CPU it is there at once.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn poll(&mut self) -> Result<Option<SmallPicture>> {
        let (width, height) = (self.width, self.height);
        let bytes = self.bytes.poll()?;
        bytes.map(|bytes| small(width, height, &bytes)).transpose()
    }

    /// Waits for the picture, if it was not taken yet.
    ///
    /// # Errors
    /// When it was, and when libtorch fails.
    pub fn wait(self) -> Result<SmallPicture> {
        small(self.width, self.height, &self.bytes.wait()?)
    }
}

fn small(width: u32, height: u32, bytes: &Tensor) -> Result<SmallPicture> {
    let mut rgb = vec![0u8; 3 * width as usize * height as usize];
    if bytes.numel() != rgb.len() {
        return Err(EngineError::Torch("a preview of another size".to_owned()));
    }
    let count = rgb.len();
    bytes.f_copy_data_u8(&mut rgb, count)?;
    Ok((width, height, rgb))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::tensor_of;
    use crate::test_device::devices;
    use impasto_core::picture::Picture;
    use tch::Device;

    fn ramp(width: u32, height: u32) -> Picture {
        let bytes: Vec<u8> = (0..3 * width * height)
            .map(|i| (i * 7 % 256) as u8)
            .collect();
        Picture::from_rgb8(width, height, &bytes).unwrap()
    }

    #[test]
    fn previews_shrink_and_never_grow() {
        for &device in devices().iter() {
            let side = Stream::side(device).unwrap();
            let tensor = tensor_of(&ramp(40, 20), device).unwrap();
            let start = |width, height| PreviewCopy::start(&tensor, width, height, &side).unwrap();
            let (width, height, rgb) = start(10, 10).wait().unwrap();
            assert_eq!((width, height, rgb.len()), (10, 5, 150));
            let (width, height, rgb) = start(100, 100).wait().unwrap();
            assert_eq!((width, height), (40, 20));
            assert_eq!(rgb, ramp(40, 20).to_rgb8());
        }
    }

    #[test]
    fn on_the_cpu_a_preview_is_there_at_once() {
        let side = Stream::side(Device::Cpu).unwrap();
        let tensor = tensor_of(&ramp(40, 20), Device::Cpu).unwrap();
        let mut copy = PreviewCopy::start(&tensor, 100, 100, &side).unwrap();
        assert!(copy.poll().unwrap().is_some());
        assert!(copy.poll().unwrap().is_none());
    }
}
