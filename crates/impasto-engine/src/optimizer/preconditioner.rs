//! What is known of the Hessian before any step: long waves curve the loss less
//! than short ones.

use tch::{Kind, Tensor};

use crate::Result;

/// Waves are weighed by their length to this power. Of -0.5, 0 (none), 0.5 and 1
/// this brought the total down soonest; see docs/measurements.md.
const POWER: f64 = 0.5;
/// Height and width.
const SIDES: [i64; 2] = [-2, -1];

/// Weighs a picture's waves: a symmetric, positive definite operator, diagonal
/// in the Fourier domain. For one size of picture.
#[derive(Debug)]
pub struct SpectralPreconditioner {
    height: i64,
    width: i64,
    /// `[H, W / 2 + 1]`: a weight for each wave of a real picture's Fourier
    /// transform. Their mean is one.
    weights: Tensor,
}

impl SpectralPreconditioner {
    /// The weights for pictures of the size of `like`, `[1, 3, H, W]`, on its
    /// device.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn for_image(like: &Tensor) -> Result<Self> {
        let (_, _, height, width) = like.size4()?;
        let options = (Kind::Float, like.device());
        let down = Tensor::f_fft_fftfreq(height, 1.0, options)?.f_view([-1, 1])?;
        let across = Tensor::f_fft_rfftfreq(width, 1.0, options)?.f_view([1, -1])?;
        // In waves a pixel. The mean colour has none: it counts as the longest
        // wave that there is.
        let longest = 1.0 / height.max(width) as f64;
        let frequency = down.f_hypot(&across)?.f_clamp_min(longest)?;
        let weights = frequency.f_pow_tensor_scalar(-POWER)?;
        let mean = weights.f_mean(Kind::Float)?;
        Ok(Self {
            height,
            width,
            weights: weights.f_div(&mean)?,
        })
    }

    /// Applies the operator to pictures `[N, 3, H, W]`.
    ///
    /// # Errors
    /// When they have another size, or libtorch fails.
    pub fn apply(&self, pictures: &Tensor) -> Result<Tensor> {
        let waves = pictures.f_fft_rfft2(None::<&[i64]>, SIDES, "backward")?;
        let waves = waves.f_mul(&self.weights)?;
        let size = [self.height, self.width];
        Ok(waves.f_fft_irfft2(&size[..], SIDES, "backward")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::kind::FLOAT_CPU;

    fn dot(a: &Tensor, b: &Tensor) -> f64 {
        (a * b).sum(Kind::Double).double_value(&[])
    }

    #[test]
    fn the_operator_is_symmetric_and_positive() {
        for (height, width) in [(8, 8), (7, 13), (1, 5), (6, 1)] {
            let (a, b) = (
                Tensor::randn([1, 3, height, width], FLOAT_CPU),
                Tensor::randn([1, 3, height, width], FLOAT_CPU),
            );
            let operator = SpectralPreconditioner::for_image(&a).unwrap();
            let (one, other) = (
                dot(&operator.apply(&a).unwrap(), &b),
                dot(&a, &operator.apply(&b).unwrap()),
            );
            assert!((one - other).abs() < 1e-3 * dot(&a, &a));
            assert!(dot(&operator.apply(&a).unwrap(), &a) > 0.0);
        }
    }

    #[test]
    fn long_waves_weigh_more() {
        let line = |wave: f64| {
            let x = Tensor::arange(64, FLOAT_CPU) * (wave * std::f64::consts::TAU / 64.0);
            x.cos().view([1, 1, 1, 64]).expand([1, 3, 64, 64], false)
        };
        let operator = SpectralPreconditioner::for_image(&line(1.0)).unwrap();
        let weight = |wave| {
            dot(&operator.apply(&line(wave)).unwrap(), &line(wave)) / dot(&line(wave), &line(wave))
        };
        assert!((weight(2.0) / weight(8.0) - 2.0).abs() < 1e-3);
    }
}
