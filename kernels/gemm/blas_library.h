// The BLAS library that runs products in place of our own tiles: cuBLAS, opened at run time, or a stand-in for it in
// the emulated build. Nothing is linked, and no file but blas_library_*.cc knows which it is.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/runtime.h"
#include "kernels/gemm/gemm.h"

namespace varlstm::cuda {

// A context's handle of the library, or why it has none. Calls from several threads wait for each other.
struct BlasHandle;

// Opens the library, once in the process, and makes a handle on the current device; null without memory. Allocates
// device memory and may synchronise: for the making of a context alone.
BlasHandle* open_blas();
// Waits for the device, which no stream may be captured on meanwhile; blas_handles.h spares contexts that. Where the
// handle has a problem, nothing of it is on the device. Null is passed over.
void close_blas(BlasHandle* blas);

// Why products cannot run: "libcublas.so.13, .12 and .11 are not found"; "" where they can.
const char* blas_problem(const BlasHandle* blas);

// C [m, n] <- op(A) op(B) (+ C), without the biases, in stream order; for products that gemm_tuning.h calls legal. Runs
// in args.workspace alone: equal bits from run to run, on any streams. `tf32`: F32 operands may be rounded to TF32.
// A call that fails is named in the error's text.
int32_t run_blas_gemm(BlasHandle* blas, cudaStream_t stream, const GemmArgs& args, bool tf32);

}  // namespace varlstm::cuda
