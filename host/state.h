// What one context of the host back end holds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <mutex>

namespace varlstm {

struct BackendState {
  int64_t threads = 0;  // 0: as many as the machine has
  int64_t batch_invariant = 1;

  // Bad values seen, as varlstm_ctx_device_status reports them; entry k belongs to bit 1 << k, -1 is "none".
  std::mutex status_mutex;
  int64_t first_bad_index[3] = {-1, -1, -1};

  // Notes that the value at `index` was bad.
  void flag(int bit_position, int64_t index) {
    const std::lock_guard<std::mutex> lock(status_mutex);
    int64_t& first = first_bad_index[bit_position];
    if (first < 0 || index < first) first = index;
  }
};

}  // namespace varlstm
