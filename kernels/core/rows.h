// Helpers for kernels over rows, each of which a few neighbouring threads share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/core/launch.h"
#include "kernels/core/vector.h"

namespace varlstm::cuda {

// The row that a thread works on, and its words of the row: first_word, first_word + word_step, ... Rows are taken in a
// grid-stride loop: row, row + row_step, ...
struct RowThread {
  int64_t row, row_step, first_word, word_step;
};

// blockDim = (threads for a row, rows for a block).
VARLSTM_DEVICE RowThread row_thread() {
  return {static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y, static_cast<int64_t>(gridDim.x) * blockDim.y,
          static_cast<int64_t>(threadIdx.x), static_cast<int64_t>(blockDim.x)};
}

// Returns enough blocks of 256 threads to fill the device, for `rows` rows of `words` words.
inline LaunchShape row_shape(Stream stream, int64_t rows, int64_t words) {
  constexpr unsigned kBlock = 256;
  LaunchShape shape;
  shape.block.x = threads_per_row(words);
  shape.block.y = kBlock / shape.block.x;
  shape.grid = elementwise_shape(stream, rows, shape.block.y).grid;
  return shape;
}

// Returns how many entries of the sorted, non-decreasing array are <= value.
VARLSTM_DEVICE int64_t count_not_above(const int64_t* sorted, int64_t count, int64_t value) {
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (sorted[middle] <= value) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

}  // namespace varlstm::cuda
