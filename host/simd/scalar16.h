// The 16-bit floating-point formats on the host: they are stored as 16 bits and computed in float. A store rounds to
// the nearest value, ties to even; a NaN becomes 0x7fff. The kernels do the same, so that the host is the reference of
// their rounding.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

namespace varlstm::host {

inline uint16_t bf16_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

inline float bf16_value(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

inline uint16_t f16_bits(float value) {
  if (value != value) return 0x7fff;
  const auto half = static_cast<_Float16>(value);
  uint16_t bits;
  memcpy(&bits, &half, sizeof bits);
  return bits;
}

inline float f16_value(uint16_t bits) {
  _Float16 half;
  memcpy(&half, &bits, sizeof half);
  return static_cast<float>(half);
}

// bfloat16: the upper half of a float.
class Bf16 {
 public:
  Bf16() = default;
  Bf16(float value) : bits_(bf16_bits(value)) {}
  operator float() const { return bf16_value(bits_); }

 private:
  uint16_t bits_;
};

// IEEE 754 binary16.
class F16 {
 public:
  F16() = default;
  F16(float value) : bits_(f16_bits(value)) {}
  operator float() const { return f16_value(bits_); }

 private:
  uint16_t bits_;
};

// The type in which elements of type T are computed.
template <class T>
struct ComputeTypeOf {
  using type = T;
};
template <>
struct ComputeTypeOf<Bf16> {
  using type = float;
};
template <>
struct ComputeTypeOf<F16> {
  using type = float;
};
template <class T>
using ComputeType = typename ComputeTypeOf<T>::type;

template <class T>
constexpr bool kIs16Bit = sizeof(T) == 2;

// dst [count] <- src, widened or narrowed.
template <class From, class To>
void convert(int64_t count, const From* src, To* dst) {
  for (int64_t k = 0; k < count; ++k) dst[k] = static_cast<To>(static_cast<ComputeType<To>>(src[k]));
}

}  // namespace varlstm::host
