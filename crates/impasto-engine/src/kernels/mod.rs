//! VGG's arithmetic on processors, where libtorch's is not the fastest known.
//!
//! Maps are `[H, W, C]` with the channels innermost ("channels last"). Every
//! function writes each element of its output, whatever was there before, and
//! gives the same bits for the same input and number of threads. Values that
//! are not finite go through as in any arithmetic; nothing here looks for them.
//!
//! | Where | What |
//! | --- | --- |
//! | `convolution` | 3×3 convolutions by Winograd's method, forward and backward |
//! | `filters` | their filters, transformed and packed |
//! | `winograd` | the transforms of Winograd's method |
//! | `first` | the first layer, from a picture and back to it |
//! | `pool` | 2×2 max pooling and its gradient |
//! | `gram` | products of feature rows: Gram matrices and their gradient |
//! | `histogram` | sorted channels compared with sorted rows |
//! | `long_rows` | products of the few long rows that L-BFGS remembers |
//! | `product` | the matrix product that all of them are made of |
//! | `lanes` | vectors of 16 floats; which instructions the processor has |
//! | `threads` | work on libtorch's own threads |
//! | `scratch` | memory to work in |
//!
//! `unsafe` stays within `lanes`, `product`, `threads` and `scratch`, and where
//! several threads write to one map (`scratch::Shared`).

#![allow(
    unsafe_code,
    reason = "vector instructions and memory that threads share"
)]

mod convolution;
mod filters;
mod first;
mod gram;
mod histogram;
mod lanes;
mod long_rows;
mod pool;
mod product;
mod scratch;
#[cfg(test)]
mod tests;
mod threads;
mod winograd;

use std::fmt;

pub use convolution::Epilogue;
pub use filters::Filters;
pub use first::FirstFilters;
pub use gram::{add_product, gram, product};
pub use histogram::{match_histograms, sort_channels};
pub use lanes::Instructions;
pub use long_rows::{combine_rows, row_products};
pub use pool::{max_pool, max_pool_backward};
pub use threads::{limit_spinning, parallel, shares_open_mp, threads};

/// Slices whose lengths do not fit together: a mistake of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapeError {
    /// Which of them.
    pub what: &'static str,
    pub expected: usize,
    pub found: usize,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: expected {}, found {}",
            self.what, self.expected, self.found
        )
    }
}

impl std::error::Error for ShapeError {}

/// Why a kernel did not do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    #[error(transparent)]
    Shape(#[from] ShapeError),
    #[error("{bytes} bytes to work in could not be had")]
    NoMemory { bytes: usize },
}

/// Does `work`, which calls kernels, and catches their want of memory: it comes
/// up in the middle of their loops, on any thread, and unwinds from there.
///
/// # Errors
/// As `work`, and when there is no memory.
pub fn guard<T>(work: impl FnOnce() -> Result<T>) -> std::result::Result<T, KernelError> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(result) => Ok(result?),
        Err(payload) => match payload.downcast_ref::<scratch::NoMemory>() {
            Some(scratch::NoMemory { bytes }) => Err(KernelError::NoMemory { bytes: *bytes }),
            None => std::panic::resume_unwind(payload),
        },
    }
}

/// The result of a kernel.
pub type Result<T> = std::result::Result<T, ShapeError>;

/// Fails unless `found` is what is `expected`.
fn check(what: &'static str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        Ok(())
    } else {
        Err(ShapeError {
            what,
            expected,
            found,
        })
    }
}

/// Fails unless `found` is a multiple of `unit`, at least one.
fn check_multiple(what: &'static str, unit: usize, found: usize) -> Result<()> {
    check(what, found.next_multiple_of(unit).max(unit), found)
}
