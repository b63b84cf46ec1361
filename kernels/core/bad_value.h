// Lets a kernel raise a bit of the context's status word.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/arch/device.h"
#include "kernels/core/device_status.h"

namespace varlstm {

enum class BadValue {
  kLength = 0,
  kTokenId = 1,
  kLabel = 2,
  kReserve = 3,
  kSlot = 4,
  kReset = 5,
  kOffset = 6,
  kLastStep = 7
};

// Records that the value at `index` is bad.
VARLSTM_DEVICE void flag_bad_value(DeviceStatus* status, BadValue what, int64_t index) {
  simt::atomic_min(&status->first_bad[static_cast<int>(what)], static_cast<unsigned long long>(index));
}

}  // namespace varlstm
