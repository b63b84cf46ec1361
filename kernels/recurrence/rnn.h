// The recurrent network of the CUDA back end: layers, directions and dropout between layers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"

namespace varlstm::cuda {

// These functions are in the back end's table (capi/contract/backend.h).
int32_t make_rnn_plan(const BackendState* state, const RnnShape& shape, RnnPlan* plan);

// UNSUPPORTED if the shape has more units than the grid of a launch has tiles.
int32_t check_shape(const RnnShape& shape);

// Launches for each layer: D products over all tokens, the launches of the recurrence, and one more with dropout. The
// whole call has one more with MODE_SAVE. The stepwise recurrence has at most T + 1 launches, or max_len + 1 if only
// the device knows T; if h is projected, or the cell has two products, it has two for each step. The resident
// recurrence has at most 3 (it arranges the weights, runs all steps, and passes on the states of sequences without a
// token), or 5 if its two directions run one after the other; the whole call has 2 more for the schedule. Layers that
// run in one launch have one product and at most 3 launches of the recurrence in all. The last launch of a recurrence
// is left out if the caller wants neither of the states that it writes. Dropout of weights, in a call with a seed, has
// D more for each layer, which then run one after the other. Layer normalisation has one more for each product, and one
// more for each step.
int32_t rnn_forward(BackendState* state, const RnnForwardArgs& args, void* stream);

// Launches for each layer: those of the recurrence, as in forward; D products for dx; and, for the dparams of each
// direction, two products, a gather and a column sum, and one more product with a projection. A cell with state gates
// has one more product and two more column sums; one with two products has one more. With dropout each layer but the
// lowest has at most two more. The whole call has one for the check of the reserve, and 2 for the schedule unless
// forward has left it in the reserve. Dropout of weights has one more for each direction, and one more for its dparams.
// Layer normalisation has one more for each layer, and in the place of the column sums of a direction two, one more for
// a cell with c, and one more for a cell with state gates.
int32_t rnn_backward(BackendState* state, const RnnBackwardArgs& args, void* stream);

// *bytes <- the workspace of a step of up to max_streams streams with a table of up to table_slots.
int32_t rnn_step_size(const BackendState* state, const RnnShape& shape, int64_t max_streams, int64_t table_slots,
                      int64_t* bytes);

// 2 launches for each layer, its product and its step, one more with a projection or of a cell with two products, and 2
// for the whole call. Layer normalisation has 2 more for each layer. Only the device sees the slots: bad_stream is not
// used.
int32_t rnn_step(BackendState* state, const RnnStepArgs& args, int64_t* bad_stream, void* stream);

}  // namespace varlstm::cuda
