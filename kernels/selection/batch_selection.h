// Chooses what only a context without batch invariance may choose by the batch. A pure function.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/selection/recurrence_selection.h"

namespace varlstm::cuda {

// Whether policy stepwise should be faster for `batch` sequences than this resident choice, which takes a turn of its
// slots after the other. By the model (bench/results/modelled/h200.md), forward and backward of a step in bf16 without
// wide teams: four turns at H = 1024 take 23 us against 19, four at H = 2048 39 us against 29; two at H = 1024 11 us
// against 15. Where wide teams run in the place of both policies, backward's take less time in the order of stepwise:
// of 256 sequences at H = 1024 8.2 us against 11.0. Teams of clusters have more slots and shorter steps; on the CUDA
// cores a launch for each step is always slower.
inline bool is_faster_stepwise(const RecurrenceChoice& choice, int64_t batch) {
  constexpr int64_t kTurns = 4;
  return choice.policy == RecurrencePolicy::kGrid && choice.math != MathKind::kF32 &&
         batch > (kTurns - 1) * choice.slots();
}

}  // namespace varlstm::cuda
