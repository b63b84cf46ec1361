// The workspace of an operation, for ops.cc, loss.cc and optimizer.cc.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/check.h"

namespace varlstm {

// *bytes <- the workspace that the back end needs. The caller has checked that the bytes of operands of this size can
// be counted in 64 bits.
int32_t query_op_workspace(const varlstm_ctx* ctx, Op op, DType dtype, int64_t rows, int64_t a, int64_t b,
                           int64_t* bytes);

}  // namespace varlstm
