// Replaces cuBLAS in the emulated build: plain loops in stream order. It is missing if VARLSTM_EMULATOR_CUBLAS is
// «missing». As cuBLAS may, it cuts a sum into a number of pieces that depends on the shape, so that tests notice a
// product that should be batch-invariant but runs here. It overwrites the whole workspace, and refuses one that is
// smaller than the 16 KiB of cuBLAS's documentation or not aligned to 256 bytes. A handle works only on the device that
// it was made on, and waits for that device when it is closed.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm/blas_library.h"

#include <math.h>
#include <string.h>

#include <new>

#include "capi/contract/environment.h"
#include "kernels/core/driver.h"
#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "varlstm.h"

namespace varlstm::cuda {

struct BlasHandle {
  bool missing;
  int device;
};

namespace {

float operand(float value, bool tf32) {
  if (!tf32) return value;
  const uint32_t bits = simt::to_tf32(value);
  memcpy(&value, &bits, sizeof value);
  return value;
}
double operand(double value, bool) {
  return value;
}

template <class T, class TC>
void multiply(const GemmArgs& args, bool tf32) {
  using C = ComputeType<T>;
  const T* const a = static_cast<const T*>(args.a);
  const T* const b = static_cast<const T*>(args.b);
  memset(args.workspace, 0xff, static_cast<size_t>(args.workspace_bytes));
  const int64_t pieces = 1 + (args.m + args.n) % 3;
  for (int64_t i = 0; i < args.m; ++i) {
    for (int64_t j = 0; j < args.n; ++j) {
      C total = 0;
      for (int64_t piece = 0; piece < pieces; ++piece) {
        C sum = 0;
        for (int64_t s = args.k * piece / pieces; s < args.k * (piece + 1) / pieces; ++s)
          sum = fma(operand(load_scalar(a[args.transpose_a ? s * args.lda + i : i * args.lda + s]), tf32),
                    operand(load_scalar(b[args.transpose_b ? j * args.ldb + s : s * args.ldb + j]), tf32), sum);
        total += sum;
      }
      TC& c = static_cast<TC*>(args.c)[i * args.ldc + j];
      c = store_scalar<TC>(args.accumulate ? static_cast<C>(load_scalar(c)) + total : total);
    }
  }
}

template <class T, class TC>
int32_t enqueue(cudaStream_t stream, const GemmArgs& args, bool tf32) {
  return check_runtime(simt::enqueue_host_work(stream, "cublasGemmEx", [args, tf32] { multiply<T, TC>(args, tf32); }),
                       "cublasGemmEx");
}

}  // namespace

BlasHandle* open_blas() {
  const char* wanted = simt::emulator_environment({"VARLSTM_EMULATOR_CUBLAS", "missing"});
  return new (std::nothrow) BlasHandle{wanted != nullptr, simt::current_device()};
}

void close_blas(BlasHandle* blas) {
  if (blas != nullptr && !blas->missing) (void)cuCtxSynchronize();
  delete blas;
}

const char* blas_problem(const BlasHandle* blas) {
  if (blas == nullptr) return "the context opened no cuBLAS";
  return blas->missing ? "VARLSTM_EMULATOR_CUBLAS = missing" : "";
}

int32_t run_blas_gemm(BlasHandle* blas, cudaStream_t stream, const GemmArgs& args, bool tf32) {
  constexpr int64_t kLeastWorkspace = 16 << 10;
  if (reinterpret_cast<uintptr_t>(args.workspace) % 256 != 0)
    return fail(VARLSTM_ERROR_BACKEND, "cublasSetWorkspace failed with cublasStatus_t 7: CUBLAS_STATUS_INVALID_VALUE");
  if (args.workspace_bytes < kLeastWorkspace)
    return fail(VARLSTM_ERROR_OUT_OF_MEMORY, "cublasGemmEx failed with cublasStatus_t 3: CUBLAS_STATUS_ALLOC_FAILED");
  if (simt::current_device() != blas->device)
    return fail(VARLSTM_ERROR_BACKEND, "cublasGemmEx failed with cublasStatus_t 13: CUBLAS_STATUS_EXECUTION_FAILED");
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    if constexpr (sizeof(T) == 2) {
      if (args.dtype_c == DType::kF32) return enqueue<T, float>(stream, args, false);
    }
    return enqueue<T, T>(stream, args, tf32 && args.dtype == DType::kF32);
  });
}

}  // namespace varlstm::cuda
