// Transposes a square of vectors in registers. Everything has internal linkage; row_kernel_impl.h says why.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "host/simd/vector_math.h"

namespace varlstm::host {
namespace {

template <int... Lane>
struct LaneList {};
template <int Count, int... Lane>
struct FirstLanes : FirstLanes<Count - 1, Count - 1, Lane...> {};
template <int... Lane>
struct FirstLanes<0, Lane...> {
  using List = LaneList<Lane...>;
};

// Exchanges the lanes l + Stride of `low` with the lanes l of `high`, for each l without the bit Stride.
template <int Stride, class V, int... Lane>
inline void exchange_lanes(LaneList<Lane...>, V* low, V* high) {
  constexpr int kLanes = sizeof...(Lane);
  const V a = *low, b = *high;
  *low = __builtin_shufflevector(a, b, (Lane & Stride ? kLanes + Lane - Stride : Lane)...);
  *high = __builtin_shufflevector(a, b, (Lane & Stride ? kLanes + Lane : Lane + Stride)...);
}

// In each stage the off-diagonal blocks of Stride x Stride elements change places.
template <class T, int Lanes, int Stride = Lanes / 2>
inline void transpose_square(Vec<T, Lanes>* rows) {
  if constexpr (Stride > 0) {
    for (int r = 0; r < Lanes; ++r)
      if ((r & Stride) == 0) exchange_lanes<Stride>(typename FirstLanes<Lanes>::List(), &rows[r], &rows[r + Stride]);
    transpose_square<T, Lanes, Stride / 2>(rows);
  }
}

}  // namespace
}  // namespace varlstm::host
