// Inverted dropout (Srivastava et al. 2014); forward and backward are the same function.
//
//   out[k] <- keep(seed, k) ? in[k] / (1 - p) : 0           in, out [count]; in place is allowed
//   keep(seed, k) is true if word k % 4 of the Philox block with key seed and counter k / 4, times 2^-32, is >= p
//
// The mask depends on seed and k only. A dropped element is 0 whatever it was before. kernels/dropout does the same on
// CUDA.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "host/ops/philox.h"
#include "host/simd/scalar16.h"
#include "host/simd/vector_code.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

constexpr int kPhiloxLanes = 16;
constexpr int64_t kDropoutChunk = 4 * kPhiloxLanes;  // elements that one call of the generator covers

// Dropout of elements [begin, end), where begin is a multiple of kDropoutChunk. A word <= last_dropped drops its
// element.
template <class T>
inline void dropout_range(int64_t begin, int64_t end, uint32_t last_dropped, ComputeType<T> scale, uint64_t seed,
                          const T* in, T* out) {
  using C = ComputeType<T>;
  for (int64_t chunk = begin; chunk < end; chunk += kDropoutChunk) {
    const auto blocks = philox4x32<kPhiloxLanes>(seed, static_cast<uint64_t>(chunk / 4));
    C factors[kDropoutChunk];
    for (int j = 0; j < kPhiloxLanes; ++j) {
      for (int word = 0; word < 4; ++word) {
        factors[4 * j + word] = blocks.words[word][j] > last_dropped ? scale : C(0);
      }
    }
    const int64_t elements = std::min(kDropoutChunk, end - chunk);
#pragma omp simd
    for (int64_t j = 0; j < elements; ++j) out[chunk + j] = factors[j] != 0 ? in[chunk + j] * factors[j] : C(0);
  }
}

template <class T>
void dropout(int64_t threads, int64_t count, double p, uint64_t seed, const T* in, T* out) {
  constexpr int64_t kGrain = 256 * kDropoutChunk;
  const uint64_t dropped_words =
      static_cast<uint64_t>(std::ceil(std::ldexp(p, 32)));  // how many words have word * 2^-32 < p
  const auto scale = static_cast<ComputeType<T>>(1 / (1 - p));
  parallel_ranges(threads, count, kGrain, [&](int64_t begin, int64_t end) {
    if (dropped_words == 0) {
      std::copy(in + begin, in + end, out + begin);
      return;
    }
    const uint32_t last_dropped = static_cast<uint32_t>(dropped_words - 1);
    run_vectorised([&] { dropout_range(begin, end, last_dropped, scale, seed, in, out); });
  });
}

}  // namespace varlstm::host
