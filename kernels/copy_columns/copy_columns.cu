// Copies columns of rows: features that are put beside others, or taken out again.
//
//   dst[r * ld_dst + c] <- src[r * ld_src + c]      for r < rows and c < columns
//
// One thread copies each element, in a grid-stride loop, without shared memory or synchronisation. Neighbouring threads
// copy neighbouring columns. Bytes moved: 2 rows columns e; bound by memory. Mirrored by host/backend_ops.cc.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/copy_columns/copy_columns.h"

#include "kernels/core/launch.h"
#include "varlstm.h"

namespace varlstm::cuda {

template <class Word>
VARLSTM_KERNEL void copy_columns_kernel(int64_t rows, int64_t columns, const Word* src, int64_t ld_src, Word* dst,
                                        int64_t ld_dst) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < rows * columns; k += stride)
    dst[k / columns * ld_dst + k % columns] = src[k / columns * ld_src + k % columns];
}

namespace {

template <class Word>
int32_t copy_words(Stream stream, const ColumnCopy& copy) {
  return launch<copy_columns_kernel<Word>>(stream, "copy_columns", elementwise_shape(stream, copy.rows * copy.columns),
                                           copy.rows, copy.columns, static_cast<const Word*>(copy.src), copy.ld_src,
                                           static_cast<Word*>(copy.dst), copy.ld_dst);
}

}  // namespace

int32_t copy_columns(Stream stream, const ColumnCopy& copy) {
  if (copy.rows == 0) return VARLSTM_OK;
  switch (copy.dtype) {
    case DType::kBF16:
    case DType::kF16:
      return copy_words<uint16_t>(stream, copy);
    case DType::kF32:
      return copy_words<uint32_t>(stream, copy);
    default:
      return copy_words<uint64_t>(stream, copy);
  }
}

}  // namespace varlstm::cuda
