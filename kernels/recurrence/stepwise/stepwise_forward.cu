// Forward of a cell over one layer, one launch for each step: the policy that is always legal.
//
//   s[j, gate, u] = sum_k h[j, k] * w_hh[gate * H + u, k]  (+ b_hh[gate * H + u])     (h: the state before the step)
//   the saved values, c and y[row, u] = h'[j, u] from the x-gates and s as in the cell's file of kernels/cells
//
// If h is projected, k runs over its R features, `unprojected` takes the place of y, and projection.cu follows. If the
// cell has two products, second_product.cu comes before: here the gates are the last ones, and its operand is in the
// place of h.
// It runs over the segments of the batch, which are its sequences if there are no resets; T is the longest of them.
// Step s visits t = s in the forward direction and t = steps - 1 - s in the backward direction, both in one launch. A
// block whose ranks are all past sizes[t] has no work; sizes[t] is 0 from T on if only the device knows T.
// h is read from y, at the row that the direction visited before. c_of_token, if wanted, gets c' of every row as well.
// Grid: tiles of ranks (or kSharingBlocks blocks for each) x tiles of units x directions. Block: kStepThreads threads.
// A StepTile has the sizes and the way to multiply: product.h for the CUDA cores, with one thread for each (rank,
// unit); tensor_product.h for tensor cores. Both say what is in shared memory. kLastGates are all gates, but for a cell
// with two products.
//   S0: after it tiles.ranks and tiles.operands are visible. S1 to S4: of product.h and tensor_product.h.
//   S5 (launch order): h and c of a launch, or what it leaves in `unprojected`, are visible to the next, and so are the
//   x-gates and the operand that second_product.cu has written before.
// Bytes of a step, from memory or L2: w_hh G H H e for each tile of ranks, and b_t H (G C in, e + C out). Bound by
// launch latency for small batches, by L2 for larger ones. Sums are in f32 (f64 for F64), in an order that depends on k
// alone. Therefore the results of a sequence are bit-identical whatever else is in the batch. h is rounded to the dtype
// when it is stored; c stays in C. The saved values overwrite the x-gates. Activations are the tile's Functions:
// accurate on the CUDA cores, those of resident_math.h on tensor cores. Mirrored by host/rnn.
// With options of a cell (cell_options.h) it is another kernel, whose tiles also have the ranks' sequences.
// SPDX-License-Identifier: Apache-2.0
#include <type_traits>

#include "kernels/cells/cells.h"
#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/stepwise/cell_options.h"
#include "kernels/recurrence/stepwise/product.h"
#include "kernels/recurrence/stepwise/projection.h"
#include "kernels/recurrence/stepwise/second_product.h"
#include "kernels/recurrence/stepwise/state_before.h"
#include "kernels/recurrence/stepwise/steps.h"
#include "varlstm.h"

namespace varlstm::cuda {

template <class CellType, class Tile, class Options>
struct ForwardTiles {
  using Product = StepProduct<Tile, kLastGates<CellType>, true>;
  typename Product::Shared product;
  RanksOf<Tile, Options> ranks;
  // Of a second product: where `operand` has the rank's row, or -1.
  std::conditional_t<(CellType::kSecondGates > 0), int64_t[Tile::kRanks], char> operands;
};

// The units of a tile, from the last product's sums.
template <class CellType, class Tile, class Options>
class ForwardUnits {
  using T = typename Tile::Scalar;
  using C = typename Tile::Compute;
  using Functions = typename Tile::Functions;
  static constexpr int kGates = CellType::kGates, kLast = kLastGates<CellType>;

 public:
  struct Asked {
    UnitValues<C, kGates> x;
    UnitState<C> state;
  };

  VARLSTM_DEVICE ForwardUnits(const LayerForward<T, C>& layer, const Options& options,
                              const RanksOf<Tile, Options>& ranks, int64_t rank0, int64_t unit0)
      : layer_(layer),
        dir_(layer.direction[blockIdx.z]),
        options_(options),
        ranks_(ranks),
        rank0_(rank0),
        unit0_(unit0),
        projected_(CellType::kProjects && dir_.unprojected != nullptr) {}

  VARLSTM_DEVICE Asked ask(int r, int u) const {
    Asked asked = {{}, {C(0), C(0)}};
    const int64_t row = ranks_.rows[r], unit = unit0_ + u, hidden = layer_.hidden;
    if (row < 0 || unit >= hidden) return asked;
    const C* const gates = dir_.gates + row * CellType::kSaved * hidden + unit;
    for (int gate = 0; gate < kGates; ++gate) asked.x.of[gate] = gates[gate * hidden];
    const int64_t before = ranks_.before[r], b = ranks_.initial[r];
    if (CellType::kReadsH || (Options::kAct && !projected_))
      asked.state.h = state_before(dir_.y, layer_.ldy, dir_.h0, layer_.state, before, b, unit);
    if constexpr (CellType::kHasC) {
      if (before >= 0)
        asked.state.c = dir_.c[(layer_.save ? before : rank0_ + r) * hidden + unit];
      else if (dir_.c0 != nullptr && b >= 0)
        asked.state.c = load_scalar(dir_.c0[b * hidden + unit]);
    }
    return asked;
  }

  VARLSTM_DEVICE void finish(int r, int u, const UnitValues<C, kLast>& last, const Asked& asked) const {
    const int64_t row = ranks_.rows[r], unit = unit0_ + u, hidden = layer_.hidden;
    if (row < 0 || unit >= hidden) return;
    UnitValues<C, kGates> sums = {};
    for (int gate = 0; gate < kLast; ++gate) sums.of[kGates - kLast + gate] = last.of[gate];
    if constexpr (CellType::kStateBias) {
      for (int gate = 0; gate < kGates && dir_.b_hh != nullptr; ++gate)
        sums.of[gate] += load_scalar(dir_.b_hh[gate * hidden + unit]);
    }
    UnitStep<CellType, C> result;
    if constexpr (Options::kAct)
      result = forward_with_options<CellType, Functions>(DirectionOptions<C>(options_, blockIdx.z),
                                                         ragged_row(layer_.plan, layer_.row_order, row) * hidden + unit,
                                                         projected_, asked.x, sums, asked.state);
    else
      result = CellType::template forward<Functions>(asked.x, sums, asked.state);
    const int64_t state_at = (layer_.save ? row : rank0_ + r) * hidden + unit;
    if constexpr (CellType::kHasC) {
      dir_.c[state_at] = result.after.c;
      if (layer_.c_of_token != nullptr)
        layer_.c_of_token[(row * layer_.directions + blockIdx.z) * hidden + unit] = store_scalar<T>(result.after.c);
    }
    if (projected_)
      dir_.unprojected[state_at] = store_scalar<T>(result.after.h);
    else
      dir_.y[row * layer_.ldy + unit] = store_scalar<T>(result.after.h);
    if (!layer_.save) return;
    C* const gates = dir_.gates + row * CellType::kSaved * hidden + unit;
    for (int k = 0; k < CellType::kSaved; ++k) gates[k * hidden] = result.saved.of[k];
  }

 private:
  const LayerForward<T, C>& layer_;
  const DirectionForward<T, C>& dir_;
  const Options& options_;
  const RanksOf<Tile, Options>& ranks_;
  const int64_t rank0_, unit0_;
  const bool projected_;
};

// Tile: a StepTile. Options: NoOptions, or LayerOptions<ComputeType<T>>.
template <class CellType, class Tile, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    stepwise_forward_kernel(LayerForward<typename Tile::Scalar, typename Tile::Compute> layer, int64_t step,
                            int64_t steps, Options options, int blocks) {
  using T = typename Tile::Scalar;
  using C = typename Tile::Compute;
  using Tiles = ForwardTiles<CellType, Tile, Options>;
  constexpr int kLast = kLastGates<CellType>;
  Tiles& tiles = *simt::shared_memory<Tiles>();
  const BatchPlan& plan = layer.plan;
  const bool reverse = blockIdx.z == 1;
  const DirectionForward<T, C>& dir = layer.direction[blockIdx.z];
  const int64_t t = reverse ? steps - 1 - step : step;
  const int64_t width = plan.segments.sizes[t];
  const int64_t rank0 = static_cast<int64_t>(blockIdx.x) / blocks * Tile::kRanks;
  if (rank0 >= width) return;  // the whole block
  const int64_t hidden = layer.hidden, features = layer.state;
  const int64_t unit0 = static_cast<int64_t>(blockIdx.y) * Tile::kUnits;

  fill_ranks<Tile>(tiles.ranks, layer, options, {t, width, rank0, unit0, reverse, blocks});
  if constexpr (CellType::kSecondGates > 0) {
    const int thread = static_cast<int>(threadIdx.x);
    const int64_t own = rank0 + thread;
    if (thread < Tile::kRanks)
      tiles.operands[thread] = own >= width ? -1 : layer.save ? row_of(plan, layer.row_order, t, own) : own;
  }
  simt::block_sync();  // S0

  const StepWeights<T> weights = {dir.w_hh + (CellType::kGates - kLast) * hidden * features, features, hidden, unit0};
  const ForwardUnits<CellType, Tile, Options> units(layer, options, tiles.ranks, rank0, unit0);
  if constexpr (CellType::kSecondGates > 0) {
    const auto row = [&](int r) { return tiles.operands[r] < 0 ? nullptr : dir.operand + tiles.operands[r] * hidden; };
    Tiles::Product::run(tiles.product, row_operand<T>(row), weights, width - rank0, blocks, units);
  } else {
    const StateOperand<Tile, Options> states = {layer, tiles.ranks, options};
    Tiles::Product::run(tiles.product, states, weights, width - rank0, blocks, units);
  }
}

// h_n [B, R], c_n [B, H] <- the states after each sequence's last step. A sequence without a token gets its initial
// states.
template <class T>
VARLSTM_KERNEL void final_states_kernel(LayerForward<T, ComputeType<T>> layer) {
  using C = ComputeType<T>;
  const BatchPlan& plan = layer.plan;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t segments = plan.segments.count, count = layer.directions * segments * layer.hidden;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += stride) {
    const int64_t unit = k % layer.hidden, j = k / layer.hidden % segments, d = k / layer.hidden / segments;
    const DirectionForward<T, C>& dir = layer.direction[d];
    const int64_t b = final_of(plan, d == 1, j);
    if (b < 0) continue;
    const int64_t at = b * layer.hidden + unit, h_at = b * layer.state + unit;
    const bool has_h = unit < layer.state;
    T h = store_scalar<T>(0), c = store_scalar<T>(0);
    if (plan.lengths[b] > 0) {
      const int64_t row = last_row(plan, layer.row_order, d == 1, b);
      if (has_h) h = dir.y[row * layer.ldy + unit];
      if (dir.c != nullptr) c = store_scalar<T>(dir.c[(layer.save ? row : j) * layer.hidden + unit]);
    } else {
      if (dir.h0 != nullptr && has_h) h = dir.h0[h_at];
      if (dir.c0 != nullptr) c = dir.c0[at];
    }
    if (dir.h_n != nullptr && has_h) dir.h_n[h_at] = h;
    if (dir.c_n != nullptr) dir.c_n[at] = c;
  }
}

namespace {

template <class CellType, class T, class C, class Options>
int32_t run_step(Stream stream, const LayerForward<T, C>& layer, int64_t step, int64_t steps, const Options& options) {
  const int64_t ranks = launched_ranks(layer, step, steps);
  return with_step_tile<T, kWideGatesUnits>(
      stream, ranks, layer.hidden, layer.directions, [&](auto of_step, int blocks) {
        using Tile = decltype(of_step);
        const LaunchShape shape = step_shape<Tile>(ranks, layer.hidden, layer.directions,
                                                   sizeof(ForwardTiles<CellType, Tile, Options>), blocks);
        return launch<stepwise_forward_kernel<CellType, Tile, Options>>(stream, "stepwise_forward", shape, layer, step,
                                                                        steps, options, blocks);
      });
}

template <class CellType, class T, class C, class Options>
int32_t run_steps(Stream stream, const LayerForward<T, C>& layer, const Options& options) {
  const int64_t steps = launched_steps(layer.plan);
  for (int64_t step = 0; step < steps; ++step) {
    if constexpr (CellType::kSecondGates > 0)
      VARLSTM_CUDA_TRY(first_product_step(stream, CellType::kKind, layer, step, steps, options));
    VARLSTM_CUDA_TRY(run_step<CellType>(stream, layer, step, steps, options));
    if (layer.direction[0].w_hr != nullptr) VARLSTM_CUDA_TRY(project_step(stream, layer, step, steps, options));
  }
  return store_final_states(stream, layer);
}

}  // namespace

template <class T, class C>
int32_t store_final_states(Stream stream, const LayerForward<T, C>& layer) {
  if (layer.direction[0].h_n == nullptr && layer.direction[0].c_n == nullptr) return VARLSTM_OK;
  return launch<final_states_kernel<T>>(
      stream, "final_states", elementwise_shape(stream, layer.directions * layer.plan.segments.count * layer.hidden),
      layer);
}

template <class T, class C>
int32_t stepwise_forward(Stream stream, Cell cell, const LayerForward<T, C>& layer, const LayerOptions<C>& options) {
  return with_cell(cell, [&](auto of_layer) {
    using CellType = decltype(of_layer);
    return options.act ? run_steps<CellType>(stream, layer, options) : run_steps<CellType>(stream, layer, NoOptions());
  });
}

#define VARLSTM_INSTANTIATE(T, C)                                                                     \
  template int32_t stepwise_forward(Stream, Cell, const LayerForward<T, C>&, const LayerOptions<C>&); \
  template int32_t store_final_states(Stream, const LayerForward<T, C>&)
VARLSTM_INSTANTIATE(float, float);
VARLSTM_INSTANTIATE(double, double);
VARLSTM_INSTANTIATE(Bf16, float);
VARLSTM_INSTANTIATE(F16, float);
#undef VARLSTM_INSTANTIATE

}  // namespace varlstm::cuda
