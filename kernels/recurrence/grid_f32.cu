// recurrence_grid in F32: every tile of the tuning's table, forward and backward. The kernels and their invariants
// stand in resident_forward.h and resident_backward.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/recurrence/resident_launch.h"

namespace varlstm::cuda {

VARLSTM_INSTANTIATE_RESIDENT(RecurrencePolicy::kGrid, MathKind::kF32, float);

}  // namespace varlstm::cuda
