// Chooses how many rows a chunk of linear cross-entropy has.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/environment.h"

namespace varlstm::cuda {

// Not measured on a GPU. The wider of logits and x has 2^24 elements, 64 MiB of F32. A chunk has at least 64 rows,
// which is a tile of the product, so that a vocabulary of a million does not read the weight for only a few rows. It
// has at most 8,192 rows, which fill a device even with few classes.
constexpr int64_t kChunkElements = int64_t{1} << 24;
constexpr int64_t kFewestChunkRows = 64, kMostChunkRows = 8192;

inline int64_t select_chunk_rows(int64_t in, int64_t classes) {
  const int64_t rows = kChunkElements / (in > classes ? in : classes);
  return rows < kFewestChunkRows ? kFewestChunkRows : rows > kMostChunkRows ? kMostChunkRows : rows;
}

// Returns the selection, unless the environment gives a number.
inline int64_t chunk_rows_of(int64_t in, int64_t classes) {
  const char* forced = environment(kLossChunkVariable);
  return forced != nullptr ? positive_number(forced) : select_chunk_rows(in, classes);
}

}  // namespace varlstm::cuda
