// The projection of h (Sak et al. 2014) in the stepwise recurrence: one more launch for each step.
//
//   forward, after the units of the step
//     y[row, p] = sum over u < H of unprojected[row, u] * w_hr[p, u]
//   backward, before them
//     dprojected[row, p] = dy[row, p] + sum over k < GH of dgates[row after, k] * w_hh[k, p]
//                          (dh_n instead of the sum if the sequence ends here)
//
// stepwise_backward.cu then multiplies dprojected by w_hr; dW_hr is a product over all tokens (rnn_backward.cc).
// Grid: tiles of kUnits features x tiles of kRows ranks x directions. Block: one thread for each (rank, feature).
// Shared memory: the rows' values as [kRows][kDepth + 1] and the weights, for kDepth values of the depth at a time.
//   S0: after it the tile's rows are visible. S1: after it the tiles of this depth are in shared memory.
//   S2: after it no thread reads them any more.
//   S3 (launch order): what a launch wrote is visible to the next.
// Bytes of a step: w_hr P H e, or w_hh G H P e, for each tile of ranks, and b_t (H + P) e, or b_t (G H + 3 P) e. Bound
// by launch latency for small batches, by L2 for larger ones. Sums: one chain of fused multiply-adds from 0, in f32
// (f64 for F64): bit-identical whatever else is in the batch. y and dprojected are rounded to the dtype when they are
// stored. Mirrored by host/rnn.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/recurrence/stepwise/projection.h"

#include "kernels/cells/lstm.h"
#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "kernels/recurrence/stepwise/backward_sum.h"
#include "kernels/recurrence/stepwise/steps.h"
#include "varlstm.h"

namespace varlstm::cuda {

template <class C>
struct ProjectionTiles {
  C unprojected[kRows][kDepth + 1];
  C w[kUnits][kDepth + 1];
  int64_t rows[kRows];  // the row of `unprojected` of this rank, or -1
};

// Returns the sum over k < hidden of unprojected[row, k] * w_hr[feature0 + u, k] for this thread's (r, u). tiles.rows
// must be filled and visible.
template <class T>
VARLSTM_DEVICE ComputeType<T> projected(ProjectionTiles<ComputeType<T>>& tiles, const T* unprojected, const T* w_hr,
                                        int64_t hidden, int64_t features, int64_t feature0) {
  using C = ComputeType<T>;
  const int thread = static_cast<int>(threadIdx.x);
  C sum = 0;
  for (int64_t k0 = 0; k0 < hidden; k0 += kDepth) {
    for (int at = thread; at < kRows * kDepth; at += static_cast<int>(kStepThreads)) {
      const int64_t row = tiles.rows[at / kDepth], k = k0 + at % kDepth;
      tiles.unprojected[at / kDepth][at % kDepth] =
          row >= 0 && k < hidden ? load_scalar(unprojected[row * hidden + k]) : C(0);
    }
    for (int at = thread; at < kUnits * kDepth; at += static_cast<int>(kStepThreads)) {
      const int64_t feature = feature0 + at / kDepth, k = k0 + at % kDepth;
      tiles.w[at / kDepth][at % kDepth] =
          feature < features && k < hidden ? load_scalar(w_hr[feature * hidden + k]) : C(0);
    }
    simt::block_sync();  // S1
    for (int kk = 0; kk < kDepth; ++kk)
      sum = simt::fma(tiles.unprojected[thread / kUnits][kk], tiles.w[thread % kUnits][kk], sum);
    simt::block_sync();  // S2
  }
  return sum;
}

template <class T>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    project_step_kernel(LayerForward<T, ComputeType<T>> layer, int64_t step, int64_t steps) {
  using C = ComputeType<T>;
  ProjectionTiles<C>& tiles = *simt::shared_memory<ProjectionTiles<C>>();
  const BatchPlan& plan = layer.plan;
  const DirectionForward<T, C>& dir = layer.direction[blockIdx.z];
  const int64_t t = blockIdx.z == 1 ? steps - 1 - step : step;
  const int64_t width = plan.segments.sizes[t];
  const int64_t rank0 = static_cast<int64_t>(blockIdx.y) * kRows;
  if (rank0 >= width) return;  // the whole block
  const int64_t feature0 = static_cast<int64_t>(blockIdx.x) * kUnits;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < kRows) {
    const int64_t own = rank0 + thread;
    tiles.rows[thread] = own >= width ? -1 : layer.save ? row_of(plan, layer.row_order, t, own) : own;
  }
  simt::block_sync();  // S0
  const C sum = projected(tiles, dir.unprojected, dir.w_hr, layer.hidden, layer.state, feature0);
  const int64_t j = rank0 + thread / kUnits, feature = feature0 + thread % kUnits;
  if (j >= width || feature >= layer.state) return;
  dir.y[row_of(plan, layer.row_order, t, j) * layer.ldy + feature] = store_scalar<T>(sum);
}

template <class T>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads) project_rows_kernel(ProjectedRows<T> rows) {
  using C = ComputeType<T>;
  ProjectionTiles<C>& tiles = *simt::shared_memory<ProjectionTiles<C>>();
  const int64_t row0 = static_cast<int64_t>(blockIdx.y) * kRows, feature0 = static_cast<int64_t>(blockIdx.x) * kUnits;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < kRows) {
    const int64_t own = row0 + thread;
    tiles.rows[thread] = own < rows.count && rows.rows[own] >= 0 ? own : -1;
  }
  simt::block_sync();  // S0
  const C sum = projected(tiles, rows.unprojected, rows.w_hr, rows.hidden, rows.features, feature0);
  const int64_t row = row0 + thread / kUnits, feature = feature0 + thread % kUnits;
  if (row >= rows.count || feature >= rows.features) return;
  rows.y[row * rows.features + feature] = store_scalar<T>(rows.rows[row] < 0 ? C(0) : sum);
}

template <class CellType, class T>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    projected_gradient_kernel(LayerBackward<T, ComputeType<T>> layer, int64_t step, int64_t steps) {
  using C = ComputeType<T>;
  BackwardTiles<C>& tiles = *simt::shared_memory<BackwardTiles<C>>();
  const BatchPlan& plan = layer.plan;
  const bool reverse = blockIdx.z == 1;
  const DirectionBackward<T, C>& dir = layer.direction[blockIdx.z];
  const int64_t t = reverse ? step : steps - 1 - step;
  const int64_t width = plan.segments.sizes[t];
  const int64_t rank0 = static_cast<int64_t>(blockIdx.y) * kRows;
  if (rank0 >= width) return;  // the whole block
  const int64_t feature0 = static_cast<int64_t>(blockIdx.x) * kUnits;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < kRows)
    tiles.rows[thread] = rank0 + thread < width ? row_after(plan, layer.row_order, reverse, t, rank0 + thread) : -1;
  simt::block_sync();  // S0
  const C recurrent = recurrent_gradient<CellType>(tiles, dir.dgates, dir.w_hh, layer.hidden, layer.state, feature0);
  const int64_t j = rank0 + thread / kUnits, feature = feature0 + thread % kUnits;
  if (j >= width || feature >= layer.state) return;
  const int64_t row = row_of(plan, layer.row_order, t, j);
  const bool ends = tiles.rows[thread / kUnits] < 0;
  const C of_end = ends ? of_sequence(dir.dh_n, final_of(plan, reverse, j), layer.state, feature) : C(0);
  const C dh = load_or_zero(dir.dy, row * layer.ldy + feature) + (ends ? of_end : recurrent);
  dir.dprojected[row * layer.state + feature] = store_scalar<T>(dh);
}

namespace {

unsigned tiles_of(int64_t count, int size) {
  return static_cast<unsigned>((count + size - 1) / size);
}

template <class Layer>
LaunchShape shape_of_step(const Layer& layer, unsigned ranks, size_t shared_bytes) {
  LaunchShape shape;
  shape.grid = dim3(tiles_of(layer.state, kUnits), ranks, static_cast<unsigned>(layer.directions));
  shape.block = dim3(kStepThreads);
  shape.shared_bytes = shared_bytes;
  return shape;
}

}  // namespace

template <class T, class C>
int32_t project_step(Stream stream, const LayerForward<T, C>& layer, int64_t step, int64_t steps) {
  return launch<project_step_kernel<T>>(
      stream, "project_step", shape_of_step(layer, rank_tiles(layer, step, steps), sizeof(ProjectionTiles<C>)), layer,
      step, steps);
}

template <class T, class C>
int32_t projected_gradient_step(Stream stream, const LayerBackward<T, C>& layer, int64_t step, int64_t steps) {
  return launch<projected_gradient_kernel<LstmCell, T>>(
      stream, "projected_gradient",
      shape_of_step(layer, rank_tiles(layer, step, steps, true), sizeof(BackwardTiles<C>)), layer, step, steps);
}

template <class T>
int32_t project_rows(Stream stream, const ProjectedRows<T>& rows) {
  LaunchShape shape;
  shape.grid = dim3(tiles_of(rows.features, kUnits), tiles_of(rows.count, kRows));
  shape.block = dim3(kStepThreads);
  shape.shared_bytes = sizeof(ProjectionTiles<ComputeType<T>>);
  return launch<project_rows_kernel<T>>(stream, "project_rows", shape, rows);
}

#define VARLSTM_INSTANTIATE(T, C)                                                                 \
  template int32_t project_step(Stream, const LayerForward<T, C>&, int64_t, int64_t);             \
  template int32_t projected_gradient_step(Stream, const LayerBackward<T, C>&, int64_t, int64_t); \
  template int32_t project_rows(Stream, const ProjectedRows<T>&)
VARLSTM_INSTANTIATE(float, float);
VARLSTM_INSTANTIATE(double, double);
VARLSTM_INSTANTIATE(Bf16, float);
VARLSTM_INSTANTIATE(F16, float);
#undef VARLSTM_INSTANTIATE

}  // namespace varlstm::cuda
