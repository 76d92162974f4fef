//! What moves the pixels.
//!
//! An optimizer never evaluates the loss itself, and never reads a number on the
//! host. It is given the gradient and the total at its image, both still on the
//! device, and moves the image in place: every iteration is exactly one
//! evaluation, the caller may stop, look or change the weights between any two,
//! and on a GPU all of it is part of a CUDA graph. Decisions are selections on
//! the device (`where`) instead of `if`; the outcome of a step is a few
//! numbers ([`Status`]) that the host reads when they arrive.

pub(super) mod adam;
mod history;
mod iterate;
pub(super) mod lbfgs;
pub(super) mod preconditioner;

use adam::Adam;
use impasto_core::preset::{self, OptimizerKind, Preset};
use lbfgs::Lbfgs;
use tch::Tensor;

use super::Result;
use super::state::StateDict;

/// An optimizer over an image `[1, 3, H, W]` whose values stay within 0..1.
///
/// Every tensor that a step changes keeps its memory for as long as the
/// optimizer lives, so that a captured step finds it again.
pub trait Optimizer: Send {
    /// The image to evaluate next: always the same tensor, changed in place.
    fn image(&self) -> &Tensor;

    /// The image with the lowest total so far; the first before any total.
    fn best_image(&self) -> &Tensor;

    /// Takes an image of the same shape for the best one, until there is a
    /// finite total.
    ///
    /// # Errors
    /// When the shape differs or libtorch fails.
    fn keep(&mut self, best: &Tensor) -> Result<()>;

    /// Moves the image. `gradient`, of its shape, and `total`, of one element,
    /// are those of the image as it is before the step, on its device. Where
    /// they are not finite, the image goes back to the best one, what was
    /// learnt is forgotten, and steps are half as large from there on. Waits for
    /// nothing.
    ///
    /// # Errors
    /// When shapes differ, memory runs out or libtorch fails.
    fn step(&mut self, gradient: &Tensor, total: &Tensor) -> Result<()>;

    /// What became of the latest step: [`Status::LEN`] numbers, float32, on the
    /// device.
    ///
    /// # Errors
    /// When libtorch fails.
    fn status(&self) -> Result<Tensor>;

    /// Forgets what it learnt: from here on the loss is another one. (Carrying
    /// moments or curvature pairs to the next scale, resampled, measured worse
    /// than starting anew: see docs/measurements.md.) Images, rate and counts stay.
    ///
    /// # Errors
    /// When libtorch fails.
    fn restart(&mut self) -> Result<()>;

    /// A step is about to be captured in a CUDA graph: from here on every step
    /// uses the same memory.
    ///
    /// # Errors
    /// When libtorch fails.
    fn prepare_capture(&mut self) -> Result<()> {
        Ok(())
    }

    /// All that a step changes and a later one depends on.
    fn tensors(&self) -> Vec<Tensor>;

    /// Saves where it is and what it learnt.
    ///
    /// # Errors
    /// When libtorch fails.
    fn save(&self, state: &mut StateDict) -> Result<()>;
}

/// Which image is the best one, and so the result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tracking {
    /// The one with the lowest total.
    Lowest,
    /// The latest: where the gradient is that of no total. L-BFGS then accepts a step that
    /// raises the total a little.
    Latest,
    /// The exponential moving average of all images with this decay.
    Average(f64),
}

impl Tracking {
    /// What a preset wants.
    pub fn of(preset: &Preset) -> Self {
        match preset.averages() {
            Some(decay) => Self::Average(decay),
            None if preset.normalize_gradients => Self::Latest,
            None => Self::Lowest,
        }
    }

    /// Whether the CUDA kernels can do it: they know no other best image than the one
    /// with the lowest total.
    pub fn has_kernels(self) -> bool {
        self == Self::Lowest
    }
}

/// What became of a step, as the host reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// How many evaluations were not finite, since the beginning.
    pub failures: u32,
    /// Whether the evaluated image was accepted. L-BFGS takes a step back that
    /// does not lower the total enough; Adam accepts every image.
    pub accepted: bool,
    /// How often L-BFGS found no good step and dropped its history, and how
    /// often no step lowered the total any more; since the beginning.
    pub restarts: u32,
    pub settled: u32,
}

impl Status {
    /// The number of values.
    pub const LEN: usize = 4;

    /// Reads the numbers of [`Optimizer::status`].
    pub fn read(numbers: [f32; Self::LEN]) -> Self {
        let [failures, accepted, restarts, settled] = numbers;
        Self {
            failures: failures as u32,
            accepted: accepted != 0.0,
            restarts: restarts as u32,
            settled: settled as u32,
        }
    }
}

/// The notice for a step that raised these counts.
pub const RESTARTED: &str = "L-BFGS found no good step and cleared its history";
pub const SETTLED: &str = "L-BFGS has settled: no step lowers the total noticeably any more";

/// The optimizer that a preset asks for, at a copy of `image`. `rate` is the
/// preset's or, after trouble, a smaller one; L-BFGS remembers `history` steps
/// at most.
///
/// # Errors
/// When the image is not float32 or memory runs out.
pub fn build(
    kind: OptimizerKind,
    image: &Tensor,
    rate: f64,
    history: usize,
    tracking: Tracking,
) -> Result<Box<dyn Optimizer>> {
    Ok(match kind {
        OptimizerKind::Lbfgs => Box::new(Lbfgs::new(image, rate, history, tracking)?),
        OptimizerKind::Adam => Box::new(Adam::new(image, rate)?.tracking(tracking)),
    })
}

/// The optimizer that was saved, with an image of the shape of `like`.
///
/// # Errors
/// When another kind was saved, and when something is missing or of another
/// shape.
pub fn restored(
    optimizer: &preset::Optimizer,
    state: &StateDict,
    like: &Tensor,
    tracking: Tracking,
) -> Result<Box<dyn Optimizer>> {
    Ok(match optimizer.kind {
        OptimizerKind::Lbfgs => Box::new(Lbfgs::restored(state, like, tracking)?),
        OptimizerKind::Adam => Box::new(Adam::restored(state, like, tracking)?),
    })
}

#[cfg(test)]
mod tests;
