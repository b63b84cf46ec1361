// Dropout on the device. See dropout.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

struct DropoutArgs {
  DType dtype;
  int64_t m;  // rows of `in` and `out`, of n elements each
  int64_t n = 1;
  const int64_t* rows = nullptr;  // if only the device knows how many rows count; the others are left alone
  double p;
  uint64_t seed;
  const uint64_t* stored_seed = nullptr;  // in device memory, or null; `seed` is added to it. If it is 0, out <- in
  const void* in;
  void* out;  // in place is allowed
};

// out[k] <- keep(seed, k) ? in[k] / (1 - p) : 0 for the elements k of all rows that count.
int32_t dropout(Stream stream, const DropoutArgs& args);

}  // namespace varlstm::cuda
