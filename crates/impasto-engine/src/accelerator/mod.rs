//! What libtorch can do for a GPU and tch does not carry: memory statistics,
//! precision switches, streams and events, copies that nobody waits for, and
//! CUDA graphs.
//!
//! The calls go to two C++ files in this folder that link against libtorch's
//! CPU part alone, so they build and answer on a machine without CUDA too: with
//! none, or with an error that says so. On the CPU, streams, events and copies
//! exist in a form that does everything at once; code written for them runs,
//! and is tested, without a GPU.

#![allow(unsafe_code, reason = "C++ functions of libtorch")]

mod copy;
mod ffi;
mod graph;
mod memory;
mod product;
mod settings;
mod stream;

pub use copy::HostCopy;
pub use graph::{Graph, graphs_available};
pub use memory::{Stats, empty_cache, free_and_total, reset_peak, stats};
pub use product::mm_float;
pub use settings::{Switches, flush_denormals, set_switches, switches};
pub use stream::{CudaEvent, Stream, native_stream, record_stream};

use tch::Device;

use super::{EngineError, Result};

/// The number of a CUDA device as libtorch counts; none for the CPU.
fn cuda_index(device: Device) -> Option<i32> {
    match device {
        // libtorch stores it in a signed byte.
        Device::Cuda(index) => i8::try_from(index).ok().map(i32::from),
        _ => None,
    }
}

/// As [`cuda_index`].
///
/// # Errors
/// Where the device is none of CUDA's.
fn need_cuda(device: Device, what: &str) -> Result<i32> {
    cuda_index(device).ok_or_else(|| {
        EngineError::Device(format!("{what} need a CUDA device; {device:?} is none"))
    })
}

#[cfg(test)]
mod tests;
