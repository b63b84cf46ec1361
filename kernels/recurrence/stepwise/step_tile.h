// What a block of a step works on, and how it multiplies. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "kernels/core/scalar.h"
#include "kernels/core/stream.h"
#include "kernels/recurrence/resident/resident_math.h"
#include "kernels/recurrence/stepwise/step_shape.h"
#include "kernels/selection/step_selection.h"
#include "varlstm.h"

namespace varlstm::cuda {

// Products on the CUDA cores, of any type.
template <class T>
struct CudaCores {
  using Functions = Accurate;
  using Scalar = T;
  static constexpr bool kTensorCores = false;
};

// The functions of products on tensor cores, whose tiles are several kernels.
struct StepFunctions : Fast {
  static constexpr bool kOneOrder = true;
};

// Math: CudaCores, or one of resident_math.h that is for tensor cores.
template <class Math_, int kRanks_, int kUnits_>
struct StepTile {
  using Math = Math_;
  using Functions = std::conditional_t<Math::kTensorCores, StepFunctions, typename Math::Functions>;
  using Scalar = typename Math::Scalar;
  using Compute = ComputeType<Scalar>;
  static constexpr int kRanks = kRanks_, kUnits = kUnits_;
};

template <class Math>
using SmallTile = StepTile<Math, kSmallRanks, kSmallUnits>;

template <class T>
struct TensorMathOf;
template <>
struct TensorMathOf<Bf16> {
  using type = Bf16Math;
};
template <>
struct TensorMathOf<F16> {
  using type = F16Math;
};
template <>
struct TensorMathOf<float> {
  using type = Tf32Math;
};

// Returns run(tile, blocks), with the tile of a step of so many ranks and units, and how many blocks share it. Of a
// wide step the tile has kUnits units; 0: there is none.
template <class T, int kUnits, class Run>
int32_t with_step_tile(Stream stream, int64_t ranks, int64_t units, int64_t directions, const Run& run) {
  if constexpr (sizeof(T) <= 4) {
    using Math = typename TensorMathOf<T>::type;
    const State& state = *stream.state;
    if (steps_on_tensor_cores(sizeof(T) == 4, state.math == VARLSTM_MATH_TF32, state.facts.capability)) {
      if constexpr (kUnits > 0) {
        if (is_wide_step(ranks, units, directions, state.multiprocessors)) {
          const bool shared = shares_wide_tiles(ranks, units, kUnits, directions, state.multiprocessors, state.facts);
          return run(StepTile<Math, kWideRanks, kUnits>(), shared ? kSharingBlocks : 1);
        }
      }
      return run(SmallTile<Math>(), 1);
    }
  }
  return run(SmallTile<CudaCores<T>>(), 1);
}

}  // namespace varlstm::cuda
