// Implements blas_library.h with cuBLAS. Row-major C = A B is column-major C^T = B^T A^T, so the operands change
// places.
// SPDX-License-Identifier: Apache-2.0
#include <cublas_v2.h>
#include <dlfcn.h>
#include <stdio.h>

#include <mutex>
#include <new>

#include "capi/contract/environment.h"
#include "kernels/core/status.h"
#include "kernels/gemm/blas_library.h"
#include "varlstm.h"

namespace varlstm::cuda {
namespace {

// The functions of the library. Only types come from its header.
struct Cublas {
  decltype(&cublasCreate_v2) create = nullptr;
  decltype(&cublasDestroy_v2) destroy = nullptr;
  decltype(&cublasSetStream_v2) set_stream = nullptr;
  decltype(&cublasSetWorkspace_v2) set_workspace = nullptr;
  decltype(&cublasSetMathMode) set_math_mode = nullptr;
  cublasStatus_t (*gemm)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int, const void*, const void*,
                         cudaDataType, int, const void*, cudaDataType, int, const void*, void*, cudaDataType, int,
                         cublasComputeType_t, cublasGemmAlgo_t) = nullptr;
  decltype(&cublasGetStatusString) status_string = nullptr;
  char problem[256] = "";

  Cublas() {
    void* const library = open_library();
    if (library == nullptr) return;
    find(library, "cublasCreate_v2", &create);
    find(library, "cublasDestroy_v2", &destroy);
    find(library, "cublasSetStream_v2", &set_stream);
    find(library, "cublasSetWorkspace_v2", &set_workspace);
    find(library, "cublasSetMathMode", &set_math_mode);
    find(library, "cublasGemmEx", &gemm);
    find(library, "cublasGetStatusString", &status_string);
  }

 private:
  // The library is never closed, because its own threads and modules may outlive every context.
  void* open_library() {
    if (const char* path = environment(kCublasLibraryVariable)) {
      void* const library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
      if (library == nullptr) snprintf(problem, sizeof problem, "VARLSTM_CUBLAS_LIBRARY = %s: %s", path, dlerror());
      return library;
    }
    for (const char* name : {"libcublas.so.13", "libcublas.so.12", "libcublas.so.11"})
      if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    snprintf(problem, sizeof problem, "libcublas.so.13, .12 and .11 are not found");
    return nullptr;
  }

  template <class Function>
  void find(void* library, const char* name, Function* function) {
    *function = reinterpret_cast<Function>(dlsym(library, name));
    if (*function == nullptr) snprintf(problem, sizeof problem, "the cuBLAS found has no %s", name);
  }
};

const Cublas& cublas() {
  static const Cublas library;
  return library;
}

// This does not report a dead device: the library has a runtime of its own, so the next call of our runtime reports it.
int32_t check_blas(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return VARLSTM_OK;
  return fail(status == CUBLAS_STATUS_ALLOC_FAILED ? VARLSTM_ERROR_OUT_OF_MEMORY : VARLSTM_ERROR_BACKEND,
              "%s failed with cublasStatus_t %d: %s", call, static_cast<int>(status), cublas().status_string(status));
}

cudaDataType data_type(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return CUDA_R_64F;
    case DType::kBF16:
      return CUDA_R_16BF;
    case DType::kF16:
      return CUDA_R_16F;
    default:
      return CUDA_R_32F;
  }
}

}  // namespace

struct BlasHandle {
  std::mutex mutex;
  cublasHandle_t handle = nullptr;
  char problem[256] = "";
};

BlasHandle* open_blas() {
  BlasHandle* const blas = new (std::nothrow) BlasHandle;
  if (blas == nullptr) return nullptr;
  snprintf(blas->problem, sizeof blas->problem, "%s", cublas().problem);
  if (*blas->problem != 0) return blas;
  const char* call = "cublasCreate";
  cublasStatus_t status = cublas().create(&blas->handle);
  if (status == CUBLAS_STATUS_SUCCESS) {
    call = "cublasSetMathMode";
    status = cublas().set_math_mode(blas->handle, CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);
  }
  if (status == CUBLAS_STATUS_SUCCESS) return blas;
  snprintf(blas->problem, sizeof blas->problem, "%s failed with cublasStatus_t %d: %s", call, static_cast<int>(status),
           cublas().status_string(status));
  if (blas->handle != nullptr) (void)cublas().destroy(blas->handle);
  blas->handle = nullptr;
  return blas;
}

void close_blas(BlasHandle* blas) {
  if (blas == nullptr) return;
  if (blas->handle != nullptr) (void)cublas().destroy(blas->handle);
  delete blas;
}

const char* blas_problem(const BlasHandle* blas) {
  return blas == nullptr ? "the context opened no cuBLAS" : blas->problem;
}

int32_t run_blas_gemm(BlasHandle* blas, cudaStream_t stream, const GemmArgs& args, bool tf32) {
  const double one64 = 1, beta64 = args.accumulate ? 1 : 0;
  const float one32 = 1, beta32 = args.accumulate ? 1.f : 0.f;
  const bool wide = args.dtype == DType::kF64;
  const void* const one = wide ? static_cast<const void*>(&one64) : &one32;
  const void* const beta = wide ? static_cast<const void*>(&beta64) : &beta32;
  const cublasComputeType_t compute = wide                                ? CUBLAS_COMPUTE_64F
                                      : args.dtype == DType::kF32 && tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                          : CUBLAS_COMPUTE_32F;
  const cudaDataType type = data_type(args.dtype), type_c = data_type(args.dtype_c);
  const auto size = [](int64_t value) { return static_cast<int>(value); };  // legal products fit
  const auto operation = [](bool transpose) { return transpose ? CUBLAS_OP_T : CUBLAS_OP_N; };

  const std::lock_guard<std::mutex> guard(blas->mutex);
  VARLSTM_CUDA_TRY(check_blas(cublas().set_stream(blas->handle, stream), "cublasSetStream"));
  // After set_stream, which resets the workspace.
  VARLSTM_CUDA_TRY(
      check_blas(cublas().set_workspace(blas->handle, args.workspace, static_cast<size_t>(args.workspace_bytes)),
                 "cublasSetWorkspace"));
  return check_blas(cublas().gemm(blas->handle, operation(args.transpose_b), operation(args.transpose_a), size(args.n),
                                  size(args.m), size(args.k), one, args.b, type, size(args.ldb), args.a, type,
                                  size(args.lda), beta, args.c, type_c, size(args.ldc), compute, CUBLAS_GEMM_DEFAULT),
                    "cublasGemmEx");
}

}  // namespace varlstm::cuda
