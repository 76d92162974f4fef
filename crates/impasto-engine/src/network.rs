//! VGG (Simonyan & Zisserman 2015): feature maps, and gradients back through
//! them.
//!
//! Each stage is a 3×3 convolution with padding 1 and a ReLU; a 2×2 pooling
//! opens every block but the first. The network expects BGR in 0..255 minus
//! the mean colour of its training pictures (other conventions are folded into
//! its weights, see [`weights`]); [`Vgg`] takes RGB in 0..1 and does that step
//! itself, so gradients come back in RGB in 0..1 as well.

use impasto_core::preset::{Layer, Network, Pooling};
use tch::{Device, Kind, Tensor};

use super::Result;
use super::convolution::Convolution;
use super::kernels::Instructions;
use super::pooling::{pool, unpool, unpool_relu};
use super::precision::Precision;
use super::weights::{self, Parameters, Provenance};

/// A VGG network, cut off after the deepest layer that is needed.
#[derive(Debug)]
pub struct Vgg {
    stages: Vec<(Layer, Convolution)>,
    pooling: Pooling,
    provenance: Provenance,
}

/// What one pass of a picture left behind, enough to carry gradients back.
#[derive(Debug)]
pub struct Trace {
    /// The ReLU's output of every stage, `[1, C, H, W]` channels last.
    maps: Vec<Tensor>,
    /// For max pooling by libtorch before a stage: which of the four values won.
    winners: Vec<Option<Tensor>>,
}

impl Vgg {
    /// Reads the network as far as `deepest`; no stage at all if that is none.
    ///
    /// # Errors
    /// When the weights are broken or the memory is not there.
    pub fn new(
        network: Network,
        pooling: Pooling,
        deepest: Option<Layer>,
        device: Device,
        precision: Precision,
    ) -> Result<Self> {
        let parameters = match deepest {
            Some(deepest) => weights::load(network, deepest, device)?,
            None => Parameters {
                convolutions: Vec::new(),
                mean_bgr: [0.0; 3],
                provenance: weights::built_in_provenance(),
            },
        };
        Self::from_parameters(parameters, pooling, device, precision)
    }

    /// A network that computes nothing.
    pub fn without_stages(pooling: Pooling) -> Self {
        Self {
            stages: Vec::new(),
            pooling,
            provenance: weights::built_in_provenance(),
        }
    }

    /// The network with these parameters, which are on `device`.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn from_parameters(
        parameters: Parameters,
        pooling: Pooling,
        device: Device,
        precision: Precision,
    ) -> Result<Self> {
        let Parameters {
            convolutions,
            mean_bgr,
            provenance,
        } = parameters;
        let own = device == Device::Cpu && precision == Precision::Float32;
        let instructions = Instructions::detect().filter(|_| own);
        let mut mean = Some(mean_bgr);
        let mut stages = Vec::with_capacity(convolutions.len());
        for (layer, weights::Convolution { weight, bias }) in convolutions {
            let kind = precision.kind();
            let stage = Convolution::new(&weight, &bias, mean.take(), kind, instructions)?;
            stages.push((layer, stage));
        }
        Ok(Self {
            stages,
            pooling,
            provenance,
        })
    }

    /// The layers that it computes, from the picture inwards.
    pub fn layers(&self) -> Vec<Layer> {
        self.stages.iter().map(|(layer, _)| *layer).collect()
    }

    /// Where its weights come from.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Shows `visit` the feature map of every stage in turn, keeping none.
    /// Maps are `[1, C, H, W]`.
    ///
    /// # Errors
    /// When libtorch fails or `visit` does.
    pub fn visit(
        &self,
        image: &Tensor,
        mut visit: impl FnMut(Layer, &Tensor) -> Result<()>,
    ) -> Result<()> {
        let mut map = image.shallow_clone();
        for (layer, stage) in &self.stages {
            if opens_block(*layer) {
                (map, _) = pool(self.pooling, &map)?;
            }
            map = stage.forward(&map)?;
            visit(*layer, &map)?;
        }
        Ok(())
    }

    /// Passes the picture through, keeping what [`Vgg::gradient`] needs.
    ///
    /// # Errors
    /// When libtorch fails, for want of memory for example.
    pub fn trace(&self, image: &Tensor) -> Result<Trace> {
        let mut trace = Trace {
            maps: Vec::new(),
            winners: Vec::new(),
        };
        for (layer, stage) in &self.stages {
            let before = trace.maps.last().unwrap_or(image);
            let (map, winners) = if opens_block(*layer) {
                let (pooled, winners) = pool(self.pooling, before)?;
                (stage.forward(&pooled)?, winners)
            } else {
                (stage.forward(before)?, None)
            };
            trace.maps.push(map);
            trace.winners.push(winners);
        }
        Ok(trace)
    }

    /// The gradient of a loss with respect to the pixels, `[1, 3, H, W]`, RGB
    /// in 0..1. From the deepest stage to the first, `add` gets the layer, its
    /// feature map and the gradient that came from deeper layers (none before
    /// the first that gives one), and returns that gradient with its own share
    /// added. Layers that `has_loss` denies have no share of their own.
    ///
    /// Returns none if no layer gave any gradient.
    ///
    /// # Errors
    /// When libtorch fails or `add` does.
    pub fn gradient(
        &self,
        mut trace: Trace,
        has_loss: impl Fn(Layer) -> bool,
        mut add: impl FnMut(Layer, &Tensor, Option<Tensor>) -> Result<Option<Tensor>>,
    ) -> Result<Option<Tensor>> {
        let mut upstream: Option<Tensor> = None;
        // Whether the gradient has passed the stage's ReLU already.
        let mut passed_relu = false;
        let mut stages = self.stages.iter().rev().peekable();
        while let Some((layer, stage)) = stages.next() {
            // Popping frees each map as soon as the pass is through with it.
            let (Some(map), Some(winners)) = (trace.maps.pop(), trace.winners.pop()) else {
                break;
            };
            if !passed_relu {
                upstream = add(*layer, &map, upstream)?;
            }
            let Some(gradient) = upstream else { continue };
            let gradient = match std::mem::take(&mut passed_relu) {
                true => stage.backward_linear(&gradient, &map)?,
                false => stage.backward(&gradient, &map)?,
            };
            drop(map);
            let before = trace.maps.last().filter(|_| opens_block(*layer));
            let Some(before) = before else {
                upstream = Some(gradient);
                continue;
            };
            let bare = stages.peek().is_some_and(|(layer, _)| !has_loss(*layer));
            let fused = match bare {
                true => unpool_relu(self.pooling, &gradient, before)?,
                false => None,
            };
            passed_relu = fused.is_some();
            upstream = Some(match fused {
                Some(gradient) => gradient,
                None => unpool(self.pooling, &gradient, before, winners.as_ref())?,
            });
        }
        Ok(upstream)
    }
}

impl Trace {
    /// The feature maps, in the order of [`Vgg::layers`].
    pub fn maps(&self) -> &[Tensor] {
        &self.maps
    }
}

/// The layers that are computed to reach `deepest`, from the picture inwards.
pub fn layers_to(network: Network, deepest: Option<Layer>) -> Vec<Layer> {
    let layers = network.layers();
    layers
        .take_while(|layer| deepest.is_some_and(|deepest| *layer <= deepest))
        .collect()
}

/// Whether a pooling stands before this layer.
pub(super) fn opens_block(layer: Layer) -> bool {
    layer.block() > 1 && layer.index() == 1
}

/// A feature map `[1, C, H, W]` as a matrix with a row for each place and a
/// column for each channel, `[H·W, C]`. A view where the map is channels last.
///
/// # Errors
/// When libtorch fails.
pub fn rows(map: &Tensor) -> Result<Tensor> {
    let channels = map.size().get(1).copied().unwrap_or(1);
    Ok(map.f_permute([0, 2, 3, 1])?.f_reshape([-1, channels])?)
}

/// The inverse of [`rows`] for a map of the shape of `like`.
///
/// # Errors
/// When libtorch fails.
pub fn unrows(rows: &Tensor, like: &Tensor) -> Result<Tensor> {
    let (_, channels, height, width) = like.size4()?;
    Ok(rows
        .f_view([1, height, width, channels])?
        .f_permute([0, 3, 1, 2])?)
}

/// The largest absolute value of a tensor; not finite if any value is not.
///
/// # Errors
/// When libtorch fails.
pub fn magnitude(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.f_abs()?.f_max()?.f_to_kind(Kind::Float)?)
}
