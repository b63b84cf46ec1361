// Length distributions that hurt: what a batch planner or a recurrence over shrinking widths gets wrong first.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "support/random.h"

namespace varlstm_test {

enum class LengthKind {
  kAllEqual,
  kAllOne,
  kOneGiant,
  kZerosAmong,
  kAllZero,
  kTies,
  kSingle,
  kLogNormal,
  kUniform,
  kIncreasing
};

constexpr LengthKind kLengthKinds[] = {LengthKind::kAllEqual,   LengthKind::kAllOne,    LengthKind::kOneGiant,
                                       LengthKind::kZerosAmong, LengthKind::kAllZero,   LengthKind::kTies,
                                       LengthKind::kSingle,     LengthKind::kLogNormal, LengthKind::kUniform,
                                       LengthKind::kIncreasing};

inline const char* length_kind_name(LengthKind kind) {
  switch (kind) {
    case LengthKind::kAllEqual:
      return "all equal";
    case LengthKind::kAllOne:
      return "all one";
    case LengthKind::kOneGiant:
      return "one giant";
    case LengthKind::kZerosAmong:
      return "zeros among";
    case LengthKind::kAllZero:
      return "all zero";
    case LengthKind::kTies:
      return "ties";
    case LengthKind::kSingle:
      return "a single sequence";
    case LengthKind::kLogNormal:
      return "log-normal";
    case LengthKind::kUniform:
      return "uniform";
    case LengthKind::kIncreasing:
      return "increasing";
  }
  return "unknown";
}

// Lengths of `batch` sequences (one for kSingle), none above max_len (>= 1).
inline std::vector<int64_t> make_lengths(LengthKind kind, int64_t batch, int64_t max_len, Random& random) {
  std::vector<int64_t> lengths(static_cast<size_t>(kind == LengthKind::kSingle ? 1 : batch));
  const int64_t count = static_cast<int64_t>(lengths.size());
  const int64_t giant = count > 0 ? random.integer(0, count - 1) : 0;
  const int64_t tied[2] = {random.integer(1, max_len), random.integer(1, max_len)};
  for (int64_t b = 0; b < count; ++b) {
    switch (kind) {
      case LengthKind::kAllEqual:
        lengths[b] = max_len;
        break;
      case LengthKind::kAllOne:
        lengths[b] = 1;
        break;
      case LengthKind::kOneGiant:
        lengths[b] = b == giant ? max_len : random.integer(1, 2);
        break;
      case LengthKind::kZerosAmong:
        lengths[b] = b % 3 == 1 ? 0 : random.integer(0, max_len);
        break;
      case LengthKind::kAllZero:
        lengths[b] = 0;
        break;
      case LengthKind::kTies:
        lengths[b] = tied[random.integer(0, 1)];
        break;
      case LengthKind::kSingle:
        lengths[b] = random.integer(1, max_len);
        break;
      case LengthKind::kLogNormal:
        lengths[b] = static_cast<int64_t>(std::exp(std::log(max_len * 0.3) + 0.8 * random.normal()));
        break;
      case LengthKind::kUniform:
        lengths[b] = random.integer(1, max_len);
        break;
      case LengthKind::kIncreasing:
        lengths[b] = 1 + b * (max_len - 1) / std::max<int64_t>(count - 1, 1);
        break;
    }
    lengths[b] = std::min(std::max<int64_t>(lengths[b], 0), max_len);
  }
  return lengths;
}

// Any of the kinds.
inline std::vector<int64_t> random_lengths(int64_t batch, int64_t max_len, Random& random) {
  const int64_t kinds = static_cast<int64_t>(sizeof(kLengthKinds) / sizeof(kLengthKinds[0]));
  return make_lengths(kLengthKinds[random.integer(0, kinds - 1)], batch, max_len, random);
}

inline std::string to_string(const std::vector<int64_t>& values) {
  std::string text = "[";
  for (size_t k = 0; k < values.size(); ++k) text += (k > 0 ? ", " : "") + std::to_string(values[k]);
  return text + "]";
}

}  // namespace varlstm_test
