// The resident recurrences as launchers: one kernel for all steps of a layer, both directions together.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "kernels/core/scalar_types.h"
#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/recurrence_tuning.h"
#include "kernels/recurrence/slot_schedule.h"

namespace varlstm::cuda {

template <MathKind kMath>
struct ScalarOfMath {
  using type = float;
};
template <>
struct ScalarOfMath<MathKind::kBf16> {
  using type = Bf16;
};
template <>
struct ScalarOfMath<MathKind::kF16> {
  using type = F16;
};

// What a layer's kernel takes beside the layer: the schedule of `choice.slots()` slots, room for W_hh as the tile takes
// it (arrange_weights.h), and for recurrence_grid an area in global memory (null for the others).
struct ResidentRun {
  RecurrenceChoice choice;
  SlotSchedule schedule;
  void* weights;
  void* area;
};

// Two kernels each, the first of which arranges the weights; the area is zeroed before. Instantiated in
// cluster_<math>.cu and grid_<math>.cu.
template <RecurrencePolicy kPolicy, MathKind kMath>
int32_t resident_forward(Stream stream, const ResidentRun& run,
                         const LayerForward<typename ScalarOfMath<kMath>::type, float>& layer);
template <RecurrencePolicy kPolicy, MathKind kMath>
int32_t resident_backward(Stream stream, const ResidentRun& run,
                          const LayerBackward<typename ScalarOfMath<kMath>::type, float>& layer);

// body(policy, math) with both as types: std::integral_constant.
template <class T, class Body>
int32_t with_resident(RecurrencePolicy policy, MathKind math, const Body& body) {
  const auto with_math = [&](auto math_constant) {
    if (policy == RecurrencePolicy::kCluster)
      return body(std::integral_constant<RecurrencePolicy, RecurrencePolicy::kCluster>(), math_constant);
    return body(std::integral_constant<RecurrencePolicy, RecurrencePolicy::kGrid>(), math_constant);
  };
  if constexpr (std::is_same<T, Bf16>::value) {
    return with_math(std::integral_constant<MathKind, MathKind::kBf16>());
  } else if constexpr (std::is_same<T, F16>::value) {
    return with_math(std::integral_constant<MathKind, MathKind::kF16>());
  } else {
    if (math == MathKind::kTf32) return with_math(std::integral_constant<MathKind, MathKind::kTf32>());
    return with_math(std::integral_constant<MathKind, MathKind::kF32>());
  }
}

// The same by the policy and math of run.choice.
template <class T>
int32_t resident_forward_of(Stream stream, RecurrencePolicy policy, const ResidentRun& run,
                            const LayerForward<T, float>& layer) {
  return with_resident<T>(policy, run.choice.math, [&](auto policy_constant, auto math_constant) {
    return resident_forward<policy_constant.value, math_constant.value>(stream, run, layer);
  });
}
template <class T>
int32_t resident_backward_of(Stream stream, RecurrencePolicy policy, const ResidentRun& run,
                             const LayerBackward<T, float>& layer) {
  return with_resident<T>(policy, run.choice.math, [&](auto policy_constant, auto math_constant) {
    return resident_backward<policy_constant.value, math_constant.value>(stream, run, layer);
  });
}

}  // namespace varlstm::cuda
