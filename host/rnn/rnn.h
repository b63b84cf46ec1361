// The recurrent network of the host back end: forward and backward over layers and directions, with dropout between
// layers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/backend.h"

namespace varlstm::host {

// The bytes for any batch within the bounds; INT64_MAX if they overflow.
template <class T>
RnnSizes rnn_sizes(const RnnShape& shape, const BatchBounds& bounds, bool save);

template <class T>
void rnn_import(const RnnImportArgs& args);

// The bytes of prepared weights.
template <class T>
int64_t rnn_prepared_size(const RnnShape& shape, bool save);

template <class T>
void rnn_prepare(int64_t threads, const RnnShape& shape, const void* params, const PreparedRnn& prepared);

template <class T>
void rnn_forward(int64_t threads, const RnnForwardArgs& args, const PreparedRnn& prepared);

// Returns false and writes nothing if the reserve was not written by a forward of this shape, these lengths and this
// order of rows.
template <class T>
bool rnn_backward(int64_t threads, const RnnBackwardArgs& args, const PreparedRnn& prepared);

// The bytes for a step of up to `streams` streams with a table of up to `table_slots`; INT64_MAX if they overflow.
template <class T>
int64_t rnn_step_size(const RnnShape& shape, int64_t streams, int64_t table_slots);

// Returns the first stream with a bad slot, and then has written to nothing but the workspace; or -1.
template <class T>
int64_t rnn_step(int64_t threads, const RnnStepArgs& args, const PreparedRnn& prepared);

}  // namespace varlstm::host
