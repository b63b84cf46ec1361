// The launchers of the resident recurrences. One kernel runs all steps of a layer, its directions together, or all
// steps of a stack of layers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "kernels/core/scalar_types.h"
#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/schedule/slot_schedule.h"
#include "kernels/selection/recurrence_tuning.h"

namespace varlstm::cuda {

// What a kernel takes besides the layer or the stack of layers: the schedule of `choice.slots()` slots, room for the
// weights in the tile's order (arrange_weights.h), and for policy grid an area in global memory (null for policy
// cluster).
struct ResidentRun {
  RecurrenceChoice choice;
  SlotSchedule schedule;
  void* weights;
  void* area;
};

// Runs all steps of a layer (a LayerForward or LayerBackward in the scalars of that math) or of the layers of a
// StackForward. There are two kernels, and the first arranges the weights. Before the second the area is set to zeros
// and the handover memory to kNothingYet. Instantiated in cluster_<math>.cu and grid_<math>.cu (made by CMake from
// tiles.cu.in), and for stacks in layers_<math>.cu (made from stacked/layers.cu.in).
template <RecurrencePolicy kPolicy, MathKind kMath, class Layer>
int32_t run_resident_as(Stream stream, const ResidentRun& run, const Layer& layer);

// The same, with the policy and math of run.choice.
template <class Layer>
int32_t run_resident(Stream stream, const ResidentRun& run, const Layer& layer) {
  constexpr RecurrencePolicy kCluster = RecurrencePolicy::kCluster, kGrid = RecurrencePolicy::kGrid;
  using T = typename Layer::Scalar;
  const bool cluster = run.choice.policy == kCluster;
  if constexpr (std::is_same<T, Bf16>::value) {
    return cluster ? run_resident_as<kCluster, MathKind::kBf16>(stream, run, layer)
                   : run_resident_as<kGrid, MathKind::kBf16>(stream, run, layer);
  } else if constexpr (std::is_same<T, F16>::value) {
    return cluster ? run_resident_as<kCluster, MathKind::kF16>(stream, run, layer)
                   : run_resident_as<kGrid, MathKind::kF16>(stream, run, layer);
  } else if (run.choice.math == MathKind::kTf32) {
    return cluster ? run_resident_as<kCluster, MathKind::kTf32>(stream, run, layer)
                   : run_resident_as<kGrid, MathKind::kTf32>(stream, run, layer);
  } else {
    return cluster ? run_resident_as<kCluster, MathKind::kF32>(stream, run, layer)
                   : run_resident_as<kGrid, MathKind::kF32>(stream, run, layer);
  }
}

}  // namespace varlstm::cuda
