// Backward of a cell with layer normalisation over one layer, two launches for each step, or three with a projection.
//
//   norm_incoming  dh[j, u] <- the gradient of h, or of what is projected, as in stepwise_backward.cu
//   norm_cells     of a cell with c: d(gain_c LN(c') + bias_c) and the output gate's gradient, and what c' gets of it;
//                  dsums[row]  <- the gradients of the gates' sums, from the cell's file of kernels/cells
//                  dgates[row] <- those of U h, through its normalisation, in the places of those that flow to the
//                  state
//
// The steps, the directions and the ranks are those of stepwise_backward.cu, whose last launch makes dh0 and dc0 of
// dgates; projection.cu reads dgates too. After the steps norm_product_gradient makes dproduct, the gradient of W x, of
// dsums for every token. norm_incoming has the grid, the block, the shared memory and the barriers of
// stepwise_backward.cu, in the functions of stepwise/incoming.h. In norm_cells and norm_product_gradient a block of
// kNormThreads threads has a row; its shared memory is a value for each warp, and its barriers are those of norm_row.h.
//   S5 (launch order): what a launch wrote is visible to the next.
// Bytes of a step: w_hh G H R e for each tile of ranks, and for an LSTM b_t H (24 C + 6 e) of states and gates. dgates
// and dproduct are rounded to the dtype, since products read them; all else stays in C. Every sum is of one row in a
// fixed order: bit-identical whatever else is in the batch. Mirrored by host/rnn/recurrence_backward.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/launch.h"
#include "kernels/recurrence/layer_norm/layer_norm.h"
#include "kernels/recurrence/layer_norm/norm_row.h"
#include "kernels/recurrence/stepwise/cell_options.h"
#include "kernels/recurrence/stepwise/incoming.h"
#include "kernels/recurrence/stepwise/projection.h"
#include "kernels/recurrence/stepwise/steps.h"
#include "varlstm.h"

namespace varlstm::cuda {

// The place of a gate's gradient that flows to the state, among the gradients of a unit.
template <class CellType>
VARLSTM_DEVICE int64_t state_place(int gate) {
  return gate < CellType::kGates - CellType::kStateGates ? gate : gate + CellType::kStateGates;
}

// Tile: a StepTile. kProjected: h is projected. Options: NoOptions, or LayerOptions<ComputeType<T>>, as in the next
// kernel.
template <class CellType, bool kProjected, class Tile, class Options>
VARLSTM_KERNEL void __launch_bounds__(kStepThreads)
    norm_incoming_kernel(LayerBackward<typename Tile::Scalar, typename Tile::Compute> layer,
                         LayerNormBackward<typename Tile::Scalar, typename Tile::Compute> norm, int64_t step,
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
  const int64_t unit0 = static_cast<int64_t>(blockIdx.y) * Tile::kUnits;
  const auto finish = [&](int r, int u, const OneSum<C>& incoming) {
    const int64_t j = rank0 + r, unit = unit0 + u;
    if (j >= width || unit >= layer.hidden) return;
    const int64_t row = row_of(plan, layer.row_order, t, j);
    const bool ends = row_after(plan, layer.row_order, reverse, t, j) < 0;
    const UnitPlace at = {row, j, unit, final_of(plan, reverse, j), ends};
    norm.gradients[blockIdx.z].dh[j * layer.hidden + unit] = gradient_of_h<CellType, kProjected>(
        layer, dir, options, at, ask_gradient<CellType, kProjected>(layer, dir, options, at), incoming.of[0]);
  };
  incoming_gradients<CellType, kProjected>(tiles, layer, dir, {t, width, rank0, unit0, reverse, blocks},
                                           finish_alone(finish));
}

// A row of norm_cells: what its units read and write.
template <class CellType, bool kProjected, class T, class Options>
class NormCells {
  using C = ComputeType<T>;
  static constexpr int kGradients = kGradientsOf<CellType>;

 public:
  VARLSTM_DEVICE NormCells(const LayerBackward<T, C>& layer, const LayerNormBackward<T, C>& norm,
                           const Options& options, int64_t t, int64_t j)
      : layer_(layer),
        dir_(layer.direction[blockIdx.z]),
        params_(norm.params[blockIdx.z]),
        values_(norm.values[blockIdx.z]),
        gradients_(norm.gradients[blockIdx.z]),
        options_(options),
        reverse_(blockIdx.z == 1),
        hidden_(layer.hidden),
        rank_(j),
        row_(row_of(layer.plan, layer.row_order, t, j)),
        before_(row_before(layer.plan, layer.row_order, reverse_, t, j)),
        initial_(initial_of(layer.plan, reverse_, j)),
        ends_(row_after(layer.plan, layer.row_order, reverse_, t, j) < 0),
        dsums_(gradients_.dsums + row_ * kGradients * hidden_) {
    if constexpr (Options::kAct) element_ = ragged_row(layer.plan, layer.row_order, row_) * hidden_;
  }

  VARLSTM_DEVICE void run(C* scratch) const {
    if constexpr (CellType::kHasC) {
      for_own_units(hidden_, [&](int64_t unit) { through_output(unit); });
      const C* const dnormalised = gradients_.dnormalised + row_ * hidden_;
      normalised_gradient<1>(
          values_.c_hat + row_ * hidden_, values_.c_rstd[row_], hidden_, scratch,
          [&](int, int64_t unit) { return load_scalar(params_.gain_c[unit]) * dnormalised[unit]; },
          [&](int, int64_t unit, C of_output) { through_c(unit, of_output); });
    } else {
      for_own_units(hidden_, [&](int64_t unit) { through_h(unit); });
    }
    T* const dgates = dir_.dgates + row_ * kGradients * hidden_;
    normalised_gradient<CellType::kGates>(
        values_.h_hat + row_ * CellType::kGates * hidden_, values_.h_rstd[row_], hidden_, scratch,
        [&](int gate, int64_t unit) {
          return load_scalar(params_.gain_h[gate * hidden_ + unit]) *
                 dsums_[state_place<CellType>(gate) * hidden_ + unit];
        },
        [&](int gate, int64_t unit, C gradient) {
          dgates[state_place<CellType>(gate) * hidden_ + unit] = store_scalar<T>(gradient);
        });
  }

 private:
  VARLSTM_DEVICE DirectionOptions<C> options() const { return DirectionOptions<C>(options_, blockIdx.z); }
  VARLSTM_DEVICE Share<C> share_of_h(int64_t unit) const {
    if constexpr (Options::kAct && !kProjected) return options().zoneout_h(element_ + unit);
    return {C(0)};
  }
  VARLSTM_DEVICE C dh(int64_t unit) const { return gradients_.dh[rank_ * hidden_ + unit]; }
  VARLSTM_DEVICE UnitValues<C, CellType::kSaved> saved(int64_t unit) const {
    UnitValues<C, CellType::kSaved> values;
    const C* const gates = dir_.gates + row_ * CellType::kSaved * hidden_ + unit;
    for (int k = 0; k < CellType::kSaved; ++k) values.of[k] = gates[k * hidden_];
    return values;
  }

  // dh to the normalised c', and to the sum of the output gate.
  VARLSTM_DEVICE void through_output(int64_t unit) const {
    const int64_t at = row_ * hidden_ + unit;
    const C o = dir_.gates[(row_ * CellType::kSaved + CellType::kOutputGate) * hidden_ + unit];
    const C c = load_scalar(params_.gain_c[unit]) * values_.c_hat[at] + load_scalar(params_.bias_c[unit]);
    const auto through = CellType::template output_gradients<Accurate>(o, c, share_of_h(unit).to_after(dh(unit)));
    gradients_.dnormalised[at] = through.c;
    dsums_[CellType::kOutputGate * hidden_ + unit] = through.gate;
    if constexpr (Options::kAct && !kProjected) {
      if (dir_.dh != nullptr) dir_.dh[rank_ * hidden_ + unit] = share_of_h(unit).to_before(dh(unit));
    }
  }

  // dc to the other sums and to c before; of_output is what c' gets through its normalisation.
  VARLSTM_DEVICE void through_c(int64_t unit, C of_output) const {
    const int64_t at = rank_ * hidden_ + unit;
    UnitState<C> gradient = {C(0), C(0)}, before = {C(0), C(0)};
    gradient.c = ends_ ? of_sequence(dir_.dc_n, final_of(layer_.plan, reverse_, rank_), hidden_, unit) : dir_.dc[at];
    if (layer_.dc_of_token != nullptr)
      gradient.c += load_scalar(layer_.dc_of_token[(row_ * layer_.directions + blockIdx.z) * hidden_ + unit]);
    before.c = before_ >= 0 ? dir_.c[before_ * hidden_ + unit] : of_sequence(dir_.c0, initial_, hidden_, unit);
    const UnitState<C> after = {C(0), dir_.c[row_ * hidden_ + unit]};
    const typename CellType::template OutputGradients<C> through = {of_output,
                                                                    dsums_[CellType::kOutputGate * hidden_ + unit]};
    C straight = 0;
    if constexpr (Options::kAct) {
      const Share<C> share = options().zoneout_c(element_ + unit);
      const UnitOptions<C> of_unit = options().at_unit(element_ + unit);
      straight = share.to_before(gradient.c);
      gradient.c = share.to_after(gradient.c);
      const C c = CellType::template unclipped<Accurate>(saved(unit), before, after, of_unit);
      store(unit, CellType::backward_from_output(saved(unit), before, c, through, &gradient, of_unit));
    } else {
      store(unit, CellType::backward_from_output(saved(unit), before, after.c, through, &gradient, NoOptions()));
    }
    dir_.dc[at] = gradient.c + straight;
  }

  // dh to the sums and to h before, of a cell without c.
  VARLSTM_DEVICE void through_h(int64_t unit) const {
    UnitState<C> gradient = {dh(unit), C(0)}, before = {C(0), C(0)};
    before.h =
        before_ >= 0 ? load_scalar(dir_.y[before_ * layer_.ldy + unit]) : of_sequence(dir_.h0, initial_, hidden_, unit);
    if constexpr (Options::kAct)
      store(unit, backward_with_options<CellType, Accurate>(options(), element_ + unit, false, saved(unit), before, {},
                                                            &gradient));
    else
      store(unit, CellType::template backward<Accurate>(saved(unit), before, {}, &gradient));
    dir_.dh[rank_ * hidden_ + unit] = gradient.h;
  }

  VARLSTM_DEVICE void store(int64_t unit, const UnitValues<C, kGradients>& of_sums) const {
    for (int k = 0; k < kGradients; ++k) dsums_[k * hidden_ + unit] = of_sums.of[k];
  }

  const LayerBackward<T, C>& layer_;
  const DirectionBackward<T, C>& dir_;
  const NormParameters<T>& params_;
  const NormValues<C>& values_;
  const NormGradients<T, C>& gradients_;
  const Options& options_;
  const bool reverse_;
  const int64_t hidden_, rank_, row_;
  const int64_t before_;   // the row that the direction visits before this one, or -1
  const int64_t initial_;  // then: the sequence from whose initial state the rank starts, or -1
  const bool ends_;        // the segment ends here
  C* const dsums_;
  int64_t element_ = 0;  // of options, of unit 0
};

template <class CellType, bool kProjected, class T, class Options>
VARLSTM_KERNEL void __launch_bounds__(kNormThreads)
    norm_cells_kernel(LayerBackward<T, ComputeType<T>> layer, LayerNormBackward<T, ComputeType<T>> norm, int64_t step,
                      int64_t steps, Options options) {
  const int64_t t = blockIdx.z == 1 ? step : steps - 1 - step, j = blockIdx.x;
  if (j >= layer.plan.segments.sizes[t]) return;  // the whole block
  NormCells<CellType, kProjected, T, Options>(layer, norm, options, t, j).run(simt::shared_memory<ComputeType<T>>());
}

// A grid-stride loop over the rows of one direction.
template <class CellType, class T>
VARLSTM_KERNEL void __launch_bounds__(kNormThreads)
    norm_product_gradient_kernel(LayerNormBackward<T, ComputeType<T>> norm, int64_t count, const int64_t* counted,
                                 int64_t hidden) {
  using C = ComputeType<T>;
  const NormParameters<T>& params = norm.params[blockIdx.z];
  const NormValues<C>& values = norm.values[blockIdx.z];
  const NormGradients<T, C>& gradients = norm.gradients[blockIdx.z];
  const int64_t rows = counted == nullptr || *counted > count ? count : *counted;
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const C* const dsums = gradients.dsums + row * kGradientsOf<CellType> * hidden;
    T* const dproduct = gradients.dproduct + row * CellType::kGates * hidden;
    normalised_gradient<CellType::kGates>(
        values.x_hat + row * CellType::kGates * hidden, values.x_rstd[row], hidden, simt::shared_memory<C>(),
        [&](int gate, int64_t unit) {
          return load_scalar(params.gain_x[gate * hidden + unit]) * dsums[gate * hidden + unit];
        },
        [&](int gate, int64_t unit, C gradient) { dproduct[gate * hidden + unit] = store_scalar<T>(gradient); });
  }
}

namespace {

template <class CellType, bool kProjected, class T, class C, class Options>
int32_t run_steps(Stream stream, const LayerBackward<T, C>& layer, const LayerNormBackward<T, C>& norm,
                  const Options& options) {
  const int64_t steps = launched_steps(layer.plan);
  constexpr auto kCells = norm_cells_kernel<CellType, kProjected, T, Options>;
  for (int64_t step = 0; step < steps; ++step) {
    const int64_t ranks = launched_ranks(layer, step, steps, true);
    if constexpr (kProjected) VARLSTM_CUDA_TRY(projected_gradient_step(stream, layer, step, steps, options));
    VARLSTM_CUDA_TRY(
        (with_step_tile<T, kWideUnits>(stream, ranks, layer.hidden, layer.directions, [&](auto of_step, int blocks) {
          using Tile = decltype(of_step);
          const LaunchShape shape =
              step_shape<Tile>(ranks, layer.hidden, layer.directions, sizeof(BackwardTiles<Tile>), blocks);
          return launch<norm_incoming_kernel<CellType, kProjected, Tile, Options>>(
              stream, "norm_incoming", shape, layer, norm, step, steps, options, blocks);
        })));
    VARLSTM_CUDA_TRY(launch<kCells>(stream, "norm_cells", norm_shape<C>(ranks, layer.directions), layer, norm, step,
                                    steps, options));
  }
  return VARLSTM_OK;
}

}  // namespace

template <class T, class C>
int32_t layer_norm_backward(Stream stream, Cell cell, const LayerBackward<T, C>& layer,
                            const LayerNormBackward<T, C>& norm, const LayerOptions<C>& options) {
  if (layer.plan.batch == 0) return VARLSTM_OK;
  const auto run = [&](auto of_layer, const auto& of_kernels) {
    using CellType = decltype(of_layer);
    if constexpr (CellType::kProjects) {
      if (layer.direction[0].w_hr != nullptr) return run_steps<CellType, true>(stream, layer, norm, of_kernels);
    }
    return run_steps<CellType, false>(stream, layer, norm, of_kernels);
  };
  VARLSTM_CUDA_TRY(with_normalised_cell(
      cell, [&](auto of_layer) { return options.act ? run(of_layer, options) : run(of_layer, NoOptions()); }));
  VARLSTM_CUDA_TRY(store_initial_gradients(stream, cell, layer, options));
  const int64_t count = rows_of(layer.plan).tokens;
  return with_normalised_cell(cell, [&](auto of_layer) {
    return launch<norm_product_gradient_kernel<decltype(of_layer), T>>(
        stream, "norm_product_gradient", norm_shape<C>(looped_rows(count), layer.directions), norm, count,
        counted_rows(layer.plan), layer.hidden);
  });
}

#define VARLSTM_INSTANTIATE(T, C)                                                                                \
  template int32_t layer_norm_backward(Stream, Cell, const LayerBackward<T, C>&, const LayerNormBackward<T, C>&, \
                                       const LayerOptions<C>&)
VARLSTM_INSTANTIATE(float, float);
VARLSTM_INSTANTIATE(double, double);
VARLSTM_INSTANTIATE(Bf16, float);
VARLSTM_INSTANTIATE(F16, float);
#undef VARLSTM_INSTANTIATE

}  // namespace varlstm::cuda
