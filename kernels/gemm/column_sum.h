// The sums of a matrix's columns on the device. See column_sum.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

// A column is summed by so many lanes, each of which takes every kSumLanes-th row.
constexpr int kSumLanes = 8;

// out [n] += column sums of x [m, n] with row pitch ldx; the same for out2 unless it is null. `rows` points to the
// number of rows that count, in device memory; null: all count. dtype_out: dtype, or F32 for 16 bits.
int32_t add_column_sums(Stream stream, DType dtype, DType dtype_out, int64_t m, int64_t n, const void* x, int64_t ldx,
                        const int64_t* rows, void* out, void* out2);

}  // namespace varlstm::cuda
