// The address space that the emulator reserves when it is loaded. Memory is taken page by page when it is touched.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace varlstm::simt {

// Device memory: that of device 0, followed by that of device 1.
constexpr size_t kFirstDeviceBytes = size_t{64} << 30;
constexpr size_t kArenaBytes = kFirstDeviceBytes + (size_t{4} << 30);
constexpr size_t kArenaUnit = 256;  // bytes; allocations begin at multiples of it

// The shared memory of the resident blocks: kSharedStride bytes for each.
constexpr size_t kSharedStride = 256 << 10;
constexpr size_t kSharedBlocks = 512;
constexpr size_t kSharedBytes = kSharedStride * kSharedBlocks;

// The stacks of threads: a guard page, unused pages and kStackBytes for each.
constexpr size_t kStackBytes = 120 << 10;
constexpr size_t kStackStride = 128 << 10;
constexpr size_t kStacks = 300 << 10;

// The race detector's memory: four recent accesses for each four bytes.
constexpr size_t kShadowBytesOfByte = 8;

// Each pointer is null if the system refused the memory.
struct AddressSpace {
  unsigned char* arena;
  uint16_t* valid_bytes;  // of each unit of the arena, how many belong to an allocation
  unsigned char* shared;
  unsigned char* stacks;
  uint64_t* arena_shadow;
  uint64_t* shared_shadow;
};
extern AddressSpace address_space;

// Offsets. For every address outside the area they are larger than the area.
inline size_t offset_in_arena(const void* address) {
  return reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(address_space.arena);
}
inline size_t offset_in_shared(const void* address) {
  return reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(address_space.shared);
}
inline bool in_fiber_stack(const void* address) {
  return reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(address_space.stacks) <
         kStackStride * kStacks;
}

// Returns whether [offset, offset + bytes) is in one allocation.
inline bool arena_holds(size_t offset_in_arena, size_t bytes) {
  const uint16_t* unit = address_space.valid_bytes + offset_in_arena / kArenaUnit;
  size_t end = offset_in_arena % kArenaUnit + bytes;
  for (; end > kArenaUnit; end -= kArenaUnit)
    if (*unit++ != kArenaUnit) return false;
  return end <= *unit;
}

constexpr int device_of(size_t offset_in_arena) {
  return offset_in_arena < kFirstDeviceBytes ? 0 : 1;
}

}  // namespace varlstm::simt
