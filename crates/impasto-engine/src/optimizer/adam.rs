//! Adam (Kingma & Ba 2015), with every step brought back into 0..1.

use tch::{Kind, Tensor};

use super::iterate::{Iterate, Observed, restore, save, scalar, select};
use super::{Optimizer, Status, Tracking};
use crate::Result;
use crate::cuda::{self, AdamState, Kernels};
use crate::state::StateDict;

pub(super) const BETA1: f64 = 0.9;
/// As in style-transfer-pytorch: the gradient changes its size so quickly here
/// that the usual 0.999 remembers too long.
pub(super) const BETA2: f64 = 0.99;
pub(super) const EPSILON: f64 = 1e-8;

/// What a checkpoint calls the tensors of [`Adam::moments`].
const NAMES: [&str; 3] = ["adam.first", "adam.second", "adam.steps"];

/// Adam over an image. The rate is the size of a step at most, on pixels in
/// 0..1.
#[derive(Debug)]
pub struct Adam {
    iterate: Iterate,
    /// The running means of the gradient and of its square.
    first: Tensor,
    second: Tensor,
    /// How many steps the moments have seen; float64 for the bias corrections.
    steps: Tensor,
    /// Whether the latest image was accepted, 1 or 0.
    accepted: Tensor,
    /// For the kernels: whether a value of the gradient is not finite, int32.
    broken: Tensor,
    /// Constants: β₁ and β₂, 1 − β₁ and 1 − β₂ in the moments' kind, 0.
    betas: Tensor,
    weights: Tensor,
    zero: Tensor,
}

impl Adam {
    /// # Errors
    /// When the image is not float32 or memory runs out.
    pub fn new(image: &Tensor, rate: f64) -> Result<Self> {
        let pair = |values: [f64; 2], kind| {
            Tensor::f_from_slice(&values)?
                .f_to_kind(kind)?
                .f_to_device(image.device())
        };
        let iterate = Iterate::new(image, rate)?;
        Ok(Self {
            first: image.f_zeros_like()?,
            second: image.f_zeros_like()?,
            steps: iterate.numbers.f_select(0, 3)?,
            accepted: iterate.numbers.f_select(0, 4)?,
            broken: Tensor::f_zeros([1], (Kind::Int, image.device()))?,
            iterate,
            betas: pair([BETA1, BETA2], Kind::Double)?,
            weights: pair([1.0 - BETA1, 1.0 - BETA2], Kind::Float)?,
            zero: scalar(0.0, image)?,
        })
    }

    /// # Errors
    /// When something is missing or of another shape than `like`.
    pub fn restored(state: &StateDict, like: &Tensor, tracking: Tracking) -> Result<Self> {
        let mut adam = Self::new(like, 0.0)?.tracking(tracking);
        adam.iterate.restore(state)?;
        restore(state, &NAMES, &adam.moments())?;
        Ok(adam)
    }

    /// The same, with this image as its best one.
    #[must_use]
    pub fn tracking(mut self, tracking: Tracking) -> Self {
        self.iterate.track(tracking);
        self
    }

    fn moments(&self) -> [&Tensor; 3] {
        [&self.first, &self.second, &self.steps]
    }
}

impl Optimizer for Adam {
    fn image(&self) -> &Tensor {
        &self.iterate.image
    }

    fn best_image(&self) -> &Tensor {
        &self.iterate.best_image
    }

    fn keep(&mut self, best: &Tensor) -> Result<()> {
        self.iterate.keep(best)
    }

    fn step(&mut self, gradient: &Tensor, total: &Tensor) -> Result<()> {
        self.step_with(cuda::kernels(gradient.device()), gradient, total)
    }

    fn status(&self) -> Result<Tensor> {
        let numbers = [
            &self.iterate.failures,
            &self.accepted,
            &self.zero,
            &self.zero,
        ];
        debug_assert_eq!(numbers.len(), Status::LEN);
        Ok(Tensor::f_stack(&numbers, 0)?.f_to_kind(Kind::Float)?)
    }

    fn restart(&mut self) -> Result<()> {
        for tensor in [&mut self.first, &mut self.second, &mut self.steps] {
            let _ = tensor.f_zero_()?;
        }
        self.iterate.restart()
    }

    fn tensors(&self) -> Vec<Tensor> {
        let all = self.iterate.tensors().into_iter().chain(self.moments());
        all.chain([&self.accepted])
            .map(Tensor::shallow_clone)
            .collect()
    }

    fn save(&self, state: &mut StateDict) -> Result<()> {
        self.iterate.save(state)?;
        save(state, &NAMES, &self.moments())
    }
}

impl Adam {
    /// A step by our own kernels, where there are any that fit, or by libtorch.
    pub fn step_with(
        &mut self,
        kernels: Option<&Kernels>,
        gradient: &Tensor,
        total: &Tensor,
    ) -> Result<()> {
        if let Some(kernels) = kernels.filter(|_| self.iterate.tracking().has_kernels()) {
            let state = AdamState {
                image: &self.iterate.image,
                first: &self.first,
                second: &self.second,
                best: &self.iterate.best_image,
                numbers: &self.iterate.numbers,
                broken: &self.broken,
                betas: [BETA1, BETA2],
                epsilon: EPSILON,
            };
            let total = total.f_to_kind(Kind::Double)?;
            if kernels.adam(&gradient.f_contiguous()?, &total, &state)? {
                return Ok(());
            }
        }
        let Observed {
            gradient, failed, ..
        } = self.iterate.observe(gradient, total)?;
        let (to_first, to_second) = (self.weights.f_select(0, 0)?, self.weights.f_select(0, 1)?);
        let _ = self.first.f_lerp_tensor_(&gradient, &to_first)?;
        let _ = self
            .second
            .f_lerp_tensor_(&gradient.f_square()?, &to_second)?;
        let _ = self.steps.f_add_scalar_(1.0)?;
        for forgotten in [&mut self.first, &mut self.second, &mut self.steps] {
            let _ = forgotten.f_masked_fill_(&failed, 0.0)?;
        }
        let _ = self.accepted.f_fill_(1.0)?;
        select(&self.accepted, &failed, &self.zero)?;

        // 1 − βⁿ; at least one step, so that a failed one divides by something.
        let steps = self.steps.f_clamp_min(1.0)?;
        let bias = self.betas.f_pow(&steps)?.f_neg_()?.f_add_scalar_(1.0)?;
        let spread = self
            .second
            .f_div(&bias.f_select(0, 1)?)?
            .f_sqrt_()?
            .f_add_scalar_(EPSILON)?;
        let rate = self.iterate.rate.f_div(&bias.f_select(0, 0)?)?;
        let step = self.first.f_div(&spread)?.f_mul_(&rate)?;
        let image = &mut self.iterate.image;
        let _ = image.f_sub_(&step)?.f_clamp_(0.0, 1.0)?;
        select(&self.iterate.image, &failed, &self.iterate.best_image)
    }
}
