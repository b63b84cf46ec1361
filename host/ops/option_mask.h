// The masks of recurrent dropout and of zoneout, as varlstm.h defines them under "Masks of an rnn". On CUDA
// kernels/recurrence/stepwise/cell_options.h draws their elements, and weight_mask.cu those of kind WEIGHTS.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

#include "host/ops/philox.h"
#include "host/simd/vector_code.h"

namespace varlstm::host {

enum class MaskKind : uint32_t { kWeights = 1, kState = 2, kCandidate = 3, kZoneoutH = 4, kZoneoutC = 5 };

// The mask of one kind for one layer and direction.
struct OptionMask {
  uint64_t seed;
  MaskKind kind;
  int64_t entry;  // layer * 2 + direction
  double p;
};

// out [count] <- `drawn` for those of the elements k = first, first + 1, ... that are drawn with probability p, and
// `other` for the rest.
template <class T>
void fill_mask(const OptionMask& mask, int64_t first, int64_t count, T drawn, T other, T* out) {
  constexpr int kLanes = 16;
  constexpr int64_t kElements = 4 * kLanes;
  const auto drawn_words = static_cast<uint64_t>(std::ceil(std::ldexp(mask.p, 32)));  // those with word * 2^-32 < p
  const uint64_t upper = static_cast<uint64_t>(mask.kind) | static_cast<uint64_t>(mask.entry) << 32;
  run_vectorised([&] {
    for (int64_t k = first / 4 * 4; k < first + count; k += kElements) {
      const auto blocks = philox4x32<kLanes>(mask.seed, static_cast<uint64_t>(k / 4), upper);
      T values[kElements];
      for (int j = 0; j < kLanes; ++j)
        for (int word = 0; word < 4; ++word) values[4 * j + word] = blocks.words[word][j] < drawn_words ? drawn : other;
      const int64_t begin = k < first ? first - k : 0;
      const int64_t end = first + count - k < kElements ? first + count - k : kElements;
      for (int64_t j = begin; j < end; ++j) out[k + j - first] = values[j];
    }
  });
}

}  // namespace varlstm::host
