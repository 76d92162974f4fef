//! Copies from a GPU to the host that nobody waits for.

use tch::{Device, Tensor};

use super::stream::{CudaEvent, Stream, record_stream};
use super::{EngineError, Result, ffi};

/// A copy of a tensor on its way to the host.
///
/// The tensor may be changed in place, or dropped, as soon as [`start`] has
/// returned: what it holds at that point of its stream is set aside on the GPU
/// first.
///
/// [`start`]: Self::start
#[derive(Debug)]
pub struct HostCopy {
    host: Option<Tensor>,
    done: CudaEvent,
}

impl HostCopy {
    /// Starts a copy of what the tensor holds after the work that the thread's
    /// current stream has so far. The copy runs on `side`, beside that stream's
    /// later work. A tensor on the CPU is copied before this returns.
    ///
    /// Not for use inside a capture: it allocates pinned memory.
    ///
    /// # Errors
    /// When `side` is a stream of another device, when memory runs out, and
    /// when libtorch fails.
    pub fn start(tensor: &Tensor, side: &Stream) -> Result<Self> {
        let device = tensor.device();
        if device != side.device() {
            return Err(EngineError::Device(format!(
                "a tensor on {device:?} cannot be copied by a stream of {:?}",
                side.device()
            )));
        }
        // Contiguous, so that the bytes can go to the host as they lie.
        let mut aside = Tensor::f_empty(tensor.size(), (tensor.f_kind()?, device))?;
        aside.f_copy_(tensor)?;
        if device == Device::Cpu {
            let done = CudaEvent::record(side)?;
            return Ok(Self {
                host: Some(aside),
                done,
            });
        }
        side.wait_for(&Stream::current(device)?)?;
        record_stream(&aside, side)?;
        let mut host = ffi::pinned_like(&aside)?;
        side.run(|| ffi::copy_async(&mut host, &aside))?;
        Ok(Self {
            done: CudaEvent::record(side)?,
            host: Some(host),
        })
    }

    /// Whether the copy is there. Does not wait.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn is_done(&self) -> Result<bool> {
        self.done.is_done()
    }

    /// The copy, a contiguous tensor on the CPU, once it is there; none before,
    /// and none after it was taken. Does not wait.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn poll(&mut self) -> Result<Option<Tensor>> {
        Ok(if self.is_done()? {
            self.host.take()
        } else {
            None
        })
    }

    /// Waits for the copy, if it was not taken yet.
    ///
    /// # Errors
    /// When it was, and when libtorch fails.
    pub fn wait(mut self) -> Result<Tensor> {
        self.done.synchronize()?;
        self.host
            .take()
            .ok_or_else(|| EngineError::Torch("a copy was asked for twice".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device::{devices, gpu};
    use tch::Kind;

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.reshape([-1])).unwrap()
    }

    #[test]
    fn a_copy_keeps_what_the_tensor_held() {
        for &device in devices().iter() {
            let side = Stream::side(device).unwrap();
            // Not contiguous, as channels-last images are.
            let mut tensor = Tensor::arange(24, (Kind::Float, device))
                .view([1, 2, 4, 3])
                .permute([0, 3, 1, 2]);
            let before = values(&tensor.to_device(Device::Cpu));
            let copy = HostCopy::start(&tensor, &side).unwrap();
            let _ = tensor.fill_(7.0);
            drop(tensor);
            let host = copy.wait().unwrap();
            assert_eq!(host.device(), Device::Cpu);
            assert!(host.is_contiguous());
            assert_eq!(host.size(), [1, 3, 2, 4]);
            assert_eq!(values(&host), before);
        }
    }

    #[test]
    fn a_copy_is_handed_over_once() {
        let side = Stream::side(Device::Cpu).unwrap();
        let mut copy = HostCopy::start(&Tensor::from_slice(&[1i64, 2]), &side).unwrap();
        assert!(copy.is_done().unwrap());
        let host = copy.poll().unwrap().expect("the CPU is done at once");
        assert_eq!(host.kind(), Kind::Int64);
        assert!(copy.poll().unwrap().is_none());
        assert!(copy.wait().is_err());
    }

    #[test]
    fn many_copies_arrive_in_their_own_buffers() {
        let Some(gpu) = gpu() else { return };
        let device = gpu.device;
        let side = Stream::side(device).unwrap();
        let mut tensor = Tensor::zeros([1 << 18], (Kind::Float, device));
        let mut copies = Vec::new();
        for _ in 0..20 {
            let _ = tensor.g_add_scalar_(1.0);
            copies.push(HostCopy::start(&tensor, &side).unwrap());
        }
        for (number, copy) in copies.into_iter().enumerate() {
            let host = copy.wait().unwrap();
            let wanted = (number + 1) as f64;
            assert_eq!(host.min().double_value(&[]), wanted);
            assert_eq!(host.max().double_value(&[]), wanted);
        }
    }
}
