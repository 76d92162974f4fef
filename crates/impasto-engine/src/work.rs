//! How much there is to compute: operations, counted rather than measured.

use impasto_core::preset::{Layer, Preset};

/// How many feature maps a layer of VGG has.
pub fn channels(layer: Layer) -> u64 {
    match layer.block() {
        1 => 64,
        2 => 128,
        3 => 256,
        _ => 512,
    }
}

/// The size of a layer's feature maps for a picture of this size.
pub fn map_size(layer: Layer, (width, height): (u64, u64)) -> (u64, u64) {
    let halvings = layer.block().saturating_sub(1);
    (width >> halvings, height >> halvings)
}

/// The floating-point operations of one iteration with a network of these
/// `layers` on a picture of this size: the convolutions, forward and back to
/// the pixels, and the products behind the Gram matrices. A multiplication and
/// an addition count as two, and a convolution as the nine products that it is
/// defined by, however few an algorithm gets by with. What is done once for
/// every value (ReLU, pooling, smoothness, the optimizer) is left out: it is
/// less than a hundredth of the rest.
pub fn flops(layers: &[Layer], preset: &Preset, size: (u64, u64)) -> u64 {
    let mut inputs = 3;
    let mut sum = 0;
    for &layer in layers {
        let (width, height) = map_size(layer, size);
        let outputs = channels(layer);
        let forward = 2 * 9 * inputs * outputs * width * height;
        let gram = match preset.style.layers.contains_key(&layer) {
            true => 2 * outputs * outputs * width * height,
            false => 0,
        };
        sum += 2 * (forward + gram);
        inputs = outputs;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_core::preset::Network;

    #[test]
    fn the_work_is_what_the_layers_sizes_say() {
        let to = |network: Network, last: &str| -> Vec<Layer> {
            let last: Layer = last.parse().unwrap();
            network
                .layers()
                .take_while(|layer| *layer <= last)
                .collect()
        };
        let preset = Preset::default();
        let giga = |network, last| flops(&to(network, last), &preset, (512, 512)) / 1_000_000_000;
        // By hand: 301 for VGG-16's convolutions and 18 for the Gram matrices.
        assert_eq!(giga(Network::VGG16, "relu5_1"), 319);
        assert_eq!(giga(Network::VGG19, "relu5_1"), 396);
        // Linear in the pixels.
        let layers = to(Network::VGG16, "relu5_1");
        assert_eq!(
            flops(&layers, &preset, (1024, 512)),
            2 * flops(&layers, &preset, (512, 512))
        );
    }
}
