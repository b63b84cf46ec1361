// Between ragged and packed order, written from the words of varlstm.h and independent of the library.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "varlstm.h"

namespace varlstm_test {

// Ragged row of every packed row: step by step, in each step the sequences that are still active, longest first, ties
// in the caller's order.
inline std::vector<int64_t> packed_to_ragged(const std::vector<int64_t>& lengths) {
  std::vector<size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return lengths[a] > lengths[b]; });
  std::vector<int64_t> start(lengths.size() + 1, 0);
  std::partial_sum(lengths.begin(), lengths.end(), start.begin() + 1);
  std::vector<int64_t> rows;
  const int64_t steps = lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
  for (int64_t t = 0; t < steps; ++t) {
    for (const size_t b : order) {
      if (lengths[b] > t) rows.push_back(start[b] + t);
    }
  }
  return rows;
}

// Both ways of reordering give an empty vector for an empty one, whatever the lengths: data that is not there.
template <class T>
std::vector<T> ragged_to_packed(const std::vector<int64_t>& lengths, int64_t features, const std::vector<T>& ragged) {
  if (ragged.empty()) return {};
  std::vector<T> packed(ragged.size());
  const std::vector<int64_t> rows = packed_to_ragged(lengths);
  for (size_t row = 0; row < rows.size(); ++row) {
    std::copy_n(ragged.begin() + rows[row] * features, features, packed.begin() + row * features);
  }
  return packed;
}

template <class T>
std::vector<T> packed_to_ragged(const std::vector<int64_t>& lengths, int64_t features, const std::vector<T>& packed) {
  if (packed.empty()) return {};
  std::vector<T> ragged(packed.size());
  const std::vector<int64_t> rows = packed_to_ragged(lengths);
  for (size_t row = 0; row < rows.size(); ++row) {
    std::copy_n(packed.begin() + row * features, features, ragged.begin() + rows[row] * features);
  }
  return ragged;
}

// The same to and from the rows of a varlstm_rows.
template <class T>
std::vector<T> rows_from_ragged(int32_t order, const std::vector<int64_t>& lengths, int64_t features,
                                const std::vector<T>& ragged) {
  return order == VARLSTM_ROWS_RAGGED ? ragged : ragged_to_packed(lengths, features, ragged);
}
template <class T>
std::vector<T> rows_to_ragged(int32_t order, const std::vector<int64_t>& lengths, int64_t features,
                              const std::vector<T>& rows) {
  return order == VARLSTM_ROWS_RAGGED ? rows : packed_to_ragged(lengths, features, rows);
}

}  // namespace varlstm_test
