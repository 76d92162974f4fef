// Runs the kernels' own text on the CPU, for tests: the C++ compiler compiles the
// .cu files, and this file plays grid, blocks, threads and barriers. Each thread
// of a block is a fiber; at a barrier the next one goes on.

#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
};

Dim3 blockIdx, blockDim, threadIdx, gridDim;

#define __global__
#define __device__
// One copy for all threads of a block, as blocks run one after another.
#define __shared__ static

float __uint_as_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

unsigned __float_as_uint(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

double __longlong_as_double(long long bits) {
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

constexpr size_t kStack = 64 * 1024;

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(kStack);
  bool done = false;
};

ucontext_t scheduler;
std::vector<Fiber>* fibers = nullptr;
unsigned running = 0;
void (*body)(void**) = nullptr;
void** body_arguments = nullptr;

void __syncthreads() {
  const unsigned self = running;
  swapcontext(&(*fibers)[self].context, &scheduler);
  threadIdx.x = self;
}

double exchanged[1024];

// What the thread whose number differs in these bits has. All threads of a block
// wait here, as those of a warp do on a GPU.
template <typename T>
T __shfl_xor_sync(unsigned, T value, int bits) {
  exchanged[threadIdx.x] = value;
  __syncthreads();
  const T other = static_cast<T>(exchanged[threadIdx.x ^ bits]);
  __syncthreads();
  return other;
}

void enter() {
  body(body_arguments);
  (*fibers)[running].done = true;
}

using std::fabs;
using std::pow;
using std::sqrt;

#include "kernels/common.cuh"
#include "kernels/network.cu"
#include "kernels/adam.cu"
#include "kernels/smoothness.cu"
#include "kernels/lbfgs.cu"

// Calls a kernel with arguments as the driver takes them: a pointer to each.
template <auto kernel, typename... Arguments, size_t... places>
void call(void (*)(Arguments...), void** arguments, std::index_sequence<places...>) {
  kernel(*static_cast<std::remove_const_t<Arguments>*>(arguments[places])...);
}

template <typename... Arguments>
constexpr size_t count_of(void (*)(Arguments...)) {
  return sizeof...(Arguments);
}

template <auto kernel>
void with_arguments(void** arguments) {
  call<kernel>(kernel, arguments, std::make_index_sequence<count_of(kernel)>{});
}

const std::map<std::string, void (*)(void**)> kernels = {
#define KERNEL(name) {#name, with_arguments<name>}
    KERNEL(max_pool_float32),
    KERNEL(max_pool_bfloat16),
    KERNEL(max_pool_backward_float32),
    KERNEL(max_pool_backward_bfloat16),
    KERNEL(first_forward_float32),
    KERNEL(first_forward_bfloat16),
    KERNEL(first_backward_float32),
    KERNEL(first_backward_bfloat16),
    KERNEL(adam_look),
    KERNEL(adam_move),
    KERNEL(adam_note),
    KERNEL(smoothness),
    KERNEL(smoothness_mean),
    KERNEL(lbfgs_differences),
    KERNEL(lbfgs_judge),
    KERNEL(lbfgs_accept),
    KERNEL(lbfgs_write_float32),
    KERNEL(lbfgs_write_bfloat16),
    KERNEL(row_products_float32),
    KERNEL(row_products_bfloat16),
    KERNEL(row_products_sum),
    KERNEL(lbfgs_learn),
    KERNEL(lbfgs_combine_float32),
    KERNEL(lbfgs_combine_bfloat16),
    KERNEL(lbfgs_length),
    KERNEL(lbfgs_move),
#undef KERNEL
};

}  // namespace

// Whether there is a kernel of that name; runs it. One caller at a time.
extern "C" bool impasto_emulate(
    const char* name, unsigned grid, unsigned block, void** arguments) {
  const auto found = kernels.find(name);
  if (found == kernels.end()) {
    return false;
  }
  body = found->second;
  body_arguments = arguments;
  gridDim.x = grid;
  blockDim.x = block;
  std::vector<Fiber> threads(block);
  fibers = &threads;
  for (unsigned index = 0; index < grid; ++index) {
    blockIdx.x = index;
    for (auto& fiber : threads) {
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = fiber.stack.data();
      fiber.context.uc_stack.ss_size = fiber.stack.size();
      fiber.context.uc_link = &scheduler;
      fiber.done = false;
      makecontext(&fiber.context, enter, 0);
    }
    for (bool any = true; any;) {
      any = false;
      for (unsigned thread = 0; thread < block; ++thread) {
        if (threads[thread].done) {
          continue;
        }
        running = thread;
        threadIdx.x = thread;
        swapcontext(&scheduler, &threads[thread].context);
        any = any || !threads[thread].done;
      }
    }
  }
  return true;
}
