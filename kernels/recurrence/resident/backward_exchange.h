// The exchange of backward: how the blocks of a team add up the gradient that flows back to the states. The product of
// each block gives a part of dh for every unit, and the unit's owner adds the parts in the order of the blocks. There
// are three ways with one interface. A turn is a step counted in the order of backward: turn 0 is the last step.
//
//   begin()          before the first push; every thread
//   push(turn, ...)  this block's part for two neighbouring slots of a unit, to the unit's owner
//   publish(turn)    after a thread's pushes of that turn; every thread; a barrier of the block in all three ways
//   wait(turn)       every thread; then
//   sum(turn, ...)   the sum of all parts of that turn for a unit of this block
//   end()            after the last sum; every thread
//
// Two buffers alternate: turn uses buffer turn % 2. Parts of turn + 2 come only from blocks that have seen all parts of
// turn + 1. This block's warps pushed their parts of turn + 1 after its threads had read the parts of turn, because a
// barrier of the block is between them (S5 of resident_backward.h). So no part is overwritten before it is read.
//
// Example: a team of 4 blocks with 64 units each. Block 0 pushes its part for unit 130 and slots 6 and 7 to the owner,
// block 130 / 64 = 2, where it goes to parts[0][130 % 64 = 2][6 and 7]. For that unit block 2 adds parts[0] + parts[1]
// + parts[2] + parts[3].
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/resident/resident_tile.h"

namespace varlstm::cuda {

struct alignas(8) SlotPair {
  float part[2];
};

// A unit, counted in the whole layer, and the first of two slots.
struct PartPlace {
  int unit;
  int slot;
};

// The memory, in global memory, through which a team of policy grid exchanges parts. The flags must be zeros before the
// launch.
template <class Tile>
struct GridBackwardArea {
  float parts[2][Tile::kBlocks][Tile::kBlocks][Tile::kUnits][Tile::kSlots];  // by owner and source
  uint32_t flags[Tile::kBlocks * 8];  // of each block, 32 bytes apart: the number of turns published
};

// The parts of every source, in the owner's shared memory. Two more floats from unit to unit put neighbouring units of
// a warp on different banks.
template <class Tile>
struct PartBuffer {
  float parts[Tile::kBlocks][Tile::kUnits][Tile::kSlots + 2];

  VARLSTM_DEVICE SlotPair* place(int source, const PartPlace& at) {
    return reinterpret_cast<SlotPair*>(&parts[source][at.unit % Tile::kUnits][at.slot]);
  }
  VARLSTM_DEVICE float sum(int unit, int slot) const {
    float total = parts[0][unit][slot];
#pragma unroll
    for (int source = 1; source < Tile::kBlocks; ++source) total += parts[source][unit][slot];
    return total;
  }
};

// The exchange of a team of one block.
template <class Tile>
class BlockBackwardExchange {
 public:
  using Area = GridBackwardArea<Tile>;
  struct Shared {
    alignas(16) PartBuffer<Tile> buffer[2];
  };

  VARLSTM_DEVICE BlockBackwardExchange(Shared& shared, Area*, const Team&) : shared_(shared) {}
  VARLSTM_DEVICE void begin() {}
  VARLSTM_DEVICE void push(int64_t turn, const PartPlace& at, const SlotPair& pair) {
    *shared_.buffer[turn % 2].place(0, at) = pair;
  }
  VARLSTM_DEVICE void publish(int64_t) { simt::block_sync(); }  // S1: the turn's parts are there for the block
  VARLSTM_DEVICE void wait(int64_t) {}
  VARLSTM_DEVICE float sum(int64_t turn, int unit, int slot) const { return shared_.buffer[turn % 2].sum(unit, slot); }
  VARLSTM_DEVICE void end() {}

 private:
  Shared& shared_;
};

// The exchange of a team that is a thread-block cluster. Parts are pushed to the owner's shared memory with st.async,
// and an mbarrier counts the bytes.
template <class Tile>
class ClusterBackwardExchange {
  static constexpr unsigned kBytes = sizeof(float) * Tile::kBlocks * Tile::kUnits * Tile::kSlots;

 public:
  using Area = GridBackwardArea<Tile>;
  struct Shared {
    alignas(16) PartBuffer<Tile> buffer[2];
    uint64_t full[2];  // phase k of full[b] completes with the parts of turn 2 k + b
  };

  VARLSTM_DEVICE ClusterBackwardExchange(Shared& shared, Area*, const Team& team) : shared_(shared), rank_(team.rank) {}
  VARLSTM_DEVICE void begin() {
    if (threadIdx.x == 0) {
      for (int b = 0; b < 2; ++b) {
        simt::mbarrier_init(&shared_.full[b], 1);
        simt::mbarrier_announce(&shared_.full[b], kBytes);
      }
    }
    simt::cluster_sync();  // S0: every block's mbarriers are armed
  }
  VARLSTM_DEVICE void push(int64_t turn, const PartPlace& at, const SlotPair& pair) {
    const unsigned owner = static_cast<unsigned>(at.unit / Tile::kUnits);
    uint64_t bits;
    memcpy(&bits, &pair, sizeof bits);
    uint64_t* to = reinterpret_cast<uint64_t*>(shared_.buffer[turn % 2].place(rank_, at));
    simt::st_async(simt::cluster_map(to, owner), bits, simt::cluster_map(&shared_.full[turn % 2], owner));
  }
  VARLSTM_DEVICE void publish(int64_t) {
    simt::block_sync();
  }  // S3: no thread of the block reads the turn's dgates any more
  VARLSTM_DEVICE void wait(int64_t turn) {
    uint64_t* full = &shared_.full[turn % 2];
    // S1: the turn's parts are there.
    simt::mbarrier_wait(full, static_cast<unsigned>(turn / 2 % 2), "a turn's parts from the cluster");
    // No block pushes for turn + 2 before this block has pushed for turn + 1.
    if (threadIdx.x == 0) simt::mbarrier_announce(full, kBytes);
  }
  VARLSTM_DEVICE float sum(int64_t turn, int unit, int slot) const { return shared_.buffer[turn % 2].sum(unit, slot); }
  VARLSTM_DEVICE void end() { simt::cluster_sync(); }  // S2: no block pushes to a block that has ended

 private:
  Shared& shared_;
  const int rank_;
};

// The exchange of a team of policy grid, which is kBlocks co-resident blocks. Parts go through L2, and a flag of each
// block counts its turns.
template <class Tile>
class GridBackwardExchange {
 public:
  using Area = GridBackwardArea<Tile>;
  struct Shared {};

  VARLSTM_DEVICE GridBackwardExchange(Shared&, Area* area, const Team& team) : area_(*area), rank_(team.rank) {}
  VARLSTM_DEVICE void begin() {}
  VARLSTM_DEVICE void push(int64_t turn, const PartPlace& at, const SlotPair& pair) {
    *reinterpret_cast<SlotPair*>(
        &area_.parts[turn % 2][at.unit / Tile::kUnits][rank_][at.unit % Tile::kUnits][at.slot]) = pair;
  }
  VARLSTM_DEVICE void publish(int64_t turn) {
    simt::block_sync();  // S1: the block's pushes of this turn are done
    if (threadIdx.x == 0) simt::store_release(&area_.flags[rank_ * 8], static_cast<uint32_t>(turn + 1));
  }
  VARLSTM_DEVICE void wait(int64_t turn) {
    for (int block = static_cast<int>(threadIdx.x); block < Tile::kBlocks; block += Tile::kBackwardThreads) {
      simt::spin_until("a block's flag of backward",
                       [&] { return simt::load_acquire(&area_.flags[block * 8]) >= static_cast<uint32_t>(turn + 1); });
    }
    simt::block_sync();  // S2: the turn's parts are there for every thread, in L2
  }
  VARLSTM_DEVICE float sum(int64_t turn, int unit, int slot) const {
    float total = 0;
#pragma unroll 8
    for (int source = 0; source < Tile::kBlocks; ++source) total += area_.parts[turn % 2][rank_][source][unit][slot];
    return total;
  }
  VARLSTM_DEVICE void end() {}

 private:
  Area& area_;
  const int rank_;
};

}  // namespace varlstm::cuda
