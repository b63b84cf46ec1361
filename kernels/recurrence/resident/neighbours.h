// The same value of neighbouring units, which are neighbours in every tensor of a row and are loaded and stored
// together.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/scalar.h"

namespace varlstm::cuda {

// Two values of 16 bits are one word until they are used; otherwise they would be taken apart, and so waited for, as
// soon as they are asked for. They are rounded together, too.
template <class T, int kWide>
struct Neighbours {
  static constexpr bool kInWord = false;
  struct alignas(sizeof(T) * kWide) Values {
    T of[kWide];
  } values;

  VARLSTM_DEVICE T get(int w) const { return values.of[w]; }
  VARLSTM_DEVICE void round(const float (&from)[kWide]) {
    for (int w = 0; w < kWide; ++w) values.of[w] = store_scalar<T>(from[w]);
  }
  // Together, or one by one: then the second is `second` after the first, which may be the same place.
  template <bool kTogether>
  VARLSTM_DEVICE void load(const T* from, int second) {
    if constexpr (kTogether) {
      values = *reinterpret_cast<const Values*>(from);
    } else {
      for (int w = 0; w < kWide; ++w) values.of[w] = from[w * second];
    }
  }
  VARLSTM_DEVICE void store(T* to) const { *reinterpret_cast<Values*>(to) = values; }
};

template <class T>
struct NeighboursInWord {
  static constexpr bool kInWord = true;
  uint32_t word;

  VARLSTM_DEVICE T get(int w) const { return {static_cast<uint16_t>(w == 0 ? word : word >> 16)}; }
  template <bool kTogether>
  VARLSTM_DEVICE void load(const T* from, int second) {
    word = kTogether ? *reinterpret_cast<const uint32_t*>(from) : from[0].bits | uint32_t{from[second].bits} << 16;
  }
  VARLSTM_DEVICE void store(T* to) const { *reinterpret_cast<uint32_t*>(to) = word; }
};
template <>
struct Neighbours<Bf16, 2> : NeighboursInWord<Bf16> {
  VARLSTM_DEVICE void round(const float (&from)[2]) { word = simt::to_bf16x2(from[0], from[1]); }
};
template <>
struct Neighbours<F16, 2> : NeighboursInWord<F16> {
  VARLSTM_DEVICE void round(const float (&from)[2]) { word = simt::to_f16x2(from[0], from[1]); }
};

}  // namespace varlstm::cuda
