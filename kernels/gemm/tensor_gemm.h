// A product on our own tensor-core tiles. See tensor_gemm.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/gemm/gemm.h"

namespace varlstm::cuda {

// For products that GemmPolicy::kTensor is legal for.
int32_t tensor_gemm(Stream stream, const GemmArgs& args);

}  // namespace varlstm::cuda
