// Masked negative log-likelihood and cross-entropy on the device. See nll.cu and cross_entropy.cu. For 16-bit dtypes
// class_weights, out, weight_sum and dout are F32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

// *bytes <- workspace of all of these except cross_entropy_backward, which needs none.
int32_t loss_workspace(int64_t rows, int64_t* bytes);
// The most partial sums that a sum over any number of rows needs.
constexpr int64_t kMostLossPartials = 1024;

int32_t nll_forward(Stream stream, const LossArgs& args, const void* log_probs, void* out, void* weight_sum);
int32_t nll_backward(Stream stream, const LossArgs& args, const void* dout, void* dlog_probs);
int32_t cross_entropy_forward(Stream stream, const LossArgs& args, const void* logits, void* out, void* weight_sum,
                              void* dlogits);
int32_t cross_entropy_backward(Stream stream, const LossArgs& args, const void* dout, void* dlogits);

}  // namespace varlstm::cuda
