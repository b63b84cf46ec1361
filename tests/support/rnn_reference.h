// A second, independent LSTM: sequence by sequence, step by step, written from the formulas in varlstm.h alone.
// No packing, no batching, no dropout; slow, and meant to be read. For the 16-bit dtypes it rounds what the library
// says it stores: h, the gates' gradients, and the gradient of a layer's input after each direction. For TF32 it rounds
// what products multiply, and nothing else.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "support/rnn_case.h"

namespace varlstm_test {

// Parameters of one layer and direction; biases null where the rnn has none. Also the shape of their gradients.
template <class T>
struct RnnWeights {
  T* w_ih;  // [4H, in]
  T* w_hh;  // [4H, H]
  T* b_ih;  // [4H]
  T* b_hh;  // [4H]
};

// `flat`: the buffer that varlstm_rnn_param_info describes.
template <class T>
RnnWeights<T> rnn_weights(const RnnOptions& options, T* flat, int64_t layer, int64_t direction) {
  const int64_t gates = 4 * options.hidden;
  for (int64_t l = 0;; ++l) {
    const int64_t in = l == 0 ? options.input : options.directions() * options.hidden;
    for (int64_t d = 0; d < options.directions(); ++d) {
      RnnWeights<T> weights{flat, flat + gates * in, nullptr, nullptr};
      flat += gates * (in + options.hidden);
      if (options.bias) {
        weights.b_ih = flat;
        weights.b_hh = flat + gates;
        flat += 2 * gates;
      }
      if (l == layer && d == direction) return weights;
    }
  }
}

// What one step computed, H each.
template <class T>
struct LstmStep {
  std::vector<T> i, f, g, o, c, h;
};

template <class T>
T sigmoid(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

template <class T>
LstmStep<T> lstm_step(const RnnWeights<const T>& w, int64_t in, int64_t hidden, const T* x, const T* h, const T* c) {
  const auto gate = [&](int64_t row) {
    T sum = w.b_ih == nullptr ? T(0) : w.b_ih[row] + w.b_hh[row];
    for (int64_t k = 0; k < in; ++k) sum += w.w_ih[row * in + k] * x[k];
    for (int64_t k = 0; k < hidden; ++k) sum += w.w_hh[row * hidden + k] * h[k];
    return sum;
  };
  LstmStep<T> step;
  for (int64_t u = 0; u < hidden; ++u) {
    step.i.push_back(sigmoid(gate(u)));
    step.f.push_back(sigmoid(gate(hidden + u)));
    step.g.push_back(std::tanh(gate(2 * hidden + u)));
    step.o.push_back(sigmoid(gate(3 * hidden + u)));
    step.c.push_back(step.f[u] * c[u] + step.i[u] * step.g[u]);
    step.h.push_back(step.o[u] * std::tanh(step.c[u]));
  }
  return step;
}

// Runs a whole LSTM and keeps every step, so that backward can follow.
template <class T>
class RnnReference {
 public:
  using Round = std::function<T(T)>;
  static T exact(T value) { return value; }

  // round: of what is stored; operand: of what products multiply.
  explicit RnnReference(const RnnCase<T>& problem, const Round& round = exact, const Round& operand = exact)
      : p_(problem), o_(problem.options), round_(round), operand_(operand), params_(problem.params) {
    start_.assign(p_.lengths.size() + 1, 0);
    std::partial_sum(p_.lengths.begin(), p_.lengths.end(), start_.begin() + 1);
    for (int64_t layer = 0; layer < o_.layers; ++layer) {
      for (int64_t d = 0; d < o_.directions(); ++d) {
        T* matrices = rnn_weights<T>(o_, params_.data(), layer, d).w_ih;
        std::transform(matrices, matrices + 4 * o_.hidden * (in_size(layer) + o_.hidden), matrices, operand_);
      }
    }
  }

  RnnOutputs<T> forward() {
    RnnOutputs<T> out;
    out.h_n.resize(p_.state_count());
    out.c_n.resize(p_.state_count());
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
    grads.dc0.assign(p_.state_count(), T(0));
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
  std::vector<T> initial(const std::vector<T>& state, int64_t at) const {
    if (state.empty()) return std::vector<T>(o_.hidden, T(0));
    return std::vector<T>(state.begin() + at, state.begin() + at + o_.hidden);
  }

  void run_sequence(int64_t layer, int64_t d, int64_t b, std::vector<T>* y, RnnOutputs<T>* out) {
    const RnnWeights<const T> w = rnn_weights<const T>(o_, params_.data(), layer, d);
    const int64_t at = state_at(layer, d, b);
    std::vector<T> h = initial(p_.h0, at), c = initial(p_.c0, at);
    std::vector<LstmStep<T>> steps;
    for (int64_t k = 0; k < p_.lengths[b]; ++k) {
      const int64_t row = row_of(d, b, k);
      const std::vector<T> x = operands(inputs_[layer].data() + row * in_size(layer), in_size(layer));
      const std::vector<T> h_before = operands(h.data(), o_.hidden);
      steps.push_back(lstm_step(w, in_size(layer), o_.hidden, x.data(), h_before.data(), c.data()));
      for (T& value : steps.back().h) value = round_(value);
      h = steps.back().h;
      c = steps.back().c;
      std::copy(h.begin(), h.end(), y->begin() + row * p_.output_features() + d * o_.hidden);
    }
    std::copy(h.begin(), h.end(), out->h_n.begin() + at);
    std::copy(c.begin(), c.end(), out->c_n.begin() + at);
    steps_.push_back(steps);
  }

  void back_sequence(int64_t layer, int64_t d, int64_t b, const RnnUpstream<T>& upstream, const std::vector<T>& dy,
                     std::vector<T>* din, RnnGradients<T>* grads) {
    const RnnWeights<const T> w = rnn_weights<const T>(o_, params_.data(), layer, d);
    const RnnWeights<T> dw = rnn_weights<T>(o_, grads->dparams.data(), layer, d);
    const int64_t hidden = o_.hidden, in = in_size(layer), at = state_at(layer, d, b);
    const auto& steps = steps_[(layer * o_.directions() + d) * p_.batch() + b];
    std::vector<T> dh = initial(upstream.dh_n, at), dc = initial(upstream.dc_n, at);
    for (int64_t k = p_.lengths[b] - 1; k >= 0; --k) {
      const int64_t row = row_of(d, b, k);
      const std::vector<T> h_before = operands(k == 0 ? initial(p_.h0, at).data() : steps[k - 1].h.data(), hidden);
      const std::vector<T> c_before = k == 0 ? initial(p_.c0, at) : steps[k - 1].c;
      const std::vector<T> x = operands(inputs_[layer].data() + row * in, in);
      T* dx = din->data() + row * in;
      std::vector<T> dh_before(hidden, T(0));
      for (int64_t u = 0; u < hidden; ++u) {
        const T i = steps[k].i[u], f = steps[k].f[u], g = steps[k].g[u], o = steps[k].o[u];
        const T tanh_c = std::tanh(steps[k].c[u]);
        const T dh_u = dh[u] + dy[row * p_.output_features() + d * hidden + u];
        const T dc_u = dc[u] + dh_u * o * (T(1) - tanh_c * tanh_c);
        T dgates[4] = {dc_u * g * i * (T(1) - i), dc_u * c_before[u] * f * (T(1) - f), dc_u * i * (T(1) - g * g),
                       dh_u * tanh_c * o * (T(1) - o)};
        for (int64_t q = 0; q < 4; ++q) {
          const int64_t r = q * hidden + u;
          dgates[q] = round_(dgates[q]);
          const T factor = operand_(dgates[q]);
          for (int64_t j = 0; j < in; ++j) dx[j] += factor * w.w_ih[r * in + j];
          for (int64_t j = 0; j < in; ++j) dw.w_ih[r * in + j] += factor * x[j];
          for (int64_t j = 0; j < hidden; ++j) dh_before[j] += factor * w.w_hh[r * hidden + j];
          for (int64_t j = 0; j < hidden; ++j) dw.w_hh[r * hidden + j] += factor * h_before[j];
          if (dw.b_ih != nullptr) dw.b_ih[r] += dgates[q];
          if (dw.b_hh != nullptr) dw.b_hh[r] += dgates[q];
        }
        dc[u] = dc_u * f;
      }
      dh = dh_before;
    }
    std::copy(dh.begin(), dh.end(), grads->dh0.begin() + at);
    std::copy(dc.begin(), dc.end(), grads->dc0.begin() + at);
  }

  const RnnCase<T>& p_;
  const RnnOptions& o_;
  Round round_, operand_;
  std::vector<T> params_;                        // matrices rounded to operands
  std::vector<int64_t> start_;                   // first ragged row of each sequence
  std::vector<std::vector<T>> inputs_;           // inputs_[l]: what layer l reads; the last one is y
  std::vector<std::vector<LstmStep<T>>> steps_;  // by layer, direction, sequence
};

}  // namespace varlstm_test
