//! L-BFGS (Liu & Nocedal 1989) for pixels that must stay within 0..1.
//!
//! Programs in this field run L-BFGS with unit steps and no line search, which
//! is fast until a step goes wrong and the run sticks or turns to NaN. Here
//! every step is checked against Armijo's condition: one that does not lower
//! the loss enough is taken back and shortened, and when shortening does not
//! help the history is dropped and steepest descent takes over. What no pair
//! covers is estimated from the length of waves (`preconditioner`). Pixels at a
//! bound that the gradient pushes outward are left out of the direction
//! (projected L-BFGS).
//!
//! All of it is arithmetic on the device: what an ordinary program decides by
//! `if` is selected by `where`, so that no step waits for the host.

use std::sync::atomic::{AtomicU64, Ordering};

use tch::{Kind, Tensor};

use super::history::{self, History};
use super::iterate::{Iterate, Observed, restore, save, scalar, select};
use super::preconditioner::SpectralPreconditioner;
use super::{Optimizer, Status, Tracking};
use crate::cuda::{self, Kernels, LbfgsState};
use crate::layout::copied;
use crate::state::StateDict;
use crate::{EngineError, Result};

/// The share of the promised decrease that a step must bring (Armijo).
const ARMIJO: f64 = 1e-4;
/// Differences of the loss below this share of it are float32's own noise.
const NOISE: f64 = 1e-6;
/// How often a step is shortened before the history is dropped.
pub(super) const MAX_REJECTED: u32 = 5;
/// The share by which a step may raise the total where the gradient is not the total's.
const MAX_RISE: f64 = 0.1;
/// Root mean square change of the pixels in a step without history.
const FIRST_STEP: f64 = 0.02;
/// A pair counts as curvature only if s·y exceeds this share of |s|·|y|.
const MIN_CURVATURE: f64 = 1e-6;

/// Pairs are numbered from a multiple of this, a new one for every instance: no
/// two pairs of a run have the same number.
const NUMBERS: f64 = (1u64 << 32) as f64;
static NEXT_INSTANCE: AtomicU64 = AtomicU64::new(0);

/// What a checkpoint calls the tensors of [`Lbfgs::points`].
const NAMES: [&str; 9] = [
    "lbfgs.accepted.image",
    "lbfgs.accepted.gradient",
    "lbfgs.accepted.total",
    "lbfgs.length",
    "lbfgs.rejected",
    "lbfgs.caution",
    "lbfgs.settled",
    "lbfgs.restarts",
    "lbfgs.settled_count",
];

/// Limited-memory BFGS over an image. The rate is the length of a step in units
/// of the quasi-Newton step, 1 unless there is a reason.
#[derive(Debug)]
pub struct Lbfgs {
    iterate: Iterate,
    instance: u64,
    /// The last image that was accepted, with its gradient and total. The total
    /// is infinite before the first: then every image is accepted.
    accepted_image: Tensor,
    accepted_gradient: Tensor,
    /// All numbers of its own, `[8]`, float64: what follows are places in it.
    numbers: Tensor,
    accepted_total: Tensor,
    /// How far along the direction the image being tried lies, and how often
    /// that was shortened. 0-dimensional, like all that follow.
    length: Tensor,
    rejected: Tensor,
    /// Shrinks steps after trouble, and recovers with every good one.
    caution: Tensor,
    /// 1 once the user was notified that no step helps any more.
    settled: Tensor,
    /// Counts for [`Status`].
    restarts: Tensor,
    settled_count: Tensor,
    /// Whether the latest image was accepted, 1 or 0.
    accepted: Tensor,
    history: History,
    preconditioner: SpectralPreconditioner,
    zero: Tensor,
    one: Tensor,
    infinity: Tensor,
    shortest: Tensor,
}

impl Lbfgs {
    /// `history` pairs are kept at most; `tracking` says which image is the best one.
    ///
    /// # Errors
    /// When the image is not float32 or memory runs out.
    pub fn new(image: &Tensor, rate: f64, history: usize, tracking: Tracking) -> Result<Self> {
        let slots = i64::try_from(history).unwrap_or(i64::MAX - 1) + 1;
        let kernels = cuda::kernels(image.device()).filter(|_| tracking.has_kernels());
        // Half of the memory to pass through, and no worse totals: see
        // ARCHITECTURE.md. libtorch's products take float32 alone.
        let kind = match kernels.is_some_and(|kernels| kernels.takes_history(image, slots)) {
            true => Kind::BFloat16,
            false => Kind::Float,
        };
        let mut lbfgs = Self::with_rows(image, rate, history, kind)?;
        lbfgs.iterate.track(tracking);
        // A step that raises it by more is taken back.
        lbfgs.iterate.max_rise = MAX_RISE;
        Ok(lbfgs)
    }

    /// One whose best image has the lowest total, remembering pairs in numbers of this
    /// kind: float32, or what the kernels take.
    ///
    /// # Errors
    /// When the image is not float32 or memory runs out.
    pub fn with_rows(image: &Tensor, rate: f64, history: usize, kind: Kind) -> Result<Self> {
        let instance = NEXT_INSTANCE.fetch_add(1, Ordering::Relaxed);
        let constant = |value: f64| scalar(value, image);
        let numbers = Tensor::f_from_slice(&[f64::INFINITY, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0])?;
        let numbers = numbers.f_to_device(image.device())?;
        let place = |index: i64| numbers.f_select(0, index);
        Ok(Self {
            iterate: Iterate::new(image, rate)?,
            instance,
            accepted_image: copied(image)?,
            accepted_gradient: image.f_zeros_like()?,
            accepted_total: place(0)?,
            length: place(1)?,
            rejected: place(2)?,
            caution: place(3)?,
            settled: place(4)?,
            restarts: place(5)?,
            settled_count: place(6)?,
            accepted: place(7)?,
            history: History::new(image, history, instance as f64 * NUMBERS, kind)?,
            preconditioner: SpectralPreconditioner::for_image(image)?,
            zero: constant(0.0)?,
            one: constant(1.0)?,
            infinity: constant(f64::INFINITY)?,
            shortest: constant(0.1)?,
            numbers,
        })
    }

    /// Goes on from a checkpoint. Without its frozen tensors it starts its
    /// history anew, with steps as small as trouble has made them.
    ///
    /// # Errors
    /// When something is missing or of another shape than `like`.
    pub fn restored(state: &StateDict, like: &Tensor, tracking: Tracking) -> Result<Self> {
        let capacity = state.number("lbfgs.capacity")?;
        if !(1.0..=1e6).contains(&capacity) {
            return Err(EngineError::Torch(format!(
                "the checkpoint's L-BFGS has a history of {capacity} steps"
            )));
        }
        let mut lbfgs = Self::new(like, 0.0, capacity as usize, tracking)?;
        lbfgs.iterate.restore(state)?;
        restore(state, &NAMES, &lbfgs.points())?;
        restore(state, &history::NAMES, &lbfgs.history.tensors())?;
        lbfgs.instance = state.number("lbfgs.instance")? as u64;
        NEXT_INSTANCE.fetch_max(lbfgs.instance.saturating_add(1), Ordering::Relaxed);
        lbfgs.history.grow(state.number("lbfgs.used")? as i64)?;
        for (slot, names) in lbfgs.pair_names()?.into_iter().enumerate() {
            let Some(names) = names else { continue };
            for (row, name) in names.iter().enumerate() {
                if !state.has(name) {
                    lbfgs.forget()?;
                    return Ok(lbfgs);
                }
                let kept = state.tensor(name, like.device())?;
                let mut target = lbfgs.history.pairs.f_get((2 * slot + row) as i64)?;
                if kept.size() != target.size() || kept.f_kind()? != Kind::Float {
                    return Err(EngineError::Torch(format!(
                        "{name} in the checkpoint has another shape"
                    )));
                }
                target.f_copy_(&kept)?;
            }
        }
        Ok(lbfgs)
    }

    /// What a checkpoint calls the two rows of each slot that holds a pair.
    /// Waits for the device.
    fn pair_names(&self) -> Result<Vec<Option<[String; 2]>>> {
        let numbers = self.history.numbers.f_to_device(tch::Device::Cpu)?;
        let numbers = Vec::<f64>::try_from(numbers)?;
        // A slot beyond those in use has no rows yet.
        let used = usize::try_from(self.history.used).unwrap_or(0);
        let names = |number: f64| {
            let number = number as u64;
            ["step", "change"].map(|what| format!("lbfgs.{what}{number}"))
        };
        let used = numbers.into_iter().take(used);
        Ok(used
            .map(|number| (number >= 0.0).then(|| names(number)))
            .collect())
    }

    /// Takes the state of another one of the same size: where it is and what it
    /// learnt.
    ///
    /// # Errors
    /// When sizes differ or libtorch fails.
    pub fn go_on_from(&mut self, other: &Self) -> Result<()> {
        self.history.grow(other.history.used)?;
        for (mut own, other) in self.tensors().into_iter().zip(other.tensors()) {
            own.f_copy_(&other)?;
        }
        let used = 2 * other.history.used;
        let rows = other.history.pairs.f_narrow(0, 0, used)?;
        self.history.pairs.f_narrow(0, 0, used)?.f_copy_(&rows)?;
        Ok(())
    }

    fn points(&self) -> [&Tensor; 9] {
        [
            &self.accepted_image,
            &self.accepted_gradient,
            &self.accepted_total,
            &self.length,
            &self.rejected,
            &self.caution,
            &self.settled,
            &self.restarts,
            &self.settled_count,
        ]
    }

    /// Forgets the history and the accepted image, but not the best one.
    fn forget(&mut self) -> Result<()> {
        self.history.restart()?;
        let _ = self.accepted_total.f_fill_(f64::INFINITY)?;
        let _ = self.accepted_gradient.f_zero_()?;
        self.accepted_image.f_copy_(&self.iterate.image)?;
        for number in [&mut self.settled, &mut self.rejected] {
            let _ = number.f_zero_()?;
        }
        Ok(())
    }

    /// What is to become of the image that was evaluated.
    fn judge(&self, observed: &Observed, promised: &Tensor) -> Result<Verdict> {
        let Observed { total, failed, .. } = observed;
        let before = &self.accepted_total;
        let slack = before.f_abs()?.f_mul_scalar(NOISE)?;
        let enough = before
            .f_add(&slack)?
            .f_add(&promised.f_mul_scalar(ARMIJO)?)?;
        let finite = failed.f_logical_not()?;
        let accepted = match self.iterate.tracking() {
            // A gradient that is not the total's may well lead to a higher one, but a
            // step that raises it by much went wrong.
            Tracking::Latest => total
                .f_le_tensor(&before.f_add(&before.f_abs()?.f_mul_scalar(MAX_RISE)?)?)?
                .f_logical_and(&finite)?,
            Tracking::Lowest | Tracking::Average(_) => {
                total.f_le_tensor(&enough)?.f_logical_and(&finite)?
            }
        };
        let improved = total.f_lt_tensor(&before.f_sub(&slack)?)?;
        let rejected = accepted.f_logical_not()?.f_logical_and(&finite)?;
        let patient = self.rejected.f_lt(f64::from(MAX_REJECTED))?;
        // The minimum of the parabola through what is known of the direction.
        let rise = total.f_sub(before)?;
        let shorter = promised.f_div(&promised.f_sub(&rise)?.f_mul_scalar(2.0)?)?;
        let usable = shorter.f_isfinite()?;
        let shorter = shorter.f_clamp(0.1, 0.5)?;
        Ok(Verdict {
            improved: accepted.f_logical_and(&improved)?,
            shortened: rejected.f_logical_and(&patient)?,
            given_up: rejected.f_logical_and(&patient.f_logical_not()?)?,
            accepted,
            shorter: shorter.f_where_self(&usable, &self.shortest)?,
        })
    }

    /// Caution and the counts, by the verdict.
    fn count(&mut self, verdict: &Verdict, failed: &Tensor) -> Result<()> {
        let any = self.history.any()?;
        let notified = self.settled.f_gt(0.0)?;
        let news = verdict.given_up.f_logical_and(&notified.f_logical_not()?)?;
        let _ = self.restarts.f_add_(&news.f_logical_and(&any)?)?;
        let stuck = verdict.given_up.f_logical_and(&any.f_logical_not()?)?;
        let _ = self.settled_count.f_add_(&news.f_logical_and(&stuck)?)?;
        let bolder = self.caution.f_mul_scalar(2.0)?.f_clamp_max(1.0)?;
        select(&self.caution, &verdict.accepted, &bolder)?;
        let warier = self.caution.f_mul_scalar(0.1)?;
        select(&self.caution, &stuck, &warier)?;
        select(&self.settled, &stuck, &self.one)?;
        select(&self.settled, &verdict.improved, &self.zero)?;
        select(&self.settled, failed, &self.zero)
    }
}

/// What is to become of an evaluated image; bools, 0-dimensional.
struct Verdict {
    accepted: Tensor,
    /// Accepted, and its total is noticeably lower.
    improved: Tensor,
    /// The step is tried again, `shorter` (float64) times as long.
    shortened: Tensor,
    /// Shortening did not help.
    given_up: Tensor,
    shorter: Tensor,
}

impl Optimizer for Lbfgs {
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
            &self.restarts,
            &self.settled_count,
        ];
        debug_assert_eq!(numbers.len(), Status::LEN);
        Ok(Tensor::f_stack(&numbers, 0)?.f_to_kind(Kind::Float)?)
    }

    fn restart(&mut self) -> Result<()> {
        self.forget()?;
        self.iterate.restart()
    }

    fn prepare_capture(&mut self) -> Result<()> {
        self.history.grow(i64::MAX)
    }

    fn tensors(&self) -> Vec<Tensor> {
        let iterate = self.iterate.tensors().into_iter();
        let all = iterate.chain(self.points()).chain(self.history.tensors());
        all.chain([&self.accepted])
            .map(Tensor::shallow_clone)
            .collect()
    }

    fn save(&self, state: &mut StateDict) -> Result<()> {
        self.iterate.save(state)?;
        save(state, &NAMES, &self.points())?;
        save(state, &history::NAMES, &self.history.tensors())?;
        state.put_number("lbfgs.capacity", self.history.capacity() as f64);
        state.put_number("lbfgs.used", self.history.used as f64);
        state.put_number("lbfgs.instance", self.instance as f64);
        for (slot, names) in self.pair_names()?.into_iter().enumerate() {
            for (row, name) in names.iter().flatten().enumerate() {
                let pair = self.history.pairs.f_get((2 * slot + row) as i64)?;
                state.put_frozen(name, &pair.f_to_kind(Kind::Float)?)?;
            }
        }
        Ok(())
    }
}

impl Lbfgs {
    /// A step by our own kernels, where there are any that fit, or by libtorch.
    ///
    /// # Errors
    /// As [`Optimizer::step`].
    pub fn step_with(
        &mut self,
        kernels: Option<&Kernels>,
        gradient: &Tensor,
        total: &Tensor,
    ) -> Result<()> {
        if let Some(kernels) = kernels.filter(|_| self.iterate.tracking().has_kernels()) {
            self.history.grow(i64::MAX)?;
            let state = LbfgsState {
                image: &self.iterate.image,
                best: &self.iterate.best_image,
                accepted_image: &self.accepted_image,
                accepted_gradient: &self.accepted_gradient,
                iterate: &self.iterate.numbers,
                numbers: &self.numbers,
                pairs: &self.history.pairs,
                history: self.history.tensors(),
                precondition: &|pictures| self.preconditioner.apply(pictures),
            };
            let total = total.f_to_kind(Kind::Double)?;
            if kernels.lbfgs(&gradient.f_contiguous()?, &total, &state)? {
                return Ok(());
            }
        }
        let observed = self.iterate.observe(gradient, total)?;
        let Observed {
            gradient,
            total,
            failed,
        } = &observed;
        self.history.grow(self.history.used + 1)?;
        let image = self.iterate.image.shallow_clone();
        let step = image.f_sub(&self.accepted_image)?;
        let change = gradient.f_sub(&self.accepted_gradient)?;
        let promised = dot(&self.accepted_gradient, &step)?;
        let verdict = self.judge(&observed, &promised)?;
        let curvature = dot(&step, &change)?;
        let sizes = dot(&step, &step)?.f_mul(&dot(&change, &change)?)?;
        let least = sizes.f_sqrt()?.f_mul_scalar(MIN_CURVATURE)?;
        let learnt = curvature
            .f_gt_tensor(&least)?
            .f_logical_and(&curvature.f_isfinite()?)?
            .f_logical_and(&verdict.accepted)?;
        self.count(&verdict, failed)?;

        // The image to resume from: the accepted one or, after a failure, the
        // best one, of which nothing is known.
        select(&self.accepted_image, &verdict.accepted, &image)?;
        select(&self.accepted_gradient, &verdict.accepted, gradient)?;
        select(&self.accepted_total, &verdict.accepted, total)?;
        select(&self.accepted_image, failed, &self.iterate.best_image)?;
        let _ = self.accepted_gradient.f_masked_fill_(failed, 0.0)?;
        select(&self.accepted_total, failed, &self.infinity)?;

        let free = free_pixels(&self.accepted_image, &self.accepted_gradient)?;
        let downhill = self.accepted_gradient.f_mul(&free)?.f_neg_()?;
        let vectors = Tensor::f_cat(&[&change, &downhill], 0)?;
        let preconditioned = self.preconditioner.apply(&vectors)?;
        let flat = |tensor: &Tensor| tensor.f_reshape([-1]);
        let of_change = flat(&preconditioned.f_select(0, 0)?)?;
        let of_downhill = flat(&preconditioned.f_select(0, 1)?)?;
        self.history
            .write(&Tensor::f_stack(&[flat(&step)?, of_change], 0)?)?;
        let products = self.history.dot(&vectors.f_reshape([2, -1])?)?;
        self.history.add(&products.f_select(0, 0)?, &learnt)?;
        self.history
            .clear(&verdict.given_up.f_logical_or(failed)?)?;

        // The quasi-Newton direction, or steepest descent where there is no
        // history or it leads uphill. (After a step that was shortened it is the
        // same as before: nothing that it depends on has changed.)
        let free = flat(&free)?;
        let steepest = of_downhill.f_mul(&free)?;
        let direction = self
            .history
            .direction(&products.f_select(0, 1)?, &of_downhill)?
            .f_mul_(&free)?;
        let slope = dot(&direction, &downhill)?;
        let downward = slope.f_gt(0.0)?.f_logical_and(&slope.f_isfinite()?)?;
        let uphill = downward
            .f_logical_not()?
            .f_logical_and(&self.history.any()?)?;
        self.history.clear(&uphill)?;
        let any = self.history.any()?;
        let direction = steepest.f_where_self(&uphill, &direction)?;

        // How far to go along it. A direction of zero (nothing left to gain)
        // leads nowhere; a length beyond float32 would make it NaN.
        let root_mean_square = dot(&direction, &direction)?
            .f_div_scalar(direction.numel() as f64)?
            .f_sqrt()?;
        let first = root_mean_square.f_reciprocal()?.f_mul_scalar(FIRST_STEP)?;
        let fresh = self
            .one
            .f_where_self(&any, &first)?
            .f_mul(&self.iterate.rate)?
            .f_mul(&self.caution)?;
        let usable = fresh.f_lt(f64::from(f32::MAX))?;
        let fresh = fresh.f_where_self(&usable, &self.zero)?;
        let _ = self.length.f_mul_(&verdict.shorter)?;
        let anew = verdict.shortened.f_logical_not()?;
        select(&self.length, &anew, &fresh)?;
        let _ = self.rejected.f_add_scalar_(1.0)?;
        select(&self.rejected, &anew, &self.zero)?;
        self.accepted.f_copy_(&verdict.accepted)?;

        let moved = direction.f_mul(&self.length)?;
        let mut moved = self.accepted_image.f_add(&moved.f_view_as(&image)?)?;
        self.iterate.image.f_copy_(&moved.f_clamp_(0.0, 1.0)?)?;
        Ok(())
    }
}

/// 1 for the pixels that may move, 0 for those at a bound that the gradient
/// pushes outward.
fn free_pixels(image: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let low = image.f_le(0.0)?.f_logical_and(&gradient.f_gt(0.0)?)?;
    let high = image.f_ge(1.0)?.f_logical_and(&gradient.f_lt(0.0)?)?;
    Ok(low
        .f_logical_or(&high)?
        .f_logical_not()?
        .f_to_kind(Kind::Float)?)
}

/// The dot product, float64, 0-dimensional, on the device.
fn dot(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let product = a.f_reshape([-1])?.f_dot(&b.f_reshape([-1])?)?;
    Ok(product.f_to_kind(Kind::Double)?)
}
