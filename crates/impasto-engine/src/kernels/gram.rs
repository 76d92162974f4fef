//! Products of feature rows `[H·W, C]`: their Gram matrix, and the style loss's
//! gradient, which is the rows times a matrix.

use super::lanes::{Instructions, LANES, Simd, SimdTask};
use super::product::{Left, OutputMode, PANEL, multiply};
use super::scratch::{Shared, with_scratch};
use super::threads::{parallel, threads};
use super::{Result, check, check_multiple};

/// Rows whose products are summed up in registers, before their sum is added to
/// the others': keeps the rounding of long sums small.
const DEPTH: usize = 256;
/// Partial Gram matrices, in floats: 32 MiB.
const PARTIAL_FLOATS: usize = 8 * 1024 * 1024;
/// Rows of a block of [`product`].
const BLOCK: usize = 56;

/// The Gram matrix of `rows`, `[count, channels]`: their transpose times
/// themselves, `[channels, channels]`, not divided by anything.
///
/// # Errors
/// When a slice has the wrong length or `channels` is not a multiple of 32.
pub fn gram(
    instructions: Instructions,
    rows: &[f32],
    count: usize,
    channels: usize,
    out: &mut [f32],
) -> Result<()> {
    check_multiple("channels", PANEL, channels)?;
    check("the rows", count * channels, rows.len())?;
    let square = channels * channels;
    check("the Gram matrix", square, out.len())?;

    let most = (PARTIAL_FLOATS / square).max(1);
    let blocks = count.div_ceil(DEPTH);
    let parts = (threads() * 4).min(most).min(blocks).max(1);
    let part_rows = blocks.div_ceil(parts) * DEPTH;
    with_scratch(parts * square, |partial| {
        let shared = Shared::new(partial);
        parallel(parts, |part| {
            let from = (part * part_rows).min(count);
            let to = (from + part_rows).min(count);
            // SAFETY: each part has a matrix of its own.
            let sums = unsafe { shared.part(part * square..(part + 1) * square) };
            with_scratch(DEPTH * channels, |packed| {
                instructions.run(Partial {
                    rows: &rows[from * channels..to * channels],
                    channels,
                    packed,
                    sums,
                });
            });
        });
        // Only what is on the diagonal or right of it is sure to be there.
        out.copy_from_slice(&partial[..square]);
        for partial in partial.chunks_exact(square).skip(1) {
            for i in 0..channels {
                let right = i * channels + i..(i + 1) * channels;
                for (sum, part) in out[right.clone()].iter_mut().zip(&partial[right]) {
                    *sum += part;
                }
            }
        }
        for i in 0..channels {
            for j in 0..i {
                out[i * channels + j] = out[j * channels + i];
            }
        }
    });
    Ok(())
}

/// The upper triangle of the Gram matrix of some rows.
struct Partial<'a> {
    rows: &'a [f32],
    channels: usize,
    packed: &'a mut [f32],
    sums: &'a mut [f32],
}

impl SimdTask for Partial<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            rows,
            channels,
            packed,
            sums,
        } = self;
        if rows.is_empty() {
            sums.fill(0.0);
        }
        for (number, block) in rows.chunks(DEPTH * channels).enumerate() {
            let depth = (block.len() / channels).next_multiple_of(LANES);
            let panel_floats = depth * PANEL;
            let packed = &mut packed[..depth * channels];
            pack(block, channels, depth, packed);
            let mode = if number == 0 {
                OutputMode::Replace
            } else {
                OutputMode::Add
            };
            let panels = packed.chunks_exact(panel_floats);
            for (i, left) in panels.clone().enumerate() {
                let left = Left::<'_, 1, LANES> {
                    values: left,
                    step: PANEL,
                    group: LANES * PANEL,
                };
                for (j, right) in panels.clone().enumerate().skip(i) {
                    let out = &mut sums[i * PANEL * channels + j * PANEL..];
                    multiply(simd, left, PANEL, right, out, channels, mode);
                }
            }
        }
    }
}

/// Writes `rows` of `channels` as panels `[channels / PANEL, depth, PANEL]`,
/// filled up with rows of zeros.
#[inline(always)]
fn pack(rows: &[f32], channels: usize, depth: usize, packed: &mut [f32]) {
    for (panel, packed) in packed.chunks_exact_mut(depth * PANEL).enumerate() {
        let mut places = packed.chunks_exact_mut(PANEL);
        for (row, place) in rows.chunks_exact(channels).zip(&mut places) {
            place.copy_from_slice(&row[panel * PANEL..][..PANEL]);
        }
        places.for_each(|place| place.fill(0.0));
    }
}

/// Writes `rows`, `[count, channels]`, times `matrix`, `[channels, channels]`,
/// to `out`, shaped as the rows.
///
/// # Errors
/// When a slice has the wrong length or `channels` is not a multiple of 32.
pub fn product(
    instructions: Instructions,
    rows: &[f32],
    count: usize,
    channels: usize,
    matrix: &[f32],
    out: &mut [f32],
) -> Result<()> {
    write_product(
        instructions,
        rows,
        (count, channels),
        matrix,
        OutputMode::Replace,
        out,
    )
}

/// As [`product`], but adds it to what is in `out`.
///
/// # Errors
/// As [`product`].
pub fn add_product(
    instructions: Instructions,
    rows: &[f32],
    count: usize,
    channels: usize,
    matrix: &[f32],
    out: &mut [f32],
) -> Result<()> {
    write_product(
        instructions,
        rows,
        (count, channels),
        matrix,
        OutputMode::Add,
        out,
    )
}

fn write_product(
    instructions: Instructions,
    rows: &[f32],
    (count, channels): (usize, usize),
    matrix: &[f32],
    mode: OutputMode,
    out: &mut [f32],
) -> Result<()> {
    check_multiple("channels", PANEL, channels)?;
    check("the rows", count * channels, rows.len())?;
    check("the matrix", channels * channels, matrix.len())?;
    check("the product", rows.len(), out.len())?;
    with_scratch(matrix.len(), |panels| {
        pack(matrix, channels, channels, panels);
        let panels = &*panels;
        let shared = Shared::new(out);
        parallel(count.div_ceil(BLOCK), |part| {
            let from = part * BLOCK;
            let to = (from + BLOCK).min(count);
            let range = from * channels..to * channels;
            with_scratch(range.len(), |packed| {
                instructions.run(Rows {
                    rows: &rows[range.clone()],
                    channels,
                    packed,
                    panels,
                    mode,
                    // SAFETY: each part has rows of its own.
                    out: unsafe { shared.part(range) },
                });
            });
        });
    });
    Ok(())
}

/// Some rows of a product.
struct Rows<'a> {
    rows: &'a [f32],
    channels: usize,
    packed: &'a mut [f32],
    /// The matrix, `[channels / PANEL, channels, PANEL]`.
    panels: &'a [f32],
    mode: OutputMode,
    out: &'a mut [f32],
}

impl SimdTask for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let channels = self.channels;
        let count = self.rows.len() / channels;
        // [channels / LANES, count, LANES]: the tile's rows lie together.
        for (group, packed) in self.packed.chunks_exact_mut(count * LANES).enumerate() {
            let rows = self.rows.chunks_exact(channels);
            for (row, place) in rows.zip(packed.chunks_exact_mut(LANES)) {
                place.copy_from_slice(&row[group * LANES..][..LANES]);
            }
        }
        let left = Left::<'_, LANES, LANES> {
            values: self.packed,
            step: 1,
            group: count * LANES,
        };
        for (i, panel) in self.panels.chunks_exact(channels * PANEL).enumerate() {
            let out = &mut self.out[i * PANEL..];
            multiply(simd, left, count, panel, out, channels, self.mode);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{error, noise};
    use super::*;

    #[test]
    fn the_gram_matrix_is_that_of_double_precision() {
        for (count, channels) in [(0, 32), (1, 32), (35, 64), (300, 96), (5000, 64)] {
            let rows: Vec<f32> = noise(count * channels, 1).iter().map(|v| v + 0.5).collect();
            let mut expected = vec![0f64; channels * channels];
            for row in rows.chunks_exact(channels) {
                for (i, a) in row.iter().enumerate() {
                    for (j, b) in row.iter().enumerate() {
                        expected[i * channels + j] += f64::from(*a) * f64::from(*b);
                    }
                }
            }
            for instructions in Instructions::all() {
                let mut out = vec![f32::NAN; channels * channels];
                gram(instructions, &rows, count, channels, &mut out).unwrap();
                assert!(error(&out, &expected) < 1e-6, "{count} {channels}");
                let first = out.clone();
                gram(instructions, &rows, count, channels, &mut out).unwrap();
                assert_eq!(out, first);
            }
        }
    }

    #[test]
    fn the_product_is_that_of_double_precision() {
        for (count, channels) in [(0, 32), (1, 32), (35, 64), (300, 96)] {
            let rows = noise(count * channels, 1);
            let matrix = noise(channels * channels, 2);
            let mut expected = vec![0f64; rows.len()];
            for (row, sums) in rows
                .chunks_exact(channels)
                .zip(expected.chunks_exact_mut(channels))
            {
                for (a, line) in row.iter().zip(matrix.chunks_exact(channels)) {
                    for (sum, b) in sums.iter_mut().zip(line) {
                        *sum += f64::from(*a) * f64::from(*b);
                    }
                }
            }
            for instructions in Instructions::all() {
                let mut out = vec![f32::NAN; rows.len()];
                product(instructions, &rows, count, channels, &matrix, &mut out).unwrap();
                assert!(error(&out, &expected) < 1e-6);
                add_product(instructions, &rows, count, channels, &matrix, &mut out).unwrap();
                let twice: Vec<f64> = expected.iter().map(|v| v * 2.0).collect();
                assert!(error(&out, &twice) < 1e-6);
            }
        }
    }
}
