// The projection of h (Sak et al. 2014) in the stepwise recurrence: one more launch for each step.
//
//   forward, after the units of the step
//     y[row, p] = sum over u < H of unprojected[row, u] * w_hr[p, u]
//   backward, before them
//     dprojected[row, p] = dy[row, p] + sum over k < GH of dgates[row after, k] * w_hh[k, p]
//                          (dh_n instead of the sum if the sequence ends here)
//
// stepwise_backward.cu then multiplies dprojected by w_hr; dW_hr is a product over all tokens (rnn_backward.cc).
// Grid: tiles of kRows ranks x tiles of kUnits features x directions. Block: one thread for each (rank, feature).
// Shared memory: the rows' values as [kRows][kDepth + 1] and the weights, for kDepth values of the depth at a time.
//   S0: after it the tile's rows are visible. S1: after it the tiles of this depth are in shared memory.
//   S2: after it no thread reads them any more.
//   S3 (launch order): what a launch wrote is visible to the next.
// Bytes of a step: w_hr P H e, or w_hh G H P e, for each tile of ranks, and b_t (H + P) e, or b_t (G H + 3 P) e. Bound
// by launch latency for small batches, by L2 for larger ones. Sums: one chain of fused multiply-adds from 0, in f32
// (f64 for F64): bit-identical whatever else is in the batch. y and dprojected are rounded to the dtype when they are
// stored. Mirrored by host/rnn.
// With options of a cell (cell_options.h) they are other kernels: y is clipped, and then under zoneout; what has been
// dropped, clipped or kept gets the gradients that go with it.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/recurrence/stepwise/projection.h"

#include "kernels/cells/lstm.h"
#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "kernels/recurrence/stepwise/backward_sum.h"
#include "kernels/recurrence/stepwise/cell_options.h"
#include "kernels/recurrence/stepwise/product.h"
#include "kernels/recurrence/stepwise/steps.h"
#include "varlstm.h"

namespace varlstm::cuda {

template <class C>
struct ProjectionTiles {
  ProductTiles<C, 1> product;
  int64_t rows[kRows];  // the row of `unprojected` of this rank, or -1
};

// Returns the sum over k < hidden of unprojected[row, k] * w_hr[feature0 + u, k] for this thread's (r, u). tiles.rows
// must be filled and visible.
template <class T>
VARLSTM_DEVICE ComputeType<T> projected(ProjectionTiles<ComputeType<T>>& tiles, const T* unprojected, const T* w_hr,
                                        int64_t hidden, int64_t features, int64_t feature0) {
  using C = ComputeType<T>;
  const auto value_of = [&](int r, int64_t k) {
    return tiles.rows[r] < 0 ? C(0) : load_scalar(unprojected[tiles.rows[r] * hidden + k]);
  };
  return row_products<1, 2>(tiles.product, value_of, hidden, w_hr, features, feature0).of[0];
}

// Options: NoOptions, or LayerOptions<ComputeType<T>>, as in the kernels below.
template <class T, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    project_step_kernel(LayerForward<T, ComputeType<T>> layer, int64_t step, int64_t steps, Options options) {
  using C = ComputeType<T>;
  ProjectionTiles<C>& tiles = *simt::shared_memory<ProjectionTiles<C>>();
  const BatchPlan& plan = layer.plan;
  const DirectionForward<T, C>& dir = layer.direction[blockIdx.z];
  const int64_t t = blockIdx.z == 1 ? steps - 1 - step : step;
  const int64_t width = plan.segments.sizes[t];
  const int64_t rank0 = static_cast<int64_t>(blockIdx.x) * kRows;
  if (rank0 >= width) return;  // the whole block
  const int64_t feature0 = static_cast<int64_t>(blockIdx.y) * kUnits;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < kRows) {
    const int64_t own = rank0 + thread;
    tiles.rows[thread] = own >= width ? -1 : layer.save ? row_of(plan, layer.row_order, t, own) : own;
  }
  simt::block_sync();  // S0
  C h = projected(tiles, dir.unprojected, dir.w_hr, layer.hidden, layer.state, feature0);
  const int64_t j = rank0 + thread / kUnits, feature = feature0 + thread % kUnits;
  if (j >= width || feature >= layer.state) return;
  const int64_t row = row_of(plan, layer.row_order, t, j);
  if constexpr (Options::kAct) {
    const bool reverse = blockIdx.z == 1;
    const int64_t before = row_before(plan, layer.row_order, reverse, t, j);
    const C h_before = before >= 0 ? load_scalar(dir.y[before * layer.ldy + feature])
                                   : of_sequence(dir.h0, initial_of(plan, reverse, j), layer.state, feature);
    if (options.unclipped[blockIdx.z] != nullptr) options.unclipped[blockIdx.z][row * layer.state + feature] = h;
    const int64_t k = ragged_row(plan, layer.row_order, row) * layer.state + feature;
    h = DirectionOptions<C>(options, blockIdx.z).zoneout_h(k).mix(h_before, clipped(h, options.projection_clip));
  }
  dir.y[row * layer.ldy + feature] = store_scalar<T>(h);
}

template <class T, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads) project_rows_kernel(ProjectedRows<T> rows, Options options) {
  using C = ComputeType<T>;
  ProjectionTiles<C>& tiles = *simt::shared_memory<ProjectionTiles<C>>();
  const int64_t row0 = static_cast<int64_t>(blockIdx.x) * kRows, feature0 = static_cast<int64_t>(blockIdx.y) * kUnits;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < kRows) {
    const int64_t own = row0 + thread;
    tiles.rows[thread] = own < rows.count && rows.rows[own] >= 0 ? own : -1;
  }
  simt::block_sync();  // S0
  C h = projected(tiles, rows.unprojected, rows.w_hr, rows.hidden, rows.features, feature0);
  const int64_t row = row0 + thread / kUnits, feature = feature0 + thread % kUnits;
  if (row >= rows.count || feature >= rows.features) return;
  if constexpr (Options::kAct) {
    if (rows.rows[row] >= 0) {
      const C h_before = load_scalar(rows.h[rows.rows[row] * rows.features + feature]);
      h = DirectionOptions<C>(options, 0).zoneout_h(0).mix(h_before, clipped(h, options.projection_clip));
    }
  }
  rows.y[row * rows.features + feature] = store_scalar<T>(rows.rows[row] < 0 ? C(0) : h);
}

template <class CellType, class T, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    projected_gradient_kernel(LayerBackward<T, ComputeType<T>> layer, int64_t step, int64_t steps, Options options) {
  using C = ComputeType<T>;
  BackwardTiles<C>& tiles = *simt::shared_memory<BackwardTiles<C>>();
  const BatchPlan& plan = layer.plan;
  const bool reverse = blockIdx.z == 1;
  const DirectionBackward<T, C>& dir = layer.direction[blockIdx.z];
  const int64_t t = reverse ? step : steps - 1 - step;
  const int64_t width = plan.segments.sizes[t];
  const int64_t rank0 = static_cast<int64_t>(blockIdx.x) * kRows;
  if (rank0 >= width) return;  // the whole block
  const int64_t feature0 = static_cast<int64_t>(blockIdx.y) * kUnits;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < kRows)
    tiles.rows[thread] = rank0 + thread < width ? row_after(plan, layer.row_order, reverse, t, rank0 + thread) : -1;
  simt::block_sync();  // S0
  C recurrent = recurrent_gradient<CellType>(tiles, dir.dgates, dir.w_hh, layer.hidden, layer.state, feature0);
  const int64_t j = rank0 + thread / kUnits, feature = feature0 + thread % kUnits;
  if (j >= width || feature >= layer.state) return;
  const int64_t row = row_of(plan, layer.row_order, t, j);
  const bool ends = tiles.rows[thread / kUnits] < 0;
  const C of_end = ends ? of_sequence(dir.dh_n, final_of(plan, reverse, j), layer.state, feature) : C(0);
  if constexpr (Options::kAct) {
    const DirectionOptions<C> at(options, blockIdx.z);
    if (at.drops_state())
      recurrent =
          times_factor(recurrent, at.state_factor(sequence_of(plan, layer.row_order, row, j), layer.state, feature));
    if (dir.dh != nullptr && !ends) recurrent += dir.dh[j * layer.state + feature];
  }
  C dh = load_or_zero(dir.dy, row * layer.ldy + feature) + (ends ? of_end : recurrent);
  if constexpr (Options::kAct) {
    const int64_t k = ragged_row(plan, layer.row_order, row) * layer.state + feature;
    const Share<C> share = DirectionOptions<C>(options, blockIdx.z).zoneout_h(k);
    if (dir.dh != nullptr) dir.dh[j * layer.state + feature] = share.to_before(dh);
    dh = share.to_after(dh);
    const C* const unclipped = options.unclipped[blockIdx.z];
    if (unclipped != nullptr && is_clipped(unclipped[row * layer.state + feature], options.projection_clip)) dh = C(0);
  }
  dir.dprojected[row * layer.state + feature] = store_scalar<T>(dh);
}

template <class T, class C, class Options>
int32_t project_step(Stream stream, const LayerForward<T, C>& layer, int64_t step, int64_t steps,
                     const Options& options) {
  return launch<project_step_kernel<T, Options>>(
      stream, "project_step",
      step_shape(launched_ranks(layer, step, steps), layer.state, layer.directions, sizeof(ProjectionTiles<C>)), layer,
      step, steps, options);
}

template <class T, class C, class Options>
int32_t projected_gradient_step(Stream stream, const LayerBackward<T, C>& layer, int64_t step, int64_t steps,
                                const Options& options) {
  return launch<projected_gradient_kernel<LstmCell, T, Options>>(
      stream, "projected_gradient",
      step_shape(launched_ranks(layer, step, steps, true), layer.state, layer.directions, sizeof(BackwardTiles<C>)),
      layer, step, steps, options);
}

template <class T, class C>
int32_t project_rows(Stream stream, const ProjectedRows<T>& rows, const LayerOptions<C>& options) {
  const LaunchShape shape = step_shape(rows.count, rows.features, 1, sizeof(ProjectionTiles<C>));
  return options.act ? launch<project_rows_kernel<T, LayerOptions<C>>>(stream, "project_rows", shape, rows, options)
                     : launch<project_rows_kernel<T, NoOptions>>(stream, "project_rows", shape, rows, NoOptions());
}

#define VARLSTM_INSTANTIATE_FOR(T, C, Options)                                                        \
  template int32_t project_step(Stream, const LayerForward<T, C>&, int64_t, int64_t, const Options&); \
  template int32_t projected_gradient_step(Stream, const LayerBackward<T, C>&, int64_t, int64_t, const Options&)
#define VARLSTM_INSTANTIATE(T, C)                 \
  VARLSTM_INSTANTIATE_FOR(T, C, NoOptions);       \
  VARLSTM_INSTANTIATE_FOR(T, C, LayerOptions<C>); \
  template int32_t project_rows(Stream, const ProjectedRows<T>&, const LayerOptions<C>&)
VARLSTM_INSTANTIATE(float, float);
VARLSTM_INSTANTIATE(double, double);
VARLSTM_INSTANTIATE(Bf16, float);
VARLSTM_INSTANTIATE(F16, float);
#undef VARLSTM_INSTANTIATE
#undef VARLSTM_INSTANTIATE_FOR

}  // namespace varlstm::cuda
