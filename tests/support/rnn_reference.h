// A second, independent recurrent network: sequence by sequence, step by step, with the cells of cells/, which are
// written from their formulas alone. No packing, no batching, no dropout; slow, and meant to be read. For the 16-bit
// dtypes it rounds what the library says it stores: h, the gates' gradients, and the gradient of a layer's input after
// each direction. For TF32 it rounds what products multiply, and nothing else.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "cells/cells.h"
#include "support/rnn_case.h"

namespace varlstm_test {

// `flat`: the buffer that varlstm_rnn_param_info describes, or its gradient.
template <class T>
RnnWeights<T> rnn_weights(const RnnOptions& options, T* flat, int64_t layer, int64_t direction) {
  const int64_t rows = tested_cell(options.cell).gates * options.hidden;
  for (int64_t l = 0;; ++l) {
    const int64_t in = l == 0 ? options.input : options.directions() * options.hidden;
    for (int64_t d = 0; d < options.directions(); ++d) {
      RnnWeights<T> weights{in, options.hidden, flat, flat + rows * in, nullptr, nullptr};
      flat += rows * (in + options.hidden);
      if (options.bias) {
        weights.b_ih = flat;
        weights.b_hh = flat + rows;
        flat += 2 * rows;
      }
      if (l == layer && d == direction) return weights;
    }
  }
}

// Runs a whole network and keeps every step, so that backward can follow.
template <class T>
class RnnReference {
 public:
  using Round = std::function<T(T)>;
  static T exact(T value) { return value; }

  // round: of what is stored; operand: of what products multiply.
  explicit RnnReference(const RnnCase<T>& problem, const Round& round = exact, const Round& operand = exact)
      : p_(problem),
        o_(problem.options),
        cell_(tested_cell(problem.options.cell)),
        rules_(cell_.rules<T>()),
        round_(round),
        operand_(operand),
        params_(problem.params) {
    start_.assign(p_.lengths.size() + 1, 0);
    std::partial_sum(p_.lengths.begin(), p_.lengths.end(), start_.begin() + 1);
    for (int64_t layer = 0; layer < o_.layers; ++layer) {
      for (int64_t d = 0; d < o_.directions(); ++d) {
        T* matrices = rnn_weights<T>(o_, params_.data(), layer, d).w_ih;
        std::transform(matrices, matrices + cell_.gates * o_.hidden * (in_size(layer) + o_.hidden), matrices, operand_);
      }
    }
  }

  RnnOutputs<T> forward() {
    RnnOutputs<T> out;
    out.h_n.resize(p_.state_count());
    out.c_n.resize(p_.cell_state_count());
    inputs_ = {p_.x};
    steps_.clear();
    for (int64_t layer = 0; layer < o_.layers; ++layer) {
      std::vector<T> y(p_.tokens() * p_.output_features());
      for (int64_t d = 0; d < o_.directions(); ++d) {
        for (int64_t b = 0; b < p_.batch(); ++b) run_sequence(layer, d, b, &y, &out);
      }
      inputs_.push_back(y);
    }
    out.y = inputs_.back();
    return out;
  }

  // Back-propagation through time after forward().
  RnnGradients<T> backward(const RnnUpstream<T>& upstream) {
    RnnGradients<T> grads;
    grads.dh0.assign(p_.state_count(), T(0));
    grads.dc0.assign(p_.cell_state_count(), T(0));
    grads.dparams.assign(p_.params.size(), T(0));
    std::vector<T> dy = upstream.dy;
    dy.resize(p_.tokens() * p_.output_features(), T(0));
    for (int64_t layer = o_.layers - 1; layer >= 0; --layer) {
      std::vector<T> din(p_.tokens() * in_size(layer), T(0));
      for (int64_t d = 0; d < o_.directions(); ++d) {
        for (int64_t b = 0; b < p_.batch(); ++b) back_sequence(layer, d, b, upstream, dy, &din, &grads);
        for (T& value : din) value = round_(value);
      }
      dy = din;
    }
    grads.dx = dy;
    return grads;
  }

 private:
  using Step = std::vector<UnitStep<T>>;  // of every unit

  int64_t in_size(int64_t layer) const { return layer == 0 ? o_.input : p_.output_features(); }
  std::vector<T> operands(const T* values, int64_t count) const {
    std::vector<T> rounded(values, values + count);
    std::transform(rounded.begin(), rounded.end(), rounded.begin(), operand_);
    return rounded;
  }
  // First element of sequence b in [L*D, B, H].
  int64_t state_at(int64_t layer, int64_t d, int64_t b) const {
    return ((layer * o_.directions() + d) * p_.batch() + b) * o_.hidden;
  }
  // Ragged row of the k-th step that direction d takes through sequence b.
  int64_t row_of(int64_t d, int64_t b, int64_t k) const { return d == 0 ? start_[b] + k : start_[b + 1] - 1 - k; }
  // The units of sequence and direction `at` in states h and c, each of which may be missing: zeros.
  std::vector<UnitState<T>> units(const std::vector<T>& h, const std::vector<T>& c, int64_t at) const {
    std::vector<UnitState<T>> state(o_.hidden);
    for (int64_t u = 0; u < o_.hidden; ++u) state[u] = {h.empty() ? T(0) : h[at + u], c.empty() ? T(0) : c[at + u]};
    return state;
  }
  void put(const std::vector<UnitState<T>>& state, int64_t at, std::vector<T>* h, std::vector<T>* c) const {
    for (int64_t u = 0; u < o_.hidden; ++u) {
      (*h)[at + u] = state[u].h;
      if (cell_.has_c) (*c)[at + u] = state[u].c;
    }
  }
  // h of every unit as an operand.
  std::vector<T> operands(const std::vector<UnitState<T>>& state) const {
    std::vector<T> h;
    for (const UnitState<T>& unit : state) h.push_back(operand_(unit.h));
    return h;
  }

  void run_sequence(int64_t layer, int64_t d, int64_t b, std::vector<T>* y, RnnOutputs<T>* out) {
    const Layer<T> weights{rnn_weights<const T>(o_, params_.data(), layer, d)};
    const int64_t at = state_at(layer, d, b);
    std::vector<UnitState<T>> state = units(p_.h0, p_.c0, at);
    std::vector<Step> steps;
    for (int64_t k = 0; k < p_.lengths[b]; ++k) {
      const int64_t row = row_of(d, b, k);
      const std::vector<T> x = operands(inputs_[layer].data() + row * in_size(layer), in_size(layer));
      const std::vector<T> h = operands(state);
      Step step;
      for (int64_t u = 0; u < o_.hidden; ++u) {
        step.push_back(rules_.forward(weights, u, x.data(), h.data(), state[u]));
        step[u].state.h = round_(step[u].state.h);
      }
      for (int64_t u = 0; u < o_.hidden; ++u) {
        state[u] = step[u].state;
        (*y)[row * p_.output_features() + d * o_.hidden + u] = state[u].h;
      }
      steps.push_back(step);
    }
    put(state, at, &out->h_n, &out->c_n);
    steps_.push_back(steps);
  }

  void back_sequence(int64_t layer, int64_t d, int64_t b, const RnnUpstream<T>& upstream, const std::vector<T>& dy,
                     std::vector<T>* din, RnnGradients<T>* grads) {
    const RnnWeights<const T> w = rnn_weights<const T>(o_, params_.data(), layer, d);
    const RnnWeights<T> dw = rnn_weights<T>(o_, grads->dparams.data(), layer, d);
    const int64_t hidden = o_.hidden, in = in_size(layer), at = state_at(layer, d, b);
    const std::vector<Step>& steps = steps_[(layer * o_.directions() + d) * p_.batch() + b];
    std::vector<UnitState<T>> gradient = units(upstream.dh_n, upstream.dc_n, at);
    for (int64_t k = p_.lengths[b] - 1; k >= 0; --k) {
      const int64_t row = row_of(d, b, k);
      std::vector<UnitState<T>> before = units(p_.h0, p_.c0, at);
      for (int64_t u = 0; k > 0 && u < hidden; ++u) before[u] = steps[k - 1][u].state;
      const std::vector<T> x = operands(inputs_[layer].data() + row * in, in), h = operands(before);
      T* dx = din->data() + row * in;
      std::vector<UnitState<T>> gradient_before(hidden, {T(0), T(0)});
      for (int64_t u = 0; u < hidden; ++u) {
        gradient[u].h += dy[row * p_.output_features() + d * hidden + u];
        const UnitGradients<T> unit = rules_.backward(steps[k][u], before[u], gradient[u]);
        gradient_before[u].h += unit.before.h;
        gradient_before[u].c = unit.before.c;
        for (int64_t q = 0; q < cell_.gates; ++q) {
          const int64_t r = q * hidden + u;
          const T of_input = round_(unit.of_input[q]), of_state = round_(unit.of_state[q]);
          const T input_factor = operand_(of_input), state_factor = operand_(of_state);
          for (int64_t j = 0; j < in; ++j) dx[j] += input_factor * w.w_ih[r * in + j];
          for (int64_t j = 0; j < in; ++j) dw.w_ih[r * in + j] += input_factor * x[j];
          for (int64_t j = 0; j < hidden; ++j) gradient_before[j].h += state_factor * w.w_hh[r * hidden + j];
          for (int64_t j = 0; j < hidden; ++j) dw.w_hh[r * hidden + j] += state_factor * h[j];
          if (dw.b_ih != nullptr) dw.b_ih[r] += of_input;
          if (dw.b_hh != nullptr) dw.b_hh[r] += of_state;
        }
      }
      gradient = gradient_before;
    }
    put(gradient, at, &grads->dh0, &grads->dc0);
  }

  const RnnCase<T>& p_;
  const RnnOptions& o_;
  const TestedCell& cell_;
  const CellRules<T>& rules_;
  Round round_, operand_;
  std::vector<T> params_;                 // matrices rounded to operands
  std::vector<int64_t> start_;            // first ragged row of each sequence
  std::vector<std::vector<T>> inputs_;    // inputs_[l]: what layer l reads; the last one is y
  std::vector<std::vector<Step>> steps_;  // by layer, direction, sequence
};

}  // namespace varlstm_test
