//! What the network computes in. The picture, the sums behind the Gram matrices,
//! smoothness and the optimizer are float32 in every case.

use std::fmt;

use impasto_core::job::PrecisionChoice;
use tch::{Device, Kind};

use super::accelerator::{self, Switches};
use super::{EngineError, Result};

/// What feature maps and convolutions are computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    #[default]
    Float32,
    /// Float32 maps, convolutions by tensor cores that read ten bits of each
    /// number's fraction. CUDA only.
    Tf32,
    /// Maps of half the size with seven bits of fraction; products are summed
    /// in float32.
    Bfloat16,
}

impl Precision {
    /// What feature maps are made of.
    pub fn kind(self) -> Kind {
        match self {
            Self::Float32 | Self::Tf32 => Kind::Float,
            Self::Bfloat16 => Kind::BFloat16,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Float32 => "float32",
            Self::Tf32 => "tf32",
            Self::Bfloat16 => "bfloat16",
        })
    }
}

/// The precision for `choice` on this device: by default the fastest that
/// brings the same losses (see docs/measurements.md).
///
/// # Errors
/// When the device cannot compute so.
pub fn resolve(choice: PrecisionChoice, device: Device) -> Result<Precision> {
    let precision = chosen(choice, device)?;
    if matches!(device, Device::Cuda(_)) {
        accelerator::set_switches(Switches {
            tf32_convolutions: precision == Precision::Tf32,
            // The sums behind the Gram matrices.
            tf32_products: false,
            reduced_sums: false,
            // cuDNN's heuristics choose as well as trying its kernels would,
            // which takes seconds a picture and, in float32, all of the memory.
            cudnn_benchmark: false,
        })?;
    }
    Ok(precision)
}

fn chosen(choice: PrecisionChoice, device: Device) -> Result<Precision> {
    let cuda = matches!(device, Device::Cuda(_));
    match choice {
        PrecisionChoice::Auto if cuda => Ok(Precision::Bfloat16),
        PrecisionChoice::Auto | PrecisionChoice::Float32 => Ok(Precision::Float32),
        PrecisionChoice::Tf32 if cuda => Ok(Precision::Tf32),
        PrecisionChoice::Tf32 => Err(EngineError::Device(
            "tf32 is a precision of NVIDIA GPUs; on the CPU there are float32 and bfloat16"
                .to_owned(),
        )),
        PrecisionChoice::Bfloat16 if cuda || cpu_has_bfloat16() => Ok(Precision::Bfloat16),
        PrecisionChoice::Bfloat16 => Err(EngineError::Device(
            "this CPU has no instructions for bfloat16, which would be slower than float32 here"
                .to_owned(),
        )),
    }
}

/// Whether the processor multiplies bfloat16 numbers by instructions of its
/// own. Without them libtorch computes the same in several steps, slower than
/// in float32. (Every x86 processor with AMX has AVX-512's too.)
pub fn cpu_has_bfloat16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_agrees_with_the_kernel() {
        let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") else {
            return;
        };
        let has = |word: &str| text.split_whitespace().any(|found| found == word);
        assert_eq!(cpu_has_bfloat16(), has("avx512_bf16") || has("bf16"));
    }

    #[test]
    fn what_a_device_cannot_compute_in_is_refused() {
        let error = resolve(PrecisionChoice::Tf32, Device::Cpu).unwrap_err();
        assert!(
            error.to_string().contains("float32 and bfloat16"),
            "{error}"
        );
        assert_eq!(
            resolve(PrecisionChoice::Bfloat16, Device::Cpu).is_ok(),
            cpu_has_bfloat16()
        );
    }
}
