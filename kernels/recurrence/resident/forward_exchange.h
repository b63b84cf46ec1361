// The exchange of forward: how the blocks of a team give each other the hidden state of a step. There are three ways
// with one interface.
//
//   begin()            before the first push; every thread
//   push(step, ...)    four (16 bits) or two (32 bits) values of a slot's state before `step`, for the whole team
//   publish(step)      after a thread's pushes for that step; every thread
//   wait(step)         every thread; returns the state before `step` of all units in shared memory, as
//                      [kSlots][kHiddenPitch]
//   end()              after the last step; every thread
//
// Two buffers alternate: `step` uses buffer step % 2. A buffer is written again, for step + 2, only by blocks that have
// seen the whole state before step + 1. That state is complete only after every warp of the team has read the buffer
// for `step`, because a warp's values for step + 1 are pushed after its product of `step`. If kSplits > kSlotTiles,
// some warps push nothing. S4 of resident_forward.h then comes after their product, and before the pushes of the other
// warps of their block. So no further barrier is needed for the reuse.
//
// Example for the cluster: step 4 uses buffer 0 and phase 2 of full[0], whose parity is 2 % 2 = 0; step 5 uses buffer 1
// and phase 2 of full[1]; step 6 uses buffer 0 and phase 3, with parity 1. A block pushes for step 6 when it has
// computed step 5, so it has waited for the state before step 5, and every warp that pushed to that state had already
// read buffer 0 for step 4.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/resident/resident_tile.h"

namespace varlstm::cuda {

template <class Tile>
struct alignas(16) StateBuffer {
  typename Tile::Value h[Tile::kSlots][Tile::kHiddenPitch];
};

// Where a chunk of 8 bytes goes: a slot and its first unit. `copies` lanes hold the same chunk, and `copy` is this
// lane's index among them.
struct StatePlace {
  int slot;
  int unit;
  int copy, copies;
};

// The memory, in global memory, through which a team of policy grid exchanges states. It must be zeros before the
// launch.
template <class Tile>
struct GridForwardArea {
  typename Tile::Value h[2][Tile::kSlots][Tile::kHidden];
  uint32_t flags[Tile::kBlocks * 8];  // of each block, in a 32-byte sector of its own: the number of steps published
};

// The exchange of a team of one block.
template <class Tile>
class BlockForwardExchange {
 public:
  using Area = GridForwardArea<Tile>;
  struct Shared {
    StateBuffer<Tile> buffer[2];
  };

  VARLSTM_DEVICE BlockForwardExchange(Shared& shared, Area*, const Team&) : shared_(shared) {}
  VARLSTM_DEVICE void begin() {}
  VARLSTM_DEVICE void push(int64_t step, const StatePlace& at, uint64_t chunk) {
    if (at.copy == 0) *reinterpret_cast<uint64_t*>(&shared_.buffer[step % 2].h[at.slot][at.unit]) = chunk;
  }
  VARLSTM_DEVICE void publish(int64_t) { simt::block_sync(); }  // S1: the state before this step is there for the block
  VARLSTM_DEVICE const typename Tile::Value* wait(int64_t step) { return shared_.buffer[step % 2].h[0]; }
  VARLSTM_DEVICE void end() {}

 private:
  Shared& shared_;
};

// The exchange of a team that is a thread-block cluster. States are pushed to the shared memory of every block with
// st.async, and an mbarrier counts the bytes.
template <class Tile>
class ClusterForwardExchange {
  static constexpr unsigned kBytes = sizeof(typename Tile::Value) * Tile::kSlots * Tile::kHidden;

 public:
  using Area = GridForwardArea<Tile>;
  struct Shared {
    StateBuffer<Tile> buffer[2];
    uint64_t full[2];  // phase k of full[b] completes with the state before step 2 k + b
  };

  VARLSTM_DEVICE ClusterForwardExchange(Shared& shared, Area*, const Team&) : shared_(shared) {}
  VARLSTM_DEVICE void begin() {
    if (threadIdx.x == 0) {
      for (int b = 0; b < 2; ++b) {
        simt::mbarrier_init(&shared_.full[b], 1);
        simt::mbarrier_announce(&shared_.full[b], kBytes);
      }
    }
    simt::cluster_sync();  // S0: every block's mbarriers are armed
  }
  VARLSTM_DEVICE void push(int64_t step, const StatePlace& at, uint64_t chunk) {
    uint64_t* to = reinterpret_cast<uint64_t*>(&shared_.buffer[step % 2].h[at.slot][at.unit]);
#pragma unroll
    for (int peer = at.copy; peer < Tile::kBlocks; peer += at.copies) {
      const unsigned rank = static_cast<unsigned>(peer);
      simt::st_async(simt::cluster_map(to, rank), chunk, simt::cluster_map(&shared_.full[step % 2], rank));
    }
  }
  VARLSTM_DEVICE void publish(int64_t) {}
  VARLSTM_DEVICE const typename Tile::Value* wait(int64_t step) {
    uint64_t* full = &shared_.full[step % 2];
    // S1: the state before this step is there.
    simt::mbarrier_wait(full, static_cast<unsigned>(step / 2 % 2), "a step's states from the cluster");
    // No block pushes for step + 2 before this block has pushed for step + 1.
    if (threadIdx.x == 0) simt::mbarrier_announce(full, kBytes);
    return shared_.buffer[step % 2].h[0];
  }
  VARLSTM_DEVICE void end() {
    simt::cluster_sync();
  }  // S2: no block pushes to a block that has ended

 private:
  Shared& shared_;
};

// The exchange of a team of policy grid, which is kBlocks co-resident blocks. States go through L2, and a flag of each
// block counts its steps.
template <class Tile>
class GridForwardExchange {
  using Value = typename Tile::Value;

 public:
  using Area = GridForwardArea<Tile>;
  struct Shared {
    StateBuffer<Tile> buffer;
  };

  VARLSTM_DEVICE GridForwardExchange(Shared& shared, Area* area, const Team& team)
      : shared_(shared), area_(*area), rank_(team.rank) {}
  VARLSTM_DEVICE void begin() {}
  VARLSTM_DEVICE void push(int64_t step, const StatePlace& at, uint64_t chunk) {
    if (at.copy == 0) *reinterpret_cast<uint64_t*>(&area_.h[step % 2][at.slot][at.unit]) = chunk;
  }
  VARLSTM_DEVICE void publish(int64_t step) {
    simt::block_sync();  // S1: the block's pushes for this step, and its reads of the shared buffer, are done
    if (threadIdx.x == 0) simt::store_release(&area_.flags[rank_ * 8], static_cast<uint32_t>(step + 1));
  }
  VARLSTM_DEVICE const Value* wait(int64_t step) {
    for (int block = static_cast<int>(threadIdx.x); block < Tile::kBlocks; block += Tile::kForwardThreads) {
      simt::spin_until("a block's flag of forward",
                       [&] { return simt::load_acquire(&area_.flags[block * 8]) >= static_cast<uint32_t>(step + 1); });
    }
    simt::block_sync();  // S2: the state before this step is there for every thread, in L2
    constexpr int kChunk = 16 / static_cast<int>(sizeof(Value)), kChunks = Tile::kHidden / kChunk;
    for (int at = static_cast<int>(threadIdx.x); at < Tile::kSlots * kChunks; at += Tile::kForwardThreads) {
      const int slot = at / kChunks, unit = at % kChunks * kChunk;
      *reinterpret_cast<Fragment*>(&shared_.buffer.h[slot][unit]) =
          *reinterpret_cast<const Fragment*>(&area_.h[step % 2][slot][unit]);
    }
    simt::block_sync();  // S3: the state is there in shared memory, too
    return shared_.buffer.h[0];
  }
  VARLSTM_DEVICE void end() {}

 private:
  Shared& shared_;
  Area& area_;
  const int rank_;
};

}  // namespace varlstm::cuda
