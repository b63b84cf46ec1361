// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/tensor_map.h"

#include "kernels/core/status.h"
#include "varlstm.h"

namespace varlstm::cuda {

bool has_tensor_maps() {
  return driver().encode_tensor_map != nullptr;
}

int32_t make_tensor_map(CUtensorMap* map, DType dtype, const void* address, const MappedMatrix& matrix,
                        const MappedBox& box) {
  const CUtensorMapDataType type = dtype == DType::kBF16  ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                   : dtype == DType::kF16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
                                                          : CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
  const cuuint64_t extents[] = {static_cast<cuuint64_t>(matrix.columns), static_cast<cuuint64_t>(matrix.rows)};
  const cuuint64_t pitches[] = {static_cast<cuuint64_t>(matrix.pitch_bytes)};
  const cuuint32_t boxes[] = {static_cast<cuuint32_t>(box.columns), static_cast<cuuint32_t>(box.rows)};
  const cuuint32_t strides[] = {1, 1};
  const CUresult error = driver().encode_tensor_map(
      map, type, 2, const_cast<void*>(address), extents, pitches, boxes, strides, CU_TENSOR_MAP_INTERLEAVE_NONE,
      CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (error == CUDA_SUCCESS) return VARLSTM_OK;
  return fail(VARLSTM_ERROR_BACKEND,
              "cuTensorMapEncodeTiled of a matrix [%lld, %lld] with a pitch of %lld bytes: CUresult %d",
              static_cast<long long>(matrix.rows), static_cast<long long>(matrix.columns),
              static_cast<long long>(matrix.pitch_bytes), static_cast<int>(error));
}

}  // namespace varlstm::cuda
