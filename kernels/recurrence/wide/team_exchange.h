// How the blocks of a wide team pass each other the values of a step: through buffers in global memory, which bulk
// copies read. For kernel files only.
//
// What a step needs are kParts parts of kPartBytes, for example 64 units of all slots; kMembers blocks write each part.
// A part has a counter, at which a member arrives when it has written its share for a step. The values for step s,
// which are written in step s - 1 (for step 0: before the steps), are in buffer s % 2, complete when every counter is
// (s + 1) * kMembers. A warp of each block waits for all counters, each lane for its own, and then starts the copies.
//   T1: after it every thread of the warpgroup has written its share, and made it visible to the async proxy. Then one
//       thread adds to the counter, as a release at the device's scope. Barriers and releases are cumulative, so the
//       release covers what the other threads wrote before T1.
//   T2: the lanes acquire the counters at the device's scope. The kMembers additions to a counter are each a release of
//       the same word, and continue the release sequences of those before, so what all of them cover is visible to the
//       warp after its barrier. It fences, because its bulk copies read through the async proxy.
//   T3: nobody overwrites what is still read. The values for step s + 2 take the place of those for step s. A block
//       writes them after it has multiplied those for step s + 1, and so has learned from its filler (R2 of
//       stage_ring.h) what T2 made visible: every block had arrived for s + 1, which each did only when its products of
//       step s were done, for which it had waited for the copies.
// The counters must be zeros before the launch. A step's number is below 2^32 / kMembers: its entries in the schedule
// take 16 bytes for each slot.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/arch/device.h"

namespace varlstm::cuda {

// Of one team, in global memory.
template <int kParts_, int kPartBytes_, int kMembers_>
struct alignas(128) TeamArea {
  static constexpr int kParts = kParts_, kPartBytes = kPartBytes_, kMembers = kMembers_;
  unsigned char values[2][kParts][kPartBytes];
  uint32_t written[kParts];
};

template <class Area>
class TeamExchange {
 public:
  VARLSTM_DEVICE explicit TeamExchange(Area* area) : area_(*area) {}

  // Where the values of a part for a step are.
  VARLSTM_DEVICE unsigned char* values(uint32_t step, int part) const { return area_.values[step % 2][part]; }

  // Called by all threads of a warpgroup when they have written their share of a part; `barrier` is the number of a
  // named barrier of theirs.
  VARLSTM_DEVICE void arrive(int part, unsigned barrier) {
    simt::async_proxy_fence_device();
    simt::named_barrier_sync(barrier, 128);  // T1
    if (threadIdx.x % 128 == 0) simt::add_release(&area_.written[part], 1u);
  }

  // Called by all lanes of the warp that starts the copies of the values for a step.
  VARLSTM_DEVICE void wait(uint32_t step) const {
    const uint32_t enough = (step + 1) * Area::kMembers;
    for (unsigned part = threadIdx.x % 32; part < Area::kParts; part += 32)
      simt::spin_until("the values of a step", [&] { return simt::load_acquire(&area_.written[part]) >= enough; });
    simt::async_proxy_fence_device();
    simt::warp_sync();  // T2
  }

 private:
  Area& area_;
};

}  // namespace varlstm::cuda
