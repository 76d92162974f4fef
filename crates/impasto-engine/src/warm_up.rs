//! What a GPU needs before anything is painted, done while the pictures are read.

use impasto_core::job::DeviceChoice;
use impasto_core::timing;
use tch::{Device, Kind, Tensor};

use super::{device, kernel_check};

/// Opens CUDA, makes its context and starts to compile the kernels, on a thread of
/// its own. Does nothing for the CPU. What fails here fails again, with its
/// message, where it is needed.
pub fn start(choice: DeviceChoice) {
    if choice == DeviceChoice::Cpu {
        return;
    }
    let thread = std::thread::Builder::new().name("warm-up".to_owned());
    let _ = thread.spawn(move || {
        let Ok(found @ Device::Cuda(_)) = device::resolve(choice) else {
            return;
        };
        timing::mark("CUDA is open");
        kernel_check::prepare(found);
        // The first tensor makes the context.
        let _ = Tensor::f_zeros([1], (Kind::Float, found));
        timing::mark("the GPU's context is there");
    });
}
