// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/current_context.h"

#include "kernels/core/driver.h"
#include "kernels/core/status.h"
#include "varlstm.h"

namespace varlstm::cuda {
int32_t enter_device(int32_t device, void** previous) {
  if (driver().get_current == nullptr || driver().set_current == nullptr)
    return fail(VARLSTM_ERROR_BACKEND, "libcuda.so.1 with cuCtxGetCurrent and cuCtxSetCurrent is not found");
  CUcontext current = nullptr;
  // The driver's errors have the same numbers as the runtime's.
  VARLSTM_CUDA_TRY(check_runtime(static_cast<cudaError_t>(driver().get_current(&current)), "cuCtxGetCurrent"));
  *previous = current;
  return check_runtime(cudaSetDevice(device), "cudaSetDevice");
}

void leave_device(void* previous) {
  (void)driver().set_current(static_cast<CUcontext>(previous));
}

}  // namespace varlstm::cuda
