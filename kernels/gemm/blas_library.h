// The BLAS library that runs products instead of our own tiles: cuBLAS, opened at run time, or its replacement in the
// emulated build. Nothing is linked, and only blas_library_*.cc know which of the two it is.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/runtime.h"
#include "kernels/gemm/gemm.h"

namespace varlstm::cuda {

// A context's handle of the library, or the reason why there is none. Calls from several threads wait for each other.
struct BlasHandle;

// Opens the library, once in the process, and makes a handle on the current device; returns null if there is no memory.
// It allocates device memory and may synchronise, so it is called only when a context is made.
BlasHandle* open_blas();
// Closes a handle. This waits for the device, so no stream of the device may be captured meanwhile; blas_handles.h
// spares contexts this. A handle with a problem holds nothing on the device. Null is ignored.
void close_blas(BlasHandle* blas);

// Returns the reason why products cannot run, for example "libcublas.so.13, .12 and .11 are not found"; "" if they can.
const char* blas_problem(const BlasHandle* blas);

// C [m, n] <- op(A) op(B) (+ C), without the biases, in stream order, for products that gemm_selection.h calls legal.
// It works only in args.workspace, so the bits are the same from run to run, on any streams. `tf32`: F32 operands may
// be rounded to TF32. The text of an error names the call that failed.
int32_t run_blas_gemm(BlasHandle* blas, cudaStream_t stream, const GemmArgs& args, bool tf32);

}  // namespace varlstm::cuda
