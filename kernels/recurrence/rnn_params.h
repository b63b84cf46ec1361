// Imports the parameters of one layer and direction from the layout of another library. See rnn_params.cu, which also
// defines write_reserve_header and check_reserve_header of recurrence.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"

namespace varlstm::cuda {

int32_t import_params(BackendState* state, const RnnImportArgs& args, void* stream);

}  // namespace varlstm::cuda
