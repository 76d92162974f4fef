//! Mean and standard deviation of each channel (Li et al. 2017, "Demystifying Neural
//! Style Transfer"; beside the Gram matrix in Galerne et al. 2024).

use tch::Tensor;

use super::{Comparison, Needs, Slope, Statistic, Sums, Target};
use crate::Result;
use crate::loss::mean_square;

/// Added to every variance: where a channel is constant, the deviation would have no
/// derivative.
const EPSILON: f64 = 1e-3;

pub(super) struct MeanStd;

/// μ and σ, `[C]`.
fn statistics(sums: &Sums) -> Result<[Tensor; 2]> {
    let count = sums.positions as f64;
    let mean = sums.sums()?.f_div_scalar(count)?;
    let variance = sums
        .squares()?
        .f_div_scalar(count)?
        .f_sub(&mean.f_square()?)?;
    let deviation = variance.f_clamp_min(0.0)?.f_add_scalar(EPSILON)?.f_sqrt()?;
    Ok([mean, deviation])
}

impl Statistic for MeanStd {
    fn needs(&self) -> Needs {
        Needs {
            sums: true,
            squares: true,
            ..Needs::default()
        }
    }

    fn target(&self, style: &Sums, _: i64) -> Result<Target> {
        Ok(Target(statistics(style)?.into()))
    }

    fn compare(&self, image: &Sums, target: &Target, factor: f64) -> Result<Comparison> {
        let Target(target) = target;
        let [mean, deviation] = statistics(image)?;
        let off_mean = mean.f_sub(&target[0])?;
        let off_deviation = deviation.f_sub(&target[1])?;
        let loss = mean_square(&off_mean)?.f_add(&mean_square(&off_deviation)?)?;
        if factor == 0.0 {
            return Ok(Comparison { loss, slope: None });
        }
        // dμ/dF = 1/N and dσ/dF = (F − μ) / (N·σ)
        let each = factor * 2.0 / image.elements();
        let scale = off_deviation.f_div(&deviation)?.f_mul_scalar(each)?;
        let offset = off_mean.f_mul_scalar(each)?.f_sub(&mean.f_mul(&scale)?)?;
        let slope = Slope::Affine {
            matrix: None,
            scale: Some(scale),
            offset: Some(offset),
        };
        Ok(Comparison {
            loss,
            slope: Some(slope),
        })
    }
}
