//! CUDA graphs: work that is recorded once and launched as a whole.

use std::sync::{Mutex, TryLockError};

use super::ffi::{self, Capture, GraphHandle};
use super::stream::Stream;
use super::{EngineError, Result};

/// One capture at a time: libtorch's random number generator knows no two.
static CAPTURING: Mutex<()> = Mutex::new(());

/// Whether graphs can be captured here.
///
/// # Errors
/// A sentence that says why not: no CUDA in use, or another libtorch than the
/// one graphs are made for.
pub fn graphs_available() -> Result<()> {
    ffi::graph_available()
}

/// Kernels in the order and with the arguments of one run of a closure, ready
/// to be launched again with a single call.
///
/// A replay reads and writes the memory that the capture did. Feed it by
/// writing into the tensors that the closure read, and read its results from
/// those it wrote. What the closure allocated comes from a pool of the graph's
/// own; a tensor that outlives the closure keeps its place there, and its
/// values change with every replay. The pool goes with the graph.
#[derive(Debug)]
pub struct Graph {
    handle: GraphHandle,
    stream: Stream,
}

impl Graph {
    /// Captures what `work` launches on `stream`, without doing it. The stream
    /// must not be a default one ([`Stream::side`] makes one that fits).
    ///
    /// Warm up first: run the same work at least three times, eagerly, inside
    /// [`Stream::run`] of the same stream and on the same thread, so that cuDNN
    /// has chosen its kernels and cuBLAS has its workspace.
    ///
    /// Inside `work`:
    /// - no value of a tensor may be read by the host, nor one copied to it or
    ///   from it: no `double_value`, `to_device`, `nonzero`, masks as indices,
    ///   no comparisons that end in an `if`;
    /// - no stream or event may be waited for or asked, no pinned memory be
    ///   allocated: no `HostCopy`, no `synchronize`;
    /// - nothing may depend on which run it is: numbers of the host are
    ///   written into the graph as they are now. What changes belongs into
    ///   tensors on the GPU, which are changed in place;
    /// - memory that was made on another stream must not be freed.
    ///
    /// Other threads may use CUDA meanwhile, but not this stream.
    ///
    /// # Errors
    /// That of `work`, or why libtorch refused. The capture has ended then, the
    /// stream can be used as before, and nothing of the work was done: do it
    /// eagerly instead.
    pub fn capture(stream: &Stream, work: impl FnOnce() -> Result<()>) -> Result<Self> {
        if stream.id().is_none() {
            return Err(EngineError::Device("graphs need a CUDA device".into()));
        }
        graphs_available()?;
        let _one = match CAPTURING.try_lock() {
            Ok(one) => one,
            // A closure panicked; its capture was ended all the same.
            Err(TryLockError::Poisoned(one)) => one.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(EngineError::Device(
                    "another graph is being captured at the moment".into(),
                ));
            }
        };
        let handle = stream.run(|| {
            // Dropped by an error or a panic of `work`, it ends the capture.
            let capture = Capture::begin()?;
            work()?;
            capture.end()
        })?;
        Ok(Self {
            handle,
            stream: *stream,
        })
    }

    /// Launches the graph on the stream it was captured on. Does not wait for
    /// its end.
    ///
    /// # Errors
    /// When libtorch fails, and when work before failed: a GPU reports errors late.
    pub fn replay(&mut self) -> Result<()> {
        let Self { handle, stream } = self;
        stream.run(|| handle.replay())
    }

    /// The stream it was captured on and runs on.
    pub fn stream(&self) -> Stream {
        self.stream
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // The pool must not go while a replay works in it. A failure here has
        // been reported by the calls before.
        let _ = self.stream.synchronize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device::gpu;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn the_cpu_has_no_graphs_and_the_work_is_not_begun() {
        let stream = Stream::side(Device::Cpu).unwrap();
        let mut begun = false;
        let result = Graph::capture(&stream, || {
            begun = true;
            Ok(())
        });
        assert!(result.is_err() && !begun);
    }

    #[test]
    fn without_cuda_there_is_a_reason() {
        if gpu().is_some() {
            return;
        }
        let error = graphs_available().unwrap_err().to_string();
        assert!(error.contains("CUDA is not in use"), "{error}");
    }

    #[test]
    fn a_replay_repeats_the_work() {
        let Some(gpu) = gpu() else { return };
        let device = gpu.device;
        graphs_available().unwrap();
        let stream = Stream::side(device).unwrap();
        let input = Tensor::ones([64], (Kind::Float, device));
        let mut sum = Tensor::zeros([64], (Kind::Float, device));
        stream.wait_for(&Stream::current(device).unwrap()).unwrap();
        let mut graph = Graph::capture(&stream, || {
            let twice = input.f_mul_scalar(2.0)?;
            let _ = sum.f_add_(&twice)?;
            Ok(())
        })
        .unwrap();
        for _ in 0..5 {
            graph.replay().unwrap();
        }
        stream.synchronize().unwrap();
        // The capture itself does nothing.
        assert_eq!(sum.max().double_value(&[]), 10.0);
    }

    #[test]
    fn a_capture_that_fails_leaves_the_stream_usable() {
        let Some(gpu) = gpu() else { return };
        let device = gpu.device;
        let stream = Stream::side(device).unwrap();
        let tensor = Tensor::ones([8], (Kind::Float, device));
        stream.wait_for(&Stream::current(device).unwrap()).unwrap();
        let own = Graph::capture(&stream, || {
            Err(EngineError::Torch("changed my mind".into()))
        });
        assert!(own.unwrap_err().to_string().contains("changed my mind"));
        // Reading a value waits for the stream, which breaks the capture.
        let read = Graph::capture(&stream, || {
            let _ = tensor.f_sum(Kind::Float)?.f_double_value(&[])?;
            Ok(())
        });
        assert!(read.is_err());
        // The stream works, allocates, and can be captured again.
        let sum = stream
            .run(|| Ok(tensor.f_add_scalar(1.0)?.f_sum(Kind::Float)?))
            .unwrap();
        stream.synchronize().unwrap();
        assert_eq!(sum.double_value(&[]), 16.0);
        let mut total = Tensor::zeros([8], (Kind::Float, device));
        stream.wait_for(&Stream::current(device).unwrap()).unwrap();
        let mut graph = Graph::capture(&stream, || {
            let _ = total.f_add_(&tensor)?;
            Ok(())
        })
        .unwrap();
        graph.replay().unwrap();
        drop(graph);
        assert_eq!(total.sum(Kind::Float).double_value(&[]), 8.0);
    }
}
