// A step of one row with layer normalisation, by a block that has the whole row. For kernel files only.
//
//   v[gate] = gain_x * LN(W x) + gain_h * LN(U h) + b, with LN over all gates; the cell's file of kernels/cells from v
//   of a cell with c: h' = output(o, gain_c * LN(c') + bias_c), with LN over the units; c' itself is passed on
//
// Options act where cell_options.h says; c' is normalised as it is before zoneout. Mirrored by normalised_step of
// host/rnn/recurrence_forward.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/layer_norm/norm_layout.h"
#include "kernels/recurrence/layer_norm/norm_row.h"
#include "kernels/recurrence/stepwise/cell_options.h"

namespace varlstm::cuda {

template <class T, class C>
struct NormStepRow {
  int64_t hidden;
  int64_t element;     // of options, of unit 0
  int direction;       // likewise
  bool projected;      // what the units give out is still to be projected
  const C* x_hat;      // [G, H]
  C* h_hat;            // [G, H] in: U h; out: normalised
  C* c_hat;            // [H]; null if the cell has no c, as the other pointers of c
  C* gates;            // [S, H] out: the saved values
  C *h_rstd, *c_rstd;  // one value each, or null
  const T* h_before;   // [H], or null: zeros; not read if it is projected
  const T* c_initial;  // [H], or null
  const C* c_before;   // [H], in the place of c_initial; or null
  C* c;                // [H]
  T* c_of_token;       // [H], or null
  T* out;              // [H]
};

// The sums of a unit: v in two parts, as a cell takes them.
template <class CellType, class T, class C>
VARLSTM_DEVICE void normalised_sums(const NormParameters<T>& params, const NormStepRow<T, C>& row, int64_t unit,
                                    UnitValues<C, CellType::kGates>* x, UnitValues<C, CellType::kGates>* sums) {
  for (int gate = 0; gate < CellType::kGates; ++gate) {
    const int64_t at = gate * row.hidden + unit;
    C of_input = params.b_ih == nullptr ? C(0) : load_scalar(params.b_ih[at]);
    C of_state = 0;
    if (params.b_hh != nullptr) (CellType::kStateBias ? of_state : of_input) += load_scalar(params.b_hh[at]);
    x->of[gate] = of_input + load_scalar(params.gain_x[at]) * row.x_hat[at];
    sums->of[gate] = of_state + load_scalar(params.gain_h[at]) * row.h_hat[at];
  }
}

// Options: NoOptions, or LayerOptions<C>.
template <class CellType, class T, class C, class Options>
VARLSTM_DEVICE void normalised_row_step(const NormParameters<T>& params, const NormStepRow<T, C>& row,
                                        const Options& options, C* scratch) {
  const C h_rstd = normalise_row<CellType::kGates>(row.h_hat, row.hidden, scratch);
  if (row.h_rstd != nullptr && threadIdx.x == 0) *row.h_rstd = h_rstd;
  const auto h_before = [&](int64_t unit) { return row.h_before == nullptr ? C(0) : load_scalar(row.h_before[unit]); };
  const auto store_h = [&](int64_t unit, C h) {
    if constexpr (Options::kAct) {
      const DirectionOptions<C> at(options, row.direction);
      if (!row.projected) h = at.zoneout_h(row.element + unit).mix(h_before(unit), h);
    }
    row.out[unit] = store_scalar<T>(h);
  };
  for_own_units(row.hidden, [&](int64_t unit) {
    UnitValues<C, CellType::kGates> x, sums;
    normalised_sums<CellType>(params, row, unit, &x, &sums);
    UnitState<C> state = {C(0), C(0)};
    if constexpr (CellType::kReadsH) state.h = h_before(unit);
    if constexpr (CellType::kHasC)
      state.c = row.c_before != nullptr    ? row.c_before[unit]
                : row.c_initial != nullptr ? load_scalar(row.c_initial[unit])
                                           : C(0);
    UnitStep<CellType, C> step;
    if constexpr (Options::kAct)
      step = CellType::template forward<Accurate>(
          x, sums, state, DirectionOptions<C>(options, row.direction).at_unit(row.element + unit));
    else
      step = CellType::template forward<Accurate>(x, sums, state);
    for (int k = 0; k < CellType::kSaved; ++k) row.gates[k * row.hidden + unit] = step.saved.of[k];
    if constexpr (CellType::kHasC) {
      row.c_hat[unit] = step.after.c;
      C c = step.after.c;
      if constexpr (Options::kAct)
        c = DirectionOptions<C>(options, row.direction).zoneout_c(row.element + unit).mix(state.c, c);
      row.c[unit] = c;
      if (row.c_of_token != nullptr) row.c_of_token[unit] = store_scalar<T>(c);
    } else {
      store_h(unit, step.after.h);
    }
  });
  if constexpr (CellType::kHasC) {
    const C c_rstd = normalise_row<1>(row.c_hat, row.hidden, scratch);
    if (row.c_rstd != nullptr && threadIdx.x == 0) *row.c_rstd = c_rstd;
    for_own_units(row.hidden, [&](int64_t unit) {
      const C c = load_scalar(params.gain_c[unit]) * row.c_hat[unit] + load_scalar(params.bias_c[unit]);
      store_h(unit, CellType::template output<Accurate>(row.gates[CellType::kOutputGate * row.hidden + unit], c));
    });
  }
}

}  // namespace varlstm::cuda
