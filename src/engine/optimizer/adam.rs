//! Adam (Kingma & Ba 2015), with every step brought back into 0..1.

use tch::Tensor;

use super::{Optimizer, Proposal, tensor_like};
use crate::engine::Result;
use crate::engine::state::State;

const BETA1: f64 = 0.9;
/// As in style-transfer-pytorch: the gradient changes its size so quickly here
/// that the usual 0.999 remembers too long.
const BETA2: f64 = 0.99;
const EPSILON: f64 = 1e-8;

/// Adam over an image.
#[derive(Debug)]
pub struct Adam {
    rate: f64,
    moments: Option<Moments>,
}

#[derive(Debug)]
struct Moments {
    first: Tensor,
    second: Tensor,
    steps: i32,
}

impl Adam {
    /// `rate` is the size of a step at most, on pixels in 0..1.
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            moments: None,
        }
    }
}

impl Optimizer for Adam {
    fn step(&mut self, image: &Tensor, _loss: f64, gradient: &Tensor) -> Result<Proposal> {
        let moments = match &mut self.moments {
            Some(moments) => moments,
            empty => empty.insert(Moments {
                first: gradient.f_zeros_like()?,
                second: gradient.f_zeros_like()?,
                steps: 0,
            }),
        };
        moments.steps = moments.steps.saturating_add(1);
        let _ = moments.first.f_lerp_(gradient, 1.0 - BETA1)?;
        let _ = moments.second.f_lerp_(&gradient.f_square()?, 1.0 - BETA2)?;
        let first_bias = 1.0 - BETA1.powi(moments.steps);
        let second_bias = 1.0 - BETA2.powi(moments.steps);
        let spread = moments
            .second
            .f_div_scalar(second_bias)?
            .f_sqrt_()?
            .f_add_scalar_(EPSILON)?;
        let step = moments
            .first
            .f_div(&spread)?
            .f_mul_scalar_(self.rate / first_bias)?;
        let image = image.f_sub(&step)?.f_clamp_(0.0, 1.0)?;
        Ok(Proposal {
            image,
            notice: None,
        })
    }

    fn restart(&mut self) {
        self.moments = None;
    }

    fn save(&self, state: &mut State) -> Result<()> {
        state.put_number("adam.rate", self.rate);
        if let Some(moments) = &self.moments {
            state.put_number("adam.steps", f64::from(moments.steps));
            state.put("adam.first", &moments.first)?;
            state.put("adam.second", &moments.second)?;
        }
        Ok(())
    }

    fn restore(&mut self, state: &State, like: &Tensor) -> Result<()> {
        self.rate = state.number("adam.rate")?;
        self.moments = None;
        if state.has("adam.first") {
            self.moments = Some(Moments {
                first: tensor_like(state, "adam.first", like)?,
                second: tensor_like(state, "adam.second", like)?,
                steps: state.number("adam.steps")? as i32,
            });
        }
        Ok(())
    }

    fn soften(&mut self) {
        self.restart();
        self.rate *= 0.5;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::optimizer::lbfgs::tests::bowl;

    #[test]
    fn it_finds_the_bottom_of_a_bowl_and_stays_within_bounds() {
        let mut adam = Adam::new(0.05);
        let mut image = Tensor::full([1, 3, 4, 4], 0.5, tch::kind::FLOAT_CPU);
        let (first, _) = bowl(&image);
        for _ in 0..200 {
            let (loss, gradient) = bowl(&image);
            image = adam.step(&image, loss, &gradient).unwrap().image;
            assert!(image.min().double_value(&[]) >= 0.0 && image.max().double_value(&[]) <= 1.0);
        }
        let (last, _) = bowl(&image);
        assert!(last < 0.4 * first, "{first} fell to {last}");
    }
}
