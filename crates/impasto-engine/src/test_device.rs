//! The processors that tests run on.
//!
//! Tests that use a GPU do so one at a time: a test that captures a CUDA graph
//! or counts memory is disturbed by whatever another one does meanwhile.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tch::Device;

use super::{accelerator, device, kernel_check};

/// Where it is set, a test that finds no GPU fails instead of being skipped.
const REQUIRE: &str = "IMPASTO_REQUIRE_GPU";

static IN_USE: Mutex<()> = Mutex::new(());

/// A GPU, for one test until this is dropped.
pub struct Gpu {
    pub device: Device,
    _in_use: MutexGuard<'static, ()>,
}

/// A GPU for a test; without one, a word about why the test does nothing.
pub fn gpu() -> Option<Gpu> {
    let usable = device::enable_cuda().map_err(str::to_owned).and_then(|()| {
        let graphs = accelerator::graphs_available();
        graphs.map_err(|error| error.to_string())
    });
    match usable {
        Ok(()) => Some(Gpu {
            device: prepared(Device::Cuda(0)),
            // A test that failed leaves the GPU as usable as it was.
            _in_use: IN_USE.lock().unwrap_or_else(PoisonError::into_inner),
        }),
        Err(why) => {
            assert!(std::env::var_os(REQUIRE).is_none(), "no GPU: {why}");
            eprintln!("skipped: {why}");
            None
        }
    }
}

/// Tests go through the CUDA kernels too.
fn prepared(device: Device) -> Device {
    kernel_check::prepare(device);
    device
}

/// The CPU and, where there is one, a GPU.
pub struct Devices {
    devices: Vec<Device>,
    _gpu: Option<Gpu>,
}

pub fn devices() -> Devices {
    let gpu = gpu();
    let on_gpu = gpu.as_ref().map(|gpu| gpu.device);
    Devices {
        devices: [Some(Device::Cpu), on_gpu].into_iter().flatten().collect(),
        _gpu: gpu,
    }
}

impl Deref for Devices {
    type Target = [Device];

    fn deref(&self) -> &[Device] {
        &self.devices
    }
}
