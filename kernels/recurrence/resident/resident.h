// The resident recurrences as launchers: one kernel for all steps of a layer, its directions together, or of a stack of
// layers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "kernels/core/scalar_types.h"
#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/schedule/slot_schedule.h"
#include "kernels/selection/recurrence_tuning.h"

namespace varlstm::cuda {

// What a kernel takes beside the layer, or the stack of layers: the schedule of `choice.slots()` slots, room for the
// weights as the tile takes them (arrange_weights.h), and for recurrence_grid an area in global memory (null for the
// others).
struct ResidentRun {
  RecurrenceChoice choice;
  SlotSchedule schedule;
  void* weights;
  void* area;
};

// All steps of a layer, a LayerForward or LayerBackward in the scalars of that math; or of a StackForward's layers. Two
// kernels, the first of which arranges the weights; area and handover are set before to what stands for «nothing yet».
// Instantiated in cluster_<math>.cu and grid_<math>.cu; for stacks in layers_<math>.cu.
template <RecurrencePolicy kPolicy, MathKind kMath, class Layer>
int32_t run_resident_as(Stream stream, const ResidentRun& run, const Layer& layer);

// The same by the policy and math of run.choice.
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
