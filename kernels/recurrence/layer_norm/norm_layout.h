// The device memory of layer normalisation, beside that of rnn_layout.h, and the parameters of a direction. It has no
// device code.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/recurrence/rnn_layout.h"

namespace varlstm::cuda {

// The parameters of one direction that act around the products. Those of c are null if the cell has none, the biases if
// there are none.
template <class T>
struct NormParameters {
  const T *gain_x, *gain_h;  // [GH] norm_ih, norm_hh
  const T *gain_c, *bias_c;  // [H] norm_c, norm_c_bias
  const T *b_ih, *b_hh;      // [GH]
};

template <class T>
NormParameters<T> norm_parameters(const RnnShape& shape, const T* params, int64_t layer, int64_t d) {
  const LayerOffsets at = layer_offsets(shape, layer, d);
  const auto or_null = [&](int64_t offset) { return offset < 0 ? nullptr : params + offset; };
  return {params + at.norm_ih,     params + at.norm_hh, or_null(at.norm_c),
          or_null(at.norm_c_bias), or_null(at.b_ih),    or_null(at.b_hh)};
}

// Normalised vectors of one direction: W x by row; U h and c' by row with save, else by rank. Those of c are null if
// the cell has none. rstd is 1 / sqrt(variance + epsilon) of each, null without save.
template <class C>
struct NormValues {
  C *x_hat, *h_hat;             // [., G, H]
  C* c_hat;                     // [., H]
  C *x_rstd, *h_rstd, *c_rstd;  // [N]
};

inline int64_t gate_values(const RnnShape& shape) {
  return cell_facts(shape.cell).gates * shape.hidden;
}

// What forward saves of each layer and direction, after the Reserve. It takes nothing without layer normalisation.
template <class C>
struct NormReserve {
  int64_t product_size, c_size, rows;  // elements of one entry
  NormValues<C> values{};              // [L, D] of each

  NormReserve(const RnnShape& shape, const RnnRows& of_batch, Carver& carver)
      : product_size(of_batch.tokens * gate_values(shape)),
        c_size(of_batch.tokens * shape.hidden),
        rows(of_batch.tokens) {
    if (!shape.layer_norm) return;
    const int64_t entries = shape.layers * shape.directions;
    values.x_hat = carver.take<C>(product_size * entries), values.h_hat = carver.take<C>(product_size * entries);
    values.x_rstd = carver.take<C>(rows * entries), values.h_rstd = carver.take<C>(rows * entries);
    if (!cell_facts(shape.cell).has_c) return;
    values.c_hat = carver.take<C>(c_size * entries);
    values.c_rstd = carver.take<C>(rows * entries);
  }

  NormValues<C> of(int64_t entry) const {
    NormValues<C> r = values;
    r.x_hat += entry * product_size, r.h_hat += entry * product_size;
    r.x_rstd += entry * rows, r.h_rstd += entry * rows;
    if (r.c_hat != nullptr) r.c_hat += entry * c_size, r.c_rstd += entry * rows;
    return r;
  }
};

// Takes the vectors of one direction that are not saved. `ranks`: of the steps.
template <class C>
NormValues<C> take_norm_values(const RnnShape& shape, int64_t rows, int64_t ranks, Carver& carver) {
  NormValues<C> values{};
  values.x_hat = carver.take<C>(rows * gate_values(shape));
  values.h_hat = carver.take<C>(ranks * gate_values(shape));
  if (cell_facts(shape.cell).has_c) values.c_hat = carver.take<C>(ranks * shape.hidden);
  return values;
}

template <class C>
struct NormForwardWorkspace {
  NormValues<C> values[kMaxDirections] = {};  // not used with save

  NormForwardWorkspace(const RnnShape& shape, const RnnRows& rows, bool save, Carver& carver) {
    for (int64_t d = 0; d < shape.directions && shape.layer_norm && !save; ++d)
      values[d] = take_norm_values<C>(shape, rows.tokens, rows.segments, carver);
  }
};

// Gradients of one direction. Those of the gates' sums are as a cell stores them, in C; the gradient of U h is in
// DirectionBackward::dgates, in the places of the gates' gradients that flow to the state.
template <class T, class C>
struct NormGradients {
  C* dsums;        // [N, G', H]
  C* dnormalised;  // [N, H] of the normalised c'; null if the cell has no c
  C* dh;           // [., H] by rank: of h in the current step, or of what is projected
  T* dproduct;     // [N, G, H] of W x
};

template <class T, class C>
struct NormBackwardWorkspace {
  NormGradients<T, C> gradients[kMaxDirections] = {};

  NormBackwardWorkspace(const RnnShape& shape, const RnnRows& rows, Carver& carver) {
    const CellFacts cell = cell_facts(shape.cell);
    for (int64_t d = 0; d < shape.directions && shape.layer_norm; ++d) {
      NormGradients<T, C>& r = gradients[d];
      r.dsums = carver.take<C>(rows.tokens * cell.gradients() * shape.hidden);
      if (cell.has_c) r.dnormalised = carver.take<C>(rows.tokens * shape.hidden);
      r.dh = carver.take<C>(rows.segments * shape.hidden);
      r.dproduct = carver.take<T>(rows.tokens * gate_values(shape));
    }
  }
};

}  // namespace varlstm::cuda
