// Barriers in shared memory that count arrivals of threads and bytes of asynchronous stores (mbarrier of the PTX ISA).
// A phase ends when all expected arrivals and all announced bytes have come; its parity is 0 for the first phase.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/simt/site.h"

namespace varlstm::simt {

// For `arrivals` arrivals in each phase. One thread calls; others may use it after a barrier (of the cluster, for
// peers).
void mbarrier_init(uint64_t* mbarrier, unsigned arrivals, Site site = Site::here());

// One arrival; what this thread did before is seen by those that wait for the phase. The second form first announces
// `bytes` more of asynchronous stores for this phase. The mbarrier is this block's own or, for the first form, a
// peer's.
void mbarrier_arrive(uint64_t* mbarrier, Site site = Site::here());
void mbarrier_arrive_expect_tx(uint64_t* mbarrier, unsigned bytes, Site site = Site::here());
// The second form for this block alone: peers see nothing of what this thread did before. Here they do.
inline void mbarrier_announce(uint64_t* mbarrier, unsigned bytes, Site site = Site::here()) {
  mbarrier_arrive_expect_tx(mbarrier, bytes, site);
}

// Whether the phase of that parity has ended: for the current phase's parity false, for the other one true. Yields.
bool mbarrier_try_wait(uint64_t* mbarrier, unsigned parity, Site site = Site::here());

// Emulator's own.
void complete_transaction(uint64_t* mbarrier, unsigned bytes, Site site);
void require_mbarrier(const uint64_t* mbarrier, Site site);

}  // namespace varlstm::simt
