// The device memory of the emulator: one arena, separate from the host's heap.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace varlstm::simt {

constexpr int kMostDevices = 2;

// Allocates `bytes` of the device's memory, aligned to 256, filled with NaN bits, and with poisoned zones around it
// under ASan. Returns null if the device is full. Freed memory is poisoned. Any thread may call these.
void* device_allocate(size_t bytes, int device = 0);
void device_free(void* pointer);

// Returns the number of allocations that were not freed.
int64_t device_allocations();

// Returns whether all of [pointer, pointer + bytes) is in one allocation.
bool is_device_memory(const void* pointer, size_t bytes);

}  // namespace varlstm::simt
