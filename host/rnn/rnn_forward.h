// Forward of the recurrent network: for each layer one product of all tokens with W_ih, then the recurrence.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "host/gemm/row_product.h"
#include "host/ops/dropout.h"
#include "host/rnn/recurrence_forward.h"
#include "host/rnn/rnn_layout.h"
#include "host/rnn/rnn_tuning.h"

namespace varlstm::host {

// The seed of the dropout after layer `layer`.
inline uint64_t layer_seed(uint64_t seed, int64_t layer) {
  return seed + static_cast<uint64_t>(layer);
}

// dst [B, padded width], longest sequence first <- src [B, width] in the caller's order, or zeros if src is null.
template <class T>
void load_state(const BatchPlan& plan, int64_t width, const T* src, T* dst) {
  const int64_t units = padded_units(width);
  for (int64_t j = 0; j < plan.batch; ++j)
    for (int64_t u = 0; u < units; ++u)
      dst[j * units + u] = src != nullptr && u < width ? src[plan.sorted_indices[j] * width + u] : T(0);
}

// dst [B, width] in the caller's order <- row_of(j), the elements of the j-th longest sequence.
template <class T, class RowOf>
void store_state(const BatchPlan& plan, int64_t width, const RowOf& row_of, T* dst) {
  for (int64_t j = 0; j < plan.batch; ++j) {
    const T* const row = row_of(j);
    for (int64_t u = 0; u < width; ++u) dst[plan.sorted_indices[j] * width + u] = row[u];
  }
}

// The row of the last token that a direction visits in the j-th longest sequence, which has `length` tokens.
inline int64_t final_row(const BatchPlan& plan, RowOrder order, bool reverse, int64_t j, int64_t length) {
  return row_of(plan, order, reverse ? 0 : length - 1, j);
}

template <class T>
class RnnForward {
 public:
  RnnForward(int64_t threads, const RnnForwardArgs& args)
      : threads_(threads),
        args_(args),
        shape_(args.shape),
        plan_(*args.batch),
        cell_(kCellTraits[shape_.cell]),
        units_(padded_units(shape_.hidden)),
        state_(state_width(shape_)),
        state_units_(padded_units(state_)),
        round_(rounding_to<T>(shape_.dtype)),
        workspace_carver_(args.workspace),
        reserve_carver_(args.reserve),
        workspace_(shape_, {plan_.batch, plan_.tokens}, args.save, workspace_carver_),
        reserve_(shape_, {plan_.batch, plan_.tokens}, reserve_carver_) {}

  void run() {
    if (args_.save) *reserve_.header = {kReserveMagic, reserve_hash(shape_, plan_), args_.dropout_seed};
    const T* input = static_cast<const T*>(args_.x);
    for (int64_t layer = 0; layer < shape_.layers; ++layer) {
      T* const output = layer + 1 == shape_.layers ? static_cast<T*>(args_.y)
                        : args_.save               ? reserve_.y + layer * reserve_.y_size
                                                   : workspace_.y[layer % 2];
      run_layer(layer, input, output);
      input = output;
      if (layer + 1 < shape_.layers && shape_.dropout > 0 && args_.dropout_seed != 0) {
        const int64_t width = shape_.directions * state_;
        dropout(threads_, plan_.tokens * width, shape_.dropout, layer_seed(args_.dropout_seed, layer), output,
                workspace_.dropped);
        if (round_ != nullptr) round_(plan_.tokens, width, workspace_.dropped, width);
        input = workspace_.dropped;
      }
    }
  }

 private:
  void run_layer(int64_t layer, const T* input, T* output) {
    RecurrenceForward<T> recurrences[kMaxDirections];
    const RecurrenceSplit split = recurrence_split(threads_, shape_, plan_, sizeof(T));
    for (int64_t d = 0; d < shape_.directions; ++d) {
      recurrences[d] = prepare(layer, d, output, split.by_sequence);
      project_input(layer, d, input, recurrences[d].values);
    }
    run_teams(split.threads, shape_.directions,
              [&](int64_t d, const Member& member) { recurrence_forward(recurrences[d], member); });
    for (int64_t d = 0; d < shape_.directions; ++d) store_final_states(layer, d, output, recurrences[d]);
  }

  RecurrenceForward<T> prepare(int64_t layer, int64_t d, T* output, bool by_sequence) {
    const int64_t entry = layer * shape_.directions + d;
    const int64_t h_offset = entry * plan_.batch * state_, c_offset = entry * plan_.batch * shape_.hidden;
    const T* const h0 = static_cast<const T*>(args_.h0);
    const T* const c0 = static_cast<const T*>(args_.c0);
    if (cell_.has_c) load_state(plan_, shape_.hidden, c0 == nullptr ? c0 : c0 + c_offset, workspace_.c_init[d]);
    if (h0 != nullptr) load_state(plan_, state_, h0 + h_offset, workspace_.h_init[d]);
    RecurrenceForward<T> r{};
    r.plan = &plan_;
    r.cell = shape_.cell;
    r.row_order = shape_.row_order;
    r.reverse = d == 1;
    r.by_sequence = by_sequence;
    r.hidden = shape_.hidden;
    r.units = units_;
    r.state = state_;
    r.state_units = state_units_;
    const LayerParams<const T> params = layer_params(shape_, static_cast<const T*>(args_.params), layer, d);
    r.w_hh = params.w_hh;
    r.b_hh = params.b_hh;
    r.panels = workspace_.panels[d];
    r.values = args_.save ? reserve_.values + entry * reserve_.values_size : workspace_.values[d];
    r.h_init = h0 == nullptr ? nullptr : workspace_.h_init[d];
    r.c_init = workspace_.c_init[d];
    if (cell_.has_c) r.c = args_.save ? reserve_.c + entry * reserve_.c_size : workspace_.c[d];
    r.c_by_token = args_.save;
    r.y = output + d * state_;
    r.ldy = shape_.directions * state_;
    if (shape_.projection > 0) {
      r.w_hr = params.w_hr;
      r.w_hr_panels = workspace_.w_hr_panels[d];
      r.unprojected = args_.save ? reserve_.unprojected + entry * reserve_.c_size : workspace_.unprojected[d];
      r.projected = workspace_.projected[d];
    }
    r.round = round_;
    return r;
  }

  // values [N, S, Hp] <- input W_ih^T + b_ih + b_hh, without b_hh where a gate has two slots.
  void project_input(int64_t layer, int64_t d, const T* input, T* values) {
    const LayerParams<const T> params = layer_params(shape_, static_cast<const T*>(args_.params), layer, d);
    RowProduct<T> product;
    product.rows = plan_.tokens;
    product.columns = shape_.hidden;
    product.groups = cell_.gates;
    product.group_slots = cell_.input_slot.of;
    product.group_stride = units_;
    product.segment = layer_input(shape_, layer);
    product.a = input;
    product.lda = product.segment;
    product.weight = params.w_ih;
    product.transposed_weight = true;
    product.bias = params.b_ih;
    product.bias2 = params.b_hh;
    product.bias2_groups = cell_.joint_gates;
    product.c = values;
    product.ldc = cell_.slots * units_;
    row_product(threads_, product);
  }

  void store_final_states(int64_t layer, int64_t d, const T* output, const RecurrenceForward<T>& r) {
    const int64_t sequences = (layer * shape_.directions + d) * plan_.batch;
    const auto length = [&](int64_t j) { return plan_.lengths[plan_.sorted_indices[j]]; };
    if (args_.h_n != nullptr) {
      if (r.h_init == nullptr) load_state<T>(plan_, state_, nullptr, workspace_.h_init[d]);
      store_state(
          plan_, state_,
          [&](int64_t j) -> const T* {
            if (length(j) == 0) return workspace_.h_init[d] + j * state_units_;
            return output + d * state_ + final_row(plan_, r.row_order, r.reverse, j, length(j)) * r.ldy;
          },
          static_cast<T*>(args_.h_n) + sequences * state_);
    }
    if (args_.c_n != nullptr)
      store_state(
          plan_, shape_.hidden,
          [&](int64_t j) -> const T* {
            if (length(j) == 0) return r.c_init + j * units_;
            return r.c + (r.c_by_token ? final_row(plan_, r.row_order, r.reverse, j, length(j)) : j) * units_;
          },
          static_cast<T*>(args_.c_n) + sequences * shape_.hidden);
  }

  const int64_t threads_;
  const RnnForwardArgs& args_;
  const RnnShape& shape_;
  const BatchPlan& plan_;
  const CellTraits& cell_;
  const int64_t units_;        // Hp
  const int64_t state_;        // R
  const int64_t state_units_;  // Rp
  const Rounding<T> round_;
  Carver workspace_carver_;
  Carver reserve_carver_;
  ForwardWorkspace<T> workspace_;
  Reserve<T> reserve_;
};

}  // namespace varlstm::host
