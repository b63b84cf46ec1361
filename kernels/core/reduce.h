// Reductions over a warp and over a block. Their order depends only on the number of threads, so they are bit-identical
// from run to run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arch/device.h"

namespace varlstm {

struct SumOf {
  template <class T>
  VARLSTM_DEVICE T operator()(T a, T b) const {
    return a + b;
  }
};

// A NaN wins.
struct MaxOf {
  template <class T>
  VARLSTM_DEVICE T operator()(T a, T b) const {
    return a < b || b != b ? b : a;
  }
};

// A NaN wins.
struct MinOf {
  template <class T>
  VARLSTM_DEVICE T operator()(T a, T b) const {
    return b < a || b != b ? b : a;
  }
};

// Reduces groups of kWidth neighbouring lanes (a power of two) with op, as a butterfly. Every lane gets the result of
// its group, with the same bits if op commutes. All 32 lanes must call this. T is a scalar of 4 or 8 bytes, which
// shuffles can move.
template <int kWidth = 32, class T, class Op>
VARLSTM_DEVICE T warp_reduce(T value, const Op& op) {
  static_assert(kWidth >= 1 && kWidth <= 32 && (kWidth & (kWidth - 1)) == 0, "a power of two of lanes");
  for (int distance = kWidth / 2; distance > 0; distance /= 2) {
    value = op(value, simt::shfl_xor(0xffffffffu, value, distance));
  }
  return value;
}

// Reduces the block with op; every thread gets the result. The block is one-dimensional and has a power of two of
// threads, at least 32, and all of them call this. `scratch` is shared memory for blockDim.x / 32 values; it may be
// used again right after the call, which contains two barriers:
//   S1: after it every warp's value is in scratch. S2: after it no thread reads scratch any more.
template <class T, class Op>
VARLSTM_DEVICE T block_reduce(T value, const Op& op, T* scratch) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warps = static_cast<int>(blockDim.x / 32);
  value = warp_reduce(value, op);
  if (lane == 0) scratch[threadIdx.x / 32] = value;
  simt::block_sync();  // S1
  value = scratch[lane & (warps - 1)];
  for (int distance = warps / 2; distance > 0; distance /= 2) {
    value = op(value, simt::shfl_xor(0xffffffffu, value, distance));
  }
  simt::block_sync();  // S2
  return value;
}

template <int kWidth = 32, class T>
VARLSTM_DEVICE T warp_sum(T value) {
  return warp_reduce<kWidth>(value, SumOf());
}
template <int kWidth = 32, class T>
VARLSTM_DEVICE T warp_max(T value) {
  return warp_reduce<kWidth>(value, MaxOf());
}
template <class T>
VARLSTM_DEVICE T block_sum(T value, T* scratch) {
  return block_reduce(value, SumOf(), scratch);
}
template <class T>
VARLSTM_DEVICE T block_max(T value, T* scratch) {
  return block_reduce(value, MaxOf(), scratch);
}

}  // namespace varlstm
