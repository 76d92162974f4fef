//! A network's parameters: from the built-in bytes or an installed file to
//! tensors of one form.

use impasto_core::preset::{Layer, Network};
use impasto_weights::{Convention, Networks};
use safetensors::{Dtype, SafeTensors};
use tch::{Device, Kind, Tensor};

use super::{EngineError, Result};

/// VGG-16's thirteen convolutions in float16; `weights/README.md` says where
/// they come from.
static VGG16: &[u8] = include_bytes!("../../../weights/vgg16.safetensors");

/// SHA-256 of the built-in weights, which a test compares: computing it would
/// cost every run a tenth of a second.
const VGG16_SHA256: &str = "1478c08a650d61a1fa541f3fd6326098b26dac0fcdd5b0f5abbcaec18e92e667";

/// One 3×3 convolution.
#[derive(Debug)]
pub struct Convolution {
    /// `[out, in, 3, 3]`, float32.
    pub weight: Tensor,
    /// `[out]`, float32.
    pub bias: Tensor,
}

/// What a network needs besides its architecture.
#[derive(Debug)]
pub struct Parameters {
    /// In the order a picture meets them.
    pub convolutions: Vec<(Layer, Convolution)>,
    /// The mean colour that is taken from a picture on the 0..255 scale: blue,
    /// green, red.
    pub mean_bgr: [f32; 3],
    pub provenance: Provenance,
}

/// What a recipe says of the weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// SHA-256 of the file that they came from, in hexadecimal.
    pub sha256: String,
    /// What the file expects as its input.
    pub convention: Convention,
}

/// Mean blue, green and red of the pictures that the original VGG was trained
/// with, on the 0..255 scale.
const CAFFE_MEAN: [f32; 3] = [103.939, 116.779, 123.68];
/// Mean and standard deviation of red, green and blue, on the 0..1 scale, that
/// torchvision's networks were trained with.
const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// The weights of VGG-16 that come with the program.
pub fn built_in() -> &'static [u8] {
    VGG16
}

/// Where the built-in weights come from.
pub fn built_in_provenance() -> Provenance {
    Provenance {
        sha256: VGG16_SHA256.to_owned(),
        convention: Convention::BgrMinusMean,
    }
}

/// Where the weights of a network come from.
///
/// # Errors
/// When it is not there or broken.
pub fn provenance(network: Network) -> Result<Provenance> {
    if network == Network::VGG16 {
        return Ok(built_in_provenance());
    }
    let installed = Networks::open()
        .find(network.name())
        .map_err(|error| EngineError::Network(error.to_string()))?;
    Ok(Provenance {
        sha256: installed.file.sha256,
        convention: installed.file.convention,
    })
}

/// Reads a network as far as `deepest`: what lies beyond is not needed.
///
/// # Errors
/// When it is not there, not deep enough, or its weights are broken.
pub fn load(network: Network, deepest: Layer, device: Device) -> Result<Parameters> {
    if network == Network::VGG16 {
        return Ok(Parameters {
            convolutions: read(VGG16, network, deepest, device)?,
            mean_bgr: CAFFE_MEAN,
            provenance: built_in_provenance(),
        });
    }
    let installed = Networks::open()
        .find(network.name())
        .map_err(|error| EngineError::Network(error.to_string()))?;
    let parameters = from_file(&installed.file, &installed.scales, deepest, device)?;
    match parameters.convolutions.last() {
        Some((layer, _)) if *layer == deepest => Ok(parameters),
        last => {
            let end = last.map_or_else(|| "nothing".to_owned(), |(layer, _)| layer.to_string());
            Err(EngineError::Network(format!(
                "the network {} has no layer {deepest}; its last is {end}",
                network.name()
            )))
        }
    }
}

/// The parameters in a file, brought to one form: the picture's channels in the
/// order blue, green, red on the 0..255 scale, and each layer's map multiplied
/// by its scale, one by default. Both are folded into the weights, where they
/// cost nothing while painting: a ReLU and a pooling let every positive factor
/// through.
///
/// # Errors
/// When libtorch fails.
pub fn from_file(
    file: &impasto_weights::File,
    scales: &[f64],
    deepest: Layer,
    device: Device,
) -> Result<Parameters> {
    let mut convolutions = Vec::new();
    let mut before = 1.0;
    for (number, convolution) in file.convolutions.iter().enumerate() {
        let Some(layer) = Layer::new(convolution.block, convolution.index) else {
            break;
        };
        if layer > deepest {
            break;
        }
        let scale = scales.get(number).copied().unwrap_or(1.0);
        let shape = convolution.shape.map(|side| side as i64);
        let mut weight = Tensor::f_from_slice(&convolution.weight)?.f_view(shape)?;
        if convolutions.is_empty() && file.convention == Convention::RgbImageNet {
            let factors = IMAGENET_DEVIATION.map(|deviation| 1.0 / (255.0 * deviation));
            let factors = Tensor::f_from_slice(&factors)?.f_view([1, 3, 1, 1])?;
            weight = weight.f_mul(&factors)?.f_flip([1])?;
        }
        convolutions.push((
            layer,
            Convolution {
                weight: weight.f_mul_scalar(scale / before)?.f_to_device(device)?,
                bias: Tensor::f_from_slice(&convolution.bias)?
                    .f_mul_scalar(scale)?
                    .f_to_device(device)?,
            },
        ));
        before = scale;
    }
    let mean_bgr = match file.convention {
        Convention::BgrMinusMean => CAFFE_MEAN,
        Convention::RgbImageNet => {
            let [red, green, blue] = IMAGENET_MEAN.map(|mean| 255.0 * mean);
            [blue, green, red]
        }
    };
    Ok(Parameters {
        convolutions,
        mean_bgr,
        provenance: Provenance {
            sha256: file.sha256.clone(),
            convention: file.convention,
        },
    })
}

/// Reads the convolutions of `network` in the order a picture meets them, no
/// deeper than `deepest`.
fn read(
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
    use sha2::Digest;

    use super::*;

    fn layer(name: &str) -> Layer {
        name.parse().unwrap()
    }

    #[test]
    fn the_sum_of_the_built_in_weights_is_right() {
        let sum = format!("{:x}", sha2::Sha256::digest(built_in()));
        assert_eq!(sum, VGG16_SHA256);
    }

    #[test]
    fn the_built_in_weights_are_whole() {
        let vgg16 = Network::VGG16;
        let convolutions = read(built_in(), vgg16, layer("relu5_3"), Device::Cpu).unwrap();
        assert_eq!(convolutions.len(), 13);
        // The bias of conv5_3 as published listings of the original give it.
        let bias = &convolutions[12].1.bias;
        assert!((bias.mean(Kind::Float).double_value(&[]) - 0.149_869_64).abs() < 1e-4);
        assert!((bias.min().double_value(&[]) + 0.500_367_46).abs() < 1e-3);
    }

    #[test]
    fn no_more_is_read_than_needed() {
        let vgg16 = Network::VGG16;
        let convolutions = read(built_in(), vgg16, layer("relu2_1"), Device::Cpu).unwrap();
        let names: Vec<_> = convolutions
            .iter()
            .map(|(layer, _)| layer.to_string())
            .collect();
        assert_eq!(names, ["relu1_1", "relu1_2", "relu2_1"]);
    }

    #[test]
    fn broken_files_are_refused_in_words() {
        let whole = built_in();
        for bytes in [
            &b""[..],
            &b"no weights at all"[..],
            &whole[..1000],
            &whole[..whole.len() - 1],
        ] {
            let error = read(bytes, Network::VGG16, layer("relu1_1"), Device::Cpu).unwrap_err();
            assert!(
                error.to_string().contains("not a safetensors file"),
                "{error}"
            );
        }
    }
}
