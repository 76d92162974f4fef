//! The engine: the only crate that depends on libtorch.
//!
//! Bottom up: [`device`] finds the processor, [`weights`] reads the network's
//! parameters, [`network`] computes feature maps and carries gradients back
//! through them, [`statistic`] and [`loss`] compare feature maps, [`targets`] holds what
//! an image is compared with, [`evaluate`] gives its losses and the gradient with
//! respect to the pixels, [`optimizer`] moves the pixels, [`descent`] is the loop
//! around both, [`painter`] does one iteration at a time, and [`worker`] runs a
//! painter on a thread of its own.
//!
//! Pictures are float32 tensors of shape `[1, 3, H, W]`, RGB in 0..1. Nothing
//! here uses autograd: the chain of VGG is short and regular, so the gradient
//! is written out, which saves memory, half of the Gram matrices' backward
//! work, and lets every tensor stay in the channels-last layout.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod accelerator;
pub mod bench;
pub mod budget;
pub mod calibrate;
pub mod convolution;
pub mod cuda;
pub mod descent;
pub mod device;
pub mod evaluate;
mod kernel_check;
pub mod kernels;
mod laplacian;
mod layout;
pub mod loss;
pub mod loss_ring;
pub mod measure;
pub mod memory;
pub mod memory_plan;
pub mod network;
pub mod network_pool;
pub mod optimizer;
pub mod painter;
pub mod pictures;
pub mod pixels;
pub mod pooling;
pub mod precision;
pub mod preview;
pub mod products;
pub mod recorder;
pub mod scalars;
pub mod scores;
pub mod slices;
pub mod source_picture;
pub mod state;
pub mod statistic;
pub mod targets;
#[cfg(test)]
mod test_device;
pub mod tiles;
pub mod warm_up;
pub mod weights;
pub mod work;
pub mod worker;

use tch::TchError;

/// What can go wrong while painting.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("out of memory: {0}; `impasto fit` shows which sizes fit")]
    OutOfMemory(String),
    #[error("libtorch reported: {0}")]
    Torch(String),
    #[error("the network's weights cannot be used: {0}")]
    Weights(String),
    #[error(
        "the checkpoint does not fit this run: {0}. Remove the run's folder `checkpoint`, and \
         `impasto resume` paints from the beginning"
    )]
    Checkpoint(String),
    #[error("{0}")]
    Device(String),
    /// A picture does not fit the preset.
    #[error("{0}")]
    Picture(String),
    /// The network is not there, or not deep enough.
    #[error("{0}")]
    Network(String),
    #[error(
        "the losses became infinite or not a number {failures} times, the last time at iteration \
         {iteration}; lower the preset's weights or the optimizer's rate"
    )]
    NotFinite { failures: u32, iteration: u32 },
}

impl EngineError {
    /// Whether what was asked for is wrong here: a device, a precision, a network.
    pub fn is_usage_error(&self) -> bool {
        matches!(self, Self::Device(_) | Self::Network(_) | Self::Weights(_))
    }
}

impl From<TchError> for EngineError {
    fn from(error: TchError) -> Self {
        let text = error.to_string();
        // libtorch appends a C++ stack trace; its first line says what happened.
        let first = text
            .trim_start_matches("Internal torch error: ")
            // What comes before names a line of libtorch's source.
            .rsplit("DefaultCPUAllocator: ")
            .next()
            .unwrap_or("")
            .lines()
            .next()
            .unwrap_or("");
        let first: String = first
            .chars()
            .filter(|c| !c.is_control())
            .take(300)
            .collect();
        let memory = [
            "out of memory",
            "can't allocate memory",
            "not enough memory",
        ];
        if memory.iter().any(|words| text.contains(words)) {
            Self::OutOfMemory(first)
        } else {
            Self::Torch(first)
        }
    }
}

impl From<kernels::KernelError> for EngineError {
    fn from(error: kernels::KernelError) -> Self {
        match error {
            kernels::KernelError::Shape(error) => Self::Torch(error.to_string()),
            kernels::KernelError::NoMemory { .. } => Self::OutOfMemory(error.to_string()),
        }
    }
}

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, EngineError>;
