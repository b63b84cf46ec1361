// Dropout on the device. See dropout.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

// out[k] <- keep(seed, k) ? in[k] / (1 - p) : 0 for k < count. In place is allowed.
int32_t dropout(Stream stream, DType dtype, int64_t count, double p, uint64_t seed, const void* in, void* out);

// The same with the seed in device memory; where it is 0, out <- in.
int32_t dropout_by_stored_seed(Stream stream, DType dtype, int64_t count, double p, const uint64_t* seed,
                               uint64_t seed_offset, const void* in, void* out);

}  // namespace varlstm::cuda
