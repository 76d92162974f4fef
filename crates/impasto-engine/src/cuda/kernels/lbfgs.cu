// L-BFGS with everything that belongs to an iteration. It computes what
// optimizer/lbfgs.rs and optimizer/history.rs do with libtorch's operations; the
// formulas are explained there. The order of the launches:
//
//   lbfgs_differences   the step and the change of the gradient, and their products
//   lbfgs_judge         whether the image is accepted
//   lbfgs_accept        the image to go on from, the way downhill
//   (libtorch)          the preconditioner, by Fourier transforms
//   lbfgs_write         the newest pair
//   row_products, row_products_sum    all pairs times both vectors
//   lbfgs_learn         the small matrices, the coefficients of the direction
//   lbfgs_combine       the direction
//   lbfgs_length        how far to go along it
//   lbfgs_move          the next image

// Places in the numbers that every optimizer keeps (optimizer/iterate.rs).
enum IterateNumber { kItBestTotal, kItRate, kItFailures };
// Places in L-BFGS's own numbers, float64.
enum LbfgsNumber {
  kAcceptedTotal,
  kLength,
  kRejected,
  kCaution,
  kSettled,
  kRestarts,
  kSettledCount,
  kWasAccepted
};
// Places in the numbers that one launch leaves for the next, float64.
enum Verdict {
  kFailed,
  kBetter,
  kTaken,
  kShortened,
  kGivenUp,
  kLearnt,
  kShorter,
  kGamma,
  kUphill
};

constexpr double kArmijo = 1e-4;
constexpr double kNoise = 1e-6;
constexpr double kMaxRejected = 5.0;
constexpr double kFirstStep = 0.02;
constexpr double kLeastCurvature = 1e-6;
constexpr double kReach = 2.5;
// The most slots of a history: shared memory holds a vector of so many.
constexpr int kMaxSlots = 1024;

__device__ inline double infinity() {
  return __longlong_as_double(0x7ff0000000000000LL);
}

__device__ inline bool finite_number(double value) {
  return fabs(value) <= 1.7976931348623157e308;
}

// The pixels that may move: not those at a bound that the gradient pushes outward.
__device__ inline bool is_free(float pixel, float slope) {
  return !((pixel <= 0.0f && slope > 0.0f) || (pixel >= 1.0f && slope < 0.0f));
}

// The sum over the 32 lanes of a warp, in every lane.
template <typename T>
__device__ inline T warp_sum(T value) {
  for (int other = 16; other > 0; other /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, other);
  }
  return value;
}

// `parts` has five sums for each block: g.s, s.y, s.s, y.y and how many values of
// the gradient are not finite.
extern "C" __global__ void lbfgs_differences(
    const float* image, const float* gradient, const float* accepted_image,
    const float* accepted_gradient, float* step, float* change, double* parts, long long count) {
  __shared__ double shared[256];
  double sums[5] = {0.0, 0.0, 0.0, 0.0, 0.0};
  for (long long index = thread_index(); index < count; index += thread_count()) {
    const float before = accepted_gradient[index];
    const float s = image[index] - accepted_image[index];
    const float slope = gradient[index];
    const bool usable = is_finite(slope);
    // What is not finite must not get into the history.
    const float y = usable ? slope - before : 0.0f;
    step[index] = s;
    change[index] = y;
    sums[0] += static_cast<double>(before) * s;
    sums[1] += static_cast<double>(s) * y;
    sums[2] += static_cast<double>(s) * s;
    sums[3] += static_cast<double>(y) * y;
    sums[4] += usable ? 0.0 : 1.0;
  }
  for (int which = 0; which < 5; ++which) {
    const double sum = block_sum(sums[which], shared);
    if (threadIdx.x == 0) {
      parts[blockIdx.x * 5 + which] = sum;
    }
  }
}

// The sums of `width` columns of parts, for every thread of the only block.
template <int width>
__device__ inline void sum_parts(const double* parts, int blocks, double* shared, double* sums) {
  for (int which = 0; which < width; ++which) {
    double sum = 0.0;
    for (int block = threadIdx.x; block < blocks; block += blockDim.x) {
      sum += parts[block * width + which];
    }
    sums[which] = block_sum(sum, shared);
  }
}

__device__ inline bool any_valid(const double* valid, int slots, double* shared) {
  double sum = 0.0;
  for (int slot = threadIdx.x; slot < slots; slot += blockDim.x) {
    sum += valid[slot];
  }
  return block_sum(sum, shared) > 0.0;
}

extern "C" __global__ void lbfgs_judge(
    const double* parts, int blocks, const double* total_at, const double* valid, int slots,
    double* iterate, double* numbers, double* verdict) {
  __shared__ double shared[256];
  double sums[5];
  sum_parts<5>(parts, blocks, shared, sums);
  const bool any = any_valid(valid, slots, shared);
  if (threadIdx.x != 0) {
    return;
  }
  const double total = *total_at;
  const bool failed = sums[4] > 0.0 || !finite_number(total);
  const double promised = sums[0];
  const double curvature = sums[1];
  const double before = numbers[kAcceptedTotal];
  const double slack = fabs(before) * kNoise;
  const bool taken = !failed && total <= before + slack + kArmijo * promised;
  const bool improved = taken && total < before - slack;
  const bool patient = numbers[kRejected] < kMaxRejected;
  const bool given_up = !failed && !taken && !patient;
  double shorter = promised / (2.0 * (promised - (total - before)));
  shorter = !finite_number(shorter) ? 0.1 : (shorter < 0.1 ? 0.1 : (shorter > 0.5 ? 0.5 : shorter));
  verdict[kFailed] = failed;
  verdict[kBetter] = !failed && total < iterate[kItBestTotal];
  verdict[kTaken] = taken;
  verdict[kShortened] = !failed && !taken && patient;
  verdict[kGivenUp] = given_up;
  verdict[kLearnt] = taken && finite_number(curvature) &&
      curvature > kLeastCurvature * sqrt(sums[2] * sums[3]);
  verdict[kShorter] = shorter;

  if (failed) {
    iterate[kItRate] *= 0.5;
    iterate[kItFailures] += 1.0;
  } else if (total < iterate[kItBestTotal]) {
    iterate[kItBestTotal] = total;
  }
  if (given_up && numbers[kSettled] == 0.0) {
    numbers[any ? kRestarts : kSettledCount] += 1.0;
  }
  if (taken) {
    const double bolder = 2.0 * numbers[kCaution];
    numbers[kCaution] = bolder > 1.0 ? 1.0 : bolder;
  }
  if (given_up && !any) {
    numbers[kCaution] *= 0.1;
    numbers[kSettled] = 1.0;
  }
  if (improved || failed) {
    numbers[kSettled] = 0.0;
  }
  numbers[kAcceptedTotal] = failed ? infinity() : (taken ? total : before);
  numbers[kWasAccepted] = taken;
}

extern "C" __global__ void lbfgs_accept(
    const float* image, const float* gradient, const double* verdict, float* best,
    float* accepted_image, float* accepted_gradient, float* downhill, long long count) {
  const bool failed = verdict[kFailed] != 0.0;
  const bool better = verdict[kBetter] != 0.0;
  const bool taken = verdict[kTaken] != 0.0;
  for (long long index = thread_index(); index < count; index += thread_count()) {
    float pixel = accepted_image[index];
    float slope = accepted_gradient[index];
    if (better) {
      best[index] = image[index];
    }
    if (taken) {
      pixel = image[index];
      slope = gradient[index];
    }
    if (failed) {
      pixel = best[index];
      slope = 0.0f;
    }
    accepted_image[index] = pixel;
    accepted_gradient[index] = slope;
    downhill[index] = is_free(pixel, slope) ? -slope : 0.0f;
  }
}

// `head` is the free slot. A change that is beyond the rows' numbers is not learnt
// from, and must not spoil their sums.
template <typename T>
__device__ inline void write_pair(
    const float* step, const float* change, const double* head, T* pairs, long long count) {
  T* steps = pairs + 2 * static_cast<long long>(*head) * count;
  T* changes = steps + count;
  for (long long index = thread_index(); index < count; index += thread_count()) {
    const float value = change[index];
    put(step[index], steps[index]);
    put(is_finite(value) ? value : 0.0f, changes[index]);
  }
}

// Columns that a lane works on, 32 apart.
constexpr int kColumns = 8;

// The products of `rows` rows with two vectors [2, N]. Each warp adds up those of
// its pieces of 256 columns and leaves them in `parts`, [2 · rows, warps].
template <typename T>
__device__ inline void products_of_rows(
    const T* pairs, const float* vectors, float* parts, int rows, int warps, long long count) {
  const long long warp = thread_index() / 32;
  const int lane = threadIdx.x % 32;
  const long long piece_size = 32 * kColumns;
  for (long long piece = warp; piece * piece_size < count && warp < warps; piece += warps) {
    const long long first = piece * piece_size + lane;
    float one[kColumns];
    float other[kColumns];
    for (int column = 0; column < kColumns; ++column) {
      const long long place = first + 32 * column;
      one[column] = place < count ? vectors[place] : 0.0f;
      other[column] = place < count ? vectors[count + place] : 0.0f;
    }
    for (int row = 0; row < rows; ++row) {
      const T* values = pairs + row * count;
      float sum = 0.0f;
      float sum_of_other = 0.0f;
      for (int column = 0; column < kColumns; ++column) {
        const long long place = first + 32 * column;
        const float value = place < count ? to_float(values[place]) : 0.0f;
        sum += value * one[column];
        sum_of_other += value * other[column];
      }
      sum = warp_sum(sum);
      sum_of_other = warp_sum(sum_of_other);
      if (lane == 0) {
        float* part = parts + (2 * row) * static_cast<long long>(warps) + warp;
        part[0] = piece == warp ? sum : part[0] + sum;
        part[warps] = piece == warp ? sum_of_other : part[warps] + sum_of_other;
      }
    }
  }
}

// A block for each of the `[2 · rows]` products adds its parts.
extern "C" __global__ void row_products_sum(const float* parts, double* products, int warps) {
  __shared__ double shared[256];
  double sum = 0.0;
  for (int warp = threadIdx.x; warp < warps; warp += blockDim.x) {
    sum += parts[blockIdx.x * static_cast<long long>(warps) + warp];
  }
  const double all = block_sum(sum, shared);
  if (threadIdx.x == 0) {
    products[blockIdx.x] = all;
  }
}

// The small matrices of a history, as optimizer/history.rs has them.
struct History {
  double* inverse;
  double* curvature;
  double* products;
  double* valid;
  double* numbers;
  double* next_number;
  double* scale;
  double* head;
  int slots;

  __device__ void drop(int slot) const {
    for (int other = threadIdx.x; other < slots; other += blockDim.x) {
      inverse[slot * slots + other] = 0.0;
      inverse[other * slots + slot] = 0.0;
      curvature[slot * slots + other] = 0.0;
      curvature[other * slots + slot] = 0.0;
    }
    if (threadIdx.x == 0) {
      products[slot] = 0.0;
      valid[slot] = 0.0;
      numbers[slot] = -1.0;
    }
  }

  __device__ void clear() const {
    for (int place = threadIdx.x; place < slots * slots; place += blockDim.x) {
      inverse[place] = 0.0;
      curvature[place] = 0.0;
    }
    for (int slot = threadIdx.x; slot < slots; slot += blockDim.x) {
      products[slot] = 0.0;
      valid[slot] = 0.0;
      numbers[slot] = -1.0;
    }
  }

  // matrix · vector, a warp for each row; the vector is in shared memory.
  __device__ void multiply(const double* matrix, const double* vector, double* out) const {
    const int warps = blockDim.x / 32;
    const int lane = threadIdx.x % 32;
    // Every warp turns equally often, so that its lanes stay together.
    for (int first = 0; first < slots; first += warps) {
      const int row = first + threadIdx.x / 32;
      double sum = 0.0;
      for (int column = lane; row < slots && column < slots; column += 32) {
        sum += matrix[row * slots + column] * vector[column];
      }
      sum = warp_sum(sum);
      if (lane == 0 && row < slots) {
        out[row] = sum;
      }
    }
    __syncthreads();
  }

  // The matrix's transpose · vector, a thread for each column.
  __device__ void multiply_transposed(
      const double* matrix, const double* vector, double* out) const {
    for (int column = threadIdx.x; column < slots; column += blockDim.x) {
      double sum = 0.0;
      for (int row = 0; row < slots; ++row) {
        sum += matrix[row * slots + column] * vector[row];
      }
      out[column] = sum;
    }
    __syncthreads();
  }
};

// `dots` are the products of all rows, [slot, step or change, vector]: the vectors
// are the change of the gradient and the way downhill. Slots that were never
// written have rows of zeros. Gives the coefficients of all rows for the direction,
// [slot, step or change].
extern "C" __global__ void lbfgs_learn(
    const double* dots, double* inverse, double* curvature, double* products, double* valid,
    double* numbers, double* next_number, double* scale, double* head, int slots,
    double* verdict, float* coefficients) {
  __shared__ double shared[256];
  __shared__ double vector[kMaxSlots];
  __shared__ double result[kMaxSlots];
  __shared__ double solved[kMaxSlots];
  const History history = {inverse, curvature, products,  valid, numbers, next_number,
                           scale,   head,      slots};
  if (verdict[kLearnt] != 0.0) {
    const int slot = static_cast<int>(*head);
    const double step_change = dots[slot * 4];
    const double change_change = dots[slot * 4 + 2];
    for (int other = threadIdx.x; other < slots; other += blockDim.x) {
      vector[other] = valid[other] > 0.0 ? dots[other * 4] : 0.0;
    }
    __syncthreads();
    history.multiply(inverse, vector, result);
    for (int other = threadIdx.x; other < slots; other += blockDim.x) {
      if (other == slot) {
        inverse[other * slots + slot] = 1.0 / step_change;
        curvature[other * slots + slot] = change_change;
      } else if (valid[other] > 0.0) {
        inverse[other * slots + slot] = -result[other] / step_change;
        curvature[other * slots + slot] = dots[other * 4 + 2];
        curvature[slot * slots + other] = dots[other * 4 + 2];
      }
    }
    __syncthreads();
    const int next = (slot + 1) % slots;
    if (threadIdx.x == 0) {
      products[slot] = step_change;
      valid[slot] = 1.0;
      numbers[slot] = *next_number;
      *next_number += 1.0;
      *scale = kReach * step_change / change_change;
      *head = next;
    }
    __syncthreads();
    history.drop(next);
  } else if (verdict[kGivenUp] != 0.0 || verdict[kFailed] != 0.0) {
    history.clear();
  }
  __syncthreads();

  const double gamma = any_valid(valid, slots, shared) ? *scale : 1.0;
  for (int slot = threadIdx.x; slot < slots; slot += blockDim.x) {
    vector[slot] = valid[slot] > 0.0 ? dots[slot * 4 + 1] : 0.0;
  }
  __syncthreads();
  history.multiply(inverse, vector, solved);
  history.multiply(curvature, solved, result);
  for (int slot = threadIdx.x; slot < slots; slot += blockDim.x) {
    const double of_change = valid[slot] > 0.0 ? dots[slot * 4 + 3] : 0.0;
    vector[slot] = gamma * (result[slot] - of_change) + products[slot] * solved[slot];
  }
  __syncthreads();
  history.multiply_transposed(inverse, vector, result);
  for (int slot = threadIdx.x; slot < slots; slot += blockDim.x) {
    coefficients[2 * slot] = static_cast<float>(result[slot]);
    coefficients[2 * slot + 1] = static_cast<float>(-gamma * solved[slot]);
  }
  if (threadIdx.x == 0) {
    verdict[kGamma] = gamma;
  }
}

// The direction, for the pixels that are free; `parts` has three sums for each
// block: its product with the way downhill, with itself, and that of steepest
// descent with itself.
template <typename T>
__device__ inline void combine_rows(
    const T* pairs, const float* coefficients, const float* preconditioned, const float* downhill,
    const float* accepted_image, const float* accepted_gradient, const double* verdict,
    float* direction, double* parts, int rows, long long count) {
  __shared__ double shared[256];
  __shared__ float weights[2 * kMaxSlots];
  for (int row = threadIdx.x; row < rows; row += blockDim.x) {
    weights[row] = coefficients[row];
  }
  __syncthreads();
  const float gamma = static_cast<float>(verdict[kGamma]);
  double sums[3] = {0.0, 0.0, 0.0};
  for (long long index = thread_index(); index < count; index += thread_count()) {
    float sum = 0.0f;
#pragma unroll 8
    for (int row = 0; row < rows; ++row) {
      sum += weights[row] * to_float(pairs[row * count + index]);
    }
    const bool free = is_free(accepted_image[index], accepted_gradient[index]);
    const float steepest = free ? preconditioned[index] : 0.0f;
    const float value = free ? sum + gamma * preconditioned[index] : 0.0f;
    direction[index] = value;
    sums[0] += static_cast<double>(value) * downhill[index];
    sums[1] += static_cast<double>(value) * value;
    sums[2] += static_cast<double>(steepest) * steepest;
  }
  for (int which = 0; which < 3; ++which) {
    const double sum = block_sum(sums[which], shared);
    if (threadIdx.x == 0) {
      parts[blockIdx.x * 3 + which] = sum;
    }
  }
}

extern "C" __global__ void lbfgs_length(
    const double* parts, int blocks, double* inverse, double* curvature, double* products,
    double* valid, double* pair_numbers, int slots, const double* iterate, double* numbers,
    double* verdict, double count) {
  __shared__ double shared[256];
  double sums[3];
  sum_parts<3>(parts, blocks, shared, sums);
  bool any = any_valid(valid, slots, shared);
  const bool uphill = any && !(sums[0] > 0.0 && finite_number(sums[0]));
  if (uphill) {
    const History history = {inverse,      curvature, products, valid, pair_numbers,
                             nullptr, nullptr,   nullptr,  slots};
    history.clear();
    any = false;
  }
  if (threadIdx.x != 0) {
    return;
  }
  const double square = uphill ? sums[2] : sums[1];
  const double first = kFirstStep / sqrt(square / count);
  double fresh = (any ? 1.0 : first) * iterate[kItRate] * numbers[kCaution];
  // Written so that a value that is not a number becomes zero.
  fresh = fresh < 3.4028234663852886e38 ? fresh : 0.0;
  const bool shortened = verdict[kShortened] != 0.0;
  numbers[kLength] = shortened ? numbers[kLength] * verdict[kShorter] : fresh;
  numbers[kRejected] = shortened ? numbers[kRejected] + 1.0 : 0.0;
  verdict[kUphill] = uphill;
}

extern "C" __global__ void lbfgs_move(
    const float* accepted_image, const float* accepted_gradient, const float* direction,
    const float* preconditioned, const double* verdict, const double* numbers, float* image,
    long long count) {
  const bool uphill = verdict[kUphill] != 0.0;
  const float length = static_cast<float>(numbers[kLength]);
  for (long long index = thread_index(); index < count; index += thread_count()) {
    const float pixel = accepted_image[index];
    const bool free = is_free(pixel, accepted_gradient[index]);
    const float steepest = free ? preconditioned[index] : 0.0f;
    const float moved = pixel + length * (uphill ? steepest : direction[index]);
    // Written so that a value that is not a number stays one.
    image[index] = moved < 0.0f ? 0.0f : (moved > 1.0f ? 1.0f : moved);
  }
}

#define FOR_KIND(T, suffix)                                                                     \
  extern "C" __global__ void lbfgs_write_##suffix(                                              \
      const float* step, const float* change, const double* head, T* pairs, long long count) {  \
    write_pair(step, change, head, pairs, count);                                               \
  }                                                                                             \
  extern "C" __global__ void row_products_##suffix(                                             \
      const T* pairs, const float* vectors, float* parts, int rows, int warps,                  \
      long long count) {                                                                        \
    products_of_rows(pairs, vectors, parts, rows, warps, count);                                \
  }                                                                                             \
  extern "C" __global__ void lbfgs_combine_##suffix(                                            \
      const T* pairs, const float* coefficients, const float* preconditioned,                   \
      const float* downhill, const float* accepted_image, const float* accepted_gradient,       \
      const double* verdict, float* direction, double* parts, int rows, long long count) {      \
    combine_rows(pairs, coefficients, preconditioned, downhill, accepted_image,                 \
                 accepted_gradient, verdict, direction, parts, rows, count);                    \
  }

FOR_KIND(float, float32)
FOR_KIND(bf16, bfloat16)

#undef FOR_KIND
