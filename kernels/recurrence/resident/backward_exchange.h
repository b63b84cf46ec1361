// The exchange of backward: how the blocks of a team add up the gradient that flows back to the states. The product of
// each block gives a part of dh for every unit, and the unit's owner adds the parts in the order of the blocks. There
// are three ways with one interface; that of policy grid is in grid_backward_exchange.h. A turn is a step counted in
// the order of backward: turn 0 is the last step.
//
//   begin()          before the first push; every thread
//   push(turn, ...)  this block's part for two neighbouring slots of a unit, to the unit's owner
//   publish(turn)    after a thread's pushes of that turn; every thread
//   wait(turn)       every thread; publish or wait is a barrier of the block; then
//   sums(turn, ...)  the sums of all parts of that turn for neighbouring slots of a unit of this block
//   end()            after the last sum; every thread
//
// Two buffers alternate: turn uses buffer turn % 2. Parts of turn + 2 come only from blocks that have seen all parts of
// turn + 1. This block's warps pushed their parts of turn + 1 after its threads had read the parts of turn, because a
// barrier of the block is between them (S5 of resident_backward.h). So no part is overwritten before it is read.
//
// Example: a team of 4 blocks with 64 units each. Block 0 pushes its part for unit 130 and slots 6 and 7 to the owner,
// block 130 / 64 = 2, where it goes to parts[0][130 % 64 = 2][6 and 7]. For that unit block 2 adds parts[0] + parts[1]
// + parts[2] + parts[3].
//
// Where a thread's parts go does not change from turn to turn. So their addresses are computed before the first turn
// (PartTargets), and a push adds constants to them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/resident/resident_tile.h"

namespace varlstm::cuda {

struct alignas(8) SlotPair {
  float part[2];
};

// The owners of the units of a warp's row tiles. The units are in pieces, each of which has one owner: one piece if all
// are of one block, a block's units each if they are those of whole blocks, otherwise 8 units each.
template <class Tile>
struct PartTargets {
  static constexpr int kRows = Tile::kRowTiles * 16;  // units of a warp
  static constexpr bool kOfOneBlock = Tile::kUnits % kRows == 0, kOfWholeBlocks = kRows % Tile::kUnits == 0;
  static constexpr int kPieceRows = kOfOneBlock ? kRows : kOfWholeBlocks ? Tile::kUnits : 8;
  static constexpr int kPieces = kRows / kPieceRows;

  // row0: the first unit of the calling warp. The owner of a piece, and the calling thread's unit in that owner for the
  // first row of the piece.
  VARLSTM_DEVICE static int owner(int row0, int piece) { return (row0 + piece * kPieceRows) / Tile::kUnits; }
  VARLSTM_DEVICE static int unit(int row0, int piece) {
    return (row0 + piece * kPieceRows) % Tile::kUnits + lane_row();
  }
  // The piece of row `row`, a multiple of 8, and what the row adds to the unit in the piece's owner.
  VARLSTM_DEVICE static constexpr int piece_of(int row) { return row / kPieceRows; }
  VARLSTM_DEVICE static constexpr int more_units(int row) { return row % kPieceRows; }
};

template <class Tile>
struct GridBackwardArea;  // grid_backward_exchange.h

// sums[i] <- part[i] if it is the first, else sums[i] + part[i].
template <int kCells>
VARLSTM_DEVICE void add_part(const float* part, bool first, float (&sums)[kCells]) {
  if constexpr (kCells == 1) {
    sums[0] = first ? part[0] : sums[0] + part[0];
  } else {
#pragma unroll
    for (int i = 0; i < kCells; i += 2) {
      const SlotPair pair = *reinterpret_cast<const SlotPair*>(part + i);
      for (int s = 0; s < 2; ++s) sums[i + s] = first ? pair.part[s] : sums[i + s] + pair.part[s];
    }
  }
}

// The parts of every source, in the owner's shared memory. Two more floats from unit to unit put neighbouring units of
// a warp on different banks.
template <class Tile, int kSources = Tile::kBlocks>
struct PartBuffer {
  float parts[kSources][Tile::kUnits][Tile::kSlots + 2];

  VARLSTM_DEVICE SlotPair* place(int source, int unit, int slot) {
    return reinterpret_cast<SlotPair*>(&parts[source][unit][slot]);
  }
  // sums[i] <- the sum of the parts of a unit and slot `slot` + i.
  template <int kCells>
  VARLSTM_DEVICE void add(int unit, int slot, float (&sums)[kCells]) const {
#pragma unroll
    for (int source = 0; source < kSources; ++source) add_part(parts[source][unit] + slot, source == 0, sums);
  }
};

// The exchange of a team of one block.
template <class Tile>
class BlockBackwardExchange {
  using Targets = PartTargets<Tile>;

 public:
  using Area = GridBackwardArea<Tile>;
  struct Shared {
    alignas(16) PartBuffer<Tile> buffer[2];
  };

  // row0: the first unit of the calling warp's row tiles.
  VARLSTM_DEVICE BlockBackwardExchange(Shared& shared, Area*, const Team&, int row0)
      : shared_(shared), unit_(Targets::unit(row0, 0)) {}
  VARLSTM_DEVICE void begin() {}
  VARLSTM_DEVICE void push(unsigned turn, int row, int slot, const SlotPair& pair) {
    *shared_.buffer[turn % 2].place(0, unit_ + Targets::more_units(row), 2 * lane_column() + slot) = pair;
  }
  VARLSTM_DEVICE void publish(unsigned) { simt::block_sync(); }  // S1: the turn's parts are there for the block
  VARLSTM_DEVICE void wait(unsigned) {}
  template <int kCells>
  VARLSTM_DEVICE void sums(unsigned turn, int unit, int slot, float (&sums)[kCells]) const {
    shared_.buffer[turn % 2].add(unit, slot, sums);
  }
  VARLSTM_DEVICE void end() {}

 private:
  Shared& shared_;
  const int unit_;
};

// The exchange of a team that is a thread-block cluster. Parts are pushed to the owner's shared memory with st.async,
// and an mbarrier counts the bytes.
template <class Tile>
class ClusterBackwardExchange {
  using Targets = PartTargets<Tile>;
  static constexpr unsigned kBytes = sizeof(float) * Tile::kBlocks * Tile::kUnits * Tile::kSlots;

 public:
  using Area = GridBackwardArea<Tile>;
  struct Shared {
    alignas(16) PartBuffer<Tile> buffer[2];
    uint64_t full[2];  // phase k of full[b] completes with the parts of turn 2 k + b
  };

  VARLSTM_DEVICE ClusterBackwardExchange(Shared& shared, Area*, const Team& team, int row0) : shared_(shared) {
#pragma unroll
    for (int piece = 0; piece < Targets::kPieces; ++piece) {
      const unsigned owner = static_cast<unsigned>(Targets::owner(row0, piece));
      full_[piece] = simt::cluster_address(shared.full, owner);
      place_[piece] = simt::cluster_address(
          shared.buffer[0].place(team.rank, Targets::unit(row0, piece), 2 * lane_column()), owner);
    }
  }
  VARLSTM_DEVICE void begin() {
    if (threadIdx.x == 0) {
      for (int b = 0; b < 2; ++b) {
        simt::mbarrier_init(&shared_.full[b], 1);
        simt::mbarrier_announce(&shared_.full[b], kBytes);
      }
    }
    simt::cluster_sync();  // S0: every block's mbarriers are armed
  }
  VARLSTM_DEVICE void push(unsigned turn, int row, int slot, const SlotPair& pair) {
    constexpr unsigned kUnitBytes = sizeof(float) * (Tile::kSlots + 2), kBufferBytes = sizeof(PartBuffer<Tile>);
    uint64_t bits;
    memcpy(&bits, &pair, sizeof bits);
    const unsigned more = Targets::more_units(row) * kUnitBytes + slot * sizeof(float) + turn % 2 * kBufferBytes;
    const int piece = Targets::piece_of(row);
    simt::st_async(place_[piece] + more, bits, full_[piece] + turn % 2 * unsigned{sizeof(uint64_t)});
  }
  VARLSTM_DEVICE void publish(unsigned) {
    simt::block_sync();
  }  // S3: no thread of the block reads the turn's dgates any more
  VARLSTM_DEVICE void wait(unsigned turn) {
    uint64_t* full = &shared_.full[turn % 2];
    // S1: the turn's parts are there.
    simt::mbarrier_wait_bytes(full, turn / 2 % 2, "a turn's parts from the cluster");
    // No block pushes for turn + 2 before this block has pushed for turn + 1.
    if (threadIdx.x == 0) simt::mbarrier_announce(full, kBytes);
  }
  template <int kCells>
  VARLSTM_DEVICE void sums(unsigned turn, int unit, int slot, float (&sums)[kCells]) const {
    shared_.buffer[turn % 2].add(unit, slot, sums);
  }
  VARLSTM_DEVICE void end() {
    simt::cluster_sync();
  }  // S2: no block pushes to a block that has ended

 private:
  Shared& shared_;
  simt::ClusterAddress place_[Targets::kPieces];  // where this thread's first part of a piece goes in buffer 0
  simt::ClusterAddress full_[Targets::kPieces];
};

}  // namespace varlstm::cuda
