// Linear layer and cross-entropy in one on the device. See linear_cross_entropy.cc.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

int32_t linear_cross_entropy_workspace(DType dtype, int64_t rows, int64_t in, int64_t classes, bool backward,
                                       int64_t* bytes);

// weight_sum and lse may be null.
int32_t linear_cross_entropy_forward(Stream stream, const LinearLossArgs& args, void* out, void* weight_sum, void* lse);
// dout null means ones. dx, dweight and dbias may be null.
int32_t linear_cross_entropy_backward(Stream stream, const LinearLossArgs& args, const void* lse, const void* dout,
                                      void* dx, void* dweight, void* dbias);

}  // namespace varlstm::cuda
