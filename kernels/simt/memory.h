// Device memory of the emulator: one arena, apart from the host's heap.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace varlstm::simt {

constexpr int kMostDevices = 2;

// Memory of the device for `bytes`, aligned to 256, filled with NaN bits, between poisoned zones under ASan; null where
// the device is full. Freed memory is poisoned. Any thread may call these.
void* device_allocate(size_t bytes, int device = 0);
void device_free(void* pointer);

// Allocations that were not freed.
int64_t device_allocations();

// Whether all of [pointer, pointer + bytes) lies in one allocation.
bool is_device_memory(const void* pointer, size_t bytes);

}  // namespace varlstm::simt
