// Log-softmax along each row.
//
//   forward   y [rows, classes] <- (x - max) - log(sum_c exp(x - max))
//   backward  dx <- dy - exp(y) * sum_c dy
//
// The sums run in double. y may be x, and dx may be dy, because each row is read before it is written. A NaN stays in
// its row. kernels/log_softmax does the same on CUDA.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "host/simd/scalar16.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

// The number of rows of one piece of work: about 20 microseconds of exp.
inline int64_t rows_per_softmax_piece(int64_t classes) {
  constexpr int64_t kElements = 4096;
  return std::max<int64_t>(1, kElements / classes);
}

template <class T>
ComputeType<T> row_max(int64_t classes, const T* x) {
  ComputeType<T> largest = x[0];
  for (int64_t c = 1; c < classes; ++c) largest = x[c] > largest ? static_cast<ComputeType<T>>(x[c]) : largest;
  return largest;
}

template <class T>
void log_softmax_forward(int64_t threads, int64_t rows, int64_t classes, const T* x, T* y) {
  parallel_ranges(threads, rows, rows_per_softmax_piece(classes), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const T* in = x + n * classes;
      T* out = y + n * classes;
      const auto largest = row_max(classes, in);
      double sum = 0;
      for (int64_t c = 0; c < classes; ++c) sum += std::exp(in[c] - largest);
      const auto log_sum = static_cast<ComputeType<T>>(std::log(sum));
      for (int64_t c = 0; c < classes; ++c) out[c] = (in[c] - largest) - log_sum;
    }
  });
}

template <class T>
void log_softmax_backward(int64_t threads, int64_t rows, int64_t classes, const T* y, const T* dy, T* dx) {
  parallel_ranges(threads, rows, rows_per_softmax_piece(classes), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const T* log_probs = y + n * classes;
      const T* din = dy + n * classes;
      T* dout = dx + n * classes;
      double sum = 0;
      for (int64_t c = 0; c < classes; ++c) sum += din[c];
      const auto total = static_cast<ComputeType<T>>(sum);
      for (int64_t c = 0; c < classes; ++c)
        dout[c] = din[c] - std::exp(static_cast<ComputeType<T>>(log_probs[c])) * total;
    }
  });
}

}  // namespace varlstm::host
