// The Euclidean norm of a flat buffer of gradients [count], and clipping by it.
//
//   norm   sqrt(sum of grads^2) in double
//   clip   grads *= min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_
//
// A block of kNormBlock threads squares and sums one chunk of kNormChunk elements (norm_chunks.h): thread i takes
// elements i, i + kNormBlock, ... Each block of the second kernel then adds the sums of all chunks in the same way, so
// that all have the norm without a launch between; it clips, and block 0 writes the norm. The order depends only on
// count, so results are bit-identical from run to run. Barriers: core/reduce.h. Bytes moved: count e for the norm, and
// 2 count e more if it clips; the sums come from the caches. Bound by memory. A ratio that is NaN makes the gradients
// NaN. Mirrored by host/ops/optimizer.h.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "kernels/core/launch.h"
#include "kernels/core/reduce.h"
#include "kernels/optimizer/norm_chunks.h"
#include "kernels/optimizer/optimizer.h"
#include "varlstm.h"

namespace varlstm::cuda {

constexpr unsigned kNormBlock = 256;

template <class T>
VARLSTM_KERNEL void __launch_bounds__(kNormBlock) square_chunk_kernel(int64_t count, const T* grads, double* partial) {
  const NormChunk chunk = norm_chunk(blockIdx.x, count);
  double sum = 0;
  for (int64_t k = chunk.begin + threadIdx.x; k < chunk.end; k += kNormBlock) {
    const double value = static_cast<double>(grads[k]);
    sum += value * value;
  }
  sum = block_sum(sum, simt::shared_memory<double>());
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// norm <- that of the chunks; grads [count] are clipped by it. count: 0 if only the norm is wanted.
template <class T>
VARLSTM_KERNEL void __launch_bounds__(kNormBlock)
    clip_kernel(int64_t chunks, const double* partial, double* norm, int64_t count, double max_norm, T* grads) {
  double sum = 0;
  for (int64_t k = threadIdx.x; k < chunks; k += kNormBlock) sum += partial[k];
  const double own_norm = sqrt(block_sum(sum, simt::shared_memory<double>()));
  if (blockIdx.x == 0 && threadIdx.x == 0) *norm = own_norm;
  const double ratio = max_norm / (own_norm + 1e-6);
  if (ratio >= 1) return;
  const T factor = static_cast<T>(ratio);
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += stride)
    grads[k] *= factor;
}

int32_t grad_norm_workspace(int64_t count, int64_t* bytes) {
  *bytes = norm_chunks(count) * static_cast<int64_t>(sizeof(double));
  return VARLSTM_OK;
}

int32_t grad_norm(Stream stream, DType dtype, int64_t count, double max_norm, void* grads, double* norm,
                  void* workspace) {
  return with_master_scalar(dtype, [&](auto scalar) -> int32_t {
    using T = decltype(scalar);
    T* values = static_cast<T*>(grads);
    double* partial = static_cast<double*>(workspace);
    LaunchShape shape;
    shape.block = dim3(kNormBlock);
    shape.shared_bytes = kNormBlock / 32 * sizeof(double);
    LaunchShape chunked = shape;
    chunked.grid = dim3(static_cast<unsigned>(norm_chunks(count)));
    VARLSTM_CUDA_TRY(launch<square_chunk_kernel<T>>(stream, "square_chunk", chunked, count, values, partial));
    const int64_t clipped = max_norm < 0 ? 0 : count;
    if (clipped > 0) shape.grid = elementwise_shape(stream, clipped, kNormBlock).grid;
    return launch<clip_kernel<T>>(stream, "clip", shape, norm_chunks(count), partial, norm, clipped, max_norm, values);
  });
}

}  // namespace varlstm::cuda
