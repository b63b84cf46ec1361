// Where device memory lies.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

namespace varlstm::simt {

// Address space, not memory: what device 0 has of it, and beside it device 1.
constexpr size_t kFirstDeviceBytes = size_t{64} << 30;
constexpr size_t kArenaBytes = kFirstDeviceBytes + (size_t{4} << 30);

constexpr int device_of(size_t offset) {
  return offset < kFirstDeviceBytes ? 0 : 1;
}

// The first byte; null where the system refuses the address space.
unsigned char* arena_base();

// Whether [offset, offset + bytes) lies in an allocation; for the thread that runs kernels.
bool arena_holds(size_t offset, size_t bytes);

}  // namespace varlstm::simt
