// The state of one context of the host back end: its options, and the status word that records bad values.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <mutex>

#include "capi/contract/shapes.h"

namespace varlstm::host {

struct State : BackendState {
  int64_t threads = 0;          // 0: as many as the machine has
  int64_t batch_invariant = 1;  // no effect: the host is batch-invariant for 0 too
  int64_t math = 0;             // a varlstm_math; no effect on the host

  // Raises a varlstm_device_status_bit for the bad value at `index`; does nothing if index is -1.
  void flag_if_any(int64_t bit, int64_t index) {
    if (index < 0) return;
    const std::lock_guard<std::mutex> lock(status_mutex_);
    for (int k = 0; k < kBits; ++k) {
      int64_t& first = first_bad_index_[k];
      if (bit == 1 << k && (first < 0 || index < first)) first = index;
    }
  }

  // The result of varlstm_ctx_device_status: the bits raised, and the first index of the lowest one, or -1.
  void read_status(int64_t* bits, int64_t* first_index, bool reset) {
    const std::lock_guard<std::mutex> lock(status_mutex_);
    *bits = 0;
    *first_index = -1;
    for (int k = kBits - 1; k >= 0; --k) {
      if (first_bad_index_[k] < 0) continue;
      *bits |= 1 << k;
      *first_index = first_bad_index_[k];
      if (reset) first_bad_index_[k] = -1;
    }
  }

 private:
  static constexpr int kBits = 7;  // bit k is 1 << k; the host raises neither RESERVE, SLOT, OFFSET nor LAST_STEP
  std::mutex status_mutex_;
  int64_t first_bad_index_[kBits] = {-1, -1, -1, -1, -1, -1, -1};  // -1 if the bit is not raised
};

// The host's state of a context.
inline State* host_state(BackendState* state) {
  return static_cast<State*>(state);
}
inline const State* host_state(const BackendState* state) {
  return static_cast<const State*>(state);
}

}  // namespace varlstm::host
