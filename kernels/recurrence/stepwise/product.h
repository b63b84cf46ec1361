// The product of a step: rows of values times weights, for the ranks and units of a block. For kernel files only.
//
//   sums[r, gate, u] = sum over k < depth of value(r, k) * weight(gate, unit0 + u, k)
//
// Forward the weights are [kGates * units, depth] (kAlongK); backward they are [depth, units], and there is one gate.
// StepProduct<Tile, kGates, kAlongK>::run calls once for each rank and unit of the tile, in whichever thread,
// visitor.ask(r, u), which may load what the visitor needs besides, and then visitor.finish(r, u, sums, asked). Between
// the two there may be those of other ranks and units, or the product. Here is the version for the CUDA cores: one
// chain of fused multiply-adds over k from 0; a thread has one rank and unit. tensor_product.h has the other.
//   S1: after it the tiles of this depth are in shared memory. S2: after it no thread reads them any more.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cells/unit.h"
#include "kernels/core/scalar.h"
#include "kernels/recurrence/stepwise/step_tile.h"

namespace varlstm::cuda {

// An operand whose rows are in memory. row_of(r): the row of rank r, or null: zeros. Element k is at `k` of its row,
// from `plain` on at `k + gap`.
template <class T, class RowOf>
struct RowOperand {
  RowOf row_of;
  int64_t plain = INT64_MAX, gap = 0;

  VARLSTM_DEVICE const T* row(int r) const { return row_of(r); }
  VARLSTM_DEVICE int64_t place(int64_t k) const { return k < plain ? k : k + gap; }
  VARLSTM_DEVICE ComputeType<T> value(int r, int64_t k) const {
    const T* const from = row_of(r);
    return from == nullptr ? ComputeType<T>(0) : load_scalar(from[place(k)]);
  }
  // Whether value(r, k) is what is in memory, and whether `count` values from k on are there side by side.
  VARLSTM_DEVICE constexpr bool is_stored() const { return true; }
  VARLSTM_DEVICE bool is_whole(int64_t k, int64_t count) const { return k + count <= plain || k >= plain; }
};
template <class T, class RowOf>
VARLSTM_DEVICE RowOperand<T, RowOf> row_operand(const RowOf& row_of, int64_t plain = INT64_MAX, int64_t gap = 0) {
  return {row_of, plain, gap};
}

// A visitor that asks for nothing.
struct Nothing {};
template <class Finish>
struct FinishAlone {
  Finish finish_unit;
  VARLSTM_DEVICE Nothing ask(int, int) const { return {}; }
  template <class Sums>
  VARLSTM_DEVICE void finish(int r, int u, const Sums& sums, const Nothing&) const {
    finish_unit(r, u, sums);
  }
};
template <class Finish>
VARLSTM_DEVICE FinishAlone<Finish> finish_alone(const Finish& finish_unit) {
  return {finish_unit};
}

// The weights, and which of them the block takes.
template <class T>
struct StepWeights {
  const T* w;
  int64_t depth, units, unit0;
};

template <class Tile, int kGates, bool kAlongK, bool kTensorCores = Tile::Math::kTensorCores>
class StepProduct {
  using T = typename Tile::Scalar;
  using C = typename Tile::Compute;
  static constexpr int kDepth = 32, kRanks = Tile::kRanks, kUnits = Tile::kUnits, kLines = kGates * kUnits;
  static constexpr int kLoads = kGates == 1 ? 2 : 1;  // of each tile, that a thread has under way at once
  static_assert(kRanks * kUnits == kStepThreads && (kAlongK || kGates == 1), "a rank and unit for each thread");

 public:
  struct Shared {
    C values[kRanks][kDepth + 1];
    C w[kLines][kDepth + 1];
  };

  // Ranks from `ranks` on have no row. blocks: of a cluster that shares the tile, of which there is none here.
  template <class Operand, class Visitor>
  VARLSTM_DEVICE static void run(Shared& tiles, const Operand& operand, const StepWeights<T>& weights, int64_t,
                                 int /*blocks*/, const Visitor& visitor) {
    const int thread = static_cast<int>(threadIdx.x);
    const int r = thread / kUnits, u = thread % kUnits;
    UnitValues<C, kGates> sums = {};
#pragma unroll 1
    for (int64_t k0 = 0; k0 < weights.depth; k0 += kDepth) {
#pragma unroll kLoads
      for (int at = thread; at < kRanks * kDepth; at += static_cast<int>(kStepThreads)) {
        const int64_t k = k0 + at % kDepth;
        C value = 0;
        if (k < weights.depth) value = operand.value(at / kDepth, k);
        tiles.values[at / kDepth][at % kDepth] = value;
      }
#pragma unroll kLoads
      for (int at = thread; at < kLines * kDepth; at += static_cast<int>(kStepThreads)) {
        const int line = kAlongK ? at / kDepth : at % kLines, of_tile = kAlongK ? at % kDepth : at / kLines;
        tiles.w[line][of_tile] = weight(weights, line, k0 + of_tile);
      }
      simt::block_sync();  // S1
      for (int kk = 0; kk < kDepth; ++kk)
        for (int gate = 0; gate < kGates; ++gate)
          sums.of[gate] = simt::fma(tiles.values[r][kk], tiles.w[gate * kUnits + u][kk], sums.of[gate]);
      simt::block_sync();  // S2
    }
    visitor.finish(r, u, sums, visitor.ask(r, u));
  }

 private:
  VARLSTM_DEVICE static C weight(const StepWeights<T>& weights, int line, int64_t k) {
    const int64_t unit = weights.unit0 + line % kUnits;
    if (unit >= weights.units || k >= weights.depth) return 0;
    return load_scalar(kAlongK ? weights.w[(line / kUnits * weights.units + unit) * weights.depth + k]
                               : weights.w[k * weights.units + unit]);
  }
};

}  // namespace varlstm::cuda

#include "kernels/recurrence/stepwise/tensor_product.h"
