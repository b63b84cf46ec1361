// The API of the CUDA runtime: the toolkit's, or in the emulated build the emulator's.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#if defined(VARLSTM_EMULATED)
#include "kernels/simt/cuda_runtime.h"
#else
#include <cuda_runtime.h>
#endif
