// Waits, on a GPU, for the action of another thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arch/cluster_cuda.h"

#if defined(VARLSTM_SPIN_TRAP)
#include <stdio.h>
#endif

namespace varlstm::simt {

// Calls `ready()` until it is true; ready itself must not wait. what: the name of the wait, for example «the flags of a
// step». A build with VARLSTM_SPIN_TRAP prints the name with the block and the thread, and ends the kernel with a trap,
// if the wait takes that many seconds. Any other build waits for ever.
template <class Ready>
VARLSTM_DEVICE void spin_until(const char* what, const Ready& ready) {
#if defined(VARLSTM_SPIN_TRAP)
  constexpr uint64_t kLimitNs = uint64_t{VARLSTM_SPIN_TRAP} * 1000000000;
  constexpr unsigned kPollsPerReading = 16;  // the clock costs more than a poll
  uint64_t begin = 0;
  for (unsigned polls = 1; !ready(); ++polls) {
    if (polls % kPollsPerReading != 0) continue;
    const uint64_t now = time_ns();
    if (begin == 0) begin = now;
    if (now - begin < kLimitNs) continue;
    printf("varlstm: block %u,%u,%u thread %u,%u,%u has waited %d s for %s\n", blockIdx.x, blockIdx.y, blockIdx.z,
           threadIdx.x, threadIdx.y, threadIdx.z, VARLSTM_SPIN_TRAP, what);
    __trap();
  }
#else
  (void)what;
  while (!ready()) {
  }
#endif
}

VARLSTM_DEVICE void mbarrier_wait_bytes(uint64_t* mbarrier, unsigned parity, const char* what = "an mbarrier's bytes") {
  spin_until(what, [&] { return mbarrier_try_wait_bytes(mbarrier, parity); });
}
VARLSTM_DEVICE void mbarrier_wait(uint64_t* mbarrier, unsigned parity, const char* what = "an mbarrier's phase") {
  spin_until(what, [&] { return mbarrier_try_wait(mbarrier, parity); });
}

}  // namespace varlstm::simt
