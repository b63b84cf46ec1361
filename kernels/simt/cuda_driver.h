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

// A tensor in device memory as tensor copies see it (tensor_copy.h). Unlike the driver's, a copy knows where it is and
// whether a thread of a kernel made it, so that a copy from a map that is no argument of the kernel is found.
typedef uint32_t cuuint32_t;
typedef uint64_t cuuint64_t;
struct alignas(64) CUtensorMap {
  cuuint64_t opaque[16];

  CUtensorMap() = default;
  CUtensorMap(const CUtensorMap& other);
  CUtensorMap& operator=(const CUtensorMap& other);
};
enum CUtensorMapDataType {
  CU_TENSOR_MAP_DATA_TYPE_UINT32 = 2,
  CU_TENSOR_MAP_DATA_TYPE_FLOAT16 = 6,
  CU_TENSOR_MAP_DATA_TYPE_FLOAT32 = 7,
  CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 = 9
};
enum CUtensorMapInterleave { CU_TENSOR_MAP_INTERLEAVE_NONE = 0 };
enum CUtensorMapSwizzle { CU_TENSOR_MAP_SWIZZLE_NONE = 0, CU_TENSOR_MAP_SWIZZLE_128B = 3 };
enum CUtensorMapL2promotion { CU_TENSOR_MAP_L2_PROMOTION_NONE = 0, CU_TENSOR_MAP_L2_PROMOTION_L2_128B = 2 };
enum CUtensorMapFloatOOBfill { CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE = 0 };

// Here the rank is 2, and every element counts (strides of 1). What the driver documents to be wrong is an error, so
// that the emulator refuses what a GPU would.
CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* address,
                                const cuuint64_t* extents, const cuuint64_t* pitches, const cuuint32_t* box,
                                const cuuint32_t* strides, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill);
