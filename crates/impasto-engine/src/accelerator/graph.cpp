// CUDA graphs, without CUDA's headers and without a name that the linker sees.
//
// at::cuda::CUDAGraph lives in libtorch_cuda.so alone and has no generic
// interface. Its member functions are found by their mangled names, which spell
// out the types of their arguments: where those change, the names do. What the
// names do not say, how large an object is and how a failed capture has to be
// cleaned up, was checked against libtorch 2.11; any other version is refused.

#include "guarded.h"

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <ATen/Context.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/headeronly/version.h>

namespace {

using c10::impl::VirtualGuardImpl;
using impasto::guarded;

// An object has 104 bytes in 2.11.
constexpr size_t kRoom = 1024;

// CUDA's stable numbers: cudaStreamCaptureModeThreadLocal, under which other
// threads may use CUDA as they like during a capture, and
// cudaStreamCaptureStatusNone.
constexpr unsigned kThreadLocal = 1;
constexpr int kNotCapturing = 0;

using Pool = std::pair<unsigned long long, unsigned long long>;

// at::cuda::CUDAGraph's members, and four functions of the CUDA runtime, which
// libtorch_cuda.so brings along.
struct Functions {
  void (*construct)(void*, bool);
  void (*destruct)(void*);
  void (*capture_begin)(void*, Pool, unsigned);
  void (*capture_end)(void*);
  void (*replay)(void*);
  void (*reset)(void*);
  Pool (*pool)(void*);
  int (*stream_begin_capture)(void*, unsigned);
  int (*stream_end_capture)(void*, void**);
  int (*stream_is_capturing)(void*, int*);
  int (*graph_destroy)(void*);
  int (*get_last_error)();
};

template <typename Function>
void find(Function& function, const char* name) {
  void* found = dlsym(RTLD_DEFAULT, name);
  TORCH_CHECK(found != nullptr, "libtorch has no function ", name);
  function = reinterpret_cast<Function>(found);
}

const Functions& functions() {
  // An exception leaves `found` unmade; the next call tries again.
  static const Functions found = [] {
    // The version of the library in use, packed the way TORCH_ABI_VERSION packs
    // that of the headers.
    uint64_t (*library_version)();
    find(library_version, "aoti_torch_abi_version");
    const uint64_t library = library_version();
    constexpr uint64_t wanted = (2ULL << 56) | (11ULL << 48);
    constexpr uint64_t mask = 0xffffULL << 48;
    TORCH_CHECK(
        (TORCH_ABI_VERSION & mask) == wanted && (library & mask) == wanted,
        "CUDA graphs are made for libtorch 2.11; this is ",
        library >> 56,
        ".",
        (library >> 48) & 0xff,
        ", and impasto was built with " TORCH_VERSION);
    TORCH_CHECK(
        c10::impl::hasDeviceGuardImpl(c10::kCUDA), "CUDA is not in use");
    Functions f{};
    find(f.construct, "_ZN2at4cuda9CUDAGraphC1Eb");
    find(f.destruct, "_ZN2at4cuda9CUDAGraphD1Ev");
    find(
        f.capture_begin,
        "_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode");
    find(f.capture_end, "_ZN2at4cuda9CUDAGraph11capture_endEv");
    find(f.replay, "_ZN2at4cuda9CUDAGraph6replayEv");
    find(f.reset, "_ZN2at4cuda9CUDAGraph5resetEv");
    find(f.pool, "_ZN2at4cuda9CUDAGraph4poolEv");
    find(f.stream_begin_capture, "cudaStreamBeginCapture");
    find(f.stream_end_capture, "cudaStreamEndCapture");
    find(f.stream_is_capturing, "cudaStreamIsCapturing");
    find(f.graph_destroy, "cudaGraphDestroy");
    find(f.get_last_error, "cudaGetLastError");
    return f;
  }();
  return found;
}

// While it lives, nobody hears that a graph is empty: the graphs that are thrown
// away often are.
class Silence {
  struct Deaf final : c10::WarningHandler {
    void process(const c10::Warning&) override {}
  };
  Deaf deaf;
  c10::WarningUtils::WarningHandlerGuard guard{&deaf};
};

// Room for a CUDAGraph, and the native handle of the stream it is captured on.
struct Graph {
  const Functions& f;
  void* stream;
  alignas(64) unsigned char object[kRoom] = {};

  Graph(const Functions& functions, void* handle)
      : f(functions), stream(handle) {
    f.construct(object, /*keep_graph=*/false);
  }
  ~Graph() {
    f.destruct(object);
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Whether capture_end() came as far as telling the allocators that the
  // capture is over: pool() throws before.
  bool closed() noexcept {
    try {
      f.pool(object);
      return true;
    } catch (...) {
      return false;
    }
  }

  int status() noexcept {
    int status = kNotCapturing;
    f.stream_is_capturing(stream, &status);
    return status;
  }

  // After capture_begin() or capture_end() threw. libtorch then leaves the
  // allocators believing that a capture goes on, with a pointer to this object.
  // They are told otherwise by capture_end() alone, which first ends a capture
  // of the stream: so it is given one, of nothing.
  void clean_up() noexcept {
    if (closed()) {
      return;
    }
    if (status() != kNotCapturing) {
      void* half = nullptr;
      f.stream_end_capture(stream, &half);
      if (half != nullptr) {
        f.graph_destroy(half);
      }
    }
    f.get_last_error();
    if (f.stream_begin_capture(stream, kThreadLocal) == 0) {
      const Silence silence;
      try {
        f.capture_end(object);
      } catch (...) {
      }
    }
    f.get_last_error();
  }
};

// Gives the graph and its memory back. An object that the allocators still
// point to, or whose destructor would throw, is left where it is.
void discard(Graph* graph) noexcept {
  if (!graph->closed()) {
    return;
  }
  try {
    graph->f.reset(graph->object);
  } catch (...) {
    return;
  }
  delete graph;
}

}  // namespace

extern "C" {

char* impasto_graph_available() {
  return guarded([] { functions(); });
}

// Begins a capture on this thread's current stream.
char* impasto_graph_begin(void** made) {
  return guarded([&] {
    const Functions& f = functions();
    const VirtualGuardImpl guard(c10::kCUDA);
    const auto device = guard.getDevice();
    const auto stream = guard.getStream(device);
    // Both are checked here because libtorch finds out too late, when its
    // random number generator believes in a capture already.
    TORCH_CHECK(
        stream != guard.getDefaultStream(device),
        "a CUDA graph cannot be captured on the default stream");
    auto graph =
        std::make_unique<Graph>(f, guard.getStreamNativeHandle(stream));
    TORCH_CHECK(
        graph->status() == kNotCapturing, "the stream is being captured already");
    try {
      f.capture_begin(graph->object, Pool{0, 0}, kThreadLocal);
    } catch (...) {
      graph->clean_up();
      discard(graph.release());
      throw;
    }
    *made = graph.release();
  });
}

// Ends the capture and makes the graph ready; on an error the graph is gone.
char* impasto_graph_end(void* pointer) {
  auto* graph = static_cast<Graph*>(pointer);
  char* error = guarded([&] { graph->f.capture_end(graph->object); });
  if (error != nullptr) {
    graph->clean_up();
    discard(graph);
  }
  return error;
}

// Ends the capture and throws away what it brought.
void impasto_graph_abandon(void* pointer) {
  const Silence silence;
  auto* graph = static_cast<Graph*>(pointer);
  char* error = impasto_graph_end(graph);
  if (error == nullptr) {
    discard(graph);
  } else if (error != impasto::no_memory) {
    std::free(error);
  }
}

// Launches the graph on this thread's current stream.
char* impasto_graph_replay(void* pointer) {
  auto* graph = static_cast<Graph*>(pointer);
  return guarded([&] { graph->f.replay(graph->object); });
}

void impasto_graph_free(void* pointer) {
  discard(static_cast<Graph*>(pointer));
}

}  // extern "C"
