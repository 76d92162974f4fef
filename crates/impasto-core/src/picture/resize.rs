//! Other sizes of a picture.

use std::sync::Arc;
use std::sync::LazyLock;

use fast_image_resize::images::TypedImage;
use fast_image_resize::pixels::F32x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::Picture;
use super::colour::{linear_to_srgb, srgb_to_linear};

/// The size with the same aspect whose longer side is `long_side`. The shorter
/// side is rounded and at least 1; a side of zero is taken as 1.
#[must_use]
pub fn fit_long_side(width: u32, height: u32, long_side: u32) -> (u32, u32) {
    let (width, height, long_side) = (width.max(1), height.max(1), long_side.max(1));
    let (long, short) = (width.max(height), width.min(height));
    let (long, short, target) = (u64::from(long), u64::from(short), u64::from(long_side));
    // At most `long_side`, so it fits; rounded half up.
    let short_side = ((short * target + long / 2) / long).max(1) as u32;
    if width >= height {
        (long_side, short_side)
    } else {
        (short_side, long_side)
    }
}

/// See [`Picture::resized`]. Both sides must be at least 1.
#[expect(clippy::expect_used, reason = "the sizes are those of a picture")]
pub(super) fn resized(picture: &Picture, width: u32, height: u32) -> Picture {
    if picture.size() == (width, height) {
        return picture.clone();
    }
    let linear = picture
        .pixels()
        .chunks_exact(3)
        .map(|rgb| F32x3::new([linear(rgb[0]), linear(rgb[1]), linear(rgb[2])]))
        .collect();
    // Only a wrong number of pixels is refused, and a Picture has the right one.
    let source = TypedImage::from_pixels(picture.width(), picture.height(), linear)
        .expect("a picture has width × height pixels");
    let mut target = TypedImage::new(width, height);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    // Only a crop outside the source is refused, and none is asked for.
    Resizer::new()
        .resize_typed::<F32x3>(&source, &mut target, &options)
        .expect("the whole source is resized");
    drop(source);
    let pixels: Vec<f32> = target
        .pixels()
        .iter()
        .flat_map(|pixel| pixel.0)
        .map(|value| linear_to_srgb(value.clamp(0.0, 1.0)).min(1.0))
        .collect();
    Picture {
        width,
        height,
        pixels: Arc::new(pixels),
    }
}

/// [`srgb_to_linear`] by a table and a straight line between its entries, ten
/// times as fast and true to 3e-7.
fn linear(encoded: f32) -> f32 {
    const STEPS: usize = 4096;
    static TABLE: LazyLock<Vec<f32>> = LazyLock::new(|| {
        let entry = |step| srgb_to_linear(step as f32 / STEPS as f32);
        (0..=STEPS + 1).map(entry).collect()
    });
    let position = encoded.clamp(0.0, 1.0) * STEPS as f32;
    // NaN is cast to 0 and stays NaN in the sum below.
    let step = position as usize;
    let (low, high) = (TABLE[step], TABLE[step + 1]);
    low + (high - low) * (position - step as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_side_is_met_and_the_aspect_kept() {
        assert_eq!(fit_long_side(1024, 768, 512), (512, 384));
        assert_eq!(fit_long_side(768, 1024, 512), (384, 512));
        assert_eq!(fit_long_side(100, 100, 37), (37, 37));
        assert_eq!(fit_long_side(3, 2, 512), (512, 341));
        assert_eq!(fit_long_side(100_000, 1, 512), (512, 1));
        assert_eq!(fit_long_side(2, 1, 5), (5, 3));
        assert_eq!(
            fit_long_side(u32::MAX, u32::MAX, u32::MAX),
            (u32::MAX, u32::MAX)
        );
        assert_eq!(fit_long_side(0, 0, 0), (1, 1));
    }

    #[test]
    fn the_table_is_true_to_the_curve() {
        for step in 0..=1_000_003 {
            let encoded = step as f32 / 1_000_003.0;
            let error = (linear(encoded) - srgb_to_linear(encoded)).abs();
            assert!(error < 3e-7, "{encoded}: off by {error}");
        }
    }

    #[test]
    fn a_checkerboard_averages_in_linear_light() {
        let pixels = (0..64 * 64).flat_map(|i| [((i + i / 64) % 2) as f32; 3]);
        let board = Picture::new(64, 64, pixels.collect()).unwrap();
        let small = board.resized(4, 4);
        // Half the light is 0.735 when sRGB-encoded; a plain average says 0.5.
        for &value in small.pixels() {
            assert!((value - 0.735_36).abs() < 0.003, "{value}");
        }
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let picture = Picture::new(2, 1, vec![0.1, 0.2, 0.3, 1.5, -1.0, 0.0]).unwrap();
        assert_eq!(picture.resized(2, 1), picture);
    }

    #[test]
    fn a_flat_colour_stays_itself_at_every_size() {
        let colour = [0.25, 0.5, 1.0];
        let flat = Picture::new(37, 23, colour.repeat(37 * 23)).unwrap();
        for (width, height) in [
            (1, 1),
            (5, 4),
            (1, 300),
            (300, 1),
            (74, 46),
            (2000, 3),
            (0, 0),
        ] {
            let other = flat.resized(width, height);
            assert_eq!(other.size(), (width.max(1), height.max(1)));
            for (index, &value) in other.pixels().iter().enumerate() {
                let error = (value - colour[index % 3]).abs();
                assert!(error < 1e-5, "{width}×{height}: off by {error}");
            }
        }
        let dot = Picture::new(1, 1, colour.to_vec()).unwrap();
        assert_eq!(dot.resized(7, 9).size(), (7, 9));
    }

    #[test]
    fn ringing_is_clamped_and_sides_are_not_swapped() {
        // The left half black, the right half white.
        let row: Vec<f32> = (0..40).flat_map(|x| [f32::from(x >= 20); 3]).collect();
        let picture = Picture::new(40, 10, row.repeat(10)).unwrap();
        let other = picture.resized(97, 31);
        assert!(
            other
                .pixels()
                .iter()
                .all(|value| (0.0..=1.0).contains(value))
        );
        for row in other.pixels().chunks_exact(97 * 3) {
            assert!(row[0] < 0.01 && row[97 * 3 - 1] > 0.99);
        }
    }
}
