// Checks that the optimisers over a flat buffer and over rows of a table share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/check.h"

namespace varlstm {

// F32 or F64.
int32_t check_master_dtype(int32_t dtype);
int32_t check_adam(double beta1, double beta2, double eps, double weight_decay, int32_t decoupled);

}  // namespace varlstm
