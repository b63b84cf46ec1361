// out [n] += column sums of x [m, n]: the gradient of a bias.
//
// A block owns kColumns columns; its kLanes rows of threads take rows lane, lane + kLanes, ... and add them in that
// order in double; thread row 0 adds the lanes' sums in order. The order depends on m alone: bitwise from run to run.
// Bytes moved: m n e, bound by memory for n of some thousands; few blocks for small n.
// Shared memory: kLanes x kColumns doubles. S1: after it every lane's sum lies there.
// Mirrored by host/linear.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm/column_sum.h"

#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "varlstm.h"

namespace varlstm::cuda {

constexpr unsigned kColumns = 32, kLanes = 8;

template <class T>
VARLSTM_KERNEL void __launch_bounds__(kColumns* kLanes)
    column_sum_kernel(int64_t m, int64_t n, const T* x, int64_t ldx, const int64_t* rows, T* out, T* out2) {
  double* lane_sums = simt::shared_memory<double>();
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kColumns + threadIdx.x;
  const int64_t counted = rows == nullptr || *rows > m ? m : *rows;
  double sum = 0;
  if (column < n) {
    for (int64_t row = threadIdx.y; row < counted; row += kLanes)
      sum += static_cast<double>(load_scalar(x[row * ldx + column]));
  }
  lane_sums[threadIdx.y * kColumns + threadIdx.x] = sum;
  simt::block_sync();  // S1
  if (threadIdx.y != 0 || column >= n) return;
  for (unsigned lane = 1; lane < kLanes; ++lane) sum += lane_sums[lane * kColumns + threadIdx.x];
  out[column] = store_scalar<T>(static_cast<ComputeType<T>>(static_cast<double>(load_scalar(out[column])) + sum));
  if (out2 != nullptr)
    out2[column] = store_scalar<T>(static_cast<ComputeType<T>>(static_cast<double>(load_scalar(out2[column])) + sum));
}

int32_t add_column_sums(Stream stream, DType dtype, int64_t m, int64_t n, const void* x, int64_t ldx,
                        const int64_t* rows, void* out, void* out2) {
  if (n == 0 || m == 0) return VARLSTM_OK;
  return with_scalar(dtype, [&](auto scalar) {
    using T = decltype(scalar);
    LaunchShape shape;
    shape.grid = dim3(static_cast<unsigned>((n + kColumns - 1) / kColumns));
    shape.block = dim3(kColumns, kLanes);
    shape.shared_bytes = kColumns * kLanes * sizeof(double);
    return launch(stream, "column_sum", shape, column_sum_kernel<T>, m, n, static_cast<const T*>(x), ldx, rows,
                  static_cast<T*>(out), static_cast<T*>(out2));
  });
}

}  // namespace varlstm::cuda
