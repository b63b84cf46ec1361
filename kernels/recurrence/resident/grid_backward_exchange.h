// The exchange of backward of policy grid, in which a team is kBlocks co-resident blocks. Parts go through L2, and a
// flag of each block counts its turns. backward_exchange.h has the interface.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/resident/backward_exchange.h"

namespace varlstm::cuda {

// The memory, in global memory, through which a team of policy grid exchanges parts. The flags must be zeros before the
// launch.
template <class Tile>
struct GridBackwardArea {
  float parts[2][Tile::kBlocks][Tile::kBlocks][Tile::kUnits][Tile::kSlots];  // by owner and source
  uint32_t flags[Tile::kBlocks * 8];  // of each block, 32 bytes apart: the number of turns published
};

template <class Tile>
class GridBackwardExchange {
  using Targets = PartTargets<Tile>;
  static constexpr int kAtOnce = 32;  // loads of a sum that are under way together

 public:
  using Area = GridBackwardArea<Tile>;
  struct Shared {};

  VARLSTM_DEVICE GridBackwardExchange(Shared&, Area* area, const Team& team, int row0)
      : area_(*area), rank_(team.rank), owner_(Targets::owner(row0, 0)), unit_(Targets::unit(row0)) {}
  VARLSTM_DEVICE void begin() {}
  VARLSTM_DEVICE void push(unsigned turn, int row, int slot, const SlotPair& pair) {
    auto& parts = area_.parts[turn % 2][owner_ + Targets::more_owners(row)][rank_];
    *reinterpret_cast<SlotPair*>(&parts[unit_ + Targets::more_units(row)][2 * lane_column() + slot]) = pair;
  }
  VARLSTM_DEVICE void publish(unsigned turn) {
    simt::block_sync();  // S1: the block's pushes of this turn are done
    if (threadIdx.x == 0) simt::store_release(&area_.flags[rank_ * 8], turn + 1);
  }
  VARLSTM_DEVICE void wait(unsigned turn) {
    for (int block = static_cast<int>(threadIdx.x); block < Tile::kBlocks; block += Tile::kBackwardThreads) {
      simt::spin_until("a block's flag of backward",
                       [&] { return simt::load_acquire(&area_.flags[block * 8]) >= turn + 1; });
    }
    simt::block_sync();  // S2: the turn's parts are there for every thread, in L2
  }
  template <int kCells>
  VARLSTM_DEVICE void sums(unsigned turn, int unit, int slot, float (&sums)[kCells]) const {
    for (int i = 0; i < kCells; ++i) sums[i] = 0;
#pragma unroll kAtOnce
    for (int source = 0; source < Tile::kBlocks; ++source)
      add_part(&area_.parts[turn % 2][rank_][source][unit][slot], false, sums);
  }
  VARLSTM_DEVICE void end() {}

 private:
  Area& area_;
  const int rank_, owner_, unit_;
};

}  // namespace varlstm::cuda
