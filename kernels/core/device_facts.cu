// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/device_facts.h"

#include "kernels/core/launch.h"
#include "varlstm.h"

namespace varlstm::cuda {

// Never runs. It represents a resident kernel when the runtime is asked how many blocks and clusters are resident.
VARLSTM_KERNEL void __launch_bounds__(256, 1) occupant_kernel() {}

namespace {

int32_t ask(int device, cudaDeviceAttr attribute, int* value) {
  return check_runtime(cudaDeviceGetAttribute(value, attribute, device), "cudaDeviceGetAttribute");
}

// Whether the first use of a kernel failed because the library has neither machine code nor PTX that the device runs.
bool has_no_code(cudaError_t error) {
  const int number = static_cast<int>(error);
  return number == 98 || number == 209;  // cudaErrorInvalidDeviceFunction, cudaErrorNoKernelImageForDevice
}

}  // namespace

int32_t ask_device_facts(int device, DeviceFacts* facts) {
  int major = 0, minor = 0, cooperative = 0, shared = 0, multiprocessors = 0;
  VARLSTM_CUDA_TRY(ask(device, cudaDevAttrComputeCapabilityMajor, &major));
  VARLSTM_CUDA_TRY(ask(device, cudaDevAttrComputeCapabilityMinor, &minor));
  VARLSTM_CUDA_TRY(ask(device, cudaDevAttrCooperativeLaunch, &cooperative));
  VARLSTM_CUDA_TRY(ask(device, cudaDevAttrMaxSharedMemoryPerBlockOptin, &shared));
  VARLSTM_CUDA_TRY(ask(device, cudaDevAttrMultiProcessorCount, &multiprocessors));
  facts->capability = 10 * major + minor;
  facts->shared_bytes = shared;
  LaunchShape shape;
  shape.block = dim3(256);
  shape.shared_bytes = static_cast<size_t>(shared);  // one block on each multiprocessor
  int blocks = 0;
  const cudaError_t first_use = simt::blocks_of_multiprocessor(shape, occupant_kernel, &blocks);
  if (has_no_code(first_use)) {
    ignore_failure(first_use);
    return fail(VARLSTM_ERROR_UNSUPPORTED,
                "device %d has compute capability %d.%d, for which this library was built without code", device, major,
                minor);
  }
  VARLSTM_CUDA_TRY(check_runtime(first_use, "cudaOccupancyMaxActiveBlocksPerMultiprocessor"));
  facts->resident_blocks = cooperative ? blocks * multiprocessors : 0;
  facts->active_clusters[0] = multiprocessors;
  for (int k = 1; k < kClusterSizes; ++k) {
    facts->active_clusters[k] = 0;
    if (facts->capability < 90) continue;
    shape.grid = dim3(1u << k);
    shape.cluster = 1u << k;
    // A cluster size that the device does not support is no error: no such cluster is resident.
    const cudaError_t error = simt::resident_clusters(shape, occupant_kernel, &facts->active_clusters[k]);
    if (error != cudaSuccess) facts->active_clusters[k] = 0;
    ignore_failure(error);
  }
  return VARLSTM_OK;
}

int32_t load_kernels(int64_t shared_bytes, bool clusters) {
  for (const KernelEntry* entry = KernelEntry::first(); entry != nullptr; entry = entry->next)
    VARLSTM_CUDA_TRY(check_runtime(simt::load(entry->address, shared_bytes, clusters), "cudaFuncGetAttributes"));
  return VARLSTM_OK;
}

}  // namespace varlstm::cuda
