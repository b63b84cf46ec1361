// Dropout on the device. See dropout.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

int32_t dropout(Stream stream, DType dtype, int64_t count, double p, uint64_t seed, const void* in, void* out);

}  // namespace varlstm::cuda
