//! The losses of an image and the gradient of their total with respect to the
//! pixels: in one pass, or tile by tile where memory is short.
//!
//! In one pass, each layer's Gram matrix is compared on the way back through
//! the network. Tile by tile it takes two: the first adds up the Gram matrices
//! of the whole picture; in the second they stand, and the gradient of each
//! tile's own part is added to the whole's.

use std::collections::BTreeMap;

use impasto_core::preset::{Layer, Preset};
use tch::Tensor;

use super::Result;
use super::loss::{Losses, Targets, Weighted, elements, grams, mean_square, smoothness};
use super::network::{Vgg, magnitude, rows, unrows};
use super::products::{add_product, products};
use super::scalars::{Reading, Readout, Scalars, Slot};
use super::tiles::{Part, Tile, tiles};

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

/// The losses of `image` against `targets`, and the gradient of their total,
/// in tiles of `side` pixels if that is given.
///
/// # Errors
/// When libtorch fails. A loss that is not finite is no error here: it is said
/// in [`Evaluation::finite`].
pub fn evaluate(
    vgg: &Vgg,
    preset: &Preset,
    targets: &Targets,
    image: &Tensor,
    side: Option<u32>,
) -> Result<Evaluation> {
    evaluate_on_device(vgg, preset, targets, image, side)?.read(preset)
}

/// As [`evaluate`], but the losses stay on the device, so that nobody waits.
///
/// # Errors
/// When libtorch fails.
pub fn evaluate_on_device(
    vgg: &Vgg,
    preset: &Preset,
    targets: &Targets,
    image: &Tensor,
    side: Option<u32>,
) -> Result<OnDevice> {
    let (_, _, height, width) = image.size4()?;
    let tiles = tiles(height, width, side, &vgg.layers());
    let mut pass = Pass {
        preset,
        targets,
        steps: BTreeMap::new(),
        scalars: Scalars::default(),
    };
    let mut gradient = if let [whole] = &tiles[..] {
        match pass.gradient(vgg, image, whole)? {
            Some(gradient) => gradient,
            None => image.f_zeros_like()?,
        }
    } else {
        for (layer, gram) in grams(vgg, &preset.style, image, side)? {
            let step = pass.style_step(layer, &gram, map_elements(&tiles, layer, &gram))?;
            pass.steps.insert(layer, step);
        }
        let sum = image.f_zeros_like()?;
        for tile in &tiles {
            if let Some(share) = pass.gradient(vgg, &tile.seen.of(image)?, tile)? {
                let _ = tile.seen.of(&sum)?.f_add_(&share)?;
            }
        }
        sum
    };
    let smoothness = smoothness(image, preset.smoothness.weight, &mut gradient)?;
    pass.scalars.add(Slot::Smoothness, smoothness)?;
    pass.scalars.add(Slot::Gradient, magnitude(&gradient)?)?;
    Ok(OnDevice {
        gradient,
        scalars: pass.scalars,
    })
}

/// How many values the whole picture's feature map of `layer` has.
fn map_elements(tiles: &[Tile], layer: Layer, gram: &Tensor) -> f64 {
    let parts = tiles.iter().filter_map(|tile| tile.part_of_whole(layer));
    let positions: i64 = parts.map(|part| part.height * part.width).sum();
    (positions * gram.size()[0]) as f64
}

/// One evaluation under way.
struct Pass<'a> {
    preset: &'a Preset,
    targets: &'a Targets,
    /// What to multiply a layer's features with for the style loss's gradient,
    /// where the first of two passes found it; none where it is nothing.
    steps: BTreeMap<Layer, Option<Tensor>>,
    scalars: Scalars,
}

impl Pass<'_> {
    /// The gradient of the losses of a tile's own part with respect to all the
    /// pixels that it sees.
    fn gradient(&mut self, vgg: &Vgg, image: &Tensor, tile: &Tile) -> Result<Option<Tensor>> {
        let trace = vgg.trace(image)?;
        let Targets { content, style } = self.targets;
        let has_loss = |layer| content.contains_key(&layer) || style.contains_key(&layer);
        vgg.gradient(trace, has_loss, |layer, map, upstream| {
            self.add(layer, map, upstream, tile)
        })
    }

    /// Adds a layer's own gradient to the one from deeper layers.
    fn add(
        &mut self,
        layer: Layer,
        map: &Tensor,
        upstream: Option<Tensor>,
        tile: &Tile,
    ) -> Result<Option<Tensor>> {
        let (Some(own), Some(place)) = (tile.own_part(layer), tile.part_of_whole(layer)) else {
            return Ok(upstream);
        };
        let mut gradient = upstream;
        let content = &self.preset.content;
        let target = self.targets.content.get(&layer);
        if let Some(target) = target.filter(|_| content.layers.contains_key(&layer)) {
            let count = elements(target);
            let difference = own.of(map)?.f_sub(&place.of(target)?)?;
            let share = elements(&difference) / count;
            let loss = mean_square(&difference)?.f_mul_scalar_(share)?;
            self.scalars.add(Slot::Content(layer), loss)?;
            // d mean(D²) / dF = 2·D / (C·H·W)
            let scale = content.factor(layer) * 2.0 / count;
            if scale != 0.0 {
                gradient = Some(sum(gradient, difference.f_mul_scalar(scale)?, map, own)?);
            }
        }
        if !self.targets.style.contains_key(&layer) {
            return Ok(gradient);
        }
        let features = rows(&own.of(map)?)?;
        let computed;
        let step = match self.steps.get(&layer) {
            Some(step) => step,
            None => {
                let count = elements(&features);
                let gram = products(&features)?.f_div_scalar(count)?;
                computed = self.style_step(layer, &gram, count)?;
                &computed
            }
        };
        let Some(step) = step else {
            return Ok(gradient);
        };
        Ok(Some(match gradient {
            Some(gradient) if own.covers(map) => {
                let sum = add_product(Some(rows(&gradient)?), &features, step)?;
                unrows(&sum, map)?
            }
            gradient => {
                let share = add_product(None, &features, step)?;
                sum(gradient, unrows(&share, &own.of(map)?)?, map, own)?
            }
        }))
    }

    /// Compares a Gram matrix with the style's: counts the loss, and gives what
    /// features are to be multiplied with for its gradient. `count` is C·H·W of
    /// the whole picture.
    fn style_step(&mut self, layer: Layer, gram: &Tensor, count: f64) -> Result<Option<Tensor>> {
        let style = &self.preset.style;
        let target = self.targets.style.get(&layer);
        let Some(target) = target.filter(|_| style.layers.contains_key(&layer)) else {
            return Ok(None);
        };
        let difference = gram.f_sub(target)?;
        self.scalars
            .add(Slot::Style(layer), mean_square(&difference)?)?;
        // With D = G − A symmetric: d mean(D²) / dF = 4·F·D / (C²·C·H·W)
        let scale = style.factor(layer) * 4.0 / (elements(&difference) * count);
        if scale == 0.0 {
            return Ok(None);
        }
        Ok(Some(difference.f_mul_scalar(scale)?))
    }
}

/// Adds what belongs to the part `own` of a map to the gradient of all of it.
fn sum(gradient: Option<Tensor>, share: Tensor, map: &Tensor, own: Part) -> Result<Tensor> {
    let whole = match gradient {
        None if own.covers(map) => return Ok(share),
        None => map.f_zeros_like()?,
        Some(gradient) => gradient,
    };
    let _ = own.of(&whole)?.f_add_(&share)?;
    Ok(whole)
}

/// The losses of an image, still on the device that computed them.
pub struct OnDevice {
    /// As [`Evaluation::gradient`].
    pub gradient: Tensor,
    scalars: Scalars,
}

/// The losses of an image as tensors that nobody has to read, on the device
/// that computed them.
#[derive(Debug)]
pub struct DeviceEvaluation {
    /// As [`Evaluation::gradient`].
    pub gradient: Tensor,
    /// Every loss before its weight and the gradient's magnitude, `[N]`,
    /// float32, as [`Readout::read`] reads them.
    pub row: Tensor,
    /// The weighted total, float64, 0-dimensional.
    pub total: Tensor,
}

impl OnDevice {
    /// Reads the losses, which waits for the device.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn read(self, preset: &Preset) -> Result<Evaluation> {
        let Reading {
            losses,
            weighted,
            finite,
        } = self.scalars.read(preset)?;
        Ok(Evaluation {
            losses,
            weighted,
            gradient: self.gradient,
            finite,
        })
    }

    /// The losses as tensors, weighed on the device. `readout` is made by the
    /// first evaluation and serves all that have the same targets and weights.
    /// Waits for nothing, but for making it.
    ///
    /// # Errors
    /// When the evaluation has other losses than the readout was made for, and
    /// when libtorch fails.
    pub fn findings(
        self,
        preset: &Preset,
        readout: &mut Option<Readout>,
    ) -> Result<DeviceEvaluation> {
        let readout = match readout {
            Some(readout) => readout,
            none => none.insert(self.scalars.readout(preset)?),
        };
        let (row, total) = readout.gather(&self.scalars)?;
        Ok(DeviceEvaluation {
            gradient: self.gradient,
            row,
            total,
        })
    }
}
