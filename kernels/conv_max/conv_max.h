// Convolution over the rows of each word with the maximum over its positions, on the device. See conv_max_forward.cu
// and conv_max_backward.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

int64_t conv_max_forward_workspace(const ConvMaxShape& shape);
int64_t conv_max_backward_workspace(const ConvMaxShape& shape);

int32_t conv_max_forward(Stream stream, const ConvMaxForwardArgs& args);
int32_t conv_max_backward(Stream stream, const ConvMaxBackwardArgs& args);

}  // namespace varlstm::cuda
