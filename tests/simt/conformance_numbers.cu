// Conversions between types of numbers, and arithmetic.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <string.h>

#include "tests/simt/conformance_case.h"

namespace varlstm::test {

template <class To, class From>
VARLSTM_HOST_DEVICE To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From), "bits of one width");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

// Floats of many exponents, with ties, infinities and NaN among them.
VARLSTM_HOST_DEVICE float odd_float(unsigned word) {
  uint32_t bits = word * 0x01234567u ^ word << 23;
  if (word % 5 == 0) bits = (bits & 0xffff0000u) | 0x8000u;
  if (word == 7) bits = 0x7f800000u;
  if (word == 8) bits = 0x7fc00001u;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
VARLSTM_KERNEL void convert_kernel(uint32_t* words) {
  const float value = odd_float(word_of_thread());
  words[word_of_thread()] = to_bf16(value) | static_cast<uint32_t>(to_f16(value)) << 16;
}
// The same, each value in one half of a pair whose other half is 1.
VARLSTM_KERNEL void convert_pairs_kernel(uint32_t* words) {
  const float value = odd_float(word_of_thread());
  words[word_of_thread()] = (to_bf16x2(value, 1.0f) ^ 0x3f800000u) | (to_f16x2(1.0f, value) ^ 0x3c00u);
}
uint32_t nearest_even(double value, int bits, int smallest_exponent) {
  int exponent = 0;
  frexp(value, &exponent);
  const double step = ldexp(1.0, (exponent - bits > smallest_exponent ? exponent - bits : smallest_exponent));
  double rounded = nearbyint(value / step) * step;
  const float as_float = static_cast<float>(rounded);
  uint32_t result;
  memcpy(&result, &as_float, sizeof result);
  return result;
}
uint32_t convert_expected(unsigned word) {
  const float value = odd_float(word);
  if (isnan(value)) return 0x7fff7fffu;
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  const uint32_t sign = bits >> 31;
  const uint32_t bf16 = isinf(value) ? bits >> 16 : nearest_even(value, 8, -133) >> 16;
  uint32_t f16 = sign << 15;
  const uint32_t narrow = isinf(value) ? bits & 0x7fffffffu : nearest_even(fabs(value), 11, -24);
  float magnitude;
  memcpy(&magnitude, &narrow, sizeof magnitude);
  if (magnitude >= 65520.0f || isinf(magnitude)) {
    f16 |= 0x7c00u;
  } else if (magnitude >= ldexp(1.0, -14)) {
    f16 |= (narrow >> 13) - (112u << 10);
  } else {
    f16 |= static_cast<uint32_t>(ldexp(magnitude, 24));
  }
  return (bf16 & 0xffffu) | f16 << 16;
}

// A TF32 has 8 bits of exponent and 10 of fraction; ties go away from 0. What lies below the fraction does not count.
VARLSTM_KERNEL void to_tf32_kernel(uint32_t* words) {
  const float value = odd_float(word_of_thread());
  if (value == value) words[word_of_thread()] = to_tf32(value) & ~0x1fffu;
}
uint32_t to_tf32_expected(unsigned word) {
  const float value = odd_float(word);
  if (isnan(value)) return 0;
  if (isinf(value)) return bits_as<uint32_t>(value);
  int exponent = 0;
  frexp(static_cast<double>(value), &exponent);
  const double step = ldexp(1.0, exponent - 11 > -136 ? exponent - 11 : -136);
  return bits_as<uint32_t>(static_cast<float>(round(static_cast<double>(value) / step) * step));
}

// 16 bits without a NaN.
VARLSTM_HOST_DEVICE uint16_t odd_half(unsigned word) {
  const unsigned bits = word == 3 ? 0x7c00u : word * 0x9e37u & 0xffffu;
  return static_cast<uint16_t>(word != 3 && (bits & 0x7c00u) == 0x7c00u ? bits & ~0x0400u : bits);
}
VARLSTM_KERNEL void widen_kernel(uint32_t* words) {
  const uint16_t bits = odd_half(word_of_thread());
  words[word_of_thread()] = bits_as<uint32_t>(from_f16(bits)) ^ bits_as<uint32_t>(from_bf16(bits)) >> 7;
}
uint32_t widen_expected(unsigned word) {
  const uint32_t bits = odd_half(word);
  const int exponent = static_cast<int>(bits >> 10 & 31), fraction = static_cast<int>(bits & 1023);
  double magnitude = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
  if (exponent == 31) magnitude = HUGE_VAL;
  const double value = (bits & 0x8000u) != 0 ? -magnitude : magnitude;
  return bits_as<uint32_t>(static_cast<float>(value)) ^ bits << 16 >> 7;
}

// (1 + t e)^2 - 1 = 2 t e + t^2 e^2: exact if it is rounded once, its last bits lost if the square is rounded first.
VARLSTM_KERNEL void fma_kernel(uint32_t* words) {
  const float narrow = 1 + static_cast<float>(threadIdx.x) / 4096;
  const double wide = 1 + static_cast<double>(threadIdx.x) / 134217728;
  const auto bits = bits_as<uint64_t>(fma(wide, wide, -1.0));
  words[word_of_thread()] = bits_as<uint32_t>(fma(narrow, narrow, -1.0f)) ^ static_cast<uint32_t>(bits ^ bits >> 32);
}
uint32_t fma_expected(unsigned word) {
  const double t = word % kThreads;
  const float narrow = static_cast<float>(ldexp(t, -11) + ldexp(t * t, -24));
  const auto bits = bits_as<uint64_t>(ldexp(t, -26) + ldexp(t * t, -54));
  return bits_as<uint32_t>(narrow) ^ static_cast<uint32_t>(bits ^ bits >> 32);
}

// In [-4, 4): e^x to 1e-6, where CUDA promises 2 + 1.17 |x| units in the last place; tanh to 2^-11 and 2^x to 2 units
// in the last place, as the PTX ISA says of tanh.approx and ex2.approx. A bit for each that is within.
VARLSTM_KERNEL void approximate_kernel(uint32_t* words) {
  const float x = (static_cast<float>(threadIdx.x) - 32) / 8;
  const auto wide = static_cast<double>(x);
  const double power = static_cast<double>(fast_exp(x)) / exp(wide) - 1;
  const double power_of_2 = static_cast<double>(fast_exp2(x)) / exp2(wide) - 1;
  const double tangent = tanh(wide) - static_cast<double>(fast_tanh(x));
  words[word_of_thread()] = (fabs(power) <= 1e-6 ? 1u : 0u) | (fabs(tangent) <= fabs(tanh(wide)) / 2048 ? 2u : 0u) |
                            (fabs(power_of_2) <= 2.4e-7 ? 4u : 0u);
}
uint32_t approximate_expected(unsigned) {
  return 7;
}

std::vector<ConformanceCase> number_cases() {
  return {{"conversions", convert_kernel, convert_expected, false},
          {"conversions of pairs", convert_pairs_kernel, convert_expected, false},
          {"conversions to TF32", to_tf32_kernel, to_tf32_expected, false},
          {"conversions from 16 bits", widen_kernel, widen_expected, false},
          {"multiplication with addition", fma_kernel, fma_expected, false},
          {"approximations", approximate_kernel, approximate_expected, false}};
}

}  // namespace varlstm::test
