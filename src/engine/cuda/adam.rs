//! Adam's step as an operation on tensors.

use tch::{Kind, Tensor};

use super::{Argument, Kernels, agree};
use crate::engine::Result;
use crate::engine::optimizer::Optimizer;
use crate::engine::optimizer::adam::{Adam, BETA1, BETA2, EPSILON};

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
            Argument::Double(BETA1),
            Argument::Double(BETA2),
            Argument::Double(EPSILON),
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

    pub(super) fn compare_adam(&self) -> Result<()> {
        let float = (Kind::Float, self.device);
        let image = Tensor::f_rand([1, 3, 7, 11], float)?;
        let mut wanted = Adam::new(&image, 0.05)?;
        let mut found = Adam::new(&image, 0.05)?;
        let totals = [5.0, 3.0, f64::NAN, 4.0, 2.0, 2.0, 6.0, f64::INFINITY, 1.0];
        for (number, total) in totals.into_iter().enumerate() {
            let gradient = Tensor::f_randn_like(&image)?;
            if number == 6 {
                let _ = gradient
                    .f_view([-1])?
                    .f_narrow(0, 9, 1)?
                    .f_fill_(f64::NAN)?;
            }
            let total = Tensor::f_full([0i64; 0], total, (Kind::Double, self.device))?;
            wanted.step_with(None, &gradient, &total)?;
            found.step_with(Some(self), &gradient, &total)?;
            agree("Adam's image", found.image(), wanted.image(), 1e-5)?;
            agree(
                "Adam's best image",
                found.best_image(),
                wanted.best_image(),
                1e-5,
            )?;
            agree("Adam's status", &found.status()?, &wanted.status()?, 0.0)?;
        }
        Ok(())
    }
}
