//! 2×2 pooling and its gradient.

use impasto_core::preset::Pooling;
use tch::{Device, Kind, Tensor};

use super::kernels::{max_pool, max_pool_backward};
use super::layout::{CHANNELS_LAST, channels_last};
use super::slices::{filled, floats};
use super::{Result, cuda};

/// Average pooling shrinks what follows; doubling it brings the deeper feature
/// maps back to about the size that max pooling gives.
const AVERAGE_SCALE: f64 = 2.0;

/// The pooled map, and which of the four values won where the gradient will
/// be passed: our own kernel finds the winners again from the map.
///
/// # Errors
/// When libtorch fails.
pub fn pool(pooling: Pooling, map: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
    if pooling == Pooling::Average {
        let mut pooled = map.f_avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)?;
        let _ = pooled.f_mul_scalar_(AVERAGE_SCALE)?;
        return Ok((pooled, None));
    }
    let (_, channels, height, width) = map.size4()?;
    if let Some(values) = own(map) {
        let pooled = filled(&[1, height / 2, width / 2, channels], |pooled| {
            let size = (height as usize, width as usize);
            max_pool(values, size, channels as usize, pooled)
        })?;
        return Ok((pooled.f_permute([0, 3, 1, 2])?, None));
    }
    if let Some(kernels) = cuda::kernels(map.device())
        && let Some(pooled) = kernels.max_pool(map)?
    {
        return Ok((pooled, None));
    }
    let (pooled, winners) = map.f_max_pool2d_with_indices([2, 2], [2, 2], [0, 0], [1, 1], false)?;
    Ok((pooled, Some(winners)))
}

/// As [`unpool`] where `before` is a ReLU's output, with respect to what that
/// ReLU was given: both in one pass, where there is a kernel for it.
///
/// # Errors
/// When libtorch fails.
pub fn unpool_relu(pooling: Pooling, gradient: &Tensor, before: &Tensor) -> Result<Option<Tensor>> {
    match (pooling, cuda::kernels(before.device())) {
        (Pooling::Max, Some(kernels)) => kernels.max_pool_backward(gradient, before, true),
        _ => Ok(None),
    }
}

/// The gradient with respect to the input of a pooling, which was `before`.
///
/// # Errors
/// When libtorch fails.
pub fn unpool(
    pooling: Pooling,
    gradient: &Tensor,
    before: &Tensor,
    winners: Option<&Tensor>,
) -> Result<Tensor> {
    if pooling == Pooling::Average {
        return Ok(before
            .f_avg_pool2d_backward(gradient, [2, 2], [2, 2], [0, 0], false, true, None)?
            .f_mul_scalar_(AVERAGE_SCALE)?);
    }
    if let Some(winners) = winners {
        return Ok(before.f_max_pool2d_with_indices_backward(
            gradient,
            [2, 2],
            [2, 2],
            [0, 0],
            [1, 1],
            false,
            winners,
        )?);
    }
    if let Some(kernels) = cuda::kernels(before.device())
        && let Some(gradient) = kernels.max_pool_backward(gradient, before, false)?
    {
        return Ok(gradient);
    }
    let (_, channels, height, width) = before.size4()?;
    let gradient = channels_last(gradient)?;
    let values = own(before).zip(own(&gradient));
    let whole = filled(&[1, height, width, channels], |out| match values {
        Some((before, gradient)) => {
            let size = (height as usize, width as usize);
            max_pool_backward(before, gradient, size, channels as usize, out)
        }
        // `pool` gives no winners only where both are slices.
        None => {
            out.fill(f32::NAN);
            Ok(())
        }
    })?;
    Ok(whole.f_permute([0, 3, 1, 2])?)
}

/// The values of a map that our own kernels can pool.
fn own(map: &Tensor) -> Option<&[f32]> {
    let channels = map.size().get(1).copied().unwrap_or(0);
    let fits = map.device() == Device::Cpu && map.f_kind().ok()? == Kind::Float;
    floats(map, CHANNELS_LAST).filter(|_| fits && channels > 0 && channels % 32 == 0)
}
