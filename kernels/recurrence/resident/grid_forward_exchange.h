// The exchange of forward of policy grid, in which a team is kBlocks co-resident blocks. States go through L2, and a
// flag of each block counts its steps. forward_exchange.h has the interface.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/resident/forward_exchange.h"

namespace varlstm::cuda {

// The memory, in global memory, through which a team of policy grid exchanges states. It must be zeros before the
// launch.
template <class Tile>
struct GridForwardArea {
  StateBuffer<Tile> buffer[2];
  uint32_t flags[Tile::kBlocks * 8];  // of each block, in a 32-byte sector of its own: the number of steps published
};

template <class Tile>
class GridForwardExchange {
 public:
  using Area = GridForwardArea<Tile>;
  using Pair = typename Tile::Math::Pair;
  struct Shared {
    StateBuffer<Tile> buffer;
  };

  VARLSTM_DEVICE GridForwardExchange(Shared& shared, Area* area, const Team& team)
      : shared_(shared), area_(*area), rank_(team.rank) {}
  VARLSTM_DEVICE void begin(int unit) { unit_ = unit; }
  VARLSTM_DEVICE void push(const Step& step, int slot_tile, Pair states) {
    *area_.buffer[step.odd].place(slot_tile, unit_) = states;
  }
  VARLSTM_DEVICE void publish(const Step& step) {
    simt::block_sync();  // S1: the block's pushes for this step, and its reads of the shared buffer, are done
    if (threadIdx.x == 0) simt::store_release(&area_.flags[rank_ * 8], step.number() + 1);
  }
  VARLSTM_DEVICE const StateBuffer<Tile>& wait(const Step& step) {
    for (int block = static_cast<int>(threadIdx.x); block < Tile::kBlocks; block += Tile::kForwardThreads) {
      simt::spin_until("a block's flag of forward",
                       [&] { return simt::load_acquire(&area_.flags[block * 8]) >= step.number() + 1; });
    }
    simt::block_sync();  // S2: the state before this step is there for every thread, in L2
    constexpr int kFragments = static_cast<int>(sizeof(StateBuffer<Tile>) / sizeof(Fragment));
    auto* to = reinterpret_cast<Fragment*>(&shared_.buffer);
    const auto* from = reinterpret_cast<const Fragment*>(&area_.buffer[step.odd]);
    for (int at = static_cast<int>(threadIdx.x); at < kFragments; at += Tile::kForwardThreads) to[at] = from[at];
    simt::block_sync();  // S3: the state is there in shared memory, too
    return shared_.buffer;
  }
  VARLSTM_DEVICE void arm(const Step&) {}
  VARLSTM_DEVICE void drain(uint32_t) {}
  VARLSTM_DEVICE void end() {}

 private:
  Shared& shared_;
  Area& area_;
  const int rank_;
  int unit_;
};

}  // namespace varlstm::cuda
