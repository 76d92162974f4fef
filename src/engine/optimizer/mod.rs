//! What moves the pixels.
//!
//! An optimizer never evaluates the loss itself. It is told the loss and the
//! gradient at the image it last proposed and answers with the next image, so
//! that every iteration is exactly one evaluation and the caller may stop,
//! look or change the weights between any two.

mod adam;
mod lbfgs;
mod waves;

pub use adam::Adam;
pub use lbfgs::Lbfgs;

use tch::Tensor;

use super::state::State;
use super::{EngineError, Result};
use crate::preset::{self, OptimizerKind};

/// An optimizer over images `[1, 3, H, W]` whose values stay within 0..1.
pub trait Optimizer: Send {
    /// Takes the loss and the gradient at `image`, which is the image last
    /// proposed (or the one to begin with), and proposes the next.
    ///
    /// # Errors
    /// When libtorch fails.
    fn step(&mut self, image: &Tensor, loss: f64, gradient: &Tensor) -> Result<Proposal>;

    /// Forgets what it learnt: from here on the loss is another one, or the
    /// image has another size. (Carrying moments or curvature pairs to the next
    /// scale, resampled, measured worse than starting anew: see
    /// ARCHITECTURE.md.)
    fn restart(&mut self);

    /// Remembers no more than so many steps from here on.
    fn limit_history(&mut self, _history: usize) {}

    /// Puts down what it learnt.
    ///
    /// # Errors
    /// When libtorch fails.
    fn save(&self, state: &mut State) -> Result<()>;

    /// Takes up what one of its kind put down, for images on `device`. Without
    /// its frozen tensors it begins anew, with steps as small as trouble has
    /// made them.
    ///
    /// # Errors
    /// When something is missing, or of another shape than `like`, an image.
    fn restore(&mut self, state: &State, like: &Tensor) -> Result<()>;

    /// Forgets what it learnt and takes smaller steps, after a step that led
    /// nowhere good.
    fn soften(&mut self);
}

/// What an optimizer answers.
#[derive(Debug)]
pub struct Proposal {
    /// The image to evaluate next.
    pub image: Tensor,
    /// Something the user should know, such as a restart.
    pub notice: Option<&'static str>,
}

/// The optimizer a preset asks for.
pub fn build(preset: &preset::Optimizer) -> Box<dyn Optimizer> {
    match preset.kind {
        OptimizerKind::Lbfgs => Box::new(Lbfgs::new(preset.history, preset.rate)),
        OptimizerKind::Adam => Box::new(Adam::new(preset.rate)),
    }
}

/// The tensor of that name, if it has the shape of `like`; on its device.
fn tensor_like(state: &State, name: &str, like: &Tensor) -> Result<Tensor> {
    let tensor = state.tensor(name, like.device())?;
    if tensor.size() != like.size() || tensor.f_kind()? != like.f_kind()? {
        return Err(EngineError::Torch(format!(
            "{name} in the checkpoint is no image of this size"
        )));
    }
    Ok(tensor)
}
