//! What an image is compared with at one scale: the content's feature maps and edges,
//! and the styles' statistics, each for the region of the image that it paints.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use impasto_core::preset::{Blend, Guides, Layer, Preset, StyleTerm};
use tch::{Kind, Tensor};

use super::Result;
use super::laplacian::Laplacian;
use super::network::{Vgg, opens_block};
use super::statistic::{self, Sums, Target};
use super::tiles::{Part, Tile, tiles};

/// The pictures that targets are computed of, at the sizes of one scale.
#[derive(Debug)]
pub struct TargetImages {
    /// `[1, 3, H, W]`, RGB in 0..1, like the styles.
    pub content: Tensor,
    pub styles: Vec<Tensor>,
    pub masks: Vec<StyleMask>,
}

/// Where one style paints.
#[derive(Debug)]
pub struct StyleMask {
    /// The style, counted from 0.
    pub style: usize,
    /// The region of the image, `[1, 1, H, W]` in 0..1, of the content's size.
    pub mask: Tensor,
    /// The region of the style that is looked at, of the style's size.
    pub region: Option<Tensor>,
}

impl TargetImages {
    /// One style, which paints everywhere.
    pub fn pair(content: &Tensor, style: &Tensor) -> Self {
        Self {
            content: content.shallow_clone(),
            styles: vec![style.shallow_clone()],
            masks: Vec::new(),
        }
    }
}

/// What the image is compared with at one scale.
#[derive(Debug, Default)]
pub struct Targets {
    /// The content's feature maps, `[1, C, H, W]` channels last, of the
    /// network's own kind.
    pub(super) content: BTreeMap<Layer, Tensor>,
    /// The content's edges, if the preset compares them.
    pub(super) laplacian: Option<Laplacian>,
    /// What each region is compared with.
    pub(super) style: BTreeMap<Layer, Vec<RegionTarget>>,
    /// What no style paints, if that is anything.
    pub(super) kept: Option<Kept>,
}

/// What one region of the image is compared with in one layer.
#[derive(Debug)]
pub(super) struct RegionTarget {
    /// Its share of the layer's loss.
    pub share: f64,
    /// The weights of the layer's positions, `[1, 1, H, W]` with a mean of 1; none
    /// where the region is all of the image.
    pub guide: Option<Tensor>,
    pub target: Target,
}

/// The part of the image that stays as it is in the content.
#[derive(Debug)]
pub(super) struct Kept {
    /// How much of each pixel is painted, `[1, 1, H, W]` in 0..1.
    painted: Tensor,
    content: Tensor,
}

impl Kept {
    /// The image with the content where nothing is painted.
    pub fn compose(&self, image: &Tensor) -> Result<Tensor> {
        let difference = image.f_sub(&self.content)?;
        Ok(self.content.f_add(&difference.f_mul(&self.painted)?)?)
    }

    /// The derivative of a composed image's loss with respect to the image itself.
    pub fn gradient(&self, gradient: &Tensor) -> Result<Tensor> {
        Ok(gradient.f_mul(&self.painted)?)
    }
}

/// A region of the image, and the styles that paint it with their shares.
struct Region {
    share: f64,
    /// `[1, 1, H, W]`; none: everywhere.
    mask: Option<Tensor>,
    styles: Vec<(usize, f64)>,
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
        images: &TargetImages,
        side: Option<u32>,
        report: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        let mut targets = Self::default();
        // A term without layers needs no pass.
        if !preset.content.layers.is_empty() {
            report("looking at the content");
            visit_tiles(vgg, &images.content, side, |tile, layer, map| {
                if preset.content.layers.contains_key(&layer) {
                    targets.keep_content(&images.content, tile, layer, map)?;
                }
                Ok(())
            })?;
        }
        if preset.content.laplacian > 0.0 {
            targets.laplacian = Some(Laplacian::of(&images.content)?);
        }
        let (regions, kept) = regions(&preset.style, images)?;
        targets.kept = kept;
        if !preset.style.layers.is_empty() {
            report("looking at the style");
            targets.style = style_targets(vgg, &preset.style, images, &regions, side)?;
        }
        Ok(targets)
    }

    /// Gives up what an image is compared with; what it is shown with stays.
    pub fn empty(&mut self) {
        let kept = self.kept.take();
        *self = Self {
            kept,
            ..Self::default()
        };
    }

    /// Whether there is nothing to compare an image with.
    pub fn is_empty(&self) -> bool {
        self.content.is_empty() && self.style.is_empty() && self.laplacian.is_none()
    }

    /// The same for images that are composed already: the saved picture of a run.
    #[must_use]
    pub fn for_composed(self) -> Self {
        Self { kept: None, ..self }
    }

    /// The image as it is evaluated and shown: with the content where nothing is painted.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn compose(&self, image: &Tensor) -> Result<Tensor> {
        match &self.kept {
            Some(kept) => kept.compose(image),
            None => Ok(image.shallow_clone()),
        }
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
        let whole = whole_map(content, layer)?;
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

/// The whole feature map of an image `[1, 3, H, W]` in a layer.
pub(super) fn whole_map(image: &Tensor, layer: Layer) -> Result<Part> {
    let (_, _, height, width) = image.size4()?;
    let whole = Tile::whole(height, width).part_of_whole(layer);
    Ok(whole.unwrap_or(Part::whole(0, 0)))
}

/// The regions of the image, and what no style paints.
fn regions(style: &StyleTerm, images: &TargetImages) -> Result<(Vec<Region>, Option<Kept>)> {
    let count = images.styles.len();
    let shares = style.shares(count);
    // A style with several masks paints in all of them.
    let mut masks: Vec<Option<Tensor>> = (0..count).map(|_| None).collect();
    for mask in &images.masks {
        let Some(sum) = masks.get_mut(mask.style) else {
            continue;
        };
        *sum = Some(match sum.take() {
            None => mask.mask.shallow_clone(),
            Some(sum) => sum.f_add(&mask.mask)?.f_clamp(0.0, 1.0)?,
        });
    }
    let mut covered: Option<Tensor> = None;
    for mask in masks.iter().flatten() {
        covered = Some(match covered {
            None => mask.shallow_clone(),
            Some(sum) => sum.f_add(mask)?,
        });
    }
    let covered = covered.map(|sum| sum.f_clamp(0.0, 1.0)).transpose()?;
    let mut regions = Vec::new();
    for (index, mask) in masks.iter().enumerate() {
        if let Some(mask) = mask {
            regions.push(Region {
                share: shares[index],
                mask: Some(mask.shallow_clone()),
                styles: vec![(index, 1.0)],
            });
        }
    }
    // The others paint what no mask covers.
    let rest: Vec<usize> = (0..count).filter(|index| masks[*index].is_none()).collect();
    let mask = match &covered {
        Some(covered) => Some(covered.f_neg()?.f_add_scalar(1.0)?),
        None => None,
    };
    let sum: f64 = rest.iter().map(|index| shares[*index]).sum();
    let alone = |index: usize| Region {
        share: shares[index],
        mask: mask.as_ref().map(Tensor::shallow_clone),
        styles: vec![(index, 1.0)],
    };
    match style.blend {
        Blend::Losses => regions.extend(rest.iter().map(|index| alone(*index))),
        Blend::Target if sum > 0.0 => {
            let of = |index: usize| (index, shares[index] / sum);
            regions.push(Region {
                share: sum,
                mask: mask.as_ref().map(Tensor::shallow_clone),
                styles: rest.iter().map(|index| of(*index)).collect(),
            });
        }
        Blend::Target => {}
    }
    let kept = match covered {
        Some(painted) if rest.is_empty() => Some(Kept {
            painted,
            content: images.content.shallow_clone(),
        }),
        _ => None,
    };
    Ok((regions, kept))
}

/// What each region is compared with, layer by layer.
fn style_targets(
    vgg: &Vgg,
    term: &StyleTerm,
    images: &TargetImages,
    regions: &[Region],
    side: Option<u32>,
) -> Result<BTreeMap<Layer, Vec<RegionTarget>>> {
    // The targets of each style by itself.
    let mut alone: BTreeMap<Layer, Vec<Option<Target>>> = BTreeMap::new();
    for (index, style) in images.styles.iter().enumerate() {
        let region = region_of(images, index)?;
        let mut sums: BTreeMap<Layer, Sums> = BTreeMap::new();
        let mut guides: BTreeMap<Layer, Option<Tensor>> = BTreeMap::new();
        for layer in vgg.layers() {
            let guide = match (&region, term.layers.contains_key(&layer)) {
                (Some(region), true) => guide(region, layer, Guides::Resized, &vgg.layers())?,
                _ => None,
            };
            guides.insert(layer, guide);
        }
        visit_tiles(vgg, style, side, |tile, layer, map| {
            let (Some(own), Some(place)) = (tile.own_part(layer), tile.part_of_whole(layer)) else {
                return Ok(());
            };
            if !term.layers.contains_key(&layer) {
                return Ok(());
            }
            let needs = statistic::of(term, layer).needs();
            let guide = guides.get(&layer).and_then(Option::as_ref);
            let part = Sums::of(needs, map, (own, place), guide)?;
            add_sums(&mut sums, layer, part, (place, whole_map(style, layer)?))
        })?;
        for (layer, sums) in sums {
            let whole = whole_map(&images.content, layer)?;
            let positions = whole.height * whole.width;
            let target = statistic::of(term, layer).target(&sums, positions)?;
            let targets = alone.entry(layer).or_default();
            targets.resize_with(images.styles.len(), || None);
            targets[index] = Some(target);
        }
    }
    let mut all = BTreeMap::new();
    for (layer, mut targets) in alone {
        let statistic = statistic::of(term, layer);
        let mut of_layer = Vec::new();
        for region in regions {
            let guide = match &region.mask {
                None => None,
                Some(mask) => match guide(mask, layer, term.guides, &vgg.layers())? {
                    Some(guide) => Some(guide),
                    // Nothing of it is left in this layer.
                    None => continue,
                },
            };
            let mut own = Vec::new();
            for (index, share) in &region.styles {
                // Every style belongs to one region.
                own.extend(targets[*index].take().map(|target| (*share, target)));
            }
            if own.is_empty() {
                continue;
            }
            let average = Target::average(own)?;
            of_layer.push(RegionTarget {
                share: region.share,
                guide,
                target: statistic.prepare(average)?,
            });
        }
        all.insert(layer, of_layer);
    }
    Ok(all)
}

/// The region of a style that is looked at: what any of its masks says; none for all.
fn region_of(images: &TargetImages, style: usize) -> Result<Option<Tensor>> {
    let mut sum: Option<Tensor> = None;
    for mask in images.masks.iter().filter(|mask| mask.style == style) {
        let Some(region) = &mask.region else {
            return Ok(None);
        };
        sum = Some(match sum {
            None => region.shallow_clone(),
            Some(sum) => sum.f_add(region)?.f_clamp(0.0, 1.0)?,
        });
    }
    Ok(sum)
}

/// Adds the sums of a tile, the part `place` of the `whole`, to those of the tiles before.
fn add_sums(
    all: &mut BTreeMap<Layer, Sums>,
    layer: Layer,
    mut part: Sums,
    (place, whole): (Part, Part),
) -> Result<()> {
    match all.entry(layer) {
        Entry::Vacant(entry) => {
            part.widen(place, whole, &mut None)?;
            entry.insert(part);
        }
        Entry::Occupied(mut entry) => entry.get_mut().add(&part, place)?,
    }
    Ok(())
}

/// The weights of a layer's positions for a region `[1, 1, H, W]` of the picture: the
/// squares of the guidance channel of Gatys et al. 2017 ("Controlling Perceptual
/// Factors in Neural Style Transfer"), whose mean is 1. None where nothing of the
/// region is left.
fn guide(mask: &Tensor, layer: Layer, guides: Guides, layers: &[Layer]) -> Result<Option<Tensor>> {
    let whole = whole_map(mask, layer)?;
    let size = [whole.height, whole.width];
    let channel = match guides {
        Guides::Resized => mask.f_adaptive_avg_pool2d(size)?,
        Guides::Inside => inside(mask, layer, layers)?,
    };
    let square = channel.f_square()?;
    let mean = square.f_mean(Kind::Float)?;
    // Waits for the device: once for each scale.
    if mean.f_double_value(&[])? < 1e-6 {
        return Ok(None);
    }
    Ok(Some(square.f_div(&mean)?))
}

/// The least value of the region within what each position of a layer sees: a position
/// of a convolution sees 3×3 of the layer before, one of a pooling 2×2.
fn inside(mask: &Tensor, layer: Layer, layers: &[Layer]) -> Result<Tensor> {
    let mut most = mask.f_neg()?;
    for seen in layers.iter().take_while(|seen| **seen <= layer) {
        if opens_block(*seen) {
            most = most.f_max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)?;
        }
        most = most.f_max_pool2d([3, 3], [1, 1], [1, 1], [1, 1], false)?;
    }
    Ok(most.f_neg()?)
}

/// Shows `visit` the feature maps of every tile of a picture in turn.
pub(super) fn visit_tiles(
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
