// Conversion between the floating-point dtypes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

// dst [count] of dtype `to` <- src of dtype `from`. A conversion to 16 bits goes through float; each step rounds to the
// nearest, ties to even.
int32_t convert(Stream stream, DType from, DType to, int64_t count, const void* src, void* dst);

}  // namespace varlstm::cuda
