// Waits for the action of another thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/mbarrier.h"

namespace varlstm::simt {

// Sets the name of what the running thread spins for, for reports; null if it has no name.
void name_spin(const char* what);

// Calls `ready()` until it is true. `ready` must load in a way that yields. what: the name of the wait, for example
// «the flags of a step», for the report if the wait never ends.
template <class Ready>
void spin_until(const char* what, const Ready& ready) {
  name_spin(what);
  while (!ready()) {
  }
  name_spin(nullptr);
}

inline void mbarrier_wait(uint64_t* mbarrier, unsigned parity, const char* what = "an mbarrier's phase",
                          Site site = Site::here()) {
  spin_until(what, [&] { return mbarrier_try_wait(mbarrier, parity, site); });
}

inline void mbarrier_wait_bytes(uint64_t* mbarrier, unsigned parity, const char* what = "an mbarrier's bytes",
                                Site site = Site::here()) {
  spin_until(what, [&] { return mbarrier_try_wait_bytes(mbarrier, parity, site); });
}

}  // namespace varlstm::simt
