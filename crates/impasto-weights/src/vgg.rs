//! Which of a file's tensors are the convolutions of VGG-16 or VGG-19.

use std::collections::{HashMap, HashSet};

use super::error::quoted;
use super::tensor::Tensor;
use super::{Architecture, WeightsErrorKind};

/// What programs put before the names of a network that is part of another.
const PREFIXES: [&str; 4] = ["module.", "model.", "vgg.", "net."];

/// A convolution and the tensors that hold its numbers.
#[derive(Debug)]
pub(super) struct Planned<'a> {
    pub block: u8,
    pub index: u8,
    /// out, in, 3, 3
    pub shape: [usize; 4],
    pub weight: &'a Tensor,
    pub bias: &'a Tensor,
}

/// The convolutions from the first one on, as many as there are. Where a file
/// ends before the two networks differ, VGG-16 is what it is taken for.
///
/// # Errors
/// When the first one is missing or there is one that neither network has,
/// when one is left out on the way, and when a shape is another.
pub(super) fn plan(
    tensors: &[Tensor],
) -> Result<(Architecture, Vec<Planned<'_>>), WeightsErrorKind> {
    let mut found = HashMap::new();
    let mut styles = HashSet::new();
    for tensor in tensors {
        let Some((place, part)) = parse(&tensor.name) else {
            continue;
        };
        styles.insert(matches!(place, NamedLayer::Feature(_)));
        if found.insert((place, part), tensor).is_some() || styles.len() > 1 {
            return Err(WeightsErrorKind::NotVgg(format!(
                "{} stands for a layer that is there already",
                quoted(&tensor.name)
            )));
        }
    }
    let architecture = architecture(&found)?;

    let mut planned = Vec::new();
    let mut inputs = 3;
    for convolution in convolutions(architecture) {
        let places = [
            NamedLayer::Feature(convolution.feature),
            NamedLayer::Convolution(convolution.block, convolution.index),
        ];
        let part = |part| {
            places
                .iter()
                .find_map(|&place| found.remove(&(place, part)))
        };
        let [weight, bias] = [Part::Weight, Part::Bias].map(part);
        let missing = |what| {
            WeightsErrorKind::NotVgg(format!(
                "the {what} of conv{}_{} is missing",
                convolution.block, convolution.index
            ))
        };
        let (weight, bias) = match (weight, bias) {
            (Some(weight), Some(bias)) => (weight, bias),
            (None, Some(_)) => return Err(missing("weight")),
            (Some(_), None) => return Err(missing("bias")),
            // Only what is deeper than all that is there may be missing.
            (None, None) if found.is_empty() && !planned.is_empty() => break,
            (None, None) => return Err(missing("weight")),
        };
        let outputs = channels(convolution.block);
        check(weight, &[outputs, inputs, 3, 3])?;
        check(bias, &[outputs])?;
        planned.push(Planned {
            block: convolution.block,
            index: convolution.index,
            shape: [outputs, inputs, 3, 3].map(usize::from),
            weight,
            bias,
        });
        inputs = outputs;
    }
    Ok((architecture, planned))
}

/// Where a tensor's name says its layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum NamedLayer {
    /// `features.N`: the number within PyTorch's list of all layers.
    Feature(u16),
    /// `convB_I`: block and index within it, from 1 on.
    Convolution(u8, u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Weight,
    Bias,
}

/// What a name says. None if it is that of something else, a classifier's say.
fn parse(mut name: &str) -> Option<(NamedLayer, Part)> {
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    let (layer, part) = name.rsplit_once('.')?;
    let part = match part {
        "weight" => Part::Weight,
        "bias" => Part::Bias,
        _ => return None,
    };
    let place = if let Some(place) = layer.strip_prefix("conv") {
        let (block, index) = place.split_once('_')?;
        NamedLayer::Convolution(number(block)?, number(index)?)
    } else {
        NamedLayer::Feature(number(layer.strip_prefix("features.").unwrap_or(layer))?)
    };
    Some((place, part))
}

/// A number in plain digits.
fn number<N: std::str::FromStr>(digits: &str) -> Option<N> {
    (digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// The network that has all these layers.
fn architecture(
    found: &HashMap<(NamedLayer, Part), &Tensor>,
) -> Result<Architecture, WeightsErrorKind> {
    let strange = |architecture: Architecture| {
        (found.keys())
            .filter(|(place, _)| {
                !convolutions(architecture).any(|convolution| match *place {
                    NamedLayer::Feature(feature) => feature == convolution.feature,
                    NamedLayer::Convolution(block, index) => {
                        (block, index) == (convolution.block, convolution.index)
                    }
                })
            })
            .filter_map(|key| Some(found.get(key)?.name.as_str()))
            // The map has no order, and a message should always be the same.
            .min()
    };
    let Some(name) = strange(Architecture::Vgg16) else {
        return Ok(Architecture::Vgg16);
    };
    match strange(Architecture::Vgg19) {
        None => Ok(Architecture::Vgg19),
        Some(other) => Err(WeightsErrorKind::NotVgg(format!(
            "neither network has both {} and {}; variants with batch normalisation are not read",
            quoted(name.min(other)),
            quoted(name.max(other)),
        ))),
    }
}

fn check(tensor: &Tensor, shape: &[u16]) -> Result<(), WeightsErrorKind> {
    if tensor
        .shape
        .iter()
        .copied()
        .eq(shape.iter().map(|&side| u64::from(side)))
    {
        return Ok(());
    }
    // The file may say that there are very many dimensions.
    let found = &tensor.shape[..tensor.shape.len().min(8)];
    Err(WeightsErrorKind::NotVgg(format!(
        "{} has the shape {found:?}, not {shape:?}",
        quoted(&tensor.name)
    )))
}

/// How many feature maps the layers of a block have.
fn channels(block: u8) -> u16 {
    match block {
        1 => 64,
        2 => 128,
        3 => 256,
        _ => 512,
    }
}

/// One convolution of a network.
struct Convolution {
    block: u8,
    index: u8,
    /// Its number within PyTorch's list, where each is followed by a rectifier
    /// and each block by a pooling.
    feature: u16,
}

/// Every convolution of a network, from the picture inwards.
fn convolutions(architecture: Architecture) -> impl Iterator<Item = Convolution> {
    let blocks = architecture.blocks();
    (1..).zip(blocks).flat_map(move |(block, &count)| {
        let before: u16 = (blocks.iter().take(usize::from(block) - 1))
            .map(|&count| 2 * u16::from(count) + 1)
            .sum();
        (1..=count).map(move |index| Convolution {
            block,
            index,
            feature: before + 2 * u16::from(index - 1),
        })
    })
}

#[cfg(test)]
mod tests;
