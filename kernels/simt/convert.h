// Conversions between float and the narrow formats, and the fast functions. These are exact here but for tanh, whose
// error on a GPU is large enough to be seen.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::simt {

// To nearest even; NaN becomes 0x7fff, as on a GPU.
uint16_t to_bf16(float value);
uint16_t to_f16(float value);
// Two at once: the first value is in the lower half.
inline uint32_t to_bf16x2(float low, float high) {
  return static_cast<uint32_t>(to_bf16(high)) << 16 | to_bf16(low);
}
inline uint32_t to_f16x2(float low, float high) {
  return static_cast<uint32_t>(to_f16(high)) << 16 | to_f16(low);
}
float from_bf16(uint16_t bits);
float from_f16(uint16_t bits);

// To nearest, ties away from zero (cvt.rna.tf32).
uint32_t to_tf32(float value);

// Returns a * b + c, rounded once.
float fma(float a, float b, float c);
double fma(double a, double b, double c);

float fast_exp(float x);
float fast_exp2(float x);  // 2^x
float fast_reciprocal(float x);
// tanh to 11 significant bits, to nearest: an error of up to 2^-11 of the value, which is what the PTX ISA allows
// tanh.approx. Where on a GPU the error is larger or smaller is not documented.
float fast_tanh(float x);

}  // namespace varlstm::simt
