// How the resident recurrence multiplies: the type of the values that blocks exchange and multiply, and the product of
// one tile.
//
//   Bf16Math, F16Math   16-bit values, mma.sync m16n8k16, sums in f32
//   Tf32Math            f32 tensors rounded to TF32 (nearest, ties away), mma.sync m16n8k8, sums in f32
//   F32Math             f32, fused multiply-adds on the CUDA cores: the chain over k is that of stepwise_forward.cu
//
// F32Math uses the accurate functions of kernels/cells/unit.h. The operands of the others have at most 11 significant
// bits, so they use 2^x and 1/x of the hardware (2 ulp and 1 ulp, PTX ISA): the absolute error is about 2e-7 of sigmoid
// and 4e-7 of tanh, which near 0 is the difference of two numbers. Rounding h to 11 bits is a larger error wherever h
// is above 2e-3. Forward of an LSTM in Bf16Math uses tanh of the hardware, whose error is at most 2^-11 of its value
// (PTX ISA), in place of two functions one after the other; rounding h to bf16 is 2^-9. A sigmoid through it is wrong
// by up to 2^-12. That is too much for the gate by which a cell keeps its state, where the error of every step adds up,
// and for cells whose h is a tanh itself: in the emulator, which makes all of the error, 0.95 of an LSTM's values are
// the same as without it, but 0.65 of a GRU's and 0.51 of an RNN_TANH's (lstm16_test).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include "kernels/cells/unit.h"
#include "kernels/core/scalar.h"

namespace varlstm::cuda {

template <class Scalar>
VARLSTM_DEVICE float scalar_or_zero(const Scalar* values, int64_t at) {
  return values == nullptr ? 0.0f : load_scalar(values[at]);
}

constexpr float kLog2E = 1.44269504f;

VARLSTM_DEVICE float fast_sigmoid(float x) {
  return simt::fast_reciprocal(1.0f + simt::fast_exp2(-kLog2E * x));
}
// 2 sigmoid(2 x) - 1.
VARLSTM_DEVICE float fast_tanh(float x) {
  return simt::fma(2.0f, simt::fast_reciprocal(1.0f + simt::fast_exp2(-2 * kLog2E * x)), -1.0f);
}

struct Fast {
  static constexpr bool kOneOrder = false;
  VARLSTM_DEVICE static float sigmoid(float x) { return fast_sigmoid(x); }
  VARLSTM_DEVICE static float keeping_sigmoid(float x) { return fast_sigmoid(x); }
  VARLSTM_DEVICE static float tanh(float x) { return fast_tanh(x); }
};
struct Coarse {
  static constexpr bool kOneOrder = false;
  VARLSTM_DEVICE static float sigmoid(float x) { return simt::fma(0.5f, simt::fast_tanh(0.5f * x), 0.5f); }
  VARLSTM_DEVICE static float keeping_sigmoid(float x) { return fast_sigmoid(x); }
  VARLSTM_DEVICE static float tanh(float x) { return simt::fast_tanh(x); }
};

VARLSTM_DEVICE uint64_t pair_of_words(uint32_t low, uint32_t high) {
  return static_cast<uint64_t>(high) << 32 | low;
}

struct Bf16Math {
  static constexpr bool kCoarseForward = true;  // in an LSTM
  using Functions = Fast;
  using Scalar = Bf16;     // of the tensors
  using Value = uint16_t;  // of the values that are exchanged and multiplied
  using Pair = uint32_t;   // two of them; the first is in the lower half
  static constexpr int kTileDepth = 16;
  static constexpr bool kTensorCores = true;
  VARLSTM_DEVICE static Pair round_pair(float low, float high) { return simt::to_bf16x2(low, high); }
  VARLSTM_DEVICE static Value value_of(Bf16 scalar) { return scalar.bits; }
  VARLSTM_DEVICE static simt::f32x4 multiply(const simt::b32x4& a, const simt::b32x2& b, const simt::f32x4& c) {
    return simt::mma_bf16_16816(a, b, c);
  }
};

struct F16Math {
  static constexpr bool kCoarseForward = false;
  using Functions = Fast;
  using Scalar = F16;
  using Value = uint16_t;
  using Pair = uint32_t;
  static constexpr int kTileDepth = 16;
  static constexpr bool kTensorCores = true;
  VARLSTM_DEVICE static Pair round_pair(float low, float high) { return simt::to_f16x2(low, high); }
  VARLSTM_DEVICE static Value value_of(F16 scalar) { return scalar.bits; }
  VARLSTM_DEVICE static simt::f32x4 multiply(const simt::b32x4& a, const simt::b32x2& b, const simt::f32x4& c) {
    return simt::mma_f16_16816(a, b, c);
  }
};

struct Tf32Math {
  static constexpr bool kCoarseForward = false;
  using Functions = Fast;
  using Scalar = float;
  using Value = uint32_t;  // the bits of a float
  using Pair = uint64_t;
  static constexpr int kTileDepth = 8;
  static constexpr bool kTensorCores = true;
  VARLSTM_DEVICE static Value round(float value) { return simt::to_tf32(value); }
  VARLSTM_DEVICE static Pair round_pair(float low, float high) { return pair_of_words(round(low), round(high)); }
  VARLSTM_DEVICE static Value value_of(float scalar) { return simt::to_tf32(scalar); }
  VARLSTM_DEVICE static simt::f32x4 multiply(const simt::b32x4& a, const simt::b32x2& b, const simt::f32x4& c) {
    return simt::mma_tf32_1688(a, b, c);
  }
};

struct F32Math {
  static constexpr bool kCoarseForward = false;
  using Functions = Accurate;
  using Scalar = float;
  using Value = float;
  using Pair = uint64_t;
  static constexpr int kTileDepth = 4;
  static constexpr bool kTensorCores = false;
  VARLSTM_DEVICE static Pair round_pair(float low, float high) {
    uint32_t words[2];
    memcpy(&words[0], &low, sizeof low);
    memcpy(&words[1], &high, sizeof high);
    return pair_of_words(words[0], words[1]);
  }
  VARLSTM_DEVICE static Value value_of(float scalar) { return scalar; }
};

}  // namespace varlstm::cuda
