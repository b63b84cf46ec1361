// The exchange of backward: how the blocks of a team add up the gradient that flows back to the states. The product of
// each block gives a part of dh for every unit, and the unit's owner adds the parts in the order of the blocks. There
// are three ways with one interface; that of policy grid is in grid_backward_exchange.h. A turn is a step counted in
// the order of backward: turn 0 is the last step.
//
//   begin()          before the first push; every thread
//   push(turn, ...)  this block's parts for two neighbouring units and two neighbouring slots, to the units' owner
//   publish(turn)    after a thread's pushes of that turn; every thread
//   wait(turn, phase) every thread; phase is turn / 2 % 2; then
//   sums(turn, ...)  the sums of all parts of that turn for neighbouring units of this block and neighbouring slots
//   renew(turn)      after the sums of that turn, and before S5 of the next; every thread
//   end()            after the last sum; every thread
//
// Two buffers alternate: turn uses buffer turn % 2. Parts of turn + 2 come only from blocks that have seen all parts of
// turn + 1. This block's warps pushed their parts of turn + 1 after its threads had read the parts of turn, because a
// barrier of the block is between them (S5 of resident_backward.h). So no part is overwritten before it is read.
//
// Example: a team of 4 blocks with 64 units each. Block 0 pushes its parts for the units 130 and 131 and the slots 6
// and 7 to their owner, block 130 / 64 = 2, where they are units 2 and 3. For each of them block 2 adds the parts of
// blocks 0, 1, 2 and 3.
//
// Where a thread's parts go does not change from turn to turn. So their addresses are computed before the first turn
// (PartTargets), and a push adds constants to them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/resident/resident_tile.h"

namespace varlstm::cuda {

// The parts of two neighbouring units and two neighbouring slots.
struct alignas(16) PartSquare {
  float of[2][2];

  // The sums of a thread in a row tile (weight_tiles.h): its rows g and g + 8 are neighbouring units (BackwardPlace).
  // kSlotsFirst: whether of[s][u] is of unit u and slot s, or of[u][s].
  template <bool kSlotsFirst>
  VARLSTM_DEVICE static PartSquare from(const simt::f32x4& sums) {
    return kSlotsFirst ? PartSquare{{{sums.r[0], sums.r[2]}, {sums.r[1], sums.r[3]}}}
                       : PartSquare{{{sums.r[0], sums.r[1]}, {sums.r[2], sums.r[3]}}};
  }
};

// The owners of the units of a warp's row tiles. The row tiles are in pieces, each of which has one owner for the units
// of a thread: one piece if all are of one block, a block's units each if they are those of whole blocks and row tiles,
// otherwise a row tile each.
template <class Tile>
struct PartTargets {
  static constexpr int kRows = Tile::kRowTiles * 16;  // units of a warp
  static constexpr bool kOfOneBlock = Tile::kUnits % kRows == 0, kOfWholeBlocks = kRows % Tile::kUnits == 0;
  static constexpr int kPieceRows = kOfOneBlock ? kRows : kOfWholeBlocks && Tile::kUnits % 16 == 0 ? Tile::kUnits : 16;
  static constexpr int kPieces = kRows / kPieceRows;

  // row0: the first unit of the calling warp. The owner of the calling thread's units in a piece, and the first of them
  // in that owner.
  VARLSTM_DEVICE static int owner(int row0, int piece) {
    return (row0 + piece * kPieceRows + 2 * lane_row()) / Tile::kUnits;
  }
  VARLSTM_DEVICE static int unit(int row0, int piece) {
    return (row0 + piece * kPieceRows + 2 * lane_row()) % Tile::kUnits;
  }
  // The piece of row tile r, and what the row tile adds to the unit in the piece's owner.
  VARLSTM_DEVICE static constexpr int piece_of(int r) { return r * 16 / kPieceRows; }
  VARLSTM_DEVICE static constexpr int more_units(int r) { return r * 16 % kPieceRows; }
};

template <class Tile>
struct GridBackwardArea;  // grid_backward_exchange.h

// The parts of every source, in the owner's shared memory. Four more floats from pair to pair of units put the values
// that a warp reads together on different banks. A thread that owns pairs of units finds those of a slot side by side.
template <class Tile, int kSources = Tile::kBlocks>
struct PartBuffer {
  static constexpr bool kSlotsFirst = Tile::kBackwardUnits == 2;
  static constexpr unsigned kPairBytes = sizeof(float) * (2 * Tile::kSlots + 4);
  PartSquare squares[kSources][Tile::kUnits / 2][Tile::kSlots / 2 + 1];

  // unit and slot: even.
  VARLSTM_DEVICE PartSquare* place(int source, int unit, int slot) { return &squares[source][unit / 2][slot / 2]; }
  // sums[s][w] <- the sum of the parts of unit + w and slot + s. Both are even if there are two of them.
  template <int kSlots, int kWide>
  VARLSTM_DEVICE void add(int unit, int slot, float (&sums)[kSlots][kWide]) const {
    static_assert((kWide == 2) == kSlotsFirst && (kWide == 2 || kSlots == 1), "whole pairs");
    const float* first = &squares[0][0][0].of[0][0] + unit / 2 * (kPairBytes / sizeof(float)) + slot / 2 * 4 +
                         (kSlotsFirst ? slot % 2 * 2 : unit % 2 * 2 + slot % 2);
    struct alignas(sizeof sums) Parts {
      float of[kSlots][kWide];
    };
#pragma unroll
    for (int source = 0; source < kSources; ++source) {
      const Parts parts = *reinterpret_cast<const Parts*>(first + source * (sizeof squares[0] / sizeof(float)));
      for (int s = 0; s < kSlots; ++s)
        for (int w = 0; w < kWide; ++w) sums[s][w] = source == 0 ? parts.of[s][w] : sums[s][w] + parts.of[s][w];
    }
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
  VARLSTM_DEVICE void push(unsigned turn, int r, int slot, const simt::f32x4& sums) {
    *shared_.buffer[turn % 2].place(0, unit_ + Targets::more_units(r), 2 * lane_column() + slot) =
        PartSquare::from<PartBuffer<Tile>::kSlotsFirst>(sums);
  }
  VARLSTM_DEVICE void publish(unsigned) { simt::block_sync(); }  // S1: the turn's parts are there for the block
  VARLSTM_DEVICE void wait(unsigned, unsigned) {}
  VARLSTM_DEVICE void renew(unsigned) {}
  template <int kSlots, int kWide>
  VARLSTM_DEVICE void sums(unsigned turn, int unit, int slot, float (&sums)[kSlots][kWide]) const {
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
  VARLSTM_DEVICE void push(unsigned turn, int r, int slot, const simt::f32x4& sums) {
    using Buffer = PartBuffer<Tile>;
    const unsigned more = static_cast<unsigned>(Targets::more_units(r)) / 2 * Buffer::kPairBytes +
                          static_cast<unsigned>(slot) / 2 * unsigned{sizeof(PartSquare)} +
                          turn % 2 * unsigned{sizeof(Buffer)};
    const int piece = Targets::piece_of(r);
    const auto square = PartSquare::from<Buffer::kSlotsFirst>(sums);
    for (unsigned half = 0; half < 2; ++half) {
      uint64_t bits;
      memcpy(&bits, square.of[half], sizeof bits);
      simt::st_async(place_[piece] + more + half * unsigned{sizeof bits}, bits,
                     full_[piece] + turn % 2 * unsigned{sizeof(uint64_t)});
    }
  }
  VARLSTM_DEVICE void publish(unsigned) {}
  VARLSTM_DEVICE void wait(unsigned turn, unsigned phase) {
    // S1: the turn's parts are there.
    simt::mbarrier_wait_bytes(&shared_.full[turn % 2], phase, "a turn's parts from the cluster");
  }
  // No block pushes for turn + 2 before this block has pushed for turn + 1.
  VARLSTM_DEVICE void renew(unsigned turn) {
    if (threadIdx.x == 0) simt::mbarrier_announce(&shared_.full[turn % 2], kBytes);
  }
  template <int kSlots, int kWide>
  VARLSTM_DEVICE void sums(unsigned turn, int unit, int slot, float (&sums)[kSlots][kWide]) const {
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
