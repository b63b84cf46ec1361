// The status word of a context, in device memory. It records bad values that only the device could see.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace varlstm {

// Entry k belongs to bit 1 << k of varlstm_device_status_bit. It is the smallest index of a bad value, or kNothingBad.
struct DeviceStatus {
  static constexpr int kBits = 8;
  static constexpr unsigned long long kNothingBad = ~0ull;  // as cudaMemset with 0xff sets it
  unsigned long long first_bad[kBits];
};

}  // namespace varlstm
