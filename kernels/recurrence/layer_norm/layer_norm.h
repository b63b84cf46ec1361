// The launchers of layer normalisation: the stepwise recurrence with it, its rows of W x, and the step. haste's form,
// as varlstm.h writes it. The cells are the LSTM and the GRU.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"
#include "kernels/recurrence/layer_norm/norm_layout.h"
#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/step/step.h"

namespace varlstm::cuda {

// Rows of C that are normalised in place: values [count, columns] <- (values - mean) * rstd of each row.
template <class C>
struct NormalisedRows {
  int64_t count, columns;
  const int64_t* counted;  // the number of rows that count, in device memory; null: all
  C* values;
  C* rstd;  // [count], or null
};
template <class C>
int32_t normalise_rows(Stream stream, const NormalisedRows<C>& rows);

template <class T, class C>
struct LayerNormForward {
  NormParameters<T> params[kMaxDirections];
  NormValues<C> values[kMaxDirections];  // in: x_hat of every token
};

// Runs all steps: two launches for each, or three if h is projected, and one for h_n and c_n. `gates` of a direction is
// by rank without save, and b_hh is not used.
template <class T, class C>
int32_t layer_norm_forward(Stream stream, Cell cell, const LayerForward<T, C>& layer,
                           const LayerNormForward<T, C>& norm, const LayerOptions<C>& options);

template <class T, class C>
struct LayerNormBackward {
  NormParameters<T> params[kMaxDirections];
  NormValues<C> values[kMaxDirections];  // what forward saved
  NormGradients<T, C> gradients[kMaxDirections];
};

// Runs all steps in reverse: two launches for each, or three if h is projected, and one for dh0 and dc0. Then one for
// each direction makes dproduct.
template <class T, class C>
int32_t layer_norm_backward(Stream stream, Cell cell, const LayerBackward<T, C>& layer,
                            const LayerNormBackward<T, C>& norm, const LayerOptions<C>& options);

// Sums over the rows of gradients [count, ld], of which `columns` are read: dgain += of gradients * hat, dbias += of
// gradients.
template <class T, class C>
struct GainSums {
  int64_t count, columns;
  const int64_t* counted;  // the number of rows that count, in device memory; null: all
  const C* gradients;
  int64_t ld;
  const C* hat;
  int64_t hat_ld;
  T* dgain;  // [columns]
  T* dbias;  // likewise, or null
};
template <class T, class C>
int32_t add_gain_gradients(Stream stream, const GainSums<T, C>& sums);

// The step of step.h with layer normalisation: two launches. values.x_hat [B, G, H] is normalised already; step.gates
// and step.b_hh are not used.
template <class C>
struct NormStep {
  NormValues<C> values;
  C* gates;  // [B, S, H] scratch
};
template <class T, class C>
int32_t layer_norm_step(Stream stream, Cell cell, const StepLayer<T, C>& step, const NormParameters<T>& params,
                        const NormStep<C>& norm, const LayerOptions<C>& options);

}  // namespace varlstm::cuda
