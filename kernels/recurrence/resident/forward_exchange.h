// The exchange of forward: how the blocks of a team give each other the hidden state of a step. There are three ways
// with one interface; that of policy grid is in grid_forward_exchange.h.
//
//   begin(unit)        before the first push; every thread. unit: of this thread's cells, counted in the whole layer
//   push(step, n, p)   the states of that unit before `step`, of the thread's two slots of slot tile n, for the whole
//                      team
//   publish(step)      after a thread's pushes for that step; every thread. kPublishes: it does something
//   wait(step)         every thread; returns the state before `step` of all units in shared memory
//   arm(step)          after wait(step) and before the pushes for the step after it; every thread that pushes
//   drain(steps)       after the last of so many steps, which has pushed the states after it; every thread
//   end()              every thread, if the team has steps or not
//
// A state is in shared memory as StateBuffer has it: unit after unit, each with the 8 slots of a slot tile. So a thread
// pushes what it has itself, and the product takes 16 bits by a transposing ldmatrix, whose rows of 16 bytes follow one
// another: no bank conflicts. Nor has the product of 32 bits any, in which a warp loads the 8 slots of 4 units.
//
// Two buffers alternate: `step` uses buffer step % 2. A buffer is written again, for step + 2, only by blocks that have
// seen the whole state before step + 1. That state is complete only after every warp of the team has read the buffer
// for `step`, because a lane's last values for step + 1 are pushed after its warp's last product of `step`, and every
// lane pushes to every block. If kSplits > kSlotTiles, some warps push nothing. S4 of resident_forward.h then comes
// after their product, and before the pushes of the other warps of their block. So no further barrier is needed for the
// reuse.
//
// Example for the cluster: step 4 uses buffer 0 and phase 2 of full[0], whose parity is 2 % 2 = 0; step 5 uses buffer 1
// and phase 2 of full[1]; step 6 uses buffer 0 and phase 3, with parity 1. A block pushes for step 6 when it has
// computed step 5, so it has waited for the state before step 5, and every warp that pushed to that state had already
// read buffer 0 for step 4.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/resident/resident_tile.h"

namespace varlstm::cuda {

// Example: in the tile of resident_tile.h, lane 9 has unit 90 and the slots 2 and 3 of slot tile 1 (slots 10 and 11 of
// the team), which are h[1][90][2] and h[1][90][3].
template <class Tile>
struct alignas(16) StateBuffer {
  using Pair = typename Tile::Math::Pair;
  static constexpr int kDistance = Tile::kHidden * 8;  // of slot tiles, in values

  typename Tile::Value h[Tile::kSlotTiles][Tile::kHidden][8];

  // The two slots of a thread.
  VARLSTM_DEVICE Pair* place(int slot_tile, int unit) {
    return reinterpret_cast<Pair*>(&h[slot_tile][unit][2 * lane_column()]);
  }
};

template <class Tile>
struct GridForwardArea;  // grid_forward_exchange.h

// The exchange of a team of one block.
template <class Tile>
class BlockForwardExchange {
 public:
  static constexpr bool kPublishes = false;
  using Area = GridForwardArea<Tile>;
  using Pair = typename Tile::Math::Pair;
  struct Shared {
    StateBuffer<Tile> buffer[2];
  };

  VARLSTM_DEVICE BlockForwardExchange(Shared& shared, Area*, const Team&) : shared_(shared) {}
  VARLSTM_DEVICE void begin(int unit) { unit_ = unit; }
  VARLSTM_DEVICE void push(const Step& step, int slot_tile, Pair states) {
    *shared_.buffer[step.odd].place(slot_tile, unit_) = states;
  }
  VARLSTM_DEVICE void publish(const Step&) {}
  VARLSTM_DEVICE const StateBuffer<Tile>& wait(const Step& step) {
    simt::block_sync();  // S1: the state before this step is there for the block
    return shared_.buffer[step.odd];
  }
  VARLSTM_DEVICE void arm(const Step&) {}
  VARLSTM_DEVICE void drain(uint32_t) {}
  VARLSTM_DEVICE void end() {}

 private:
  Shared& shared_;
  int unit_;
};

// The exchange of a team that is a thread-block cluster. States are pushed to the shared memory of every block with
// st.async, and an mbarrier counts the bytes.
template <class Tile>
class ClusterForwardExchange {
  static constexpr unsigned kBytes = sizeof(StateBuffer<Tile>);

 public:
  static constexpr bool kPublishes = false;
  using Area = GridForwardArea<Tile>;
  using Pair = typename Tile::Math::Pair;
  struct Shared {
    StateBuffer<Tile> buffer[2];
    uint64_t full[2];  // phase k of full[b] completes with the state before step 2 k + b
  };

  VARLSTM_DEVICE ClusterForwardExchange(Shared& shared, Area*, const Team&) : shared_(shared) {}
  VARLSTM_DEVICE void begin(int unit) {
    if (threadIdx.x == 0) {
      for (int b = 0; b < 2; ++b) {
        simt::mbarrier_init(&shared_.full[b], 1);
        simt::mbarrier_announce(&shared_.full[b], kBytes);
      }
    }
    const Pair* place = shared_.buffer[0].place(0, unit);
    to_full_ =
        static_cast<uint32_t>(reinterpret_cast<uintptr_t>(&shared_.full[0]) - reinterpret_cast<uintptr_t>(place));
    simt::keep(to_full_);
#pragma unroll
    for (unsigned peer = 0; peer < Tile::kBlocks; ++peer) peers_[peer] = simt::cluster_address(place, peer);
    simt::cluster_sync();  // S0: every block's mbarriers are armed
  }
  VARLSTM_DEVICE void push(const Step& step, int slot_tile, Pair states) {
    const auto odd = static_cast<uint32_t>(step.odd), tile = static_cast<uint32_t>(slot_tile);
    const uint32_t place = odd * kBytes + tile * static_cast<uint32_t>(sizeof shared_.buffer[0].h[0]);
    const uint32_t full = to_full_ + odd * static_cast<uint32_t>(sizeof shared_.full[0]);
#pragma unroll
    for (int peer = 0; peer < Tile::kBlocks; ++peer) {
      simt::ClusterAddress to = peers_[peer];
      simt::keep(to);
      simt::st_async(to + place, states, to + full);
    }
  }
  VARLSTM_DEVICE void publish(const Step&) {}
  VARLSTM_DEVICE const StateBuffer<Tile>& wait(const Step& step) {
    // S1: the state before this step is there. It came by asynchronous stores alone. Of what other blocks of the launch
    // do otherwise, nothing is read but words that show by themselves whether they have come (checked_words.h).
    simt::mbarrier_wait_bytes(&shared_.full[step.odd], step.pair % 2, "a step's states from the cluster");
    return shared_.buffer[step.odd];
  }
  // No block pushes for step + 2 before this thread's warp has pushed for step + 1.
  VARLSTM_DEVICE void arm(const Step& step) {
    if (threadIdx.x == 0) simt::mbarrier_announce(&shared_.full[step.odd], kBytes);
  }
  VARLSTM_DEVICE void drain(uint32_t steps) {
    // S2: the states after the last step are there.
    simt::mbarrier_wait_bytes(&shared_.full[steps % 2], steps / 2 % 2, "the last states from the cluster");
  }
  VARLSTM_DEVICE void end() {
    simt::cluster_sync();
  }  // S3: no block pushes to a block that has ended

 private:
  Shared& shared_;
  simt::ClusterAddress peers_[Tile::kBlocks];  // where this thread's states go in each block's buffer 0
  uint32_t to_full_;                           // from there to the block's full[0]
};

}  // namespace varlstm::cuda
