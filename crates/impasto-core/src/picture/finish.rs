//! What is done to a painted picture before it is shown and saved.
//!
//! In this order: noise reduction, colours, brightness, contrast, saturation, edges,
//! grain. All of it works on sRGB-encoded values, as photo editors do, and gives the
//! same result for the same picture on every machine.

use std::num::NonZero;
use std::thread;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Picture;
use super::recolour::{luma, recolour};
use crate::preset::{Finish, Recolour};

/// Half the width of the patches that noise reduction compares, and of the window that
/// it looks for them in.
const PATCH: usize = 1;
const WINDOW: i64 = 4;
/// The root mean square difference of patches, at full strength, at which one counts for
/// 1/e of an equal one.
const NOISE: f32 = 0.12;
/// The standard deviation of the blur that sharpening takes away, in pixels.
const BLUR: f32 = 1.0;
/// The standard deviation of full grain, and of its own blur: grains are larger than a
/// pixel.
const GRAIN: f32 = 0.1;
const GRAIN_BLUR: f32 = 0.6;

/// The picture, finished. `content` is the picture whose colours `match_colours` means;
/// without one that is left out.
#[must_use]
pub fn finish(picture: &Picture, finish: &Finish, content: Option<&Picture>) -> Picture {
    // Taken apart, so that a new number cannot be forgotten here.
    let Finish {
        denoise,
        match_colours,
        brightness,
        contrast,
        saturation,
        sharpen,
        grain,
    } = *finish;
    let mut result = picture.clone();
    if denoise > 0.0 {
        result = without_noise(&result, denoise as f32);
    }
    if let Some(content) = content.filter(|_| match_colours > 0.0) {
        let matched = recolour(&result, content, Recolour::Symmetric);
        let share = match_colours as f32;
        result = combined(&result, &matched, |own, other| own + share * (other - own));
    }
    if brightness != 0.0 || contrast != 0.0 || saturation != 0.0 {
        result = adjusted(
            &result,
            brightness as f32,
            contrast as f32,
            saturation as f32,
        );
    }
    if sharpen > 0.0 {
        let blurred = blur(&result, BLUR);
        let share = sharpen as f32;
        result = combined(&result, &blurred, |own, blurred| {
            own + share * (own - blurred)
        });
    }
    if grain > 0.0 {
        result = with_grain(&result, grain as f32);
    }
    result
}

/// A picture of the same size from these values, clamped to 0..1.
fn with_pixels(picture: &Picture, mut pixels: Vec<f32>) -> Picture {
    for value in &mut pixels {
        *value = value.clamp(0.0, 1.0);
    }
    let (width, height) = picture.size();
    // As many as the picture has.
    Picture::new(width, height, pixels).unwrap_or_else(|| picture.clone())
}

/// Two pictures of one size, value by value.
fn combined(first: &Picture, second: &Picture, value: impl Fn(f32, f32) -> f32) -> Picture {
    let pairs = first.pixels().iter().zip(second.pixels());
    with_pixels(first, pairs.map(|(a, b)| value(*a, *b)).collect())
}

fn adjusted(picture: &Picture, brightness: f32, contrast: f32, saturation: f32) -> Picture {
    let pixels = picture.pixels().chunks_exact(3).flat_map(|rgb| {
        let colour = [rgb[0], rgb[1], rgb[2]];
        let light = luma(colour);
        // Brightness as a curve that keeps black and white, contrast about the middle.
        let curve = |value: f32| {
            let value = value.clamp(0.0, 1.0).powf((-brightness).exp2());
            0.5 + (value - 0.5) * (1.0 + contrast)
        };
        colour.map(|value| curve(light + (value - light) * (1.0 + saturation)))
    });
    with_pixels(picture, pixels.collect())
}

/// Film grain: noise in the light alone, strongest in the mid-tones.
fn with_grain(picture: &Picture, strength: f32) -> Picture {
    let (width, height) = picture.size();
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let count = width as usize * height as usize;
    let noise = (0..count).flat_map(|_| {
        // The sum of uniform numbers is nearly normal: mean 0, variance 1/3.
        let sum: f32 = (0..4).map(|_| random.r#gen::<f32>()).sum();
        [sum - 2.0; 3]
    });
    let noise: Vec<f32> = noise.collect();
    let Some(noise) = Picture::new(width, height, noise) else {
        return picture.clone();
    };
    let noise = blur_values(&noise, GRAIN_BLUR);
    let mean_square = noise.iter().map(|it| f64::from(it * it)).sum::<f64>() / noise.len() as f64;
    let scale = strength * GRAIN / (mean_square.sqrt() as f32).max(f32::MIN_POSITIVE);
    let pixels = picture.pixels().chunks_exact(3).zip(noise.chunks_exact(3));
    let pixels = pixels.flat_map(|(rgb, noise)| {
        let light = luma([rgb[0], rgb[1], rgb[2]]);
        let share = scale * noise[0] * (4.0 * light * (1.0 - light)).max(0.0).sqrt();
        [rgb[0] + share, rgb[1] + share, rgb[2] + share]
    });
    with_pixels(picture, pixels.collect())
}

fn blur(picture: &Picture, deviation: f32) -> Picture {
    with_pixels(picture, blur_values(picture, deviation))
}

/// A Gaussian blur, the edge's pixels repeated beyond it.
fn blur_values(picture: &Picture, deviation: f32) -> Vec<f32> {
    let radius = (3.0 * deviation).ceil() as i64;
    let weights = (-radius..=radius).map(|at| (-0.5 * (at as f32 / deviation).powi(2)).exp());
    let weights: Vec<f32> = weights.collect();
    let sum: f32 = weights.iter().sum();
    let (width, height) = (i64::from(picture.width()), i64::from(picture.height()));
    let pass = |values: &[f32], right: i64, down: i64| -> Vec<f32> {
        let mut out = Vec::with_capacity(values.len());
        for y in 0..height {
            for x in 0..width {
                let mut colour = [0.0; 3];
                for (weight, at) in weights.iter().zip(-radius..) {
                    let x = (x + right * at).clamp(0, width - 1);
                    let y = (y + down * at).clamp(0, height - 1);
                    let from = 3 * (y * width + x) as usize;
                    for (sum, value) in colour.iter_mut().zip(&values[from..from + 3]) {
                        *sum += weight * value;
                    }
                }
                out.extend(colour.map(|value| value / sum));
            }
        }
        out
    };
    pass(&pass(picture.pixels(), 1, 0), 0, 1)
}

/// Noise reduction by non-local means (Buades, Coll & Morel 2005): every pixel becomes
/// the average of those nearby whose surroundings look alike, so that strokes, which
/// repeat, stay, and specks, which do not, go.
fn without_noise(picture: &Picture, strength: f32) -> Picture {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let values = picture.pixels();
    let scale = -1.0 / (NOISE * strength).powi(2);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let rows = height.div_ceil(threads).max(1);
    let mut out = vec![0.0; values.len()];
    thread::scope(|scope| {
        for (index, part) in out.chunks_mut(rows * width * 3).enumerate() {
            scope.spawn(move || {
                average_alike(values, (width, height), index * rows, scale, part);
            });
        }
    });
    with_pixels(picture, out)
}

/// The rows from `top` on that fit into `out`, averaged with their like.
fn average_alike(
    values: &[f32],
    (width, height): (usize, usize),
    top: usize,
    scale: f32,
    out: &mut [f32],
) {
    let rows = out.len() / (3 * width);
    let inside = |at: i64, length: usize| at.clamp(0, length as i64 - 1) as usize;
    let mut weights = vec![0.0f32; rows * width];
    // The squared differences of the pixels of a row from those at an offset, for the
    // rows that the patches reach.
    let tall = rows + 2 * PATCH;
    let mut differences = vec![0.0f32; tall * width];
    let count = (3 * (2 * PATCH + 1).pow(2)) as f32;
    let mut sums = vec![0.0f32; tall * width];
    for down in -WINDOW..=WINDOW {
        for right in -WINDOW..=WINDOW {
            for row in 0..tall {
                let y = inside((top + row) as i64 - PATCH as i64, height);
                let other = inside(y as i64 + down, height);
                for x in 0..width {
                    let (own, other) = (
                        y * width + x,
                        other * width + inside(x as i64 + right, width),
                    );
                    let mut sum = 0.0;
                    for channel in 0..3 {
                        let difference = values[3 * own + channel] - values[3 * other + channel];
                        sum += difference * difference;
                    }
                    differences[row * width + x] = sum;
                }
            }
            for row in 0..tall {
                let line = &differences[row * width..(row + 1) * width];
                for x in 0..width {
                    let from = x.saturating_sub(PATCH);
                    let to = (x + PATCH).min(width - 1);
                    // At the picture's sides fewer pixels stand for all.
                    let sum: f32 = line[from..=to].iter().sum();
                    let share = (2 * PATCH + 1) as f32 / (to - from + 1) as f32;
                    sums[row * width + x] = sum * share;
                }
            }
            for row in 0..rows {
                let other = inside((top + row) as i64 + down, height);
                for x in 0..width {
                    let patch: f32 = (0..=2 * PATCH).map(|at| sums[(row + at) * width + x]).sum();
                    let weight = (patch / count * scale).exp();
                    let from = 3 * (other * width + inside(x as i64 + right, width));
                    let at = row * width + x;
                    weights[at] += weight;
                    for channel in 0..3 {
                        out[3 * at + channel] += weight * values[from + channel];
                    }
                }
            }
        }
    }
    for (rgb, weight) in out.chunks_exact_mut(3).zip(weights) {
        for value in rgb {
            *value /= weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dark left and a light right half, with noise of this size.
    fn edge(noise: f32) -> Picture {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut pixels = Vec::new();
        for _ in 0..40 {
            for x in 0..60 {
                let value = if x < 30 { 0.3 } else { 0.7 };
                pixels.extend(
                    [value, 0.5, value].map(|it| it + noise * (random.r#gen::<f32>() - 0.5)),
                );
            }
        }
        Picture::new(60, 40, pixels).unwrap()
    }

    fn finished(picture: &Picture, key: &str, value: f64) -> Picture {
        let mut settings = Finish::default();
        *settings.get_mut(key).unwrap() = value;
        finish(picture, &settings, None)
    }

    fn distance(one: &Picture, other: &Picture) -> f32 {
        let pairs = one.pixels().iter().zip(other.pixels());
        let sum: f32 = pairs.map(|(a, b)| (a - b).powi(2)).sum();
        (sum / one.pixels().len() as f32).sqrt()
    }

    #[test]
    fn nothing_leaves_a_picture_as_it_is() {
        let picture = edge(0.2);
        assert_eq!(finish(&picture, &Finish::default(), None), picture);
        // Without a content there are no colours to match.
        assert_eq!(finished(&picture, "match_colours", 1.0), picture);
    }

    #[test]
    fn noise_goes_and_the_edge_stays() {
        let (clean, noisy) = (edge(0.0), edge(0.2));
        let found = finished(&noisy, "denoise", 0.6);
        assert!(distance(&found, &clean) < 0.45 * distance(&noisy, &clean));
        let at = |picture: &Picture, x: usize| picture.pixels()[3 * (20 * 60 + x)];
        assert!(
            at(&found, 30) - at(&found, 29) > 0.3,
            "the edge is as steep as before"
        );
        assert_eq!(found, finished(&noisy, "denoise", 0.6), "always the same");
    }

    #[test]
    fn every_number_does_what_it_says() {
        let picture = edge(0.1);
        let luminance = |picture: &Picture| {
            let pixels = picture.pixels().chunks_exact(3);
            let sum: f32 = pixels.map(|rgb| luma([rgb[0], rgb[1], rgb[2]])).sum();
            sum / (60.0 * 40.0)
        };
        let spread = |picture: &Picture| {
            let mean = picture.pixels().iter().sum::<f32>() / picture.pixels().len() as f32;
            let sum: f32 = picture
                .pixels()
                .iter()
                .map(|value| (value - mean).powi(2))
                .sum();
            sum
        };
        assert!(luminance(&finished(&picture, "brightness", 0.5)) > luminance(&picture) + 0.05);
        assert!(luminance(&finished(&picture, "brightness", -0.5)) < luminance(&picture) - 0.05);
        assert!(spread(&finished(&picture, "contrast", 0.5)) > 1.5 * spread(&picture));
        for rgb in finished(&picture, "saturation", -1.0)
            .pixels()
            .chunks_exact(3)
        {
            assert!((rgb[0] - rgb[1]).abs() < 1e-6 && (rgb[1] - rgb[2]).abs() < 1e-6);
        }
        assert!(spread(&finished(&picture, "sharpen", 1.0)) > spread(&picture));
        let grain = distance(&finished(&edge(0.0), "grain", 1.0), &edge(0.0));
        assert!((0.07..0.11).contains(&grain), "{grain}");
        let content = edge(0.3);
        let matched = Finish {
            match_colours: 1.0,
            ..Finish::default()
        };
        let grey = finished(&picture, "saturation", -0.9);
        let found = finish(&grey, &matched, Some(&content));
        assert!(distance(&found, &content) < distance(&grey, &content));
        for (key, least, most) in Finish::BOUNDS {
            for value in [least, most] {
                let found = finished(&picture, key, value);
                assert!(
                    found
                        .pixels()
                        .iter()
                        .all(|value| (0.0..=1.0).contains(value)),
                    "{key}"
                );
            }
        }
    }

    #[test]
    fn a_single_pixel_is_finished_too() {
        let picture = Picture::new(1, 1, vec![0.2, 0.4, 0.6]).unwrap();
        for (key, _, most) in Finish::BOUNDS {
            let found = finished(&picture, key, most);
            assert!(
                found.pixels().iter().all(|value| value.is_finite()),
                "{key}"
            );
        }
    }
}
