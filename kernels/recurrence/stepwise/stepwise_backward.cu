// Backward of a cell over one layer, one launch for each step, in the reverse of forward's order.
//
//   dh[j, u] = dy[row, u] + sum over k < GH of dstate[row after, k] * w_hh[k, u]      (dh_n if the sequence ends here)
//   dgates[row], dc, and what goes straight to the step before: the cell's file of kernels/cells
//
// If h is projected, projection.cu has put that dh of R features into dprojected, and here
//   dh[j, u] = sum over p < R of dprojected[row, p] * w_hr[p, u]
// The gradient of c of each token is dc of the step after, plus that token's row of dc_of_token if there is one.
// If the cell has two products, k runs over the gates of the first one, and second_product.cu follows.
// dstate are the gradients in dgates that flow to the state: all of them, but for a cell with state gates.
// The launch before has written dgates[row after]. A last launch computes dh0 (the same product, at each sequence's
// first row) and dc0. Grid, block and shared memory are as in stepwise_forward.cu, except that the weights are [depth,
// units], and there is one sum for each rank and unit.
//   S0: after it the ranks and tiles.rows are visible. S1 to S4: of product.h and tensor_product.h.
//   S5 (launch order): dgates, dc, dh and dprojected of a launch are visible to the next.
//   S6: after it no thread of the last launch reads the tiles any more.
// Bytes of a step: w_hh G H H e for each tile of ranks, and for an LSTM b_t H (8 C + 6 e) of states and gates. Sums are
// in f32 (f64 for F64), in an order that depends on k alone: bit-identical whatever else is in the batch. dgates are
// rounded to the dtype when they are stored; dc stays in C. Mirrored by host/rnn.
// With options of a cell (cell_options.h) they are other kernels, in which the sum over k is multiplied by the factor
// of the state, and any cell may pass a part of dh straight to the step before.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cells/cells.h"
#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/stepwise/backward_sum.h"
#include "kernels/recurrence/stepwise/cell_options.h"
#include "kernels/recurrence/stepwise/incoming.h"
#include "kernels/recurrence/stepwise/projection.h"
#include "kernels/recurrence/stepwise/second_product.h"
#include "kernels/recurrence/stepwise/steps.h"
#include "varlstm.h"

namespace varlstm::cuda {

// A rank of a tile.
struct BackwardRank {
  int64_t row;             // of the token, or -1: no such rank
  int64_t before;          // the row that forward visited before, or -1
  int64_t initial, final;  // the sequences whose initial state and final state the segment has, or -1
  bool ends;               // the segment ends here
};

template <class Tile>
struct StepBackwardTiles {
  BackwardTiles<Tile> sums;
  BackwardRank ranks[Tile::kRanks];
};

template <class Tile, class T, class C>
VARLSTM_DEVICE void fill_ranks(BackwardRank (&ranks)[Tile::kRanks], const LayerBackward<T, C>& layer,
                               const StepPlace& at) {
  const int thread = static_cast<int>(threadIdx.x);
  if (thread >= Tile::kRanks) return;
  const int64_t j = at.rank0 + thread;
  ranks[thread].row = -1;
  if (j >= at.width) return;
  ranks[thread] = {row_of(layer.plan, layer.row_order, at.t, j),
                   row_before(layer.plan, layer.row_order, at.reverse, at.t, j), initial_of(layer.plan, at.reverse, j),
                   final_of(layer.plan, at.reverse, j),
                   row_after(layer.plan, layer.row_order, at.reverse, at.t, j) < 0};
}

// The units of a tile, from the gradients that come in. kProjected: h is projected.
template <class CellType, bool kProjected, class Tile, class Options>
class BackwardUnits {
  using T = typename Tile::Scalar;
  using C = typename Tile::Compute;
  using Functions = typename Tile::Functions;

 public:
  struct Asked {
    AskedGradient<C> gradient;
    C dc;
    UnitState<C> state, after;
    UnitValues<C, CellType::kSaved> saved;
  };

  VARLSTM_DEVICE BackwardUnits(const LayerBackward<T, C>& layer, const Options& options,
                               const BackwardRank (&ranks)[Tile::kRanks], const StepPlace& at)
      : layer_(layer), dir_(layer.direction[blockIdx.z]), options_(options), ranks_(ranks), at_(at) {}

  VARLSTM_DEVICE Asked ask(int r, int u) const {
    Asked asked{};
    const BackwardRank& of = ranks_[r];
    const int64_t row = of.row, unit = at_.unit0 + u, hidden = layer_.hidden;
    if (row < 0 || unit >= hidden) return asked;
    asked.gradient = ask_gradient<CellType, kProjected>(layer_, dir_, options_, place_of(r, unit));
    if constexpr (CellType::kReadsH)
      asked.state.h = of.before >= 0 ? load_scalar(dir_.y[of.before * layer_.ldy + unit])
                                     : of_sequence(dir_.h0, of.initial, hidden, unit);
    if constexpr (CellType::kHasC) {
      asked.dc = of.ends ? of_sequence(dir_.dc_n, of.final, hidden, unit) : dir_.dc[rank_of(r) * hidden + unit];
      if (layer_.dc_of_token != nullptr)
        asked.dc += load_scalar(layer_.dc_of_token[(row * layer_.directions + blockIdx.z) * hidden + unit]);
      asked.state.c =
          of.before >= 0 ? dir_.c[of.before * hidden + unit] : of_sequence(dir_.c0, of.initial, hidden, unit);
      asked.after.c = dir_.c[row * hidden + unit];
    }
    const C* const gates = dir_.gates + row * CellType::kSaved * hidden + unit;
    for (int k = 0; k < CellType::kSaved; ++k) asked.saved.of[k] = gates[k * hidden];
    return asked;
  }

  VARLSTM_DEVICE void finish(int r, int u, const OneSum<C>& incoming, const Asked& asked) const {
    const int64_t row = ranks_[r].row, j = rank_of(r), unit = at_.unit0 + u, hidden = layer_.hidden;
    if (row < 0 || unit >= hidden) return;
    UnitState<C> gradient = {
        gradient_of_h<CellType, kProjected>(layer_, dir_, options_, place_of(r, unit), asked.gradient, incoming.of[0]),
        asked.dc};
    UnitValues<C, kGradientsOf<CellType>> gradients;
    if constexpr (Options::kAct)
      gradients = backward_with_options<CellType, Functions>(
          DirectionOptions<C>(options_, blockIdx.z), ragged_row(layer_.plan, layer_.row_order, row) * hidden + unit,
          kProjected, asked.saved, asked.state, asked.after, &gradient);
    else
      gradients = CellType::template backward<Functions>(asked.saved, asked.state, asked.after, &gradient);
    if constexpr (CellType::kHasC) dir_.dc[j * hidden + unit] = gradient.c;
    if (passes_h<CellType, kProjected>(dir_, options_)) dir_.dh[j * hidden + unit] = gradient.h;
    T* const dgates = dir_.dgates + row * kGradientsOf<CellType> * hidden + unit;
    for (int k = 0; k < kGradientsOf<CellType>; ++k) dgates[k * hidden] = store_scalar<T>(gradients.of[k]);
  }

 private:
  VARLSTM_DEVICE int64_t rank_of(int r) const { return at_.rank0 + r; }
  VARLSTM_DEVICE UnitPlace place_of(int r, int64_t unit) const {
    return {ranks_[r].row, rank_of(r), unit, ranks_[r].final, ranks_[r].ends};
  }

  const LayerBackward<T, C>& layer_;
  const DirectionBackward<T, C>& dir_;
  const Options& options_;
  const BackwardRank (&ranks_)[Tile::kRanks];
  const StepPlace& at_;
};

// Tile: a StepTile. Options: NoOptions, or LayerOptions<ComputeType<T>>, as in the kernels below.
template <class CellType, bool kProjected, class Tile, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    stepwise_backward_kernel(LayerBackward<typename Tile::Scalar, typename Tile::Compute> layer, int64_t step,
                             int64_t steps, Options options, int blocks) {
  StepBackwardTiles<Tile>& tiles = *simt::shared_memory<StepBackwardTiles<Tile>>();
  const bool reverse = blockIdx.z == 1;
  const int64_t t = reverse ? step : steps - 1 - step;
  const int64_t width = layer.plan.segments.sizes[t];
  const int64_t rank0 = static_cast<int64_t>(blockIdx.x) / blocks * Tile::kRanks;
  if (rank0 >= width) return;  // the whole block
  const StepPlace at = {t, width, rank0, static_cast<int64_t>(blockIdx.y) * Tile::kUnits, reverse, blocks};
  fill_ranks<Tile>(tiles.ranks, layer, at);
  const BackwardUnits<CellType, kProjected, Tile, Options> units(layer, options, tiles.ranks, at);
  incoming_gradients<CellType, kProjected>(tiles.sums, layer, layer.direction[blockIdx.z], at, units);
}

// dh0 [B, R], dc0 [B, H], for the sequences from whose initial states a segment starts; other tiles of ranks have no
// work. A sequence without a token passes dh_n and dc_n on.
template <class CellType, class Tile, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    initial_gradients_kernel(LayerBackward<typename Tile::Scalar, typename Tile::Compute> layer, Options options) {
  using T = typename Tile::Scalar;
  using C = typename Tile::Compute;
  BackwardTiles<Tile>& tiles = *simt::shared_memory<BackwardTiles<Tile>>();
  const BatchPlan& plan = layer.plan;
  const bool reverse = blockIdx.z == 1;
  const DirectionBackward<T, C>& dir = layer.direction[blockIdx.z];
  const int64_t hidden = layer.hidden, unit0 = static_cast<int64_t>(blockIdx.y) * Tile::kUnits;
  const int thread = static_cast<int>(threadIdx.x);
  const auto initial = [&](int64_t j) { return j < plan.segments.count ? initial_of(plan, reverse, j) : -1; };
  for (int64_t rank0 = static_cast<int64_t>(blockIdx.x) * Tile::kRanks; rank0 < plan.segments.count;
       rank0 += static_cast<int64_t>(gridDim.x) * Tile::kRanks) {
    bool any = false;
    for (int r = 0; r < Tile::kRanks; ++r) any = any || initial(rank0 + r) >= 0;
    if (!any) continue;  // the whole block
    if (thread < Tile::kRanks) {
      const int64_t b = initial(rank0 + thread);
      tiles.rows[thread] = b >= 0 && plan.lengths[b] > 0 ? first_row(plan, layer.row_order, reverse, b) : -1;
    }
    simt::block_sync();  // S0
    const auto finish = [&](int r, int u, const OneSum<C>& sum) {
      C recurrent = sum.of[0];
      const bool empty = tiles.rows[r] < 0;
      const int64_t j = rank0 + r, unit = unit0 + u, b = initial(j);
      if (b < 0 || unit >= hidden) return;
      const int64_t at = b * hidden + unit, h_at = b * layer.state + unit;
      if constexpr (Options::kAct) {
        recurrent =
            times_factor(recurrent, DirectionOptions<C>(options, blockIdx.z).state_factor(b, layer.state, unit));
        if (dir.dh != nullptr && unit < layer.state) recurrent += empty ? C(0) : dir.dh[j * layer.state + unit];
      } else if constexpr (CellType::kPassesH) {
        recurrent += empty ? C(0) : dir.dh[j * hidden + unit];
      }
      if (dir.dh0 != nullptr && unit < layer.state)
        dir.dh0[h_at] = store_scalar<T>(empty ? load_or_zero(dir.dh_n, h_at) : recurrent);
      if (dir.dc0 != nullptr)
        dir.dc0[at] = store_scalar<T>(empty ? load_or_zero(dir.dc_n, at) : dir.dc[j * hidden + unit]);
    };
    recurrent_gradients<CellType>(tiles, dir.dgates, dir.w_hh, hidden, layer.state, unit0, Tile::kRanks, 1,
                                  finish_alone(finish));
    simt::block_sync();  // S6
  }
}

// h_prev [N, R] <- the state before each token's step, as it entered the product with W_hh. This is a copy, bound by
// memory.
template <class T, class Options>
VARLSTM_KERNEL void gather_previous_kernel(LayerBackward<T, ComputeType<T>> layer, int64_t direction, int64_t steps,
                                           T* h_prev, Options options) {
  using C = ComputeType<T>;
  const BatchPlan& plan = layer.plan;
  const DirectionBackward<T, ComputeType<T>>& dir = layer.direction[direction];
  for (int64_t t = blockIdx.x; t < steps; t += gridDim.x) {
    const int64_t count = plan.segments.sizes[t] * layer.state;
    for (int64_t k = static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x; k < count;
         k += static_cast<int64_t>(gridDim.y) * blockDim.x) {
      const int64_t j = k / layer.state, unit = k % layer.state;
      const int64_t before = row_before(plan, layer.row_order, direction == 1, t, j);
      const int64_t b = initial_of(plan, direction == 1, j);
      T value = store_scalar<T>(0);
      if (before >= 0) {
        value = dir.y[before * layer.ldy + unit];
      } else if (dir.h0 != nullptr && b >= 0) {
        value = dir.h0[b * layer.state + unit];
      }
      const int64_t row = row_of(plan, layer.row_order, t, j);
      if constexpr (Options::kAct) {
        const DirectionOptions<C> at(options, direction);
        if (at.drops_state()) {
          const int64_t sequence = sequence_of(plan, layer.row_order, row, j);
          value = store_scalar<T>(times_factor(load_scalar(value), at.state_factor(sequence, layer.state, unit)));
        }
      }
      h_prev[row * layer.state + unit] = value;
    }
  }
}

namespace {

template <class CellType, class T, class C, class Options>
int32_t run_last(Stream stream, const LayerBackward<T, C>& layer, const Options& options) {
  if (layer.direction[0].dh0 == nullptr && layer.direction[0].dc0 == nullptr) return VARLSTM_OK;
  constexpr int64_t kMostRanks = INT64_C(65536) * kSmallRanks;  // at once; few of them start from an initial state
  const int64_t segments = layer.plan.segments.count, ranks = segments < kMostRanks ? segments : kMostRanks;
  return with_step_tile<T, 0>(stream, ranks, layer.hidden, layer.directions, [&](auto of_step, int blocks) {
    using Tile = decltype(of_step);
    const LaunchShape shape =
        step_shape<Tile>(ranks, layer.hidden, layer.directions, sizeof(BackwardTiles<Tile>), blocks);
    return launch<initial_gradients_kernel<CellType, Tile, Options>>(stream, "initial_gradients", shape, layer,
                                                                     options);
  });
}

template <class CellType, bool kProjected, class T, class C, class Options>
int32_t run_step(Stream stream, const LayerBackward<T, C>& layer, int64_t step, int64_t steps, const Options& options) {
  const int64_t ranks = launched_ranks(layer, step, steps, true);
  return with_step_tile<T, kWideUnits>(stream, ranks, layer.hidden, layer.directions, [&](auto of_step, int blocks) {
    using Tile = decltype(of_step);
    const LaunchShape shape =
        step_shape<Tile>(ranks, layer.hidden, layer.directions, sizeof(StepBackwardTiles<Tile>), blocks);
    return launch<stepwise_backward_kernel<CellType, kProjected, Tile, Options>>(stream, "stepwise_backward", shape,
                                                                                 layer, step, steps, options, blocks);
  });
}

template <class CellType, bool kProjected, class T, class C, class Options>
int32_t run_steps(Stream stream, const LayerBackward<T, C>& layer, const Options& options) {
  const int64_t steps = launched_steps(layer.plan);
  for (int64_t step = 0; step < steps; ++step) {
    if constexpr (kProjected) VARLSTM_CUDA_TRY(projected_gradient_step(stream, layer, step, steps, options));
    VARLSTM_CUDA_TRY((run_step<CellType, kProjected>(stream, layer, step, steps, options)));
    if constexpr (CellType::kSecondGates > 0)
      VARLSTM_CUDA_TRY(second_gradient_step(stream, CellType::kKind, layer, step, steps, options));
  }
  return run_last<CellType>(stream, layer, options);
}

}  // namespace

template <class T, class C>
int32_t stepwise_backward(Stream stream, Cell cell, const LayerBackward<T, C>& layer, const LayerOptions<C>& options) {
  const auto run = [&](auto of_layer, const auto& of_kernels) {
    using CellType = decltype(of_layer);
    if constexpr (CellType::kProjects) {
      if (layer.direction[0].w_hr != nullptr) return run_steps<CellType, true>(stream, layer, of_kernels);
    }
    return run_steps<CellType, false>(stream, layer, of_kernels);
  };
  return with_cell(cell,
                   [&](auto of_layer) { return options.act ? run(of_layer, options) : run(of_layer, NoOptions()); });
}

template <class T, class C>
int32_t store_initial_gradients(Stream stream, Cell cell, const LayerBackward<T, C>& layer,
                                const LayerOptions<C>& options) {
  return with_cell(cell, [&](auto of_layer) {
    using CellType = decltype(of_layer);
    return options.act ? run_last<CellType>(stream, layer, options) : run_last<CellType>(stream, layer, NoOptions());
  });
}

template <class T, class C>
int32_t gather_previous(Stream stream, const LayerBackward<T, C>& layer, const LayerOptions<C>& options,
                        int64_t direction, T* h_prev) {
  const int64_t steps = launched_steps(layer.plan);
  // Few steps with many segments get several blocks each.
  constexpr int64_t kBlock = 256, kMostBlocks = 256;
  LaunchShape shape = elementwise_shape(stream, steps, 1);
  const int64_t wide = most_segments(layer.plan, 0) * layer.state / kBlock;
  const int64_t blocks = wide < 1 ? 1 : wide < kMostBlocks ? wide : kMostBlocks;
  shape.grid.y = static_cast<unsigned>(steps < 64 ? blocks : blocks < 4 ? blocks : 4);
  shape.block = dim3(kBlock);
  if (options.state_words > 0)
    return launch<gather_previous_kernel<T, LayerOptions<C>>>(stream, "gather_previous", shape, layer, direction, steps,
                                                              h_prev, options);
  return launch<gather_previous_kernel<T, NoOptions>>(stream, "gather_previous", shape, layer, direction, steps, h_prev,
                                                      NoOptions());
}

#define VARLSTM_INSTANTIATE(T, C)                                                                             \
  template int32_t stepwise_backward(Stream, Cell, const LayerBackward<T, C>&, const LayerOptions<C>&);       \
  template int32_t store_initial_gradients(Stream, Cell, const LayerBackward<T, C>&, const LayerOptions<C>&); \
  template int32_t gather_previous(Stream, const LayerBackward<T, C>&, const LayerOptions<C>&, int64_t direction, T*)
VARLSTM_INSTANTIATE(float, float);
VARLSTM_INSTANTIATE(double, double);
VARLSTM_INSTANTIATE(Bf16, float);
VARLSTM_INSTANTIATE(F16, float);
#undef VARLSTM_INSTANTIATE

}  // namespace varlstm::cuda
