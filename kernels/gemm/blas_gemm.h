// A product by the BLAS library, with its biases. See blas_gemm.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/gemm/gemm.h"

namespace varlstm::cuda {

// For products that GemmPolicy::kCublas is legal for.
int32_t blas_gemm(Stream stream, const GemmArgs& args);

}  // namespace varlstm::cuda
