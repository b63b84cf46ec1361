// The gradients of one layer's biases and of its gains under layer normalisation: sums over the tokens, in the order of
// their rows, of the gradients of the gates' sums. They are taken before those make place for the gradient of W x.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/rnn/layer_norm.h"
#include "host/simd/vector_code.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

// sums[j] += the sum over the tokens of gradients[n, j] * factors[n, j], or of gradients[n, j] if factors is null, for
// at most kNormColumns columns.
inline constexpr int64_t kNormColumns = 64;
template <class T>
void add_column_sums(int64_t tokens, int64_t columns, const T* gradients, int64_t ld, const T* factors,
                     int64_t factors_ld, T* sums) {
  T of_tokens[kNormColumns] = {};
  run_vectorised([&] {
    for (int64_t n = 0; n < tokens; ++n) {
      const T* const gradient = gradients + n * ld;
      if (factors == nullptr) {
        for (int64_t j = 0; j < columns; ++j) of_tokens[j] += gradient[j];
      } else {
        const T* const factor = factors + n * factors_ld;
        for (int64_t j = 0; j < columns; ++j) of_tokens[j] += gradient[j] * factor[j];
      }
    }
  });
  for (int64_t j = 0; j < columns; ++j) sums[j] += of_tokens[j];
}

// Adds to the gradients of b_ih, b_hh, norm_ih, norm_hh, norm_c and norm_c_bias. Each element is summed by one thread.
template <class T>
void norm_parameter_gradients(int64_t threads, int64_t tokens, const LayerNorm<T>& norm, const T* gradients,
                              const LayerParams<T>& dparams) {
  const CellTraits& cell = *norm.cell;
  const int64_t blocks = (norm.hidden + kNormColumns - 1) / kNormColumns;
  const int64_t ld = cell.slots * norm.units, hat_ld = cell.gates * norm.units;
  const int64_t used = tokens * norm.hidden < kThreadedWork ? 1 : threads;
  parallel_for(used, (cell.gates + (cell.has_c ? 1 : 0)) * blocks, [&](int64_t piece) {
    const int64_t gate = piece / blocks, first = piece % blocks * kNormColumns;
    const int64_t left = norm.hidden - first, columns = left < kNormColumns ? left : kNormColumns;
    if (gate == cell.gates) {
      const T* const of_c = norm.dnormalised + first;
      add_column_sums(tokens, columns, of_c, norm.units, norm.c_hat + first, norm.units, dparams.norm_c + first);
      add_column_sums<T>(tokens, columns, of_c, norm.units, nullptr, 0, dparams.norm_c_bias + first);
      return;
    }
    const T* const of_input = gradients + cell.input_slot.of[gate] * norm.units + first;
    const T* const of_state = gradients + cell.state_slot.of[gate] * norm.units + first;
    const int64_t hat = gate * norm.units + first, at = gate * norm.hidden + first;
    add_column_sums(tokens, columns, of_input, ld, norm.x_hat + hat, hat_ld, dparams.norm_ih + at);
    add_column_sums(tokens, columns, of_state, ld, norm.h_hat + hat, hat_ld, dparams.norm_hh + at);
    if (dparams.b_ih == nullptr) return;
    add_column_sums<T>(tokens, columns, of_input, ld, nullptr, 0, dparams.b_ih + at);
    add_column_sums<T>(tokens, columns, of_state, ld, nullptr, 0, dparams.b_hh + at);
  });
}

}  // namespace varlstm::host
