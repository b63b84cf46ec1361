// The sizes of an rnn's parameters, for rnn.cc and rnn_run.cc.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/check.h"

namespace varlstm {

// The number of features that a layer reads: I for layer 0, D*H above it.
int64_t layer_input(const RnnShape& shape, int64_t layer);

// The rows of W_ih and W_hh: H for each gate of the cell.
int64_t gate_rows(const RnnShape& shape);

// The number of elements of the flat buffer of parameters.
int64_t param_elements(const RnnShape& shape);

}  // namespace varlstm
