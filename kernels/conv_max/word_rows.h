// The rows of a word, and the weights as the kernels of the convolution with maximum read them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/bad_value.h"
#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"

namespace varlstm::cuda {

// A word has the rows [begin, end). It has none if its offsets decrease or are outside [0, rows].
struct WordRows {
  int64_t begin, end;
};

VARLSTM_DEVICE WordRows word_rows(const int64_t* offsets, int64_t word, int64_t rows) {
  const int64_t begin = offsets[word], end = offsets[word + 1];
  return begin >= 0 && begin <= end && end <= rows ? WordRows{begin, end} : WordRows{0, 0};
}

// Raises the bit for a word whose offsets are bad.
VARLSTM_DEVICE void check_word(const int64_t* offsets, int64_t word, int64_t rows, DeviceStatus* status) {
  const int64_t begin = offsets[word], end = offsets[word + 1];
  if (begin < 0 || begin > end || end > rows) flag_bad_value(status, BadValue::kOffset, word);
}

// How many rows of a window lie before its position.
VARLSTM_DEVICE int64_t rows_before(const ConvMaxShape& shape) {
  return (shape.width - 1) / 2;
}

// The weights of row k of a window and feature i, [filters], in arranged [width, in, filters].
template <class C>
VARLSTM_DEVICE const C* filters_at(const ConvMaxShape& shape, const C* arranged, int64_t k, int64_t i) {
  return arranged + (k * shape.in + i) * shape.filters;
}

// arranged [width, in, filters] <- weight [filters, in, width], so that neighbouring threads, which have neighbouring
// filters, read neighbouring elements. `arranged` is in the type of the sums.
template <class T>
int32_t arrange_filters(Stream stream, const ConvMaxShape& shape, const void* weight, ComputeType<T>* arranged);

}  // namespace varlstm::cuda
