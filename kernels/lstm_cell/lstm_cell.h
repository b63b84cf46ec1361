// One unit of an LSTM (Hochreiter & Schmidhuber 1997, forget gate of Gers et al. 2000), forward and backward.
//
//   forward   i, f, o = sigmoid, g = tanh of the pre-activations;  c' = f * c + i * g;  h' = o * tanh(c')
//   backward  dc' = dc + dh * o * (1 - tanh(c')^2);  d_o = dh * tanh(c'), di = dc' * g, df = dc' * c, dg = dc' * i,
//             each times the derivative of its activation;  the step before receives dc' * f
//
// C is float or double. The accurate functions are used: expf and tanhf of the toolkit have an error of at most 2 ulp.
// Mirrored by host/simd/row_kernel_impl.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <math.h>

#include "kernels/arch/device.h"

namespace varlstm::cuda {

// The gates of one unit: activations, pre-activations or their gradients.
template <class C>
struct Gates {
  C i, f, g, o;
};

template <class C>
VARLSTM_DEVICE C sigmoid(C x) {
  return C(1) / (C(1) + exp(-x));
}

template <class C>
VARLSTM_DEVICE Gates<C> activate(const Gates<C>& z) {
  return {sigmoid(z.i), sigmoid(z.f), tanh(z.g), sigmoid(z.o)};
}

template <class C>
VARLSTM_DEVICE C next_cell(const Gates<C>& a, C c) {
  return a.f * c + a.i * a.g;
}

// a: activations; c_before: the cell's state before the step; squashed: tanh of its state after the step; dh, dc: the
// incoming gradients. *dc_before <- the gradient for the step before. Returns the gradients of the pre-activations.
template <class C>
VARLSTM_DEVICE Gates<C> cell_backward(const Gates<C>& a, C c_before, C squashed, C dh, C dc, C* dc_before) {
  const C dcell = dc + dh * a.o * (C(1) - squashed * squashed);
  *dc_before = dcell * a.f;
  return {dcell * a.g * (a.i * (C(1) - a.i)), dcell * c_before * (a.f * (C(1) - a.f)), dcell * a.i * (C(1) - a.g * a.g),
          dh * squashed * (a.o * (C(1) - a.o))};
}

}  // namespace varlstm::cuda
