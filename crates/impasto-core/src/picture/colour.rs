//! What stored samples mean as sRGB colours.

use std::sync::{Arc, LazyLock};

use image::{DynamicImage, ImageBuffer, Pixel, Primitive};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformF32Executor, TransformOptions};

use super::Picture;

/// The ICC profile of sRGB, as it is written into files; empty if it cannot be made.
pub(super) static SRGB_PROFILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut profile = ColorProfile::new_srgb().encode().unwrap_or_default();
    // The date when it was made, in the header: always the same, so that files are.
    if let Some(date) = profile.get_mut(24..36) {
        date.copy_from_slice(&[0x07, 0xEA, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    profile
});

/// Linear light of an sRGB-encoded value (IEC 61966-2-1).
pub(super) fn srgb_to_linear(encoded: f32) -> f32 {
    if encoded <= 0.040_45 {
        encoded / 12.92
    } else {
        ((encoded + 0.055) / 1.055).powf(2.4)
    }
}

/// The sRGB-encoded value of linear light.
pub(super) fn linear_to_srgb(linear: f32) -> f32 {
    if linear <= 0.003_130_8 {
        linear * 12.92
    } else {
        1.055 * linear.powf(1.0 / 2.4) - 0.055
    }
}

/// Converts decoded samples of any depth to sRGB and lays them on white.
///
/// The profile is ignored if it is broken, larger than 10 MB, or made for
/// another kind of samples (a CMYK profile in an RGB file). Without one, the
/// samples are taken as sRGB. `None` only for an image without pixels.
pub(super) fn to_srgb(image: &DynamicImage, icc_profile: Option<&[u8]>) -> Option<Picture> {
    let pixels = match image {
        DynamicImage::ImageLuma8(samples) => convert(samples, icc_profile),
        DynamicImage::ImageLumaA8(samples) => convert(samples, icc_profile),
        DynamicImage::ImageRgb8(samples) => convert(samples, icc_profile),
        DynamicImage::ImageRgba8(samples) => convert(samples, icc_profile),
        DynamicImage::ImageLuma16(samples) => convert(samples, icc_profile),
        DynamicImage::ImageLumaA16(samples) => convert(samples, icc_profile),
        DynamicImage::ImageRgb16(samples) => convert(samples, icc_profile),
        DynamicImage::ImageRgba16(samples) => convert(samples, icc_profile),
        DynamicImage::ImageRgb32F(samples) => convert(samples, icc_profile),
        DynamicImage::ImageRgba32F(samples) => convert(samples, icc_profile),
        other => convert(&other.to_rgba32f(), icc_profile),
    };
    Picture::new(image.width(), image.height(), pixels)
}

/// Works row by row, so that only the result is as large as the picture.
fn convert<P>(image: &ImageBuffer<P, Vec<P::Subpixel>>, icc_profile: Option<&[u8]>) -> Vec<f32>
where
    P: Pixel,
    P::Subpixel: Into<f32>,
{
    let channels = usize::from(P::CHANNEL_COUNT);
    let (colours, space, layout) = if channels < 3 {
        (1, DataColorSpace::Gray, Layout::Gray)
    } else {
        (3, DataColorSpace::Rgb, Layout::Rgb)
    };
    // Our own would change values by its rounding.
    let foreign = icc_profile.filter(|profile| *profile != SRGB_PROFILE.as_slice());
    let transform = foreign.and_then(|profile| transform_to_srgb(profile, space, layout));
    let largest: f32 = P::Subpixel::DEFAULT_MAX_VALUE.into();
    let width = image.width() as usize;

    let mut result = vec![0.0; 3 * width * image.height() as usize];
    let mut colour = vec![0.0; colours * width];
    for (stored, rgb) in image
        .as_raw()
        .chunks_exact((channels * width).max(1))
        .zip(result.chunks_exact_mut((3 * width).max(1)))
    {
        for (pixel, colour) in stored
            .chunks_exact(channels)
            .zip(colour.chunks_exact_mut(colours))
        {
            for (value, &sample) in colour.iter_mut().zip(pixel) {
                *value = unit(sample.into() / largest);
            }
        }
        let converted = transform
            .as_ref()
            .is_some_and(|transform| transform.transform(&colour, rgb).is_ok());
        if converted {
            rgb.iter_mut().for_each(|value| *value = unit(*value));
        } else {
            spread(&colour, colours, rgb);
        }
        if channels > colours {
            for (pixel, rgb) in stored.chunks_exact(channels).zip(rgb.chunks_exact_mut(3)) {
                let alpha = unit(pixel[colours].into() / largest);
                for value in rgb {
                    *value = *value * alpha + (1.0 - alpha);
                }
            }
        }
    }
    result
}

/// Converts 8-bit CMYK to sRGB-encoded values in 0..1, three to a pixel.
///
/// Samples are as Adobe programs store them in a JPEG: 255 is no ink. Files
/// from other programs follow the same habit, and every browser reads them so.
/// Without a usable CMYK profile each colour is the light that passes its own
/// ink and the black.
pub(super) fn cmyk_to_srgb(samples: &[u8], icc_profile: Option<&[u8]>) -> Vec<f32> {
    const PIXELS_AT_ONCE: usize = 4096;
    // The profile library treats CMYK as four channels in the layout of RGBA.
    let transform = icc_profile
        .and_then(|profile| transform_to_srgb(profile, DataColorSpace::Cmyk, Layout::Rgba));
    let mut result = vec![0.0; samples.len() / 4 * 3];
    let mut inks = Vec::with_capacity(PIXELS_AT_ONCE * 4);
    for (stored, rgb) in samples
        .chunks(PIXELS_AT_ONCE * 4)
        .zip(result.chunks_mut(PIXELS_AT_ONCE * 3))
    {
        inks.clear();
        inks.extend(stored.iter().map(|&light| f32::from(255 - light) / 255.0));
        let converted = transform
            .as_ref()
            .is_some_and(|transform| transform.transform(&inks, rgb).is_ok());
        if converted {
            rgb.iter_mut().for_each(|value| *value = unit(*value));
        } else {
            for (ink, rgb) in inks.chunks_exact(4).zip(rgb.chunks_exact_mut(3)) {
                for (value, colour) in rgb.iter_mut().zip(ink) {
                    *value = (1.0 - colour) * (1.0 - ink[3]);
                }
            }
        }
    }
    result
}

/// Turns 8-bit YCCK samples, the form most CMYK JPEGs are stored in, into CMYK
/// in place (ITU-T T.872).
pub(super) fn ycck_to_cmyk(samples: &mut [u8]) {
    for pixel in samples.chunks_exact_mut(4) {
        let [luma, blue, red] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
        let (blue, red) = (blue - 128.0, red - 128.0);
        let rgb = [
            luma + 1.402 * red,
            luma - 0.344_136 * blue - 0.714_136 * red,
            luma + 1.772 * blue,
        ];
        for (ink, value) in pixel.iter_mut().zip(rgb) {
            *ink = 255 - (value + 0.5) as u8;
        }
    }
}

/// A transform from samples in this profile to sRGB, or `None` if the profile
/// is of no use for them.
fn transform_to_srgb(
    profile: &[u8],
    space: DataColorSpace,
    layout: Layout,
) -> Option<Arc<TransformF32Executor>> {
    let profile = ColorProfile::new_from_slice(profile).ok()?;
    if profile.color_space != space {
        return None;
    }
    let srgb = ColorProfile::new_srgb();
    profile
        .create_transform_f32(layout, &srgb, Layout::Rgb, TransformOptions::default())
        .ok()
}

/// Copies grey or RGB values to RGB.
fn spread(colour: &[f32], colours: usize, rgb: &mut [f32]) {
    for (colour, rgb) in colour.chunks_exact(colours).zip(rgb.chunks_exact_mut(3)) {
        for (channel, value) in rgb.iter_mut().enumerate() {
            *value = colour[channel % colours];
        }
    }
}

/// Clamps to 0..1; NaN, which a float TIFF may hold, becomes 0.
fn unit(value: f32) -> f32 {
    if value.is_nan() {
        0.0
    } else {
        value.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests;
