// The step of step/step.cu with layer normalisation, two launches for a layer.
//
//   norm_step_product  h_hat[k, gate, u] <- sum_i h[rows[k], i] * w_hh[gate * H + u, i]
//   norm_step_units    the step of norm_step_row.h of each stream
//
// norm_step_product has the grid, the block, the shared memory, the sums and the barriers of step_layer.
// norm_step_units: a block of kNormThreads threads for each stream; its shared memory is a value for each warp, and its
// barriers are those of norm_row.h. A stream whose row is -1 reads no state, gets y = 0 and changes nothing. The bits
// are those of norm_forward.cu. Options act as in step.cu: clips do, zoneout gives its expectation.
//   S5 (launch order): the product of all blocks is visible to norm_step_units.
// Bytes: w_hh G H R e for each tile of streams, and B H (6 G + S + 7) C. Mirrored by host/rnn/rnn_step.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/launch.h"
#include "kernels/recurrence/layer_norm/layer_norm.h"
#include "kernels/recurrence/layer_norm/norm_step_row.h"
#include "kernels/recurrence/stepwise/product.h"
#include "kernels/recurrence/stepwise/step_shape.h"
#include "varlstm.h"

namespace varlstm::cuda {

// Tile: a StepTile.
template <class CellType, class Tile>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    norm_step_product_kernel(StepLayer<typename Tile::Scalar, typename Tile::Compute> layer,
                             typename Tile::Compute* h_hat, int blocks) {
  using T = typename Tile::Scalar;
  constexpr int kGates = CellType::kGates;
  using Product = StepProduct<Tile, kGates, true>;
  const int64_t stream0 = static_cast<int64_t>(blockIdx.x) / blocks * Tile::kRanks, ranks = layer.streams - stream0;
  const int64_t unit0 = static_cast<int64_t>(blockIdx.y) * Tile::kUnits;
  const auto states = row_operand<T>([&](int own) {
    const int64_t row = own < ranks ? layer.rows[stream0 + own] : -1;
    return row < 0 ? nullptr : layer.h + row * layer.features;
  });
  const auto finish = [&](int r, int u, const UnitValues<typename Tile::Compute, kGates>& sums) {
    const int64_t stream = stream0 + r, unit = unit0 + u;
    if (r >= ranks || unit >= layer.hidden) return;
    for (int gate = 0; gate < kGates; ++gate) h_hat[(stream * kGates + gate) * layer.hidden + unit] = sums.of[gate];
  };
  Product::run(*simt::shared_memory<typename Product::Shared>(), states,
               {layer.w_hh, layer.features, layer.hidden, unit0}, ranks, blocks, finish_alone(finish));
}

// Options: NoOptions, or LayerOptions<ComputeType<T>>.
template <class CellType, class T, class Options>
VARLSTM_KERNEL void __launch_bounds__(kNormThreads)
    norm_step_units_kernel(StepLayer<T, ComputeType<T>> layer, NormParameters<T> params, NormStep<ComputeType<T>> norm,
                           Options options) {
  using C = ComputeType<T>;
  const int64_t stream = blockIdx.x, hidden = layer.hidden, row = layer.rows[stream];
  T* const y = layer.y + stream * hidden;
  if (row < 0) {  // the whole block
    for_own_units(hidden, [&](int64_t unit) { y[unit] = store_scalar<T>(0); });
    return;
  }
  NormStepRow<T, C> r{};
  r.hidden = hidden;
  r.projected = layer.features < hidden;
  r.x_hat = norm.values.x_hat + stream * CellType::kGates * hidden;
  r.h_hat = norm.values.h_hat + stream * CellType::kGates * hidden;
  r.gates = norm.gates + stream * CellType::kSaved * hidden;
  r.h_before = layer.h + row * layer.features;
  r.out = y;
  if constexpr (CellType::kHasC) {
    r.c_hat = norm.values.c_hat + stream * hidden;
    r.c = layer.c + row * hidden;
    r.c = layer.c + row * hidden;
    r.c_before = r.c;
  }
  normalised_row_step<CellType>(params, r, options, simt::shared_memory<C>());
}

namespace {

template <class CellType, class T, class C, class Options>
int32_t run_step(Stream stream, const StepLayer<T, C>& step, const NormParameters<T>& params, const NormStep<C>& norm,
                 const Options& options) {
  constexpr auto kCells = norm_step_units_kernel<CellType, T, Options>;
  VARLSTM_CUDA_TRY(
      (with_step_tile<T, kWideGatesUnits>(stream, step.streams, step.hidden, 1, [&](auto of_step, int blocks) {
        using Tile = decltype(of_step);
        const LaunchShape shape = step_shape<Tile>(
            step.streams, step.hidden, 1, sizeof(typename StepProduct<Tile, CellType::kGates, true>::Shared), blocks);
        return launch<norm_step_product_kernel<CellType, Tile>>(stream, "norm_step_product", shape, step,
                                                                norm.values.h_hat, blocks);
      })));
  return launch<kCells>(stream, "norm_step_units", norm_shape<C>(step.streams, 1), step, params, norm, options);
}

}  // namespace

template <class T, class C>
int32_t layer_norm_step(Stream stream, Cell cell, const StepLayer<T, C>& step, const NormParameters<T>& params,
                        const NormStep<C>& norm, const LayerOptions<C>& options) {
  return with_normalised_cell(cell, [&](auto of_layer) {
    using CellType = decltype(of_layer);
    return options.act ? run_step<CellType>(stream, step, params, norm, options)
                       : run_step<CellType>(stream, step, params, norm, NoOptions());
  });
}

#define VARLSTM_INSTANTIATE(T, C)                                                                                      \
  template int32_t layer_norm_step(Stream, Cell, const StepLayer<T, C>&, const NormParameters<T>&, const NormStep<C>&, \
                                   const LayerOptions<C>&)
VARLSTM_INSTANTIATE(float, float);
VARLSTM_INSTANTIATE(double, double);
VARLSTM_INSTANTIATE(Bf16, float);
VARLSTM_INSTANTIATE(F16, float);
#undef VARLSTM_INSTANTIATE

}  // namespace varlstm::cuda
