// Small kernels round an rnn: the reserve's header and foreign parameter layouts.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

int32_t import_params(Stream stream, const RnnImportArgs& args);

}  // namespace varlstm::cuda
