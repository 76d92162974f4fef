//! Cutting a picture into tiles that together give the exact losses and the
//! exact gradient of the whole.
//!
//! Every position of every feature map belongs to one tile, its owner. A tile
//! is passed through the network with a margin as wide as the network sees
//! around its own part, so that the positions it owns hold what they would
//! hold in the whole picture; what the others hold is left out of account.
//! Cuts lie where every pooling's windows begin, so that the windows are the
//! whole picture's windows. At the picture's own edge a tile ends where the
//! picture does, and is padded as the picture is.

use impasto_core::preset::Layer;
use tch::Tensor;

use super::Result;

/// A rectangle of a picture or of a feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub top: i64,
    pub left: i64,
    pub height: i64,
    pub width: i64,
}

/// One tile, in pixels of the whole picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// What is passed through the network: the tile's own part and its margin.
    pub seen: Part,
    own: Part,
}

impl Part {
    /// The whole of a picture or map of this size.
    pub fn whole(height: i64, width: i64) -> Self {
        Self {
            top: 0,
            left: 0,
            height,
            width,
        }
    }

    /// This part of a tensor `[1, C, H, W]`, as a view.
    ///
    /// # Errors
    /// When it reaches beyond the tensor.
    pub fn of(&self, tensor: &Tensor) -> Result<Tensor> {
        Ok(tensor
            .f_narrow(2, self.top, self.height)?
            .f_narrow(3, self.left, self.width)?)
    }

    /// Whether it is all of a tensor `[1, C, H, W]`.
    pub fn covers(&self, tensor: &Tensor) -> bool {
        matches!(tensor.size()[..], [_, _, height, width]
            if (height, width) == (self.height, self.width))
    }

    fn is_empty(&self) -> bool {
        self.height == 0 || self.width == 0
    }

    /// What lies under this part after `halvings` poolings. Cuts within the
    /// picture are multiples of every pooling's step; at the picture's end
    /// pooling drops what fills no window, as this division does.
    fn pooled(&self, halvings: u32) -> Self {
        let (bottom, right) = (self.top + self.height, self.left + self.width);
        let (top, left) = (self.top >> halvings, self.left >> halvings);
        Self {
            top,
            left,
            height: (bottom >> halvings) - top,
            width: (right >> halvings) - left,
        }
    }
}

impl Tile {
    /// All of a picture.
    pub fn whole(height: i64, width: i64) -> Self {
        let whole = Part::whole(height, width);
        Self {
            seen: whole,
            own: whole,
        }
    }

    /// Whether it owns all of a picture `[1, 3, H, W]`.
    pub fn is_whole(&self, image: &Tensor) -> bool {
        self.own.covers(image)
    }

    /// The part of the tile's own feature map at `layer` that it owns; none
    /// where that is nothing.
    pub fn own_part(&self, layer: Layer) -> Option<Part> {
        let (seen, own) = (
            self.seen.pooled(halvings(layer)),
            self.own.pooled(halvings(layer)),
        );
        let own = Part {
            top: own.top - seen.top,
            left: own.left - seen.left,
            ..own
        };
        (!own.is_empty()).then_some(own)
    }

    /// The part of the whole picture's feature map at `layer` that this tile
    /// owns; none where that is nothing.
    pub fn part_of_whole(&self, layer: Layer) -> Option<Part> {
        let own = self.own.pooled(halvings(layer));
        (!own.is_empty()).then_some(own)
    }
}

/// The tiles of a picture `height` × `width` for a network of these `layers`,
/// none of which owns more than about `side` × `side` pixels. A picture that is
/// no larger is one tile.
pub fn tiles(height: i64, width: i64, side: Option<u32>, layers: &[Layer]) -> Vec<Tile> {
    let Some(side) = side else {
        return vec![Tile::whole(height, width)];
    };
    let step = step(layers);
    let margin = margin(layers);
    let columns = spans(width, i64::from(side), step);
    let mut tiles = Vec::new();
    for (top, bottom) in spans(height, i64::from(side), step) {
        for &(left, right) in &columns {
            let (seen_top, seen_left) = ((top - margin).max(0), (left - margin).max(0));
            tiles.push(Tile {
                own: Part {
                    top,
                    left,
                    height: bottom - top,
                    width: right - left,
                },
                seen: Part {
                    top: seen_top,
                    left: seen_left,
                    height: (bottom + margin).min(height) - seen_top,
                    width: (right + margin).min(width) - seen_left,
                },
            });
        }
    }
    tiles
}

/// How far a network of these layers sees beyond a position of the last, in
/// pixels, rounded up to where a tile may be cut.
pub fn margin(layers: &[Layer]) -> i64 {
    // A 3×3 convolution sees one position further on each side; one position
    // of a block is two of the block before.
    let sight: i64 = layers.iter().map(|layer| 1 << halvings(*layer)).sum();
    let step = step(layers);
    (sight + step - 1) / step * step
}

/// How many times the picture was halved before `layer`.
fn halvings(layer: Layer) -> u32 {
    u32::from(layer.block()).saturating_sub(1)
}

/// Cuts lie at multiples of this many pixels.
fn step(layers: &[Layer]) -> i64 {
    layers.last().map_or(1, |deepest| 1 << halvings(*deepest))
}

/// Cuts `0..length` into as few spans as there must be, of about one length.
fn spans(length: i64, side: i64, step: i64) -> Vec<(i64, i64)> {
    let side = side.max(step);
    let count = (length + side - 1) / side;
    let even = (length + count - 1) / count;
    let even = (even + step - 1) / step * step;
    let starts = (0..count).map(|index| index * even);
    starts
        .take_while(|start| *start < length)
        .map(|start| (start, (start + even).min(length)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_core::preset::Network;

    fn layer(name: &str) -> Layer {
        name.parse().unwrap()
    }

    fn layers_to(name: &str) -> Vec<Layer> {
        let layers = Network::VGG16.layers();
        layers.take_while(|known| *known <= layer(name)).collect()
    }

    #[test]
    fn margins_are_what_the_network_sees() {
        // The receptive fields of VGG-16 as they are published: 5 pixels at
        // conv1_2, 132 at conv5_1, hence 2 and 58 beyond a position's own.
        assert_eq!(margin(&layers_to("relu1_2")), 2);
        assert_eq!(margin(&layers_to("relu5_1")), 64);
    }

    #[test]
    fn every_position_has_one_owner() {
        let layers = layers_to("relu5_1");
        for (height, width, side) in [(100, 300, 64), (257, 96, 96), (64, 64, 64), (511, 513, 200)]
        {
            let tiles = tiles(height, width, Some(side), &layers);
            for name in ["relu1_1", "relu2_1", "relu3_1", "relu4_2", "relu5_1"] {
                let halvings = halvings(layer(name));
                let (rows, columns) = (height >> halvings, width >> halvings);
                let mut owners = vec![0; (rows * columns) as usize];
                for part in tiles
                    .iter()
                    .filter_map(|tile| tile.part_of_whole(layer(name)))
                {
                    for row in part.top..part.top + part.height {
                        for column in part.left..part.left + part.width {
                            owners[(row * columns + column) as usize] += 1;
                        }
                    }
                }
                assert!(
                    owners.iter().all(|count| *count == 1),
                    "{name} of {height}×{width} in tiles of {side}"
                );
            }
        }
    }

    #[test]
    fn a_tile_sees_its_margin_and_no_more() {
        let tiles = tiles(1000, 200, Some(256), &layers_to("relu5_1"));
        assert_eq!(tiles.len(), 4);
        let part = |top, height| Part {
            top,
            left: 0,
            height,
            width: 200,
        };
        assert_eq!(tiles[0].own, part(0, 256));
        assert_eq!(tiles[0].seen, part(0, 320));
        assert_eq!(tiles[1].seen, part(192, 384));
        assert_eq!(tiles[3].seen, part(704, 296));
        assert_eq!(
            tiles[1].own_part(layer("relu3_1")),
            Some(Part {
                top: 16,
                left: 0,
                height: 64,
                width: 50
            })
        );
    }

    #[test]
    fn a_small_picture_is_one_tile() {
        for side in [None, Some(512)] {
            let tiles = tiles(300, 400, side, &layers_to("relu5_1"));
            assert_eq!(tiles.len(), 1);
            assert_eq!(tiles[0].seen, Part::whole(300, 400));
        }
    }
}
