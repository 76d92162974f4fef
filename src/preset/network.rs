//! The networks that see the pictures, and the names of their layers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::words::{did_you_mean, nearest, quoted};

/// The network whose feature maps the losses compare.
///
/// To add one: a variant here, a row in [`ALL`](Self::ALL), [`name`](Self::name)
/// and [`blocks`](Self::blocks). A [`Layer`] is accepted if any network has it,
/// so a second network also needs a check that a preset's layers belong to its
/// own network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// VGG-16 of Simonyan and Zisserman (configuration D): `vgg16`.
    Vgg16,
}

impl Network {
    /// Every network there is.
    pub const ALL: &'static [Self] = &[Self::Vgg16];

    /// The name in a preset: `vgg16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vgg16 => "vgg16",
        }
    }

    /// How many convolutions each block has; a pooling follows every block.
    pub fn blocks(self) -> &'static [u8] {
        match self {
            Self::Vgg16 => &[2, 2, 3, 3, 3],
        }
    }

    /// Every layer, from the picture inwards: `relu1_1`, `relu1_2`, `relu2_1` …
    pub fn layers(self) -> impl Iterator<Item = Layer> {
        (1..)
            .zip(self.blocks())
            .flat_map(|(block, &count)| (1..=count).map(move |index| Layer { block, index }))
    }
}

/// One layer: the output of the rectifier after a convolution, as in `relu4_2`.
///
/// Layers are ordered as the network computes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layer {
    block: u8,
    index: u8,
}

impl Layer {
    /// The block, counted from 1: 4 for `relu4_2`.
    pub fn block(self) -> u8 {
        self.block
    }

    /// The convolution within its block, counted from 1: 2 for `relu4_2`.
    pub fn index(self) -> u8 {
        self.index
    }

    /// The layer `relu{block}_{index}`, if a network has it.
    pub fn new(block: u8, index: u8) -> Option<Self> {
        Self::every().find(|layer| (layer.block, layer.index) == (block, index))
    }

    /// The layers of all networks.
    fn every() -> impl Iterator<Item = Self> {
        Network::ALL.iter().flat_map(|network| network.layers())
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad` so that a table can give the column a width.
        f.pad(&format!("relu{}_{}", self.block, self.index))
    }
}

/// The name is no layer of any network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown layer {}{}", quoted(name), did_you_mean(near.as_deref()))]
pub struct UnknownLayer {
    name: String,
    near: Option<String>,
}

impl FromStr for Layer {
    type Err = UnknownLayer;

    fn from_str(name: &str) -> Result<Self, UnknownLayer> {
        let names: Vec<String> = Self::every().map(|layer| layer.to_string()).collect();
        Self::every()
            .zip(&names)
            .find(|(_, known)| *known == name)
            .map(|(layer, _)| layer)
            .ok_or_else(|| {
                // Other programs speak of the convolution before the rectifier.
                let meant = name.to_lowercase().replacen("conv", "relu", 1);
                UnknownLayer {
                    name: name.to_owned(),
                    near: nearest(&meant, names.iter().map(String::as_str)).map(str::to_owned),
                }
            })
    }
}

impl Serialize for Layer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Layer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LayerVisitor;
        impl de::Visitor<'_> for LayerVisitor {
            type Value = Layer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a layer such as relu4_2")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Layer, E> {
                name.parse().map_err(|unknown| {
                    let layers: Vec<String> = Layer::every().map(|l| l.to_string()).collect();
                    // The second line becomes a note below the excerpt.
                    E::custom(format_args!("{unknown}\nlayers: {}", layers.join(", ")))
                })
            }
        }
        deserializer.deserialize_str(LayerVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vgg16_has_thirteen_layers_in_order() {
        let layers: Vec<Layer> = Network::Vgg16.layers().collect();
        let names: Vec<String> = layers.iter().map(Layer::to_string).collect();
        assert_eq!(
            names.join(" "),
            "relu1_1 relu1_2 relu2_1 relu2_2 relu3_1 relu3_2 relu3_3 \
             relu4_1 relu4_2 relu4_3 relu5_1 relu5_2 relu5_3"
        );
        assert!(layers.is_sorted());
        for (layer, name) in layers.iter().zip(&names) {
            assert_eq!(name.parse(), Ok(*layer));
            assert_eq!(Layer::new(layer.block(), layer.index()), Some(*layer));
        }
    }

    #[test]
    fn unknown_layers_suggest_the_nearest() {
        let message = |name: &str| name.parse::<Layer>().unwrap_err().to_string();
        assert_eq!(
            message("relu4_9"),
            "unknown layer `relu4_9`; did you mean `relu4_3`?"
        );
        assert_eq!(
            message("conv4_2"),
            "unknown layer `conv4_2`; did you mean `relu4_2`?"
        );
        assert_eq!(
            message("ReLU31"),
            "unknown layer `ReLU31`; did you mean `relu3_1`?"
        );
        assert_eq!(message("sky"), "unknown layer `sky`");
        assert_eq!(message("a\u{1b}c\n"), "unknown layer `a�c�`");
        assert_eq!(Layer::new(1, 3), None);
        assert_eq!(Layer::new(0, 0), None);
    }

    #[test]
    fn display_keeps_to_a_width() {
        assert_eq!(format!("{:9}|", Layer { block: 1, index: 2 }), "relu1_2  |");
    }
}
