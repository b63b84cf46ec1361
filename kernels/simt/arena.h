// Where device memory lies.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

namespace varlstm::simt {

constexpr size_t kArenaBytes = size_t{64} << 30;  // address space, not memory

// The first byte; null where the system refuses the address space.
unsigned char* arena_base();

// Whether [offset, offset + bytes) lies in an allocation; for the thread that runs kernels.
bool arena_holds(size_t offset, size_t bytes);

}  // namespace varlstm::simt
