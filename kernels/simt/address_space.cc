// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/address_space.h"

#include <sys/mman.h>

namespace varlstm::simt {

AddressSpace address_space = {};

namespace {

template <class T>
T* reserve(size_t bytes) {
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return mapped == MAP_FAILED ? nullptr : static_cast<T*>(mapped);
}

// Runs before the constructors of static objects, which may allocate device memory.
__attribute__((constructor(101))) void reserve_address_space() {
  address_space.arena = reserve<unsigned char>(kArenaBytes);
  address_space.valid_bytes = reserve<uint16_t>(kArenaBytes / kArenaUnit * sizeof(uint16_t));
  address_space.shared = reserve<unsigned char>(kSharedBytes);
  address_space.stacks = reserve<unsigned char>(kStackStride * kStacks);
  address_space.arena_shadow = reserve<uint64_t>(kArenaBytes * kShadowBytesOfByte);
  address_space.shared_shadow = reserve<uint64_t>(kSharedBytes * kShadowBytesOfByte);
}

}  // namespace
}  // namespace varlstm::simt
