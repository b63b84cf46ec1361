// The product of a step of forward: rows of values times rows of weights, tile by tile. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cells/unit.h"
#include "kernels/core/scalar.h"
#include "kernels/recurrence/stepwise/steps.h"

namespace varlstm::cuda {

// kGates: the rows of weights of each unit.
template <class C, int kGates>
struct ProductTiles {
  C values[kRows][kDepth + 1];
  C w[kGates * kUnits][kDepth + 1];
};

// Returns the sums over k < depth of value_of(r, k) * w[gate * units + unit0 + u, k], for this thread's (r, u) and each
// gate. w is [kGates * units, depth]. One chain of fused multiply-adds over k from 0. A thread has kLoads loads of each
// tile under way at once.
//   S1: after it the tiles of this depth are in shared memory. S2: after it no thread reads them any more.
template <int kGates, int kLoads, class C, class T, class ValueOf>
VARLSTM_DEVICE UnitValues<C, kGates> row_products(ProductTiles<C, kGates>& tiles, const ValueOf& value_of,
                                                  int64_t depth, const T* w, int64_t units, int64_t unit0) {
  const int thread = static_cast<int>(threadIdx.x);
  const int r = thread / kUnits, u = thread % kUnits;
  UnitValues<C, kGates> sums = {};
#pragma unroll 1
  for (int64_t k0 = 0; k0 < depth; k0 += kDepth) {
#pragma unroll kLoads
    for (int at = thread; at < kRows * kDepth; at += static_cast<int>(kStepThreads)) {
      const int64_t k = k0 + at % kDepth;
      C value = 0;
      if (k < depth) value = value_of(at / kDepth, k);
      tiles.values[at / kDepth][at % kDepth] = value;
    }
#pragma unroll kLoads
    for (int at = thread; at < kGates * kUnits * kDepth; at += static_cast<int>(kStepThreads)) {
      const int line = at / kDepth;
      const int64_t unit = unit0 + line % kUnits, k = k0 + at % kDepth;
      C value = 0;
      if (unit < units && k < depth) value = load_scalar(w[((line / kUnits) * units + unit) * depth + k]);
      tiles.w[line][at % kDepth] = value;
    }
    simt::block_sync();  // S1
    for (int kk = 0; kk < kDepth; ++kk)
      for (int gate = 0; gate < kGates; ++gate)
        sums.of[gate] = simt::fma(tiles.values[r][kk], tiles.w[gate * kUnits + u][kk], sums.of[gate]);
    simt::block_sync();  // S2
  }
  return sums;
}

}  // namespace varlstm::cuda
