// The product of a step on tensor cores. For kernel files only; product.h includes it. Not measured on a GPU.
//
// Weights are A of mma.sync, ranks are B, sums are in f32. k is in kParts parts of whole chunks of 64 bytes, the last
// ones perhaps shorter or empty. Each part is one chain over blocks of 16 (8 for TF32) of k from 0, and the parts are
// added to 0 in order. So an element's bits depend on its row and its weights alone: not on the tile, the number of
// ranks, or the alignment. Incomplete blocks are filled with zeros.
// A small tile has the parts side by side, each in two warps, so that few loads follow one another. In a wide tile each
// warp has a rectangle of the tile and takes the parts one after the other; or the blocks of a cluster share the tile,
// have one part each, and each of them takes some of the ranks when the sums are there.
// Shared memory: kStages stages of a chunk of each part that is worked on: weights [line][k] or [k][line], then values
// [rank][k], with the pitches of tensor_fragments.h. What is aligned to 16 bytes is copied by cp.async, the rest
// element by element. After the products the sums are in the same place as [part][rank][line].
//   S1: after it this stage is in shared memory, and no thread reads the one before any more.
//   S2: after it no thread reads a stage any more, and no copy is under way. S3: after it the sums are visible, to the
//   cluster if it shares the tile. S4: no block of a cluster ends before the others have read its sums.
// The caller must have a barrier between the visits and what next writes here.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits.h>

#include "kernels/gemm/tensor_fragments.h"
#include "kernels/recurrence/stepwise/product.h"

namespace varlstm::cuda {

template <class Tile, int kGates, bool kAlongK>
class StepProduct<Tile, kGates, kAlongK, true> {
  using T = typename Tile::Scalar;
  using Math = typename Tile::Math;
  static constexpr int kParts = 4;
  static constexpr int kWord = Fragments<T>::kWord, kChunk = Fragments<T>::kDepth, kStep = Fragments<T>::kStep;
  static constexpr int kRanks = Tile::kRanks, kUnits = Tile::kUnits, kLines = kGates * kUnits;
  static constexpr bool kWide = kRanks > kSmallRanks;
  static constexpr int kSideBySide = kWide ? 1 : kParts;
  static constexpr int kRankWarps = kWide ? 2 : 1, kLineWarps = int{kStepThreads} / 32 / kSideBySide / kRankWarps;
  static constexpr int kLineTiles = kLines / 16;
  static constexpr int kOwnLineTiles = (kLineTiles + kLineWarps - 1) / kLineWarps;
  static constexpr int kOwnRankTiles = kRanks / 8 / kRankWarps;
  static constexpr int kAlongPitch = Fragments<T>::kAlongPitch, kWeightPitch = kAlongK ? kAlongPitch : kLines + 8;
  static constexpr int kWeightElements = kWeightPitch * (kAlongK ? kLines : kChunk);
  // Backward, whose units need more, and TF32 have no registers left for it.
  static constexpr bool kAsksFirst = !kWide && kAlongK && sizeof(T) == 2;
  static constexpr int kStages = kWide ? 4 : 3;  // 99 KB is the most that a block of sm_86 has
  static constexpr int kStageElements = kWeightElements + kRanks * kAlongPitch;
  static constexpr int kLineWords = kChunk / kWord;
  static constexpr int kWeightWords = kSideBySide * kLines * kLineWords;
  static constexpr int kWeightCopies = (kWeightWords + int{kStepThreads} - 1) / int{kStepThreads};
  static constexpr int kOwnUnits = kRanks * kUnits / int{kStepThreads}, kUnitsTogether = kOwnUnits < 4 ? kOwnUnits : 4;
  static_assert(kStep == Math::kTileDepth && kOwnRankTiles % 2 == 0 && (kAlongK || kGates == 1), "");
  static_assert(kSideBySide * kRanks * kLineWords == kStepThreads, "each thread copies one word of values");

  static_assert(sizeof(T) * kStages * kSideBySide * kStageElements <= 98 * 1024,
                "99 KB, less what kernels have beside");

  struct WarpSums {
    simt::f32x4 at[kOwnLineTiles][kOwnRankTiles];
  };

 public:
  struct alignas(16) Shared {
    union {
      T stages[kStages][kSideBySide][kStageElements];
      float sums[kSideBySide][kRanks][kLines + 4];
    };
  };

  // Ranks from `ranks` on have no row. blocks: kParts if a cluster of so many blocks shares the (wide) tile, else 1.
  template <class Operand, class Visitor>
  VARLSTM_DEVICE static void run(Shared& shared, const Operand& operand, const StepWeights<T>& weights, int64_t ranks,
                                 int blocks, const Visitor& visitor) {
    const int thread = static_cast<int>(threadIdx.x), warp = thread / 32;
    const int part = kWide ? 0 : warp / kLineWarps, line_warp = warp % kLineWarps;
    const int first_rank = kWide ? warp / kLineWarps * kOwnRankTiles * 8 : 0;
    const bool has_ranks = first_rank < ranks, shares = kWide && blocks > 1;
    const int block = shares ? static_cast<int>(simt::cluster_rank()) : 0;
    const int depth = static_cast<int>(weights.depth);
    const int chunks = (depth + kParts * kChunk - 1) / (kParts * kChunk);  // of a part
    const int turns = kWide && !shares ? kParts * chunks : chunks;
    WeightCopies of_weights(weights, chunks, block);
    ValueCopy<Operand> of_values(operand, depth, chunks, block);
    const auto load = [&](int turn) {
      T(&stage)[kSideBySide][kStageElements] = shared.stages[turn % kStages];
      of_weights.load(stage);
      of_values.load(stage);
    };

    using Asked = decltype(visitor.ask(0, 0));
    Asked asked[kUnitsTogether];
    const int own_units = shares ? kOwnUnits / kParts : kOwnUnits;
    const int first_unit = thread + block * own_units * int{kStepThreads};
    const auto ask = [&](int first) {
#pragma unroll
      for (int i = 0; i < kUnitsTogether && first + i < own_units; ++i) {
        const int at = first_unit + (first + i) * int{kStepThreads};
        asked[i] = visitor.ask(at / kUnits, at % kUnits);
      }
    };
    if constexpr (kAsksFirst) ask(0);
    WarpSums sums = {}, total = {};
#pragma unroll 1
    for (int turn = 0; turn < kStages - 1; ++turn) {
      if (turn < turns) load(turn);
      simt::cp_async_commit();
    }
    int left = chunks;  // of the part
#pragma unroll 1
    for (int turn = 0; turn < turns; ++turn) {
      simt::cp_async_wait<kStages - 2>();
      simt::block_sync();  // S1
      if (turn + kStages - 1 < turns) load(turn + kStages - 1);
      simt::cp_async_commit();
      if (has_ranks) multiply(shared.stages[turn % kStages][part], line_warp, first_rank, sums);
      if (--left > 0) continue;
      add(sums, total);
      left = chunks;
    }
    simt::cp_async_wait<0>();
    simt::block_sync();  // S2
    store(shared.sums[part], line_warp, first_rank, total);
    if (shares)
      simt::cluster_sync();  // S3
    else
      simt::block_sync();  // S3
#pragma unroll 1
    for (int first = 0; first < own_units; first += kUnitsTogether) {
      if constexpr (!kAsksFirst) ask(first);
#pragma unroll
      for (int i = 0; i < kUnitsTogether && first + i < own_units; ++i) {
        const int at = first_unit + (first + i) * int{kStepThreads}, r = at / kUnits, u = at % kUnits;
        UnitValues<float, kGates> of_unit = {};
        if (shares) {
          for (unsigned p = 0; p < kParts; ++p) add_part(*simt::cluster_map(&shared.sums[0][r], p), u, of_unit);
        } else {
          for (int p = 0; p < kSideBySide; ++p) add_part(shared.sums[p][r], u, of_unit);
        }
        visitor.finish(r, u, of_unit, asked[i]);
      }
    }
    if (shares) simt::cluster_sync();  // S4
  }

 private:
  VARLSTM_DEVICE static void add_part(const float (&sums)[kLines + 4], int u, UnitValues<float, kGates>& of_unit) {
    for (int gate = 0; gate < kGates; ++gate) of_unit.of[gate] += sums[gate * kUnits + u];
  }

  // to[0..kWord) <- from[0..kWord), with zeros from `count` on.
  VARLSTM_DEVICE static void copy_elements(T* to, const T* from, int count) {
#pragma unroll 1
    for (int e = 0; e < kWord; ++e) to[e] = e < count ? from[e] : T{};
  }

  // The words of weights that a thread copies in a turn.
  class WeightCopies {
   public:
    VARLSTM_DEVICE WeightCopies(const StepWeights<T>& weights, int chunks, int first_part)
        : step_(kAlongK ? kChunk : kChunk * weights.units) {
#pragma unroll
      for (int copy = 0; copy < kWeightCopies; ++copy) {
        const int at = place(copy), part = first_part + at / (kLines * kLineWords);
        const int outer = outer_of(at), inner = inner_of(at), k0 = part * chunks * kChunk;
        const int k = k0 + (kAlongK ? inner : outer);
        const int64_t unit = weights.unit0 + (kAlongK ? outer % kUnits : inner);
        const int64_t line = kAlongK ? outer / kUnits * weights.units + unit : k;
        from_[copy] = weights.w + (kAlongK ? line * weights.depth + k : line * weights.units + unit);
        left_[copy] = static_cast<int>(weights.depth) - k;
        const int64_t width = kAlongK ? kWord : weights.units - unit;
        width_[copy] = unit >= weights.units ? 0 : width < kWord ? static_cast<int>(width) : kWord;
        const bool by_word = width_[copy] == kWord && reinterpret_cast<uintptr_t>(from_[copy]) % 16 == 0 &&
                             (kAlongK || weights.units * sizeof(T) * kChunk % 16 == 0);
        least_[copy] = !by_word ? INT_MAX : kAlongK ? kWord : 1;
      }
    }
    // Loads a turn's words; called for one turn after the other.
    VARLSTM_DEVICE void load(T (&stage)[kSideBySide][kStageElements]) {
#pragma unroll
      for (int copy = 0; copy < kWeightCopies; ++copy) {
        const int at = place(copy);
        if (kWeightWords % kStepThreads != 0 && at >= kWeightWords) break;
        T* const to = stage[at / (kLines * kLineWords)] + outer_of(at) * kWeightPitch + inner_of(at);
        if (left_[copy] >= least_[copy])
          simt::cp_async16(to, from_[copy]);
        else if (kAlongK)
          copy_elements(to, from_[copy], left_[copy] < width_[copy] ? left_[copy] : width_[copy]);
        else
          copy_elements(to, from_[copy], left_[copy] > 0 ? width_[copy] : 0);
        from_[copy] += step_;
        left_[copy] -= kChunk;
      }
    }

   private:
    static constexpr int kWords = kAlongK ? kLineWords : kLines / kWord;  // of a row of a stage
    VARLSTM_DEVICE static int place(int copy) {
      return static_cast<int>(threadIdx.x) + copy * int{kStepThreads};
    }
    VARLSTM_DEVICE static int outer_of(int at) {
      return at % (kLines * kLineWords) / kWords;
    }
    VARLSTM_DEVICE static int inner_of(int at) {
      return at % kWords * kWord;
    }

    int64_t step_;
    const T* from_[kWeightCopies];
    int left_[kWeightCopies];   // of the depth
    int width_[kWeightCopies];  // elements of a word that are weights of the tile
    int least_[kWeightCopies];  // of the depth that is left, for a copy of the whole word
  };

  // The word of values that a thread copies in a turn.
  template <class Operand>
  class ValueCopy {
   public:
    VARLSTM_DEVICE ValueCopy(const Operand& operand, int depth, int chunks, int first_part)
        : operand_(operand),
          part_(static_cast<int>(threadIdx.x) / (kRanks * kLineWords)),
          r_(static_cast<int>(threadIdx.x) / kLineWords % kRanks),
          inner_(static_cast<int>(threadIdx.x) % kLineWords * kWord),
          row_(operand.row(r_)),
          is_stored_(operand.is_stored()),
          k_((first_part + part_) * chunks * kChunk + inner_),
          depth_(row_ == nullptr ? 0 : depth) {}

    VARLSTM_DEVICE void load(T (&stage)[kSideBySide][kStageElements]) {
      T* const to = stage[part_] + kWeightElements + r_ * kAlongPitch + inner_;
      const bool whole = is_stored_ && k_ + kWord <= depth_ && operand_.is_whole(k_, kWord);
      const T* const from = whole ? row_ + operand_.place(k_) : nullptr;
      if (whole && reinterpret_cast<uintptr_t>(from) % 16 == 0) {
        simt::cp_async16(to, from);
      } else {
#pragma unroll 1
        for (int e = 0; e < kWord; ++e) to[e] = k_ + e < depth_ ? store_scalar<T>(operand_.value(r_, k_ + e)) : T{};
      }
      k_ += kChunk;
    }

   private:
    const Operand& operand_;
    const int part_, r_, inner_;
    const T* const row_;
    const bool is_stored_;
    int k_;
    const int depth_;
  };

  VARLSTM_DEVICE static void multiply(const T* stage, int line_warp, int first_rank, WarpSums& sums) {
#pragma unroll
    for (int k = 0; k < kChunk; k += kStep) {
      simt::b32x2 b[kOwnRankTiles / 2][2];
#pragma unroll
      for (int n = 0; n < kOwnRankTiles / 2; ++n)
        load_b<true, kAlongPitch>(stage + kWeightElements, first_rank + 16 * n, k, b[n]);
#pragma unroll
      for (int m = 0; m < kOwnLineTiles; ++m) {
        const int tile = m * kLineWarps + line_warp;
        if (kLineTiles % kLineWarps != 0 && tile >= kLineTiles) break;  // the whole warp
        const simt::b32x4 a = load_a<kAlongK, kWeightPitch>(stage, tile * 16, k);
#pragma unroll
        for (int n = 0; n < kOwnRankTiles; ++n) sums.at[m][n] = Math::multiply(a, b[n / 2][n % 2], sums.at[m][n]);
      }
    }
  }

  // total += sums, which begin anew.
  VARLSTM_DEVICE static void add(WarpSums& sums, WarpSums& total) {
#pragma unroll
    for (int m = 0; m < kOwnLineTiles; ++m) {
#pragma unroll
      for (int n = 0; n < kOwnRankTiles; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) total.at[m][n].r[e] += sums.at[m][n].r[e];
        sums.at[m][n] = {};
      }
    }
  }

  VARLSTM_DEVICE static void store(float (&sums)[kRanks][kLines + 4], int line_warp, int first_rank,
                                   const WarpSums& total) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
    for (int m = 0; m < kOwnLineTiles; ++m) {
      const int tile = m * kLineWarps + line_warp;
      if (kLineTiles % kLineWarps != 0 && tile >= kLineTiles) break;
#pragma unroll
      for (int n = 0; n < kOwnRankTiles; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int line = tile * 16 + lane / 4 + e / 2 * 8, rank = first_rank + n * 8 + lane % 4 * 2 + e % 2;
          sums[rank][line] = total.at[m][n].r[e];
        }
      }
    }
  }
};

}  // namespace varlstm::cuda
