// Chooses what only a context without batch invariance may choose by the batch. A pure function.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/selection/wide_selection.h"

namespace varlstm::cuda {

// Whether policy stepwise should be faster for `batch` sequences than a resident policy, which takes a turn of its
// slots after the other. By the model (bench/results/modelled/h200.md), forward and backward of a step in bf16 without
// wide teams: four turns at H = 1024 take 23 us against 19, four at H = 2048 39 us against 29; two at H = 1024 11 us
// against 15. Where wide teams run in the place of both policies, backward's take less time in the order of stepwise:
// of 256 sequences at H = 1024 8.2 us against 11.0. At H = 2048 they run in the place of the grid alone, and are ahead:
// of 64 sequences 19.6 us against 29.1, of 256 78 us against 80. Teams of clusters have more slots and shorter steps;
// on the CUDA cores a launch for each step is always slower.
inline bool is_faster_stepwise(RecurrencePolicy policy, const RecurrenceShape& shape, int64_t batch,
                               const DeviceFacts& device) {
  constexpr int64_t kTurns = 4;
  if (is_streamed(shape) && why_not_wide(WidePass::kBackward, policy, shape, device) == nullptr) return false;
  const RecurrenceChoice choice = choose_tile(policy, shape, batch, device);
  return choice.policy == RecurrencePolicy::kGrid && choice.math != MathKind::kF32 &&
         batch > (kTurns - 1) * choice.slots();
}

}  // namespace varlstm::cuda
