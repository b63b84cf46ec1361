// A step of a recurrent network: one token of each of B streams, whose states are in rows of a table.
//
//   check_slots   owner[slot] <- the first stream k with slots[k] = slot
//                 rows[k] <- slots[k] if k is its owner, else -1
//   step_layer    s[k, gate, u] = sum_i h[rows[k], i] * w_hh[gate * H + u, i]  (+ b_hh[gate * H + u])
//                 c[rows[k], u], y[k, u] <- the cell at the x-gates and s, as in the cell's file of kernels/cells
//   store_states  h[layer, rows[k], u] <- y of that layer
//
// If h is projected, i runs over its R features, and stepwise/projection.cu makes y of what step_layer gives out.
// If the cell has two products, stepwise/second_product.cu comes before step_layer, which multiplies its operand by the
// rows of the last gates.
// h is stored in a launch of its own, because all blocks of a layer read whole rows of it; c is updated in place,
// because only one thread reads and writes an element. A stream whose row is -1 reads no state, gets y = 0 and changes
// nothing.
// check_slots: one block. owner holds anything at first, and no entry that no stream names is touched, however large
// the table is.
//   S1: after it every entry that a stream names is kNobody. S2: after it that is the smallest stream that names it.
// step_layer: the grid, the block, the shared memory and the sums of stepwise_forward.cu, whose bits it gives.
//   The barriers of the product are in stepwise/product.h and stepwise/tensor_product.h.
//   With options of a cell (stepwise/cell_options.h) it is another kernel: clips act, zoneout gives its expectation.
// store_states: a grid-stride loop over the L B H elements.
// Bytes of a step, from memory or L2: for each layer w_hh G H H e for each tile of streams, and B H (G C + 3 e + 2 C);
// w_ih besides. Bound by launch latency: 2 L + 2 launches with those of the input's products. Mirrored by
// host/rnn/rnn_step.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/recurrence/step/step.h"

#include "kernels/cells/cells.h"
#include "kernels/core/bad_value.h"
#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "kernels/recurrence/stepwise/cell_options.h"
#include "kernels/recurrence/stepwise/product.h"
#include "kernels/recurrence/stepwise/second_product.h"
#include "varlstm.h"

namespace varlstm::cuda {

constexpr unsigned long long kNobody = ~0ull;
constexpr unsigned kCheckThreads = 512;

VARLSTM_KERNEL void __launch_bounds__(kCheckThreads) check_slots_kernel(SlotCheck check, DeviceStatus* status) {
  const auto in_table = [&](int64_t slot) { return slot >= 0 && slot < check.table_slots; };
  const int64_t first = threadIdx.x;
  for (int64_t k = first; k < check.streams; k += kCheckThreads)
    if (in_table(check.slots[k])) simt::atomic_exchange(&check.owner[check.slots[k]], kNobody);
  simt::block_sync();  // S1
  for (int64_t k = first; k < check.streams; k += kCheckThreads)
    if (in_table(check.slots[k])) simt::atomic_min(&check.owner[check.slots[k]], static_cast<unsigned long long>(k));
  simt::block_sync();  // S2
  for (int64_t k = first; k < check.streams; k += kCheckThreads) {
    const int64_t slot = check.slots[k];
    const bool good = in_table(slot) && check.owner[slot] == static_cast<unsigned long long>(k);
    check.rows[k] = good ? slot : -1;
    if (!good) flag_bad_value(status, BadValue::kSlot, k);
  }
}

// The step of a unit of a stream from the last product's sums.
template <class CellType, class Functions, class T, class C, class Options>
VARLSTM_DEVICE void finish_unit(const StepLayer<T, C>& layer, const Options& options, int64_t stream, int64_t unit,
                                const UnitValues<C, kLastGates<CellType>>& last) {
  constexpr int kGates = CellType::kGates, kLast = kLastGates<CellType>;
  const int64_t hidden = layer.hidden;
  T& y = layer.y[stream * hidden + unit];
  const int64_t row = layer.rows[stream];
  if (row < 0) {
    y = store_scalar<T>(0);
    return;
  }
  UnitValues<C, kGates> sums = {};
  for (int gate = 0; gate < kLast; ++gate) sums.of[kGates - kLast + gate] = last.of[gate];
  const C* gates = layer.gates + stream * CellType::kSaved * hidden + unit;
  UnitValues<C, kGates> x;
  for (int gate = 0; gate < kGates; ++gate) x.of[gate] = gates[gate * hidden];
  if constexpr (CellType::kStateBias) {
    for (int gate = 0; gate < kGates && layer.b_hh != nullptr; ++gate)
      sums.of[gate] += load_scalar(layer.b_hh[gate * hidden + unit]);
  }
  UnitState<C> state = {C(0), C(0)};
  const bool projected = layer.features < hidden;
  if (CellType::kReadsH || (Options::kAct && !projected)) state.h = load_scalar(layer.h[row * layer.features + unit]);
  if constexpr (CellType::kHasC) state.c = layer.c[row * hidden + unit];
  UnitStep<CellType, C> result;
  if constexpr (Options::kAct)
    result = forward_with_options<CellType, Functions>(DirectionOptions<C>(options, 0), 0, projected, x, sums, state);
  else
    result = CellType::template forward<Functions>(x, sums, state);
  if constexpr (CellType::kHasC) layer.c[row * hidden + unit] = result.after.c;
  y = store_scalar<T>(result.after.h);
}

// Tile: a StepTile. Options: NoOptions, or LayerOptions<ComputeType<T>>.
template <class CellType, class Tile, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    step_layer_kernel(StepLayer<typename Tile::Scalar, typename Tile::Compute> layer, Options options, int blocks) {
  using T = typename Tile::Scalar;
  using C = typename Tile::Compute;
  constexpr int kLast = kLastGates<CellType>;
  using Product = StepProduct<Tile, kLast, true>;
  const int64_t hidden = layer.hidden, features = layer.features;
  const int64_t stream0 = static_cast<int64_t>(blockIdx.x) / blocks * Tile::kRanks, ranks = layer.streams - stream0;
  const int64_t unit0 = static_cast<int64_t>(blockIdx.y) * Tile::kUnits;
  const auto operand = row_operand<T>([&](int own) -> const T* {
    const int64_t row = own < ranks ? layer.rows[stream0 + own] : -1;
    if (row < 0) return nullptr;
    return CellType::kSecondGates > 0 ? layer.operand + (stream0 + own) * hidden : layer.h + row * features;
  });
  const StepWeights<T> weights = {layer.w_hh + (CellType::kGates - kLast) * hidden * features, features, hidden, unit0};
  const auto finish = [&](int r, int u, const UnitValues<C, kLast>& last) {
    if (r < ranks && unit0 + u < hidden)
      finish_unit<CellType, typename Tile::Functions>(layer, options, stream0 + r, unit0 + u, last);
  };
  Product::run(*simt::shared_memory<typename Product::Shared>(), operand, weights, ranks, blocks, finish_alone(finish));
}

template <class T>
VARLSTM_KERNEL void store_states_kernel(StoredStates<T> states) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t of_layer = states.streams * states.features;
  for (int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; at < states.layers * of_layer;
       at += stride) {
    const int64_t layer = at / of_layer, rest = at % of_layer, unit = at % states.features;
    const int64_t row = states.rows[rest / states.features];
    if (row < 0) continue;
    const T value = layer + 1 == states.layers ? states.last[rest] : states.below[at];
    states.h[(layer * states.table_slots + row) * states.features + unit] = value;
  }
}

int32_t check_slots(Stream stream, const SlotCheck& check) {
  LaunchShape shape;
  shape.block = dim3(kCheckThreads);
  return launch<check_slots_kernel>(stream, "check_slots", shape, check, stream.state->status);
}

template <class T, class C>
int32_t step_layer(Stream stream, Cell cell, const StepLayer<T, C>& layer, const LayerOptions<C>& options) {
  return with_cell(cell, [&](auto of_layer) {
    using CellType = decltype(of_layer);
    if constexpr (CellType::kSecondGates > 0) VARLSTM_CUDA_TRY(first_product_streams(stream, cell, layer));
    return with_step_tile<T, kWideGatesUnits>(stream, layer.streams, layer.hidden, 1, [&](auto of_step, int blocks) {
      using Tile = decltype(of_step);
      const LaunchShape shape =
          step_shape<Tile>(layer.streams, layer.hidden, 1,
                           sizeof(typename StepProduct<Tile, kLastGates<CellType>, true>::Shared), blocks);
      return options.act ? launch<step_layer_kernel<CellType, Tile, LayerOptions<C>>>(stream, "step_layer", shape,
                                                                                      layer, options, blocks)
                         : launch<step_layer_kernel<CellType, Tile, NoOptions>>(stream, "step_layer", shape, layer,
                                                                                NoOptions(), blocks);
    });
  });
}

template <class T>
int32_t store_states(Stream stream, const StoredStates<T>& states) {
  return launch<store_states_kernel<T>>(
      stream, "store_states", elementwise_shape(stream, states.layers * states.streams * states.features), states);
}

#define VARLSTM_INSTANTIATE(T, C)                                                            \
  template int32_t step_layer(Stream, Cell, const StepLayer<T, C>&, const LayerOptions<C>&); \
  template int32_t store_states(Stream, const StoredStates<T>&)
VARLSTM_INSTANTIATE(float, float);
VARLSTM_INSTANTIATE(double, double);
VARLSTM_INSTANTIATE(Bf16, float);
VARLSTM_INSTANTIATE(F16, float);
#undef VARLSTM_INSTANTIATE

}  // namespace varlstm::cuda
