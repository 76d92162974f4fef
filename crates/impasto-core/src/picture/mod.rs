//! Files to pixels and back.
//!
//! [`load`] reads a JPEG, PNG, WebP, TIFF or BMP file, whatever its extension
//! says, and gives a [`Picture`] as a viewer would show it: turned upright by
//! its EXIF orientation, converted from its ICC profile to sRGB, and laid on
//! white where it is transparent. [`save`] writes one whole or not at all, and
//! keeps the recipe of a painting inside a PNG, where [`read_recipe`] finds it.
//!
//! Every picture is untrusted: sizes are checked before anything is allocated,
//! and names and messages that come from files are made fit for a terminal.
//!
//! This module does not depend on tensors or terminals.

use std::sync::Arc;

mod colour;
mod decode;
mod decoded;
mod destination;
mod encode;
mod error;
pub mod finish;
mod format;
mod jpeg;
pub mod recolour;
mod regions;
mod resize;

pub use decode::{Source, check, load, load_bytes};
pub use destination::{check_destination, release, reserve};
pub use encode::{encode, read_recipe, save, save_with};
pub use error::PictureError;
pub use format::{OutputFormat, output_format};
pub use regions::{show_regions, side_by_side};
pub use resize::fit_long_side;

/// The most pixels a picture may have: 100 million. As a [`Picture`] that is
/// 1.2 GB.
pub const MAX_PIXELS: u64 = 100_000_000;

/// The largest file that is read: 1 GiB.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// The longest recipe that is written or read: 1 MiB of text.
pub const MAX_RECIPE_BYTES: usize = 1 << 20;

/// An RGB picture: sRGB-encoded values in 0..1, rows from top to bottom, the
/// three channels of a pixel side by side.
///
/// `pixels().len() == 3 * width * height`, and neither side is zero.
///
/// Clones share their pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    width: u32,
    height: u32,
    pixels: Arc<Vec<f32>>,
}

impl Picture {
    /// A picture from sRGB-encoded values in 0..1.
    ///
    /// `None` if a side is zero or `pixels` does not hold `3 * width * height`
    /// values. The values themselves are not checked.
    #[must_use]
    pub fn new(width: u32, height: u32, pixels: Vec<f32>) -> Option<Self> {
        (sample_count(width, height)? == pixels.len()).then_some(Self {
            width,
            height,
            pixels: Arc::new(pixels),
        })
    }

    /// A picture from 8-bit sRGB values: 0 becomes 0.0 and 255 becomes 1.0.
    ///
    /// `None` on the same grounds as [`Picture::new`].
    #[must_use]
    pub fn from_rgb8(width: u32, height: u32, rgb: &[u8]) -> Option<Self> {
        if sample_count(width, height)? != rgb.len() {
            return None;
        }
        let pixels = rgb.iter().map(|&value| f32::from(value) / 255.0).collect();
        Self::new(width, height, pixels)
    }

    /// Width in pixels, at least 1.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Width and height in pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The sRGB-encoded values, three to a pixel, rows from top to bottom.
    #[must_use]
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// The values as 8-bit sRGB, rounded to the nearest. Values outside 0..1
    /// are clamped; NaN becomes 0.
    #[must_use]
    pub fn to_rgb8(&self) -> Vec<u8> {
        // A cast from float to integer saturates, and takes NaN to 0.
        self.pixels
            .iter()
            .map(|&value| (value * 255.0 + 0.5) as u8)
            .collect()
    }

    /// The values as 16-bit sRGB, as [`to_rgb8`](Self::to_rgb8).
    #[must_use]
    pub fn to_rgb16(&self) -> Vec<u16> {
        self.pixels
            .iter()
            .map(|&value| (value * 65_535.0 + 0.5) as u16)
            .collect()
    }

    /// This picture at another size, through a Lanczos filter in linear light,
    /// clamped to 0..1. The same size gives an unchanged copy; a side of zero
    /// is taken as 1.
    #[must_use]
    pub fn resized(&self, width: u32, height: u32) -> Self {
        resize::resized(self, width.max(1), height.max(1))
    }
}

/// How many values a picture of this size holds. `None` if it has no pixels
/// or more than memory can be addressed for.
fn sample_count(width: u32, height: u32) -> Option<usize> {
    let pixels = usize::try_from(width)
        .ok()?
        .checked_mul(usize::try_from(height).ok()?)?;
    pixels.checked_mul(3).filter(|&samples| samples > 0)
}

#[cfg(test)]
mod tests {
    use super::Picture;

    #[test]
    fn a_picture_must_have_exactly_its_pixels() {
        assert!(Picture::new(2, 1, vec![0.0; 6]).is_some());
        assert!(Picture::new(2, 1, vec![0.0; 5]).is_none());
        assert!(Picture::new(2, 1, vec![0.0; 7]).is_none());
        assert!(Picture::new(0, 4, vec![]).is_none());
        assert!(Picture::new(4, 0, vec![]).is_none());
        assert!(Picture::new(u32::MAX, u32::MAX, vec![]).is_none());
        assert!(Picture::from_rgb8(1, 1, &[1, 2]).is_none());
    }

    #[test]
    fn eight_bit_values_survive_the_round_trip() {
        let rgb: Vec<u8> = (0..=255).flat_map(|v| [v, 255 - v, v / 2]).collect();
        let picture = Picture::from_rgb8(16, 16, &rgb).unwrap();
        assert_eq!(picture.to_rgb8(), rgb);
        assert_eq!(picture.pixels()[1], 1.0);
        assert_eq!(picture.size(), (16, 16));
    }

    #[test]
    fn wild_values_are_clamped_and_nan_is_black() {
        let wild = vec![f32::NAN, -3.0, 7.0, f32::INFINITY, f32::NEG_INFINITY, 0.5];
        let picture = Picture::new(2, 1, wild).unwrap();
        assert_eq!(picture.to_rgb8(), [0, 0, 255, 255, 0, 128]);
    }
}
