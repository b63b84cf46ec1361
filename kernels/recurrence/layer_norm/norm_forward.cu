// Forward of a cell with layer normalisation over one layer, two launches for each step, or three with a projection.
//
//   norm_product  h_hat[at, gate, u] = sum_k h[j, k] * w_hh[gate * H + u, k]      (at: the row with save, else the
//   rank) norm_units    the step of norm_step_row.h of each rank; projection.cu follows if h is projected
//
// The steps, the directions and the ranks are those of stepwise_forward.cu, and so are the grid, the block, the shared
// memory and the barriers of norm_product, whose sums have the same chains. norm_units: a block of kNormThreads threads
// for each rank and direction; its shared memory is a value for each warp, and its barriers are those of norm_row.h.
//   S0: after it tiles.ranks is visible. S5 (launch order): what a launch wrote is visible to the next.
// Bytes of a step, from memory or L2: w_hh G H R e for each tile of ranks, and b_t H of x_hat G C, h_hat 5 G C, saved
// values S C and c_hat 5 C. Bound by launch latency for small batches. h is rounded to the dtype when it is stored; the
// normalised vectors stay in C. Every sum is of one row in a fixed order: bit-identical whatever else is in the batch.
// Mirrored by host/rnn/recurrence_forward.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/launch.h"
#include "kernels/recurrence/layer_norm/layer_norm.h"
#include "kernels/recurrence/layer_norm/norm_step_row.h"
#include "kernels/recurrence/stepwise/product.h"
#include "kernels/recurrence/stepwise/projection.h"
#include "kernels/recurrence/stepwise/state_before.h"
#include "kernels/recurrence/stepwise/steps.h"
#include "varlstm.h"

namespace varlstm::cuda {

template <class CellType, class Tile, class Options>
struct NormTiles {
  using Product = StepProduct<Tile, CellType::kGates, true>;
  typename Product::Shared product;
  RanksOf<Tile, Options> ranks;
};

// Tile: a StepTile. Options: NoOptions, or LayerOptions<ComputeType<T>>, as in the kernel below.
template <class CellType, class Tile, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    norm_product_kernel(LayerForward<typename Tile::Scalar, typename Tile::Compute> layer,
                        LayerNormForward<typename Tile::Scalar, typename Tile::Compute> norm, int64_t step,
                        int64_t steps, Options options, int blocks) {
  using C = typename Tile::Compute;
  using Tiles = NormTiles<CellType, Tile, Options>;
  constexpr int kGates = CellType::kGates;
  Tiles& tiles = *simt::shared_memory<Tiles>();
  const bool reverse = blockIdx.z == 1;
  const int64_t t = reverse ? steps - 1 - step : step;
  const int64_t width = layer.plan.segments.sizes[t];
  const int64_t rank0 = static_cast<int64_t>(blockIdx.x) / blocks * Tile::kRanks;
  if (rank0 >= width) return;  // the whole block
  const int64_t unit0 = static_cast<int64_t>(blockIdx.y) * Tile::kUnits;
  fill_ranks<Tile>(tiles.ranks, layer, options, {t, width, rank0, unit0, reverse, blocks});
  simt::block_sync();  // S0
  const StateOperand<Tile, Options> states = {layer, tiles.ranks, options};
  const auto finish = [&](int r, int u, const UnitValues<C, kGates>& sums) {
    const int64_t row = tiles.ranks.rows[r], unit = unit0 + u;
    if (row < 0 || unit >= layer.hidden) return;
    const int64_t at = layer.save ? row : rank0 + r;
    C* const h_hat = norm.values[blockIdx.z].h_hat + at * kGates * layer.hidden + unit;
    for (int gate = 0; gate < kGates; ++gate) h_hat[gate * layer.hidden] = sums.of[gate];
  };
  Tiles::Product::run(tiles.product, states, {layer.direction[blockIdx.z].w_hh, layer.state, layer.hidden, unit0},
                      width - rank0, blocks, finish_alone(finish));
}

template <class CellType, class T, class Options>
VARLSTM_KERNEL void __launch_bounds__(kNormThreads, 4)
    norm_units_kernel(LayerForward<T, ComputeType<T>> layer, LayerNormForward<T, ComputeType<T>> norm, int64_t step,
                      int64_t steps, Options options) {
  using C = ComputeType<T>;
  const BatchPlan& plan = layer.plan;
  const bool reverse = blockIdx.z == 1;
  const DirectionForward<T, C>& dir = layer.direction[blockIdx.z];
  const NormValues<C>& values = norm.values[blockIdx.z];
  const int64_t t = reverse ? steps - 1 - step : step, j = blockIdx.x, hidden = layer.hidden;
  if (j >= plan.segments.sizes[t]) return;  // the whole block
  const int64_t row = row_of(plan, layer.row_order, t, j), at = layer.save ? row : j;
  const int64_t before = row_before(plan, layer.row_order, reverse, t, j), b = initial_of(plan, reverse, j);
  const auto initial = [&](const T* states, int64_t width) {
    return states == nullptr || b < 0 ? nullptr : states + b * width;
  };
  NormStepRow<T, C> r{};
  r.hidden = hidden;
  r.direction = static_cast<int>(blockIdx.z);
  r.projected = CellType::kProjects && dir.unprojected != nullptr;
  if constexpr (Options::kAct) r.element = ragged_row(plan, layer.row_order, row) * hidden;
  r.x_hat = values.x_hat + row * CellType::kGates * hidden;
  r.h_hat = values.h_hat + at * CellType::kGates * hidden;
  r.gates = dir.gates + at * CellType::kSaved * hidden;
  if (layer.save) r.h_rstd = values.h_rstd + row;
  r.h_before = before >= 0 ? dir.y + before * layer.ldy : initial(dir.h0, layer.state);
  r.out = r.projected ? dir.unprojected + at * hidden : dir.y + row * layer.ldy;
  if constexpr (CellType::kHasC) {
    r.c_hat = values.c_hat + at * hidden;
    if (layer.save) r.c_rstd = values.c_rstd + row;
    r.c = dir.c + at * hidden;
    if (before >= 0)
      r.c_before = dir.c + (layer.save ? before : j) * hidden;
    else
      r.c_initial = initial(dir.c0, hidden);
    if (layer.c_of_token != nullptr) r.c_of_token = layer.c_of_token + (row * layer.directions + blockIdx.z) * hidden;
  }
  normalised_row_step<CellType>(norm.params[blockIdx.z], r, options, simt::shared_memory<C>());
}

namespace {

template <class CellType, class T, class C, class Options>
int32_t run_steps(Stream stream, const LayerForward<T, C>& layer, const LayerNormForward<T, C>& norm,
                  const Options& options) {
  const int64_t steps = launched_steps(layer.plan);
  constexpr auto kCells = norm_units_kernel<CellType, T, Options>;
  for (int64_t step = 0; step < steps; ++step) {
    const int64_t ranks = launched_ranks(layer, step, steps);
    VARLSTM_CUDA_TRY((with_step_tile<T, kWideGatesUnits>(
        stream, ranks, layer.hidden, layer.directions, [&](auto of_step, int blocks) {
          using Tile = decltype(of_step);
          const LaunchShape shape = step_shape<Tile>(ranks, layer.hidden, layer.directions,
                                                     sizeof(NormTiles<CellType, Tile, Options>), blocks);
          return launch<norm_product_kernel<CellType, Tile, Options>>(stream, "norm_product", shape, layer, norm, step,
                                                                      steps, options, blocks);
        })));
    VARLSTM_CUDA_TRY(launch<kCells>(stream, "norm_units", norm_shape<C>(ranks, layer.directions), layer, norm, step,
                                    steps, options));
    if (layer.direction[0].w_hr != nullptr) VARLSTM_CUDA_TRY(project_step(stream, layer, step, steps, options));
  }
  return store_final_states(stream, layer);
}

}  // namespace

template <class T, class C>
int32_t layer_norm_forward(Stream stream, Cell cell, const LayerForward<T, C>& layer,
                           const LayerNormForward<T, C>& norm, const LayerOptions<C>& options) {
  if (layer.plan.batch == 0) return VARLSTM_OK;
  return with_normalised_cell(cell, [&](auto of_layer) {
    using CellType = decltype(of_layer);
    return options.act ? run_steps<CellType>(stream, layer, norm, options)
                       : run_steps<CellType>(stream, layer, norm, NoOptions());
  });
}

#define VARLSTM_INSTANTIATE(T, C)                                                                             \
  template int32_t layer_norm_forward(Stream, Cell, const LayerForward<T, C>&, const LayerNormForward<T, C>&, \
                                      const LayerOptions<C>&)
VARLSTM_INSTANTIATE(float, float);
VARLSTM_INSTANTIATE(double, double);
VARLSTM_INSTANTIATE(Bf16, float);
VARLSTM_INSTANTIATE(F16, float);
#undef VARLSTM_INSTANTIATE

}  // namespace varlstm::cuda
