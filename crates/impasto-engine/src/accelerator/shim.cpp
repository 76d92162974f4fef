// The parts of libtorch's C++ interface that tch does not carry, as plain C.
//
// Everything here goes through libtorch_cpu and libc10. The CUDA part of
// libtorch is opened at run time or is not there at all, so none of its symbols
// and none of CUDA's headers are named: devices, streams, events and memory are
// reached through c10's generic interfaces. (CUDA graphs, which have none, are
// in graph.cpp.)
//
// Every function returns nullptr, or the first line of an error as a string
// that the caller gives back to impasto_error_free. No exception leaves.

#include "guarded.h"

#include <cstdint>
#include <memory>

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace {

using c10::impl::VirtualGuardImpl;
using impasto::guarded;

c10::Device cuda(int32_t index) {
  return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

c10::Stream stream_of(int32_t device, int64_t id) {
  return c10::Stream(c10::Stream::UNSAFE, cuda(device), id);
}

// libtorch's own words for this are many.
void need_cuda() {
  TORCH_CHECK(c10::impl::hasDeviceGuardImpl(c10::kCUDA), "CUDA is not in use");
  at::globalContext().lazyInitDevice(c10::kCUDA);
}

// Null where libtorch's CUDA part is not open or has not touched a GPU yet.
c10::DeviceAllocator* allocator() {
  if (!c10::impl::hasDeviceGuardImpl(c10::kCUDA)) {
    return nullptr;
  }
  auto* found = c10::getDeviceAllocator(c10::kCUDA);
  return found->initialized() ? found : nullptr;
}

c10::DeviceAllocator& ready_allocator() {
  auto* found = allocator();
  TORCH_CHECK(found != nullptr, "CUDA is not in use");
  return *found;
}

at::Tensor& tensor_of(void* pointer) {
  return *static_cast<at::Tensor*>(pointer);
}

int64_t sum_of(const c10::CachingAllocator::StatArray& stats, bool peak) {
  const auto& all =
      stats[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
  return peak ? all.peak : all.current;
}

}  // namespace

extern "C" {

void impasto_error_free(char* error) {
  if (error != impasto::no_memory) {
    std::free(error);
  }
}

// ---- Memory -----------------------------------------------------------------

// Fills allocated, reserved, peak allocated, peak reserved; in bytes.
char* impasto_memory_stats(int32_t device, bool* known, int64_t* bytes) {
  return guarded([&] {
    auto* found = allocator();
    *known = found != nullptr;
    if (found == nullptr) {
      return;
    }
    const auto stats = found->getDeviceStats(static_cast<c10::DeviceIndex>(device));
    bytes[0] = sum_of(stats.allocated_bytes, false);
    bytes[1] = sum_of(stats.reserved_bytes, false);
    bytes[2] = sum_of(stats.allocated_bytes, true);
    bytes[3] = sum_of(stats.reserved_bytes, true);
  });
}

char* impasto_memory_reset_peak(int32_t device) {
  return guarded([&] {
    ready_allocator().resetPeakStats(static_cast<c10::DeviceIndex>(device));
  });
}

char* impasto_memory_empty_cache() {
  return guarded([&] {
    if (auto* found = allocator()) {
      found->emptyCache();
    }
  });
}

char* impasto_memory_free_and_total(int32_t device, uint64_t* bytes) {
  return guarded([&] {
    const auto info =
        ready_allocator().getMemoryInfo(static_cast<c10::DeviceIndex>(device));
    bytes[0] = info.first;
    bytes[1] = info.second;
  });
}

// ---- Settings ---------------------------------------------------------------

// In the order of the Rust struct `Precision`.
char* impasto_precision_set(const bool* switches) {
  return guarded([&] {
    auto& context = at::globalContext();
    // The older of two interfaces: it sets the newer one's state too, and
    // libtorch complains where only one of them was used.
    context.setAllowTF32CuDNN(switches[0]);
    context.setAllowTF32CuBLAS(switches[1]);
    context.setAllowBF16ReductionCuBLAS(switches[2]);
    context.setAllowFP16ReductionCuBLAS(switches[2]);
    context.setBenchmarkCuDNN(switches[3]);
  });
}

char* impasto_precision_get(bool* switches) {
  return guarded([&] {
    const auto& context = at::globalContext();
    switches[0] = context.allowTF32CuDNN(at::Float32Op::CONV);
    switches[1] = context.allowTF32CuBLAS();
    switches[2] = context.allowBF16ReductionCuBLAS() ==
        at::CuBLASReductionOption::AllowReducedPrecisionWithSplitK;
    switches[3] = context.benchmarkCuDNN();
  });
}

char* impasto_flush_denormals(bool on, bool* done) {
  return guarded([&] { *done = at::Context::setFlushDenormal(on); });
}

// ---- Streams and events -----------------------------------------------------

char* impasto_stream_current(int32_t device, int64_t* id) {
  return guarded([&] {
    need_cuda();
    *id = VirtualGuardImpl(c10::kCUDA).getStream(cuda(device)).id();
  });
}

char* impasto_stream_from_pool(int32_t device, int64_t* id) {
  return guarded([&] {
    need_cuda();
    *id = VirtualGuardImpl(c10::kCUDA).getStreamFromGlobalPool(cuda(device)).id();
  });
}

// The current stream as CUDA's own functions take it.
char* impasto_stream_native(int32_t device, void** handle) {
  return guarded([&] {
    need_cuda();
    const VirtualGuardImpl guard(c10::kCUDA);
    *handle = guard.getStreamNativeHandle(guard.getStream(cuda(device)));
  });
}

// Makes the stream and its device this thread's current ones; tells what was
// current before: the device, and the stream of the *new* device.
char* impasto_stream_enter(
    int32_t device,
    int64_t id,
    int32_t* device_before,
    int64_t* id_before) {
  return guarded([&] {
    const VirtualGuardImpl guard(c10::kCUDA);
    *device_before = guard.exchangeDevice(cuda(device)).index();
    *id_before = guard.exchangeStream(stream_of(device, id)).id();
  });
}

char* impasto_stream_leave(
    int32_t device,
    int32_t device_before,
    int64_t id_before) {
  return guarded([&] {
    const VirtualGuardImpl guard(c10::kCUDA);
    guard.exchangeStream(stream_of(device, id_before));
    guard.uncheckedSetDevice(cuda(device_before));
  });
}

char* impasto_stream_synchronize(int32_t device, int64_t id) {
  return guarded([&] {
    VirtualGuardImpl(c10::kCUDA).synchronizeStream(stream_of(device, id));
  });
}

// A new event, recorded on the stream.
char* impasto_event_record(int32_t device, int64_t id, void** event) {
  return guarded([&] {
    auto made = std::make_unique<c10::Event>(c10::kCUDA);
    made->record(stream_of(device, id));
    *event = made.release();
  });
}

char* impasto_event_query(const void* event, bool* done) {
  return guarded([&] { *done = static_cast<const c10::Event*>(event)->query(); });
}

char* impasto_event_synchronize(const void* event) {
  return guarded([&] { static_cast<const c10::Event*>(event)->synchronize(); });
}

// The stream's later work waits for the event; the caller does not.
char* impasto_event_block(const void* event, int32_t device, int64_t id) {
  return guarded([&] {
    static_cast<const c10::Event*>(event)->block(stream_of(device, id));
  });
}

char* impasto_event_free(void* event) {
  return guarded([&] { delete static_cast<c10::Event*>(event); });
}

// ---- Tensors ----------------------------------------------------------------

// The tensor's memory is not given to others before the stream's work so far,
// at the time when the tensor goes, is done.
char* impasto_record_stream(void* tensor, int32_t device, int64_t id) {
  return guarded([&] {
    VirtualGuardImpl(c10::kCUDA).recordDataPtrOnStream(
        tensor_of(tensor).storage().data_ptr(), stream_of(device, id));
  });
}

// A tensor of the same shape and kind in pinned host memory, not filled.
char* impasto_pinned_like(void* tensor, void** made) {
  return guarded([&] {
    const auto& like = tensor_of(tensor);
    *made = new at::Tensor(at::empty(
        like.sizes(),
        at::TensorOptions().dtype(like.scalar_type()).pinned_memory(true)));
  });
}

char* impasto_copy_async(void* target, void* source) {
  return guarded([&] {
    tensor_of(target).copy_(tensor_of(source), /*non_blocking=*/true);
  });
}

}  // extern "C"
