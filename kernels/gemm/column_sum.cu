// out [n] += column sums of x [m, n]: the gradient of a bias.
//
// A block owns kColumns columns. Its kLanes rows of threads take rows lane, lane + kLanes, ... and add them in that
// order in double. Thread row 0 then adds the sums of the lanes in order, and rounds once to the type of out. The order
// depends only on m, so results are bit-identical from run to run. Bytes moved: m n e, bound by memory if n is some
// thousands; a small n gives few blocks. Shared memory: kLanes x kColumns doubles.
//   S1: after it every lane's sum is in shared memory.
// A product on our tiles that has the matrix as its transposed A gives the same sums (LineSums in gemm_operands.h).
// Mirrored by host/ops/linear.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm/column_sum.h"

#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "varlstm.h"

namespace varlstm::cuda {

constexpr unsigned kColumns = 32, kLanes = kSumLanes;

template <class T, class Out>
VARLSTM_KERNEL void __launch_bounds__(kColumns* kLanes)
    column_sum_kernel(int64_t m, int64_t n, const T* x, int64_t ldx, const int64_t* rows, Out* out, Out* out2) {
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
  out[column] = store_scalar<Out>(static_cast<ComputeType<Out>>(static_cast<double>(load_scalar(out[column])) + sum));
  if (out2 != nullptr)
    out2[column] =
        store_scalar<Out>(static_cast<ComputeType<Out>>(static_cast<double>(load_scalar(out2[column])) + sum));
}

namespace {

template <class T, class Out>
int32_t run(Stream stream, int64_t m, int64_t n, const void* x, int64_t ldx, const int64_t* rows, void* out,
            void* out2) {
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>((n + kColumns - 1) / kColumns));
  shape.block = dim3(kColumns, kLanes);
  shape.shared_bytes = kColumns * kLanes * sizeof(double);
  return launch<column_sum_kernel<T, Out>>(stream, "column_sum", shape, m, n, static_cast<const T*>(x), ldx, rows,
                                           static_cast<Out*>(out), static_cast<Out*>(out2));
}

}  // namespace

int32_t add_column_sums(Stream stream, DType dtype, DType dtype_out, int64_t m, int64_t n, const void* x, int64_t ldx,
                        const int64_t* rows, void* out, void* out2) {
  if (n == 0 || m == 0) return VARLSTM_OK;
  return with_scalar(dtype, [&](auto scalar) {
    using T = decltype(scalar);
    if (dtype_out == dtype) return run<T, T>(stream, m, n, x, ldx, rows, out, out2);
    if constexpr (sizeof(T) == 2) {
      if (dtype_out == DType::kF32) return run<T, float>(stream, m, n, x, ldx, rows, out, out2);
    }
    return fail(VARLSTM_ERROR_INTERNAL, "column_sum has no kernel from dtype %d to %d", static_cast<int>(dtype),
                static_cast<int>(dtype_out));
  });
}

}  // namespace varlstm::cuda
