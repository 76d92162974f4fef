//! The networks that see the pictures, and the names of their layers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::words::{did_you_mean, nearest, quoted};

/// How a network of Simonyan and Zisserman is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// Configuration D, thirteen convolutions.
    Vgg16,
    /// Configuration E, sixteen convolutions.
    Vgg19,
}

impl Architecture {
    /// `vgg16` or `vgg19`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vgg16 => "vgg16",
            Self::Vgg19 => "vgg19",
        }
    }

    /// How many convolutions each block has; a pooling follows every block.
    pub fn blocks(self) -> &'static [u8] {
        match self {
            Self::Vgg16 => &[2, 2, 3, 3, 3],
            Self::Vgg19 => &[2, 2, 4, 4, 4],
        }
    }

    /// How many convolutions the whole network has.
    pub fn depth(self) -> usize {
        self.layers().count()
    }

    /// Every layer, from the picture inwards: `relu1_1`, `relu1_2`, `relu2_1` …
    pub fn layers(self) -> impl Iterator<Item = Layer> {
        (1..)
            .zip(self.blocks())
            .flat_map(|(block, &count)| (1..=count).map(move |index| Layer { block, index }))
    }
}

/// The network whose feature maps the losses compare, by its name: `vgg16`,
/// which is part of the program, `vgg19`, or the name that one was imported
/// under. A name says nothing of whether the network is there.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    /// ASCII, zeros behind.
    name: [u8; Self::MAX_LENGTH],
}

impl Network {
    /// The longest name.
    pub const MAX_LENGTH: usize = 32;
    /// The one that is part of the program.
    pub const VGG16: Self = Self::known(b"vgg16");
    pub const VGG19: Self = Self::known(b"vgg19");

    const fn known(word: &[u8]) -> Self {
        let mut name = [0; Self::MAX_LENGTH];
        let mut index = 0;
        while index < word.len() {
            name[index] = word[index];
            index += 1;
        }
        Self { name }
    }

    /// The network of that name; none if it is no plain word of up to 32
    /// letters, digits, `-`, `_` and, but for the first, `.`.
    pub fn new(name: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let fits = (1..=Self::MAX_LENGTH).contains(&name.len());
        (fits && name.chars().all(plain) && !name.starts_with('.'))
            .then(|| Self::known(name.as_bytes()))
    }

    /// The name in a preset.
    pub fn name(&self) -> &str {
        let length = self.name.iter().position(|byte| *byte == 0);
        let bytes = &self.name[..length.unwrap_or(Self::MAX_LENGTH)];
        // ASCII, as it was made.
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// How it is built, where the name alone says so.
    pub fn architecture(self) -> Option<Architecture> {
        [Architecture::Vgg16, Architecture::Vgg19]
            .into_iter()
            .find(|architecture| architecture.name() == self.name())
    }

    /// Every layer that it has or, where the name does not say, may have.
    pub fn layers(self) -> impl Iterator<Item = Layer> {
        self.architecture().unwrap_or(Architecture::Vgg19).layers()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl de::Visitor<'_> for NameVisitor {
            type Value = Network;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the network: vgg16, vgg19, or the name that one was imported under")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Network, E> {
                Network::new(name).ok_or_else(|| {
                    E::custom(format_args!(
                        "{} is no name of a network\nnames: vgg16, vgg19, or up to 32 letters, \
                         digits, `-`, `_` and `.`",
                        quoted(name)
                    ))
                })
            }
        }
        deserializer.deserialize_any(NameVisitor)
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

    /// The layers of all networks: VGG-19 has those of VGG-16.
    fn every() -> impl Iterator<Item = Self> {
        Architecture::Vgg19.layers()
    }

    /// The layer of that name in a network.
    ///
    /// # Errors
    /// When the network has no such layer, with the nearest that it has.
    pub fn of(network: Network, name: &str) -> Result<Self, UnknownLayer> {
        let layers: Vec<(Self, String)> = network
            .layers()
            .map(|layer| (layer, layer.to_string()))
            .collect();
        let found = layers.iter().find(|(_, known)| known == name);
        found.map(|(layer, _)| *layer).ok_or_else(|| {
            // Other programs speak of the convolution before the rectifier.
            let meant = name.to_lowercase().replacen("conv", "relu", 1);
            let known = layers.iter().map(|(_, known)| known.as_str());
            UnknownLayer {
                name: name.to_owned(),
                near: nearest(&meant, known).map(str::to_owned),
            }
        })
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
        Self::of(Network::VGG19, name)
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
                name.parse().map_err(E::custom)
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
        let layers: Vec<Layer> = Network::VGG16.layers().collect();
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
    fn vgg19_has_three_more() {
        let names = |network: Network| -> Vec<String> {
            network.layers().map(|layer| layer.to_string()).collect()
        };
        let (small, large) = (names(Network::VGG16), names(Network::VGG19));
        let more: Vec<_> = large.iter().filter(|name| !small.contains(name)).collect();
        assert_eq!(more, ["relu3_4", "relu4_4", "relu5_4"]);
        assert_eq!(large.len(), 16);
    }

    #[test]
    fn layers_belong_to_their_network() {
        assert!(Layer::of(Network::VGG19, "relu3_4").is_ok());
        let error = Layer::of(Network::VGG16, "relu3_4").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown layer `relu3_4`; did you mean `relu3_3`?"
        );
        // Nobody knows yet how a network is built that was imported.
        let mine = Network::new("mine").unwrap();
        assert!(Layer::of(mine, "relu3_4").is_ok());
    }

    #[test]
    fn networks_have_plain_names() {
        for name in ["vgg16", "vgg19", "my-net_2.1", &"a".repeat(32)] {
            assert_eq!(Network::new(name).unwrap().name(), name);
        }
        for name in ["", ".vgg", "a/b", "a b", "é", "a\u{1b}", &"a".repeat(33)] {
            assert_eq!(Network::new(name), None, "{name}");
        }
        assert_eq!(Network::new("vgg16"), Some(Network::VGG16));
        assert_eq!(Network::VGG16.architecture(), Some(Architecture::Vgg16));
        assert_eq!(Network::new("mine").unwrap().architecture(), None);
    }

    #[test]
    fn unknown_layers_suggest_the_nearest() {
        let message = |name: &str| name.parse::<Layer>().unwrap_err().to_string();
        assert_eq!(
            message("relu4_9"),
            "unknown layer `relu4_9`; did you mean `relu4_4`?"
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
