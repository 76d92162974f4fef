//! How much memory painting takes, and how to paint with what there is.

use std::collections::BTreeSet;

use impasto_core::preset::{Blend, ColourMode, Layer, OptimizerKind, Pooling, Preset, Statistic};

use super::optimizer::Tracking;
use super::precision::Precision;
use super::tiles::margin;
use super::work::{channels, map_size};

/// What libtorch, the program and its threads take before anything is painted,
/// as measured: on the CPU, and of a GPU's memory.
const CPU_BASE: u64 = 160 << 20;
const CUDA_BASE: u64 = 600 << 20;
/// What allocators leave unused between tensors, as measured, in percent.
const SLACK: u64 = 12;
/// The sides of tiles that are tried, the largest first: fewer tiles look at
/// fewer pixels twice.
const TILES: [u32; 10] = [4096, 3072, 2048, 1536, 1024, 768, 512, 384, 256, 128];
/// L-BFGS remembers at least so many steps before tiles are made smaller for
/// its sake, and at the very least.
const FAIR_HISTORY: u64 = 10;
const MIN_HISTORY: u64 = 3;

/// The side of the tiles to go over to from tiles of this side, or from a
/// picture whose long side it is; none if there are no smaller ones.
pub fn smaller_tile(side: u32) -> Option<u32> {
    TILES.into_iter().find(|smaller| *smaller < side)
}

/// The sizes of the picture and of the styles.
pub(super) type Sizes<'a> = ((u32, u32), &'a StyleSizes);

/// What has to be computed.
#[derive(Clone, Copy, Debug)]
pub struct Workload<'a> {
    pub preset: &'a Preset,
    /// The layers of the network, as deep as the preset needs it.
    pub layers: &'a [Layer],
    pub precision: Precision,
    pub cuda: bool,
}

/// The sizes at which the styles are looked at.
#[derive(Clone, Debug)]
pub struct StyleSizes(Vec<(u32, u32)>);

impl From<(u32, u32)> for StyleSizes {
    fn from(size: (u32, u32)) -> Self {
        Self(vec![size])
    }
}

impl From<Vec<(u32, u32)>> for StyleSizes {
    fn from(sizes: Vec<(u32, u32)>) -> Self {
        Self(sizes)
    }
}

/// How to paint one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The side of the tiles; none for the whole picture at once.
    pub tile: Option<u32>,
    /// How many steps L-BFGS remembers at most.
    pub history: usize,
    /// The memory that this takes, in bytes.
    pub bytes: u64,
}

impl Workload<'_> {
    /// The best layout for a picture and styles of these sizes and so many iterations
    /// that takes no more than `budget` bytes, in tiles of `tile` if that is given. None
    /// if none is small enough.
    pub fn layout(
        &self,
        picture: (u32, u32),
        styles: impl Into<StyleSizes>,
        tile: Option<u32>,
        budget: u64,
        iterations: u64,
    ) -> Option<Layout> {
        let sizes = (picture, &styles.into());
        self.layout_beside(sizes, tile, budget, iterations, None)
    }

    /// As [`Workload::layout`], beside what [`Workload::bytes_beside`] says.
    pub(super) fn layout_beside(
        &self,
        sizes: Sizes,
        tile: Option<u32>,
        budget: u64,
        iterations: u64,
        beside: Option<u64>,
    ) -> Option<Layout> {
        let (picture, _) = sizes;
        let wanted = self.history().min(iterations);
        let long_side = picture.0.max(picture.1);
        let smaller = TILES.iter().filter(|side| **side < long_side);
        let tiles: Vec<Option<u32>> = match tile {
            Some(_) => vec![tile],
            None => std::iter::once(None)
                .chain(smaller.copied().map(Some))
                .collect(),
        };
        [FAIR_HISTORY, MIN_HISTORY].into_iter().find_map(|fair| {
            tiles.iter().find_map(|tile| {
                let bare = self.bytes_beside(sizes, *tile, 0, beside);
                let room = budget.checked_sub(bare)?;
                let of_a_step = with_slack(self.pair(picture));
                let history = wanted.min(room / of_a_step.max(1));
                (history >= wanted.min(fair)).then(|| Layout {
                    tile: *tile,
                    history: history as usize,
                    bytes: self.bytes_beside(sizes, *tile, history, beside),
                })
            })
        })
    }

    /// The memory that a picture and styles of these sizes take in one piece and with all
    /// that the optimizer would remember, in bytes.
    pub fn whole(&self, picture: (u32, u32), styles: impl Into<StyleSizes>) -> u64 {
        self.bytes(picture, styles, None, self.history())
    }

    /// The least memory that a picture and styles of these sizes take, in bytes, beside
    /// what [`Workload::bytes_beside`] says.
    pub(super) fn least(&self, sizes: Sizes, tile: Option<u32>, beside: Option<u64>) -> u64 {
        let (picture, _) = sizes;
        let long_side = picture.0.max(picture.1);
        let smallest = TILES.into_iter().rfind(|side| *side < long_side);
        let history = self.history().min(MIN_HISTORY);
        self.bytes_beside(sizes, tile.or(smallest), history, beside)
    }

    /// How many steps L-BFGS would remember if memory did not matter; none for
    /// Adam.
    fn history(&self) -> u64 {
        let optimizer = &self.preset.optimizer;
        match optimizer.kind {
            OptimizerKind::Lbfgs => optimizer.history as u64,
            OptimizerKind::Adam => 0,
        }
    }

    /// The memory that painting takes at its most, in bytes.
    pub fn bytes(
        &self,
        picture: (u32, u32),
        styles: impl Into<StyleSizes>,
        tile: Option<u32>,
        history: u64,
    ) -> u64 {
        self.bytes_beside((picture, &styles.into()), tile, history, None)
    }

    /// As [`Workload::bytes`], where a preset changes in the middle: so many bytes `beside`
    /// belong to the preset before, and the optimizer is there while targets are computed.
    fn bytes_beside(
        &self,
        sizes: Sizes,
        tile: Option<u32>,
        history: u64,
        beside: Option<u64>,
    ) -> u64 {
        let (picture, _) = sizes;
        let of_picture = picture_bytes(picture);
        let optimizer = match self.preset.optimizer.kind {
            // The accepted image and gradient, the step, the change of the
            // gradient and the downhill direction, both preconditioned, their
            // waves, the free pixels, two directions; the pairs and a free slot.
            OptimizerKind::Lbfgs => 14 * of_picture + (history + 1) * self.pair(picture),
            OptimizerKind::Adam => 4 * of_picture,
        };
        // The image, the best one, the gradient, a proposal, and smoothness; with masks the
        // composed image and its differences.
        let composed = if self.preset.masks.is_empty() { 0 } else { 3 };
        let image = (5 + composed) * of_picture;
        let iteration = image + optimizer + self.evaluation(sizes, tile);
        let look = self.look_at_all(sizes, tile);
        let standing = beside.map_or(0, |beside| beside + image + optimizer);
        let targets = self.targets(sizes) + self.shown(of_picture);
        let most = (iteration + beside.unwrap_or(0)).max(look + standing);
        with_slack(self.base() + self.weights() + targets + most)
    }

    /// What an evaluation takes beside the image.
    fn evaluation(&self, (picture, styles): Sizes, tile: Option<u32>) -> u64 {
        let seen = self.seen(picture, tile);
        let regions = self.regions(styles);
        let guided = !self.preset.masks.is_empty();
        // The working set of one sorted layer, and the differences of each region.
        let sorting = self.most_ranked(wide(picture)) * sorting(guided, self.is_own(), self.cuda);
        let differences = |layer| regions * self.ranked(layer, wide(picture));
        let pass = self.pass(seen, tile.is_some()) + self.copied(seen);
        match tile {
            // One layer after another.
            None => pass + sorting + self.histograms().map(differences).max().unwrap_or(0),
            // The maps, then the differences, of all layers wait for the second pass.
            Some(_) => {
                let waiting: u64 = self.histograms().map(differences).sum();
                waiting + pass.max(sorting + self.most_ranked(wide(picture)))
            }
        }
    }

    /// What computing the targets takes beside them: the pictures at this size, as pixels
    /// and as tensors, and what is looked at.
    fn look_at_all(&self, (picture, styles): Sizes, tile: Option<u32>) -> u64 {
        let StyleSizes(styles) = styles;
        let largest = styles.iter().map(|style| picture_bytes(*style)).max();
        let tensors: u64 = styles.iter().map(|style| picture_bytes(*style)).sum();
        // A mask has one channel; beside it there are sums of several, and what is inside.
        let masks = self.preset.masks.len() as u64 + 3 * u64::from(!self.preset.masks.is_empty());
        let masks = masks * picture_bytes(picture).max(largest.unwrap_or(0)) / 3;
        let own = self.is_own();
        let guided = self.preset.masks.iter().any(|mask| mask.region.is_some());
        let of_style = |style: &(u32, u32)| {
            // Maps that are sorted stay until all of the style was looked at. Values are
            // taken at the ranks of the image from those of the style.
            let maps: u64 = self
                .histograms()
                .map(|layer| self.map(layer, wide(*style)))
                .sum();
            let larger = match style.0 * style.1 > picture.0 * picture.1 {
                true => wide(*style),
                false => wide(picture),
            };
            let sorting = self.most_ranked(larger) * ranking(guided, own, self.cuda);
            maps + self.look(self.seen(*style, tile)).max(sorting)
        };
        let looks = styles.iter().map(of_style).max().unwrap_or(0);
        // Targets of every style by itself, before those of a region are averaged.
        let count = (styles.len() as u64).max(1);
        let apart = count.saturating_sub(self.regions(&StyleSizes(styles.clone())));
        let ranked: u64 = self
            .histograms()
            .map(|layer| self.ranked(layer, wide(picture)))
            .sum();
        let averaging = match count {
            1 => 0,
            _ => apart * ranked + 2 * self.most_ranked(wide(picture)),
        };
        2 * picture_bytes(picture)
            + tensors
            + largest.unwrap_or(0)
            + masks
            + averaging
            + self.look(self.seen(picture, tile)).max(looks)
    }

    /// What L-BFGS remembers of a step: two pictures, in bfloat16 where the CUDA kernels
    /// do it.
    fn pair(&self, picture: (u32, u32)) -> u64 {
        let pair = 2 * picture_bytes(picture);
        match self.cuda && Tracking::of(self.preset).has_kernels() {
            true => pair / 2,
            false => pair,
        }
    }

    fn base(&self) -> u64 {
        if self.cuda { CUDA_BASE } else { CPU_BASE }
    }

    /// What the network is made of, in bytes. Filters of Winograd's method have 36 values
    /// for the 9 of a convolution, in each direction.
    pub(super) fn weights(&self) -> u64 {
        let mut inputs = 3;
        let mut values = 0;
        for layer in self.layers {
            values += 9 * inputs * channels(*layer);
            inputs = channels(*layer);
        }
        match self.is_own() {
            true => values * 4 * (1 + 4 + 4),
            false => values * (4 + 2 * self.element()),
        }
    }

    /// The content's feature maps that the losses compare with and, for each region, the
    /// sorted values of the style for histograms, in float32, and the positions' weights.
    pub(super) fn targets(&self, (picture, styles): Sizes) -> u64 {
        let layers = self.preset.content.layers.keys();
        let content: u64 = layers.map(|layer| self.map(*layer, wide(picture))).sum();
        let histograms: u64 = self
            .histograms()
            .map(|layer| self.ranked(layer, wide(picture)))
            .sum();
        let layers = self.preset.style.layers.keys();
        let guides: u64 = layers
            .filter(|_| !self.preset.masks.is_empty())
            .map(|layer| self.ranked(*layer, wide(picture)) / channels(*layer).max(1))
            .sum();
        content + self.regions(styles) * (histograms + guides)
    }

    /// What the image is shown with: the content's colours; with masks what stays of the
    /// content, and where.
    fn shown(&self, of_picture: u64) -> u64 {
        let coloured = matches!(
            self.preset.colour,
            ColourMode::Content | ColourMode::Luminance
        );
        let masked = !self.preset.masks.is_empty();
        (u64::from(coloured) + 2 * u64::from(masked)) * of_picture
    }

    /// The layers whose histograms are compared.
    fn histograms(&self) -> impl Iterator<Item = Layer> {
        self.compared_by(Statistic::Histogram)
    }

    fn compared_by(&self, statistic: Statistic) -> impl Iterator<Item = Layer> {
        let style = &self.preset.style;
        let layers = style.layers.keys().copied();
        layers.filter(move |layer| style.statistic.of(*layer) == statistic)
    }

    /// A layer's values in float32.
    fn ranked(&self, layer: Layer, size: (u64, u64)) -> u64 {
        self.map(layer, size) / self.element() * 4
    }

    /// The most values that are sorted at once, in float32.
    fn most_ranked(&self, size: (u64, u64)) -> u64 {
        let layers = self.histograms().map(|layer| self.ranked(layer, size));
        layers.max().unwrap_or(0)
    }

    /// How many regions of the picture are compared.
    fn regions(&self, StyleSizes(styles): &StyleSizes) -> u64 {
        let masked = self.preset.masks.iter().map(|mask| mask.style);
        let masked: BTreeSet<_> = masked.collect();
        let rest = styles.len().saturating_sub(masked.len()) as u64;
        let rest = match self.preset.style.blend {
            Blend::Target => rest.min(1),
            Blend::Losses => rest,
        };
        (masked.len() as u64 + rest).max(1)
    }

    /// What a layer's statistics take beside its map while they are compared: a map with
    /// the weights of a mask, or the gradient that is normalised; squares in float32.
    fn copied(&self, seen: (u64, u64)) -> u64 {
        let masked = !self.preset.masks.is_empty();
        let copies = self.preset.normalize_gradients || masked;
        let layers = self.preset.style.layers.keys();
        let copied = layers
            .filter(|_| copies)
            .map(|layer| 2 * self.map(*layer, seen));
        let squares = self.compared_by(Statistic::MeanStd).map(|layer| {
            let weighted = if masked { 2 * self.map(layer, seen) } else { 0 };
            2 * self.ranked(layer, seen) + weighted
        });
        copied.chain(squares).max().unwrap_or(0)
    }

    /// A forward pass that keeps nothing: a map, the one before, and what goes
    /// into a Gram matrix.
    fn look(&self, seen: (u64, u64)) -> u64 {
        let maps = self.layers.iter().map(|layer| self.map(*layer, seen));
        3 * maps.max().unwrap_or(0)
    }

    /// A forward and a backward pass, step by step: what is alive at the most.
    fn pass(&self, seen: (u64, u64), tiled: bool) -> u64 {
        let pooled_winners = |index: usize| -> u64 {
            // libtorch's max pooling remembers an index of eight bytes for
            // every value that it lets through; our kernels find it again.
            let kept = !self.is_own() && !self.cuda && self.preset.pooling == Pooling::Max;
            let (Some(before), Some(layer)) = (
                index
                    .checked_sub(1)
                    .and_then(|index| self.layers.get(index)),
                self.layers.get(index),
            ) else {
                return 0;
            };
            let (width, height) = map_size(*layer, seen);
            match before.block() != layer.block() {
                true if kept => channels(*before) * width * height * 8,
                _ => 0,
            }
        };
        let map = |index: usize| {
            self.layers
                .get(index)
                .map_or(0, |layer| self.map(*layer, seen))
        };
        let mut alive = 0;
        let mut most = 0;
        for index in 0..self.layers.len() {
            // The pooled input of a block goes as soon as it was used.
            let pooled = index.checked_sub(1).map_or(0, map) / 4;
            alive += map(index) + pooled_winners(index);
            most = most.max(alive + pooled);
        }
        for index in (0..self.layers.len()).rev() {
            // The gradient that comes in, the copy that ReLU's own gradient
            // takes in libtorch, the gradient that goes out; where tiles are
            // added up, the tile's own part of the map.
            let incoming = map(index);
            let rectified = if self.is_own() { 0 } else { map(index) };
            let outgoing = index.checked_sub(1).map_or(0, map);
            let own_part = if tiled { 2 * map(index) } else { 0 };
            most = most.max(alive + incoming + (rectified + outgoing).max(own_part));
            alive -= map(index) + pooled_winners(index);
        }
        most
    }

    /// What one tile looks at, or the whole picture.
    fn seen(&self, size: (u32, u32), tile: Option<u32>) -> (u64, u64) {
        let (width, height) = wide(size);
        let Some(side) = tile else {
            return (width, height);
        };
        let most = u64::from(side) + 2 * margin(self.layers) as u64;
        (width.min(most), height.min(most))
    }

    fn map(&self, layer: Layer, size: (u64, u64)) -> u64 {
        let (width, height) = map_size(layer, size);
        channels(layer) * width * height * self.element()
    }

    /// The bytes of one value of a feature map.
    fn element(&self) -> u64 {
        match self.precision {
            Precision::Float32 | Precision::Tf32 => 4,
            Precision::Bfloat16 => 2,
        }
    }

    /// Whether our own kernels compute it.
    fn is_own(&self) -> bool {
        !self.cuda && self.precision == Precision::Float32
    }
}

/// So many times a layer's values in float32 are alive while its histogram is compared,
/// as counted in `statistic/histogram.rs`: indices and ranks have eight bytes, and a GPU
/// sorts into other memory.
fn sorting(guided: bool, own: bool, cuda: bool) -> u64 {
    match (guided, own, cuda) {
        (true, ..) => 24,
        (false, true, _) => 2,
        (false, false, true) => 12,
        (false, false, false) => 8,
    }
}

/// The same while the values of a style are taken at the ranks of an image.
fn ranking(guided: bool, own: bool, cuda: bool) -> u64 {
    match (guided, own, cuda) {
        (true, ..) => 28,
        (false, true, _) | (false, false, false) => 8,
        (false, false, true) => 12,
    }
}

/// A picture of three float32 channels.
fn picture_bytes(size: (u32, u32)) -> u64 {
    let (width, height) = wide(size);
    3 * 4 * width * height
}

fn wide((width, height): (u32, u32)) -> (u64, u64) {
    (u64::from(width), u64::from(height))
}

fn with_slack(bytes: u64) -> u64 {
    bytes + bytes / 100 * SLACK
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_core::preset::Network;

    const GIB: u64 = 1 << 30;

    fn layers() -> Vec<Layer> {
        let deepest: Layer = "relu5_1".parse().unwrap();
        let layers = Network::VGG16.layers();
        layers.take_while(|layer| *layer <= deepest).collect()
    }

    fn layout(
        preset: &Preset,
        precision: Precision,
        cuda: bool,
        side: u32,
        budget: u64,
    ) -> Option<Layout> {
        let workload = Workload {
            preset,
            layers: &layers(),
            precision,
            cuda,
        };
        workload.layout((side, side), (side, side), None, budget, 500)
    }

    #[test]
    fn the_whole_picture_is_preferred_then_the_largest_tiles() {
        let preset = Preset::default().set("optimizer=adam").unwrap();
        let tile = |budget| {
            layout(&preset, Precision::Float32, false, 2048, budget).map(|layout| layout.tile)
        };
        assert_eq!(tile(64 * GIB), Some(None));
        let (more, less) = (tile(6 * GIB), tile(3 * GIB));
        assert!(more.unwrap().unwrap() > less.unwrap().unwrap());
        assert_eq!(tile(GIB / 2), None);
    }

    #[test]
    fn a_layout_keeps_to_its_budget() {
        let preset = Preset::default();
        for side in [512, 1024, 3000] {
            for budget in [1, 2, 4, 8, 16] {
                let layout = layout(&preset, Precision::Float32, false, side, budget * GIB);
                assert!(layout.is_none_or(|layout| layout.bytes <= budget * GIB));
            }
        }
    }

    #[test]
    fn history_shrinks_before_tiles_do() {
        let preset = Preset::default();
        let most = layout(&preset, Precision::Float32, false, 1024, 64 * GIB).unwrap();
        assert_eq!((most.tile, most.history), (None, 100));
        let fewer = layout(&preset, Precision::Float32, false, 1024, most.bytes - GIB).unwrap();
        assert_eq!(fewer.tile, None);
        assert!((10..100).contains(&fewer.history));
    }

    #[test]
    fn history_takes_half_only_where_kernels_keep_it() {
        let of_steps = |preset: &Preset, cuda: bool| {
            let layers = layers();
            let workload = Workload {
                preset,
                layers: &layers,
                precision: Precision::Float32,
                cuda,
            };
            let size = (1024, 1024);
            workload.bytes(size, size, None, 60) - workload.bytes(size, size, None, 10)
        };
        let plain = Preset::default();
        let normalized = plain.set("normalize_gradients=true").unwrap();
        assert!(of_steps(&plain, true) < of_steps(&plain, false) * 2 / 3);
        // Rounding of the percents aside.
        let [one, other] = [true, false].map(|cuda| of_steps(&normalized, cuda));
        assert!(one.abs_diff(other) < 100, "{one}, {other}");
    }

    #[test]
    fn histograms_masks_and_styles_are_counted() {
        let bytes = |settings: &[&str], styles: usize, tile: Option<u32>| {
            let set = |preset: Preset, setting: &&str| preset.set(setting);
            let preset = settings.iter().try_fold(Preset::default(), set).unwrap();
            let layers = layers();
            let workload = Workload {
                preset: &preset,
                layers: &layers,
                precision: Precision::Float32,
                cuda: false,
            };
            let size = (1024, 1024);
            workload.bytes(size, vec![size; styles], tile, 10)
        };
        let histogram = "style.statistic=histogram";
        let mask = "masks=[{file: mask.png, style: 1}]";
        let values = 4 * 64 * 1024 * 1024;
        for tile in [None, Some(256)] {
            let plain = bytes(&[], 1, tile);
            // The style's values and the differences of the first layer, at the least.
            assert!(bytes(&[histogram], 1, tile) > plain + 2 * values);
            assert!(bytes(&[histogram, mask], 1, tile) > bytes(&[histogram], 1, tile));
            // Each style has its own values where losses are blended.
            let blend = [histogram, "style.blend=losses"];
            let more = bytes(&blend, 4, tile) - bytes(&blend, 1, tile);
            assert!(more > 6 * values, "{more}");
        }
    }

    #[test]
    fn the_sizes_that_were_promised_fit() {
        let preset = Preset::default();
        let large = layout(&preset, Precision::Bfloat16, true, 8192, 72 * GIB);
        assert!(
            large.is_some_and(|layout| layout.history >= 10),
            "{large:?}"
        );
        let modest = layout(&preset, Precision::Float32, false, 4096, 13 * GIB);
        assert!(modest.is_some(), "{modest:?}");
    }
}
