//! What every optimizer keeps of the image that it moves, on the device.

use tch::{Kind, Tensor};

use super::Tracking;
use crate::layout::copied;
use crate::state::StateDict;
use crate::{EngineError, Result};

/// What a checkpoint calls the tensors of [`Iterate::tensors`].
const NAMES: [&str; 5] = [
    "image",
    "best",
    "best.total",
    "optimizer.rate",
    "optimizer.failures",
];

/// And that of the average's own number.
const POWER: &str = "average.power";

/// The image, the best image so far, and how to continue after a loss that is not
/// finite. All tensors keep their memory for as long as this lives, so that a
/// CUDA graph finds them again.
#[derive(Debug)]
pub(super) struct Iterate {
    /// The image to evaluate next, `[1, 3, H, W]`, RGB in 0..1.
    pub image: Tensor,
    /// The image with the lowest total so far.
    pub best_image: Tensor,
    /// Best total, rate, failures, and two numbers of the optimizer's own, `[5]`,
    /// float64: what follows are places in it.
    pub numbers: Tensor,
    /// The best image's total, infinite before the first; 0-dimensional, like all
    /// that follow.
    best_total: Tensor,
    /// The preset's rate, halved by every failure.
    pub rate: Tensor,
    /// How many evaluations were not finite.
    pub failures: Tensor,
    /// Which image is the best one.
    tracking: Tracking,
    /// By what share the total may rise from one latest image to the next.
    pub max_rise: f64,
    /// The decay to the power of the images in the average; 1 before the first. float64,
    /// 0-dimensional.
    power: Tensor,
    /// Constants, on the device so that no step has to bring them there.
    zero: Tensor,
    half: Tensor,
    one: Tensor,
}

/// An evaluation, looked at without reading it on the host.
pub(super) struct Observed {
    /// float32, `[1, 3, H, W]`; zero everywhere where the evaluation failed.
    pub gradient: Tensor,
    /// The total loss, float64, 0-dimensional; anything where it failed.
    pub total: Tensor,
    /// Whether the total or a value of the gradient is not finite; bool,
    /// 0-dimensional.
    pub failed: Tensor,
}

impl Iterate {
    /// Starts from a copy of `image`, float32, on its device.
    ///
    /// # Errors
    /// When the image is not float32 or memory runs out.
    pub fn new(image: &Tensor, rate: f64) -> Result<Self> {
        if image.f_kind()? != Kind::Float {
            return Err(EngineError::Torch(
                "an optimizer needs a float32 image".into(),
            ));
        }
        let device = image.device();
        let number = |value: f64| scalar(value, image);
        let numbers = Tensor::f_from_slice(&[f64::INFINITY, rate, 0.0, 0.0, 0.0])?;
        let numbers = numbers.f_to_device(device)?;
        Ok(Self {
            image: copied(image)?,
            best_image: copied(image)?,
            best_total: numbers.f_select(0, 0)?,
            rate: numbers.f_select(0, 1)?,
            failures: numbers.f_select(0, 2)?,
            numbers,
            tracking: Tracking::Lowest,
            // Any rise, also from zero.
            max_rise: 1e30,
            power: number(1.0)?,
            zero: Tensor::f_zeros([0i64; 0], (Kind::Float, device))?,
            half: number(0.5)?,
            one: number(1.0)?,
        })
    }

    /// Takes in what was found of the image: keeps it if it is the best one,
    /// counts what is not finite, and halves the rate then.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn observe(&mut self, gradient: &Tensor, total: &Tensor) -> Result<Observed> {
        let total = total.f_to_kind(Kind::Double)?.f_view([0i64; 0])?;
        // float32 numbers cannot overflow a float64 sum: it is finite if and
        // only if all of them are.
        let finite = gradient.f_sum(Kind::Double)?.f_add(&total)?.f_isfinite()?;
        let failed = finite.f_logical_not()?;
        let better = match self.tracking {
            Tracking::Lowest => total
                .f_lt_tensor(&self.best_total)?
                .f_logical_and(&finite)?,
            Tracking::Latest => total.f_le_tensor(&self.limit()?)?.f_logical_and(&finite)?,
            Tracking::Average(_) => finite.shallow_clone(),
        };
        select(&self.best_total, &better, &total)?;
        match self.tracking {
            Tracking::Lowest | Tracking::Latest => {
                select(&self.best_image, &better, &self.image)?;
            }
            Tracking::Average(decay) => self.average(decay, &better)?,
        }
        let _ = self.failures.f_add_(&failed)?;
        let softer = self.half.f_where_self(&failed, &self.one)?;
        let _ = self.rate.f_mul_(&softer)?;
        let gradient = gradient.f_to_kind(Kind::Float)?;
        Ok(Observed {
            gradient: gradient.f_where_self(&finite, &self.zero)?,
            total,
            failed,
        })
    }

    /// The highest total that the next image may have to be the latest one.
    ///
    /// # Errors
    /// When libtorch fails.
    fn limit(&self) -> Result<Tensor> {
        let rise = self.best_total.f_abs()?.f_mul_scalar(self.max_rise)?;
        Ok(self.best_total.f_add(&rise)?)
    }

    /// Takes the image into the average where `finite`. With the decay d and n images
    /// before it, a ← a + (x − a)·(1 − d) / (1 − dⁿ⁺¹): the exponential moving average
    /// with Adam's bias correction.
    fn average(&mut self, decay: f64, finite: &Tensor) -> Result<()> {
        let power = self.power.f_mul_scalar(decay)?;
        select(&self.power, finite, &power)?;
        let share = power
            .f_neg()?
            .f_add_scalar(1.0)?
            .f_reciprocal()?
            .f_mul_scalar(1.0 - decay)?
            .f_to_kind(Kind::Float)?;
        let average = self.best_image.f_lerp_tensor(&self.image, &share)?;
        select(&self.best_image, finite, &average)
    }

    /// Which image is the best one, from here on.
    pub fn track(&mut self, tracking: Tracking) {
        self.tracking = tracking;
    }

    pub fn tracking(&self) -> Tracking {
        self.tracking
    }

    /// Lets the next finite loss be the lowest one, and the first of an average: from
    /// here on the loss is another.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn restart(&mut self) -> Result<()> {
        let _ = self.best_total.f_fill_(f64::INFINITY)?;
        let _ = self.power.f_fill_(1.0)?;
        Ok(())
    }

    /// Takes an image of the same shape for the best one, until there is a
    /// finite loss.
    ///
    /// # Errors
    /// When the shape differs or libtorch fails.
    pub fn keep(&mut self, best: &Tensor) -> Result<()> {
        if best.size() != self.image.size() {
            return Err(EngineError::Torch(format!(
                "the best image has the shape {:?}, and the image {:?}",
                best.size(),
                self.image.size()
            )));
        }
        self.best_image.f_copy_(best)?;
        self.restart()
    }

    /// All that an observation or a step changes.
    pub fn tensors(&self) -> Vec<&Tensor> {
        let mut tensors = self.always().to_vec();
        if let Tracking::Average(_) = self.tracking {
            tensors.push(&self.power);
        }
        tensors
    }

    fn always(&self) -> [&Tensor; 5] {
        [
            &self.image,
            &self.best_image,
            &self.best_total,
            &self.rate,
            &self.failures,
        ]
    }

    /// # Errors
    /// When libtorch fails.
    pub fn save(&self, state: &mut StateDict) -> Result<()> {
        save(state, &NAMES, &self.always())?;
        match self.tracking {
            Tracking::Average(_) => save(state, &[POWER], &[&self.power]),
            Tracking::Lowest | Tracking::Latest => Ok(()),
        }
    }

    /// Adopts what was saved of an image of the same shape.
    ///
    /// # Errors
    /// When something is missing or of another shape.
    pub fn restore(&mut self, state: &StateDict) -> Result<()> {
        restore(state, &NAMES, &self.always())?;
        match self.tracking {
            Tracking::Average(_) => restore(state, &[POWER], &[&self.power]),
            Tracking::Lowest | Tracking::Latest => Ok(()),
        }
    }
}

/// A number in float64 where the image is, 0-dimensional.
pub(super) fn scalar(value: f64, image: &Tensor) -> Result<Tensor> {
    Ok(Tensor::f_full(
        [0i64; 0],
        value,
        (Kind::Double, image.device()),
    )?)
}

/// Puts the values of `new` into `target` where `condition` holds.
pub(super) fn select(target: &Tensor, condition: &Tensor, new: &Tensor) -> Result<()> {
    let _ = new.f_where_self_out(target, condition, target)?;
    Ok(())
}

/// Puts tensors down under their names.
pub(super) fn save(state: &mut StateDict, names: &[&str], tensors: &[&Tensor]) -> Result<()> {
    names
        .iter()
        .zip(tensors)
        .try_for_each(|(name, tensor)| state.put(name, tensor))
}

/// Fills tensors with what was saved under their names.
pub(super) fn restore(state: &StateDict, names: &[&str], tensors: &[&Tensor]) -> Result<()> {
    for (name, tensor) in names.iter().zip(tensors) {
        let kept = state.tensor(name, tensor.device())?;
        if kept.size() != tensor.size() || kept.f_kind()? != tensor.f_kind()? {
            return Err(EngineError::Torch(format!(
                "{name} in the checkpoint has another shape"
            )));
        }
        tensor.shallow_clone().f_copy_(&kept)?;
    }
    Ok(())
}
