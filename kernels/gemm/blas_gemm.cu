// C [m, n] = op(A) op(B) + bias + bias2 by the BLAS library: first C <- bias + bias2 in each row, then C += op(A)
// op(B).
//
// bias_rows: C [m, n] <- bias [n] + bias2 [n], rounded to C's dtype. This is exact if there is one bias and C has its
// dtype; a wider C adds at most one more rounding. One thread writes each element, in a grid-stride loop without
// barriers; m n e bytes written, bound by memory. Mirrored by host/ops/linear.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm/blas_gemm.h"

#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "kernels/gemm/blas_library.h"
#include "varlstm.h"

namespace varlstm::cuda {

template <class T, class TC>
VARLSTM_KERNEL void bias_rows_kernel(int64_t m, int64_t n, const T* bias, const T* bias2, TC* c, int64_t ldc) {
  using C = ComputeType<T>;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; at < m * n; at += stride) {
    const int64_t column = at % n;
    C value = load_scalar(bias[column]);
    if (bias2 != nullptr) value += load_scalar(bias2[column]);
    c[at / n * ldc + column] = store_scalar<TC>(value);
  }
}

namespace {

template <class T, class TC>
int32_t fill_bias_rows(Stream stream, const GemmArgs& args) {
  return launch<bias_rows_kernel<T, TC>>(stream, "bias_rows", elementwise_shape(stream, args.m * args.n), args.m,
                                         args.n, static_cast<const T*>(args.bias), static_cast<const T*>(args.bias2),
                                         static_cast<TC*>(args.c), args.ldc);
}

}  // namespace

int32_t blas_gemm(Stream stream, const GemmArgs& args) {
  GemmArgs product = args;
  if (args.bias != nullptr) {
    VARLSTM_CUDA_TRY(with_scalar(args.dtype, [&](auto scalar) {
      using T = decltype(scalar);
      if constexpr (sizeof(T) == 2) {
        if (args.dtype_c == DType::kF32) return fill_bias_rows<T, float>(stream, args);
      }
      return fill_bias_rows<T, T>(stream, args);
    }));
    product.accumulate = true;
  }
  // cuBLAS requires the workspace to be aligned to 256 bytes.
  const int64_t beyond = static_cast<int64_t>(reinterpret_cast<uintptr_t>(args.workspace) % 256);
  const int64_t skipped = beyond == 0 ? 0 : 256 - beyond;
  product.workspace = static_cast<char*>(args.workspace) + skipped;
  product.workspace_bytes = args.workspace_bytes - skipped;
  return run_blas_gemm(stream.state->blas, stream.handle, product, stream.state->math == VARLSTM_MATH_TF32);
}

}  // namespace varlstm::cuda
