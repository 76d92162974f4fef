//! The way of an image downhill, and who keeps what on it.
//!
//! A [`Hosted`] descent reads the losses of every iteration before it goes on:
//! the only way for L-BFGS, whose steps depend on them, and the quickest on the
//! CPU. In a [`Resident`] one the image, the optimizer and the losses stay on
//! the device; the host only submits work, a bounded number of iterations
//! ahead, and hears what became of it later.

mod hosted;
mod leash;
mod resident;
#[cfg(test)]
mod tests;

pub use hosted::Hosted;
pub use resident::Resident;

use tch::{Device, Kind, Tensor};

use super::accelerator::Stream;
use super::evaluate::{Evaluation, OnDevice, evaluate, evaluate_on_device};
use super::loss::Targets;
use super::network::Vgg;
use super::optimizer;
use super::scalars::Reading;
use super::state::State;
use super::{EngineError, Result};
use crate::job::Size;
use crate::preset::{self, OptimizerKind, Preset};

/// What an image is measured by.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub vgg: &'a Vgg,
    pub preset: &'a Preset,
    pub targets: &'a Targets,
    /// The side of the tiles to evaluate in, if that is given.
    pub tile: Option<u32>,
}

impl Scene<'_> {
    fn evaluate(&self, image: &Tensor) -> Result<Evaluation> {
        evaluate(self.vgg, self.preset, self.targets, image, self.tile)
    }

    fn evaluate_on_device(&self, image: &Tensor) -> Result<OnDevice> {
        evaluate_on_device(self.vgg, self.preset, self.targets, image, self.tile)
    }

    /// Whether an evaluation may be captured. In tiles it is long enough for
    /// launches not to matter, and memory is short.
    fn recordable(&self) -> bool {
        self.tile.is_none()
    }
}

/// One iteration that is done.
#[derive(Debug)]
pub struct Outcome {
    /// Its number in the run.
    pub iteration: u32,
    /// What was found of the image. Where that is not finite, the image went
    /// back to the best one and steps are half as large from there on.
    pub reading: Reading,
}

/// What became known since it was last asked.
#[derive(Debug, Default)]
pub struct Told {
    /// In their order.
    pub outcomes: Vec<Outcome>,
    /// Things the user should know.
    pub notices: Vec<String>,
}

/// The images of a descent, `[1, 3, H, W]`, RGB in 0..1.
pub struct Images<'a> {
    /// The one to evaluate next.
    pub image: &'a Tensor,
    /// The one with the lowest total; none before there is a total.
    pub best: Option<&'a Tensor>,
}

/// Takes an image downhill, from one scale's beginning to its end.
///
/// On a GPU, every method must be called with the same stream as the thread's
/// current one.
pub trait Descent: Send {
    /// Begins anew at `image`. Until there is a total, `best` is the best one.
    /// What was learnt of the images before is forgotten, steps stay as small
    /// as trouble has made them.
    ///
    /// # Errors
    /// When memory runs out or libtorch fails.
    fn begin(&mut self, image: &Tensor, best: Option<&Tensor>) -> Result<()>;

    /// Evaluates the image and moves it, or submits that. Tells what is known
    /// by then.
    ///
    /// # Errors
    /// When libtorch fails. If that is for want of memory in the evaluation,
    /// nothing has changed.
    fn step(&mut self, scene: &Scene, iteration: u32) -> Result<Told>;

    /// Waits for all that was submitted, and tells what was not told yet.
    ///
    /// # Errors
    /// When libtorch fails.
    fn drain(&mut self) -> Result<Told>;

    /// The scene is about to change: gives up what holds on to it. To be
    /// called after [`Descent::drain`].
    fn forget_scene(&mut self);

    /// Remembers no more than so many steps from here on, if it remembers any.
    fn limit_history(&mut self, _history: usize) {}

    /// Goes on with the images as they are, which are measured otherwise from
    /// now on. To be called after [`Descent::drain`].
    ///
    /// # Errors
    /// When libtorch fails.
    fn restart(&mut self) -> Result<()>;

    /// Puts down where it is and what was learnt, to go on from there. To be
    /// called after [`Descent::drain`].
    ///
    /// # Errors
    /// When libtorch fails.
    fn save(&self, state: &mut State) -> Result<()>;

    /// Goes on where one of its kind put down what it knew, with images of
    /// `size`.
    ///
    /// # Errors
    /// When something is missing or of another size.
    fn restore(&mut self, state: &State, size: Size) -> Result<()>;

    /// The images, as they are when all that was submitted is done; none
    /// before the beginning.
    fn images(&self) -> Option<Images<'_>>;

    /// Whether a step may come back before it is done.
    fn runs_ahead(&self) -> bool;
}

/// Where a descent works.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub device: Device,
    /// The stream that paints, and one for copies beside it.
    pub stream: Stream,
    pub copies: Stream,
    /// Whether Adam keeps everything on the device.
    pub resident: bool,
}

impl Place {
    /// The best place on a device.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn on(device: Device) -> Result<Self> {
        Ok(Self {
            device,
            stream: Stream::side(device)?,
            copies: Stream::side(device)?,
            // On the CPU there is nobody to wait for.
            resident: is_gpu(device),
        })
    }
}

fn is_gpu(device: Device) -> bool {
    matches!(device, Device::Cuda(_))
}

/// The descent that a preset's optimizer asks for.
pub fn build(optimizer: &preset::Optimizer, place: Place) -> Box<dyn Descent> {
    match optimizer.kind {
        OptimizerKind::Adam if place.resident => Box::new(Resident::new(optimizer.rate, place)),
        _ => Box::new(Hosted::new(optimizer::build(optimizer), place)),
    }
}

/// The image of that name in a checkpoint, `[1, 3, H, W]`.
///
/// # Errors
/// When there is none of this size.
pub fn image_of(state: &State, name: &str, size: Size, device: Device) -> Result<Tensor> {
    let image = state.tensor(name, device)?;
    let wanted = [1, 3, i64::from(size.height), i64::from(size.width)];
    if image.size() != wanted || image.f_kind()? != Kind::Float {
        return Err(EngineError::Torch(format!(
            "{name} in the checkpoint is no image of this size"
        )));
    }
    Ok(image)
}
