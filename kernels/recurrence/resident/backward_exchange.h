// How the blocks of a team add up the gradient that flows back to the states: each block's product gives a part of dh
// for every unit, and the unit's owner adds the parts in the order of the blocks. Three ways with one interface; a turn
// is a step in the order of backward, from 0.
//
//   begin()          before the first push; every thread
//   push(turn, ...)  this block's part for two neighbouring slots of a unit, to the unit's owner
//   publish(turn)    after a thread's pushes of that turn; every thread; a barrier of the block in each of the three
//   wait(turn)       every thread; then
//   sum(turn, ...)   the sum of all parts of that turn for a unit of this block
//   end()            after the last sum; every thread
//
// Two buffers take turns. Parts of turn + 2 come only from blocks that have seen all parts of turn + 1, which this
// block's warps pushed after its threads had read turn's (a barrier of the block lies between: S5 of
// resident_backward.h).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/resident/resident_tile.h"

namespace varlstm::cuda {

struct alignas(8) SlotPair {
  float part[2];
};

// A unit of the whole layer and the first of two slots.
struct PartPlace {
  int unit;
  int slot;
};

// In global memory, for the teams of recurrence_grid: flags zeros before the launch.
template <class Tile>
struct GridBackwardArea {
  float parts[2][Tile::kBlocks][Tile::kBlocks][Tile::kUnits][Tile::kSlots];  // by owner and source
  uint32_t flags[Tile::kBlocks * 8];                                         // turns published
};

// Parts of every source in the owner's shared memory. Two floats more from unit to unit: neighbouring units of a warp
// on different banks.
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

// A team of one block.
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

// A team is a thread-block cluster; parts are pushed to the owner's shared memory with st.async, whose bytes an
// mbarrier counts.
template <class Tile>
class ClusterBackwardExchange {
  static constexpr unsigned kBytes = sizeof(float) * Tile::kBlocks * Tile::kUnits * Tile::kSlots;

 public:
  using Area = GridBackwardArea<Tile>;
  struct Shared {
    alignas(16) PartBuffer<Tile> buffer[2];
    uint64_t full[2];  // phase k of full[b]: the parts of turn 2 k + b have come
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
  }  // S3: nobody in the block reads the turn's dgates any more
  VARLSTM_DEVICE void wait(int64_t turn) {
    uint64_t* full = &shared_.full[turn % 2];
    // S1: the turn's parts are there.
    simt::mbarrier_wait(full, static_cast<unsigned>(turn / 2 % 2), "a turn's parts from the cluster");
    // Nobody pushes for turn + 2 before this block has pushed for turn + 1.
    if (threadIdx.x == 0) simt::mbarrier_announce(full, kBytes);
  }
  VARLSTM_DEVICE float sum(int64_t turn, int unit, int slot) const { return shared_.buffer[turn % 2].sum(unit, slot); }
  VARLSTM_DEVICE void end() { simt::cluster_sync(); }  // S2: nobody pushes to a block that has ended

 private:
  Shared& shared_;
  const int rank_;
};

// A team is kBlocks co-resident blocks; parts go through L2, with a flag of each block that counts its turns.
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
