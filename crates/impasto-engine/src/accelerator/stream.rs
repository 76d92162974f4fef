//! Streams of work on a GPU, and events that mark a point in one.
//!
//! A GPU does the work of one stream in order and that of several side by side.
//! Every thread has a current stream for each device; whatever libtorch is
//! asked for goes there. A tensor's memory belongs to the stream it was made
//! on: use it on another one only after [`Stream::wait_for`], and tell
//! [`record_stream`] if it may be dropped before that stream's work is done.

use tch::{Device, Tensor};

use super::ffi::{self, EventHandle, StreamGuard, StreamId};
use super::{Result, cuda_index, need_cuda};

/// A stream. On the CPU there is one, which does everything at once.
///
/// Streams come from libtorch's pool and live as long as the process; this is
/// the number of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    device: Device,
    id: Option<StreamId>,
}

impl Stream {
    /// The current stream of this thread for a device.
    ///
    /// # Errors
    /// When CUDA is asked for and not in use.
    pub fn current(device: Device) -> Result<Self> {
        let id = match device {
            Device::Cpu => None,
            _ => Some(ffi::current_stream(need_cuda(device, "streams")?)?),
        };
        Ok(Self { device, id })
    }

    /// A stream beside the default one, from libtorch's pool of 32 a device,
    /// whose streams are handed out in turn.
    ///
    /// # Errors
    /// When CUDA is asked for and not in use.
    pub fn side(device: Device) -> Result<Self> {
        let id = match device {
            Device::Cpu => None,
            _ => Some(ffi::stream_from_pool(need_cuda(device, "streams")?)?),
        };
        Ok(Self { device, id })
    }

    /// The device that it works on.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Does `work` with this stream, and its device, as the thread's current
    /// ones. The streams before are current again afterwards, whatever `work`
    /// does. Nothing is waited for.
    ///
    /// # Errors
    /// Those of `work`, and when libtorch fails.
    pub fn run<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let _entered = self.id.map(StreamGuard::new).transpose()?;
        work()
    }

    /// Lets this stream's later work wait for the event. The caller does not
    /// wait.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn wait_for_event(&self, event: &CudaEvent) -> Result<()> {
        match (&event.handle, self.id) {
            (Some(event), Some(id)) => event.block(id),
            // The work of a GPU for the CPU: the CPU has to see it done.
            (Some(event), None) => event.synchronize(),
            (None, _) => Ok(()),
        }
    }

    /// Lets this stream's later work wait for the other's work so far. The
    /// caller does not wait.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn wait_for(&self, other: &Self) -> Result<()> {
        if self == other {
            return Ok(());
        }
        self.wait_for_event(&CudaEvent::record(other)?)
    }

    /// Waits until the stream's work so far is done.
    ///
    /// # Errors
    /// When libtorch fails, and when work before failed: a GPU reports errors late.
    pub fn synchronize(&self) -> Result<()> {
        self.id.map_or(Ok(()), ffi::synchronize_stream)
    }

    pub(super) fn id(&self) -> Option<StreamId> {
        self.id
    }
}

/// The handle of this thread's current stream, as CUDA's own functions take it.
///
/// # Errors
/// When the device is none of CUDA's, or CUDA is not in use.
pub fn native_stream(device: Device) -> Result<usize> {
    ffi::native_stream(need_cuda(device, "native streams")?)
}

/// A point in a stream's work.
#[derive(Debug)]
pub struct CudaEvent {
    handle: Option<EventHandle>,
}

impl CudaEvent {
    /// Marks the end of the stream's work so far.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn record(stream: &Stream) -> Result<Self> {
        let handle = stream.id.map(EventHandle::record).transpose()?;
        Ok(Self { handle })
    }

    /// Whether the work before it is done. Does not wait.
    ///
    /// # Errors
    /// When libtorch fails, and when that work failed.
    pub fn is_done(&self) -> Result<bool> {
        self.handle.as_ref().map_or(Ok(true), EventHandle::is_done)
    }

    /// Waits until the work before it is done.
    ///
    /// # Errors
    /// When libtorch fails, and when that work failed.
    pub fn synchronize(&self) -> Result<()> {
        self.handle
            .as_ref()
            .map_or(Ok(()), EventHandle::synchronize)
    }
}

/// Tells the allocator that a tensor is used on a stream it was not made on:
/// its memory is not given to another tensor before that stream's work, as it
/// stands when the tensor is dropped, is done. Does nothing on the CPU.
///
/// # Errors
/// When libtorch fails.
pub fn record_stream(tensor: &Tensor, stream: &Stream) -> Result<()> {
    match (cuda_index(tensor.device()), stream.id) {
        (Some(_), Some(id)) => ffi::record_stream(tensor, id),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EngineError;
    use crate::test_device::gpu;
    use tch::Kind;

    #[test]
    fn on_the_cpu_everything_is_done_at_once() {
        let stream = Stream::side(Device::Cpu).unwrap();
        assert_eq!(stream, Stream::current(Device::Cpu).unwrap());
        let event = CudaEvent::record(&stream).unwrap();
        assert!(event.is_done().unwrap());
        stream.wait_for_event(&event).unwrap();
        stream.wait_for(&stream).unwrap();
        stream.synchronize().unwrap();
        event.synchronize().unwrap();
        record_stream(&Tensor::from_slice(&[1f32]), &stream).unwrap();
        assert_eq!(stream.run(|| Ok(3)).unwrap(), 3);
        let refused = || Err::<(), _>(EngineError::Torch("no".into()));
        assert!(stream.run(refused).is_err());
    }

    #[test]
    fn without_cuda_there_is_an_error_of_one_line() {
        if gpu().is_some() {
            return;
        }
        for result in [
            Stream::current(Device::Cuda(0)),
            Stream::side(Device::Cuda(0)),
            Stream::side(Device::Cuda(1000)),
        ] {
            let text = result.unwrap_err().to_string();
            assert!(!text.contains('\n') && text.contains("CUDA"), "{text}");
        }
    }

    #[test]
    fn a_side_stream_is_current_inside_only() {
        let Some(gpu) = gpu() else { return };
        let device = gpu.device;
        let before = Stream::current(device).unwrap();
        let side = Stream::side(device).unwrap();
        assert_ne!(before, side);
        let tensor = Tensor::ones([1 << 16], (Kind::Float, device));
        side.wait_for(&before).unwrap();
        let sum = side
            .run(|| {
                assert_eq!(Stream::current(device)?, side);
                record_stream(&tensor, &side)?;
                Ok(tensor.f_sum(Kind::Float)?)
            })
            .unwrap();
        assert_eq!(Stream::current(device).unwrap(), before);
        let event = CudaEvent::record(&side).unwrap();
        event.synchronize().unwrap();
        assert!(event.is_done().unwrap());
        assert_eq!(sum.double_value(&[]), 65536.0);
    }
}
