//! VGG (Simonyan & Zisserman 2015): feature maps, and gradients back through
//! them.
//!
//! Each stage is a 3×3 convolution with padding 1 and a ReLU; a 2×2 pooling
//! opens every block but the first. The network expects BGR in 0..255 minus
//! the mean colour of its training pictures (other conventions are folded into
//! its weights, see [`weights`]); [`Vgg`] takes RGB in 0..1 and does that step
//! itself, so gradients come back in RGB in 0..1 as well.

use std::cell::OnceCell;

use tch::{Device, Kind, Tensor};

use super::Result;
use super::precision::Precision;
use super::weights::{self, Parameters, Provenance};
use crate::preset::{Layer, Network, Pooling};

/// Average pooling shrinks what follows; doubling it brings the deeper feature
/// maps back to about the size that max pooling gives.
const AVERAGE_SCALE: f64 = 2.0;

/// A VGG network, cut off after the deepest layer that is needed.
#[derive(Debug)]
pub struct Vgg {
    stages: Vec<Stage>,
    pooling: Pooling,
    /// What feature maps and weights are made of.
    kind: Kind,
    /// `[1, 3, 1, 1]`
    mean: Tensor,
    provenance: Provenance,
}

#[derive(Debug)]
struct Stage {
    layer: Layer,
    /// `[out, in, 3, 3]`, channels last.
    weight: Tensor,
    bias: Tensor,
    /// `[in, out, 3, 3]`, turned by 180°: with stride 1 and padding 1 the
    /// gradient with respect to a convolution's input is itself a convolution
    /// with these weights, the faster kernel on every processor tried. Made for
    /// the first gradient: who only looks at maps needs half the memory.
    backward_weight: OnceCell<Tensor>,
}

impl Stage {
    fn backward_weight(&self) -> Result<&Tensor> {
        if let Some(weight) = self.backward_weight.get() {
            return Ok(weight);
        }
        let turned = self.weight.f_flip([2, 3])?.f_transpose(0, 1)?;
        let turned = channels_last(&turned)?;
        Ok(self.backward_weight.get_or_init(|| turned))
    }
}

/// What one pass of a picture left behind, enough to carry gradients back.
#[derive(Debug)]
pub struct Trace {
    /// The ReLU's output of every stage, `[1, C, H, W]` channels last.
    maps: Vec<Tensor>,
    /// For max pooling before a stage: which of the four values won.
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
        let kind = precision.kind();
        let Parameters {
            convolutions,
            mean_bgr,
            provenance,
        } = parameters;
        let mut stages = Vec::with_capacity(convolutions.len());
        for (layer, convolution) in convolutions {
            stages.push(Stage {
                layer,
                weight: channels_last(&convolution.weight.f_to_kind(kind)?)?,
                bias: convolution.bias.f_to_kind(kind)?,
                backward_weight: OnceCell::new(),
            });
        }
        let mean = Tensor::f_from_slice(&mean_bgr)?
            .f_view([1, 3, 1, 1])?
            .f_to_device(device)?;
        Ok(Self {
            stages,
            pooling,
            kind,
            mean,
            provenance,
        })
    }

    /// The layers that it computes, from the picture inwards.
    pub fn layers(&self) -> Vec<Layer> {
        self.stages.iter().map(|stage| stage.layer).collect()
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
        let mut map = self.input(image)?;
        for stage in &self.stages {
            (map, _) = self.stage(stage, &map)?;
            visit(stage.layer, &map)?;
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
        let input = self.input(image)?;
        for stage in &self.stages {
            let (map, winners) = self.stage(stage, trace.maps.last().unwrap_or(&input))?;
            trace.maps.push(map);
            trace.winners.push(winners);
        }
        Ok(trace)
    }

    /// The gradient of a loss with respect to the pixels, `[1, 3, H, W]`, RGB
    /// in 0..1. From the deepest stage to the first, `add` gets the layer, its
    /// feature map and the gradient that came from deeper layers (none before
    /// the first that gives one), and returns that gradient with its own share
    /// added.
    ///
    /// Returns none if no layer gave any gradient.
    ///
    /// # Errors
    /// When libtorch fails or `add` does.
    pub fn gradient(
        &self,
        mut trace: Trace,
        mut add: impl FnMut(Layer, &Tensor, Option<Tensor>) -> Result<Option<Tensor>>,
    ) -> Result<Option<Tensor>> {
        let mut upstream: Option<Tensor> = None;
        for stage in self.stages.iter().rev() {
            // Popping frees each map as soon as the pass is through with it.
            let (Some(map), Some(winners)) = (trace.maps.pop(), trace.winners.pop()) else {
                break;
            };
            upstream = add(stage.layer, &map, upstream)?;
            let Some(gradient) = upstream else { continue };
            let gradient = map.f_threshold_backward(&gradient, 0)?;
            let gradient = convolve(&gradient, stage.backward_weight()?, None)?;
            upstream = Some(match trace.maps.last() {
                Some(before) if opens_block(stage.layer) => {
                    self.unpool(&gradient, before, winners.as_ref())?
                }
                _ => gradient,
            });
        }
        match upstream {
            Some(bgr) => {
                let rgb = bgr.f_to_kind(Kind::Float)?.f_flip([1])?;
                Ok(Some(rgb.f_contiguous()?.f_mul_scalar_(255.0)?))
            }
            None => Ok(None),
        }
    }

    /// RGB in 0..1 to what the network expects, channels last.
    fn input(&self, image: &Tensor) -> Result<Tensor> {
        let bgr = image.f_flip([1])?.f_mul_scalar(255.0)?.f_sub(&self.mean)?;
        channels_last(&bgr.f_to_kind(self.kind)?)
    }

    /// One stage, with the pooling before it where it opens a block. Returns
    /// the feature map and the winners of a max pooling.
    fn stage(&self, stage: &Stage, input: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
        let (input, winners) = if opens_block(stage.layer) {
            self.pool(input)?
        } else {
            (input.shallow_clone(), None)
        };
        let mut map = convolve(&input, &stage.weight, Some(&stage.bias))?;
        // In place: nothing else ever looks at the convolution's raw output.
        let _ = map.f_relu_()?;
        Ok((map, winners))
    }

    fn pool(&self, map: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
        match self.pooling {
            Pooling::Max => {
                let (pooled, winners) =
                    map.f_max_pool2d_with_indices([2, 2], [2, 2], [0, 0], [1, 1], false)?;
                Ok((pooled, Some(winners)))
            }
            Pooling::Average => {
                let mut pooled = map.f_avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)?;
                let _ = pooled.f_mul_scalar_(AVERAGE_SCALE)?;
                Ok((pooled, None))
            }
        }
    }

    /// The gradient with respect to the input of a pooling, which was `before`.
    fn unpool(
        &self,
        gradient: &Tensor,
        before: &Tensor,
        winners: Option<&Tensor>,
    ) -> Result<Tensor> {
        Ok(match winners {
            Some(winners) => before.f_max_pool2d_with_indices_backward(
                gradient,
                [2, 2],
                [2, 2],
                [0, 0],
                [1, 1],
                false,
                winners,
            )?,
            None => before
                .f_avg_pool2d_backward(gradient, [2, 2], [2, 2], [0, 0], false, true, None)?
                .f_mul_scalar_(AVERAGE_SCALE)?,
        })
    }
}

/// Whether a pooling stands before this layer.
fn opens_block(layer: Layer) -> bool {
    layer.block() > 1 && layer.index() == 1
}

fn convolve(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    Ok(input.f_conv2d(weight, bias, [1, 1], [1, 1], [1, 1], 1)?)
}

/// The same tensor `[A, B, H, W]` with its channels (B) innermost in memory.
fn channels_last(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor
        .f_permute([0, 2, 3, 1])?
        .f_contiguous()?
        .f_permute([0, 3, 1, 2])?)
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
