//! Content, style and smoothness: their formulas.
//!
//! With F and P the feature maps `[C, H, W]` of the image and of the content:
//!
//! - content loss of a layer: mean((F − P)²)
//! - style loss of a layer: the distance of a statistic of F from the style's, by
//!   default mean((G(F) − G(A))²) with Gram matrices G(F) = F·Fᵀ / (C·H·W); see
//!   [`statistic`](super::statistic)
//! - Laplacian: see [`laplacian`](super::laplacian)
//! - smoothness (total variation), on pixels in 0..1: (Σ|dx| + Σ|dy|) / (3·H·W) by
//!   the norm `l1`; (Σdx² + Σdy²) / (3·H·W) by `l2`; by `nine-point` two thirds of that,
//!   and a sixth of the squared differences along both diagonals
//!
//! after Gatys, Ecker & Bethge, "Image Style Transfer Using Convolutional
//! Neural Networks" (2016), with the normalisation of the program
//! neural-style. The nine-point stencil is that of style-transfer-pytorch. The total
//! weighs each layer, then each term.

use std::collections::BTreeMap;

use impasto_core::preset::{Layer, Preset, SmoothnessNorm, Term};
use impasto_core::protocol::LayerLosses;
use tch::{Kind, Tensor};

use super::{Result, cuda};

/// The losses of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses {
    /// Each layer's loss before any weight.
    pub layers: LayerLosses,
    /// Smoothness before its weight.
    pub smoothness: f64,
}

/// The losses with their weights applied; they add up to `total`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighted {
    pub content: f64,
    pub style: f64,
    pub smoothness: f64,
    pub total: f64,
}

impl Losses {
    /// Applies the preset's weights.
    pub fn weighted(&self, preset: &Preset) -> Weighted {
        let laplacian = self.layers.laplacian.unwrap_or(0.0);
        let content =
            weigh(&preset.content, &self.layers.content) + preset.content.laplacian * laplacian;
        let style = weigh(&preset.style, &self.layers.style);
        let smoothness = preset.smoothness.weight * self.smoothness;
        Weighted {
            content,
            style,
            smoothness,
            total: content + style + smoothness,
        }
    }
}

/// `Σ factorₗ·lossₗ`
fn weigh(term: &Term, losses: &BTreeMap<Layer, f64>) -> f64 {
    let weighted = losses
        .iter()
        .map(|(layer, loss)| term.factor(*layer) * loss);
    weighted.sum()
}

pub(super) fn mean_square(difference: &Tensor) -> Result<Tensor> {
    let square = difference.f_square()?;
    Ok(square.f_mean(Kind::Float)?)
}

pub(super) fn elements(tensor: &Tensor) -> f64 {
    tensor.numel() as f64
}

/// The smoothness of an image `[1, 3, H, W]`; adds `weight` times its gradient
/// to `gradient`.
pub(super) fn smoothness(
    image: &Tensor,
    norm: SmoothnessNorm,
    weight: f64,
    gradient: &mut Tensor,
) -> Result<Tensor> {
    match norm {
        SmoothnessNorm::L1 => {}
        SmoothnessNorm::L2 => {
            return squared_differences(image, weight, gradient, &[((0, 1), 1.0), ((1, 0), 1.0)]);
        }
        SmoothnessNorm::NinePoint => {
            let near = 2.0 / 3.0;
            let far = 1.0 / 6.0;
            let steps = [
                ((0, 1), near),
                ((1, 0), near),
                ((1, 1), far),
                ((1, -1), far),
            ];
            return squared_differences(image, weight, gradient, &steps);
        }
    }
    if let Some(kernels) = cuda::kernels(image.device())
        && let Some(mean) = kernels.smoothness(image, weight, gradient)?
    {
        return Ok(mean);
    }
    smoothness_by_libtorch(image, weight, gradient)
}

/// Σ factor·(x(p + step) − x(p))² / (3·H·W) over steps (down, right) and their factors.
fn squared_differences(
    image: &Tensor,
    weight: f64,
    gradient: &mut Tensor,
    steps: &[((i64, i64), f64)],
) -> Result<Tensor> {
    let (_, _, height, width) = image.size4()?;
    let elements = elements(image);
    let mut sum = Tensor::f_zeros([], (Kind::Float, image.device()))?;
    for &((down, right), factor) in steps {
        let (rows, columns) = (height - down, width - right.abs());
        if rows < 1 || columns < 1 {
            continue;
        }
        let part = |tensor: &Tensor, top: i64, left: i64| {
            tensor.f_narrow(2, top, rows)?.f_narrow(3, left, columns)
        };
        let (from, to) = ((-right).max(0), right.max(0));
        let step = part(image, down, to)?.f_sub(&part(image, 0, from)?)?;
        let square = step.f_square()?.f_sum(Kind::Float)?;
        let _ = sum.f_add_(&square.f_mul_scalar(factor)?)?;
        if weight != 0.0 {
            let slope = step.f_mul_scalar(2.0 * factor * weight / elements)?;
            let _ = part(gradient, down, to)?.f_add_(&slope)?;
            let _ = part(gradient, 0, from)?.f_sub_(&slope)?;
        }
    }
    Ok(sum.f_div_scalar(elements)?)
}

/// As [`smoothness`] by the norm `l1`, by libtorch's operations.
pub(super) fn smoothness_by_libtorch(
    image: &Tensor,
    weight: f64,
    gradient: &mut Tensor,
) -> Result<Tensor> {
    let elements = elements(image);
    let mut sum = Tensor::f_zeros([], (Kind::Float, image.device()))?;
    for dimension in [2, 3] {
        let length = image.size()[dimension as usize] - 1;
        if length < 1 {
            continue;
        }
        let step = image
            .f_narrow(dimension, 1, length)?
            .f_sub(&image.f_narrow(dimension, 0, length)?)?;
        let _ = sum.f_add_(&step.f_abs()?.f_sum(Kind::Float)?)?;
        if weight != 0.0 {
            let slope = step.f_sign()?.f_mul_scalar_(weight / elements)?;
            let _ = gradient.f_narrow(dimension, 1, length)?.f_add_(&slope)?;
            let _ = gradient.f_narrow(dimension, 0, length)?.f_sub_(&slope)?;
        }
    }
    Ok(sum.f_div_scalar(elements)?)
}
