// The workspace of one operation, of exactly the bytes that varlstm_op_workspace asks for.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/buffer.h"
#include "support/dtype.h"

namespace varlstm_test {

template <class T>
ByteBuffer op_workspace(varlstm_ctx* context, int32_t op, int64_t rows, int64_t a, int64_t b, Fill fill = Fill::kNan) {
  int64_t bytes = -1;
  REQUIRE_OK(varlstm_op_workspace(context, op, kDType<T>, rows, a, b, &bytes));
  return ByteBuffer(context, bytes, fill);
}

}  // namespace varlstm_test
