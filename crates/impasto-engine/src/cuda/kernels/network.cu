// VGG's passes over memory: 2x2 max pooling, its gradient with ReLU's, and the
// first layer, which has three channels on one side.
//
// Feature maps are [H, W, C] with the channels innermost, C a multiple of 8.
// One thread works on eight channels of a place.

// The largest of a 2x2 window, and where it is: the first of equal ones in the
// order of rows, and a value that is not a number before all others, as libtorch
// has it.
struct Winner {
  float value;
  int place;
};

__device__ inline Winner winner(const float (&window)[4]) {
  Winner found = {window[0], 0};
  for (int place = 1; place < 4; ++place) {
    if (window[place] > found.value || window[place] != window[place]) {
      found = {window[place], place};
    }
  }
  return found;
}

// [H, W, C] to [H / 2, W / 2, C]; an odd last row or column counts nothing.
template <typename T>
__device__ inline void max_pool(const T* map, T* pooled, int height, int width, int channels) {
  const int groups = channels / 8;
  const int out_width = width / 2;
  const long long count = static_cast<long long>(height / 2) * out_width * groups;
  for (long long index = thread_index(); index < count; index += thread_count()) {
    const int group = static_cast<int>(index % groups);
    const long long place = index / groups;
    const long long row = place / out_width * 2;
    const long long column = place % out_width * 2;
    const long long corner = (row * width + column) * groups + group;
    const long long below = corner + static_cast<long long>(width) * groups;
    const Eight<T> window[4] = {
        eight(map, corner), eight(map, corner + groups), eight(map, below),
        eight(map, below + groups)};
    Eight<T> out;
    for (int channel = 0; channel < 8; ++channel) {
      const float values[4] = {
          to_float(window[0].at[channel]), to_float(window[1].at[channel]),
          to_float(window[2].at[channel]), to_float(window[3].at[channel])};
      put(winner(values).value, out.at[channel]);
    }
    eight(pooled, index) = out;
  }
}

// The gradient with respect to what ReLU was given, from that with respect to the
// pooled map: it goes to the winner of each window, where `map`, ReLU's output, is
// above zero. Without `relu`, the gradient with respect to `map`.
template <typename T>
__device__ inline void max_pool_backward(
    const T* gradient, const T* map, T* out, int height, int width, int channels, int relu) {
  const int groups = channels / 8;
  const int windows = (width + 1) / 2;
  const long long count = static_cast<long long>((height + 1) / 2) * windows * groups;
  for (long long index = thread_index(); index < count; index += thread_count()) {
    const int group = static_cast<int>(index % groups);
    const long long place = index / groups;
    const long long row = place / windows * 2;
    const long long column = place % windows * 2;
    const bool right = column + 1 < width;
    const bool lower = row + 1 < height;
    const long long corner = (row * width + column) * groups + group;
    const long long below = corner + static_cast<long long>(width) * groups;
    Eight<T> out_values[4] = {};
    if (right && lower) {
      const Eight<T> window[4] = {
          eight(map, corner), eight(map, corner + groups), eight(map, below),
          eight(map, below + groups)};
      const long long pooled = (row / 2 * (width / 2) + column / 2) * groups + group;
      const Eight<T> incoming = eight(gradient, pooled);
      for (int channel = 0; channel < 8; ++channel) {
        const float values[4] = {
            to_float(window[0].at[channel]), to_float(window[1].at[channel]),
            to_float(window[2].at[channel]), to_float(window[3].at[channel])};
        const Winner found = winner(values);
        // Written so that a value that is not a number lets the gradient pass,
        // as libtorch's threshold does.
        const bool passes = !relu || !(found.value <= 0.0f);
        for (int corner_of = 0; corner_of < 4; ++corner_of) {
          if (passes && corner_of == found.place) {
            out_values[corner_of].at[channel] = incoming.at[channel];
          }
        }
      }
    }
    eight(out, corner) = out_values[0];
    if (right) {
      eight(out, corner + groups) = out_values[1];
    }
    if (lower) {
      eight(out, below) = out_values[2];
    }
    if (right && lower) {
      eight(out, below + groups) = out_values[3];
    }
  }
}

// Pixels side by side that one thread of the first layer works on: each weight it
// loads serves all of them.
constexpr int kPixels = 4;

// The first layer: a 3x3 convolution of the network's input, its bias and ReLU.
// `picture` is [3, H, W], RGB in 0..1, float32. The network's input is blue, green
// and red in 0..255 minus `mean`, and zero outside the picture. `weight` is
// [3 (b, g, r), 9 (rows of the window), outputs], float32.
//
// Neighbouring threads work on neighbouring groups of channels of the same pixels,
// so that what they write lies side by side.
template <typename T>
__device__ inline void first_forward(
    const float* picture, const float* mean, const float* weight, const float* bias, T* map,
    int height, int width, int outputs) {
  const long long pixels = static_cast<long long>(height) * width;
  const int groups = outputs / 8;
  const int pieces = (width + kPixels - 1) / kPixels;
  const long long count = static_cast<long long>(height) * pieces * groups;
  for (long long index = thread_index(); index < count; index += thread_count()) {
    const int group = static_cast<int>(index % groups);
    const long long piece = index / groups;
    const int row = static_cast<int>(piece / pieces);
    const int column = static_cast<int>(piece % pieces) * kPixels;
    float sums[kPixels][8];
    for (int output = 0; output < 8; ++output) {
      const float value = bias[group * 8 + output];
      for (int pixel = 0; pixel < kPixels; ++pixel) {
        sums[pixel][output] = value;
      }
    }
    for (int channel = 0; channel < 3; ++channel) {
      const float* plane = picture + (2 - channel) * pixels;
      for (int tap = 0; tap < 9; ++tap) {
        const int y = row + tap / 3 - 1;
        if (y < 0 || y >= height) {
          continue;
        }
        const Eight<float> weights = eight(weight, (channel * 9 + tap) * groups + group);
        for (int pixel = 0; pixel < kPixels; ++pixel) {
          const int x = column + pixel + tap % 3 - 1;
          const bool inside = x >= 0 && x < width;
          const float value =
              inside ? plane[static_cast<long long>(y) * width + x] * 255.0f - mean[channel] : 0.0f;
          for (int output = 0; output < 8; ++output) {
            sums[pixel][output] += value * weights.at[output];
          }
        }
      }
    }
    for (int pixel = 0; pixel < kPixels; ++pixel) {
      if (column + pixel >= width) {
        continue;
      }
      Eight<T> out;
      for (int output = 0; output < 8; ++output) {
        // Written so that a value that is not a number stays one.
        put(sums[pixel][output] < 0.0f ? 0.0f : sums[pixel][output], out.at[output]);
      }
      eight(map, (static_cast<long long>(row) * width + column + pixel) * groups + group) = out;
    }
  }
}

// Its gradient with respect to the picture, [3, H, W], float32: from that with
// respect to the map, [H, W, outputs], which passes where the map is above zero.
// The number of groups is a power of two, 32 at most: neighbouring threads, one for
// each group, add up what their channels give.
template <typename T>
__device__ inline void first_backward(
    const T* gradient, const T* map, const float* weight, float* picture, int height, int width,
    int outputs) {
  const long long pixels = static_cast<long long>(height) * width;
  const int groups = outputs / 8;
  const int pieces = (width + kPixels - 1) / kPixels;
  const long long count = static_cast<long long>(height) * pieces * groups;
  // The lanes of a warp that work on the same pixels.
  const unsigned lane = threadIdx.x % 32;
  const unsigned all = groups == 32 ? 0xffffffffu : (1u << groups) - 1u;
  const unsigned together = all << (lane / groups * groups);
  for (long long index = thread_index(); index < count; index += thread_count()) {
    const int group = static_cast<int>(index % groups);
    const long long piece = index / groups;
    const int row = static_cast<int>(piece / pieces);
    const int column = static_cast<int>(piece % pieces) * kPixels;
    float sums[kPixels][3] = {};
    for (int tap = 0; tap < 9; ++tap) {
      // The place whose window has a pixel at `tap`.
      const int y = row - (tap / 3 - 1);
      if (y < 0 || y >= height) {
        continue;
      }
      const Eight<float> weights[3] = {
          eight(weight, tap * groups + group), eight(weight, (9 + tap) * groups + group),
          eight(weight, (18 + tap) * groups + group)};
      for (int pixel = 0; pixel < kPixels; ++pixel) {
        const int x = column + pixel - (tap % 3 - 1);
        if (x < 0 || x >= width) {
          continue;
        }
        const long long place = (static_cast<long long>(y) * width + x) * groups + group;
        const Eight<T> values = eight(gradient, place);
        const Eight<T> mask = eight(map, place);
        for (int output = 0; output < 8; ++output) {
          const float passed =
              to_float(mask.at[output]) <= 0.0f ? 0.0f : to_float(values.at[output]);
          for (int channel = 0; channel < 3; ++channel) {
            sums[pixel][channel] += passed * weights[channel].at[output];
          }
        }
      }
    }
    for (int pixel = 0; pixel < kPixels; ++pixel) {
      for (int channel = 0; channel < 3; ++channel) {
        float sum = sums[pixel][channel];
        for (int other = groups / 2; other > 0; other /= 2) {
          sum += __shfl_xor_sync(together, sum, other);
        }
        if (group == 0 && column + pixel < width) {
          const long long place = static_cast<long long>(row) * width + column + pixel;
          picture[(2 - channel) * pixels + place] = 255.0f * sum;
        }
      }
    }
  }
}

#define FOR_KIND(T, suffix)                                                                     \
  extern "C" __global__ void max_pool_##suffix(                                                 \
      const T* map, T* pooled, int height, int width, int channels) {                           \
    max_pool(map, pooled, height, width, channels);                                             \
  }                                                                                             \
  extern "C" __global__ void max_pool_backward_##suffix(                                        \
      const T* gradient, const T* map, T* out, int height, int width, int channels, int relu) { \
    max_pool_backward(gradient, map, out, height, width, channels, relu);                       \
  }                                                                                             \
  extern "C" __global__ void first_forward_##suffix(                                            \
      const float* picture, const float* mean, const float* weight, const float* bias, T* map,  \
      int height, int width, int outputs) {                                                     \
    first_forward(picture, mean, weight, bias, map, height, width, outputs);                    \
  }                                                                                             \
  extern "C" __global__ void first_backward_##suffix(                                           \
      const T* gradient, const T* map, const float* weight, float* picture, int height,         \
      int width, int outputs) {                                                                 \
    first_backward(gradient, map, weight, picture, height, width, outputs);                     \
  }

FOR_KIND(float, float32)
FOR_KIND(bf16, bfloat16)

#undef FOR_KIND
