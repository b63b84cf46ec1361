// Forward of the recurrent network: for each layer one product of all tokens with W_ih, then the recurrence.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "host/gemm/row_product.h"
#include "host/ops/dropout.h"
#include "host/rnn/layer_norm.h"
#include "host/rnn/prepared_weights.h"
#include "host/rnn/recurrence_forward.h"
#include "host/rnn/rnn_layout.h"
#include "host/rnn/rnn_options.h"
#include "host/rnn/rnn_tuning.h"

namespace varlstm::host {

// The seed of the dropout after layer `layer`.
inline uint64_t layer_seed(uint64_t seed, int64_t layer) {
  return seed + static_cast<uint64_t>(layer);
}

// dst [B, padded width] <- src [B, width], or zeros if src is null, and the row before dst <- zeros.
template <class T>
void load_initial(int64_t batch, int64_t width, const T* src, T* dst) {
  const int64_t units = padded_units(width);
  for (int64_t b = -1; b < batch; ++b)
    for (int64_t u = 0; u < units; ++u)
      dst[b * units + u] = src != nullptr && b >= 0 && u < width ? src[b * width + u] : T(0);
}

// dst [B, width] <- row_of(j), the elements of the segment of rank j, if it gives the state of a sequence.
template <class T, class RowOf>
void store_state(const SegmentSteps& segments, int64_t width, const int64_t* sequences, const RowOf& row_of, T* dst) {
  for (int64_t j = 0; j < segments.count; ++j) {
    if (sequences[j] < 0) continue;
    const T* const row = row_of(j);
    for (int64_t u = 0; u < width; ++u) dst[sequences[j] * width + u] = row[u];
  }
}

// The row of the last token that a direction visits in the sequence whose final state the segment of rank j gives; -1
// if the sequence has no token.
inline int64_t final_row(const BatchPlan& plan, RowOrder order, const SegmentSteps& segments, int64_t j) {
  const int64_t b = segments.final[j], length = plan.lengths[b];
  if (length == 0) return -1;
  const int64_t ragged = plan.cu_seqlens[b] + (segments.reverse ? 0 : length - 1);
  return order == RowOrder::kRagged ? ragged : plan.ragged_to_packed[ragged];
}

template <class T>
class RnnForward {
 public:
  RnnForward(int64_t threads, const RnnForwardArgs& args, const PreparedRnn& prepared)
      : threads_(threads),
        args_(args),
        prepared_(prepared),
        shape_(args.shape),
        plan_(*args.batch),
        cell_(kCellTraits[shape_.cell]),
        units_(padded_units(shape_.hidden)),
        state_(state_width(shape_)),
        state_units_(padded_units(state_)),
        round_(rounding_to<T>(shape_.dtype)),
        workspace_carver_(args.workspace),
        reserve_carver_(args.reserve),
        workspace_(shape_, size_of(plan_), args.save, workspace_carver_),
        option_workspace_(shape_, size_of(plan_), false, workspace_carver_),
        norm_workspace_(shape_, size_of(plan_), args.save, false, workspace_carver_),
        reserve_(shape_, size_of(plan_), reserve_carver_),
        norm_reserve_(shape_, size_of(plan_), reserve_carver_),
        options_(threads, shape_, plan_, args.dropout_seed, option_workspace_) {}

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
    for (int64_t d = 0; d < shape_.directions; ++d) recurrences[d] = prepare(layer, d, output, split.by_segment);
    project_input(layer, input, recurrences);
    const Packing packing = packing_of(recurrences[0], member_of_part(0, split.parts));  // of both directions
    run_recurrence(
        split, shape_.directions, packing.any(),
        [&](int64_t d, const Member& member) { pack_forward(recurrences[d], member, packing); },
        [&](int64_t d, const Member& member) { recurrence_forward(recurrences[d], packing, member); });
    for (int64_t d = 0; d < shape_.directions; ++d) {
      store_final_states(layer, d, output, recurrences[d]);
      if (args_.c != nullptr && layer + 1 == shape_.layers) store_cell_states(d, recurrences[d].c);
    }
  }

  RecurrenceForward<T> prepare(int64_t layer, int64_t d, T* output, bool by_segment) {
    const int64_t entry = layer * shape_.directions + d;
    const int64_t h_offset = entry * plan_.batch * state_, c_offset = entry * plan_.batch * shape_.hidden;
    const T* const h0 = static_cast<const T*>(args_.h0);
    const T* const c0 = static_cast<const T*>(args_.c0);
    const T* const h_first = h0 == nullptr ? nullptr : h0 + h_offset;
    const T* const c_first = c0 == nullptr ? nullptr : c0 + c_offset;
    // Without h0 the product with W_hh is left out; h_n of a sequence without a token is then zeros.
    if (h0 != nullptr || args_.h_n != nullptr) load_initial(plan_.batch, state_, h_first, workspace_.h_init[d]);
    if (cell_.has_c) load_initial(plan_.batch, shape_.hidden, c_first, workspace_.c_init[d]);
    RecurrenceForward<T> r{};
    r.segments = segment_steps(plan_, shape_.row_order, d == 1);
    r.cell = shape_.cell;
    r.by_segment = by_segment;
    r.hidden = shape_.hidden;
    r.units = units_;
    r.state = state_;
    r.state_units = state_units_;
    const LayerParams<const T> params = layer_params(shape_, static_cast<const T*>(args_.params), layer, d);
    const PreparedWeights<T> prepared = prepared_weights<T>(shape_, prepared_, layer, d);
    set_options(layer, d, params.w_hh, r);
    if (r.w_hh == params.w_hh) r.prepared_w_hh = prepared.w_hh;  // else it has a mask
    if (shape_.layer_norm) {
      LayerNorm<T>& norm = norms_[d] = layer_norm(shape_, params, norm_workspace_, d);
      if (args_.save) use_reserve(norm_reserve_, plan_.tokens, entry, norm);
      r.norm = &norm;
    }
    r.b_hh = params.b_hh;
    r.packed_w_hh = workspace_.panels[d];
    r.values = args_.save ? reserve_.values + entry * reserve_.values_size : workspace_.values[d];
    r.h_init = h0 == nullptr ? nullptr : workspace_.h_init[d];
    r.c_init = workspace_.c_init[d];
    if (cell_.has_c) r.c = args_.save ? reserve_.c + entry * reserve_.c_size : workspace_.c[d];
    r.c_by_token = keeps_cell_states(shape_, args_.save);
    r.y = output + d * state_;
    r.ldy = shape_.directions * state_;
    if (shape_.projection > 0) {
      r.w_hr = params.w_hr;
      r.packed_w_hr = workspace_.w_hr_panels[d];
      r.prepared_w_hr = prepared.w_hr;
      r.unprojected = args_.save ? reserve_.unprojected + entry * reserve_.c_size : workspace_.unprojected[d];
      r.projected = workspace_.projected[d];
    }
    r.round = round_;
    return r;
  }

  void set_options(int64_t layer, int64_t d, const T* w_hh, RecurrenceForward<T>& r) {
    const RecurrenceOptions<T>& of_layer = layer_options_[d] = options_.of(layer, d, w_hh);
    r.w_hh = of_layer.w_hh != nullptr ? of_layer.w_hh : w_hh;
    if (of_layer.act()) r.options = &of_layer;
    if (args_.save && reserve_.unclipped != nullptr)
      r.unclipped = reserve_.unclipped + (layer * shape_.directions + d) * plan_.tokens * state_;
    if (of_layer.state == nullptr) return;
    r.masked = option_workspace_.masked[d];
    if (args_.h0 == nullptr) return;
    T* const init = option_workspace_.masked_init[d];
    load_initial<T>(plan_.batch, state_, nullptr, init);
    for (int64_t b = 0; b < plan_.batch; ++b)
      of_layer.mask_state(b, state_, 0, state_, workspace_.h_init[d] + b * state_units_, init + b * state_units_);
    if (round_ != nullptr) round_(plan_.batch, state_, init, state_units_);
    r.masked_init = init;
  }

  // values [N, S, Hp] of each direction <- input W_ih^T + b_ih + b_hh, without b_hh where a gate has two slots. With
  // layer normalisation the product is normalised before the biases are added, and it is kept with save. A direction's
  // pieces are adjacent, so that mostly the thread computes them that goes on with that direction.
  void project_input(int64_t layer, const T* input, const RecurrenceForward<T>* recurrences) {
    RowProductPieces<T> products[kMaxDirections];
    for (int64_t d = 0; d < shape_.directions; ++d)
      products[d] = {threads_, product_of_input(layer, d, input, recurrences[d].values)};
    const int64_t of_first = products[0].count(), work = products[0].work() * shape_.directions;
    parallel_for(work < kThreadedWork ? 1 : threads_, of_first * shape_.directions,
                 [&](int64_t piece) { products[piece / of_first].run(piece % of_first); });
    for (int64_t d = 0; d < shape_.directions && shape_.layer_norm; ++d)
      parallel_ranges(
          plan_.tokens * shape_.hidden < kThreadedWork ? 1 : threads_, plan_.tokens, 64,
          [&](int64_t begin, int64_t end) { normalise_input(norms_[d], begin, end, recurrences[d].values); });
  }

  RowProduct<T> product_of_input(int64_t layer, int64_t d, const T* input, T* values) {
    const LayerParams<const T> params = layer_params(shape_, static_cast<const T*>(args_.params), layer, d);
    RowProduct<T> product = input_product(shape_, layer, params.w_ih);
    product.rows = plan_.tokens;
    product.panels = prepared_weights<T>(shape_, prepared_, layer, d).w_ih;
    product.a = input;
    product.lda = product.segment;
    product.c = values;
    product.ldc = cell_.slots * units_;
    if (shape_.layer_norm) {
      if (norms_[d].x_hat == nullptr) return product;
      product.group_slots = kInOrder;
      product.c = norms_[d].x_hat;
      product.ldc = cell_.gates * units_;
      return product;
    }
    product.bias = params.b_ih;
    product.bias2 = params.b_hh;
    product.bias2_groups = cell_.joint_gates;
    return product;
  }

  void store_final_states(int64_t layer, int64_t d, const T* output, const RecurrenceForward<T>& r) {
    const int64_t sequences = (layer * shape_.directions + d) * plan_.batch;
    const SegmentSteps& segments = r.segments;
    // A segment of no token is a sequence of no token, which passes its initial state on.
    const auto last_row = [&](int64_t j) { return final_row(plan_, shape_.row_order, segments, j); };
    if (args_.h_n != nullptr) {
      store_state(
          segments, state_, segments.final,
          [&](int64_t j) -> const T* {
            const int64_t row = last_row(j);
            return row < 0 ? workspace_.h_init[d] + segments.final[j] * state_units_
                           : output + d * state_ + row * r.ldy;
          },
          static_cast<T*>(args_.h_n) + sequences * state_);
    }
    if (args_.c_n != nullptr)
      store_state(
          segments, shape_.hidden, segments.final,
          [&](int64_t j) -> const T* {
            const int64_t row = last_row(j);
            return row < 0 ? r.c_init + segments.final[j] * units_ : r.c + (r.c_by_token ? row : j) * units_;
          },
          static_cast<T*>(args_.c_n) + sequences * shape_.hidden);
  }

  // Direction d of the caller's c [N, D*H] <- c [N, Hp].
  void store_cell_states(int64_t d, const T* c) {
    const int64_t hidden = shape_.hidden, ld = shape_.directions * hidden;
    T* const out = static_cast<T*>(args_.c) + d * hidden;
    const int64_t threads = plan_.tokens * hidden < kThreadedWork ? 1 : threads_;
    parallel_ranges(threads, plan_.tokens, 64, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        for (int64_t u = 0; u < hidden; ++u) out[row * ld + u] = c[row * units_ + u];
    });
  }

  const int64_t threads_;
  const RnnForwardArgs& args_;
  const PreparedRnn& prepared_;
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
  OptionWorkspace<T> option_workspace_;
  NormWorkspace<T> norm_workspace_;
  Reserve<T> reserve_;
  NormReserve<T> norm_reserve_;
  const RnnOptions<T> options_;
  RecurrenceOptions<T> layer_options_[kMaxDirections];
  LayerNorm<T> norms_[kMaxDirections];
};

}  // namespace varlstm::host
