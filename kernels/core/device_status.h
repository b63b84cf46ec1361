// The status word of a context, in device memory: values that only the device could see and that were bad.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace varlstm {

// Entry k belongs to bit 1 << k of varlstm_device_status_bit: the smallest bad index, or kNothingBad.
struct DeviceStatus {
  static constexpr int kBits = 4;
  static constexpr unsigned long long kNothingBad = ~0ull;  // cudaMemset with 0xff
  unsigned long long first_bad[kBits];
};

}  // namespace varlstm
