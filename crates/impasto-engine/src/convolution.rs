//! The stages of VGG, a 3×3 convolution with padding 1 and a ReLU each, forward
//! and backward: by libtorch, or by kernels of our own where they are faster.
//!
//! Feature maps are `[1, C, H, W]` with the channels innermost in memory. The
//! first stage takes a picture, RGB in 0..1, and its gradient is one of such a
//! picture: what the network expects of its input is folded in.

use std::cell::OnceCell;
use std::sync::atomic::{AtomicBool, Ordering};

use tch::{Device, Kind, Tensor};

use super::cuda::{self, FirstLayer};
use super::kernels::{self, Epilogue, Filters, FirstFilters, Instructions};
use super::layout::{CHANNELS_LAST, channels_last};
use super::slices::{filled, floats};
use super::{EngineError, Result};

/// How a contiguous picture `[1, 3, H, W]` lies in memory.
const PLANES: &[usize] = &[0, 1, 2, 3];
/// One convolution with its ReLU.
#[derive(Debug)]
pub enum Convolution {
    Libtorch(Libtorch),
    /// The first, by our own kernels.
    First(FirstFilters),
    /// Any other, by our own kernels.
    Winograd(Winograd),
}

/// A convolution by libtorch.
#[derive(Debug)]
pub struct Libtorch {
    /// `[out, in, 3, 3]`, channels last.
    weight: Tensor,
    bias: Tensor,
    /// `[in, out, 3, 3]`, turned by 180°: with stride 1 and padding 1 the
    /// gradient with respect to a convolution's input is itself a convolution
    /// with these weights, the faster kernel on every processor tried. Made for
    /// the first gradient: who only looks at maps needs half the memory.
    backward: OnceCell<Tensor>,
    /// For the first: the mean colour to take from a picture, blue, green and
    /// red in 0..255, `[1, 3, 1, 1]`.
    mean: Option<Tensor>,
    /// For the first on a GPU: what our own kernels take.
    first: Option<FirstLayer>,
}

/// A convolution by our own kernels.
#[derive(Debug)]
pub struct Winograd {
    instructions: Instructions,
    /// `[out, in, 3, 3]`, contiguous, for the gradient's filters.
    weight: Tensor,
    bias: Vec<f32>,
    filters: Filters,
    /// As [`Libtorch::backward`].
    backward: OnceCell<Filters>,
}

impl Convolution {
    /// A convolution with `weight`, `[out, in, 3, 3]`, and `bias`, both float32.
    /// The first in a network has the `mean` that is taken from a picture. With
    /// `instructions`, our own kernels compute it, in float32 on the CPU; else
    /// libtorch, in `kind`.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn new(
        weight: &Tensor,
        bias: &Tensor,
        mean: Option<[f32; 3]>,
        kind: Kind,
        instructions: Option<Instructions>,
    ) -> Result<Self> {
        let weight = weight.f_contiguous()?;
        let own = instructions
            .zip(floats(&weight, PLANES))
            .zip(floats(bias, &[0]));
        if let Some(((instructions, values), bias)) = own {
            if let Some(mean) = mean {
                let filters =
                    kernels::guard(|| FirstFilters::new(instructions, values, bias, mean))?;
                return Ok(Self::First(filters));
            }
            let (outputs, inputs, ..) = weight.size4()?;
            let (inputs, outputs) = (inputs as usize, outputs as usize);
            return Ok(Self::Winograd(Winograd {
                instructions,
                bias: bias.to_vec(),
                filters: kernels::guard(|| Filters::new(instructions, values, inputs, outputs))?,
                backward: OnceCell::new(),
                weight,
            }));
        }
        let mean = match mean {
            Some(mean) => Some(
                Tensor::f_from_slice(&mean)?
                    .f_view([1, 3, 1, 1])?
                    .f_to_device(weight.device())?,
            ),
            None => None,
        };
        let first = match (&mean, cuda::kernels(weight.device())) {
            (Some(mean), Some(_)) => FirstLayer::new(&weight, bias, mean)?,
            _ => None,
        };
        Ok(Self::Libtorch(Libtorch {
            first,
            weight: channels_last(&weight.f_to_kind(kind)?)?,
            bias: bias.f_to_kind(kind)?,
            backward: OnceCell::new(),
            mean,
        }))
    }

    /// The feature map of `input`.
    ///
    /// # Errors
    /// When libtorch fails, for want of memory for example.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        match self {
            Self::Libtorch(stage) => stage.forward(input),
            Self::First(filters) => {
                let picture = input.f_contiguous()?;
                let (size, planes) = (Sides::of(&picture)?, slice(&picture, PLANES)?);
                size.map(filters.outputs(), |map| {
                    filters.forward(planes, size.pair(), map)
                })
            }
            Self::Winograd(stage) => {
                let size = Sides::of(input)?;
                let (values, outputs) = (slice(input, CHANNELS_LAST)?, stage.filters.outputs());
                size.map(outputs, |map| {
                    let epilogue = Epilogue::BiasRelu(&stage.bias);
                    stage
                        .filters
                        .convolve(values, size.pair(), None, epilogue, map)
                })
            }
        }
    }

    /// The gradient with respect to the input, from that with respect to what the
    /// stage's ReLU was given, whose output was `map`.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn backward_linear(&self, gradient: &Tensor, map: &Tensor) -> Result<Tensor> {
        match self {
            Self::Libtorch(stage) => stage.backward_linear(gradient),
            // What has passed the ReLU once passes it unchanged.
            _ => self.backward(gradient, map),
        }
    }

    /// The gradient with respect to the input, from that with respect to the
    /// feature map, which was `map`.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn backward(&self, gradient: &Tensor, map: &Tensor) -> Result<Tensor> {
        match self {
            Self::Libtorch(stage) => stage.backward(gradient, map),
            Self::First(filters) => {
                let size = Sides::of(map)?;
                let gradient = channels_last(gradient)?;
                let values = slice(&gradient, CHANNELS_LAST)?;
                let mask = slice(map, CHANNELS_LAST)?;
                filled(&[1, 3, size.height, size.width], |picture| {
                    filters.backward(values, size.pair(), Some(mask), picture)
                })
            }
            Self::Winograd(stage) => {
                let size = Sides::of(map)?;
                let gradient = channels_last(gradient)?;
                let values = slice(&gradient, CHANNELS_LAST)?;
                let mask = slice(map, CHANNELS_LAST)?;
                let filters = stage.backward_filters()?;
                size.map(filters.outputs(), |input| {
                    filters.convolve(values, size.pair(), Some(mask), Epilogue::Plain, input)
                })
            }
        }
    }
}

impl Winograd {
    fn backward_filters(&self) -> Result<&Filters> {
        if let Some(filters) = self.backward.get() {
            return Ok(filters);
        }
        let (outputs, inputs, ..) = self.weight.size4()?;
        let weight = slice(&self.weight, PLANES)?;
        let (inputs, outputs) = (inputs as usize, outputs as usize);
        let filters =
            kernels::guard(|| Filters::transposed(self.instructions, weight, inputs, outputs))?;
        Ok(self.backward.get_or_init(|| filters))
    }
}

impl Libtorch {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        if let Some((layer, kernels)) = self.first.as_ref().zip(cuda::kernels(input.device()))
            && let Some(map) = kernels.first_forward(layer, input, self.weight.f_kind()?)?
        {
            return Ok(map);
        }
        let network_input;
        let input = match &self.mean {
            Some(mean) => {
                let bgr = input.f_flip([1])?.f_mul_scalar(255.0)?.f_sub(mean)?;
                network_input = channels_last(&bgr.f_to_kind(self.weight.f_kind()?)?)?;
                &network_input
            }
            None => input,
        };
        convolve_relu(input, &self.weight, &self.bias)
    }

    fn backward(&self, gradient: &Tensor, map: &Tensor) -> Result<Tensor> {
        if let Some((layer, kernels)) = self.first.as_ref().zip(cuda::kernels(map.device()))
            && let Some(gradient) = kernels.first_backward(layer, gradient, map)?
        {
            return Ok(gradient);
        }
        self.backward_linear(&map.f_threshold_backward(gradient, 0)?)
    }

    fn backward_linear(&self, gradient: &Tensor) -> Result<Tensor> {
        let gradient = convolve(gradient, self.backward_weight()?, None)?;
        if self.mean.is_none() {
            return Ok(gradient);
        }
        let rgb = gradient.f_to_kind(Kind::Float)?.f_flip([1])?;
        Ok(rgb.f_contiguous()?.f_mul_scalar_(255.0)?)
    }

    fn backward_weight(&self) -> Result<&Tensor> {
        if let Some(weight) = self.backward.get() {
            return Ok(weight);
        }
        let turned = self.weight.f_flip([2, 3])?.f_transpose(0, 1)?;
        let turned = channels_last(&turned)?;
        Ok(self.backward.get_or_init(|| turned))
    }
}

/// The sides of a map or picture.
#[derive(Clone, Copy)]
struct Sides {
    height: i64,
    width: i64,
}

impl Sides {
    fn of(tensor: &Tensor) -> Result<Self> {
        let (_, _, height, width) = tensor.size4()?;
        Ok(Self { height, width })
    }

    fn pair(self) -> (usize, usize) {
        (self.height as usize, self.width as usize)
    }

    /// A new map of these sides, `[1, C, H, W]` channels last.
    fn map(
        self,
        channels: usize,
        fill: impl FnOnce(&mut [f32]) -> kernels::Result<()>,
    ) -> Result<Tensor> {
        let rows = filled(&[1, self.height, self.width, channels as i64], fill)?;
        Ok(rows.f_permute([0, 3, 1, 2])?)
    }
}

/// The values of a tensor that is known to lie in memory so.
fn slice<'a>(tensor: &'a Tensor, order: &[usize]) -> Result<&'a [f32]> {
    floats(tensor, order).ok_or_else(|| {
        EngineError::Torch("a tensor does not lie in memory as it was made".to_owned())
    })
}

/// A convolution, its bias and ReLU: on a GPU cuDNN does all three in the time of
/// the convolution alone.
fn convolve_relu(input: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    /// Whether cuDNN refused: then it does so every time.
    static REFUSED: AtomicBool = AtomicBool::new(false);
    if matches!(input.device(), Device::Cuda(_)) && !REFUSED.load(Ordering::Relaxed) {
        let fused = input.f_cudnn_convolution_relu(weight, Some(bias), [1, 1], [1, 1], [1, 1], 1);
        match fused.map_err(EngineError::from) {
            Ok(map) => return Ok(map),
            Err(error @ EngineError::OutOfMemory(_)) => return Err(error),
            Err(_) => REFUSED.store(true, Ordering::Relaxed),
        }
    }
    let mut map = convolve(input, weight, Some(bias))?;
    // In place: nothing else ever looks at the convolution's raw output.
    let _ = map.f_relu_()?;
    Ok(map)
}

fn convolve(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    Ok(input.f_conv2d(weight, bias, [1, 1], [1, 1], [1, 1], 1)?)
}
