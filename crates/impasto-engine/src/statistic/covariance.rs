//! Means and covariances by the squared Wasserstein-2 distance of the two Gaussians
//! that have them, over C, as in the program style-transfer-pytorch:
//!
//! mean((μ − μₐ)²) + tr(Σₐ + Σ − 2(Σₐ^½·Σ·Σₐ^½)^½) / C
//!
//! Of several styles the means and the second moments are averaged. The derivative
//! needs no differentiated square root: with S = Σₐ^½, that of tr((SΣS)^½) with respect
//! to Σ is ½·S·(SΣS)^-½·S. Both roots come from one eigendecomposition in float64 on
//! the CPU. On a GPU, where that cannot be captured, they come from the coupled
//! Newton–Schulz iteration in float32 (Higham 2008, section 6.7).

use tch::{Device, Kind, Tensor};

use super::{Comparison, Needs, Slope, Statistic, Sums, Target};
use crate::Result;
use crate::loss::mean_square;

/// Added to the diagonal of both covariances, as a share of the style's mean variance:
/// dead channels have no variance at all.
const EPSILON: f64 = 1e-4;
/// Iterations of Newton and Schulz: eigenvalues down to 1e-4 of the norm are settled,
/// and rounding cannot make it diverge yet.
const ITERATIONS: usize = 14;

pub(super) struct Covariance;

/// μ `[C]` and M = Σ w·FᵀF / N `[C, C]`.
fn moments(sums: &Sums) -> Result<[Tensor; 2]> {
    let count = sums.positions as f64;
    Ok([
        sums.sums()?.f_div_scalar(count)?,
        sums.products()?.f_div_scalar(count)?,
    ])
}

/// M − μμᵀ in the kind that roots are computed in.
fn centred(mean: &Tensor, moment: &Tensor) -> Result<Tensor> {
    let kind = kind_on(mean.device());
    let mean = mean.f_to_kind(kind)?;
    let square = mean.f_unsqueeze(1)?.f_mul(&mean.f_unsqueeze(0)?)?;
    Ok(moment.f_to_kind(kind)?.f_sub(&square)?)
}

fn kind_on(device: Device) -> Kind {
    match device {
        Device::Cpu => Kind::Double,
        _ => Kind::Float,
    }
}

/// Of a symmetric positive semidefinite matrix X the trace of X^½, and R·X^-½·R for a
/// symmetric R. Eigenvalues below `least` count as that.
fn trace_and_transport(matrix: &Tensor, root: &Tensor, least: &Tensor) -> Result<[Tensor; 2]> {
    if matrix.device() != Device::Cpu {
        let [square_root, inverse] = newton_schulz(matrix)?;
        return Ok([square_root.f_trace()?, root.f_mm(&inverse)?.f_mm(root)?]);
    }
    let (values, vectors) = matrix.f_linalg_eigh("L")?;
    let roots = values.f_maximum(least)?.f_sqrt()?;
    // R·V·Λ^-¼ times its transpose.
    let half = root.f_mm(&vectors)?.f_div(&roots.f_sqrt()?)?;
    Ok([roots.f_sum(Kind::Double)?, half.f_mm(&half.f_tr()?)?])
}

/// X^½ by eigenvalues, on the CPU in float64.
fn square_root(matrix: &Tensor) -> Result<Tensor> {
    let (values, vectors) = matrix.f_linalg_eigh("L")?;
    let roots = values.f_clamp_min(0.0)?.f_sqrt()?;
    Ok(vectors.f_mul(&roots)?.f_mm(&vectors.f_tr()?)?)
}

/// X^½ and X^-½ by matrix products alone. Small eigenvalues are not settled.
fn newton_schulz(matrix: &Tensor) -> Result<[Tensor; 2]> {
    let side = matrix.size()[0];
    let norm = matrix.f_norm()?.f_clamp_min(f64::from(f32::MIN_POSITIVE))?;
    let one = Tensor::f_eye(side, (matrix.f_kind()?, matrix.device()))?;
    let three = one.f_mul_scalar(3.0)?;
    let mut root = matrix.f_div(&norm)?;
    let mut inverse = one;
    for _ in 0..ITERATIONS {
        let step = three.f_sub(&inverse.f_mm(&root)?)?.f_mul_scalar(0.5)?;
        root = root.f_mm(&step)?;
        inverse = step.f_mm(&inverse)?;
    }
    let scale = norm.f_sqrt()?;
    Ok([root.f_mul(&scale)?, inverse.f_div(&scale)?])
}

impl Statistic for Covariance {
    fn needs(&self) -> Needs {
        Needs {
            products: true,
            sums: true,
            ..Needs::default()
        }
    }

    fn compares_slowly(&self) -> bool {
        true
    }

    fn target(&self, style: &Sums, _: i64) -> Result<Target> {
        Ok(Target(moments(style)?.into()))
    }

    /// To μₐ, Σₐ^½, tr Σₐ, and ε.
    fn prepare(&self, target: Target) -> Result<Target> {
        let Target(tensors) = target;
        let covariance = centred(&tensors[0], &tensors[1])?;
        let side = covariance.size()[0];
        let epsilon = covariance
            .f_trace()?
            .f_clamp_min(f64::from(f32::MIN_POSITIVE))?
            .f_mul_scalar(EPSILON / side as f64)?;
        let one = Tensor::f_eye(side, (covariance.f_kind()?, covariance.device()))?;
        let covariance = covariance.f_add(&one.f_mul(&epsilon)?)?;
        let trace = covariance.f_trace()?;
        // Once for each scale: by eigenvalues, wherever it is computed.
        let on_cpu = covariance
            .f_to_device(Device::Cpu)?
            .f_to_kind(Kind::Double)?;
        let root = square_root(&on_cpu)?
            .f_to_kind(covariance.f_kind()?)?
            .f_to_device(covariance.device())?;
        Ok(Target(vec![
            tensors[0].shallow_clone(),
            root,
            trace,
            epsilon,
        ]))
    }

    fn compare(&self, image: &Sums, target: &Target, factor: f64) -> Result<Comparison> {
        let [target_mean, target_root, target_trace, epsilon] = &target.0[..] else {
            return Err(crate::EngineError::Torch(
                "a covariance was not prepared".to_owned(),
            ));
        };
        let channels = image.channels as f64;
        let [mean, moment] = moments(image)?;
        let off_mean = mean.f_sub(target_mean)?;
        let covariance = centred(&mean, &moment)?;
        let one = Tensor::f_eye(image.channels, (covariance.f_kind()?, covariance.device()))?;
        let covariance = covariance.f_add(&one.f_mul(epsilon)?)?;
        let between = target_root.f_mm(&covariance)?.f_mm(target_root)?;
        let least = epsilon.f_square()?;
        let [trace, transport] = trace_and_transport(&between, target_root, &least)?;
        let distance = target_trace
            .f_add(&covariance.f_trace()?)?
            .f_sub(&trace.f_mul_scalar(2.0)?)?
            .f_div_scalar(channels)?;
        let loss = mean_square(&off_mean)?.f_add(&distance.f_to_kind(Kind::Float)?)?;
        if factor == 0.0 {
            return Ok(Comparison { loss, slope: None });
        }
        // The derivative with respect to Σ is P = (I − S·(SΣS)^-½·S) / C, and Σ depends
        // on F by M = FᵀF / N and by μ.
        let each = factor * 2.0 / image.elements();
        let matrix = one
            .f_sub(&transport)?
            .f_mul_scalar(each)?
            .f_to_kind(Kind::Float)?;
        let offset = off_mean
            .f_mul_scalar(each)?
            .f_sub(&mean.f_unsqueeze(0)?.f_mm(&matrix)?.f_squeeze_dim(0)?)?;
        let slope = Slope::Affine {
            matrix: Some(matrix),
            scale: None,
            offset: Some(offset),
        };
        Ok(Comparison {
            loss,
            slope: Some(slope),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_alone_give_the_roots_too() {
        tch::manual_seed(3);
        let features = Tensor::randn([400, 24], (Kind::Double, Device::Cpu));
        let matrix = features.tr().mm(&features) / 400.0;
        let root = square_root(&matrix).unwrap();
        let back = root.mm(&root) - &matrix;
        assert!(back.abs().max().double_value(&[]) < 1e-9);
        let one = Tensor::eye(24, (Kind::Double, Device::Cpu));
        let least = Tensor::from(1e-9f64);
        let [trace, inverse] = trace_and_transport(&matrix, &one, &least).unwrap();
        let found = newton_schulz(&matrix.to_kind(Kind::Float)).unwrap();
        for (exact, found) in [&root, &inverse].into_iter().zip(found) {
            let off = (found.to_kind(Kind::Double) - exact).norm() / exact.norm();
            assert!(off.double_value(&[]) < 1e-4, "{off}");
        }
        let off = (trace - root.trace()).abs().double_value(&[]);
        assert!(off < 1e-9, "{off}");
    }
}
