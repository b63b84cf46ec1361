// The recurrent network of the CUDA back end.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/backend_ops.h"
#include "kernels/core/status.h"
#include "kernels/recurrence/layer_recurrence.h"
#include "kernels/recurrence/rnn.h"
#include "kernels/recurrence/rnn_params.h"
#include "varlstm.h"

namespace varlstm::cuda {
namespace {

int32_t sizes_call(const BackendState* state, const RnnShape& shape, const BatchBounds& bounds, bool save,
                   RnnSizes* sizes) {
  return rnn_sizes(*static_cast<const State*>(state), shape, bounds, save, sizes);
}

int32_t recurrence_call(const BackendState* state, const RnnShape& shape, int64_t* used) {
  *used = static_cast<int64_t>(choose_recurrence(*static_cast<const State*>(state), shape));
  return VARLSTM_OK;
}

int32_t import_call(BackendState* state, const RnnImportArgs& args, void* stream) {
  return import_params(make_stream(state, stream), args);
}

int32_t forward_call(BackendState* state, const RnnForwardArgs& args, void* stream) {
  return rnn_forward(make_stream(state, stream), args);
}

int32_t backward_call(BackendState* state, const RnnBackwardArgs& args, void* stream) {
  return rnn_backward(make_stream(state, stream), args);
}

}  // namespace

void set_rnn_operations(Backend& table) {
  table.rnn_sizes = sizes_call;
  table.rnn_recurrence = recurrence_call;
  table.rnn_import = import_call;
  table.rnn_forward = forward_call;
  table.rnn_backward = backward_call;
}

}  // namespace varlstm::cuda
