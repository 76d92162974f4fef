//! The network's parameters, from safetensors bytes to checked tensors.

use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use super::{EngineError, Result};
use crate::preset::{Layer, Network};

/// VGG-16's thirteen convolutions in float16; `weights/README.md` tells where
/// they come from.
static VGG16: &[u8] = include_bytes!("../../weights/vgg16.safetensors");

/// One 3×3 convolution.
#[derive(Debug)]
pub struct Convolution {
    /// `[out, in, 3, 3]`, float32.
    pub weight: Tensor,
    /// `[out]`, float32.
    pub bias: Tensor,
}

/// The weights that come with the program.
pub fn built_in(network: Network) -> &'static [u8] {
    match network {
        Network::Vgg16 => VGG16,
    }
}

/// SHA-256 of the weights in use, for recipes.
pub fn sha256(network: Network) -> String {
    Sha256::digest(built_in(network))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Reads the convolutions of `network` in the order a picture meets them, no
/// deeper than `deepest`: what lies beyond is not needed.
///
/// # Errors
/// When a tensor is missing, has the wrong shape or type, or holds values that
/// are not finite.
pub fn read(
    bytes: &[u8],
    network: Network,
    deepest: Layer,
    device: Device,
) -> Result<Vec<(Layer, Convolution)>> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| EngineError::Weights(format!("not a safetensors file ({error:?})")))?;
    let mut convolutions = Vec::new();
    let mut inputs = 3;
    for layer in network.layers().take_while(|layer| *layer <= deepest) {
        let outputs = channels(layer);
        let name = format!("conv{}_{}", layer.block(), layer.index());
        let weight = tensor(&file, &format!("{name}.weight"), &[outputs, inputs, 3, 3])?;
        let bias = tensor(&file, &format!("{name}.bias"), &[outputs])?;
        let convolution = Convolution {
            weight: weight.f_to_device(device)?,
            bias: bias.f_to_device(device)?,
        };
        convolutions.push((layer, convolution));
        inputs = outputs;
    }
    Ok(convolutions)
}

/// How many feature maps a layer of VGG has.
fn channels(layer: Layer) -> i64 {
    match layer.block() {
        1 => 64,
        2 => 128,
        3 => 256,
        _ => 512,
    }
}

/// One tensor of the file as float32, its shape checked.
fn tensor(file: &SafeTensors<'_>, name: &str, shape: &[i64]) -> Result<Tensor> {
    let wrong = |what: String| EngineError::Weights(format!("tensor {name}: {what}"));
    let view = file
        .tensor(name)
        .map_err(|_| wrong("missing from the file".to_owned()))?;
    let kind = match view.dtype() {
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        other => return Err(wrong(format!("type {other:?} is none of F32, F16, BF16"))),
    };
    let found: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
    if found != shape {
        return Err(wrong(format!("shape {found:?}, expected {shape:?}")));
    }
    let tensor = Tensor::f_from_data_size(view.data(), shape, kind)?.f_to_kind(Kind::Float)?;
    if !tensor
        .f_abs()?
        .f_sum(Kind::Float)?
        .f_double_value(&[])?
        .is_finite()
    {
        return Err(wrong(
            "holds values that are infinite or not a number".to_owned(),
        ));
    }
    Ok(tensor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str) -> Layer {
        name.parse().unwrap()
    }

    #[test]
    fn the_built_in_weights_are_whole() {
        let vgg16 = Network::Vgg16;
        let convolutions = read(built_in(vgg16), vgg16, layer("relu5_3"), Device::Cpu).unwrap();
        assert_eq!(convolutions.len(), 13);
        // The bias of conv5_3 as published listings of the original give it.
        let bias = &convolutions[12].1.bias;
        assert!((bias.mean(Kind::Float).double_value(&[]) - 0.149_869_64).abs() < 1e-4);
        assert!((bias.min().double_value(&[]) + 0.500_367_46).abs() < 1e-3);
    }

    #[test]
    fn no_more_is_read_than_needed() {
        let vgg16 = Network::Vgg16;
        let convolutions = read(built_in(vgg16), vgg16, layer("relu2_1"), Device::Cpu).unwrap();
        let names: Vec<_> = convolutions
            .iter()
            .map(|(layer, _)| layer.to_string())
            .collect();
        assert_eq!(names, ["relu1_1", "relu1_2", "relu2_1"]);
    }

    #[test]
    fn broken_files_are_refused_in_words() {
        let whole = built_in(Network::Vgg16);
        for bytes in [
            &b""[..],
            &b"no weights at all"[..],
            &whole[..1000],
            &whole[..whole.len() - 1],
        ] {
            let error = read(bytes, Network::Vgg16, layer("relu1_1"), Device::Cpu).unwrap_err();
            assert!(
                error.to_string().contains("not a safetensors file"),
                "{error}"
            );
        }
    }
}
