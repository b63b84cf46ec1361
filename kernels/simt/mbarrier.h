// Barriers in shared memory that count arrivals of threads and bytes of asynchronous stores (mbarrier of the PTX ISA).
// A phase ends when all expected arrivals and all announced bytes have come. The first phase has parity 0.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/simt/site.h"

namespace varlstm::simt {

// Initialises an mbarrier for `arrivals` arrivals in each phase. One thread calls this; others may use the mbarrier
// after a barrier (of the cluster, for peers).
void mbarrier_init(uint64_t* mbarrier, unsigned arrivals, Site site = Site::here());

// One arrival; threads that wait for the phase see what this thread did before. The second form first announces `bytes`
// more of asynchronous stores for this phase. The mbarrier is this block's own or, for the first form, a peer's.
void mbarrier_arrive(uint64_t* mbarrier, Site site = Site::here());
void mbarrier_arrive_expect_tx(uint64_t* mbarrier, unsigned bytes, Site site = Site::here());
// The first form for a thread that has only read: on a GPU others do not see what it did before. In the emulator they
// do.
inline void mbarrier_arrive_reader(uint64_t* mbarrier, Site site = Site::here()) {
  mbarrier_arrive(mbarrier, site);
}
// The second form for this block only: on a GPU peers do not see what this thread did before. In the emulator they do.
inline void mbarrier_announce(uint64_t* mbarrier, unsigned bytes, Site site = Site::here()) {
  mbarrier_arrive_expect_tx(mbarrier, bytes, site);
}

// Returns whether the phase of that parity has ended: false for the parity of the current phase, true for the other.
// Yields.
bool mbarrier_try_wait(uint64_t* mbarrier, unsigned parity, Site site = Site::here());
// The same for a thread that then reads only what the announced asynchronous stores brought, or what its own block did.
// On a GPU it does not see peers' other writes. In the emulator it does.
inline bool mbarrier_try_wait_bytes(uint64_t* mbarrier, unsigned parity, Site site = Site::here()) {
  return mbarrier_try_wait(mbarrier, parity, site);
}

// Emulator's own: mbarrier.init of PTX, without the fence after it. A peer may use the mbarrier after a releasing
// arrival at the cluster's barrier, or after a relaxed arrival that follows fence.mbarrier_init or another fence.
void initialise_mbarrier(uint64_t* mbarrier, unsigned arrivals, Site site, uintptr_t pc);
// fence.mbarrier_init: releases the thread's initialised mbarriers, and nothing else.
void announce_mbarriers();

// Emulator's own: mbarrier.arrive of PTX with all its options.
struct Arrival {
  unsigned count = 1;    // of arrivals
  unsigned bytes = 0;    // announced before it
  bool drops = false;    // later phases expect that many fewer
  bool releases = true;  // releases what this thread did before
};
// Returns the mbarrier's state before, which identifies the phase for a wait.
uint64_t arrive_at_mbarrier(uint64_t* mbarrier, const Arrival& arrival, Site site);
// Whether the phase that a state or a parity identifies has ended.
unsigned parity_of_state(uint64_t state);
bool test_mbarrier(uint64_t* mbarrier, unsigned parity, bool acquires, Site site);
// Announces bytes without an arrival.
void expect_transaction(uint64_t* mbarrier, unsigned bytes, Site site);
// Afterwards the memory is no mbarrier any more.
void invalidate_mbarrier(uint64_t* mbarrier, Site site);
// An arrival of this thread's copies by cp.async, which complete at once here. If it is not one of the arrivals that
// the phase expects, the phase expects one more for it.
void arrive_with_copies(uint64_t* mbarrier, bool expected, Site site);

// Emulator's own.
void complete_transaction(uint64_t* mbarrier, unsigned bytes, Site site);
void require_mbarrier(const uint64_t* mbarrier, Site site);

}  // namespace varlstm::simt
