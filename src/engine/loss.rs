//! Content, style and smoothness: their values, layer by layer, and the
//! gradient of the total with respect to the pixels.
//!
//! With F, P, A the feature maps `[C, H, W]` of the image, the content and the
//! style, and the Gram matrix G(F) = F·Fᵀ / (C·H·W):
//!
//! - content loss of a layer: mean((F − P)²)
//! - style loss of a layer: mean((G(F) − G(A))²)
//! - smoothness (total variation): (Σ|dx| + Σ|dy|) / (3·H·W), on the pixels
//!
//! after Gatys, Ecker & Bethge, "Image Style Transfer Using Convolutional
//! Neural Networks" (2016), with the normalisation of the program
//! neural-style. The total weighs each layer, then each of the three.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::Result;
use super::network::{Vgg, magnitude, rows, unrows};
use crate::preset::{Layer, Preset, Term};
use crate::protocol::LayerLosses;

/// What the image is compared with at one scale.
#[derive(Debug, Default)]
pub struct Targets {
    /// The content's feature maps as rows, `[H·W, C]`.
    content: BTreeMap<Layer, Tensor>,
    /// The style's Gram matrices, `[C, C]`.
    style: BTreeMap<Layer, Tensor>,
}

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

/// The losses of an image and the way downhill.
#[derive(Debug)]
pub struct Evaluation {
    pub losses: Losses,
    pub weighted: Weighted,
    /// The gradient of the total with respect to the pixels, `[1, 3, H, W]`,
    /// RGB in 0..1.
    pub gradient: Tensor,
    /// Whether the total and every element of the gradient are finite.
    pub finite: bool,
}

impl Targets {
    /// Computes the targets of the layers that `preset` names. `tell` hears
    /// what begins.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn new(
        vgg: &Vgg,
        preset: &Preset,
        content: &Tensor,
        style: &Tensor,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        let mut targets = Self::default();
        // A term without layers needs no pass.
        if !preset.content.layers.is_empty() {
            tell("looking at the content");
            vgg.visit(content, |layer, map| {
                if preset.content.layers.contains_key(&layer) {
                    targets.content.insert(layer, rows(map)?);
                }
                Ok(())
            })?;
        }
        if !preset.style.layers.is_empty() {
            tell("looking at the style");
            vgg.visit(style, |layer, map| {
                if preset.style.layers.contains_key(&layer) {
                    targets.style.insert(layer, gram(&rows(map)?)?);
                }
                Ok(())
            })?;
        }
        Ok(targets)
    }
}

impl Losses {
    /// Applies the preset's weights.
    pub fn weighted(&self, preset: &Preset) -> Weighted {
        let content = weigh(&preset.content, &self.layers.content);
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

/// `term.weight · Σ wₗ·lossₗ`
fn weigh(term: &Term, losses: &BTreeMap<Layer, f64>) -> f64 {
    let weight = |layer| term.layers.get(layer).copied().unwrap_or(0.0);
    term.weight
        * losses
            .iter()
            .map(|(layer, loss)| weight(layer) * loss)
            .sum::<f64>()
}

/// The losses of `image` against `targets`, and the gradient of their total.
///
/// # Errors
/// When libtorch fails. A loss that is not finite is no error here: it is said
/// in [`Evaluation::finite`].
pub fn evaluate(
    vgg: &Vgg,
    preset: &Preset,
    targets: &Targets,
    image: &Tensor,
) -> Result<Evaluation> {
    // Scalars stay on the device until all are there: each one read alone
    // would make the host wait for a GPU.
    let mut scalars = Scalars::default();
    let trace = vgg.trace(image)?;
    let gradient = vgg.gradient(trace, |layer, map, upstream| {
        let features = rows(map)?;
        let mut gradient = match &upstream {
            Some(upstream) => Some(rows(upstream)?),
            None => None,
        };
        if let (Some(target), Some(weight)) = (
            targets.content.get(&layer),
            preset.content.layers.get(&layer),
        ) {
            let difference = features.f_sub(target)?;
            scalars.push(Slot::Content(layer), mean_square(&difference)?);
            // d mean(D²) / dF = 2·D / (C·H·W)
            let scale = preset.content.weight * weight * 2.0 / elements(&features);
            if scale != 0.0 {
                let own = difference.f_mul_scalar(scale)?;
                gradient = Some(match gradient {
                    Some(mut sum) => sum.f_add_(&own)?,
                    None => own,
                });
            }
        }
        if let (Some(target), Some(weight)) =
            (targets.style.get(&layer), preset.style.layers.get(&layer))
        {
            let difference = gram(&features)?.f_sub(target)?;
            scalars.push(Slot::Style(layer), mean_square(&difference)?);
            // With D = G − A symmetric: d mean(D²) / dF = 4·F·D / (C²·C·H·W)
            let scale =
                preset.style.weight * weight * 4.0 / (elements(&difference) * elements(&features));
            if scale != 0.0 {
                let step = difference.f_mul_scalar(scale)?;
                gradient = Some(match gradient {
                    Some(mut sum) => sum.f_addmm_(&features, &step)?,
                    None => features.f_mm(&step)?,
                });
            }
        }
        match gradient {
            Some(gradient) => Ok(Some(unrows(&gradient, map)?)),
            None => Ok(None),
        }
    })?;
    let mut gradient = match gradient {
        Some(gradient) => gradient,
        None => image.f_zeros_like()?,
    };
    let smoothness = smoothness(image, preset.smoothness.weight, &mut gradient)?;
    scalars.push(Slot::Smoothness, smoothness);
    scalars.push(Slot::Gradient, magnitude(&gradient)?);

    let mut losses = Losses {
        layers: LayerLosses::default(),
        smoothness: 0.0,
    };
    let mut finite = true;
    for (slot, value) in scalars.read()? {
        match slot {
            Slot::Content(layer) => drop(losses.layers.content.insert(layer, value)),
            Slot::Style(layer) => drop(losses.layers.style.insert(layer, value)),
            Slot::Smoothness => losses.smoothness = value,
            Slot::Gradient => finite = value.is_finite(),
        }
    }
    let weighted = losses.weighted(preset);
    finite &= weighted.total.is_finite();
    Ok(Evaluation {
        losses,
        weighted,
        gradient,
        finite,
    })
}

/// Which number a scalar on the device is.
#[derive(Clone, Copy)]
enum Slot {
    Content(Layer),
    Style(Layer),
    Smoothness,
    Gradient,
}

/// Scalars gathered on the device and read in one go.
#[derive(Default)]
struct Scalars {
    slots: Vec<Slot>,
    values: Vec<Tensor>,
}

impl Scalars {
    fn push(&mut self, slot: Slot, value: Tensor) {
        self.slots.push(slot);
        self.values.push(value);
    }

    fn read(self) -> Result<impl Iterator<Item = (Slot, f64)>> {
        let all = Tensor::f_stack(&self.values, 0)?.f_to_device(tch::Device::Cpu)?;
        let mut numbers = vec![0f32; self.slots.len()];
        all.f_copy_data(&mut numbers, self.slots.len())?;
        Ok(self
            .slots
            .into_iter()
            .zip(numbers.into_iter().map(f64::from)))
    }
}

/// The Gram matrix `[C, C]` of feature rows `[H·W, C]`, over C·H·W.
fn gram(features: &Tensor) -> Result<Tensor> {
    let gram = features.f_tr()?.f_mm(features)?;
    Ok(gram.f_div_scalar(elements(features))?)
}

fn mean_square(difference: &Tensor) -> Result<Tensor> {
    let square = difference.f_square()?;
    Ok(square.f_mean(Kind::Float)?)
}

fn elements(tensor: &Tensor) -> f64 {
    tensor.numel() as f64
}

/// The smoothness of an image `[1, 3, H, W]`; adds `weight` times its gradient
/// to `gradient`.
fn smoothness(image: &Tensor, weight: f64, gradient: &mut Tensor) -> Result<Tensor> {
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
