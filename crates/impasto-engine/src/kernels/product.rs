//! The matrix product that all kernels are made of.
//!
//! `out = left · right`, with the right matrix in panels: [`PANEL`] columns
//! side by side, row after row, so that the innermost loop reads it from one
//! end to the other. A tile of the result stays in registers all the way.

use super::lanes::{LANES, Simd};

/// How many columns of the right matrix lie together.
pub const PANEL: usize = 32;

/// The left matrix, `[rows, depth]`, wherever its elements are. Its columns come
/// in groups of `GROUP`; the element in row r and column g·GROUP + i is
/// `values[r·ROW + i·step + g·group]`.
#[derive(Clone, Copy)]
pub struct Left<'a, const ROW: usize, const GROUP: usize> {
    pub values: &'a [f32],
    pub step: usize,
    pub group: usize,
}

/// What becomes of the elements that the result is written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputMode {
    Replace,
    Add,
    /// Replace, and what is below zero becomes zero.
    Relu,
}

/// Writes the product of `rows` rows of `left` and one panel, `[depth, PANEL]`,
/// to `out`, whose rows of [`PANEL`] columns start `stride` apart.
///
/// # Panics
/// When a slice is too short.
#[inline(always)]
pub fn multiply<S: Simd, const ROW: usize, const GROUP: usize>(
    simd: S,
    left: Left<'_, ROW, GROUP>,
    rows: usize,
    panel: &[f32],
    out: &mut [f32],
    stride: usize,
    mode: OutputMode,
) {
    let groups = panel.len() / (PANEL * GROUP);
    if rows == 0 || groups == 0 {
        return;
    }
    assert_eq!(panel.len(), groups * PANEL * GROUP);
    assert!(out.len() >= (rows - 1) * stride + PANEL);
    let last = (rows - 1) * ROW + (GROUP - 1) * left.step + (groups - 1) * left.group;
    assert!(left.values.len() > last);

    let mut row = 0;
    while row < rows {
        let at = TilePointers {
            // SAFETY, here and below: `last` is the largest index into the left
            // matrix, the panel has `groups · GROUP` rows, and the result ends
            // where `out` does at the latest. All three were checked.
            left: unsafe { left.values.as_ptr().add(row * ROW) },
            step: left.step,
            group: left.group,
            panel: panel.as_ptr(),
            groups,
            out: unsafe { out.as_mut_ptr().add(row * stride) },
            stride,
            mode,
        };
        let left_over = rows - row;
        unsafe {
            row += if S::WIDE {
                at.wide::<S, ROW, GROUP>(simd, left_over)
            } else {
                at.narrow::<S, ROW, GROUP>(simd, left_over)
            };
        }
    }
}

/// Where one tile's operands and result are.
#[derive(Clone, Copy)]
struct TilePointers {
    left: *const f32,
    step: usize,
    group: usize,
    panel: *const f32,
    groups: usize,
    out: *mut f32,
    stride: usize,
    mode: OutputMode,
}

impl TilePointers {
    /// One row of tiles with registers to hold 14 × 32; returns how many rows
    /// that was.
    #[inline(always)]
    unsafe fn wide<S: Simd, const ROW: usize, const GROUP: usize>(
        self,
        simd: S,
        rows: usize,
    ) -> usize {
        // SAFETY: the caller's, as no tile has more rows than there are.
        unsafe {
            // Rather 8 + 7 than 14 + 1: a low tile waits for each sum.
            match rows {
                0 => return 0,
                1 => self.tile::<S, ROW, GROUP, 1, 2>(simd),
                2 => self.tile::<S, ROW, GROUP, 2, 2>(simd),
                3 => self.tile::<S, ROW, GROUP, 3, 2>(simd),
                4 => self.tile::<S, ROW, GROUP, 4, 2>(simd),
                5 => self.tile::<S, ROW, GROUP, 5, 2>(simd),
                6 => self.tile::<S, ROW, GROUP, 6, 2>(simd),
                7 | 15 => {
                    self.tile::<S, ROW, GROUP, 7, 2>(simd);
                    return 7;
                }
                8 | 16 => {
                    self.tile::<S, ROW, GROUP, 8, 2>(simd);
                    return 8;
                }
                9 | 17 | 18 => {
                    self.tile::<S, ROW, GROUP, 9, 2>(simd);
                    return 9;
                }
                10 | 11 | 19 | 20 => {
                    self.tile::<S, ROW, GROUP, 10, 2>(simd);
                    return 10;
                }
                12 | 13 => {
                    self.tile::<S, ROW, GROUP, 12, 2>(simd);
                    return 12;
                }
                _ => {
                    self.tile::<S, ROW, GROUP, 14, 2>(simd);
                    return 14;
                }
            }
        }
        rows
    }

    /// The same with registers for 6 × 16.
    #[inline(always)]
    unsafe fn narrow<S: Simd, const ROW: usize, const GROUP: usize>(
        mut self,
        simd: S,
        rows: usize,
    ) -> usize {
        for _ in 0..PANEL / LANES {
            // SAFETY: as in `wide`; the second half of the panel's columns
            // follows the first.
            unsafe {
                match rows {
                    0 => {}
                    1 => self.tile::<S, ROW, GROUP, 1, 1>(simd),
                    2 => self.tile::<S, ROW, GROUP, 2, 1>(simd),
                    3 => self.tile::<S, ROW, GROUP, 3, 1>(simd),
                    4 => self.tile::<S, ROW, GROUP, 4, 1>(simd),
                    5 => self.tile::<S, ROW, GROUP, 5, 1>(simd),
                    _ => self.tile::<S, ROW, GROUP, 6, 1>(simd),
                }
                self.panel = self.panel.add(LANES);
                self.out = self.out.add(LANES);
            }
        }
        rows.min(6)
    }

    #[inline(always)]
    unsafe fn tile<
        S: Simd,
        const ROW: usize,
        const GROUP: usize,
        const ROWS: usize,
        const VECTORS: usize,
    >(
        self,
        simd: S,
    ) {
        let mut sums = [[simd.splat(0.0); VECTORS]; ROWS];
        let mut panel = self.panel;
        let mut left = self.left;
        // SAFETY: `multiply` has checked all lengths.
        unsafe {
            for row in 0..ROWS {
                for v in 0..VECTORS {
                    simd.prefetch(self.out.add(row * self.stride + v * LANES));
                }
            }
            for _ in 0..self.groups {
                for i in 0..GROUP {
                    let mut right = [simd.splat(0.0); VECTORS];
                    for (v, right) in right.iter_mut().enumerate() {
                        *right = simd.load(&*panel.add(i * PANEL + v * LANES).cast());
                    }
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let value = simd.splat(*left.add(row * ROW + i * self.step));
                        for (sum, right) in sums.iter_mut().zip(right) {
                            *sum = simd.multiply_add(value, right, *sum);
                        }
                    }
                }
                panel = panel.add(GROUP * PANEL);
                left = left.add(self.group);
            }
            for (row, sums) in sums.iter().enumerate() {
                for (v, &sum) in sums.iter().enumerate() {
                    let to = &mut *self.out.add(row * self.stride + v * LANES).cast();
                    let sum = match self.mode {
                        OutputMode::Replace => sum,
                        OutputMode::Add => simd.add(simd.load(to), sum),
                        OutputMode::Relu => simd.relu(sum),
                    };
                    simd.store(sum, to);
                }
            }
        }
    }
}
