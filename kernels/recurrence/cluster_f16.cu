// recurrence_cluster in F16: every tile of the tuning's table, forward and backward. The kernels and their invariants
// stand in resident_forward.h and resident_backward.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/recurrence/resident_launch.h"

namespace varlstm::cuda {

VARLSTM_INSTANTIATE_RESIDENT(RecurrencePolicy::kCluster, MathKind::kF16, F16);

}  // namespace varlstm::cuda
