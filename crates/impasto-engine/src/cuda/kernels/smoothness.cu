// Total variation of a picture [planes, H, W]: the sum of the absolute differences
// between neighbours, and its gradient times `scale`, added to `gradient`.

__device__ inline float sign_of(float value) {
  return value > 0.0f ? 1.0f : (value < 0.0f ? -1.0f : 0.0f);
}

// Each block writes its part of the sum to `parts`, which has gridDim.x places.
extern "C" __global__ void smoothness(
    const float* picture, float* gradient, double* parts, float scale, int planes, int height,
    int width) {
  __shared__ double shared[256];
  const long long count = static_cast<long long>(planes) * height * width;
  double sum = 0.0;
  for (long long index = thread_index(); index < count; index += thread_count()) {
    const int column = static_cast<int>(index % width);
    const int row = static_cast<int>(index / width % height);
    const float value = picture[index];
    float slope = 0.0f;
    if (column + 1 < width) {
      const float step = picture[index + 1] - value;
      sum += fabsf(step);
      slope -= sign_of(step);
    }
    if (row + 1 < height) {
      const float step = picture[index + width] - value;
      sum += fabsf(step);
      slope -= sign_of(step);
    }
    if (column > 0) {
      slope += sign_of(value - picture[index - 1]);
    }
    if (row > 0) {
      slope += sign_of(value - picture[index - width]);
    }
    gradient[index] += scale * slope;
  }
  const double all = block_sum(sum, shared);
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = all;
  }
}

// The mean of what the launch before summed up: one block adds its parts in order.
extern "C" __global__ void smoothness_mean(
    const double* parts, float* mean, int count, double elements) {
  __shared__ double shared[256];
  double sum = 0.0;
  for (int index = threadIdx.x; index < count; index += blockDim.x) {
    sum += parts[index];
  }
  const double all = block_sum(sum, shared);
  if (threadIdx.x == 0) {
    *mean = static_cast<float>(all / elements);
  }
}
