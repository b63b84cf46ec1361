// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/convert.h"

#include <math.h>
#include <string.h>

#include "kernels/simt/canonical.h"

namespace varlstm::simt {
namespace {

constexpr uint32_t kExponent = 0x7f800000u;

uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

}  // namespace

uint16_t to_bf16(float value) {
  const uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffffu) > kExponent) return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

uint16_t to_f16(float value) {
  if (value != value) return 0x7fff;
  const auto half = static_cast<_Float16>(value);
  uint16_t bits;
  memcpy(&bits, &half, sizeof bits);
  return bits;
}

float from_bf16(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

float from_f16(uint16_t bits) {
  _Float16 half;
  memcpy(&half, &bits, sizeof half);
  return static_cast<float>(half);
}

uint32_t to_tf32(float value) {
  const uint32_t bits = bits_of(value);
  if ((bits & kExponent) == kExponent) return (bits & 0x007fffffu) != 0 ? 0x7fffffffu : bits;
  return (bits + 0x1000u) & ~0x1fffu;
}

float fma(float a, float b, float c) {
  return canonical(fmaf(a, b, c));
}
double fma(double a, double b, double c) {
  return ::fma(a, b, c);
}

float fast_exp(float x) {
  return canonical(expf(x));
}

float fast_exp2(float x) {
  return canonical(exp2f(x));
}

float fast_reciprocal(float x) {
  return canonical(1.0f / x);
}

float fast_tanh(float x) {
  const float exact = canonical(tanhf(x));
  if (exact != exact) return exact;
  constexpr uint32_t kDropped = 24 - 11;  // bits
  const uint32_t bits = bits_of(exact), half = (1u << (kDropped - 1)) - 1;
  const uint32_t rounded = (bits + half + (bits >> kDropped & 1)) >> kDropped << kDropped;
  float value;
  memcpy(&value, &rounded, sizeof value);
  return value;
}

}  // namespace varlstm::simt
