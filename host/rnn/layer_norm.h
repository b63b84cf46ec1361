// Layer normalisation of one layer and direction (haste's form, see varlstm.h): W x is normalised for all tokens before
// the recurrence, U h and an LSTM's c' in each step. Each runs over whole rows, so a team divides the work by segments.
//
// Backward: `gradients` has the gradients of the gates' sums, as without normalisation. Those of U h are made of them
// in each step, since the step before needs them; those of W x for all tokens at the end, in the place of the sums'
// own. For the 16-bit dtypes the gradients of W x and U h are rounded, since products read them; all else here is a
// float.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "host/carve.h"
#include "host/cells/cells.h"
#include "host/rnn/recurrence_steps.h"
#include "host/rnn/rnn_layout.h"
#include "host/simd/rounding.h"
#include "host/simd/row_kernel.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

// What forward saves. A pointer is null without layer normalisation, and those of c if the cell has none.
template <class T>
struct NormReserve {
  int64_t product_size, c_size;  // elements of one layer and direction
  T *x_hat, *h_hat;              // [L, D][N, G, Hp] W x and U h, normalised
  T* c_hat;                      // [L, D][N, Hp] c' likewise
  T *x_rstd, *h_rstd, *c_rstd;   // [L, D][N] 1 / sqrt(variance + epsilon) of each

  NormReserve(const RnnShape& shape, const BatchSize& size, Carver& carver) {
    const CellTraits& cell = kCellTraits[shape.cell];
    const int64_t units = padded_units(shape.hidden), entries = shape.layers * shape.directions;
    product_size = size.tokens * cell.gates * units;
    c_size = size.tokens * units;
    const auto take = [&](bool wanted, int64_t width) {
      return wanted ? carver.take<T>(size.tokens, width, entries) : nullptr;
    };
    const bool of_c = shape.layer_norm && cell.has_c;
    x_hat = take(shape.layer_norm, cell.gates * units);
    h_hat = take(shape.layer_norm, cell.gates * units);
    c_hat = take(of_c, units);
    x_rstd = take(shape.layer_norm, 1);
    h_rstd = take(shape.layer_norm, 1);
    c_rstd = take(of_c, 1);
  }
};

template <class T>
struct NormWorkspace {
  T* h_hat[kMaxDirections];         // forward without save: [., G, Hp] by rank
  T* c_hat[kMaxDirections];         // forward without save: [., Hp] by rank
  T* dstate[kMaxDirections];        // backward: [N, G, Hp] the gradient of U h
  T* dnormalised[kMaxDirections];   // backward: [N, Hp] the gradient of the normalised c'
  T* dc_of_output[kMaxDirections];  // backward: [., Hp] by rank: what c' gets of it

  NormWorkspace(const RnnShape& shape, const BatchSize& size, bool save, bool backward, Carver& carver) {
    const CellTraits& cell = kCellTraits[shape.cell];
    const int64_t units = padded_units(shape.hidden);
    const bool of_c = shape.layer_norm && cell.has_c, infer = !save && !backward;
    const auto take = [&](bool wanted, int64_t rows, int64_t width) {
      return wanted ? carver.take<T>(rows, width) : nullptr;
    };
    for (int64_t d = 0; d < shape.directions; ++d) {
      h_hat[d] = take(shape.layer_norm && infer, size.segments, cell.gates * units);
      c_hat[d] = take(of_c && infer, size.segments, units);
      dstate[d] = take(shape.layer_norm && backward, size.tokens, cell.gates * units);
      dnormalised[d] = take(of_c && backward, size.tokens, units);
      dc_of_output[d] = take(of_c && backward, size.segments, units);
    }
  }
};

// What the recurrence of one layer and direction reads and writes. Its pointers are those of the structs above.
template <class T>
struct LayerNorm {
  const CellTraits* cell;
  int64_t hidden;  // H
  int64_t units;   // Hp
  bool by_token;   // h_hat and c_hat; else by rank
  LayerParams<const T> params;
  T *x_hat, *h_hat, *c_hat;  // x_hat is null without save: it is not kept
  T *x_rstd, *h_rstd, *c_rstd;
  T *dstate, *dnormalised, *dc_of_output;
};

template <class T>
LayerNorm<T> layer_norm(const RnnShape& shape, const LayerParams<const T>& params, const NormWorkspace<T>& workspace,
                        int64_t d) {
  LayerNorm<T> norm{};
  norm.cell = &kCellTraits[shape.cell];
  norm.hidden = shape.hidden;
  norm.units = padded_units(shape.hidden);
  norm.params = params;
  norm.h_hat = workspace.h_hat[d];
  norm.c_hat = workspace.c_hat[d];
  norm.dstate = workspace.dstate[d];
  norm.dnormalised = workspace.dnormalised[d];
  norm.dc_of_output = workspace.dc_of_output[d];
  return norm;
}

// With save, and in backward.
template <class T>
void use_reserve(const NormReserve<T>& reserve, int64_t tokens, int64_t entry, LayerNorm<T>& norm) {
  norm.by_token = true;
  norm.x_hat = reserve.x_hat + entry * reserve.product_size;
  norm.h_hat = reserve.h_hat + entry * reserve.product_size;
  norm.x_rstd = reserve.x_rstd + entry * tokens;
  norm.h_rstd = reserve.h_rstd + entry * tokens;
  if (!norm.cell->has_c) return;
  norm.c_hat = reserve.c_hat + entry * reserve.c_size;
  norm.c_rstd = reserve.c_rstd + entry * tokens;
}

// values [N, S, Hp] of rows [begin, end) <- norm_ih LN(W x) + b, where W x is in x_hat, or in the same slots of values
// if x_hat is null. b is b_ih, and b_hh too where a gate's sums have one slot.
template <class T>
void normalise_input(const LayerNorm<T>& norm, int64_t begin, int64_t end, T* values) {
  const CellTraits& cell = *norm.cell;
  NormRows<T> rows{};
  rows.rows = end - begin;
  rows.units = norm.hidden;
  rows.groups = cell.gates;
  for (int g = 0; g < cell.gates; ++g) {
    NormGroup<T>& group = rows.group[g];
    group.sum = cell.input_slot.of[g] * norm.units;
    group.hat = norm.x_hat == nullptr ? group.sum : g * norm.units;
    group.gain = norm.params.norm_ih + g * norm.hidden;
    if (norm.params.b_ih == nullptr) continue;
    group.bias = norm.params.b_ih + g * norm.hidden;
    if (g < cell.joint_gates) group.bias2 = norm.params.b_hh + g * norm.hidden;
  }
  rows.sums_ld = cell.slots * norm.units;
  rows.hat = norm.x_hat == nullptr ? values : norm.x_hat;
  rows.hat_ld = norm.x_hat == nullptr ? rows.sums_ld : cell.gates * norm.units;
  rows.hat_rows.first = rows.sum_rows.first = begin;
  rows.rstd = norm.x_rstd;
  rows.sums = values;
  row_kernel<T>().normalise(rows);
}

// The sums of `count` rows of values += norm_hh LN(U h); where U h has a slot of its own, the sum is that and b_hh.
template <class T>
void normalise_state(const LayerNorm<T>& norm, const RowIndex& hat_rows, const RowIndex& now, int64_t count,
                     T* values) {
  const CellTraits& cell = *norm.cell;
  NormRows<T> rows{};
  rows.rows = count;
  rows.units = norm.hidden;
  rows.groups = cell.gates;
  for (int g = 0; g < cell.gates; ++g) {
    NormGroup<T>& group = rows.group[g];
    group.hat = g * norm.units;
    group.sum = cell.state_slot.of[g] * norm.units;
    group.adds = g < cell.joint_gates;
    group.gain = norm.params.norm_hh + g * norm.hidden;
    if (!group.adds && norm.params.b_hh != nullptr) group.bias = norm.params.b_hh + g * norm.hidden;
  }
  rows.hat = norm.h_hat;
  rows.hat_ld = cell.gates * norm.units;
  rows.hat_rows = hat_rows;
  rows.rstd = norm.h_rstd;
  rows.sums = values;
  rows.sums_ld = cell.slots * norm.units;
  rows.sum_rows = now;
  row_kernel<T>().normalise(rows);
}

// c_hat <- LN(c_hat).
template <class T>
void normalise_c(const LayerNorm<T>& norm, const RowIndex& hat_rows, int64_t count) {
  NormRows<T> rows{};
  rows.rows = count;
  rows.units = norm.hidden;
  rows.groups = 1;
  rows.hat = norm.c_hat;
  rows.hat_ld = norm.units;
  rows.hat_rows = hat_rows;
  rows.rstd = norm.c_rstd;
  row_kernel<T>().normalise(rows);
}

// dc_of_output <- the gradient of c' from that of its normalisation.
template <class T>
void back_through_c(const LayerNorm<T>& norm, const RowIndex& now, const RowIndex& ranks, int64_t count) {
  NormGradientRows<T> rows{};
  rows.rows = count;
  rows.units = norm.hidden;
  rows.groups = 1;
  rows.group[0].gain = norm.params.norm_c;
  rows.now = now;
  rows.hat = norm.c_hat;
  rows.rstd = norm.c_rstd;
  rows.gradients = norm.dnormalised;
  rows.out = norm.dc_of_output;
  rows.out_rows = ranks;
  rows.hat_ld = rows.gradients_ld = rows.out_ld = norm.units;
  row_kernel<T>().normalise_backward(rows);
}

// What the gradients of both products have in common: those of the sums are in the slots of `gradients`.
template <class T>
NormGradientRows<T> product_gradient(const LayerNorm<T>& norm, const PerGate& slots, const T* gains, const T* gradients,
                                     int64_t count) {
  NormGradientRows<T> rows{};
  rows.rows = count;
  rows.units = norm.hidden;
  rows.groups = norm.cell->gates;
  for (int g = 0; g < rows.groups; ++g)
    rows.group[g] = {g * norm.units, slots.of[g] * norm.units, g * norm.units, gains + g * norm.hidden};
  rows.hat_ld = norm.cell->gates * norm.units;
  rows.gradients = gradients;
  rows.gradients_ld = norm.cell->slots * norm.units;
  return rows;
}

template <class T>
void round_groups(const NormGradientRows<T>& rows, Rounding<T> round) {
  for (int g = 0; g < rows.groups && round != nullptr; ++g)
    round_rows(round, rows.units, rows.out + rows.group[g].out, rows.out_ld, rows.out_rows, rows.rows);
}

// dstate of `count` rows <- the gradient of U h.
template <class T>
void back_through_state(const LayerNorm<T>& norm, const T* gradients, const RowIndex& now, int64_t count,
                        Rounding<T> round) {
  NormGradientRows<T> rows = product_gradient(norm, norm.cell->state_slot, norm.params.norm_hh, gradients, count);
  rows.now = rows.out_rows = now;
  rows.hat = norm.h_hat;
  rows.rstd = norm.h_rstd;
  rows.out = norm.dstate;
  rows.out_ld = rows.hat_ld;
  row_kernel<T>().normalise_backward(rows);
  round_groups(rows, round);
}

// gradients of rows [begin, end) <- the gradient of W x in the place of those of the sums.
template <class T>
void back_through_input(const LayerNorm<T>& norm, int64_t begin, int64_t end, T* gradients, Rounding<T> round) {
  NormGradientRows<T> rows = product_gradient(norm, norm.cell->input_slot, norm.params.norm_ih, gradients, end - begin);
  for (int g = 0; g < rows.groups; ++g) rows.group[g].out = rows.group[g].gradient;
  rows.now.first = rows.out_rows.first = begin;
  rows.hat = norm.x_hat;
  rows.rstd = norm.x_rstd;
  rows.out = gradients;
  rows.out_ld = rows.gradients_ld;
  row_kernel<T>().normalise_backward(rows);
  round_groups(rows, round);
}

}  // namespace varlstm::host
