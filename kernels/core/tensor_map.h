// Tensor maps: how a kernel's tensor copies see a matrix in device memory (arch/tensor_copy_cuda.h).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "kernels/core/driver.h"

namespace varlstm::cuda {

// Whether the driver can make tensor maps.
bool has_tensor_maps();

struct MappedMatrix {
  int64_t rows, columns, pitch_bytes;
};
struct MappedBox {
  int rows, columns;
};

// *map <- the map of a matrix of BF16, F16 or F32 at `address`. Each copy brings a box, whose columns are at most 128
// bytes, in the layout of 128 bytes swizzled; what lies outside of the matrix becomes 0. The address and the pitch in
// bytes must be multiples of 16.
int32_t make_tensor_map(CUtensorMap* map, DType dtype, const void* address, const MappedMatrix& matrix,
                        const MappedBox& box);

}  // namespace varlstm::cuda
