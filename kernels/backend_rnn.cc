// The recurrent network of the CUDA back end.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/backend_ops.h"
#include "kernels/recurrence/rnn.h"
#include "kernels/recurrence/rnn_params.h"

namespace varlstm::cuda {
void set_rnn_operations(Backend& table) {
  table.rnn_plan = make_rnn_plan;
  table.rnn_import = import_params;
  table.rnn_forward = rnn_forward;
  table.rnn_backward = rnn_backward;
  table.rnn_step_size = rnn_step_size;
  table.rnn_step = rnn_step;
}

}  // namespace varlstm::cuda
