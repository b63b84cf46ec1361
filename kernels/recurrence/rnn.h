// The recurrent network of the CUDA back end: layers, directions, dropout between layers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

int32_t rnn_sizes(const State& state, const RnnShape& shape, const BatchBounds& bounds, bool save, RnnSizes* sizes);

// Launches, for each layer: D products of all tokens, those of the recurrence, and with dropout one more; MODE_SAVE one
// more in all. The recurrence's are T + 1 where it is stepwise (max_len + 1 where only the device knows T); where it is
// resident 3 (the weights arranged, all steps, sequences without a token), and 2 in all for the schedule. Layers that
// run together have one product and 3 of the recurrence in all.
int32_t rnn_forward(Stream stream, const RnnForwardArgs& args);

// Launches, for each layer: those of the recurrence, as in forward, D products for dx, and for dparams of each
// direction two products, a gather and a column sum.
int32_t rnn_backward(Stream stream, const RnnBackwardArgs& args);

}  // namespace varlstm::cuda
