//! Layers by their names in Caffe, and what a layer's weight becomes.

use std::collections::BTreeMap;

use super::error::ImportError;
use super::flags::{Flags, Program};
use crate::preset::{Layer, Network, quoted};

/// How the losses of a term depend on the network's features and on the size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factors {
    /// The power of the features' size that the gradient goes by, where averages are
    /// doubled: 2 (content), 4 (style), 1 (normalised); 0 with max pooling.
    pub(super) power: i32,
    /// The long side of the picture, where weights are divided by the longest axis of the
    /// target.
    pub(super) divide: Option<Axes>,
    /// Whether the weight enters squared: the term's weight is, so that only the division
    /// is left to square.
    pub(super) squared: bool,
}

/// What a weight is divided by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Axes {
    /// The channels.
    Gram,
    /// The channels, or the features' long side, for a picture with this one.
    Features(u32),
}

impl Factors {
    fn of(self, layer: Layer) -> f64 {
        let block = layer.block();
        let pooled = 2_f64.powi(-self.power * (i32::from(block) - 1));
        let channels = match block {
            1 => 64,
            2 => 128,
            3 => 256,
            _ => 512,
        };
        let longest = match self.divide {
            None => 1,
            Some(Axes::Gram) => channels,
            Some(Axes::Features(side)) => channels.max(side >> (block - 1)),
        };
        let divided = 1.0 / f64::from(longest);
        pooled
            * if self.squared {
                divided * divided
            } else {
                divided
            }
    }
}

/// The layers that a flag names, and the weight of each.
///
/// # Errors
/// When a name is none of the network's layers.
pub(super) fn layers(
    flags: &Flags,
    (flag, default): (&'static str, &str),
    network: Network,
    factors: Factors,
    notes: &mut Vec<String>,
) -> Result<BTreeMap<Layer, f64>, ImportError> {
    let names = flags.list(flag);
    let names = names.unwrap_or_else(|| default.split(',').collect());
    let mut layers = BTreeMap::new();
    let mut before: Option<(u8, u8, bool)> = None;
    for name in names {
        if name.starts_with("pool") {
            return Err(ImportError::Pooling {
                flag,
                layer: name.to_owned(),
            });
        }
        let rectified = match name.strip_prefix("conv") {
            Some(place) => format!("relu{place}"),
            None => name.to_owned(),
        };
        let layer = Layer::of(network, &rectified)
            .or_else(|_| Layer::of(network, name))
            .map_err(|layer| ImportError::Layer { flag, layer })?;
        let place = (layer.block(), layer.index(), rectified == name);
        if flags.program == Program::Lua && before.is_some_and(|before| before >= place) {
            notes.push(format!(
                "neural_style.lua looks for layers in the network's order, so it has never found \
                 {} of `-{flag}` nor what comes after it: they are left out.",
                quoted(name)
            ));
            break;
        }
        before = Some(place);
        if rectified != name {
            notes.push(format!(
                "{} of `-{flag}` became {layer}: impasto compares features after the rectifier.",
                quoted(name)
            ));
        }
        layers.insert(layer, factors.of(layer));
    }
    Ok(layers)
}
