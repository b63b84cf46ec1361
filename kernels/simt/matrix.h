// Matrix products of a warp and the loads of their operands, with fragments distributed over the lanes as the PTX ISA
// says.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/arch/fragments.h"
#include "kernels/simt/site.h"

namespace varlstm::simt {

// a [16, 16] * b [16, 8] + c [16, 8] in bfloat16 or binary16, a [16, 8] * b [8, 8] + c [16, 8] in TF32; sums in float.
// The whole warp calls these.
f32x4 mma_bf16_16816(const b32x4& a, const b32x2& b, const f32x4& c, Site site = Site::here());
f32x4 mma_f16_16816(const b32x4& a, const b32x2& b, const f32x4& c, Site site = Site::here());
f32x4 mma_tf32_1688(const b32x4& a, const b32x2& b, const f32x4& c, Site site = Site::here());

// ldmatrix loads 8 x 8 matrices of 16-bit elements from shared memory. Row r of matrix m is at the address that lane 8
// m + r passes, aligned to 16 bytes. Lane 4 r + q gets elements 2 q and 2 q + 1 of row r, or of column r if transposed.
uint32_t load_matrix_x1(const void* row, Site site = Site::here());
b32x2 load_matrix_x2(const void* row, Site site = Site::here());
b32x4 load_matrix_x4(const void* row, Site site = Site::here());
uint32_t load_matrix_x1_transposed(const void* row, Site site = Site::here());
b32x2 load_matrix_x2_transposed(const void* row, Site site = Site::here());
b32x4 load_matrix_x4_transposed(const void* row, Site site = Site::here());

}  // namespace varlstm::simt
