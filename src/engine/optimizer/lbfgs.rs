//! L-BFGS (Liu & Nocedal 1989) for pixels that must stay within 0..1.
//!
//! Programs in this field run L-BFGS with unit steps and no line search, which
//! is fast until a step goes wrong and the run sticks or turns to NaN. Here
//! every step is checked against Armijo's condition: one that does not lower
//! the loss enough is taken back and shortened, and when shortening does not
//! help the history is dropped and steepest descent takes over. What no pair
//! tells of is guessed from the length of waves (`waves`). Pixels at a
//! bound that the gradient pushes outward are left out of the direction
//! (projected L-BFGS).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use tch::{Device, Kind, Tensor};

use super::waves::Waves;
use super::{Optimizer, Proposal, tensor_like};
use crate::engine::Result;
use crate::engine::state::State;

/// The share of the promised decrease that a step must bring (Armijo).
const ARMIJO: f64 = 1e-4;
/// Differences of the loss below this share of it are float32's own noise.
const NOISE: f64 = 1e-6;
/// How often a step is shortened before the history is dropped.
const MOST_REJECTED: u32 = 5;
/// Root mean square change of the pixels in a step without history.
const FIRST_STEP: f64 = 0.02;
/// A quasi-Newton step starts from the guess that the loss curves so many times
/// less than it did along the newest step, in directions that no remembered step
/// tells of. Those are the flat ones that are left. Of 1, 2, 4 and 8, 2 and 4
/// brought the lowest totals; this lies between.
const REACH: f64 = 2.5;
/// A pair counts as curvature only if s·y exceeds this share of |s|·|y|.
const LEAST_CURVATURE: f64 = 1e-6;

/// The number of the next pair.
static NEXT_PAIR: AtomicU64 = AtomicU64::new(0);

const RESTARTED: &str = "L-BFGS found no good step and started its history anew";
const SETTLED: &str = "L-BFGS has settled: no step lowers the total noticeably any more";

/// Limited-memory BFGS over an image.
#[derive(Debug)]
pub struct Lbfgs {
    /// How many pairs are kept at most.
    capacity: usize,
    rate: f64,
    /// Shrinks steps after trouble, and recovers with every good one.
    caution: f64,
    pairs: VecDeque<Pair>,
    accepted: Option<Point>,
    /// The step from `accepted` that is being tried.
    trial: Option<Trial>,
    /// Whether the user was told that no step helps any more.
    settled: bool,
    /// What is known of the curvature before any step.
    waves: Option<Waves>,
}

/// How the gradient changed (`y`) along a step (`s`).
#[derive(Debug)]
struct Pair {
    /// No other pair of this process has this number, nor had any of the run
    /// that it goes on with.
    number: u64,
    s: Tensor,
    y: Tensor,
    s_dot_y: f64,
    /// y·P(y), P being [`Waves::weigh`].
    y_dot_weighed_y: f64,
}

#[derive(Debug)]
struct Point {
    image: Tensor,
    loss: f64,
    gradient: Tensor,
}

#[derive(Debug)]
struct Trial {
    direction: Tensor,
    length: f64,
    rejected: u32,
}

impl Lbfgs {
    /// `history` pairs are kept at most; `rate` is the length of a step in
    /// units of the quasi-Newton step, 1 unless there is a reason.
    pub fn new(history: usize, rate: f64) -> Self {
        Self {
            capacity: history.max(1),
            rate,
            caution: 1.0,
            pairs: VecDeque::new(),
            accepted: None,
            trial: None,
            settled: false,
            waves: None,
        }
    }

    /// Learns from a good step.
    fn learn(&mut self, s: Tensor, y: Tensor) -> Result<()> {
        let [s_dot_y, s_dot_s, y_dot_y] = dots([(&s, &y), (&s, &s), (&y, &y)])?;
        if s_dot_y > LEAST_CURVATURE * (s_dot_s * y_dot_y).sqrt() && s_dot_y.is_finite() {
            let [y_dot_weighed_y] = dots([(&y, &weighed(&mut self.waves, &y)?)])?;
            // The oldest goes first, so that its memory can be used again.
            while self.pairs.len() >= self.capacity {
                self.pairs.pop_front();
            }
            self.pairs.push_back(Pair {
                number: NEXT_PAIR.fetch_add(1, Ordering::Relaxed),
                s,
                y,
                s_dot_y,
                y_dot_weighed_y,
            });
        }
        Ok(())
    }

    /// The way to go from `point`: the quasi-Newton direction, or steepest
    /// descent where there is no history or it leads uphill.
    fn direction(&mut self, point: &Point) -> Result<Tensor> {
        let free = free_pixels(point)?;
        let downhill = point.gradient.f_mul(&free)?.f_neg()?;
        if let Some(newest) = self.pairs.back() {
            let scale = REACH * newest.s_dot_y / newest.y_dot_weighed_y;
            let mut guess = |vector: &Tensor| -> Result<Tensor> {
                Ok(weighed(&mut self.waves, vector)?.f_mul_scalar_(scale)?)
            };
            let direction = two_loop(&self.pairs, &downhill, &mut guess)?.f_mul(&free)?;
            let [slope] = dots([(&direction, &downhill)])?;
            if slope > 0.0 && slope.is_finite() {
                return Ok(direction);
            }
            self.pairs.clear();
        }
        Ok(weighed(&mut self.waves, &downhill)?.f_mul(&free)?)
    }

    /// How far to go along a fresh direction.
    fn length(&self, direction: &Tensor) -> Result<f64> {
        if !self.pairs.is_empty() {
            return Ok(self.rate * self.caution);
        }
        let [square] = dots([(direction, direction)])?;
        let root_mean_square = (square / direction.numel() as f64).sqrt();
        let length = self.rate * self.caution * FIRST_STEP / root_mean_square;
        // A direction of zero (nothing left to gain) leads nowhere; a length
        // beyond float32 would make it NaN.
        Ok(if length < f64::from(f32::MAX) {
            length
        } else {
            0.0
        })
    }
}

impl Optimizer for Lbfgs {
    fn step(&mut self, image: &Tensor, loss: f64, gradient: &Tensor) -> Result<Proposal> {
        let mut notice = None;
        match (self.accepted.take(), self.trial.take()) {
            (Some(accepted), Some(trial)) => {
                let s = image.f_sub(&accepted.image)?;
                let [promised] = dots([(&accepted.gradient, &s)])?;
                let slack = NOISE * accepted.loss.abs();
                if loss <= accepted.loss + ARMIJO * promised + slack {
                    self.learn(s, gradient.f_sub(&accepted.gradient)?)?;
                    self.caution = (2.0 * self.caution).min(1.0);
                    self.settled &= loss >= accepted.loss - slack;
                    self.accepted = Some(point(image, loss, gradient));
                } else if trial.rejected < MOST_REJECTED {
                    // The minimum of the parabola through what is known.
                    let shorter = promised / (2.0 * (promised - (loss - accepted.loss)));
                    let shorter = if shorter.is_finite() {
                        shorter.clamp(0.1, 0.5)
                    } else {
                        0.1
                    };
                    let trial = Trial {
                        length: trial.length * shorter,
                        rejected: trial.rejected + 1,
                        ..trial
                    };
                    let image = advance(&accepted.image, &trial)?;
                    self.accepted = Some(accepted);
                    self.trial = Some(trial);
                    return Ok(Proposal {
                        image,
                        notice: None,
                    });
                } else {
                    if self.pairs.is_empty() {
                        self.caution *= 0.1;
                        notice = (!self.settled).then_some(SETTLED);
                        self.settled = true;
                    } else {
                        self.pairs.clear();
                        notice = (!self.settled).then_some(RESTARTED);
                    }
                    self.accepted = Some(accepted);
                }
            }
            _ => self.accepted = Some(point(image, loss, gradient)),
        }
        let Some(accepted) = self.accepted.take() else {
            return Ok(Proposal {
                image: image.shallow_clone(),
                notice,
            });
        };
        let direction = self.direction(&accepted)?;
        let length = self.length(&direction)?;
        let trial = Trial {
            direction,
            length,
            rejected: 0,
        };
        let image = advance(&accepted.image, &trial)?;
        self.accepted = Some(accepted);
        self.trial = Some(trial);
        Ok(Proposal { image, notice })
    }

    fn restart(&mut self) {
        self.pairs.clear();
        self.accepted = None;
        self.trial = None;
        self.settled = false;
    }

    fn save(&self, state: &mut State) -> Result<()> {
        state.put_number("lbfgs.next", NEXT_PAIR.load(Ordering::Relaxed) as f64);
        state.put_number("lbfgs.capacity", self.capacity as f64);
        state.put_number("lbfgs.rate", self.rate);
        state.put_number("lbfgs.caution", self.caution);
        state.put_number("lbfgs.settled", f64::from(u8::from(self.settled)));
        state.put_number("lbfgs.pairs", self.pairs.len() as f64);
        for (index, pair) in self.pairs.iter().enumerate() {
            let numbers = [pair.number as f64, pair.s_dot_y, pair.y_dot_weighed_y];
            for (what, number) in PAIR_NUMBERS.iter().zip(numbers) {
                state.put_number(&format!("lbfgs.{index}.{what}"), number);
            }
            let [s, y] = pair_names(pair.number);
            state.put_frozen(&s, &pair.s)?;
            state.put_frozen(&y, &pair.y)?;
        }
        if let Some(accepted) = &self.accepted {
            state.put_number("lbfgs.accepted.loss", accepted.loss);
            state.put("lbfgs.accepted.image", &accepted.image)?;
            state.put("lbfgs.accepted.gradient", &accepted.gradient)?;
        }
        if let Some(trial) = &self.trial {
            state.put_number("lbfgs.trial.length", trial.length);
            state.put_number("lbfgs.trial.rejected", f64::from(trial.rejected));
            state.put("lbfgs.trial.direction", &trial.direction)?;
        }
        Ok(())
    }

    fn restore(&mut self, state: &State, like: &Tensor) -> Result<()> {
        self.restart();
        let next = state.number("lbfgs.next")? as u64;
        NEXT_PAIR.fetch_max(next, Ordering::Relaxed);
        self.capacity = (state.number("lbfgs.capacity")? as usize).max(1);
        self.rate = state.number("lbfgs.rate")?;
        self.caution = state.number("lbfgs.caution")?;
        self.settled = state.number("lbfgs.settled")? != 0.0;
        let count = state.number("lbfgs.pairs")? as usize;
        for index in 0..count.min(self.capacity) {
            let number = |what: &str| state.number(&format!("lbfgs.{index}.{what}"));
            let [name, s_dot_y, y_dot_weighed_y] = PAIR_NUMBERS.map(number);
            let name = name? as u64;
            let names = pair_names(name);
            if !names.iter().all(|name| state.has(name)) {
                self.restart();
                return Ok(());
            }
            let [s, y] = names.map(|name| tensor_like(state, &name, like));
            self.pairs.push_back(Pair {
                number: name,
                s: s?,
                y: y?,
                s_dot_y: s_dot_y?,
                y_dot_weighed_y: y_dot_weighed_y?,
            });
        }
        if state.has("lbfgs.accepted.image") {
            self.accepted = Some(Point {
                image: tensor_like(state, "lbfgs.accepted.image", like)?,
                loss: state.number("lbfgs.accepted.loss")?,
                gradient: tensor_like(state, "lbfgs.accepted.gradient", like)?,
            });
        }
        if state.has("lbfgs.trial.direction") {
            self.trial = Some(Trial {
                direction: tensor_like(state, "lbfgs.trial.direction", like)?,
                length: state.number("lbfgs.trial.length")?,
                rejected: state.number("lbfgs.trial.rejected")? as u32,
            });
        }
        Ok(())
    }

    fn limit_history(&mut self, history: usize) {
        self.capacity = history.max(1);
        while self.pairs.len() > self.capacity {
            self.pairs.pop_front();
        }
    }

    fn soften(&mut self) {
        self.restart();
        self.rate *= 0.5;
    }
}

/// What a checkpoint says of a pair.
const PAIR_NUMBERS: [&str; 3] = ["number", "s_dot_y", "y_dot_weighed_y"];

/// What the tensors of a pair are called.
fn pair_names(number: u64) -> [String; 2] {
    ["s", "y"].map(|vector| format!("lbfgs.{vector}{number}"))
}

fn point(image: &Tensor, loss: f64, gradient: &Tensor) -> Point {
    Point {
        image: image.shallow_clone(),
        loss,
        gradient: gradient.shallow_clone(),
    }
}

/// The image one step ahead, kept within bounds.
fn advance(from: &Tensor, trial: &Trial) -> Result<Tensor> {
    let step = trial.direction.f_mul_scalar(trial.length)?;
    Ok(from.f_add(&step)?.f_clamp_(0.0, 1.0)?)
}

/// 1 for the pixels that may move, 0 for those at a bound that the gradient
/// pushes outward.
fn free_pixels(point: &Point) -> Result<Tensor> {
    let low = point
        .image
        .f_le(0.0)?
        .f_logical_and(&point.gradient.f_gt(0.0)?)?;
    let high = point
        .image
        .f_ge(1.0)?
        .f_logical_and(&point.gradient.f_lt(0.0)?)?;
    Ok(low
        .f_logical_or(&high)?
        .f_logical_not()?
        .f_to_kind(point.image.f_kind()?)?)
}

/// The picture with its waves weighed; `waves` are made for its size.
fn weighed(waves: &mut Option<Waves>, picture: &Tensor) -> Result<Tensor> {
    let fitting = waves.take().filter(|waves| waves.fit(picture));
    let waves = waves.insert(match fitting {
        Some(fitting) => fitting,
        None => Waves::of(picture)?,
    });
    waves.weigh(picture)
}

/// The two-loop recursion: the inverse Hessian's estimate times `vector`, where
/// `guess` is the estimate without any pair. The products stay on the device, since reading one makes the host wait.
fn two_loop(
    pairs: &VecDeque<Pair>,
    vector: &Tensor,
    guess: &mut dyn FnMut(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let mut result = vector.f_detach_copy()?;
    let mut alphas = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let alpha = dot(&pair.s, &result)?.f_div_scalar(pair.s_dot_y)?;
        let _ = result.f_addcmul_(&pair.y, &alpha.f_neg()?)?;
        alphas.push(alpha);
    }
    let mut result = guess(&result)?;
    for (pair, alpha) in pairs.iter().zip(alphas.iter().rev()) {
        let beta = dot(&pair.y, &result)?.f_div_scalar(pair.s_dot_y)?;
        let _ = result.f_addcmul_(&pair.s, &alpha.f_sub(&beta)?)?;
    }
    Ok(result)
}

/// The dot product as a scalar on the device.
fn dot(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(a.f_reshape([-1])?.f_dot(&b.f_reshape([-1])?)?)
}

/// Several dot products, read in one go.
fn dots<const N: usize>(pairs: [(&Tensor, &Tensor); N]) -> Result<[f64; N]> {
    let mut products = Vec::with_capacity(N);
    for (a, b) in pairs {
        products.push(dot(a, b)?);
    }
    let all = Tensor::f_stack(&products, 0)?
        .f_to_kind(Kind::Double)?
        .f_to_device(Device::Cpu)?;
    let mut numbers = [0.0; N];
    all.f_copy_data(&mut numbers, N)?;
    Ok(numbers)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use tch::kind::FLOAT_CPU;

    /// A long, narrow bowl whose bottom lies partly out of bounds: its value
    /// and gradient.
    pub(crate) fn bowl(image: &Tensor) -> (f64, Tensor) {
        let count = image.numel() as i64;
        let steepness = Tensor::arange(count, FLOAT_CPU).view_as(image) * 4.0 + 1.0;
        let bottom = Tensor::linspace(-0.3, 0.9, count, FLOAT_CPU).view_as(image);
        let offset = image - &bottom;
        let loss = (&steepness * offset.square())
            .sum(Kind::Double)
            .double_value(&[]);
        (loss, steepness * offset * 2.0)
    }

    fn lowest_of_bowl() -> f64 {
        bowl(
            &Tensor::linspace(-0.3, 0.9, 48, FLOAT_CPU)
                .view([1, 3, 4, 4])
                .clamp(0.0, 1.0),
        )
        .0
    }

    #[test]
    fn it_finds_the_bottom_within_bounds() {
        let mut lbfgs = Lbfgs::new(10, 1.0);
        let mut image = Tensor::full([1, 3, 4, 4], 0.5, FLOAT_CPU);
        let mut best = f64::INFINITY;
        for _ in 0..60 {
            let (loss, gradient) = bowl(&image);
            best = best.min(loss);
            image = lbfgs.step(&image, loss, &gradient).unwrap().image;
            assert!(image.min().double_value(&[]) >= 0.0 && image.max().double_value(&[]) <= 1.0);
        }
        assert!(
            best <= lowest_of_bowl() * 1.001,
            "{best} against {}",
            lowest_of_bowl()
        );
    }

    #[test]
    fn a_bad_step_is_taken_back_and_told() {
        let mut lbfgs = Lbfgs::new(10, 1.0);
        let start = Tensor::full([1, 3, 4, 4], 0.5, FLOAT_CPU);
        let (loss, gradient) = bowl(&start);
        let first = lbfgs.step(&start, loss, &gradient).unwrap().image;
        // A loss that only ever rises, wherever it is asked for: each proposal
        // comes nearer to the start, and in the end the user is told.
        let mut image = first;
        let mut distance = f64::INFINITY;
        let mut told = false;
        for _ in 0..=MOST_REJECTED {
            let proposal = lbfgs.step(&image, loss + 1.0, &gradient).unwrap();
            image = proposal.image;
            told = proposal.notice.is_some();
            let now = (&image - &start).norm().double_value(&[]);
            assert!(told || now < distance);
            distance = now;
        }
        assert!(told);
    }

    #[test]
    fn nothing_to_gain_moves_nothing() {
        let mut lbfgs = Lbfgs::new(10, 1.0);
        let start = Tensor::full([1, 3, 4, 4], 0.25, FLOAT_CPU);
        let flat = Tensor::zeros_like(&start);
        let mut image = start.copy();
        for _ in 0..5 {
            image = lbfgs.step(&image, 0.0, &flat).unwrap().image;
            assert!(image.allclose(&start, 0.0, 0.0, false));
        }
    }
}
