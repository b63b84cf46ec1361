// Lists every kernel that this program can launch, so that all are loaded when a context is made. By default CUDA loads
// a kernel at its first launch; this may wait for the device, and a captured stream does not allow it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::cuda {

// A link of the list of kernels. The list grows only before main().
struct KernelEntry {
  explicit KernelEntry(const void* address_of_kernel) : address(address_of_kernel), next(first()) { first() = this; }
  KernelEntry(const KernelEntry&) = delete;

  static KernelEntry*& first() {
    static KernelEntry* entry = nullptr;
    return entry;
  }

  const void* address;
  KernelEntry* next;
};

// One entry for each kernel that any launch() names.
template <auto kKernel>
struct RegisteredKernel {
  inline static KernelEntry entry{reinterpret_cast<const void*>(kKernel)};
};

// Loads all of them to the current device. Each may then use up to `shared_bytes` of shared memory and, if the device
// has clusters of blocks, the largest clusters.
int32_t load_kernels(int64_t shared_bytes, bool clusters);

}  // namespace varlstm::cuda
