//! Adam's step as an operation on tensors.

use tch::{Kind, Tensor};

use super::{Argument, Kernels};
use crate::Result;

/// What a step reads and changes.
pub struct AdamState<'a> {
    /// Four pictures of one shape, float32, contiguous.
    pub image: &'a Tensor,
    pub first: &'a Tensor,
    pub second: &'a Tensor,
    pub best: &'a Tensor,
    /// Best total, rate, failures, steps and accepted, `[5]`, float64.
    pub numbers: &'a Tensor,
    /// 0, and 0 again after the step; `[1]`, int32.
    pub broken: &'a Tensor,
    /// How much of the moments stays at each step, and what is added to a divisor.
    pub betas: [f64; 2],
    pub epsilon: f64,
}

impl Kernels {
    /// One step of Adam, with the gradient and the total (float64) at the image.
    /// Says whether a kernel fits; if not, nothing was done.
    ///
    /// # Errors
    /// When a launch fails.
    pub fn adam(&self, gradient: &Tensor, total: &Tensor, state: &AdamState) -> Result<bool> {
        let count = state.image.numel();
        let plain =
            |tensor: &&Tensor| -> Result<bool> {
                Ok(tensor.is_contiguous()
                    && tensor.f_kind()? == Kind::Float
                    && tensor.numel() == count)
            };
        let pictures = [gradient, state.image, state.first, state.second, state.best];
        for picture in &pictures {
            if !plain(picture)? {
                return Ok(false);
            }
        }
        let is = |tensor: &Tensor, kind: Kind, length: usize| -> Result<bool> {
            Ok(tensor.is_contiguous() && tensor.f_kind()? == kind && tensor.numel() == length)
        };
        if !is(total, Kind::Double, 1)?
            || !is(state.numbers, Kind::Double, 5)?
            || !is(state.broken, Kind::Int, 1)?
        {
            return Ok(false);
        }
        let count = count as i64;
        let (total, broken) = (Argument::Tensor(total), Argument::Tensor(state.broken));
        let numbers = Argument::Tensor(state.numbers);
        let look = [Argument::Tensor(gradient), broken, Argument::Long(count)];
        let step = [
            Argument::Tensor(gradient),
            total,
            broken,
            numbers,
            Argument::Tensor(state.image),
            Argument::Tensor(state.first),
            Argument::Tensor(state.second),
            Argument::Tensor(state.best),
            Argument::Double(state.betas[0]),
            Argument::Double(state.betas[1]),
            Argument::Double(state.epsilon),
            Argument::Long(count),
        ];
        // SAFETY: kinds, layouts and lengths were looked at above.
        unsafe {
            self.launch("adam_look", count, &look)?;
            self.launch("adam_move", count, &step)?;
            self.launch("adam_note", 1, &[total, broken, numbers])?;
        }
        Ok(true)
    }
}
