// Every kernel that this program can launch, for loading them all when a context is made: by default CUDA loads a
// kernel when it is first launched, which may wait for the device and which a captured stream does not allow.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::cuda {

// A link of the list of kernels, which grows before main() alone.
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

// One for each kernel, wherever launch() names it.
template <auto kKernel>
struct RegisteredKernel {
  inline static KernelEntry entry{reinterpret_cast<const void*>(kKernel)};
};

// Loads them to the current device, each able to take up to `shared_bytes` of shared memory and, where the device has
// clusters of blocks, the largest of those.
int32_t load_kernels(int64_t shared_bytes, bool clusters);

}  // namespace varlstm::cuda
