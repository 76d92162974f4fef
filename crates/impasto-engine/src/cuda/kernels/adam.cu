// Adam with everything that belongs to an iteration, in three launches: look at
// the gradient, move the image, write the numbers down. It computes what
// optimizer/adam.rs does with libtorch's operations.
//
// `numbers` are float64: best total, rate, failures, steps, accepted.

enum Number { kBestTotal, kRate, kFailures, kSteps, kAccepted };

// Sets `broken` to 1 where a value of the gradient is not finite. It was set to 0
// by the launch before.
extern "C" __global__ void adam_look(const float* gradient, int* broken, long long count) {
  bool found = false;
  for (long long index = thread_index(); index < count; index += thread_count()) {
    found = found || !is_finite(gradient[index]);
  }
  if (found) {
    *broken = 1;
  }
}

__device__ inline bool adam_failed(const double* total, const int* broken) {
  return *broken != 0 || !(fabs(*total) <= 1.7976931348623157e308);
}

// Keeps the best image, moves the moments and the image. beta1, beta2 and epsilon
// are Adam's.
extern "C" __global__ void adam_move(
    const float* gradient, const double* total, const int* broken, const double* numbers,
    float* image, float* first, float* second, float* best, double beta1, double beta2,
    double epsilon, long long count) {
  const bool failed = adam_failed(total, broken);
  const bool better = !failed && *total < numbers[kBestTotal];
  const double steps = numbers[kSteps] + 1.0;
  const double rate = numbers[kRate] / (1.0 - pow(beta1, steps));
  const float spread_scale = static_cast<float>(1.0 / (1.0 - pow(beta2, steps)));
  for (long long index = thread_index(); index < count; index += thread_count()) {
    const float pixel = image[index];
    if (better) {
      best[index] = pixel;
    }
    if (failed) {
      first[index] = 0.0f;
      second[index] = 0.0f;
      image[index] = best[index];
      continue;
    }
    const float slope = gradient[index];
    const float mean = first[index] + static_cast<float>(1.0 - beta1) * (slope - first[index]);
    const float square =
        second[index] + static_cast<float>(1.0 - beta2) * (slope * slope - second[index]);
    first[index] = mean;
    second[index] = square;
    const float spread = sqrtf(square * spread_scale) + static_cast<float>(epsilon);
    const float moved = pixel - mean / spread * static_cast<float>(rate);
    // Written so that a value that is not a number stays one.
    image[index] = moved < 0.0f ? 0.0f : (moved > 1.0f ? 1.0f : moved);
  }
}

// What the launch before must not change while its threads read it.
extern "C" __global__ void adam_note(const double* total, int* broken, double* numbers) {
  if (thread_index() != 0) {
    return;
  }
  const bool failed = adam_failed(total, broken);
  if (failed) {
    numbers[kRate] *= 0.5;
    numbers[kFailures] += 1.0;
    numbers[kSteps] = 0.0;
  } else {
    numbers[kSteps] += 1.0;
    if (*total < numbers[kBestTotal]) {
      numbers[kBestTotal] = *total;
    }
  }
  numbers[kAccepted] = failed ? 0.0 : 1.0;
  *broken = 0;
}
