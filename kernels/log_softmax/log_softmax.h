// Log-softmax on the device. See log_softmax.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

int32_t log_softmax_forward(Stream stream, DType dtype, int64_t rows, int64_t classes, const void* x, void* y);
int32_t log_softmax_backward(Stream stream, DType dtype, int64_t rows, int64_t classes, const void* y, const void* dy,
                             void* dx);

}  // namespace varlstm::cuda
