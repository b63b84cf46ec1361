// The recurrent network of the host back end: layers, directions, dropout in between, forward and backward.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"

namespace varlstm::host {

// Bytes for any batch within the bounds; INT64_MAX where they overflow.
template <class T>
RnnSizes rnn_sizes(const RnnShape& shape, const BatchBounds& bounds, bool save);

template <class T>
void rnn_import(const RnnImportArgs& args);

template <class T>
void rnn_forward(int64_t threads, const RnnForwardArgs& args);

// False if no forward of this shape, these lengths and this order of rows wrote the reserve; nothing is written then.
template <class T>
bool rnn_backward(int64_t threads, const RnnBackwardArgs& args);

}  // namespace varlstm::host
