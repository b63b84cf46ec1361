// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/context.h"

#include <stdio.h>
#include <stdlib.h>

#include <atomic>

#include "kernels/simt/memory.h"
#include "kernels/simt/runtime_call.h"
#include "kernels/simt/runtime_control.h"

struct CUctx_st {
  int device;
  std::atomic<bool> active;
};

namespace varlstm::simt {
namespace {

static_assert(kMostDevices == 2);
CUctx_st primary[kMostDevices] = {{0, {false}}, {1, {false}}};
CUctx_st others[kMostDevices] = {{0, {true}}, {1, {true}}};

thread_local int chosen_device = 0;
thread_local CUcontext current = nullptr;

}  // namespace

// The variable is read again in each call, so that a test can have no device, or a second one.
int device_count() {
  const char* text = getenv("VARLSTM_EMULATOR_DEVICES");
  if (text == nullptr) return 1;
  char* rest = nullptr;
  const long count = strtol(text, &rest, 10);
  if (rest != text && *rest == 0 && count >= 0 && count <= kMostDevices) return static_cast<int>(count);
  fprintf(stderr, "VARLSTM_EMULATOR_DEVICES = %s is no number in 0 ... %d\n", text, kMostDevices);
  abort();
}

cudaError_t check_device(int device) {
  return device >= 0 && device < device_count() ? cudaSuccess : cudaErrorInvalidDevice;
}

int current_device() {
  return current != nullptr ? current->device : chosen_device;
}

void choose_device(int device) {
  chosen_device = device;
  current = &primary[device];
  current->active = true;
}

cudaError_t begin_device_call(const char* name) {
  const cudaError_t error = begin_runtime_call(name);
  if (error == cudaSuccess && current == nullptr) choose_device(chosen_device);
  return error;
}

void forget_contexts() {
  for (CUctx_st& context : primary) context.active = false;
  chosen_device = 0;
  current = nullptr;
}

CUcontext context_beside_the_primary(int device) {
  return &others[device];
}

}  // namespace varlstm::simt

using namespace varlstm::simt;

CUresult cuCtxGetCurrent(CUcontext* context) {
  const cudaError_t error = begin_runtime_call("cuCtxGetCurrent");
  if (error == cudaSuccess) *context = current;
  return static_cast<CUresult>(error);
}

CUresult cuCtxSetCurrent(CUcontext context) {
  current = context;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
  if (check_device(device) != cudaSuccess) return CUDA_ERROR_INVALID_DEVICE;
  *flags = 0;
  *active = primary[device].active ? 1 : 0;
  return CUDA_SUCCESS;
}
