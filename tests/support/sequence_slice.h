// One sequence, or all of them in another order, cut out of an RnnCase and its results.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "support/rnn_case.h"

namespace varlstm_test {

// Rows of the sequences `order` of ragged data, in that order.
template <class T>
std::vector<T> select_rows(const std::vector<int64_t>& lengths, int64_t features, const std::vector<T>& ragged,
                           const std::vector<int64_t>& order) {
  if (ragged.empty()) return {};
  std::vector<int64_t> start(lengths.size() + 1, 0);
  std::partial_sum(lengths.begin(), lengths.end(), start.begin() + 1);
  std::vector<T> selected;
  for (const int64_t b : order) {
    selected.insert(selected.end(), ragged.begin() + start[b] * features, ragged.begin() + start[b + 1] * features);
  }
  return selected;
}

// The sequences `order` of states [L*D, B, width].
template <class T>
std::vector<T> select_states(int64_t batch, int64_t width, const std::vector<T>& states,
                             const std::vector<int64_t>& order) {
  std::vector<T> selected;
  if (states.empty()) return selected;
  for (size_t block = 0; block < states.size(); block += static_cast<size_t>(batch * width)) {
    for (const int64_t b : order) {
      const auto first = states.begin() + static_cast<int64_t>(block) + b * width;
      selected.insert(selected.end(), first, first + width);
    }
  }
  return selected;
}

template <class T>
RnnCase<T> select(const RnnCase<T>& p, const std::vector<int64_t>& order) {
  RnnCase<T> selected{p.options, {}, p.params, {}, {}, {}};
  for (const int64_t b : order) selected.lengths.push_back(p.lengths[b]);
  selected.resets = select_rows(p.lengths, 1, p.resets, order);
  selected.x = select_rows(p.lengths, p.options.input, p.x, order);
  selected.h0 = select_states(p.batch(), p.options.state(), p.h0, order);
  selected.c0 = select_states(p.batch(), p.options.hidden, p.c0, order);
  return selected;
}

template <class T>
RnnUpstream<T> select(const RnnCase<T>& p, const RnnUpstream<T>& upstream, const std::vector<int64_t>& order) {
  return {select_rows(p.lengths, p.output_features(), upstream.dy, order),
          select_states(p.batch(), p.options.state(), upstream.dh_n, order),
          select_states(p.batch(), p.options.hidden, upstream.dc_n, order)};
}

template <class T>
RnnOutputs<T> select(const RnnCase<T>& p, const RnnOutputs<T>& outputs, const std::vector<int64_t>& order) {
  return {select_rows(p.lengths, p.output_features(), outputs.y, order),
          select_states(p.batch(), p.options.state(), outputs.h_n, order),
          select_states(p.batch(), p.options.hidden, outputs.c_n, order)};
}

// dparams belongs to no sequence and is left empty.
template <class T>
RnnGradients<T> select(const RnnCase<T>& p, const RnnGradients<T>& gradients, const std::vector<int64_t>& order) {
  return {select_rows(p.lengths, p.options.input, gradients.dx, order),
          select_states(p.batch(), p.options.state(), gradients.dh0, order),
          select_states(p.batch(), p.options.hidden, gradients.dc0, order),
          {}};
}

}  // namespace varlstm_test
