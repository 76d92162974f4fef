//! Content, style and smoothness: what they compare with, and their formulas.
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
use std::collections::btree_map::Entry;

use impasto_core::preset::{Layer, Preset, Term};
use impasto_core::protocol::LayerLosses;
use tch::{Kind, Tensor};

use super::network::{Vgg, rows};
use super::products::products;
use super::tiles::{Part, Tile, tiles};
use super::{Result, cuda};

/// What the image is compared with at one scale.
#[derive(Debug, Default)]
pub struct Targets {
    /// The content's feature maps, `[1, C, H, W]` channels last, of the
    /// network's own kind.
    pub(super) content: BTreeMap<Layer, Tensor>,
    /// The style's Gram matrices, `[C, C]`, float32.
    pub(super) style: BTreeMap<Layer, Tensor>,
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

impl Targets {
    /// Computes the targets of the layers that `preset` names, in tiles of
    /// `side` if that is given. `report` is called with each step that begins.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn new(
        vgg: &Vgg,
        preset: &Preset,
        content: &Tensor,
        style: &Tensor,
        side: Option<u32>,
        report: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        let mut targets = Self::default();
        // A term without layers needs no pass.
        if !preset.content.layers.is_empty() {
            report("looking at the content");
            visit_tiles(vgg, content, side, |tile, layer, map| {
                if preset.content.layers.contains_key(&layer) {
                    targets.keep_content(content, tile, layer, map)?;
                }
                Ok(())
            })?;
        }
        if !preset.style.layers.is_empty() {
            report("looking at the style");
            targets.style = grams(vgg, &preset.style, style, side)?;
        }
        Ok(targets)
    }

    /// Puts a tile's part of the content's feature map in its place.
    fn keep_content(
        &mut self,
        content: &Tensor,
        tile: &Tile,
        layer: Layer,
        map: &Tensor,
    ) -> Result<()> {
        let (Some(own), Some(place)) = (tile.own_part(layer), tile.part_of_whole(layer)) else {
            return Ok(());
        };
        if own.covers(map) && !self.content.contains_key(&layer) && tile.is_whole(content) {
            self.content.insert(layer, map.shallow_clone());
            return Ok(());
        }
        let (_, _, height, width) = content.size4()?;
        let whole = Tile::whole(height, width).part_of_whole(layer);
        let whole = whole.unwrap_or(Part::whole(0, 0));
        let (_, channels, ..) = map.size4()?;
        let target = match self.content.entry(layer) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let shape = [1, whole.height, whole.width, channels];
                let empty = Tensor::f_zeros(shape, (map.f_kind()?, map.device()))?;
                entry.insert(empty.f_permute([0, 3, 1, 2])?)
            }
        };
        place.of(target)?.f_copy_(&own.of(map)?)?;
        Ok(())
    }
}

/// The Gram matrices of the layers that `term` names, each `[C, C]`, float32.
///
/// # Errors
/// When libtorch fails.
pub(super) fn grams(
    vgg: &Vgg,
    term: &Term,
    image: &Tensor,
    side: Option<u32>,
) -> Result<BTreeMap<Layer, Tensor>> {
    let mut sums: BTreeMap<Layer, (Tensor, f64)> = BTreeMap::new();
    visit_tiles(vgg, image, side, |tile, layer, map| {
        let Some(own) = tile
            .own_part(layer)
            .filter(|_| term.layers.contains_key(&layer))
        else {
            return Ok(());
        };
        let features = rows(&own.of(map)?)?;
        let products = products(&features)?;
        match sums.entry(layer) {
            Entry::Vacant(entry) => {
                entry.insert((products, elements(&features)));
            }
            Entry::Occupied(mut entry) => {
                let (sum, count) = entry.get_mut();
                let _ = sum.f_add_(&products)?;
                *count += elements(&features);
            }
        }
        Ok(())
    })?;
    sums.into_iter()
        .map(|(layer, (sum, count))| Ok((layer, sum.f_div_scalar(count)?)))
        .collect()
}

/// Shows `visit` the feature maps of every tile of a picture in turn.
fn visit_tiles(
    vgg: &Vgg,
    image: &Tensor,
    side: Option<u32>,
    mut visit: impl FnMut(&Tile, Layer, &Tensor) -> Result<()>,
) -> Result<()> {
    let (_, _, height, width) = image.size4()?;
    for tile in tiles(height, width, side, &vgg.layers()) {
        vgg.visit(&tile.seen.of(image)?, |layer, map| visit(&tile, layer, map))?;
    }
    Ok(())
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
pub(super) fn smoothness(image: &Tensor, weight: f64, gradient: &mut Tensor) -> Result<Tensor> {
    if let Some(kernels) = cuda::kernels(image.device())
        && let Some(mean) = kernels.smoothness(image, weight, gradient)?
    {
        return Ok(mean);
    }
    smoothness_by_libtorch(image, weight, gradient)
}

/// As [`smoothness`], by libtorch's operations.
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
