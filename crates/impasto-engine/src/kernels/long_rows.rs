//! Products of a few long rows, such as those that L-BFGS remembers: bound by
//! the memory that they are read from, so each row is read once a product.

use super::lanes::{Instructions, LANES, Simd, SimdTask};
use super::scratch::{Shared, with_scratch};
use super::threads::parallel;
use super::{Result, check};

/// Columns that are worked on together: the vectors' part of them stays in the
/// processor's first cache.
const BLOCK: usize = 2048;
/// Rows that are worked on at once.
const GROUP: usize = 4;

/// The products of every row with two vectors: `rows` `[R, N]`, `vectors`
/// `[2, N]`, `out` `[2, R]`. Sums are taken in float32 within a block of columns
/// and in float64 from there on.
///
/// # Errors
/// When a slice has the wrong length.
pub fn row_products(
    instructions: Instructions,
    rows: &[f32],
    vectors: &[f32],
    out: &mut [f32],
) -> Result<()> {
    let columns = vectors.len() / 2;
    let count = out.len() / 2;
    check("the vectors", 2 * columns, vectors.len())?;
    check("the products", 2 * count, out.len())?;
    check("the rows", count * columns, rows.len())?;
    let blocks = columns.div_ceil(BLOCK);
    with_scratch(blocks * 2 * count, |partial| {
        let shared = Shared::new(partial);
        parallel(blocks, |block| {
            let from = block * BLOCK;
            let to = (from + BLOCK).min(columns);
            // SAFETY: each block has sums of its own.
            let sums = unsafe { shared.part(block * 2 * count..(block + 1) * 2 * count) };
            instructions.run(Products {
                rows,
                columns,
                range: (from, to),
                vectors: [&vectors[from..to], &vectors[columns + from..columns + to]],
                sums,
            });
        });
        for (index, out) in out.iter_mut().enumerate() {
            let sums = partial.iter().skip(index).step_by(2 * count);
            *out = sums.take(blocks).map(|sum| f64::from(*sum)).sum::<f64>() as f32;
        }
    });
    Ok(())
}

/// The sum of the rows, each times its coefficient: `rows` `[R, N]`,
/// `coefficients` `[R]`, `out` `[N]`.
///
/// # Errors
/// When a slice has the wrong length.
pub fn combine_rows(
    instructions: Instructions,
    rows: &[f32],
    coefficients: &[f32],
    out: &mut [f32],
) -> Result<()> {
    let columns = out.len();
    check("the rows", coefficients.len() * columns, rows.len())?;
    let shared = Shared::new(out);
    parallel(columns.div_ceil(BLOCK), |block| {
        let from = block * BLOCK;
        let to = (from + BLOCK).min(columns);
        // SAFETY: each block has its own part of the result.
        let out = unsafe { shared.part(from..to) };
        instructions.run(Combination {
            rows,
            columns,
            from,
            coefficients,
            out,
        });
    });
    Ok(())
}

struct Products<'a> {
    rows: &'a [f32],
    columns: usize,
    range: (usize, usize),
    vectors: [&'a [f32]; 2],
    /// `[2, R]`
    sums: &'a mut [f32],
}

impl SimdTask for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let count = self.sums.len() / 2;
        let whole = count / GROUP * GROUP;
        for first in (0..whole).step_by(GROUP) {
            self.some::<S, GROUP>(simd, first);
        }
        for first in whole..count {
            self.some::<S, 1>(simd, first);
        }
    }
}

impl Products<'_> {
    /// The products of `ROWS` rows from the `first` on: several at once, so that
    /// no sum waits for another and each piece of a vector is loaded once.
    #[inline(always)]
    fn some<S: Simd, const ROWS: usize>(&mut self, simd: S, first: usize) {
        let (from, to) = self.range;
        let count = self.sums.len() / 2;
        let rows: [&[f32]; ROWS] = std::array::from_fn(|row| {
            let start = (first + row) * self.columns;
            &self.rows[start + from..start + to]
        });
        let pieces = rows.map(|row| row.as_chunks::<LANES>().0);
        let [one, other] = self.vectors.map(|vector| vector.as_chunks::<LANES>().0);
        let mut sums = [[simd.splat(0.0); ROWS]; 2];
        for (place, (one, other)) in one.iter().zip(other).enumerate() {
            let (one, other) = (simd.load(one), simd.load(other));
            for row in 0..ROWS {
                let values = simd.load(&pieces[row][place]);
                sums[0][row] = simd.multiply_add(values, one, sums[0][row]);
                sums[1][row] = simd.multiply_add(values, other, sums[1][row]);
            }
        }
        let done = (to - from) / LANES * LANES;
        for (vector, sums) in sums.into_iter().enumerate() {
            for (row, sum) in sums.into_iter().enumerate() {
                let mut lanes = [0f32; LANES];
                simd.store(sum, &mut lanes);
                let rest = rows[row][done..].iter().zip(&self.vectors[vector][done..]);
                let rest: f32 = rest.map(|(a, b)| a * b).sum();
                self.sums[vector * count + first + row] = lanes.iter().sum::<f32>() + rest;
            }
        }
    }
}

struct Combination<'a> {
    rows: &'a [f32],
    columns: usize,
    from: usize,
    coefficients: &'a [f32],
    out: &'a mut [f32],
}

impl SimdTask for Combination<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.out.fill(0.0);
        let length = self.out.len();
        let row = |index: usize| {
            let start = index * self.columns + self.from;
            &self.rows[start..start + length]
        };
        let groups = self.coefficients.chunks(GROUP);
        for (group, coefficients) in groups.enumerate() {
            let first = group * GROUP;
            if let Ok(coefficients) = <&[f32; GROUP]>::try_from(coefficients) {
                let rows = [0, 1, 2, 3].map(|index| row(first + index));
                let pieces = rows.map(|row| row.as_chunks::<LANES>().0);
                let weights = coefficients.map(|value| simd.splat(value));
                let (out, rest) = self.out.as_chunks_mut::<LANES>();
                for (place, out) in out.iter_mut().enumerate() {
                    let mut sum = simd.load(out);
                    for (weight, pieces) in weights.iter().zip(&pieces) {
                        sum = simd.multiply_add(*weight, simd.load(&pieces[place]), sum);
                    }
                    simd.store(sum, out);
                }
                let done = length - rest.len();
                for (weight, row) in coefficients.iter().zip(rows) {
                    for (out, value) in rest.iter_mut().zip(&row[done..]) {
                        *out += weight * value;
                    }
                }
            } else {
                for (index, weight) in coefficients.iter().enumerate() {
                    for (out, value) in self.out.iter_mut().zip(row(first + index)) {
                        *out += weight * value;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{error, noise};
    use super::*;

    #[test]
    fn both_products_are_those_of_plain_sums() {
        for instructions in Instructions::all() {
            for (count, columns) in [(1, 1), (2, 17), (7, 2048), (8, 5000), (33, 12289)] {
                let rows = noise(count * columns, 1);
                let vectors = noise(2 * columns, 2);
                let exact = |vector: &[f32], row: &[f32]| -> f64 {
                    let pairs = vector.iter().zip(row);
                    pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
                };
                let mut found = vec![f32::NAN; 2 * count];
                row_products(instructions, &rows, &vectors, &mut found).unwrap();
                let wanted: Vec<f64> = vectors
                    .chunks(columns)
                    .flat_map(|vector| rows.chunks(columns).map(move |row| exact(vector, row)))
                    .collect();
                assert!(error(&found, &wanted) < 1e-6, "{count}, {columns}");

                let coefficients = noise(count, 3);
                let mut found = vec![f32::NAN; columns];
                combine_rows(instructions, &rows, &coefficients, &mut found).unwrap();
                let wanted: Vec<f64> = (0..columns)
                    .map(|column| {
                        let pairs = coefficients.iter().zip(rows.chunks(columns));
                        pairs
                            .map(|(weight, row)| f64::from(*weight) * f64::from(row[column]))
                            .sum()
                    })
                    .collect();
                assert!(error(&found, &wanted) < 1e-6, "{count}, {columns}");
            }
            let mut out = [0.0; 4];
            assert!(row_products(instructions, &[0.0; 5], &[0.0; 4], &mut out).is_err());
            assert!(combine_rows(instructions, &[0.0; 5], &[0.0; 2], &mut out).is_err());
        }
    }
}
