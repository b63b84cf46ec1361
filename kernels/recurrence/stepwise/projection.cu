// The projection of h (Sak et al. 2014) in the stepwise recurrence: one more launch for each step.
//
//   forward, after the units of the step
//     y[row, p] = sum over u < H of unprojected[row, u] * w_hr[p, u]
//   backward, before them
//     dprojected[row, p] = dy[row, p] + sum over k < GH of dgates[row after, k] * w_hh[k, p]
//                          (dh_n instead of the sum if the sequence ends here)
//
// stepwise_backward.cu then multiplies dprojected by w_hr; dW_hr is a product over all tokens (rnn_backward.cc).
// Grid: tiles of ranks x tiles of features x directions. Block, shared memory and sums are those of
// stepwise_forward.cu.
//   S0: after it the tile's rows are visible. S1 to S4: of product.h and tensor_product.h.
//   S5 (launch order): what a launch wrote is visible to the next.
// Bytes of a step: w_hr P H e, or w_hh G H P e, for each tile of ranks, and b_t (H + P) e, or b_t (G H + 3 P) e. Bound
// by launch latency for small batches, by L2 for larger ones. Bit-identical whatever else is in the batch. y and
// dprojected are rounded to the dtype when they are stored. Mirrored by host/rnn.
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

template <class Tile>
struct ProjectionTiles {
  using Product = StepProduct<Tile, 1, true>;
  typename Product::Shared product;
  int64_t rows[Tile::kRanks];  // the row of `unprojected` of this rank, or -1
};

// Calls finish(r, u, sum) with the sum over k < hidden of unprojected[row, k] * w_hr[feature0 + u, k], for the ranks
// and features of the tile. tiles.rows must be filled and visible.
template <class Tile, class T, class Finish>
VARLSTM_DEVICE void project(ProjectionTiles<Tile>& tiles, const T* unprojected, const T* w_hr, int64_t hidden,
                            int64_t features, int64_t feature0, int64_t ranks, int blocks, const Finish& finish) {
  const auto row_of = [&](int r) { return tiles.rows[r] < 0 ? nullptr : unprojected + tiles.rows[r] * hidden; };
  ProjectionTiles<Tile>::Product::run(tiles.product, row_operand<T>(row_of), {w_hr, hidden, features, feature0}, ranks,
                                      blocks, finish_alone(finish));
}

// Tile: a StepTile. Options: NoOptions, or LayerOptions<ComputeType<T>>, as in the kernels below.
template <class Tile, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    project_step_kernel(LayerForward<typename Tile::Scalar, typename Tile::Compute> layer, int64_t step, int64_t steps,
                        Options options, int blocks) {
  using T = typename Tile::Scalar;
  using C = typename Tile::Compute;
  ProjectionTiles<Tile>& tiles = *simt::shared_memory<ProjectionTiles<Tile>>();
  const BatchPlan& plan = layer.plan;
  const DirectionForward<T, C>& dir = layer.direction[blockIdx.z];
  const int64_t t = blockIdx.z == 1 ? steps - 1 - step : step;
  const int64_t width = plan.segments.sizes[t];
  const int64_t rank0 = static_cast<int64_t>(blockIdx.x) / blocks * Tile::kRanks;
  if (rank0 >= width) return;  // the whole block
  const int64_t feature0 = static_cast<int64_t>(blockIdx.y) * Tile::kUnits;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < Tile::kRanks) {
    const int64_t own = rank0 + thread;
    tiles.rows[thread] = own >= width ? -1 : layer.save ? row_of(plan, layer.row_order, t, own) : own;
  }
  simt::block_sync();  // S0
  const auto finish = [&](int r, int u, const OneSum<C>& sum) {
    C h = sum.of[0];
    const int64_t j = rank0 + r, feature = feature0 + u;
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
  };
  project(tiles, dir.unprojected, dir.w_hr, layer.hidden, layer.state, feature0, width - rank0, blocks, finish);
}

template <class Tile, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    project_rows_kernel(ProjectedRows<typename Tile::Scalar> rows, Options options, int blocks) {
  using T = typename Tile::Scalar;
  using C = typename Tile::Compute;
  ProjectionTiles<Tile>& tiles = *simt::shared_memory<ProjectionTiles<Tile>>();
  const int64_t row0 = static_cast<int64_t>(blockIdx.x) / blocks * Tile::kRanks;
  const int64_t feature0 = static_cast<int64_t>(blockIdx.y) * Tile::kUnits, count = rows.count - row0;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < Tile::kRanks) {
    const int64_t own = row0 + thread;
    tiles.rows[thread] = own < rows.count && rows.rows[own] >= 0 ? own : -1;
  }
  simt::block_sync();  // S0
  const auto finish = [&](int r, int u, const OneSum<C>& sum) {
    C h = sum.of[0];
    const int64_t row = row0 + r, feature = feature0 + u;
    if (r >= count || feature >= rows.features) return;
    if constexpr (Options::kAct) {
      if (rows.rows[row] >= 0) {
        const C h_before = load_scalar(rows.h[rows.rows[row] * rows.features + feature]);
        h = DirectionOptions<C>(options, 0).zoneout_h(0).mix(h_before, clipped(h, options.projection_clip));
      }
    }
    rows.y[row * rows.features + feature] = store_scalar<T>(rows.rows[row] < 0 ? C(0) : h);
  };
  project(tiles, rows.unprojected, rows.w_hr, rows.hidden, rows.features, feature0, count, blocks, finish);
}

template <class CellType, class Tile, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    projected_gradient_kernel(LayerBackward<typename Tile::Scalar, typename Tile::Compute> layer, int64_t step,
                              int64_t steps, Options options, int blocks) {
  using T = typename Tile::Scalar;
  using C = typename Tile::Compute;
  BackwardTiles<Tile>& tiles = *simt::shared_memory<BackwardTiles<Tile>>();
  const BatchPlan& plan = layer.plan;
  const bool reverse = blockIdx.z == 1;
  const DirectionBackward<T, C>& dir = layer.direction[blockIdx.z];
  const int64_t t = reverse ? step : steps - 1 - step;
  const int64_t width = plan.segments.sizes[t];
  const int64_t rank0 = static_cast<int64_t>(blockIdx.x) / blocks * Tile::kRanks;
  if (rank0 >= width) return;  // the whole block
  const int64_t feature0 = static_cast<int64_t>(blockIdx.y) * Tile::kUnits;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < Tile::kRanks)
    tiles.rows[thread] = rank0 + thread < width ? row_after(plan, layer.row_order, reverse, t, rank0 + thread) : -1;
  simt::block_sync();  // S0
  const auto finish = [&](int r, int u, const OneSum<C>& sum) {
    C recurrent = sum.of[0];
    const int64_t j = rank0 + r, feature = feature0 + u;
    if (j >= width || feature >= layer.state) return;
    const int64_t row = row_of(plan, layer.row_order, t, j);
    const bool ends = tiles.rows[r] < 0;
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
      if (unclipped != nullptr && is_clipped(unclipped[row * layer.state + feature], options.projection_clip))
        dh = C(0);
    }
    dir.dprojected[row * layer.state + feature] = store_scalar<T>(dh);
  };
  recurrent_gradients<CellType>(tiles, dir.dgates, dir.w_hh, layer.hidden, layer.state, feature0, width - rank0, blocks,
                                finish_alone(finish));
}

template <class T, class C, class Options>
int32_t project_step(Stream stream, const LayerForward<T, C>& layer, int64_t step, int64_t steps,
                     const Options& options) {
  const int64_t ranks = launched_ranks(layer, step, steps);
  return with_step_tile<T, kWideUnits>(stream, ranks, layer.state, layer.directions, [&](auto of_step, int blocks) {
    using Tile = decltype(of_step);
    return launch<project_step_kernel<Tile, Options>>(
        stream, "project_step",
        step_shape<Tile>(ranks, layer.state, layer.directions, sizeof(ProjectionTiles<Tile>), blocks), layer, step,
        steps, options, blocks);
  });
}

template <class T, class C, class Options>
int32_t projected_gradient_step(Stream stream, const LayerBackward<T, C>& layer, int64_t step, int64_t steps,
                                const Options& options) {
  const int64_t ranks = launched_ranks(layer, step, steps, true);
  return with_step_tile<T, kWideUnits>(stream, ranks, layer.state, layer.directions, [&](auto of_step, int blocks) {
    using Tile = decltype(of_step);
    return launch<projected_gradient_kernel<LstmCell, Tile, Options>>(
        stream, "projected_gradient",
        step_shape<Tile>(ranks, layer.state, layer.directions, sizeof(BackwardTiles<Tile>), blocks), layer, step, steps,
        options, blocks);
  });
}

template <class T, class C>
int32_t project_rows(Stream stream, const ProjectedRows<T>& rows, const LayerOptions<C>& options) {
  return with_step_tile<T, kWideUnits>(stream, rows.count, rows.features, 1, [&](auto of_step, int blocks) {
    using Tile = decltype(of_step);
    const LaunchShape shape = step_shape<Tile>(rows.count, rows.features, 1, sizeof(ProjectionTiles<Tile>), blocks);
    return options.act
               ? launch<project_rows_kernel<Tile, LayerOptions<C>>>(stream, "project_rows", shape, rows, options,
                                                                    blocks)
               : launch<project_rows_kernel<Tile, NoOptions>>(stream, "project_rows", shape, rows, NoOptions(), blocks);
  });
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
