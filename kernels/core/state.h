// The state of one context of the CUDA back end.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "kernels/core/device_facts.h"
#include "kernels/core/runtime.h"

namespace varlstm {

struct DeviceStatus;

namespace cuda {

struct BlasHandle;

struct State : BackendState {
  int device = 0;
  int64_t batch_invariant = 1;
  int64_t math = 0;                // a varlstm_math
  DeviceStatus* status = nullptr;  // device memory
  int multiprocessors = 1;
  DeviceFacts facts;
  BlasHandle* blas = nullptr;  // cuBLAS, or the reason why it is missing
};

}  // namespace cuda
}  // namespace varlstm
