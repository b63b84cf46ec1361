// A product on our own tensor-core tiles. See tensor_gemm.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/selection/gemm_selection.h"

namespace varlstm::cuda {

// For products that GemmPolicy::kTensor is legal for, with the same dtypes and transpositions. Every tile gives the
// same bits; the largest is k128x128.
int32_t tensor_gemm(Stream stream, const GemmArgs* products, int count, GemmOrder order, TensorTile tile);

}  // namespace varlstm::cuda
