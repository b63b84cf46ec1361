// The step of a cell with two products, as the GRU whose reset gate acts before the product: one more launch for each
// step. F are the gates of the first product, the cell's other gates have the second one.
//
//   forward, before the units of the step
//     s[j, gate, u] = sum_k h[j, k] * w_hh[gate * H + u, k] for the gates of F
//     their x-gates and the operand[row, u]: the cell's file of kernels/cells
//   then stepwise_forward.cu or step.cu multiplies the operand by the rows of the other gates of w_hh
//   backward, after the units of the step, which have left dgates of the other gates
//     d[j, u] = sum over k < H of dgates[row, k of the other gate] * w_hh[k of the other gate, u]
//     dgates[row] of F, and dh[j, u] += what h receives through the operand: the cell's file
//   and the next launch of stepwise_backward.cu multiplies the dgates of F by their rows of w_hh
//
// Grid, block, shared memory and sums are those of stepwise_forward.cu and stepwise_backward.cu.
//   S0: after it the tile's ranks or rows are visible. S1 to S4: of product.h and tensor_product.h.
//   S5 (launch order): what a launch wrote is visible to the next.
// Bytes of a step: w_hh (G - 1) H H e forward, or H H e backward, for each tile of ranks, and b_t H (2 F C + 2 e), or
// b_t H (2 C + 3 e). Bound by launch latency for small batches, by L2 for larger ones. Bit-identical whatever else is
// in the batch. The operand and dgates are rounded to the dtype when they are stored; dh stays in C. With options of a
// cell (cell_options.h) they are other kernels, in which h enters and leaves under the mask of the state. Mirrored by
// host/rnn.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/recurrence/stepwise/second_product.h"

#include "kernels/cells/cells.h"
#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "kernels/recurrence/stepwise/backward_sum.h"
#include "kernels/recurrence/stepwise/product.h"
#include "kernels/recurrence/stepwise/state_before.h"

namespace varlstm::cuda {

template <class CellType, class Tile, class Options>
struct FirstTiles {
  using Product = StepProduct<Tile, kFirstGates<CellType>, true>;
  typename Product::Shared product;
  RanksOf<Tile, Options> ranks;
};

// The gates of F at `gates`, H apart, <- what the cell makes of them and the sums. Returns the operand.
template <class CellType, class Functions, class C>
VARLSTM_DEVICE C operand_of_unit(const UnitValues<C, kFirstGates<CellType>>& sums, C h, int64_t hidden, C* gates) {
  UnitValues<C, kFirstGates<CellType>> x;
  for (int gate = 0; gate < kFirstGates<CellType>; ++gate) x.of[gate] = gates[gate * hidden];
  const C operand = CellType::template operand<Functions>(sums, h, &x);
  for (int gate = 0; gate < kFirstGates<CellType>; ++gate) gates[gate * hidden] = x.of[gate];
  return operand;
}

// Tile: a StepTile. Options: NoOptions, or LayerOptions<ComputeType<T>>.
template <class CellType, class Tile, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    first_product_kernel(LayerForward<typename Tile::Scalar, typename Tile::Compute> layer, int64_t step, int64_t steps,
                         Options options, int blocks) {
  using T = typename Tile::Scalar;
  using C = typename Tile::Compute;
  using Tiles = FirstTiles<CellType, Tile, Options>;
  Tiles& tiles = *simt::shared_memory<Tiles>();
  const DirectionForward<T, C>& dir = layer.direction[blockIdx.z];
  const bool reverse = blockIdx.z == 1;
  const int64_t t = reverse ? steps - 1 - step : step;
  const int64_t width = layer.plan.segments.sizes[t];
  const int64_t rank0 = static_cast<int64_t>(blockIdx.x) / blocks * Tile::kRanks;
  if (rank0 >= width) return;  // the whole block
  const int64_t hidden = layer.hidden, unit0 = static_cast<int64_t>(blockIdx.y) * Tile::kUnits;
  fill_ranks<Tile>(tiles.ranks, layer, options, {t, width, rank0, unit0, reverse, blocks});
  simt::block_sync();  // S0
  const StateOperand<Tile, Options> states = {layer, tiles.ranks, options};
  const auto finish = [&](int r, int u, const UnitValues<C, kFirstGates<CellType>>& sums) {
    const int64_t j = rank0 + r, unit = unit0 + u, row = tiles.ranks.rows[r];
    if (row < 0 || unit >= hidden) return;
    C* const gates = dir.gates + row * CellType::kSaved * hidden + unit;
    const C operand = operand_of_unit<CellType, typename Tile::Functions>(sums, states.value(r, unit), hidden, gates);
    dir.operand[(layer.save ? row : j) * hidden + unit] = store_scalar<T>(operand);
  };
  Tiles::Product::run(tiles.product, states, {dir.w_hh, hidden, hidden, unit0}, width - rank0, blocks,
                      finish_alone(finish));
}

template <class CellType, class Tile>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    first_product_streams_kernel(StepLayer<typename Tile::Scalar, typename Tile::Compute> layer, int blocks) {
  using T = typename Tile::Scalar;
  using C = typename Tile::Compute;
  using Product = StepProduct<Tile, kFirstGates<CellType>, true>;
  const int64_t hidden = layer.hidden, unit0 = static_cast<int64_t>(blockIdx.y) * Tile::kUnits;
  const int64_t stream0 = static_cast<int64_t>(blockIdx.x) / blocks * Tile::kRanks, ranks = layer.streams - stream0;
  const auto states = row_operand<T>([&](int own) {
    const int64_t row = own < ranks ? layer.rows[stream0 + own] : -1;
    return row < 0 ? nullptr : layer.h + row * hidden;
  });
  const auto finish = [&](int r, int u, const UnitValues<C, kFirstGates<CellType>>& sums) {
    const int64_t stream = stream0 + r, unit = unit0 + u;
    if (r >= ranks || unit >= hidden) return;
    C* const gates = layer.gates + stream * CellType::kSaved * hidden + unit;
    const C operand = operand_of_unit<CellType, typename Tile::Functions>(sums, states.value(r, unit), hidden, gates);
    layer.operand[stream * hidden + unit] = store_scalar<T>(operand);
  };
  Product::run(*simt::shared_memory<typename Product::Shared>(), states, {layer.w_hh, hidden, hidden, unit0}, ranks,
               blocks, finish_alone(finish));
}

// Tile: a StepTile. Options: NoOptions, or LayerOptions<ComputeType<T>>.
template <class CellType, class Tile, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    second_gradient_kernel(LayerBackward<typename Tile::Scalar, typename Tile::Compute> layer, int64_t step,
                           int64_t steps, Options options, int blocks) {
  using T = typename Tile::Scalar;
  using C = typename Tile::Compute;
  constexpr int kFirst = kFirstGates<CellType>;
  BackwardTiles<Tile>& tiles = *simt::shared_memory<BackwardTiles<Tile>>();
  const BatchPlan& plan = layer.plan;
  const DirectionBackward<T, C>& dir = layer.direction[blockIdx.z];
  const int64_t t = blockIdx.z == 1 ? step : steps - 1 - step;
  const int64_t width = plan.segments.sizes[t];
  const int64_t rank0 = static_cast<int64_t>(blockIdx.x) / blocks * Tile::kRanks;
  if (rank0 >= width) return;  // the whole block
  const int64_t hidden = layer.hidden, unit0 = static_cast<int64_t>(blockIdx.y) * Tile::kUnits;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < Tile::kRanks)
    tiles.rows[thread] = rank0 + thread < width ? row_of(plan, layer.row_order, t, rank0 + thread) : -1;
  simt::block_sync();  // S0
  const int64_t depth = CellType::kSecondGates * hidden, row_size = kGradientsOf<CellType> * hidden;
  const StepWeights<T> weights = {dir.w_hh + kFirst * hidden * hidden, depth, hidden, unit0};
  const auto finish = [&](int r, int u, const OneSum<C>& d) {
    const int64_t j = rank0 + r, unit = unit0 + u;
    if (j >= width || unit >= hidden) return;
    const int64_t row = tiles.rows[r];
    const C* const gates = dir.gates + row * CellType::kSaved * hidden + unit;
    UnitValues<C, CellType::kSaved> saved;
    for (int k = 0; k < CellType::kSaved; ++k) saved.of[k] = gates[k * hidden];
    C of_h;
    const C of_gate = CellType::operand_backward(saved, load_scalar(dir.operand[row * hidden + unit]), d.of[0], &of_h);
    dir.dgates[row * row_size + unit] = store_scalar<T>(of_gate);
    if constexpr (Options::kAct) {
      const DirectionOptions<C> at(options, blockIdx.z);
      if (at.drops_state())
        of_h = times_factor(of_h, at.state_factor(sequence_of(plan, layer.row_order, row, j), hidden, unit));
    }
    dir.dh[j * hidden + unit] += of_h;
  };
  row_sums(tiles, dir.dgates + kFirst * hidden, row_size, weights, depth, 0, width - rank0, blocks,
           finish_alone(finish));
}

namespace {

// Returns visit(cell) if the cell has two products. No other cell comes here.
template <class Visit>
int32_t with_two_products(Cell kind, const Visit& visit) {
  return with_cell(kind, [&](auto cell) -> int32_t {
    if constexpr (decltype(cell)::kSecondGates > 0) return visit(cell);
    return VARLSTM_OK;
  });
}

}  // namespace

template <class T, class C, class Options>
int32_t first_product_step(Stream stream, Cell cell, const LayerForward<T, C>& layer, int64_t step, int64_t steps,
                           const Options& options) {
  const int64_t ranks = launched_ranks(layer, step, steps);
  return with_two_products(cell, [&](auto of_layer) {
    using CellType = decltype(of_layer);
    return with_step_tile<T, kWideGatesUnits>(
        stream, ranks, layer.hidden, layer.directions, [&](auto of_step, int blocks) {
          using Tile = decltype(of_step);
          const LaunchShape shape = step_shape<Tile>(ranks, layer.hidden, layer.directions,
                                                     sizeof(FirstTiles<CellType, Tile, Options>), blocks);
          return launch<first_product_kernel<CellType, Tile, Options>>(stream, "first_product", shape, layer, step,
                                                                       steps, options, blocks);
        });
  });
}

template <class T, class C>
int32_t first_product_streams(Stream stream, Cell cell, const StepLayer<T, C>& layer) {
  return with_two_products(cell, [&](auto of_layer) {
    using CellType = decltype(of_layer);
    return with_step_tile<T, kWideGatesUnits>(stream, layer.streams, layer.hidden, 1, [&](auto of_step, int blocks) {
      using Tile = decltype(of_step);
      const LaunchShape shape =
          step_shape<Tile>(layer.streams, layer.hidden, 1,
                           sizeof(typename StepProduct<Tile, kFirstGates<CellType>, true>::Shared), blocks);
      return launch<first_product_streams_kernel<CellType, Tile>>(stream, "first_product_streams", shape, layer,
                                                                  blocks);
    });
  });
}

template <class T, class C, class Options>
int32_t second_gradient_step(Stream stream, Cell cell, const LayerBackward<T, C>& layer, int64_t step, int64_t steps,
                             const Options& options) {
  const int64_t ranks = launched_ranks(layer, step, steps, true);
  return with_two_products(cell, [&](auto of_layer) {
    using CellType = decltype(of_layer);
    return with_step_tile<T, kWideUnits>(stream, ranks, layer.hidden, layer.directions, [&](auto of_step, int blocks) {
      using Tile = decltype(of_step);
      const LaunchShape shape =
          step_shape<Tile>(ranks, layer.hidden, layer.directions, sizeof(BackwardTiles<Tile>), blocks);
      return launch<second_gradient_kernel<CellType, Tile, Options>>(stream, "second_gradient", shape, layer, step,
                                                                     steps, options, blocks);
    });
  });
}

#define VARLSTM_INSTANTIATE_FOR(T, C, Options)                                                                    \
  template int32_t first_product_step(Stream, Cell, const LayerForward<T, C>&, int64_t, int64_t, const Options&); \
  template int32_t second_gradient_step(Stream, Cell, const LayerBackward<T, C>&, int64_t, int64_t, const Options&)
#define VARLSTM_INSTANTIATE(T, C)                 \
  VARLSTM_INSTANTIATE_FOR(T, C, NoOptions);       \
  VARLSTM_INSTANTIATE_FOR(T, C, LayerOptions<C>); \
  template int32_t first_product_streams(Stream, Cell, const StepLayer<T, C>&)
VARLSTM_INSTANTIATE(float, float);
VARLSTM_INSTANTIATE(double, double);
VARLSTM_INSTANTIATE(Bf16, float);
VARLSTM_INSTANTIATE(F16, float);
#undef VARLSTM_INSTANTIATE
#undef VARLSTM_INSTANTIATE_FOR

}  // namespace varlstm::cuda
