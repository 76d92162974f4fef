//! How much memory painting takes, and how to paint with what there is.

use std::collections::BTreeSet;

use impasto_core::preset::{Layer, OptimizerKind, Pooling, Preset, Statistic};

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

/// What has to be computed.
#[derive(Clone, Copy, Debug)]
pub struct Workload<'a> {
    pub preset: &'a Preset,
    /// The layers of the network, as deep as the preset needs it.
    pub layers: &'a [Layer],
    pub precision: Precision,
    pub cuda: bool,
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
    /// The best layout for a picture and a style of these sizes and so many
    /// iterations that takes no more than `budget` bytes, in tiles of `tile` if that
    /// is given. None if
    /// none is small enough.
    pub fn layout(
        &self,
        picture: (u32, u32),
        style: (u32, u32),
        tile: Option<u32>,
        budget: u64,
        iterations: u64,
    ) -> Option<Layout> {
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
                let bare = self.bytes(picture, style, *tile, 0);
                let room = budget.checked_sub(bare)?;
                let of_a_step = with_slack(self.pair(picture));
                let history = wanted.min(room / of_a_step.max(1));
                (history >= wanted.min(fair)).then(|| Layout {
                    tile: *tile,
                    history: history as usize,
                    bytes: self.bytes(picture, style, *tile, history),
                })
            })
        })
    }

    /// The memory that a picture and a style of these sizes take in one piece and
    /// with all that the optimizer would remember, in bytes.
    pub fn whole(&self, picture: (u32, u32), style: (u32, u32)) -> u64 {
        self.bytes(picture, style, None, self.history())
    }

    /// The least memory that a picture and a style of these sizes take, in bytes.
    pub fn least(&self, picture: (u32, u32), style: (u32, u32), tile: Option<u32>) -> u64 {
        let long_side = picture.0.max(picture.1);
        let smallest = TILES.into_iter().rfind(|side| *side < long_side);
        let history = self.history().min(MIN_HISTORY);
        self.bytes(picture, style, tile.or(smallest), history)
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
        style: (u32, u32),
        tile: Option<u32>,
        history: u64,
    ) -> u64 {
        let of_picture = picture_bytes(picture);
        let optimizer = match self.preset.optimizer.kind {
            // The accepted image and gradient, the step, the change of the
            // gradient and the downhill direction, both preconditioned, their
            // waves, the free pixels, two directions; the pairs and a free slot.
            OptimizerKind::Lbfgs => 14 * of_picture + (history + 1) * self.pair(picture),
            OptimizerKind::Adam => 4 * of_picture,
        };
        // The image, the best one, the gradient, a proposal, and smoothness.
        let image = 5 * of_picture;
        let targets = self.targets(picture);
        let seen = |size| self.seen(size, tile);
        // In tiles, the differences of all histograms wait for the second pass.
        let waiting: u64 = match tile {
            None => 0,
            Some(_) => self
                .histograms()
                .map(|layer| 2 * self.ranked(layer, picture))
                .sum(),
        };
        let iteration = image
            + optimizer
            + self.pass(seen(picture), tile.is_some())
            + self.compared(picture).max(waiting);
        // While targets are computed there are the pictures at this size, as
        // pixels and as tensors, but no optimizer yet.
        let look = 2 * of_picture
            + 2 * picture_bytes(style)
            + self.look(seen(picture)).max(self.look(seen(style)));
        with_slack(self.base() + self.weights() + targets + iteration.max(look))
    }

    /// What L-BFGS remembers of a step: two pictures, in bfloat16 on a GPU.
    fn pair(&self, picture: (u32, u32)) -> u64 {
        let pair = 2 * picture_bytes(picture);
        if self.cuda { pair / 2 } else { pair }
    }

    fn base(&self) -> u64 {
        if self.cuda { CUDA_BASE } else { CPU_BASE }
    }

    /// What the network is made of. Filters of Winograd's method have 36 values
    /// for the 9 of a convolution, in each direction.
    fn weights(&self) -> u64 {
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

    /// The content's feature maps that the losses compare with, and the sorted values of
    /// the style for histograms, in float32, for each region.
    fn targets(&self, picture: (u32, u32)) -> u64 {
        let layers = self.preset.content.layers.keys();
        let content: u64 = layers.map(|layer| self.map(*layer, wide(picture))).sum();
        let histograms: u64 = self
            .histograms()
            .map(|layer| self.ranked(layer, picture))
            .sum();
        content + self.regions() * histograms
    }

    /// The layers whose histograms are compared.
    fn histograms(&self) -> impl Iterator<Item = Layer> {
        let style = &self.preset.style;
        let layers = style.layers.keys().copied();
        layers.filter(|layer| style.statistic.of(*layer) == Statistic::Histogram)
    }

    /// A layer's values in float32.
    fn ranked(&self, layer: Layer, picture: (u32, u32)) -> u64 {
        self.map(layer, wide(picture)) / self.element() * 4
    }

    /// How many regions of the picture there are, at the least.
    fn regions(&self) -> u64 {
        let masked = self.preset.masks.iter().map(|mask| mask.style);
        1 + masked.collect::<BTreeSet<_>>().len() as u64
    }

    /// What a layer's statistics take beside its map while they are compared: the
    /// differences of a histogram, for all of a picture; a map with the weights of a mask,
    /// or the gradient that is normalised.
    fn compared(&self, picture: (u32, u32)) -> u64 {
        let differences = self
            .histograms()
            .map(|layer| 2 * self.ranked(layer, picture));
        let copies = self.preset.normalize_gradients || !self.preset.masks.is_empty();
        let layers = self.preset.style.layers.keys();
        let copied = layers
            .filter(|_| copies)
            .map(|layer| 2 * self.map(*layer, wide(picture)));
        differences.chain(copied).max().unwrap_or(0)
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
