// The product of a quarter of the depth in a turn of a wide backward, and its operands. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string.h>

#include <type_traits>

#include "kernels/recurrence/wide/wide_backward_tile.h"

namespace varlstm::cuda {

// The place of a block in its set.
struct QuadPlace {
  int quad, quarter;
  unsigned first_rank;  // of the quad's blocks in the cluster
};

template <class Tile>
VARLSTM_DEVICE QuadPlace quad_place() {
  unsigned block = blockIdx.x;
  simt::keep(block);  // where this is called in a loop, it takes no registers outside
  const int rank = static_cast<int>(block % Tile::kBlocks);
  return {rank / Tile::kQuarters, rank % Tile::kQuarters, block % Tile::kCluster / Tile::kQuarters * Tile::kQuarters};
}

// The row of w_hh that is value k of the depth.
template <class Tile>
VARLSTM_DEVICE int row_of_depth(int k) {
  if constexpr (!Tile::kGridOrder) return k;
  const int unit = k / kStageDepth * Tile::kUnits + k % kStageDepth / Tile::Cell::kGates;
  return k % Tile::Cell::kGates * Tile::kHidden + unit;
}

// weights <- the block's rows and columns of w_hh as wgmma reads them, transposed: a line of 64 units for each k. The
// units 2 g and 2 g + 1 of each 16 are columns g and g + 8, because a thread gets the sums of such a pair (PartSquare).
template <class Tile>
VARLSTM_DEVICE void load_quarter(const typename Tile::Scalar* w_hh, const QuadPlace& at, unsigned char* weights) {
  using Scalar = typename Tile::Scalar;
#pragma unroll 8
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kDepth * Tile::kQuadUnits; i += Tile::kThreads) {
    const int k = i / Tile::kQuadUnits, u = i % Tile::kQuadUnits, column = u / 16 * 16 + u % 16 / 2 + u % 2 * 8;
    const int64_t row = row_of_depth<Tile>(at.quarter * Tile::kDepth + k);
    *reinterpret_cast<Scalar*>(weights + place_in_stage(k, column)) =
        w_hh[row * Tile::kHidden + at.quad * Tile::kQuadUnits + u];
  }
  simt::async_proxy_fence();
}

// Where stage i of a quarter is in the values of a turn.
template <class Tile>
VARLSTM_DEVICE const unsigned char* stage_of_quarter(const TeamExchange<typename Tile::Area>& exchange, unsigned turn,
                                                     int quarter, int i) {
  const int stage = quarter * Tile::kStages + i;
  return Tile::kGridOrder ? exchange.values(turn, stage / Tile::kQuarters) + stage % Tile::kQuarters * Tile::kStageBytes
                          : exchange.values(turn, stage % Tile::kQuads) + stage / Tile::kQuads * Tile::kStageBytes;
}

// Writes dstate of a thread's two units of two slots to the values of their quad. place: of BackwardCells.
template <class Tile, class Cells>
VARLSTM_DEVICE void write_values(unsigned char* values, const QuadPlace& at, int place,
                                 const typename Cells::Stored& stored) {
  using Scalar = typename Tile::Scalar;
  constexpr int kGates = Tile::Cell::kGates;
  const int slot = place / Tile::kUnits, unit = place % Tile::kUnits;
#pragma unroll
  for (int s = 0; s < 2; ++s) {
    if constexpr (Tile::kGridOrder) {
      struct alignas(16) Units {
        Scalar of[2][kGates];
      } units;
      for (int gate = 0; gate < kGates; ++gate)
        for (int w = 0; w < 2; ++w) units.of[w][gate] = Cells::flowing(stored, s, gate).get(w);
      unsigned char* const stage = values + at.quarter * Tile::kStageBytes;
      *reinterpret_cast<Units*>(stage + place_in_stage(slot + s, unit * kGates)) = units;
    } else {
      const int to = place_in_stage(slot + s, at.quarter * Tile::kUnits + unit);
      for (int gate = 0; gate < kGates; ++gate)
        Cells::flowing(stored, s, gate).store(reinterpret_cast<Scalar*>(values + gate * Tile::kStageBytes + to));
    }
  }
}

// The warpgroup of a team that multiplies. Its warp w has the sums of the 16 units that block w of the quad finishes.
template <class Tile>
class QuarterProduct {
  using Sums = float[Tile::kSlots / 2];

 public:
  VARLSTM_DEVICE explicit QuarterProduct(const WideBackwardTeam<Tile>& team) : reader_(team.ring) {}

  // Multiplies the stages of a turn and pushes the sums.
  VARLSTM_DEVICE void run(unsigned char* weights, const WideBackwardTeam<Tile>& team) {
    uint64_t rows = simt::matrix_descriptor(weights, 8 * kLineBytes, 8 * kLineBytes, simt::MatrixSwizzle::k128);
#pragma unroll 1
    for (unsigned k = 0; k < Tile::kSums; ++k) {
      Sums sums = {};
      if constexpr (Tile::kGridOrder)
        add_chains(rows, sums);
      else
        add_chain(rows, sums);
      rows = simt::advance_descriptor(rows, Tile::kSumStages * kStageDepth * kLineBytes);
      push(team, quad_place<Tile>(), static_cast<int>(k), sums);
    }
  }

 private:
  // Starts the products of a stage, 16 values of k each.
  VARLSTM_DEVICE void start(uint64_t rows, unsigned stage, Sums& sums, bool accumulate) {
    constexpr auto kType =
        std::is_same<typename Tile::Scalar, Bf16>::value ? simt::MatrixType::kBf16 : simt::MatrixType::kF16;
    const uint64_t weights = simt::advance_descriptor(rows, stage * kStageDepth * kLineBytes);
    const uint64_t values =
        simt::matrix_descriptor(reader_.wait(), 8 * kLineBytes, 8 * kLineBytes, simt::MatrixSwizzle::k128);
    simt::wgmma_fence();
#pragma unroll
    for (unsigned k = 0; k < kStageDepth; k += 16)
      simt::wgmma<kType, true, false>(sums, simt::advance_descriptor(weights, k * kLineBytes),
                                      simt::advance_descriptor(values, k * sizeof(typename Tile::Value)),
                                      accumulate || k > 0);
    simt::wgmma_commit();
  }

  // One chain over kSumStages stages.
  VARLSTM_DEVICE void add_chain(uint64_t rows, Sums& sums) {
#pragma unroll 1
    for (unsigned i = 0; i < Tile::kSumStages; ++i) {
      start(rows, i, sums, true);
      if (i == 0) continue;
      simt::wgmma_wait<1>();  // the stage before has been read
      reader_.release();
    }
    simt::wgmma_wait<0>(sums);
    reader_.release();
  }

  // The sum of a chain for each of the stages, two of which are under way together. Without a branch: in a loop ptxas
  // would wait for each product before it starts the next one.
  VARLSTM_DEVICE void add_chains(uint64_t rows, Sums& sums) {
    static_assert(Tile::kSumStages % 2 == 0, "pairs");
    Sums even, odd;
    start(rows, 0, even, false);
#pragma unroll
    for (unsigned i = 0; i < Tile::kSumStages; i += 2) {
      start(rows, i + 1, odd, false);
      take<1>(even, i == 0, sums);
      if (i + 2 == Tile::kSumStages) break;
      start(rows, i + 2, even, false);
      take<1>(odd, false, sums);
    }
    take<0>(odd, false, sums);
  }

  // Waits for a stage's parts, releases it and adds them; kUnderWay: stages that go on meanwhile.
  template <int kUnderWay>
  VARLSTM_DEVICE void take(Sums& parts, bool first, Sums& sums) {
    simt::wgmma_wait<kUnderWay>(parts);
    reader_.release();
    add(parts, first, sums);
  }

  // Adds parts as policy grid passes them on: without their last bit.
  VARLSTM_DEVICE static void add(const Sums& parts, bool first, Sums& sums) {
#pragma unroll
    for (int i = 0; i < Tile::kSlots / 2; ++i) {
      uint32_t bits;
      memcpy(&bits, &parts[i], sizeof bits);
      bits &= ~1u;
      float part;
      memcpy(&part, &bits, sizeof part);
      sums[i] = first ? part : sums[i] + part;
    }
  }

  // Pushes sum k of this quarter to the owners of its units.
  VARLSTM_DEVICE void push(const WideBackwardTeam<Tile>& team, const QuadPlace& at, int k, const Sums& sums) const {
    unsigned thread = threadIdx.x;
    simt::keep(thread);  // what is computed from it takes no registers during the product
    const int lane = static_cast<int>(thread % 32), source = at.quarter * Tile::kSums + k;
    const unsigned owner = at.first_rank + thread / 32 % 4;
    const simt::ClusterAddress full = simt::cluster_address(team.parts_full(), owner);
    const simt::ClusterAddress place =
        simt::cluster_address(team.parts.place(source, 2 * (lane / 4), 2 * (lane % 4)), owner);
#pragma unroll
    for (unsigned n = 0; n < Tile::kSlots / 8; ++n) {
      const auto square = PartSquare::from<true>({{sums[4 * n], sums[4 * n + 1], sums[4 * n + 2], sums[4 * n + 3]}});
      for (unsigned half = 0; half < 2; ++half) {
        uint64_t bits;
        memcpy(&bits, square.of[half], sizeof bits);
        simt::st_async(place + n * 4 * unsigned{sizeof square} + half * unsigned{sizeof bits}, bits, full);
      }
    }
  }

  StageReader<typename Tile::Ring> reader_;
};

}  // namespace varlstm::cuda
