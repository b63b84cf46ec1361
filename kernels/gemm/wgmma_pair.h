// A product by the tensor cores of sm_90a in which two blocks share a tile. See wgmma_pair.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/gemm/gemm.h"

namespace varlstm::cuda {

// Whether wgmma_pair() can run the product: BF16 or F16, or F32 with B transposed (wgmma reads TF32 along k alone); A
// not transposed, every row counted by the host, A and B with addresses and pitches that are multiples of 16 bytes, and
// a driver that makes tensor maps.
bool takes_pairs(const GemmArgs& args);

// For products that takes_pairs() accepts, with the same dtypes and transpositions of B. The bits are those of
// wgmma_gemm().
int32_t wgmma_pair(Stream stream, const GemmArgs* products, int count, GemmOrder order);

}  // namespace varlstm::cuda
