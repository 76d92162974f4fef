// What all kernels share: the two kinds of numbers that feature maps are made of,
// and sums over a block.
//
// No header of CUDA's is used: NVRTC needs none for this, and the same text is
// compiled by the C++ compiler for tests (emulation.h).

// A bfloat16 is the upper half of a float32.
struct bf16 {
  unsigned short bits;
};

__device__ inline float to_float(float value) {
  return value;
}

__device__ inline float to_float(bf16 value) {
  return __uint_as_float(static_cast<unsigned>(value.bits) << 16);
}

__device__ inline void put(float value, float& to) {
  to = value;
}

// Rounds to the nearest, ties to even, as libtorch does.
__device__ inline void put(float value, bf16& to) {
  const unsigned bits = __float_as_uint(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    to.bits = 0x7fc0;  // Not a number.
  } else {
    to.bits = static_cast<unsigned short>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
  }
}

// Eight neighbouring channels: loaded and stored 16 bytes at a time.
template <typename T>
struct alignas(16) Eight {
  T at[8];
};

template <typename T>
__device__ inline const Eight<T>& eight(const T* from, long long index) {
  return reinterpret_cast<const Eight<T>*>(from)[index];
}

template <typename T>
__device__ inline Eight<T>& eight(T* from, long long index) {
  return reinterpret_cast<Eight<T>*>(from)[index];
}

__device__ inline bool is_finite(float value) {
  return (__float_as_uint(value) & 0x7f800000u) != 0x7f800000u;
}

__device__ inline long long thread_index() {
  return static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ inline long long thread_count() {
  return static_cast<long long>(gridDim.x) * blockDim.x;
}

// The sum of a value over the threads of a block, a power of two of them, in a
// fixed order. Every thread must call it; thread 0 gets the sum.
__device__ inline double block_sum(double value, double* shared) {
  shared[threadIdx.x] = value;
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) {
      shared[threadIdx.x] += shared[threadIdx.x + half];
    }
    __syncthreads();
  }
  const double sum = shared[0];
  __syncthreads();
  return sum;
}
