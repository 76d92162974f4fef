//! The calls into the C++ files beside this one, made safe.
//!
//! This is the only file of this module with `unsafe` in it. The C++ side catches
//! every exception, keeps no pointer that it is lent, and hands out three kinds
//! of its own: tensors, which become tch's at once, and events and graphs,
//! which the types here own and free.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{self, NonNull};

use tch::{TchError, Tensor};
use torch_sys::C_tensor;

use super::Result;

/// The text of an error, or null.
type Failure = *mut c_char;

unsafe extern "C" {
    fn impasto_error_free(error: *mut c_char);

    fn impasto_memory_stats(device: i32, known: *mut bool, bytes: *mut i64) -> Failure;
    fn impasto_memory_reset_peak(device: i32) -> Failure;
    fn impasto_memory_empty_cache() -> Failure;
    fn impasto_memory_free_and_total(device: i32, bytes: *mut u64) -> Failure;

    fn impasto_precision_set(switches: *const bool) -> Failure;
    fn impasto_precision_get(switches: *mut bool) -> Failure;
    fn impasto_flush_denormals(on: bool, done: *mut bool) -> Failure;

    fn impasto_stream_current(device: i32, id: *mut i64) -> Failure;
    fn impasto_stream_from_pool(device: i32, id: *mut i64) -> Failure;
    fn impasto_stream_native(device: i32, handle: *mut *mut c_void) -> Failure;
    fn impasto_stream_enter(
        device: i32,
        id: i64,
        device_before: *mut i32,
        id_before: *mut i64,
    ) -> Failure;
    fn impasto_stream_leave(device: i32, device_before: i32, id_before: i64) -> Failure;
    fn impasto_stream_synchronize(device: i32, id: i64) -> Failure;

    fn impasto_event_record(device: i32, id: i64, event: *mut *mut c_void) -> Failure;
    fn impasto_event_query(event: *const c_void, done: *mut bool) -> Failure;
    fn impasto_event_synchronize(event: *const c_void) -> Failure;
    fn impasto_event_block(event: *const c_void, device: i32, id: i64) -> Failure;
    fn impasto_event_free(event: *mut c_void) -> Failure;

    fn impasto_record_stream(tensor: *mut C_tensor, device: i32, id: i64) -> Failure;
    fn impasto_pinned_like(tensor: *mut C_tensor, made: *mut *mut C_tensor) -> Failure;
    fn impasto_copy_async(target: *mut C_tensor, source: *mut C_tensor) -> Failure;

    fn impasto_graph_available() -> Failure;
    fn impasto_graph_begin(made: *mut *mut c_void) -> Failure;
    fn impasto_graph_end(graph: *mut c_void) -> Failure;
    fn impasto_graph_abandon(graph: *mut c_void);
    fn impasto_graph_replay(graph: *mut c_void) -> Failure;
    fn impasto_graph_free(graph: *mut c_void);
}

/// A stream of a CUDA device: the device's number and the stream's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamId {
    pub device: i32,
    pub id: i64,
}

/// Turns a call's answer into a result.
fn check(failure: Failure) -> Result<()> {
    if failure.is_null() {
        return Ok(());
    }
    // SAFETY: a failure is a C string that the C++ side made for this call.
    let text = unsafe { CStr::from_ptr(failure) }
        .to_string_lossy()
        .into_owned();
    // SAFETY: it is given back once, to the function that knows how it was made.
    unsafe { impasto_error_free(failure) };
    Err(TchError::Torch(text).into())
}

/// The `at::Tensor` that tch's tensor points to. The functions it is passed to
/// below take it as the reference `at::Tensor&`, which C++ may change only as
/// tch's own `&self` methods do.
fn pointer(tensor: &Tensor) -> *mut C_tensor {
    tensor.as_ptr().cast_mut()
}

/// A call's value where the call went well.
fn with<T: Copy>(start: T, call: impl FnOnce(*mut T) -> Failure) -> Result<T> {
    let mut value = start;
    check(call(&raw mut value))?;
    Ok(value)
}

// SAFETY, for all the blocks of this file that say nothing else: the arguments
// are plain numbers, or pointers to values that live through the call and that
// the C++ side reads or fills as their types say; it keeps none of them.

/// Allocated, reserved, and the peaks of both, in bytes; none where CUDA is not
/// in use.
pub fn memory_stats(device: i32) -> Result<Option<[i64; 4]>> {
    let mut known = false;
    let bytes = with([0i64; 4], |bytes| unsafe {
        impasto_memory_stats(device, &raw mut known, bytes.cast())
    })?;
    Ok(known.then_some(bytes))
}

pub fn memory_reset_peak(device: i32) -> Result<()> {
    check(unsafe { impasto_memory_reset_peak(device) })
}

pub fn memory_empty_cache() -> Result<()> {
    check(unsafe { impasto_memory_empty_cache() })
}

pub fn memory_free_and_total(device: i32) -> Result<[u64; 2]> {
    with([0; 2], |bytes| unsafe {
        impasto_memory_free_and_total(device, bytes.cast())
    })
}

pub fn set_switches(switches: [bool; 4]) -> Result<()> {
    check(unsafe { impasto_precision_set(switches.as_ptr()) })
}

pub fn switches() -> Result<[bool; 4]> {
    with([false; 4], |switches| unsafe {
        impasto_precision_get(switches.cast())
    })
}

pub fn flush_denormals(on: bool) -> Result<bool> {
    with(false, |done| unsafe { impasto_flush_denormals(on, done) })
}

pub fn current_stream(device: i32) -> Result<StreamId> {
    let id = with(0, |id| unsafe { impasto_stream_current(device, id) })?;
    Ok(StreamId { device, id })
}

pub fn stream_from_pool(device: i32) -> Result<StreamId> {
    let id = with(0, |id| unsafe { impasto_stream_from_pool(device, id) })?;
    Ok(StreamId { device, id })
}

pub fn native_stream(device: i32) -> Result<usize> {
    let handle = with(ptr::null_mut(), |handle| unsafe {
        impasto_stream_native(device, handle)
    })?;
    Ok(handle as usize)
}

pub fn synchronize_stream(stream: StreamId) -> Result<()> {
    check(unsafe { impasto_stream_synchronize(stream.device, stream.id) })
}

/// While this value lives, a stream and its device are the thread's current
/// ones. It must be dropped on the thread that made it, the youngest first.
pub struct StreamGuard {
    device: i32,
    device_before: i32,
    id_before: i64,
    /// Current streams belong to a thread: a raw pointer keeps this from being
    /// sent to another.
    _thread: std::marker::PhantomData<*const ()>,
}

impl StreamGuard {
    pub fn new(stream: StreamId) -> Result<Self> {
        let mut device_before = 0;
        let id_before = with(0, |id| unsafe {
            impasto_stream_enter(stream.device, stream.id, &raw mut device_before, id)
        })?;
        Ok(Self {
            device: stream.device,
            device_before,
            id_before,
            _thread: std::marker::PhantomData,
        })
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        // Nothing can be done about a failure here; the next call reports it too.
        let _ =
            check(unsafe { impasto_stream_leave(self.device, self.device_before, self.id_before) });
    }
}

/// An event, recorded on a stream when it is made.
#[derive(Debug)]
pub struct EventHandle(NonNull<c_void>);

// SAFETY: a CUDA event belongs to a device, not to a thread. The C++ object is
// not safe for use by two threads at once, so the type is not Sync.
unsafe impl Send for EventHandle {}

impl EventHandle {
    pub fn record(stream: StreamId) -> Result<Self> {
        let event = with(ptr::null_mut(), |event| unsafe {
            impasto_event_record(stream.device, stream.id, event)
        })?;
        owned(event).map(Self)
    }

    pub fn is_done(&self) -> Result<bool> {
        with(false, |done| unsafe {
            impasto_event_query(self.0.as_ptr(), done)
        })
    }

    pub fn synchronize(&self) -> Result<()> {
        check(unsafe { impasto_event_synchronize(self.0.as_ptr()) })
    }

    pub fn block(&self, stream: StreamId) -> Result<()> {
        check(unsafe { impasto_event_block(self.0.as_ptr(), stream.device, stream.id) })
    }
}

impl Drop for EventHandle {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `impasto_event_record` and goes once.
        let _ = check(unsafe { impasto_event_free(self.0.as_ptr()) });
    }
}

/// Keeps the tensor's memory from being given to others before the stream's
/// work, as it is when the tensor goes, is done.
pub fn record_stream(tensor: &Tensor, stream: StreamId) -> Result<()> {
    check(unsafe { impasto_record_stream(pointer(tensor), stream.device, stream.id) })
}

/// A tensor of the same shape and kind in pinned memory, its values unset.
pub fn pinned_like(tensor: &Tensor) -> Result<Tensor> {
    let made = with(ptr::null_mut(), |made| unsafe {
        impasto_pinned_like(pointer(tensor), made)
    })?;
    // SAFETY: `made` is a new at::Tensor that belongs to nobody else; tch frees
    // it as it frees its own, with `delete`.
    owned(made).map(|made| unsafe { Tensor::from_ptr(made.as_ptr()) })
}

/// Copies on the current stream; between pinned memory and a GPU the caller
/// does not wait for it.
pub fn copy_async(target: &mut Tensor, source: &Tensor) -> Result<()> {
    check(unsafe { impasto_copy_async(target.as_mut_ptr(), pointer(source)) })
}

/// Whether CUDA graphs can be obtained.
pub fn graph_available() -> Result<()> {
    check(unsafe { impasto_graph_available() })
}

/// A capture that continues, on the stream that was current when it began. It is
/// ended, and what it brought thrown away, when this is dropped.
pub struct Capture {
    graph: NonNull<c_void>,
    _thread: std::marker::PhantomData<*const ()>,
}

impl Capture {
    pub fn begin() -> Result<Self> {
        let graph = with(ptr::null_mut(), |graph| unsafe {
            impasto_graph_begin(graph)
        })?;
        Ok(Self {
            graph: owned(graph)?,
            _thread: std::marker::PhantomData,
        })
    }

    pub fn end(self) -> Result<GraphHandle> {
        let graph = self.graph;
        std::mem::forget(self);
        // SAFETY: the graph is ended once: the forgotten capture cannot do it.
        // On an error the C++ side has freed it.
        check(unsafe { impasto_graph_end(graph.as_ptr()) })?;
        Ok(GraphHandle(graph))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // SAFETY: as in `end`, which does not come here.
        unsafe { impasto_graph_abandon(self.graph.as_ptr()) };
    }
}

/// A graph that was captured.
#[derive(Debug)]
pub struct GraphHandle(NonNull<c_void>);

// SAFETY: once captured, a graph belongs to its device, not to a thread; it is
// not safe for use by two threads at once, so the type is not Sync.
unsafe impl Send for GraphHandle {}

impl GraphHandle {
    /// Launches it on the current stream.
    pub fn replay(&mut self) -> Result<()> {
        check(unsafe { impasto_graph_replay(self.0.as_ptr()) })
    }
}

impl Drop for GraphHandle {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `Capture::end` and goes once.
        unsafe { impasto_graph_free(self.0.as_ptr()) };
    }
}

/// A pointer that a call which went well must have filled.
fn owned<T>(pointer: *mut T) -> Result<NonNull<T>> {
    NonNull::new(pointer).ok_or_else(|| TchError::Torch("a call brought nothing".to_owned()).into())
}
