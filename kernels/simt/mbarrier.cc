// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/mbarrier.h"

#include <string.h>

#include "kernels/simt/async_copy.h"
#include "kernels/simt/race.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt {
namespace {

// The word in shared memory. kTag distinguishes it from memory that was never initialised.
struct State {
  uint64_t pending : 12;   // arrivals that the phase still waits for
  uint64_t arrivals : 12;  // of each phase
  int64_t bytes : 22;      // announced minus arrived
  uint64_t parity : 1;
  uint64_t tag : 17;
};
static_assert(sizeof(State) == sizeof(uint64_t), "an mbarrier is one word");
constexpr uint64_t kTag = 0x1b0a5;

State load(const uint64_t* mbarrier) {
  State state;
  memcpy(&state, mbarrier, sizeof state);
  return state;
}

void store(uint64_t* mbarrier, State state) {
  memcpy(mbarrier, &state, sizeof state);
}

// Begins the next phase if this one is complete.
void settle(uint64_t* mbarrier, State state) {
  if (state.pending == 0 && state.bytes == 0) {
    state.pending = state.arrivals;
    state.parity ^= 1;
  }
  store(mbarrier, state);
  note_progress();
}

}  // namespace

void require_mbarrier(const uint64_t* mbarrier, Site site) {
  if (reinterpret_cast<uintptr_t>(mbarrier) % 8 != 0)
    defect("misaligned access: " + describe(*current_thread) + " at an mbarrier " + describe(site));
  note_access(mbarrier, 8, Access::kAtomic, reinterpret_cast<uintptr_t>(__builtin_return_address(0)));
  if (load(mbarrier).tag != kTag)
    defect("no mbarrier: " + describe(*current_thread) + " " + describe(site) + " uses one that was not initialised");
}

void mbarrier_init(uint64_t* mbarrier, unsigned arrivals, Site site) {
  initialise_mbarrier(mbarrier, arrivals, site, reinterpret_cast<uintptr_t>(__builtin_return_address(0)));
  announce_mbarriers();
}

// The write is a segment of its own, so that it can be announced alone.
void initialise_mbarrier(uint64_t* mbarrier, unsigned arrivals, Site site, uintptr_t pc) {
  if (arrivals == 0 || arrivals > 4095) defect("mbarrier_init " + describe(site) + ": impossible number of arrivals");
  Thread& me = *current_thread;
  me.segment = 0;
  note_access(mbarrier, 8, Access::kWrite, pc);
  me.initialised.push_back(me.segment);
  me.segment = 0;
  State state{};
  state.pending = arrivals;
  state.arrivals = arrivals;
  state.tag = kTag;
  store(mbarrier, state);
  launch_state().released.erase(mbarrier);
}

void announce_mbarriers() {
  announce(current_thread->initialised);
  current_thread->initialised.clear();
}

uint64_t arrive_at_mbarrier(uint64_t* mbarrier, const Arrival& arrival, Site site) {
  require_mbarrier(mbarrier, site);
  const uint64_t before = *mbarrier;
  State state = load(mbarrier);
  if (state.pending < arrival.count)
    defect("double arrival: " + describe(*current_thread) + " at mbarrier_arrive " + describe(site) +
           ": every arrival of the phase has come already");
  if (arrival.releases) release_into(launch_state().released[mbarrier]);
  state.bytes += arrival.bytes;
  state.pending -= arrival.count;
  if (arrival.drops) state.arrivals -= arrival.count;
  settle(mbarrier, state);
  yield_thread();
  return before;
}

void mbarrier_arrive(uint64_t* mbarrier, Site site) {
  arrive_at_mbarrier(mbarrier, {}, site);
}

void mbarrier_arrive_expect_tx(uint64_t* mbarrier, unsigned bytes, Site site) {
  Arrival arrival;
  arrival.bytes = bytes;
  arrive_at_mbarrier(mbarrier, arrival, site);
}

unsigned parity_of_state(uint64_t state) {
  return load(&state).parity;
}

bool test_mbarrier(uint64_t* mbarrier, unsigned parity, bool acquires, Site site) {
  require_mbarrier(mbarrier, site);
  if (load(mbarrier).parity == (parity & 1)) {
    spin(site);
    if (load(mbarrier).parity == (parity & 1)) return false;
  }
  if (acquires) acquire_from(launch_state().released[mbarrier]);
  return true;
}

bool mbarrier_try_wait(uint64_t* mbarrier, unsigned parity, Site site) {
  return test_mbarrier(mbarrier, parity, true, site);
}

void expect_transaction(uint64_t* mbarrier, unsigned bytes, Site site) {
  require_mbarrier(mbarrier, site);
  State state = load(mbarrier);
  state.bytes += bytes;
  store(mbarrier, state);
}

void invalidate_mbarrier(uint64_t* mbarrier, Site site) {
  require_mbarrier(mbarrier, site);
  note_access(mbarrier, 8, Access::kWrite, reinterpret_cast<uintptr_t>(__builtin_return_address(0)));
  store(mbarrier, {});
}

void arrive_with_copies(uint64_t* mbarrier, bool expected, Site site) {
  land_copies();
  if (expected) {
    mbarrier_arrive(mbarrier, site);
  } else {
    require_mbarrier(mbarrier, site);
    release_into(launch_state().released[mbarrier]);
  }
}

void complete_transaction(uint64_t* mbarrier, unsigned bytes, Site) {
  State state = load(mbarrier);
  state.bytes -= bytes;
  settle(mbarrier, state);
}

}  // namespace varlstm::simt
