// Stacked layers in one launch, in TF32: every tile of recurrence_cluster's and recurrence_grid's tables that
// stacks_layers. The kernel and its invariants stand in resident_layers.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/recurrence/resident_launch.h"

namespace varlstm::cuda {

VARLSTM_INSTANTIATE_LAYERS(MathKind::kTf32, float);

}  // namespace varlstm::cuda
