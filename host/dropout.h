// Inverted dropout (Srivastava et al. 2014); forward and backward are the same function.
//
//   out[k] <- keep(seed, k) ? in[k] / (1 - p) : 0           in, out [count]; in place is allowed
//   keep(seed, k) = word k % 4 of the Philox block with key seed and counter k / 4, times 2^-32, >= p
//
// The mask depends on seed and k alone. A dropped element is 0 whatever it held. Mirrored by kernels/core.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "host/parallel.h"
#include "host/philox.h"

namespace varlstm::host {

template <class T>
void dropout(int64_t threads, int64_t count, double p, uint64_t seed, const T* in, T* out) {
  constexpr int kLanes = 16;
  constexpr int64_t kChunk = 4 * kLanes;  // elements that one call of the generator serves
  constexpr int64_t kGrain = 256 * kChunk;
  const uint64_t threshold = static_cast<uint64_t>(std::ceil(std::ldexp(p, 32)));  // word * 2^-32 >= p, exactly
  const T scale = static_cast<T>(1 / (1 - p));
  parallel_ranges(threads, count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; chunk += kChunk) {
      const auto blocks = philox4x32<kLanes>(seed, static_cast<uint64_t>(chunk / 4));
      T factors[kChunk];
      for (int64_t j = 0; j < kChunk; ++j) factors[j] = blocks.words[j % 4][j / 4] >= threshold ? scale : T(0);
      const int64_t elements = std::min(kChunk, end - chunk);
      for (int64_t j = 0; j < elements; ++j) out[chunk + j] = factors[j] != 0 ? in[chunk + j] * factors[j] : T(0);
    }
  });
}

}  // namespace varlstm::host
