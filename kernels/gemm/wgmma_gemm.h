// A product by the tensor cores of sm_90a. See wgmma_gemm.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/selection/gemm_selection.h"

namespace varlstm::cuda {

// For products that GemmPolicy::kWgmma is legal for. Every tile gives the same bits.
int32_t wgmma_gemm(Stream stream, const GemmArgs& args, TensorTile tile);

}  // namespace varlstm::cuda
