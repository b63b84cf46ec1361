// The 16-bit floating-point formats on the host: they are stored as 16 bits and computed in float. A store rounds to
// the nearest value, ties to even; a NaN becomes 0x7fff. The kernels do the same, so that the host is the reference of
// their rounding.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include <type_traits>

#include "host/simd/f16c.h"
#include "host/simd/vector_code.h"

namespace varlstm::host {

inline uint16_t bf16_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fffu : rounded);
}

inline float bf16_value(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

// Both conversions of binary16 are arithmetic on integers without a branch, so that loops of them become vector code;
// the compiler's own are calls for a CPU that may have no instruction for them.
inline uint16_t f16_bits(float value) {
  constexpr uint32_t kRebias = 112u << 23;  // exponents are 127 too large in float, 15 in binary16
  constexpr uint32_t kSmallestNormal = 113u << 23, kOverflow = 143u << 23, kInfinity = 255u << 23;
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t normal = (magnitude - kRebias + 0xfffu + (magnitude >> 13 & 1)) >> 13;
  // Neighbours of 0.5 are as far apart in float as subnormal numbers in binary16: the addition rounds.
  float shifted;
  memcpy(&shifted, &magnitude, sizeof shifted);
  shifted += 0.5f;
  uint32_t subnormal;
  memcpy(&subnormal, &shifted, sizeof subnormal);
  subnormal -= 126u << 23;
  uint32_t result = magnitude < kSmallestNormal ? subnormal : normal;
  result = magnitude >= kOverflow ? 0x7c00u : result;
  result |= bits >> 16 & 0x8000u;
  return static_cast<uint16_t>(magnitude > kInfinity ? 0x7fffu : result);
}

inline float f16_value(uint16_t bits) {
  const uint32_t magnitude = (bits & 0x7fffu) << 13, sign = (bits & 0x8000u) << 16;
  constexpr uint32_t kRebias = 112u << 23, kSmallestNormal = 113u << 23, kLargestExponent = 31u << 23;
  const uint32_t special = magnitude + 2 * kRebias;  // an infinity or a NaN, which becomes quiet
  uint32_t wide =
      magnitude >= kLargestExponent ? special | (special > 0x7f800000u ? 0x400000u : 0) : magnitude + kRebias;
  // A subnormal number is a fraction of the smallest normal one; with that added it is normal in float.
  uint32_t raised = magnitude + kSmallestNormal;
  float value;
  memcpy(&value, &raised, sizeof value);
  value -= 0x1p-14f;
  memcpy(&raised, &value, sizeof raised);
  wide = (magnitude < 1u << 23 ? raised : wide) | sign;
  memcpy(&value, &wide, sizeof value);
  return value;
}

// bfloat16: the upper half of a float.
class Bf16 {
 public:
  Bf16() = default;
  Bf16(float value) : bits_(bf16_bits(value)) {}
  operator float() const { return bf16_value(bits_); }
  static uint16_t bits(float value) { return bf16_bits(value); }
  // An object and its first member have one address. `values` may be null.
  static uint16_t* bits_of(Bf16* values) { return reinterpret_cast<uint16_t*>(values); }
  static const uint16_t* bits_of(const Bf16* values) { return reinterpret_cast<const uint16_t*>(values); }

 private:
  uint16_t bits_;
};

// IEEE 754 binary16.
class F16 {
 public:
  F16() = default;
  F16(float value) : bits_(f16_bits(value)) {}
  operator float() const { return f16_value(bits_); }
  static uint16_t bits(float value) { return f16_bits(value); }
  // As for Bf16.
  static uint16_t* bits_of(F16* values) { return reinterpret_cast<uint16_t*>(values); }
  static const uint16_t* bits_of(const F16* values) { return reinterpret_cast<const uint16_t*>(values); }

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
  int64_t done = 0;
  if constexpr (std::is_same_v<From, F16> && std::is_same_v<To, float>)
    done = has_f16c() ? widen_f16c(count, From::bits_of(src), dst) : 0;
  if constexpr (std::is_same_v<From, float> && std::is_same_v<To, F16>)
    done = has_f16c() ? narrow_f16c(count, src, To::bits_of(dst)) : 0;
  if (done == count) return;
  run_vectorised([=] {
    if constexpr (kIs16Bit<To> && !kIs16Bit<From>) {
      uint16_t* const bits = To::bits_of(dst);  // GCC packs no vectors into the elements of a class
#pragma omp simd
      for (int64_t k = done; k < count; ++k) bits[k] = To::bits(static_cast<float>(src[k]));
    } else {
#pragma omp simd
      for (int64_t k = done; k < count; ++k) dst[k] = static_cast<To>(static_cast<ComputeType<To>>(src[k]));
    }
  });
}

}  // namespace varlstm::host
