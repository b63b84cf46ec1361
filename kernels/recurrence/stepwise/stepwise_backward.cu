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
// first row) and dc0. Grid, block and shared memory are as in stepwise_forward.cu, except that the tiles are dgates
// [kRows][kDepth + 1] and w_hh [kDepth][kUnits], and a thread owns one sum over GH and its unit.
//   S0: after it tiles.rows is visible. S1: after it the tiles of this depth are in shared memory.
//   S2: after it no thread reads them any more.
//   S3 (launch order): dgates, dc, dh and dprojected of a launch are visible to the next.
// Bytes of a step: w_hh G H H e for each tile of ranks, and for an LSTM b_t H (8 C + 6 e) of states and gates. Sums:
// one chain of fused multiply-adds over k, in f32 (f64 for F64): bit-identical whatever else is in the batch. dgates
// are rounded to the dtype when they are stored; dc stays in C. Mirrored by host/rnn.
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

// kProjected: h is projected. Options: NoOptions, or LayerOptions<ComputeType<T>>, as in the kernels below.
template <class CellType, bool kProjected, class T, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    stepwise_backward_kernel(LayerBackward<T, ComputeType<T>> layer, int64_t step, int64_t steps, Options options) {
  using C = ComputeType<T>;
  BackwardTiles<C>& tiles = *simt::shared_memory<BackwardTiles<C>>();
  const BatchPlan& plan = layer.plan;
  const bool reverse = blockIdx.z == 1;
  const DirectionBackward<T, C>& dir = layer.direction[blockIdx.z];
  const int64_t t = reverse ? step : steps - 1 - step;
  const int64_t width = plan.segments.sizes[t];
  const int64_t rank0 = static_cast<int64_t>(blockIdx.x) * kRows;
  if (rank0 >= width) return;  // the whole block
  const int64_t hidden = layer.hidden, unit0 = static_cast<int64_t>(blockIdx.y) * kUnits;
  const int thread = static_cast<int>(threadIdx.x);
  const C incoming =
      incoming_gradient<CellType, kProjected>(tiles, layer, dir, {t, width, rank0, unit0, blockIdx.z == 1});

  const int64_t j = rank0 + thread / kUnits, unit = unit0 + thread % kUnits;
  if (j >= width || unit >= hidden) return;
  const int64_t row = row_of(plan, layer.row_order, t, j);
  const int64_t initial = initial_of(plan, reverse, j), final = final_of(plan, reverse, j);
  const int64_t before = row_before(plan, layer.row_order, reverse, t, j);
  const bool ends = row_after(plan, layer.row_order, reverse, t, j) < 0;
  UnitState<C> state = {C(0), C(0)}, after = {C(0), C(0)};
  const bool passes_h = CellType::kPassesH || (Options::kAct && !kProjected && dir.dh != nullptr);
  UnitState<C> gradient = {
      gradient_of_h<CellType, kProjected>(layer, dir, options, {row, j, unit, final, ends}, incoming), C(0)};
  if constexpr (CellType::kReadsH)
    state.h = before >= 0 ? load_scalar(dir.y[before * layer.ldy + unit]) : of_sequence(dir.h0, initial, hidden, unit);
  if constexpr (CellType::kHasC) {
    gradient.c = ends ? of_sequence(dir.dc_n, final, hidden, unit) : dir.dc[j * hidden + unit];
    if (layer.dc_of_token != nullptr)
      gradient.c += load_scalar(layer.dc_of_token[(row * layer.directions + blockIdx.z) * hidden + unit]);
    state.c = before >= 0 ? dir.c[before * hidden + unit] : of_sequence(dir.c0, initial, hidden, unit);
    after.c = dir.c[row * hidden + unit];
  }
  const C* gates = dir.gates + row * CellType::kSaved * hidden + unit;
  UnitValues<C, CellType::kSaved> saved;
  for (int k = 0; k < CellType::kSaved; ++k) saved.of[k] = gates[k * hidden];
  UnitValues<C, kGradientsOf<CellType>> gradients;
  if constexpr (Options::kAct)
    gradients = backward_with_options<CellType>(DirectionOptions<C>(options, blockIdx.z),
                                                ragged_row(plan, layer.row_order, row) * hidden + unit, kProjected,
                                                saved, state, after, &gradient);
  else
    gradients = CellType::template backward<Accurate>(saved, state, after, &gradient);
  if constexpr (CellType::kHasC) dir.dc[j * hidden + unit] = gradient.c;
  if (passes_h) dir.dh[j * hidden + unit] = gradient.h;
  T* dgates = dir.dgates + row * kGradientsOf<CellType> * hidden + unit;
  for (int k = 0; k < kGradientsOf<CellType>; ++k) dgates[k * hidden] = store_scalar<T>(gradients.of[k]);
}

// dh0 [B, R], dc0 [B, H], for the sequences from whose initial states a segment starts; other tiles of ranks have no
// work. A sequence without a token passes dh_n and dc_n on.
template <class CellType, class T, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    initial_gradients_kernel(LayerBackward<T, ComputeType<T>> layer, Options options) {
  using C = ComputeType<T>;
  BackwardTiles<C>& tiles = *simt::shared_memory<BackwardTiles<C>>();
  const BatchPlan& plan = layer.plan;
  const bool reverse = blockIdx.z == 1;
  const DirectionBackward<T, C>& dir = layer.direction[blockIdx.z];
  const int64_t hidden = layer.hidden, unit0 = static_cast<int64_t>(blockIdx.y) * kUnits;
  const int thread = static_cast<int>(threadIdx.x);
  const auto initial = [&](int64_t j) { return j < plan.segments.count ? initial_of(plan, reverse, j) : -1; };
  for (int64_t rank0 = static_cast<int64_t>(blockIdx.x) * kRows; rank0 < plan.segments.count;
       rank0 += static_cast<int64_t>(gridDim.x) * kRows) {
    bool any = false;
    for (int r = 0; r < kRows; ++r) any = any || initial(rank0 + r) >= 0;
    if (!any) continue;  // the whole block
    if (thread < kRows) {
      const int64_t b = initial(rank0 + thread);
      tiles.rows[thread] = b >= 0 && plan.lengths[b] > 0 ? first_row(plan, layer.row_order, reverse, b) : -1;
    }
    simt::block_sync();  // S0; S2 of the sum is before the next tile's rows
    const bool empty = tiles.rows[thread / kUnits] < 0;
    C recurrent = recurrent_gradient<CellType>(tiles, dir.dgates, dir.w_hh, hidden, layer.state, unit0);
    const int64_t j = rank0 + thread / kUnits, unit = unit0 + thread % kUnits, b = initial(j);
    if (b < 0 || unit >= hidden) continue;
    const int64_t at = b * hidden + unit, h_at = b * layer.state + unit;
    if constexpr (Options::kAct) {
      recurrent = times_factor(recurrent, DirectionOptions<C>(options, blockIdx.z).state_factor(b, layer.state, unit));
      if (dir.dh != nullptr && unit < layer.state) recurrent += empty ? C(0) : dir.dh[j * layer.state + unit];
    } else if constexpr (CellType::kPassesH) {
      recurrent += empty ? C(0) : dir.dh[j * hidden + unit];
    }
    if (dir.dh0 != nullptr && unit < layer.state)
      dir.dh0[h_at] = store_scalar<T>(empty ? load_or_zero(dir.dh_n, h_at) : recurrent);
    if (dir.dc0 != nullptr)
      dir.dc0[at] = store_scalar<T>(empty ? load_or_zero(dir.dc_n, at) : dir.dc[j * hidden + unit]);
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
  constexpr int64_t kMostRanks = INT64_C(65536) * kRows;  // at once; few of them start from an initial state
  const int64_t ranks = layer.plan.segments.count;
  const LaunchShape shape =
      step_shape(ranks < kMostRanks ? ranks : kMostRanks, layer.hidden, layer.directions, sizeof(BackwardTiles<C>));
  return launch<initial_gradients_kernel<CellType, T, Options>>(stream, "initial_gradients", shape, layer, options);
}

template <class CellType, bool kProjected, class T, class C, class Options>
int32_t run_steps(Stream stream, const LayerBackward<T, C>& layer, const Options& options) {
  const int64_t steps = launched_steps(layer.plan);
  const auto shape_of = [&](int64_t ranks) {
    return step_shape(ranks, layer.hidden, layer.directions, sizeof(BackwardTiles<C>));
  };
  constexpr auto kStep = stepwise_backward_kernel<CellType, kProjected, T, Options>;
  for (int64_t step = 0; step < steps; ++step) {
    const LaunchShape shape = shape_of(launched_ranks(layer, step, steps, true));
    if constexpr (kProjected) VARLSTM_CUDA_TRY(projected_gradient_step(stream, layer, step, steps, options));
    VARLSTM_CUDA_TRY(launch<kStep>(stream, "stepwise_backward", shape, layer, step, steps, options));
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
