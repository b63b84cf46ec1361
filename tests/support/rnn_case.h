// One problem of a recurrent network and its results, all in the caller's order: data is ragged (sequence after
// sequence), so that a sequence's part can be cut out and compared without knowing how the library packs it. Of a cell
// without a cell state, all tensors c are empty.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "cells/cells.h"
#include "support/compare.h"
#include "support/context.h"
#include "support/lengths.h"
#include "support/random.h"

namespace varlstm_test {

template <class T>
struct RnnCase {
  RnnOptions options;
  std::vector<int64_t> lengths;
  std::vector<T> params;             // as varlstm_rnn_param_info lists them
  std::vector<T> x;                  // [N, I]
  std::vector<T> h0, c0;             // [L*D, B, R] and [L*D, B, H], or empty: zeros. R is the width of h
  std::vector<uint8_t> resets = {};  // [N], or empty: none
  uint64_t seed = 0;                 // of the masks

  int64_t batch() const { return static_cast<int64_t>(lengths.size()); }
  int64_t tokens() const { return std::accumulate(lengths.begin(), lengths.end(), int64_t{0}); }
  int64_t state_count() const { return options.layers * options.directions() * batch() * options.state(); }
  // Of c0, c_n and their gradients.
  int64_t cell_state_count() const {
    return has_c() ? options.layers * options.directions() * batch() * options.hidden : 0;
  }
  // Of c of every token and its gradient.
  int64_t token_cell_state_count() const {
    return options.cell_states ? tokens() * options.directions() * options.hidden : 0;
  }
  bool has_c() const { return tested_cell(options.cell).has_c; }
  int64_t output_features() const { return options.directions() * options.state(); }
};

template <class T>
struct RnnOutputs {
  std::vector<T> y;         // [N, D*R]
  std::vector<T> h_n, c_n;  // [L*D, B, R] and [L*D, B, H]
  std::vector<T> c = {};    // [N, D*H], with cell_states
};

// Gradients that come in; empty stands for NULL, zeros.
template <class T>
struct RnnUpstream {
  std::vector<T> dy, dh_n, dc_n;
  std::vector<T> dc = {};  // of c of every token
};

template <class T>
struct RnnGradients {
  std::vector<T> dx, dh0, dc0, dparams;
};

// At least this is what errors of a tensor of gradients are relative to. With layer normalisation a gradient may cancel
// to nothing, as that of a single input, whose size LN(W x) does not tell: it then keeps the rounding of its terms.
template <class T>
double least_scale(const RnnOptions& options, const RnnGradients<T>& all) {
  double scale = 0;
  for (const std::vector<T>* one : {&all.dx, &all.dh0, &all.dc0, &all.dparams})
    if (options.layer_norm) scale = std::max(scale, largest(*one));
  return scale;
}

inline int64_t rnn_param_count(const RnnOptions& options) {
  int64_t count = 0;
  for (int64_t layer = 0; layer < options.layers; ++layer) {
    const int64_t in = layer == 0 ? options.input : options.directions() * options.state();
    const TestedCell& cell = tested_cell(options.cell);
    const int64_t columns = in + options.state() + (options.bias ? 2 : 0) + (options.layer_norm ? 2 : 0);
    const int64_t of_c = options.layer_norm && cell.has_c ? 2 : 0;
    count += options.directions() * options.hidden * (cell.gates * columns + options.projection() + of_c);
  }
  return count;
}

// Parameters are uniform with a deviation that keeps the gates away from saturation whatever the sizes.
template <class T>
RnnCase<T> make_rnn_case(const RnnOptions& options, const std::vector<int64_t>& lengths, bool states, Random& random) {
  RnnCase<T> problem{options, lengths, {}, {}, {}, {}};
  const double scale = std::sqrt(2.0 / static_cast<double>(options.hidden + 1));
  problem.params = random.vector<T>(rnn_param_count(options), -scale, scale);
  problem.x = random.vector<T>(problem.tokens() * options.input, -1.5, 1.5);
  if (states) {
    problem.h0 = random.vector<T>(problem.state_count());
    problem.c0 = random.vector<T>(problem.cell_state_count());
  }
  return problem;
}

// Gives each token a reset with this probability.
template <class T>
void add_resets(RnnCase<T>& problem, double probability, Random& random) {
  problem.options.resets = true;
  problem.resets.clear();
  for (int64_t k = 0; k < problem.tokens(); ++k) problem.resets.push_back(random.uniform(0, 1) < probability ? 1 : 0);
}

template <class T>
RnnUpstream<T> make_upstream(const RnnCase<T>& problem, Random& random) {
  return {random.vector<T>(problem.tokens() * problem.output_features()), random.vector<T>(problem.state_count()),
          random.vector<T>(problem.cell_state_count()), random.vector<T>(problem.token_cell_state_count())};
}

template <class To, class From>
std::vector<To> convert(const std::vector<From>& values) {
  return std::vector<To>(values.begin(), values.end());
}

template <class To, class From>
RnnCase<To> convert(const RnnCase<From>& problem) {
  return {problem.options,
          problem.lengths,
          convert<To>(problem.params),
          convert<To>(problem.x),
          convert<To>(problem.h0),
          convert<To>(problem.c0),
          problem.resets,
          problem.seed};
}

template <class To, class From>
RnnUpstream<To> convert(const RnnUpstream<From>& upstream) {
  return {convert<To>(upstream.dy), convert<To>(upstream.dh_n), convert<To>(upstream.dc_n), convert<To>(upstream.dc)};
}

template <class T>
std::string describe(const RnnCase<T>& problem) {
  const RnnOptions& o = problem.options;
  return std::string(tested_cell(o.cell).name) + " I=" + std::to_string(o.input) + " H=" + std::to_string(o.hidden) +
         (o.projection() > 0 ? " P=" + std::to_string(o.projection()) : "") + (o.layer_norm ? " layer_norm" : "") +
         " L=" + std::to_string(o.layers) + " D=" + std::to_string(o.directions()) + (o.bias ? " bias" : " no bias") +
         (problem.h0.empty() ? "" : " h0") + " dropout=" + std::to_string(o.dropout) +
         (o.cell_clip > 0 ? " cell_clip=" + std::to_string(o.cell_clip) : "") +
         (o.projection_clip > 0 ? " projection_clip=" + std::to_string(o.projection_clip) : "") +
         (o.recurrent_dropout > 0 ? " recurrent_dropout=" + std::to_string(o.recurrent_dropout) + " of kind " +
                                        std::to_string(o.recurrent_dropout_kind)
                                  : "") +
         (o.zoneout_h > 0 ? " zoneout_h=" + std::to_string(o.zoneout_h) : "") +
         (o.zoneout_c > 0 ? " zoneout_c=" + std::to_string(o.zoneout_c) : "") + (o.cell_states ? " cell_states" : "") +
         " seed=" + std::to_string(problem.seed) + (o.rows == VARLSTM_ROWS_RAGGED ? " ragged" : "") +
         " recurrence=" + std::to_string(o.recurrence) + " lengths=" + to_string(problem.lengths) +
         (problem.resets.empty()
              ? ""
              : " resets=" + to_string(std::vector<int64_t>(problem.resets.begin(), problem.resets.end())));
}

}  // namespace varlstm_test
