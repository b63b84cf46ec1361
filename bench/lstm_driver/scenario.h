// One case of the driver: a problem and everything on the command line that changes what is computed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <varlstm.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "bench/lstm_driver/cell.h"
#include "bench/lstm_driver/problem.h"

namespace varlstm::lstm_driver {

enum class Pass {
  kForward,   // fwd: inference, nothing saved
  kBackward,  // bwd: zeroes dparams, then every gradient; its forward ran before
  kTrain      // train: forward that saves, then as kBackward
};
// Packed data, or what is packed on the way in and unpacked on the way out.
enum class Layout { kPacked, kRagged, kBatchFirst, kTimeMajor };
enum class Cache {
  kWarm,  // runs follow each other
  kCold   // caches are overwritten before each run
};

template <class Value>
struct Name {
  const char* name;
  Value value;
};
constexpr Name<Pass> kPasses[] = {{"fwd", Pass::kForward}, {"bwd", Pass::kBackward}, {"train", Pass::kTrain}};
constexpr Name<Layout> kLayouts[] = {{"packed", Layout::kPacked},
                                     {"ragged", Layout::kRagged},
                                     {"batch_first", Layout::kBatchFirst},
                                     {"time_major", Layout::kTimeMajor}};
constexpr Name<bool> kLayers[] = {{"together", true}, {"apart", false}};
constexpr Name<Cache> kCaches[] = {{"warm", Cache::kWarm}, {"cold", Cache::kCold}};
constexpr Name<int32_t> kDtypes[] = {
    {"f32", VARLSTM_DTYPE_F32}, {"f64", VARLSTM_DTYPE_F64}, {"bf16", VARLSTM_DTYPE_BF16}, {"f16", VARLSTM_DTYPE_F16}};
constexpr Name<int32_t> kBackends[] = {{"host", VARLSTM_BACKEND_HOST}, {"cuda", VARLSTM_BACKEND_CUDA}};

template <class Entry, class Value, size_t count>
const char* name_of(const Entry (&names)[count], Value value) {
  for (const Entry& name : names)
    if (name.value == value) return name.name;
  return "unknown";
}

inline int64_t bytes_of(int32_t dtype) {
  return dtype == VARLSTM_DTYPE_F64 ? 8 : dtype == VARLSTM_DTYPE_F32 ? 4 : 2;
}

struct Scenario {
  Problem problem;
  Cell cell = kCells[0];
  std::string lens;              // as given
  std::vector<int64_t> lengths;  // [B]
  uint64_t seed = 1;
  Pass pass = Pass::kForward;
  int32_t dtype = VARLSTM_DTYPE_F32;
  Layout layout = Layout::kPacked;
  bool layers_together = true;  // where they may run in one launch

  int64_t tokens() const { return std::accumulate(lengths.begin(), lengths.end(), int64_t{0}); }             // N
  int64_t steps() const { return lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end()); }  // T
  int64_t padded_tokens() const { return problem.batch * steps(); }
};

}  // namespace varlstm::lstm_driver
