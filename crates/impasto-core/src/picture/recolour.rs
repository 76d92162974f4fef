//! The colours of one picture given to another (Gatys, Bethge, Hertzmann & Shechtman
//! 2016, "Preserving Color in Neural Artistic Style Transfer"; the linear maps are those
//! of Gatys et al. 2017, "Controlling Perceptual Factors in Neural Style Transfer").
//!
//! Colours are sRGB-encoded values in 0..1. A linear map takes colours x of mean μ and
//! covariance C to T(x − μ) + ν, whose mean ν and covariance D are those of the other
//! picture:
//!
//! - Cholesky: T = L_D·L_C⁻¹, with C = L_C·L_Cᵀ
//! - PCA: T = D^½·C^-½
//! - symmetric: T = C^-½(C^½·D·C^½)^½·C^-½, which moves the colours least
//!
//! The histogram match takes each channel by itself, rank by rank.

use super::Picture;
use crate::preset::Recolour;

/// Added to the diagonal of every covariance: a picture may have one colour only.
const EPSILON: f64 = 1e-5;
/// The share of red, green and blue in the luminance (Rec. 601, as NTSC's Y).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];
/// How many values a channel's histogram tells apart.
const LEVELS: usize = 1 << 14;

type Matrix = [[f64; 3]; 3];

/// `picture` with the colours of `of`.
#[must_use]
pub fn recolour(picture: &Picture, of: &Picture, how: Recolour) -> Picture {
    if how == Recolour::Histogram {
        return match_histogram(picture, of);
    }
    let (mean, covariance) = statistics(picture);
    let (wanted_mean, wanted) = statistics(of);
    let map = linear_map(&covariance, &wanted, how);
    mapped(picture, |rgb| {
        let centred: [f64; 3] = std::array::from_fn(|i| f64::from(rgb[i]) - mean[i]);
        std::array::from_fn(|i| {
            let sum: f64 = (0..3).map(|j| map[i][j] * centred[j]).sum();
            (sum + wanted_mean[i]) as f32
        })
    })
}

/// The matrix T that takes colours of covariance `from` to those of covariance `to`.
fn linear_map(from: &Matrix, to: &Matrix, how: Recolour) -> Matrix {
    match how {
        Recolour::Cholesky => multiply(&cholesky(to), &lower_inverse(&cholesky(from))),
        Recolour::Pca => multiply(&power(to, 0.5), &power(from, -0.5)),
        Recolour::Symmetric | Recolour::Histogram => {
            let (root, inverse) = (power(from, 0.5), power(from, -0.5));
            let between = power(&multiply(&multiply(&root, to), &root), 0.5);
            multiply(&multiply(&inverse, &between), &inverse)
        }
    }
}

/// The picture in grey: its luminance in all three channels.
#[must_use]
pub fn luminance(picture: &Picture) -> Picture {
    mapped(picture, |rgb| [luma(rgb); 3])
}

/// The picture moved so that its mean is that of `of`, channel by channel.
#[must_use]
pub fn with_mean_of(picture: &Picture, of: &Picture) -> Picture {
    let (own, wanted) = (mean(picture), mean(of));
    mapped(picture, |rgb| {
        std::array::from_fn(|i| rgb[i] + (wanted[i] - own[i]) as f32)
    })
}

/// The luminance of a colour.
pub fn luma(rgb: [f32; 3]) -> f32 {
    (0..3).map(|i| LUMA[i] * rgb[i]).sum()
}

/// Every pixel through a function, clamped to 0..1.
fn mapped(picture: &Picture, colour: impl Fn([f32; 3]) -> [f32; 3]) -> Picture {
    let pixels = picture.pixels().chunks_exact(3);
    let pixels = pixels.flat_map(|rgb| colour([rgb[0], rgb[1], rgb[2]]).map(|v| v.clamp(0.0, 1.0)));
    let pixels: Vec<f32> = pixels.collect();
    let (width, height) = picture.size();
    // As many pixels as the picture has.
    Picture::new(width, height, pixels).unwrap_or_else(|| picture.clone())
}

fn mean(picture: &Picture) -> [f64; 3] {
    let count = (picture.pixels().len() / 3) as f64;
    let mut sums = [0.0; 3];
    for rgb in picture.pixels().chunks_exact(3) {
        for (sum, value) in sums.iter_mut().zip(rgb) {
            *sum += f64::from(*value);
        }
    }
    sums.map(|sum| sum / count)
}

/// Mean and covariance of the colours.
fn statistics(picture: &Picture) -> ([f64; 3], Matrix) {
    let mean = mean(picture);
    let count = (picture.pixels().len() / 3) as f64;
    let mut covariance = [[0.0; 3]; 3];
    for rgb in picture.pixels().chunks_exact(3) {
        let centred: [f64; 3] = std::array::from_fn(|i| f64::from(rgb[i]) - mean[i]);
        for i in 0..3 {
            for j in 0..3 {
                covariance[i][j] += centred[i] * centred[j];
            }
        }
    }
    for (i, row) in covariance.iter_mut().enumerate() {
        for (j, value) in row.iter_mut().enumerate() {
            *value /= count;
            if i == j {
                *value += EPSILON;
            }
        }
    }
    (mean, covariance)
}

fn multiply(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

/// The lower triangle L of a positive definite matrix L·Lᵀ.
fn cholesky(matrix: &Matrix) -> Matrix {
    let mut lower = [[0.0f64; 3]; 3];
    for i in 0..3 {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            lower[i][j] = match i == j {
                true => (matrix[i][i] - sum).max(EPSILON * EPSILON).sqrt(),
                false => (matrix[i][j] - sum) / lower[j][j],
            };
        }
    }
    lower
}

/// The inverse of a lower triangle, by forward substitution.
#[expect(clippy::needless_range_loop, reason = "indices of a matrix")]
fn lower_inverse(lower: &Matrix) -> Matrix {
    let mut inverse = [[0.0; 3]; 3];
    for column in 0..3 {
        for i in column..3 {
            let unit = if i == column { 1.0 } else { 0.0 };
            let sum: f64 = (column..i).map(|k| lower[i][k] * inverse[k][column]).sum();
            inverse[i][column] = (unit - sum) / lower[i][i];
        }
    }
    inverse
}

/// A power of a symmetric positive matrix, by Jacobi's rotations.
#[expect(clippy::needless_range_loop, reason = "indices of a matrix")]
fn power(matrix: &Matrix, exponent: f64) -> Matrix {
    let mut values = *matrix;
    let mut vectors = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    // Converges quadratically: a few sweeps over the three pairs are plenty.
    for _ in 0..16 {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            if values[p][q].abs() < 1e-300 {
                continue;
            }
            let half = (values[q][q] - values[p][p]) / (2.0 * values[p][q]);
            let tangent = half.signum() / (half.abs() + (half * half + 1.0).sqrt());
            let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
            let sine = tangent * cosine;
            for k in 0..3 {
                let (a, b) = (values[k][p], values[k][q]);
                values[k][p] = cosine * a - sine * b;
                values[k][q] = sine * a + cosine * b;
            }
            for k in 0..3 {
                let (a, b) = (values[p][k], values[q][k]);
                values[p][k] = cosine * a - sine * b;
                values[q][k] = sine * a + cosine * b;
            }
            for row in &mut vectors {
                let (a, b) = (row[p], row[q]);
                row[p] = cosine * a - sine * b;
                row[q] = sine * a + cosine * b;
            }
        }
    }
    let powers: [f64; 3] =
        std::array::from_fn(|k| values[k][k].max(EPSILON * EPSILON).powf(exponent));
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            (0..3)
                .map(|k| vectors[i][k] * powers[k] * vectors[j][k])
                .sum()
        })
    })
}

/// Each channel's values replaced by those of the same rank in the other picture.
fn match_histogram(picture: &Picture, of: &Picture) -> Picture {
    let tables: [Vec<f32>; 3] = std::array::from_fn(|channel| {
        let (own, wanted) = (ranks(picture, channel), ranks(of, channel));
        let mut level = 0;
        let table = own.iter().map(|rank| {
            // The place in the other's cumulative histogram that has this rank.
            while level + 1 < LEVELS && wanted[level + 1] < *rank {
                level += 1;
            }
            let next = (level + 1).min(LEVELS - 1);
            let gap = wanted[next] - wanted[level];
            let share = if gap > 0.0 {
                (rank - wanted[level]) / gap
            } else {
                0.0
            };
            ((level as f64 + share.clamp(0.0, 1.0)) / (LEVELS - 1) as f64) as f32
        });
        table.collect()
    });
    mapped(picture, |rgb| {
        std::array::from_fn(|channel| tables[channel][level_of(rgb[channel])])
    })
}

fn level_of(value: f32) -> usize {
    // A cast from float to integer saturates.
    ((value * (LEVELS - 1) as f32 + 0.5) as usize).min(LEVELS - 1)
}

/// For each level of a channel the share of the picture that lies below it, with half
/// of what lies on it.
fn ranks(picture: &Picture, channel: usize) -> Vec<f64> {
    let mut counts = vec![0u32; LEVELS];
    for rgb in picture.pixels().chunks_exact(3) {
        counts[level_of(rgb[channel])] += 1;
    }
    let total = (picture.pixels().len() / 3) as f64;
    let mut below = 0.0;
    counts
        .iter()
        .map(|count| {
            let count = f64::from(*count);
            let rank = (below + 0.5 * count) / total;
            below += count;
            rank
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(seed: u32, spread: f32) -> Picture {
        let mut state = seed;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        let mut pixels = Vec::new();
        for _ in 0..64 * 48 {
            let (a, b, c) = (random(), random(), random());
            pixels.extend([
                0.4 + spread * (a - 0.5),
                0.5 + spread * (0.6 * a + 0.3 * b - 0.45),
                0.45 + spread * (0.2 * b + 0.5 * c - 0.35),
            ]);
        }
        Picture::new(64, 48, pixels).unwrap()
    }

    #[test]
    fn every_linear_map_gives_the_other_pictures_mean_and_covariance() {
        let (from, to) = (picture(1, 0.3), picture(7, 0.15));
        let (mean, covariance) = statistics(&to);
        for how in [Recolour::Cholesky, Recolour::Pca, Recolour::Symmetric] {
            let (found_mean, found) = statistics(&recolour(&from, &to, how));
            for i in 0..3 {
                assert!((found_mean[i] - mean[i]).abs() < 1e-5, "{how:?}");
                for j in 0..3 {
                    let off = (found[i][j] - covariance[i][j]).abs();
                    assert!(off < 2e-5, "{how:?}: {off}");
                }
            }
        }
    }

    #[test]
    fn the_symmetric_map_is_symmetric_and_its_own_opposite() {
        let (_, from) = statistics(&picture(1, 0.3));
        let (_, to) = statistics(&picture(7, 0.15));
        let map = linear_map(&from, &to, Recolour::Symmetric);
        let back = linear_map(&to, &from, Recolour::Symmetric);
        let one = multiply(&map, &back);
        for i in 0..3 {
            for j in 0..3 {
                assert!((map[i][j] - map[j][i]).abs() < 1e-9);
                assert!((one[i][j] - if i == j { 1.0 } else { 0.0 }).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_matched_histogram_has_the_other_pictures_quantiles() {
        let (from, to) = (picture(3, 0.5), picture(4, 0.2));
        let matched = recolour(&from, &to, Recolour::Histogram);
        for channel in 0..3 {
            let sorted = |picture: &Picture| {
                let values = picture.pixels().iter().skip(channel).step_by(3);
                let mut values: Vec<f32> = values.copied().collect();
                values.sort_by(f32::total_cmp);
                values
            };
            for (found, wanted) in sorted(&matched).iter().zip(sorted(&to)) {
                assert!((found - wanted).abs() < 2e-3);
            }
        }
    }

    #[test]
    fn one_colour_is_no_trouble() {
        let flat = Picture::new(2, 2, [0.2f32, 0.5, 0.9].repeat(4)).unwrap();
        let other = picture(5, 0.4);
        for how in [
            Recolour::Cholesky,
            Recolour::Pca,
            Recolour::Symmetric,
            Recolour::Histogram,
        ] {
            for (from, to) in [(&flat, &other), (&other, &flat)] {
                let found = recolour(from, to, how);
                assert!(found.pixels().iter().all(|value| value.is_finite()));
            }
        }
        let grey = luminance(&flat);
        assert!((grey.pixels()[0] - 0.4559).abs() < 1e-3);
        let moved = with_mean_of(&grey, &luminance(&other));
        assert!((mean(&moved)[0] - mean(&luminance(&other))[0]).abs() < 1e-6);
    }
}
