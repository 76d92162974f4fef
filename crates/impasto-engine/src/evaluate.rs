//! The losses of an image and the gradient of their total with respect to the
//! pixels: in one pass, or tile by tile where memory is short.
//!
//! In one pass, each layer's statistics are compared on the way back through
//! the network. Tile by tile it takes two: the first adds up the statistics
//! of the whole picture; in the second they stand, and the gradient of each
//! tile's own part is added to the whole's. Normalised gradients take one more
//! pass between the two, which adds up their norms.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, PoisonError};

use impasto_core::preset::{Layer, Preset, Smoothness};
use tch::{Device, Kind, Tensor};

use super::kernels;
use super::loss::{Losses, Weighted, elements, mean_square, smoothness};
use super::network::{Trace, Vgg, magnitude, rows, unrows};
use super::scalars::{Reading, Readout, Scalars, Slot};
use super::statistic::{self, Comparison, Needs, Slope, Sums};
use super::targets::{RegionTarget, Targets, visit_tiles};
use super::tiles::{Part, Tile, tiles};
use super::{EngineError, Result};

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
    let composed = targets.compose(image)?;
    let (_, _, height, width) = image.size4()?;
    let tiles = tiles(height, width, side, &vgg.layers());
    let mut pass = Pass {
        preset,
        targets,
        whole: Part::whole(height, width),
        slopes: BTreeMap::new(),
        norms: BTreeMap::new(),
        scalars: Scalars::default(),
    };
    let mut gradient = if let [whole] = &tiles[..] {
        match pass.gradient(vgg, &composed, whole)? {
            Some(gradient) => gradient,
            None => image.f_zeros_like()?,
        }
    } else {
        pass.compare_in_tiles(vgg, &composed, side)?;
        let sum = image.f_zeros_like()?;
        for tile in &tiles {
            if let Some(share) = pass.gradient(vgg, &tile.seen.of(&composed)?, tile)? {
                let _ = tile.seen.of(&sum)?.f_add_(&share)?;
            }
        }
        sum
    };
    let Smoothness { weight, norm } = preset.smoothness;
    let smoothness = smoothness(&composed, norm, weight, &mut gradient)?;
    pass.scalars.add(Slot::Smoothness, smoothness)?;
    if let Some(laplacian) = &targets.laplacian {
        let loss = laplacian.compare(&composed, preset.content.laplacian, &gradient)?;
        pass.scalars.add(Slot::Laplacian, loss)?;
    }
    if let Some(kept) = &targets.kept {
        gradient = kept.gradient(&gradient)?;
    }
    pass.scalars.add(Slot::Gradient, magnitude(&gradient)?)?;
    Ok(OnDevice {
        gradient,
        scalars: pass.scalars,
    })
}

/// One evaluation under way.
struct Pass<'a> {
    preset: &'a Preset,
    targets: &'a Targets,
    /// The image.
    whole: Part,
    /// The derivatives of each style layer's losses, one for each region, where an
    /// earlier pass found them.
    slopes: BTreeMap<Layer, Vec<Option<Slope>>>,
    /// The L1 norms of each layer's own gradient, where they are wanted and an earlier
    /// pass found them.
    norms: BTreeMap<(Layer, Side), Tensor>,
    scalars: Scalars,
}

/// Which of its two gradients of its own a layer is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Content,
    Style,
}

/// Added to a gradient's norm before it is divided by that, as in neural-style.
const NORM_EPSILON: f64 = 1e-8;

impl Pass<'_> {
    /// The passes that come before the gradient's where there are tiles: statistics are
    /// those of the whole image, and so are norms.
    fn compare_in_tiles(&mut self, vgg: &Vgg, image: &Tensor, side: Option<u32>) -> Result<()> {
        let style = &self.preset.style;
        let mut sums: BTreeMap<Layer, Vec<Sums>> = BTreeMap::new();
        visit_tiles(vgg, image, side, |tile, layer, map| {
            let (Some(own), Some(place)) = (tile.own_part(layer), tile.part_of_whole(layer)) else {
                return Ok(());
            };
            let Some(regions) = self.regions(layer) else {
                return Ok(());
            };
            let needs = statistic::of(style, layer).needs();
            let mut new = region_sums(needs, map, (own, place), regions)?;
            match sums.entry(layer) {
                Entry::Vacant(entry) => {
                    let mut shared = None;
                    for sums in &mut new {
                        sums.widen(place, self.whole_map(layer), &mut shared)?;
                    }
                    entry.insert(new);
                }
                Entry::Occupied(mut entry) => {
                    for (sums, new) in entry.get_mut().iter_mut().zip(&new) {
                        sums.add(new, place)?;
                    }
                }
            }
            Ok(())
        })?;
        for (layer, sums) in sums {
            let slopes = self.compare(layer, &sums)?;
            self.slopes.insert(layer, slopes);
        }
        if !self.preset.normalize_gradients {
            return Ok(());
        }
        let mut norms: BTreeMap<(Layer, Side), Tensor> = BTreeMap::new();
        visit_tiles(vgg, image, side, |tile, layer, map| {
            let (Some(own), Some(place)) = (tile.own_part(layer), tile.part_of_whole(layer)) else {
                return Ok(());
            };
            let part = own.of(map)?;
            let content = self.content_difference(layer, &part, place)?;
            let content = content.map(|(difference, count)| {
                let share = difference.f_mul_scalar(2.0 / count)?;
                Ok::<_, EngineError>((Side::Content, share))
            });
            let style = match self.slopes.get(&layer) {
                None => None,
                Some(slopes) => {
                    let features = rows(&part)?;
                    self.style_share(layer, slopes, None, &features, place)?
                        .map(|share| (Side::Style, share))
                }
            };
            for (which, share) in content.transpose()?.into_iter().chain(style) {
                let norm = share.f_abs()?.f_sum(Kind::Float)?;
                match norms.entry((layer, which)) {
                    Entry::Vacant(entry) => drop(entry.insert(norm)),
                    Entry::Occupied(mut entry) => drop(entry.get_mut().f_add_(&norm)?),
                }
            }
            Ok(())
        })?;
        self.norms = norms;
        Ok(())
    }

    /// The gradient of the losses of a tile's own part with respect to all the
    /// pixels that it sees.
    fn gradient(&mut self, vgg: &Vgg, image: &Tensor, tile: &Tile) -> Result<Option<Tensor>> {
        let trace = vgg.trace(image)?;
        if image.device() == Device::Cpu && self.slopes.is_empty() {
            self.compare_ahead(vgg, &trace, tile)?;
        }
        let Targets { content, style, .. } = self.targets;
        let has_loss = |layer| content.contains_key(&layer) || style.contains_key(&layer);
        vgg.gradient(trace, has_loss, |layer, map, upstream| {
            self.add(layer, map, upstream, tile)
        })
    }

    /// Compares the layers whose statistic is slow at it all at once, one on each thread.
    fn compare_ahead(&mut self, vgg: &Vgg, trace: &Trace, tile: &Tile) -> Result<()> {
        let style = &self.preset.style;
        let mut waiting = Vec::new();
        for (layer, map) in vgg.layers().into_iter().zip(trace.maps()) {
            let statistic = statistic::of(style, layer);
            let Some(regions) = self.regions(layer).filter(|_| statistic.compares_slowly()) else {
                continue;
            };
            let (Some(own), Some(place)) = (tile.own_part(layer), tile.part_of_whole(layer)) else {
                continue;
            };
            let sums = region_sums(statistic.needs(), map, (own, place), regions)?;
            waiting.push((layer, sums));
        }
        // The deepest layers have the most channels: they begin.
        waiting.reverse();
        let mut work = Vec::new();
        for (layer, sums) in &waiting {
            let regions = self.regions(*layer).unwrap_or_default();
            let factor = self.style_factor(*layer) * statistic::balance(style, *layer);
            for (region, index) in regions.iter().zip(sums_of_regions(regions)) {
                work.push(Mutex::new((
                    statistic::of(style, *layer),
                    sums[index].shared(),
                    region.target.shared(),
                    factor * region.share,
                    None,
                )));
            }
        }
        kernels::parallel(work.len(), |index| {
            let mut item = work[index].lock().unwrap_or_else(PoisonError::into_inner);
            let (statistic, sums, target, factor, found) = &mut *item;
            *found = Some(statistic.compare(sums, target, *factor));
        });
        let found = work.into_iter().filter_map(|item| {
            let (.., found) = item.into_inner().unwrap_or_else(PoisonError::into_inner);
            found
        });
        let mut found = found.collect::<Result<Vec<_>>>()?.into_iter();
        for (layer, _) in waiting {
            let count = self.regions(layer).unwrap_or_default().len();
            let slopes = self.count(layer, found.by_ref().take(count))?;
            self.slopes.insert(layer, slopes);
        }
        Ok(())
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
        let part = own.of(map)?;
        if let Some((difference, count)) = self.content_difference(layer, &part, place)? {
            let share = elements(&difference) / count;
            let loss = mean_square(&difference)?.f_mul_scalar_(share)?;
            self.scalars.add(Slot::Content(layer), loss)?;
            // d mean(D²) / dF = 2·D / (C·H·W)
            let factor = self.preset.content.factor(layer);
            if factor != 0.0 {
                let share = match self.preset.normalize_gradients {
                    false => difference.f_mul_scalar(factor * 2.0 / count)?,
                    true => {
                        let share = difference.f_mul_scalar(2.0 / count)?;
                        self.normalized((layer, Side::Content), share, factor)?
                    }
                };
                gradient = Some(sum(gradient, share, map, own)?);
            }
        }
        let Some(regions) = self.regions(layer) else {
            return Ok(gradient);
        };
        let computed;
        let slopes = match self.slopes.get(&layer) {
            Some(slopes) => slopes,
            None => {
                let needs = statistic::of(&self.preset.style, layer).needs();
                let sums = region_sums(needs, map, (own, place), regions)?;
                computed = self.compare(layer, &sums)?;
                &computed
            }
        };
        let features = rows(&part)?;
        if self.preset.normalize_gradients {
            let factor = self.preset.style.factor(layer);
            return match self.style_share(layer, slopes, None, &features, place)? {
                Some(share) => {
                    let share = self.normalized((layer, Side::Style), share, factor)?;
                    Ok(Some(sum(gradient, unrows(&share, &part)?, map, own)?))
                }
                None => Ok(gradient),
            };
        }
        Ok(match gradient {
            Some(gradient) if own.covers(map) => {
                let upstream = rows(&gradient)?;
                match self.style_share(layer, slopes, Some(upstream), &features, place)? {
                    Some(sum) => Some(unrows(&sum, map)?),
                    None => Some(gradient),
                }
            }
            gradient => match self.style_share(layer, slopes, None, &features, place)? {
                Some(share) => Some(sum(gradient, unrows(&share, &part)?, map, own)?),
                None => gradient,
            },
        })
    }

    /// The regions that the style is compared in, if it is in this layer.
    fn regions(&self, layer: Layer) -> Option<&[RegionTarget]> {
        let regions = self.targets.style.get(&layer)?;
        let named = self.preset.style.layers.contains_key(&layer);
        (named && !regions.is_empty()).then_some(&regions[..])
    }

    fn whole_map(&self, layer: Layer) -> Part {
        let whole = Tile::whole(self.whole.height, self.whole.width).part_of_whole(layer);
        whole.unwrap_or(Part::whole(0, 0))
    }

    /// The part of a layer's features minus the content's, and C·H·W of the whole map;
    /// none where the content is not compared.
    fn content_difference(
        &self,
        layer: Layer,
        part: &Tensor,
        place: Part,
    ) -> Result<Option<(Tensor, f64)>> {
        let target = self.targets.content.get(&layer);
        let named = self.preset.content.layers.contains_key(&layer);
        let Some(target) = target.filter(|_| named) else {
            return Ok(None);
        };
        let difference = part.f_sub(&place.of(target)?)?;
        Ok(Some((difference, elements(target))))
    }

    /// Compares a layer's sums with the style's, region by region: counts the loss, and
    /// gives the derivatives, with their weights unless gradients are normalised.
    fn compare(&mut self, layer: Layer, sums: &[Sums]) -> Result<Vec<Option<Slope>>> {
        let style = &self.preset.style;
        let statistic = statistic::of(style, layer);
        let factor = self.style_factor(layer) * statistic::balance(style, layer);
        let targets = self.targets;
        let regions = targets.style.get(&layer).map_or(&[][..], Vec::as_slice);
        let mut found = Vec::new();
        for (region, index) in regions.iter().zip(sums_of_regions(regions)) {
            let factor = factor * region.share;
            found.push(statistic.compare(&sums[index], &region.target, factor)?);
        }
        self.count(layer, found)
    }

    /// What a style layer's derivative is multiplied by: its weight, unless that follows
    /// when the gradient is normalised.
    fn style_factor(&self, layer: Layer) -> f64 {
        match (
            self.preset.normalize_gradients,
            self.preset.style.factor(layer),
        ) {
            (true, factor) if factor != 0.0 => 1.0,
            (_, factor) => factor,
        }
    }

    /// Counts the losses of a style layer's regions, and gives their derivatives.
    fn count(
        &mut self,
        layer: Layer,
        found: impl IntoIterator<Item = Comparison>,
    ) -> Result<Vec<Option<Slope>>> {
        let balance = statistic::balance(&self.preset.style, layer);
        let targets = self.targets;
        let regions = targets.style.get(&layer).map_or(&[][..], Vec::as_slice);
        let mut slopes = Vec::new();
        for (region, found) in regions.iter().zip(found) {
            let weight = region.share * balance;
            let loss = match weight == 1.0 {
                true => found.loss,
                false => found.loss.f_mul_scalar(weight)?,
            };
            self.scalars.add(Slot::Style(layer), loss)?;
            slopes.push(found.slope);
        }
        Ok(slopes)
    }

    /// The style's own gradient of a part's rows, added to `upstream`.
    fn style_share(
        &self,
        layer: Layer,
        slopes: &[Option<Slope>],
        upstream: Option<Tensor>,
        features: &Tensor,
        place: Part,
    ) -> Result<Option<Tensor>> {
        let regions = self.regions(layer).unwrap_or_default();
        let mut gradient = upstream;
        for (region, slope) in regions.iter().zip(slopes) {
            if let Some(slope) = slope {
                let guide = region.guide.as_ref();
                gradient = Some(slope.add_to(gradient, features, place, guide)?);
            }
        }
        Ok(gradient)
    }

    /// A layer's own gradient divided by its L1 norm over the whole image, times its
    /// weight (the option `-normalize_gradients` of neural-style).
    fn normalized(&self, key: (Layer, Side), share: Tensor, factor: f64) -> Result<Tensor> {
        let norm = match self.norms.get(&key) {
            Some(norm) => norm.shallow_clone(),
            None => share.f_abs()?.f_sum(Kind::Float)?,
        };
        let norm = norm.f_add_scalar(NORM_EPSILON)?;
        let scale = norm.f_reciprocal()?.f_mul_scalar(factor)?;
        Ok(share.f_mul(&scale.f_to_kind(share.f_kind()?)?)?)
    }
}

/// The sums of a part of a map: for each region with a guide, in their order, and before
/// them those of the whole image, if a region has none.
fn region_sums(
    needs: Needs,
    map: &Tensor,
    parts: (Part, Part),
    regions: &[RegionTarget],
) -> Result<Vec<Sums>> {
    let plain = regions.iter().any(|region| region.guide.is_none());
    let guides = regions.iter().filter_map(|region| region.guide.as_ref());
    plain
        .then_some(None)
        .into_iter()
        .chain(guides.map(Some))
        .map(|guide| Sums::of(needs, map, parts, guide))
        .collect()
}

/// Which of [`region_sums`] belongs to each region.
fn sums_of_regions(regions: &[RegionTarget]) -> Vec<usize> {
    let plain = regions.iter().any(|region| region.guide.is_none());
    let mut next = usize::from(plain);
    let place = |region: &RegionTarget| match region.guide {
        None => 0,
        Some(_) => {
            next += 1;
            next - 1
        }
    };
    regions.iter().map(place).collect()
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
