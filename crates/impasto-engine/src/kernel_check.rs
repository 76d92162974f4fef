//! The CUDA kernels compared with libtorch's operations, before code is used for the
//! first time.

use tch::{Device, Kind, Tensor};

use super::cuda::{self, FirstLayer, Kernels};
use super::layout::channels_last;
use super::loss::smoothness_by_libtorch;
use super::optimizer::Optimizer;
use super::optimizer::adam::Adam;
use super::optimizer::lbfgs::Lbfgs;
use super::{EngineError, Result};

/// Gets the kernels for a device ready, to be used if they pass [`compare`]. Does
/// nothing for the CPU.
pub fn prepare(device: Device) {
    cuda::prepare(device, compare);
}

/// Compares every kernel with libtorch's operations.
///
/// # Errors
/// When one fails or differs.
pub fn compare(kernels: &Kernels) -> Result<()> {
    compare_network(kernels)?;
    compare_adam(kernels)?;
    compare_lbfgs(kernels)?;
    compare_smoothness(kernels)
}

/// Compares these kernels with libtorch's operations.
fn compare_network(kernels: &Kernels) -> Result<()> {
    let float = (Kind::Float, kernels.device());
    for kind in [Kind::Float, Kind::BFloat16] {
        // What is summed up is rounded in another order.
        let tolerance = if kind == Kind::Float { 1e-5 } else { 1e-2 };
        for (height, width) in [(1, 1), (2, 2), (5, 4), (6, 9), (13, 21)] {
            let channels = 16;
            let map = Tensor::f_randn([1, channels, height, width], float)?;
            // Whole numbers, so that windows have equal values.
            let map = map
                .f_mul_scalar(2.0)?
                .f_round()?
                .f_relu()?
                .f_to_kind(kind)?;
            let map = channels_last(&map)?;
            if height > 1 && width > 1 {
                compare_pooling(kernels, &map)?;
            }
            let picture = Tensor::f_rand([1, 3, height, width], float)?;
            let weight = Tensor::f_randn([channels, 3, 3, 3], float)?;
            let bias = Tensor::f_randn([channels], float)?.f_mul_scalar(100.0)?;
            let mean = Tensor::f_rand([3], float)?.f_mul_scalar(100.0)?;
            let Some(layer) = FirstLayer::new(&weight, &bias, &mean)? else {
                continue;
            };
            // In float64, which no setting lets cuDNN round.
            let exact = |tensor: &Tensor| tensor.f_to_kind(Kind::Double);
            let input = exact(&picture)?.f_flip([1])?.f_mul_scalar(255.0)?;
            let input = input.f_sub(&exact(&mean)?.f_view([1, 3, 1, 1])?)?;
            let (ones, filter) = ([1, 1], exact(&weight)?);
            let wanted = input.f_conv2d(&filter, Some(&exact(&bias)?), ones, ones, ones, 1)?;
            let wanted = wanted.f_relu()?;
            if let Some(found) = kernels.first_forward(&layer, &picture, kind)? {
                agree("the first layer", &found, &wanted, tolerance)?;
            }
            let gradient = Tensor::f_randn_like(&map.f_to_kind(Kind::Float)?)?;
            let gradient = gradient.f_to_kind(kind)?;
            let passed = exact(&map.f_threshold_backward(&gradient, 0)?)?;
            let turned = filter.f_flip([2, 3])?.f_transpose(0, 1)?;
            let wanted = passed
                .f_conv2d(&turned, None::<&Tensor>, ones, ones, ones, 1)?
                .f_flip([1])?
                .f_mul_scalar(255.0)?;
            if let Some(found) = kernels.first_backward(&layer, &gradient, &map)? {
                agree("the first layer's gradient", &found, &wanted, 1e-5)?;
            }
        }
    }
    Ok(())
}

fn compare_pooling(kernels: &Kernels, map: &Tensor) -> Result<()> {
    let two = [2, 2];
    let (pooled, winners) = map.f_max_pool2d_with_indices(two, two, [0, 0], [1, 1], false)?;
    if let Some(found) = kernels.max_pool(map)? {
        agree("max pooling", &found, &pooled, 0.0)?;
    }
    let gradient = pooled.f_randn_like()?;
    let gradient = channels_last(&gradient)?;
    let spread = map.f_max_pool2d_with_indices_backward(
        &gradient,
        two,
        two,
        [0, 0],
        [1, 1],
        false,
        &winners,
    )?;
    for relu in [false, true] {
        let wanted = match relu {
            true => map.f_threshold_backward(&spread, 0)?,
            false => spread.shallow_clone(),
        };
        if let Some(found) = kernels.max_pool_backward(&gradient, map, relu)? {
            agree("max pooling's gradient", &found, &wanted, 0.0)?;
        }
    }
    Ok(())
}

fn compare_adam(kernels: &Kernels) -> Result<()> {
    let float = (Kind::Float, kernels.device());
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
        let total = Tensor::f_full([0i64; 0], total, (Kind::Double, kernels.device()))?;
        wanted.step_with(None, &gradient, &total)?;
        found.step_with(Some(kernels), &gradient, &total)?;
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

/// Minimises an ill-conditioned quadratic with both implementations, through failures,
/// rejected steps and a full history.
fn compare_lbfgs(kernels: &Kernels) -> Result<()> {
    for (height, width, steps) in [(5, 7, 24), (21, 23, 8)] {
        compare_lbfgs_at(kernels, height, width, steps)?;
    }
    Ok(())
}

fn compare_lbfgs_at(kernels: &Kernels, height: i64, width: i64, steps: u32) -> Result<()> {
    let cpu = (Kind::Float, Device::Cpu);
    let shape = [1, 3, height, width];
    let count = 3 * height * width;
    let on_device = |tensor: Tensor| tensor.f_to_device(kernels.device());
    let bottom = on_device(Tensor::f_linspace(-0.3, 1.2, count, cpu)?.f_view(shape)?)?;
    let steep = Tensor::f_linspace(1.0, 50.0, count, cpu)?;
    let steep = on_device(steep.f_view(shape)?)?;
    let start = on_device(Tensor::f_full(shape, 0.5, cpu)?)?;
    for (kind, tolerance) in [(Kind::Float, 2e-3), (Kind::BFloat16, 0.05)] {
        let mut wanted = Lbfgs::with_rows(&start, 1.0, 4, Kind::Float)?;
        let mut found = Lbfgs::with_rows(&start, 1.0, 4, kind)?;
        for step in 0..steps {
            let image = wanted.image();
            let away = image.f_sub(&bottom)?;
            let gradient = away.f_mul(&steep)?.f_mul_scalar(2.0)?;
            let total = away.f_square()?.f_mul(&steep)?.f_sum(Kind::Double)?;
            // A step that seems to lead up, several times, and what is not finite.
            let total = match step {
                5 | 9..=16 => total.f_add_scalar(1e3)?,
                7 => total.f_mul_scalar(f64::NAN)?,
                _ => total,
            };
            if step == 19 {
                let _ = gradient
                    .f_view([-1])?
                    .f_narrow(0, 9, 1)?
                    .f_fill_(f64::NAN)?;
            }
            wanted.step_with(None, &gradient, &total)?;
            found.step_with(Some(kernels), &gradient, &total)?;
            agree("L-BFGS's status", &found.status()?, &wanted.status()?, 0.0)?;
            agree("L-BFGS's image", found.image(), wanted.image(), tolerance)?;
            let best = (found.best_image(), wanted.best_image());
            agree("L-BFGS's best image", best.0, best.1, tolerance)?;
            // Rounding must not add up over the steps.
            found.go_on_from(&wanted)?;
        }
    }
    Ok(())
}

fn compare_smoothness(kernels: &Kernels) -> Result<()> {
    let float = (Kind::Float, kernels.device());
    for (height, width) in [(1, 1), (1, 7), (6, 1), (13, 21), (40, 33)] {
        let picture = Tensor::f_rand([1, 3, height, width], float)?;
        // Coarse values, so that some neighbours are equal.
        let picture = picture.f_mul_scalar(8.0)?.f_round()?.f_div_scalar(8.0)?;
        let gradient = Tensor::f_randn_like(&picture)?;
        let mut wanted = gradient.f_add_scalar(0.0)?;
        let mean = smoothness_by_libtorch(&picture, 3.0, &mut wanted)?;
        if let Some(found) = kernels.smoothness(&picture, 3.0, &gradient)? {
            agree("smoothness", &found, &mean, 1e-5)?;
            agree("smoothness's gradient", &gradient, &wanted, 1e-5)?;
        }
    }
    Ok(())
}

/// An error where `found` is further from `wanted` than `tolerance`, as a share of
/// the largest value.
pub fn agree(what: &str, found: &Tensor, wanted: &Tensor, tolerance: f64) -> Result<()> {
    let kind = Kind::Double;
    let (found, wanted) = (found.f_to_kind(kind)?, wanted.f_to_kind(kind)?);
    let same_shape = found.size() == wanted.size();
    let off = match same_shape {
        true => found.f_sub(&wanted)?.f_abs()?.f_max()?,
        false => Tensor::from(f64::NAN),
    };
    let off = f64::try_from(&off)?;
    let largest = f64::try_from(&wanted.f_abs()?.f_max()?)?;
    // Written so that a value that is not a number does not agree.
    if off <= tolerance * largest.max(1e-30) {
        return Ok(());
    }
    Err(EngineError::Torch(format!(
        "the kernel for {what} is off by {off:e} of {largest:e}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::tests::emulated;
    use crate::test_device::gpu;

    #[test]
    fn the_kernels_compute_what_libtorch_does() {
        tch::manual_seed(1);
        let kernels = emulated();
        for _ in 0..3 {
            compare_network(&kernels).unwrap();
            compare_adam(&kernels).unwrap();
            compare_smoothness(&kernels).unwrap();
        }
        compare_lbfgs(&kernels).unwrap();
    }

    #[test]
    fn on_a_gpu_the_kernels_are_used() {
        let Some(gpu) = gpu() else { return };
        let found = cuda::kernels(gpu.device);
        assert!(found.is_some(), "{:?}", cuda::take_notice());
        // Whatever was found of the same code before.
        found.map(compare).transpose().unwrap();
    }
}
