//! Winograd's short convolution F(4×4, 3×3): the transforms of one tile.
//!
//! A tile of 4×4 outputs depends on 6×6 inputs. Seen as polynomials, inputs and
//! filter are evaluated at six points, multiplied there, and turned back
//! into outputs: 36 products instead of 144 for each pair of channels
//! (Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", 2016).
//!
//! The points are 0, ±[`P`], ±[`Q`] and infinity. With the usual 1 and 2 the
//! largest error is three to four times as large. Both are short binary
//! fractions, so that their products are exact.

use super::lanes::Simd;

const P: f32 = 0.625;
const Q: f32 = 1.5;

/// Outputs of a tile in each direction.
pub const TILE: usize = 4;
/// Inputs that a tile needs in each direction.
pub const PATCH: usize = 6;
/// Products for each tile and pair of channels.
pub const POINTS: usize = PATCH * PATCH;

/// The line that crosses all `columns` at `y`.
#[inline(always)]
fn across<V: Copy, const LENGTH: usize, const WIDTH: usize>(
    columns: &[[V; LENGTH]; WIDTH],
    y: usize,
) -> [V; WIDTH] {
    // Not `array::from_fn` or `map`: they are not sure to be inlined, and then
    // vectors go through memory.
    let mut line = [columns[0][y]; WIDTH];
    for (value, column) in line.iter_mut().zip(columns) {
        *value = column[y];
    }
    line
}

#[inline(always)]
fn input_line<S: Simd>(simd: S, d: [S::Vector; PATCH]) -> [S::Vector; PATCH] {
    let p2 = simd.splat(P * P);
    let q2 = simd.splat(Q * Q);
    let sum = simd.splat(P * P + Q * Q);
    let product = simd.splat(P * P * Q * Q);
    let p = simd.splat(P);
    let q = simd.splat(Q);

    let even_p = simd.negative_multiply_add(q2, d[2], d[4]);
    let odd_p = simd.negative_multiply_add(q2, d[1], d[3]);
    let even_q = simd.negative_multiply_add(p2, d[2], d[4]);
    let odd_q = simd.negative_multiply_add(p2, d[1], d[3]);
    [
        simd.multiply_add(product, d[0], simd.negative_multiply_add(sum, d[2], d[4])),
        simd.multiply_add(p, odd_p, even_p),
        simd.negative_multiply_add(p, odd_p, even_p),
        simd.multiply_add(q, odd_q, even_q),
        simd.negative_multiply_add(q, odd_q, even_q),
        simd.multiply_add(product, d[1], simd.negative_multiply_add(sum, d[3], d[5])),
    ]
}

#[inline(always)]
fn output_line<S: Simd>(simd: S, m: [S::Vector; PATCH]) -> [S::Vector; TILE] {
    let sum_p = simd.add(m[1], m[2]);
    let difference_p = simd.subtract(m[1], m[2]);
    let sum_q = simd.add(m[3], m[4]);
    let difference_q = simd.subtract(m[3], m[4]);
    let combine =
        |p: f32, a, q: f32, b| simd.multiply_add(simd.splat(q), b, simd.multiply(simd.splat(p), a));
    [
        simd.add(m[0], simd.add(sum_p, sum_q)),
        combine(P, difference_p, Q, difference_q),
        combine(P * P, sum_p, Q * Q, sum_q),
        simd.add(
            m[5],
            combine(P * P * P, difference_p, Q * Q * Q, difference_q),
        ),
    ]
}

/// The products' left factors of a patch of inputs `[6, 6]`, handed to `put`
/// with the number of their point.
#[inline(always)]
pub fn input<S: Simd>(
    simd: S,
    mut patch: impl FnMut(usize, usize) -> S::Vector,
    mut put: impl FnMut(usize, S::Vector),
) {
    let mut columns = [[simd.splat(0.0); PATCH]; PATCH];
    for (x, column) in columns.iter_mut().enumerate() {
        let mut line = [simd.splat(0.0); PATCH];
        for (y, value) in line.iter_mut().enumerate() {
            *value = patch(y, x);
        }
        *column = input_line(simd, line);
    }
    for y in 0..PATCH {
        let line = input_line(simd, across(&columns, y));
        for (x, value) in line.into_iter().enumerate() {
            put(y * PATCH + x, value);
        }
    }
}

/// The outputs of a tile `[4, 4]`, handed to `put` with their place, from the
/// sums of products at each point.
#[inline(always)]
pub fn output<S: Simd>(
    simd: S,
    mut sums: impl FnMut(usize) -> S::Vector,
    mut put: impl FnMut(usize, usize, S::Vector),
) {
    let mut columns = [[simd.splat(0.0); TILE]; PATCH];
    for (x, column) in columns.iter_mut().enumerate() {
        let mut line = [simd.splat(0.0); PATCH];
        for (y, value) in line.iter_mut().enumerate() {
            *value = sums(y * PATCH + x);
        }
        *column = output_line(simd, line);
    }
    for y in 0..TILE {
        let line = output_line(simd, across(&columns, y));
        for (x, value) in line.into_iter().enumerate() {
            put(y, x, value);
        }
    }
}

#[inline(always)]
fn filter_line<S: Simd>(simd: S, g: [S::Vector; 3]) -> [S::Vector; PATCH] {
    const AT_ZERO: f32 = 1.0 / (P * P * Q * Q);
    const AT_P: f32 = 1.0 / (2.0 * P * P * (P * P - Q * Q));
    const AT_Q: f32 = 1.0 / (2.0 * Q * Q * (Q * Q - P * P));
    let pair = |scale: f32, point: f32| {
        let even = simd.multiply_add(
            simd.splat(scale * point * point),
            g[2],
            simd.multiply(simd.splat(scale), g[0]),
        );
        let odd = simd.multiply(simd.splat(scale * point), g[1]);
        (simd.add(even, odd), simd.subtract(even, odd))
    };
    let (p, minus_p) = pair(AT_P, P);
    let (q, minus_q) = pair(AT_Q, Q);
    [
        simd.multiply(simd.splat(AT_ZERO), g[0]),
        p,
        minus_p,
        q,
        minus_q,
        g[2],
    ]
}

/// The products' right factors of a filter `[3, 3]`, handed to `put` with the
/// number of their point.
#[inline(always)]
pub fn filter<S: Simd>(
    simd: S,
    mut tap: impl FnMut(usize) -> S::Vector,
    mut put: impl FnMut(usize, S::Vector),
) {
    let mut columns = [[simd.splat(0.0); PATCH]; 3];
    for (x, column) in columns.iter_mut().enumerate() {
        *column = filter_line(simd, [tap(x), tap(3 + x), tap(6 + x)]);
    }
    for y in 0..PATCH {
        let line = filter_line(simd, across(&columns, y));
        for (x, value) in line.into_iter().enumerate() {
            put(y * PATCH + x, value);
        }
    }
}
