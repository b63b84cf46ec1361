// Convolution with maximum of the CUDA back end.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/backend_ops.h"
#include "kernels/conv_max/conv_max.h"
#include "varlstm.h"

namespace varlstm::cuda {
namespace {

int32_t size(const BackendState*, const ConvMaxShape& shape, int64_t* forward, int64_t* backward) {
  *forward = conv_max_forward_workspace(shape);
  *backward = conv_max_backward_workspace(shape);
  return VARLSTM_OK;
}

// Only the device sees the offsets.
int32_t forward(BackendState* state, const ConvMaxForwardArgs& args, int64_t*, void* stream) {
  return conv_max_forward(make_stream(state, stream), args);
}

int32_t backward(BackendState* state, const ConvMaxBackwardArgs& args, int64_t*, void* stream) {
  return conv_max_backward(make_stream(state, stream), args);
}

}  // namespace

void set_conv_max_operations(Backend& table) {
  table.conv_max_size = size;
  table.conv_max_forward = forward;
  table.conv_max_backward = backward;
}

}  // namespace varlstm::cuda
