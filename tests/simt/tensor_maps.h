// A matrix in device memory, and the tensor maps of it through which kernels of tests copy boxes. The maps are made in
// the emulator and on a GPU alike.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/arch/device.h"
#include "kernels/core/driver.h"

namespace varlstm::test {

// What a map tells of the matrix and of a box. Rows have a pitch of 128 bytes in device memory, of which the matrix has
// the first 104: not whole words of 16 bytes.
struct MappedBox {
  unsigned element;  // bytes
  unsigned rows, columns;
  bool swizzled;

  VARLSTM_HOST_DEVICE constexpr unsigned bytes() const { return rows * columns * element; }
};
constexpr unsigned kMatrixRows = 13, kMatrixRowBytes = 104, kMatrixPitch = 128;
constexpr MappedBox kHalves = {2, 16, 64, true}, kFloats = {4, 8, 32, true}, kPlain = {2, 16, 8, false},
                    kNarrow = {2, 16, 32, true};

struct TensorMaps {
  CUtensorMap halves, floats, plain;
  CUtensorMap narrow, unmade;  // for defects alone
};

// The matrix is in `memory`, aligned to 16 bytes.
inline CUresult make_tensor_map(CUtensorMap* map, void* memory, const MappedBox& box) {
  if (cuda::driver().encode_tensor_map == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const cuuint64_t extents[] = {kMatrixRowBytes / box.element, kMatrixRows}, pitches[] = {kMatrixPitch};
  const cuuint32_t extents_of_box[] = {box.columns, box.rows}, strides[] = {1, 1};
  return cuda::driver().encode_tensor_map(
      map, box.element == 4 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT32 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, memory, extents,
      pitches, extents_of_box, strides, CU_TENSOR_MAP_INTERLEAVE_NONE,
      box.swizzled ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_NONE,
      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
}
inline CUresult make_tensor_maps(void* memory, TensorMaps* maps) {
  const CUresult results[] = {
      make_tensor_map(&maps->halves, memory, kHalves), make_tensor_map(&maps->floats, memory, kFloats),
      make_tensor_map(&maps->plain, memory, kPlain), make_tensor_map(&maps->narrow, memory, kNarrow)};
  for (const CUresult result : results)
    if (result != CUDA_SUCCESS) return result;
  return CUDA_SUCCESS;
}

}  // namespace varlstm::test
