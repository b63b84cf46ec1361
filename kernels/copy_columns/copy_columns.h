// Copies columns of rows.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

int32_t copy_columns(Stream stream, const ColumnCopy& copy);

}  // namespace varlstm::cuda
