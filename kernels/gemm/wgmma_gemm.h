// A product by the tensor cores of sm_90a. See wgmma_gemm.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/selection/gemm_selection.h"

namespace varlstm::cuda {

// For products that GemmPolicy::kWgmma is legal for, with the same dtypes and transpositions. Every tile gives the same
// bits. The sums of A are left to the caller.
int32_t wgmma_gemm(Stream stream, const GemmArgs* products, int count, GemmOrder order, TensorTile tile);

}  // namespace varlstm::cuda
