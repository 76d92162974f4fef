//! A picture as a decoder gives it.

use image::DynamicImage;

use super::{MAX_PIXELS, PictureError};

/// Samples as they were stored, upright, with the profile that says which
/// colours they mean.
pub(super) struct Decoded {
    pub image: DynamicImage,
    pub icc_profile: Option<Vec<u8>>,
}

/// Refuses a size before anything of that size is allocated.
pub(super) fn check_size(width: u32, height: u32, file: &str) -> Result<(), PictureError> {
    let file = file.to_owned();
    match u64::from(width) * u64::from(height) {
        0 => Err(PictureError::NoPixels { file }),
        pixels if pixels > MAX_PIXELS => Err(PictureError::TooManyPixels {
            file,
            width,
            height,
        }),
        _ => Ok(()),
    }
}
