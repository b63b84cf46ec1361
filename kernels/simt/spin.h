// Waiting for what another thread does.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/mbarrier.h"

namespace varlstm::simt {

// What the running thread spins for, as reports name it; null: nothing that has a name.
void name_spin(const char* what);

// Asks again until `ready()` is true, which has to load in a way that yields. what: the name of the wait, «the flags of
// a step»; it stands in the report if the wait has no end.
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

}  // namespace varlstm::simt
