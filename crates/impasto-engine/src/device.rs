//! Which processor paints.
//!
//! The binary is linked against libtorch's CPU part alone. CUDA is turned on
//! by opening `libtorch_cuda.so` before the first question about CUDA, so one
//! binary serves machines with and without a GPU.

#![allow(unsafe_code, reason = "a library that is opened by name")]

use std::sync::OnceLock;

use impasto_core::job::DeviceChoice;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use tch::Device;

use super::{EngineError, Result};

/// Turns CUDA on, once per process.
///
/// # Errors
/// A sentence that says why there is none: no driver, or a libtorch without
/// its CUDA part.
pub fn enable_cuda() -> std::result::Result<(), &'static str> {
    static ENABLED: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    ENABLED
        .get_or_init(open_cuda)
        .as_ref()
        .copied()
        .map_err(String::as_str)
}

fn open_cuda() -> std::result::Result<(), String> {
    // The driver's own library first: it is small, and without it opening
    // libtorch_cuda would only cost time.
    open("libcuda.so.1").map_err(|_| "no NVIDIA driver answers on this machine".to_owned())?;
    open("libtorch_cuda.so").map_err(|error| {
        format!("there is an NVIDIA driver, but libtorch's CUDA part cannot be opened ({error})")
    })?;
    if tch::Cuda::is_available() {
        Ok(())
    } else {
        Err("libtorch's CUDA part is open, but it finds no usable GPU".to_owned())
    }
}

/// Opens a shared library for the rest of the process's life.
fn open(name: &str) -> std::result::Result<(), String> {
    // SAFETY: opening runs the library's initialisers. Both libraries opened
    // here, NVIDIA's driver and libtorch's CUDA part, are made to be opened at
    // any time and from any thread. The handle is leaked on purpose: libtorch
    // registers its kernels when it is opened and must never be closed.
    match unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => {
            let _ = library.into_raw();
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// The processor for `choice` on this machine.
///
/// # Errors
/// When CUDA is asked for and there is none, or not that many devices.
pub fn resolve(choice: DeviceChoice) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto if enable_cuda().is_err() => Ok(Device::Cpu),
        DeviceChoice::Auto => Ok(Device::Cuda(0)),
        DeviceChoice::Cuda(index) => {
            if let Err(why) = enable_cuda() {
                return Err(EngineError::Device(format!(
                    "{choice} cannot be used: {why}; `impasto doctor` shows more, --device cpu \
                     paints without a GPU"
                )));
            }
            let count = cuda_devices();
            if index >= count {
                return Err(EngineError::Device(format!(
                    "{choice} cannot be used: this machine has {count} CUDA device(s), counted \
                     from 0"
                )));
            }
            Ok(Device::Cuda(index))
        }
    }
}

/// How many CUDA devices libtorch sees; 0 before [`enable_cuda`].
pub fn cuda_devices() -> usize {
    usize::try_from(tch::Cuda::device_count()).unwrap_or(0)
}

/// Whether libtorch has cuDNN, without which convolutions on CUDA are slow.
pub fn has_cudnn() -> bool {
    tch::Cuda::cudnn_is_available()
}

/// How many threads libtorch computes with on the CPU.
pub fn cpu_threads() -> i32 {
    tch::get_num_threads()
}

/// Whether a device is a GPU.
pub fn is_cuda(device: Device) -> bool {
    matches!(device, Device::Cuda(_))
}

/// The name of a device as flags and events spell it: `cpu` or `cuda:N`.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

/// The folder libtorch was loaded from, as the running process sees it.
pub fn libtorch_folder() -> Option<std::path::PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps
        .lines()
        .find(|line| line.ends_with("/libtorch_cpu.so"))?;
    let file = std::path::Path::new(&line[line.find('/')?..]);
    file.parent()?.parent().map(std::path::Path::to_owned)
}

/// The version of the libtorch in use, such as `2.11.0+cu130`, from the files
/// that lie beside it. (libtorch itself reports its version through CUDA only.)
pub fn libtorch_version() -> Option<String> {
    let folder = libtorch_folder()?;
    let version = std::fs::read_to_string(folder.join("build-version")).or_else(|_| {
        let text = std::fs::read_to_string(folder.join("version.py"))?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("__version__ = "));
        Ok::<_, std::io::Error>(
            line.unwrap_or_default()
                .trim_matches(['\'', '"'])
                .to_owned(),
        )
    });
    version
        .ok()
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        assert_eq!(resolve(DeviceChoice::Cpu).unwrap(), Device::Cpu);
        assert!(resolve(DeviceChoice::Auto).is_ok());
    }

    #[test]
    fn a_device_that_is_not_there_is_refused_in_words() {
        let error = resolve(DeviceChoice::Cuda(63)).unwrap_err().to_string();
        assert!(error.starts_with("cuda:63 cannot be used: "), "{error}");
    }

    #[test]
    fn libtorch_reports_its_folder_and_version() {
        assert!(
            libtorch_folder()
                .unwrap()
                .join("lib/libtorch_cpu.so")
                .exists()
        );
        assert!(libtorch_version().unwrap().starts_with("2.11."));
    }
}
