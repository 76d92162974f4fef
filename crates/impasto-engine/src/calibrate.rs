//! Brings another network's feature maps to the magnitude that the built-in
//! VGG-16's have, so that a preset's weights mean the same look on both.
//!
//! The losses go by squares of feature maps: the content loss is a mean
//! square, and the trace of a Gram matrix over C·H·W is the map's mean square.
//! So each layer gets the factor that makes its mean square over a set of
//! pictures what VGG-16's is there. (Gatys et al. scale every filter to a mean
//! activation of one; a factor for the whole layer does the same for the
//! losses' size and leaves the network's own balance of filters alone, and
//! VGG-16's numbers as they are.)

use std::collections::BTreeMap;

use impasto_core::picture::{Picture, fit_long_side};
use impasto_core::preset::{Layer, Network, Pooling};
use impasto_weights::File;
use tch::{Device, Kind};

use super::network::Vgg;
use super::pixels::tensor_of;
use super::precision::Precision;
use super::{EngineError, Result, weights};

/// The long side of the pictures measured: what the networks were trained at.
const SIZE: u32 = 224;

/// What to multiply each layer's feature map with, for every convolution of
/// the file.
///
/// # Errors
/// When libtorch fails, or a layer shows nothing of any picture.
pub fn scales(file: &File, pictures: &[Picture]) -> Result<Vec<f64>> {
    let vgg16 = mean_squares(&network(Network::VGG16)?, pictures)?;
    let deepest = file
        .deepest()
        .and_then(|last| Layer::new(last.block, last.index));
    let Some(deepest) = deepest else {
        return Ok(Vec::new());
    };
    let parameters = weights::from_file(file, &[], deepest, Device::Cpu)?;
    let other = Vgg::from_parameters(parameters, Pooling::Max, Device::Cpu, Precision::Float32)?;
    let mut scales = Vec::new();
    for (layer, own) in mean_squares(&other, pictures)? {
        // Where VGG-16 ends a block earlier, its last layer there stands in.
        let wanted = vgg16
            .range(..=layer)
            .next_back()
            .map_or(own, |(_, wanted)| *wanted);
        let scale = (wanted / own).sqrt();
        if !scale.is_normal() {
            return Err(EngineError::Weights(format!(
                "layer {layer} shows nothing of any picture"
            )));
        }
        scales.push(scale);
    }
    Ok(scales)
}

fn network(network: Network) -> Result<Vgg> {
    let deepest = network.layers().last();
    Vgg::new(
        network,
        Pooling::Max,
        deepest,
        Device::Cpu,
        Precision::Float32,
    )
}

/// The mean of the squares of every layer's feature map, over all pictures.
fn mean_squares(vgg: &Vgg, pictures: &[Picture]) -> Result<BTreeMap<Layer, f64>> {
    let mut sums = BTreeMap::new();
    for picture in pictures {
        let (width, height) = fit_long_side(picture.width(), picture.height(), SIZE);
        let image = tensor_of(&picture.resized(width, height), Device::Cpu)?;
        vgg.visit(&image, |layer, map| {
            let square = map.f_square()?.f_mean(Kind::Float)?.f_double_value(&[])?;
            *sums.entry(layer).or_insert(0.0) += square / pictures.len() as f64;
            Ok(())
        })?;
    }
    Ok(sums)
}
