//! How precisely, and how quickly, libtorch computes.

use super::{Result, ffi};

/// What libtorch may do to be quicker, for the whole process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switches {
    /// Round float32 convolutions on CUDA to TF32, with 11 significant bits.
    pub tf32_convolutions: bool,
    /// Round float32 matrix products on CUDA to TF32.
    pub tf32_products: bool,
    /// Let products of bfloat16 or float16 matrices on CUDA add up partial sums
    /// in that kind; otherwise the sums are float32.
    pub reduced_sums: bool,
    /// Let cuDNN try its kernels on the first convolution of every size and
    /// keep the fastest.
    pub cudnn_benchmark: bool,
}

/// Sets all four switches. They apply to the kernels launched from now on, not
/// to graphs that were captured before.
///
/// # Errors
/// When libtorch refuses.
pub fn set_switches(switches: Switches) -> Result<()> {
    ffi::set_switches([
        switches.tf32_convolutions,
        switches.tf32_products,
        switches.reduced_sums,
        switches.cudnn_benchmark,
    ])
}

/// The switches as they stand.
///
/// # Errors
/// When libtorch refuses.
pub fn switches() -> Result<Switches> {
    let [
        tf32_convolutions,
        tf32_products,
        reduced_sums,
        cudnn_benchmark,
    ] = ffi::switches()?;
    Ok(Switches {
        tf32_convolutions,
        tf32_products,
        reduced_sums,
        cudnn_benchmark,
    })
}

/// Lets the CPU take numbers too small for a full float32 for 0, which some
/// processors compute with a hundred times slower. It holds for this thread and
/// for those it starts later, libtorch's among them: call it before the
/// thread's first computation. False where the processor cannot.
///
/// # Errors
/// When libtorch refuses.
pub fn flush_denormals(on: bool) -> Result<bool> {
    ffi::flush_denormals(on)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device::devices;
    use tch::Tensor;

    #[test]
    fn switches_stay_as_they_are_set() {
        // They are those of the whole process: no test may use a GPU meanwhile.
        let _gpu = devices();
        let before = switches().unwrap();
        for bits in 0..16u8 {
            let wanted = Switches {
                tf32_convolutions: bits & 1 != 0,
                tf32_products: bits & 2 != 0,
                reduced_sums: bits & 4 != 0,
                cudnn_benchmark: bits & 8 != 0,
            };
            set_switches(wanted).unwrap();
            assert_eq!(switches().unwrap(), wanted);
        }
        set_switches(before).unwrap();
    }

    #[test]
    fn denormals_are_flushed_on_this_thread() {
        let small = Tensor::from_slice(&[1e-38f32]);
        let smaller = || (&small * 0.01).double_value(&[0]);
        assert!(smaller() > 0.0);
        if flush_denormals(true).unwrap() {
            assert_eq!(smaller(), 0.0);
            flush_denormals(false).unwrap();
            assert!(smaller() > 0.0);
        }
    }
}
