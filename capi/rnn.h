// The sizes of an rnn's parameters, and its plan for the bounds of a batch.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/check.h"

namespace varlstm {

// The width of h: P with a projection, else H.
int64_t state_size(const RnnShape& shape);
Dim state_dim(const RnnShape& shape);

// The number of features that a layer reads: I for layer 0, D*(P or H) above it.
int64_t layer_input(const RnnShape& shape, int64_t layer);

// The rows of W_ih and W_hh: H for each gate of the cell.
int64_t gate_rows(const RnnShape& shape);

// The bytes of the names of all tensors that an rnn of so many layers could have.
int64_t rnn_name_bytes(int64_t layers);

// The number of elements of the flat buffer of parameters.
int64_t param_elements(const RnnShape& shape);

// A tensor of cell states must be NULL if the cell has none.
int32_t check_no_c(const RnnShape& shape, const char* name, const void* tensor);

// A tensor of the cell states of every token must be NULL without VARLSTM_KEY_CELL_STATES.
int32_t check_cell_states_key(const RnnShape& shape, const char* name, const void* tensor);

// A prepared rnn takes no parameters but those that it was prepared with.
int32_t check_prepared_params(const varlstm_rnn* rnn, const void* params);

// The memory of a prepared rnn as a buffer of a call.
void read_prepared(const varlstm_rnn* rnn, BufferCheck& buffers);

// *plan <- the plan for these bounds.
int32_t make_rnn_plan(const varlstm_rnn* rnn, const BatchBounds& bounds, RnnPlan* plan);

// The same. The rnn keeps the plan until it is asked for other bounds, or an option of the rnn or the context is set.
// Environment variables are read when a plan is made.
int32_t find_rnn_plan(const varlstm_rnn* rnn, const BatchBounds& bounds, RnnPlan* plan);

}  // namespace varlstm
