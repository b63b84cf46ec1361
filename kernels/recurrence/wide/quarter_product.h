// The product of a quarter of the depth in a turn of a wide backward, and its operands. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string.h>

#include <type_traits>

#include "kernels/recurrence/wide/weight_stream.h"
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
  const int unit = k / Tile::kDepthOfStage * Tile::kGridUnits + k % Tile::kDepthOfStage / Tile::Cell::kGates;
  return k % Tile::Cell::kGates * Tile::kHidden + unit;
}

// The units 2 g and 2 g + 1 of each 16 of a quad are columns g and g + 8 of the weights, because a thread gets the sums
// of such a pair (PartSquare).
VARLSTM_DEVICE constexpr int column_of_unit(int u) {
  return u / 16 * 16 + u % 16 / 2 + u % 2 * 8;
}
VARLSTM_DEVICE constexpr int unit_of_column(int column) {
  return column / 16 * 16 + column % 8 * 2 + column % 16 / 8;
}

// Streamed weights: a line is a column.
template <class Tile>
struct BackwardStagePlace {
  static constexpr bool kAlongK = false;
  VARLSTM_DEVICE static int64_t at(int block, int line, int k) {
    const int quad = block / Tile::kQuarters, quarter = block % Tile::kQuarters;
    const int64_t row = row_of_depth<Tile>(quarter * Tile::kDepth + k);
    return row * Tile::kHidden + quad * Tile::kQuadUnits + unit_of_column(line);
  }
};

// weights <- the block's rows and columns of w_hh as wgmma reads them, transposed: a line of 64 units for each k.
template <class Tile>
VARLSTM_DEVICE void load_quarter(const typename Tile::Scalar* w_hh, const QuadPlace& at, unsigned char* weights) {
  using Scalar = typename Tile::Scalar;
#pragma unroll 8
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kDepth * Tile::kQuadUnits; i += Tile::kThreads) {
    const int k = i / Tile::kQuadUnits, u = i % Tile::kQuadUnits;
    const int64_t row = row_of_depth<Tile>(at.quarter * Tile::kDepth + k);
    *reinterpret_cast<Scalar*>(weights + place_in_stage<Scalar>(k, column_of_unit(u))) =
        w_hh[row * Tile::kHidden + at.quad * Tile::kQuadUnits + u];
  }
  simt::async_proxy_fence();
}

// Where stage i of a quarter is in the values of a turn.
template <class Tile>
VARLSTM_DEVICE const unsigned char* stage_of_quarter(const TeamExchange<typename Tile::Area>& exchange, unsigned turn,
                                                     int quarter, int i) {
  const int stage = quarter * Tile::kStages + i;
  if (Tile::kGridOrder) {
    constexpr int kOfQuad = Tile::Cell::kGates * Tile::kQuadStages;
    return exchange.values(turn, stage / kOfQuad) + stage % kOfQuad * Tile::kStageBytes;
  }
  const int of_gates = stage / Tile::kQuadStages, gate = of_gates / Tile::kQuads;
  return exchange.values(turn, of_gates % Tile::kQuads) +
         (gate * Tile::kQuadStages + stage % Tile::kQuadStages) * Tile::kStageBytes;
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
      using Value = typename Tile::Value;
      constexpr int kWord = 16 / sizeof(Value), kWords = 2 * kGates / kWord;
      struct alignas(16) Word {
        Value of[kWord];
      } words[kWords];  // of both units
      for (int gate = 0; gate < kGates; ++gate)
        for (int w = 0; w < 2; ++w) {
          const int k = w * kGates + gate;
          words[k / kWord].of[k % kWord] = Tile::Math::value_of(Cells::flowing(stored, s, gate).get(w));
        }
      const int first = at.quarter * Tile::kUnits + unit;  // among the quad's units
      unsigned char* const stage = values + first / Tile::kGridUnits * Tile::kStageBytes;
      for (int word = 0; word < kWords; ++word) {
        const int k = first % Tile::kGridUnits * kGates + word * kWord;
        *reinterpret_cast<Word*>(stage + place_in_stage<Value>(slot + s, k)) = words[word];
      }
    } else {
      const int k = at.quarter * Tile::kUnits + unit;  // among the quad's units
      const int to =
          k / Tile::kDepthOfStage * Tile::kStageBytes + place_in_stage<Scalar>(slot + s, k % Tile::kDepthOfStage);
      for (int gate = 0; gate < kGates; ++gate) {
        const auto& of_gate = Cells::flowing(stored, s, gate);
        unsigned char* const place = values + gate * Tile::kQuadStages * Tile::kStageBytes + to;
        if constexpr (sizeof(Scalar) == 2)
          of_gate.store(reinterpret_cast<Scalar*>(place));
        else
          *reinterpret_cast<uint64_t*>(place) = Tile::Math::round_pair(of_gate.get(0), of_gate.get(1));
      }
    }
  }
}

VARLSTM_DEVICE uint64_t lines_descriptor(const unsigned char* matrix) {
  return simt::matrix_descriptor(matrix, 8 * kLineBytes, 8 * kLineBytes, simt::MatrixSwizzle::k128);
}

// Adds parts as policy grid passes them on: without their last bit. first: there is no sum yet.
template <size_t kSums>
VARLSTM_DEVICE void add_parts_of_grid(const float (&parts)[kSums], bool first, float (&sums)[kSums]) {
#pragma unroll
  for (size_t i = 0; i < kSums; ++i) {
    uint32_t bits;
    memcpy(&bits, &parts[i], sizeof bits);
    bits &= ~1u;
    float part;
    memcpy(&part, &bits, sizeof part);
    sums[i] = first ? part : sums[i] + part;
  }
}

// Pushes sum k of this quarter to the owners of its units.
template <class Tile>
VARLSTM_DEVICE void push_sums(const WideBackwardTeam<Tile>& team, const QuadPlace& at, int k,
                              const float (&sums)[Tile::kSlots / 2]) {
  unsigned thread = threadIdx.x;
  simt::keep(thread);  // what is computed from it takes no registers during the product
  const int lane = static_cast<int>(thread % 32), source = at.quarter * Tile::kSums + k;
  const unsigned owner = at.first_rank + thread / 32 % 4;
  const simt::ClusterAddress full = simt::cluster_address(team.parts_full(), owner);
  const simt::ClusterAddress place =
      simt::cluster_address(team.parts.place(source, 2 * (lane / 4), 2 * (lane % 4)), owner);
#pragma unroll
  for (unsigned n = 0; n < Tile::kSlots / 8; ++n) {
    if (Tile::kStreamed && n * 8 >= static_cast<unsigned>(team.slots)) break;
    const auto square = PartSquare::from<true>({{sums[4 * n], sums[4 * n + 1], sums[4 * n + 2], sums[4 * n + 3]}});
    for (unsigned half = 0; half < 2; ++half) {
      uint64_t bits;
      memcpy(&bits, square.of[half], sizeof bits);
      simt::st_async(place + n * 4 * unsigned{sizeof square} + half * unsigned{sizeof bits}, bits, full);
    }
  }
}

// The warpgroup of a team that multiplies. Its warp w has the sums of the 16 units that block w of the quad finishes.
template <class Tile>
class QuarterProduct {
  static_assert(!Tile::kMultiplier, "quarter_multiplier.h");
  using Sums = float[Tile::kSlots / 2];

 public:
  VARLSTM_DEVICE explicit QuarterProduct(const WideBackwardTeam<Tile>& team) : reader_(team.ring) {}

  // Multiplies the stages of a turn and pushes the sums.
  VARLSTM_DEVICE void run(WideBackwardShared<Tile>& shared, const WideBackwardTeam<Tile>& team, unsigned turn) {
    uint64_t rows = lines_descriptor(shared.weights);
    Weights weights = weights_of(shared, turn);
#pragma unroll 1
    for (unsigned k = 0; k < Tile::kSums; ++k) {
      Sums sums = {};
      if constexpr (Tile::kGridOrder)
        add_chains(rows, weights, sums);
      else
        add_chain(rows, weights, sums);
      rows = simt::advance_descriptor(rows, Tile::kSumStages * kKeptStageBytes);
      push_sums<Tile>(team, quad_place<Tile>(), static_cast<int>(k), sums);
    }
  }

 private:
  static constexpr unsigned kKeptStageBytes = Tile::kDepthOfStage * kLineBytes;  // of weights that are transposed

  struct NoStream {};
  using Weights = std::conditional_t<Tile::kStreamed, StreamedWeights<Tile>, NoStream>;
  VARLSTM_DEVICE static Weights weights_of(WideBackwardShared<Tile>& shared, unsigned turn) {
    if constexpr (Tile::kStreamed)
      return {shared.weights, shared.weight_ring, turn * (Tile::kStages - Tile::kKeptStages)};
    else
      return {};
  }

  // Starts the products of a stage, 32 bytes of k each. rows: weights that are all in shared memory.
  // first: a multiple of kEvery.
  VARLSTM_DEVICE void start(uint64_t rows, unsigned first, unsigned stage, [[maybe_unused]] Weights& streamed,
                            Sums& sums, bool accumulate) {
    constexpr bool kTransposed = !Tile::kStreamed;
    constexpr unsigned kStep = 32 / sizeof(typename Tile::Value), kLine = kTransposed ? kStep * kLineBytes : 32;
    uint64_t weights = 0;
    if constexpr (Tile::kStreamed)
      weights = lines_descriptor(streamed.wait(static_cast<int>(first), static_cast<int>(stage)));
    else
      weights = simt::advance_descriptor(rows, (first + stage) * kKeptStageBytes);
    const uint64_t values = lines_descriptor(reader_.wait());
    simt::wgmma_fence();
#pragma unroll
    for (unsigned step = 0; step < kLineBytes / 32; ++step)
      simt::wgmma<kMatrixOf<typename Tile::Math>, kTransposed, false>(
          sums, simt::advance_descriptor(weights, step * kLine), simt::advance_descriptor(values, step * 32),
          accumulate || step > 0);
    simt::wgmma_commit();
  }
  VARLSTM_DEVICE void release(unsigned stage, [[maybe_unused]] Weights& weights) {
    reader_.release();
    if constexpr (Tile::kStreamed) weights.release(static_cast<int>(stage));
  }

  // One chain over all stages.
  VARLSTM_DEVICE void add_chain(uint64_t rows, Weights& weights, Sums& sums) {
#pragma unroll 1
    for (unsigned begin = 0; begin < Tile::kSumStages; begin += Tile::kEvery) {
#pragma unroll
      for (unsigned i = 0; i < Tile::kEvery; ++i) {
        start(rows, begin, i, weights, sums, true);
        if (begin == 0 && i == 0) continue;
        simt::wgmma_wait<1>();  // the stage before has been read
        release(i + Tile::kEvery - 1, weights);
      }
    }
    simt::wgmma_wait<0>(sums);
    release(Tile::kEvery - 1, weights);
  }

  // The sum of a chain for each of the stages, two of which are under way together. Without a branch: in a loop ptxas
  // would wait for each product before it starts the next one.
  VARLSTM_DEVICE void add_chains(uint64_t rows, Weights& weights, Sums& sums) {
    static_assert(Tile::kSumStages % 2 == 0, "pairs");
    Sums even, odd;
    start(rows, 0, 0, weights, even, false);
#pragma unroll
    for (unsigned i = 0; i < Tile::kSumStages; i += 2) {
      start(rows, 0, i + 1, weights, odd, false);
      take<1>(even, i, weights, sums);
      if (i + 2 == Tile::kSumStages) break;
      start(rows, 0, i + 2, weights, even, false);
      take<1>(odd, i + 1, weights, sums);
    }
    take<0>(odd, Tile::kSumStages - 1, weights, sums);
  }

  // Waits for the parts of a stage of the sum, releases it and adds them; kUnderWay: stages that go on meanwhile.
  template <int kUnderWay>
  VARLSTM_DEVICE void take(Sums& parts, unsigned stage, Weights& weights, Sums& sums) {
    simt::wgmma_wait<kUnderWay>(parts);
    release(stage, weights);
    add_parts_of_grid(parts, stage == 0, sums);
  }

  StageReader<typename Tile::Ring> reader_;
};

}  // namespace varlstm::cuda
