// How the resident recurrence multiplies: the type of the values that blocks exchange and multiply, and the product of
// one tile.
//
//   Bf16Math, F16Math   16-bit values, mma.sync m16n8k16, sums in f32
//   Tf32Math            f32 tensors rounded to TF32 (nearest, ties away), mma.sync m16n8k8, sums in f32
//   F32Math             f32, fused multiply-adds on the CUDA cores: the chain over k is that of stepwise_forward.cu
//
// F32Math uses the accurate functions of kernels/cells/unit.h. The operands of the others have at most 11 significant
// bits, so they use exp and 1/x of the hardware (2 ulp and 1 ulp; CUDA C++ Programming Guide, Intrinsic Functions): the
// absolute error is about 3e-7.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/cells/unit.h"
#include "kernels/core/scalar.h"

namespace varlstm::cuda {

template <class Scalar>
VARLSTM_DEVICE float scalar_or_zero(const Scalar* values, int64_t at) {
  return values == nullptr ? 0.0f : load_scalar(values[at]);
}

VARLSTM_DEVICE float fast_sigmoid(float x) {
  return simt::fast_reciprocal(1.0f + simt::fast_exp(-x));
}
// If |x| < 1/4 this is the Taylor series to x^7, whose next term is at most 8e-8, because the quotient would suffer
// from cancellation.
VARLSTM_DEVICE float fast_tanh(float x) {
  const float square = x * x;
  const float series = x * (1.0f + square * (-1.0f / 3 + square * (2.0f / 15 + square * (-17.0f / 315))));
  const float quotient = 1.0f - 2.0f * simt::fast_reciprocal(1.0f + simt::fast_exp(2.0f * x));
  return square < 0.0625f ? series : quotient;
}

struct Fast {
  VARLSTM_DEVICE static float sigmoid(float x) { return fast_sigmoid(x); }
  VARLSTM_DEVICE static float tanh(float x) { return fast_tanh(x); }
};

struct Bf16Math {
  using Functions = Fast;
  using Scalar = Bf16;     // of the tensors
  using Value = uint16_t;  // of the values that are exchanged and multiplied
  static constexpr int kTileDepth = 16;
  VARLSTM_DEVICE static Value round(float value) { return simt::to_bf16(value); }
  VARLSTM_DEVICE static Value value_of(Bf16 scalar) { return scalar.bits; }
  VARLSTM_DEVICE static simt::f32x4 multiply(const simt::b32x4& a, const simt::b32x2& b, const simt::f32x4& c) {
    return simt::mma_bf16_16816(a, b, c);
  }
};

struct F16Math {
  using Functions = Fast;
  using Scalar = F16;
  using Value = uint16_t;
  static constexpr int kTileDepth = 16;
  VARLSTM_DEVICE static Value round(float value) { return simt::to_f16(value); }
  VARLSTM_DEVICE static Value value_of(F16 scalar) { return scalar.bits; }
  VARLSTM_DEVICE static simt::f32x4 multiply(const simt::b32x4& a, const simt::b32x2& b, const simt::f32x4& c) {
    return simt::mma_f16_16816(a, b, c);
  }
};

struct Tf32Math {
  using Functions = Fast;
  using Scalar = float;
  using Value = uint32_t;  // the bits of a float
  static constexpr int kTileDepth = 8;
  VARLSTM_DEVICE static Value round(float value) { return simt::to_tf32(value); }
  VARLSTM_DEVICE static Value value_of(float scalar) { return simt::to_tf32(scalar); }
  VARLSTM_DEVICE static simt::f32x4 multiply(const simt::b32x4& a, const simt::b32x2& b, const simt::f32x4& c) {
    return simt::mma_tf32_1688(a, b, c);
  }
};

struct F32Math {
  using Functions = Accurate;
  using Scalar = float;
  using Value = float;
  static constexpr int kTileDepth = 4;
  VARLSTM_DEVICE static Value round(float value) { return value; }
  VARLSTM_DEVICE static Value value_of(float scalar) { return scalar; }
};

}  // namespace varlstm::cuda
