// A second, independent recurrent network: sequence by sequence, step by step, with the cells of cells/, which are
// written from their formulas alone. No packing, no batching, no dropout between layers; slow, and meant to be
// read. For the 16-bit
// dtypes it rounds what the library says it stores: h, the gates' gradients, and the gradient of a layer's input after
// each direction; with a projection also what is projected, and the gradient of h; with layer normalisation the
// gradients of the products in the place of the gates'. For TF32 it rounds what products
// multiply, and nothing else.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "cells/cells.h"
#include "cells/layer_norm.h"
#include "support/option_mask.h"
#include "support/rnn_case.h"

namespace varlstm_test {

// `flat`: the buffer that varlstm_rnn_param_info describes, or its gradient.
template <class T>
RnnWeights<T> rnn_weights(const RnnOptions& options, T* flat, int64_t layer, int64_t direction) {
  const int64_t rows = tested_cell(options.cell).gates * options.hidden;
  for (int64_t l = 0;; ++l) {
    const int64_t in = l == 0 ? options.input : options.directions() * options.state();
    for (int64_t d = 0; d < options.directions(); ++d) {
      RnnWeights<T> weights{in, options.hidden, options.state(), flat, flat + rows * in, nullptr, nullptr, nullptr};
      flat += rows * (in + options.state());
      if (options.bias) {
        weights.b_ih = flat;
        weights.b_hh = flat + rows;
        flat += 2 * rows;
      }
      if (options.projection() > 0) weights.w_hr = flat;
      flat += options.projection() * options.hidden;
      if (options.layer_norm) {
        weights.norm_ih = flat;
        weights.norm_hh = flat + rows;
        flat += 2 * rows;
      }
      if (options.layer_norm && tested_cell(options.cell).has_c) {
        weights.norm_c = flat;
        weights.norm_c_bias = flat + options.hidden;
        flat += 2 * options.hidden;
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
        const RnnWeights<T> w = rnn_weights<T>(o_, params_.data(), layer, d);
        const int64_t gate_weights = cell_.gates * o_.hidden * (in_size(layer) + o_.state());
        std::transform(w.w_ih, w.w_ih + gate_weights, w.w_ih, operand_);
        weight_factors_.emplace_back(cell_.gates * o_.hidden * o_.state(), T(1));
        for (int64_t k = 0; k < static_cast<int64_t>(weight_factors_.back().size()); ++k) {
          if (!drops(VARLSTM_RECURRENT_DROPOUT_WEIGHTS)) break;
          weight_factors_.back()[k] = factor(kWeightsMask, layer, d, k);
          w.w_hh[k] = operand_(round_(w.w_hh[k] * weight_factors_.back()[k]));
        }
        if (w.w_hr != nullptr) std::transform(w.w_hr, w.w_hr + o_.projection() * o_.hidden, w.w_hr, operand_);
      }
    }
  }

  RnnOutputs<T> forward() {
    RnnOutputs<T> out;
    out.h_n.resize(p_.state_count());
    out.c_n.resize(p_.cell_state_count());
    out.c.resize(p_.token_cell_state_count());
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
  struct Step {
    std::vector<UnitStep<T>> units;
    std::vector<T> second;             // what the second product multiplies, if there is one
    std::vector<T> h;                  // the state after the step: the units' own, or projected
    std::vector<T> c;                  // the same
    std::vector<T> unclipped;          // h before the clip of the projection
    Normalised<T> input, state, of_c;  // W x, U h and c', with layer normalisation
  };

  int64_t in_size(int64_t layer) const { return layer == 0 ? o_.input : p_.output_features(); }
  std::vector<T> operands(const T* values, int64_t count) const {
    std::vector<T> rounded(values, values + count);
    std::transform(rounded.begin(), rounded.end(), rounded.begin(), operand_);
    return rounded;
  }
  // Sequence b in [L*D, B].
  int64_t sequence_at(int64_t layer, int64_t d, int64_t b) const {
    return (layer * o_.directions() + d) * p_.batch() + b;
  }
  // Ragged row of the k-th step that direction d takes through sequence b.
  int64_t row_of(int64_t d, int64_t b, int64_t k) const { return d == 0 ? start_[b] + k : start_[b + 1] - 1 - k; }
  // The `width` elements of sequence and direction `at` in a state, which may be missing: zeros.
  static std::vector<T> part(const std::vector<T>& state, int64_t at, int64_t width) {
    if (state.empty()) return std::vector<T>(width, T(0));
    return std::vector<T>(state.begin() + at * width, state.begin() + (at + 1) * width);
  }
  static void put(const std::vector<T>& part, int64_t at, std::vector<T>* state) {
    if (!state->empty()) std::copy(part.begin(), part.end(), state->begin() + at * static_cast<int64_t>(part.size()));
  }
  // A unit's h and c before a step. With a projection no unit has an h of its own.
  UnitState<T> unit_before(const std::vector<T>& h, const std::vector<T>& c, int64_t u) const {
    return {o_.projection() > 0 ? T(0) : h[u], c[u]};
  }
  // Factors of a mask of inverted dropout, and the part of a state that zoneout takes from before the step.
  bool drops(int32_t kind) const {
    return p_.seed != 0 && o_.recurrent_dropout > 0 && o_.recurrent_dropout_kind == kind;
  }
  T factor(MaskKind kind, int64_t layer, int64_t d, int64_t k) const {
    return is_drawn(p_.seed, kind, layer, d, k, o_.recurrent_dropout) ? T(0) : T(1 / (1 - o_.recurrent_dropout));
  }
  T state_factor(int64_t layer, int64_t d, int64_t b, int64_t j) const {
    return drops(VARLSTM_RECURRENT_DROPOUT_STATE) ? factor(kStateMask, layer, d, b * o_.state() + j) : T(1);
  }
  T from_before(MaskKind kind, double p, int64_t layer, int64_t d, int64_t k) const {
    if (p_.seed == 0) return T(p);
    return p > 0 && is_drawn(p_.seed, kind, layer, d, k, p) ? T(1) : T(0);
  }
  T h_from_before(int64_t layer, int64_t d, int64_t row, int64_t j) const {
    return from_before(kZoneoutHMask, o_.zoneout_h, layer, d, row * o_.state() + j);
  }
  T c_from_before(int64_t layer, int64_t d, int64_t row, int64_t u) const {
    return from_before(kZoneoutCMask, o_.zoneout_c, layer, d, row * o_.hidden + u);
  }
  UnitOptions<T> unit_options(int64_t layer, int64_t d, int64_t row, int64_t u) const {
    UnitOptions<T> options;
    if (drops(VARLSTM_RECURRENT_DROPOUT_CANDIDATE))
      options.candidate = factor(kCandidateMask, layer, d, row * o_.hidden + u);
    if (o_.cell_clip > 0) options.cell_clip = T(o_.cell_clip);
    return options;
  }
  // What the product with U multiplies.
  std::vector<T> recurrent_operands(int64_t layer, int64_t d, int64_t b, std::vector<T> h) const {
    for (int64_t j = 0; j < o_.state() && drops(VARLSTM_RECURRENT_DROPOUT_STATE); ++j)
      h[j] = round_(h[j] * state_factor(layer, d, b, j));
    return operands(h.data(), o_.state());
  }
  // Whether the k-th step of a direction starts from zeros because of a reset.
  bool starts(int64_t d, int64_t b, int64_t k) const {
    if (p_.resets.empty() || (d == 1 && k == 0)) return false;
    return p_.resets[row_of(d, b, d == 0 ? k : k - 1)] == 1;
  }
  // The states before the k-th step.
  void states_before(const std::vector<Step>& steps, int64_t layer, int64_t d, int64_t b, int64_t k, std::vector<T>* h,
                     std::vector<T>* c) const {
    const int64_t at = sequence_at(layer, d, b);
    *h = k > 0 ? steps[k - 1].h : part(p_.h0, at, o_.state());
    *c = k > 0 ? steps[k - 1].c : part(p_.c0, at, o_.hidden);
    if (!starts(d, b, k)) return;
    std::fill(h->begin(), h->end(), T(0));
    std::fill(c->begin(), c->end(), T(0));
  }
  static T mixed(T of_before, T before, T after) {
    return of_before == T(0) ? after : of_before == T(1) ? before : of_before * before + (T(1) - of_before) * after;
  }

  // What the units of a step give out; with layer normalisation of c it is made of the normalised c'.
  static T normalised_c(const RnnWeights<const T>& w, const Step& step, int64_t u) {
    return w.norm_c[u] * step.of_c.hat[u] + w.norm_c_bias[u];
  }
  T unit_output(const RnnWeights<const T>& w, const Step& step, int64_t u) const {
    if (w.norm_c == nullptr) return step.units[u].state.h;
    return rules_.output(step.units[u], normalised_c(w, step, u));
  }

  // That, as an operand of the projection.
  std::vector<T> unprojected(const RnnWeights<const T>& w, const Step& step) const {
    std::vector<T> m;
    for (int64_t u = 0; u < w.hidden; ++u) m.push_back(operand_(round_(unit_output(w, step, u))));
    return m;
  }

  // h of a step before zoneout: what the units give out, or W_hr times that.
  std::vector<T> state_after(const RnnWeights<const T>& w, Step* step) const {
    std::vector<T> h;
    if (w.w_hr == nullptr) {
      for (int64_t u = 0; u < w.hidden; ++u) h.push_back(unit_output(w, *step, u));
      return h;
    }
    const std::vector<T> m = unprojected(w, *step);
    const T limit = o_.projection_clip > 0 ? T(o_.projection_clip) : std::numeric_limits<T>::infinity();
    for (int64_t p = 0; p < w.state; ++p) {
      T sum = 0;
      for (int64_t u = 0; u < w.hidden; ++u) sum += w.w_hr[p * w.hidden + u] * m[u];
      step->unclipped.push_back(sum);
      h.push_back(std::min(std::max(sum, -limit), limit));
    }
    return h;
  }

  // The gradient of what each unit gives out, from dh; adds to dW_hr.
  std::vector<T> back_through_projection(const RnnWeights<const T>& w, const RnnWeights<T>& dw, const Step& step,
                                         const std::vector<T>& dh) const {
    if (w.w_hr == nullptr) return dh;
    const std::vector<T> m = unprojected(w, step);
    std::vector<T> dm(w.hidden, T(0));
    for (int64_t p = 0; p < w.state; ++p) {
      const T factor = operand_(round_(dh[p]));
      for (int64_t u = 0; u < w.hidden; ++u) {
        dm[u] += factor * w.w_hr[p * w.hidden + u];
        dw.w_hr[p * w.hidden + u] += factor * m[u];
      }
    }
    return dm;
  }

  // What the second product gives back, to gates of the first product and to h as it enters that.
  void back_through_second(const RnnWeights<const T>& w, const Step& step, std::vector<UnitGradients<T>>* units,
                           std::vector<T>* through_u) const {
    const int64_t last = cell_.gates - 1;
    for (int64_t j = 0; j < w.hidden; ++j) {
      T gradient = 0;
      for (int64_t u = 0; u < w.hidden; ++u)
        gradient += operand_(round_((*units)[u].of_state[last])) * w.w_hh[(last * w.hidden + u) * w.hidden + j];
      const SecondGradients<T> back = rules_.second_backward(step.units[j], step.second[j], gradient);
      (*units)[j].of_input[back.gate] = (*units)[j].of_state[back.gate] = back.of_gate;
      (*through_u)[j] += back.of_h;
    }
  }

  // Layer normalisation of the products of a step; `input` and `state` keep what the layer then reads.
  void normalise_products(const T* x, const T* h, Step* step, std::vector<T>* input, std::vector<T>* state,
                          Layer<T>* layer) const {
    const RnnWeights<const T>& w = layer->w;
    if (w.norm_ih == nullptr) return;
    for (int64_t row = 0; row < cell_.gates * w.hidden; ++row) {
      input->push_back(layer->add_input(T(0), row, x));
      state->push_back(layer->add_state(T(0), row, h));
    }
    step->input = normalised(*input);
    step->state = normalised(*state);
    *input = times(step->input.hat, w.norm_ih);
    *state = times(step->state.hat, w.norm_hh);
    layer->input = input->data();
    layer->state = state->data();
  }

  void normalise_c(const RnnWeights<const T>& w, Step* step) const {
    if (w.norm_c == nullptr) return;
    std::vector<T> c;
    for (const UnitStep<T>& unit : step->units) c.push_back(unit.state.c);
    step->of_c = normalised(c);
  }

  // From the gradient of what the units give out, dm: what c' gets of it through its normalisation, and the output
  // gate's sum; dm itself is then used up. Adds to the gradients of norm_c and its bias.
  std::vector<OutputGradients<T>> back_through_c(const RnnWeights<const T>& w, const RnnWeights<T>& dw,
                                                 const Step& step, std::vector<T>* dm) const {
    std::vector<OutputGradients<T>> result;
    if (w.norm_c == nullptr) result.assign(w.hidden, {T(0), T(0)});
    if (w.norm_c == nullptr) return result;
    std::vector<T> dhat;
    for (int64_t u = 0; u < w.hidden; ++u) {
      result.push_back(rules_.output_gradients(step.units[u], normalised_c(w, step, u), (*dm)[u]));
      dw.norm_c[u] += result[u].c * step.of_c.hat[u];
      dw.norm_c_bias[u] += result[u].c;
      dhat.push_back(result[u].c * w.norm_c[u]);
      (*dm)[u] = 0;
    }
    const std::vector<T> dc = normalised_gradient(step.of_c, dhat);
    for (int64_t u = 0; u < w.hidden; ++u) result[u].c = dc[u];
    return result;
  }

  // The gradients of a step's gates become those of what products made, as they are stored. Adds to those of the biases
  // and of the gains.
  void back_through_products(const RnnWeights<const T>& w, const RnnWeights<T>& dw, const Step& step,
                             std::vector<UnitGradients<T>>* units) const {
    std::vector<T> input, state;
    for (int64_t q = 0; q < cell_.gates; ++q) {
      for (const UnitGradients<T>& unit : *units) {
        const int64_t r = static_cast<int64_t>(input.size());
        input.push_back(w.norm_ih == nullptr ? round_(unit.of_input[q]) : unit.of_input[q]);
        state.push_back(w.norm_hh == nullptr ? round_(unit.of_state[q]) : unit.of_state[q]);
        if (dw.b_ih != nullptr) dw.b_ih[r] += input[r];
        if (dw.b_hh != nullptr) dw.b_hh[r] += state[r];
        if (w.norm_ih == nullptr) continue;
        dw.norm_ih[r] += input[r] * step.input.hat[r];
        dw.norm_hh[r] += state[r] * step.state.hat[r];
      }
    }
    if (w.norm_ih != nullptr) {
      input = normalised_gradient(step.input, times(input, w.norm_ih));
      state = normalised_gradient(step.state, times(state, w.norm_hh));
      std::transform(input.begin(), input.end(), input.begin(), round_);
      std::transform(state.begin(), state.end(), state.begin(), round_);
    }
    for (int64_t r = 0; r < cell_.gates * w.hidden; ++r) {
      (*units)[r % w.hidden].of_input[r / w.hidden] = input[r];
      (*units)[r % w.hidden].of_state[r / w.hidden] = state[r];
    }
  }

  void run_sequence(int64_t layer, int64_t d, int64_t b, std::vector<T>* y, RnnOutputs<T>* out) {
    Layer<T> weights{rnn_weights<const T>(o_, params_.data(), layer, d)};
    const int64_t at = sequence_at(layer, d, b), length = p_.lengths[b];
    std::vector<T> h, c;
    std::vector<Step> steps;
    for (int64_t k = 0; k < length; ++k) {
      const int64_t row = row_of(d, b, k);
      states_before(steps, layer, d, b, k, &h, &c);
      const std::vector<T> x = operands(inputs_[layer].data() + row * in_size(layer), in_size(layer));
      const std::vector<T> factors = recurrent_operands(layer, d, b, h);
      Step step;
      std::vector<T> input, state;
      weights.input = weights.state = nullptr;
      normalise_products(x.data(), factors.data(), &step, &input, &state, &weights);
      for (int64_t u = 0; u < o_.hidden && rules_.second_of != nullptr; ++u)
        step.second.push_back(operand_(round_(rules_.second_of(weights, u, x.data(), factors.data()))));
      for (int64_t u = 0; u < o_.hidden; ++u) {
        step.units.push_back(rules_.forward(weights, u, x.data(), factors.data(), step.second.data(),
                                            unit_before(h, c, u), unit_options(layer, d, row, u)));
        step.c.push_back(mixed(c_from_before(layer, d, row, u), c[u], step.units[u].state.c));
      }
      normalise_c(weights.w, &step);
      step.h = state_after(weights.w, &step);
      for (int64_t j = 0; j < o_.state(); ++j)
        step.h[j] = round_(mixed(h_from_before(layer, d, row, j), h[j], step.h[j]));
      std::copy(step.h.begin(), step.h.end(), y->begin() + row * p_.output_features() + d * o_.state());
      if (layer + 1 == o_.layers && o_.cell_states)
        std::copy(step.c.begin(), step.c.end(), out->c.begin() + (row * o_.directions() + d) * o_.hidden);
      steps.push_back(step);
    }
    put(length > 0 ? steps.back().h : part(p_.h0, at, o_.state()), at, &out->h_n);
    put(length > 0 ? steps.back().c : part(p_.c0, at, o_.hidden), at, &out->c_n);
    steps_.push_back(steps);
  }

  void back_sequence(int64_t layer, int64_t d, int64_t b, const RnnUpstream<T>& upstream, const std::vector<T>& dy,
                     std::vector<T>* din, RnnGradients<T>* grads) {
    const RnnWeights<const T> w = rnn_weights<const T>(o_, params_.data(), layer, d);
    const RnnWeights<T> dw = rnn_weights<T>(o_, grads->dparams.data(), layer, d);
    const int64_t hidden = o_.hidden, width = o_.state(), in = in_size(layer), at = sequence_at(layer, d, b);
    const std::vector<Step>& steps = steps_[at];
    std::vector<T> dh = part(upstream.dh_n, at, width), dc = part(upstream.dc_n, at, hidden);
    for (int64_t k = p_.lengths[b] - 1; k >= 0; --k) {
      const int64_t row = row_of(d, b, k);
      std::vector<T> h, c, from_before(width, T(0)), through_u(width, T(0));
      states_before(steps, layer, d, b, k, &h, &c);
      const std::vector<T> x = operands(inputs_[layer].data() + row * in, in);
      const std::vector<T> factors = recurrent_operands(layer, d, b, h);
      T* dx = din->data() + row * in;
      for (int64_t j = 0; j < width; ++j) dh[j] += dy[row * p_.output_features() + d * width + j];
      for (int64_t u = 0; u < hidden && layer + 1 == o_.layers && !upstream.dc.empty(); ++u)
        dc[u] += upstream.dc[(row * o_.directions() + d) * hidden + u];
      for (int64_t j = 0; j < width; ++j) {
        from_before[j] = h_from_before(layer, d, row, j) * dh[j];
        dh[j] -= from_before[j];
        if (o_.projection_clip > 0 && w.w_hr != nullptr && std::fabs(steps[k].unclipped[j]) > T(o_.projection_clip))
          dh[j] = 0;
      }
      std::vector<T> dm = back_through_projection(w, dw, steps[k], dh);
      const std::vector<OutputGradients<T>> outputs = back_through_c(w, dw, steps[k], &dm);
      std::vector<UnitGradients<T>> units;
      for (int64_t u = 0; u < hidden; ++u) {
        const T c_before = c_from_before(layer, d, row, u) * dc[u];
        units.push_back(rules_.backward(steps[k].units[u], unit_before(h, c, u),
                                        {dm[u], dc[u] - c_before + outputs[u].c}, unit_options(layer, d, row, u)));
        if (w.norm_c != nullptr)
          units[u].of_input[rules_.output_gate] = units[u].of_state[rules_.output_gate] = outputs[u].of_gate;
        if (w.w_hr == nullptr) from_before[u] += units[u].before.h;
        dc[u] = c_before + units[u].before.c;
      }
      if (rules_.second_of != nullptr) back_through_second(w, steps[k], &units, &through_u);
      back_through_products(w, dw, steps[k], &units);
      for (int64_t u = 0; u < hidden; ++u) {
        const UnitGradients<T>& unit = units[u];
        for (int64_t q = 0; q < cell_.gates; ++q) {
          const int64_t r = q * hidden + u;
          const bool second = takes_second(rules_, q, cell_.gates);
          const T input_factor = operand_(unit.of_input[q]), of_u = operand_(unit.of_state[q]);
          for (int64_t j = 0; j < in; ++j) dx[j] += input_factor * w.w_ih[r * in + j];
          for (int64_t j = 0; j < in; ++j) dw.w_ih[r * in + j] += input_factor * x[j];
          for (int64_t j = 0; j < width && !second; ++j) through_u[j] += of_u * w.w_hh[r * width + j];
          for (int64_t j = 0; j < width; ++j)
            dw.w_hh[r * width + j] += of_u * (second ? steps[k].second[j] : factors[j]) *
                                      weight_factors_[layer * o_.directions() + d][r * width + j];
        }
      }
      for (int64_t j = 0; j < width; ++j) dh[j] = from_before[j] + state_factor(layer, d, b, j) * through_u[j];
      if (!starts(d, b, k)) continue;
      dh.assign(width, T(0));
      dc.assign(hidden, T(0));
    }
    put(dh, at, &grads->dh0);
    put(dc, at, &grads->dc0);
  }

  const RnnCase<T>& p_;
  const RnnOptions& o_;
  const TestedCell& cell_;
  const CellRules<T>& rules_;
  Round round_, operand_;
  std::vector<T> params_;                       // matrices rounded to operands
  std::vector<std::vector<T>> weight_factors_;  // by layer and direction: of U
  std::vector<int64_t> start_;                  // first ragged row of each sequence
  std::vector<std::vector<T>> inputs_;          // inputs_[l]: what layer l reads; the last one is y
  std::vector<std::vector<Step>> steps_;        // by layer, direction, sequence
};

}  // namespace varlstm_test
