//! What libtorch's own allocator holds of a GPU's memory.

use tch::Device;

use super::{Result, cuda_index, ffi, need_cuda};

/// The memory that libtorch's allocator took on one GPU, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// In tensors now.
    pub allocated: u64,
    /// Taken from the driver now: in tensors, or kept for later ones.
    pub reserved: u64,
    /// The most that was allocated since [`reset_peak`].
    pub peak_allocated: u64,
    /// The most that was reserved since [`reset_peak`].
    pub peak_reserved: u64,
}

/// What the allocator reports for a GPU; none on the CPU, before the first use of
/// CUDA, and where libtorch will not say. Waits for no kernel.
pub fn stats(device: Device) -> Option<Stats> {
    let bytes = ffi::memory_stats(cuda_index(device)?).ok()??;
    let [allocated, reserved, peak_allocated, peak_reserved] =
        bytes.map(|bytes| u64::try_from(bytes).unwrap_or(0));
    Some(Stats {
        allocated,
        reserved,
        peak_allocated,
        peak_reserved,
    })
}

/// Lets the peaks of a GPU begin again from what is in use now.
///
/// # Errors
/// On the CPU, and where CUDA is not in use.
pub fn reset_peak(device: Device) -> Result<()> {
    ffi::memory_reset_peak(need_cuda(device, "memory statistics")?)
}

/// Gives memory that no tensor uses back to the driver, on every GPU. Waits for
/// the GPUs' work; not for use inside a loop. Does nothing without CUDA.
///
/// # Errors
/// When libtorch fails.
pub fn empty_cache() -> Result<()> {
    ffi::memory_empty_cache()
}

/// The GPU's memory by the driver's account, in bytes: what is free, for every
/// program, and what there is.
///
/// # Errors
/// On the CPU, and where CUDA is not in use.
pub fn free_and_total(device: Device) -> Result<(u64, u64)> {
    let [free, total] = ffi::memory_free_and_total(need_cuda(device, "memory statistics")?)?;
    Ok((free, total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device::gpu;
    use tch::{Kind, Tensor};

    #[test]
    fn the_cpu_has_no_statistics() {
        assert_eq!(stats(Device::Cpu), None);
        assert!(reset_peak(Device::Cpu).is_err());
        assert!(free_and_total(Device::Cpu).is_err());
        empty_cache().unwrap();
    }

    #[test]
    fn cuda_that_is_not_in_use_has_none_either() {
        if gpu().is_some() {
            return;
        }
        assert_eq!(stats(Device::Cuda(0)), None);
        let error = free_and_total(Device::Cuda(0)).unwrap_err();
        assert!(error.to_string().contains("CUDA is not in use"), "{error}");
        assert_eq!(stats(Device::Cuda(100_000)), None);
    }

    #[test]
    fn tensors_are_counted_while_they_live() {
        let Some(gpu) = gpu() else { return };
        let device = gpu.device;
        let before = Tensor::zeros([1], (Kind::Float, device));
        let empty = stats(device).unwrap();
        let tensor = Tensor::zeros([1 << 20], (Kind::Float, device));
        let full = stats(device).unwrap();
        assert!(full.allocated >= empty.allocated + (4 << 20));
        assert!(full.reserved >= full.allocated);
        drop((before, tensor));
        let after = stats(device).unwrap();
        assert!(after.peak_allocated >= full.allocated);
        reset_peak(device).unwrap();
        let (free, total) = free_and_total(device).unwrap();
        assert!(free < total);
        empty_cache().unwrap();
    }
}
