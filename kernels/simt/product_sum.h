// Sums of products as a matrix instruction makes them, with the rounding that the launch's options say.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::simt {

// Numbers below these exponents are subnormal in float, bfloat16 and TF32, and in binary16. They are aligned as if they
// had the exponent.
constexpr int kSmallestExponent = -126;
constexpr int kSmallestF16Exponent = -14;
constexpr int kMostProducts = 16;  // of one sum

// Returns c and the products of a[k] and b[k * stride_b], in one sum. smallest: the smallest exponent of a and b.
float sum_of_products(const float* a, const float* b, int stride_b, int depth, float c, int smallest);

// Returns the number that the hardware takes for a TF32 operand: it ignores the 13 lowest bits.
float widen_tf32(uint32_t word);

}  // namespace varlstm::simt
