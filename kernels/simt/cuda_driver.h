// The part of the CUDA driver's API that the back end and its tests use, for the emulated build. Names and meanings are
// the same. https://docs.nvidia.com/cuda/cuda-driver-api/
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/cuda_runtime.h"

enum CUresult {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_INVALID_VALUE = 1,
  CUDA_ERROR_INVALID_DEVICE = 101,
  CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900
};

typedef int CUdevice;
typedef struct CUctx_st* CUcontext;

// Each thread has a current context, or none at first. Every copy of the runtime in the process works in it: if there
// is a current context, its device is the runtime's current device. If there is none, the first call of a copy that
// needs one makes a context current: the primary context of the device that the thread has chosen in that copy.
// cudaSetDevice() does so at once.
CUresult cuCtxGetCurrent(CUcontext* context);
// Tests cannot make it fail.
CUresult cuCtxSetCurrent(CUcontext context);

// Waits for all work of the current context. While a stream is captured this is an error in every thread, whatever the
// thread's mode, and makes the capture invalid.
CUresult cuCtxSynchronize();

// *active <- whether any code has used the device's primary context; *flags <- 0.
CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active);
