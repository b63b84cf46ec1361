// Backward of the recurrent network: for each layer the recurrence in reverse, then dx, dW_ih and dW_hh as large
// products over all tokens.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <algorithm>

#include "capi/contract/shapes.h"
#include "host/gemm/gemm.h"
#include "host/gemm/row_product.h"
#include "host/ops/dropout.h"
#include "host/rnn/layer_norm_gradients.h"
#include "host/rnn/recurrence_backward.h"
#include "host/rnn/rnn_forward.h"
#include "host/rnn/rnn_layout.h"
#include "host/rnn/rnn_options.h"
#include "host/rnn/rnn_tuning.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

template <class T>
class RnnBackward {
 public:
  RnnBackward(int64_t threads, const RnnBackwardArgs& args, const PreparedRnn& prepared)
      : threads_(threads),
        args_(args),
        prepared_(prepared),
        shape_(args.shape),
        plan_(*args.batch),
        cell_(kCellTraits[shape_.cell]),
        units_(padded_units(shape_.hidden)),
        state_(state_width(shape_)),
        state_units_(padded_units(state_)),
        width_(shape_.directions * state_),
        round_(rounding_to<T>(shape_.dtype)),
        workspace_carver_(args.workspace),
        reserve_carver_(const_cast<void*>(args.reserve)),  // it is only read
        workspace_(shape_, size_of(plan_), workspace_carver_),
        option_workspace_(shape_, size_of(plan_), true, workspace_carver_),
        norm_workspace_(shape_, size_of(plan_), true, true, workspace_carver_),
        reserve_(shape_, size_of(plan_), reserve_carver_),
        norm_reserve_(shape_, size_of(plan_), reserve_carver_) {}

  bool run() {
    if (reserve_.header->magic != kReserveMagic || reserve_.header->shape_hash != reserve_hash(shape_, plan_))
      return false;
    const RnnOptions<T> options(threads_, shape_, plan_, reserve_.header->dropout_seed, option_workspace_);
    options_ = &options;
    writes_ = args_.dparams != nullptr && !shape_.add_dparams;
    if (writes_ && (shape_.layer_norm || options.drops(RecurrentDropout::kWeights))) {  // which only add
      std::fill_n(static_cast<T*>(args_.dparams), param_elements(shape_), T(0));
      writes_ = false;
    }
    const T* doutput = static_cast<const T*>(args_.dy);
    for (int64_t layer = shape_.layers - 1; layer >= 0; --layer) {
      T* const dinput = layer == 0 ? static_cast<T*>(args_.dx) : workspace_.dlayer[(layer - 1) % 2];
      run_layer(layer, doutput, dinput);
      if (layer > 0 && dropped()) drop(layer - 1, dinput, dinput);
      doutput = dinput;
    }
    return true;
  }

 private:
  bool dropped() const { return shape_.dropout > 0 && reserve_.header->dropout_seed != 0; }

  // out [N, D*H] <- in with the mask that forward used after `layer`.
  void drop(int64_t layer, const T* in, T* out) {
    dropout(threads_, plan_.tokens * width_, shape_.dropout, layer_seed(reserve_.header->dropout_seed, layer), in, out);
    if (round_ != nullptr) round_(plan_.tokens, width_, out, width_);
  }

  // The output of a layer before dropout.
  const T* layer_output(int64_t layer) const {
    return layer + 1 == shape_.layers ? static_cast<const T*>(args_.y) : reserve_.y + layer * reserve_.y_size;
  }

  // The input of a layer.
  const T* layer_source(int64_t layer) {
    if (layer == 0) return static_cast<const T*>(args_.x);
    if (!dropped()) return layer_output(layer - 1);
    drop(layer - 1, layer_output(layer - 1), workspace_.dropped);
    return workspace_.dropped;
  }

  void run_layer(int64_t layer, const T* doutput, T* dinput) {
    RecurrenceBackward<T> recurrences[kMaxDirections];
    const RecurrenceSplit split = recurrence_split(threads_, shape_, plan_, sizeof(T));
    for (int64_t d = 0; d < shape_.directions; ++d) recurrences[d] = prepare(layer, d, doutput, split.by_segment);
    const Packing packing = packing_of(recurrences[0], member_of_part(0, split.parts));  // of both directions
    run_recurrence(
        split, shape_.directions, packing.any(),
        [&](int64_t d, const Member& member) { pack_backward(recurrences[d], member, packing); },
        [&](int64_t d, const Member& member) { recurrence_backward(recurrences[d], packing, member); });
    for (int64_t d = 0; d < shape_.directions; ++d) {
      store_initial_gradients(layer, d, recurrences[d].segments);
      if (shape_.layer_norm) finish_norm(layer, d);
    }
    RowProductPieces<T> of_dinput[kMaxDirections];
    if (dinput != nullptr) input_gradients(layer, dinput, of_dinput);
    gradients_of_layer(layer, of_dinput);
    if (of_dinput[1].count() > 0) {
      const T* const of_second = workspace_.dinput;
      const int64_t count = plan_.tokens * layer_input(shape_, layer);
      parallel_ranges(count < kThreadedElements ? 1 : threads_, count, kThreadedElements,
                      [&](int64_t begin, int64_t end) {
                        for (int64_t k = begin; k < end; ++k) dinput[k] += of_second[k];
                      });
    }
    if (args_.dparams == nullptr) return;
    for (int64_t d = 0; d < shape_.directions && shape_.projection > 0; ++d) projection_gradient(layer, d);
  }

  // The first sequence of a layer and direction in [L*D, B].
  int64_t first_sequence(int64_t layer, int64_t d) const { return (layer * shape_.directions + d) * plan_.batch; }

  RecurrenceBackward<T> prepare(int64_t layer, int64_t d, const T* doutput, bool by_segment) {
    const int64_t entry = layer * shape_.directions + d;
    const auto of_layer = [&](const void* state, int64_t width) {
      const T* const states = static_cast<const T*>(state);
      return states == nullptr ? states : states + first_sequence(layer, d) * width;
    };
    RecurrenceBackward<T> r{};
    r.segments = segment_steps(plan_, shape_.row_order, d == 1);
    load_final(r.segments, state_, of_layer(args_.dh_n, state_), workspace_.dh[d]);
    if (cell_.has_c) {
      load_initial(plan_.batch, shape_.hidden, of_layer(args_.c0, shape_.hidden), workspace_.c_init[d]);
      load_final(r.segments, shape_.hidden, of_layer(args_.dc_n, shape_.hidden), workspace_.dc[d]);
    }
    r.cell = shape_.cell;
    r.by_segment = by_segment;
    r.hidden = shape_.hidden;
    r.units = units_;
    r.state = state_;
    r.state_units = state_units_;
    const LayerParams<const T> params = layer_params(shape_, static_cast<const T*>(args_.params), layer, d);
    const RecurrenceOptions<T>& options = layer_options_[d] = options_->of(layer, d, params.w_hh);
    r.w_hh = options.w_hh != nullptr ? options.w_hh : params.w_hh;
    const PreparedWeights<T> prepared = prepared_weights<T>(shape_, prepared_, layer, d);
    if (options.w_hh == nullptr) r.prepared_w_hh = prepared.backward_w_hh;  // else it has a mask
    if (options.act()) r.options = &options;
    if (shape_.layer_norm) {
      norms_[d] = layer_norm(shape_, params, norm_workspace_, d);
      use_reserve(norm_reserve_, plan_.tokens, entry, norms_[d]);
      r.norm = &norms_[d];
    }
    r.dmasked = option_workspace_.dmasked[d];
    if (reserve_.unclipped != nullptr) r.unclipped = reserve_.unclipped + entry * plan_.tokens * state_;
    r.packed_w_hh = workspace_.panels[d];
    if (cell_.reads_h) gather_previous(layer, d, d + 1);
    r.h_prev = cell_.reads_h ? workspace_.h_prev[d] : nullptr;
    r.values = reserve_.values + entry * reserve_.values_size;
    if (cell_.has_c) r.c = reserve_.c + entry * reserve_.c_size;
    r.c_init = workspace_.c_init[d];
    r.dy = doutput == nullptr ? nullptr : doutput + d * state_;
    r.ldy = width_;
    r.gradients = workspace_.gradients[d];
    r.dh = workspace_.dh[d];
    r.dc = workspace_.dc[d];
    if (args_.dc != nullptr && layer + 1 == shape_.layers) {
      r.dc_of_token = static_cast<const T*>(args_.dc) + d * shape_.hidden;
      r.ldc = shape_.directions * shape_.hidden;
    }
    r.want_dh0 = args_.dh0 != nullptr;
    r.w_hr = params.w_hr;
    r.packed_w_hr = workspace_.w_hr_panels[d];
    r.prepared_w_hr = prepared.backward_w_hr;
    r.dh_of_token = workspace_.dh_of_token[d];
    r.dunprojected = workspace_.dunprojected[d];
    r.round = round_;
    return r;
  }

  // dst [., padded width] by rank <- src [B, width], the gradients of the final states of sequences; zeros for other
  // segments.
  void load_final(const SegmentSteps& segments, int64_t width, const T* src, T* dst) {
    const int64_t units = padded_units(width);
    for (int64_t j = 0; j < segments.count; ++j) {
      const T* const row = src == nullptr || segments.final[j] < 0 ? nullptr : src + segments.final[j] * width;
      for (int64_t u = 0; u < units; ++u) dst[j * units + u] = row != nullptr && u < width ? row[u] : T(0);
    }
  }

  void store_initial_gradients(int64_t layer, int64_t d, const SegmentSteps& segments) {
    const auto store = [&](const T* state, int64_t width, int64_t ld, void* gradient) {
      if (gradient == nullptr) return;
      T* const dst = static_cast<T*>(gradient) + first_sequence(layer, d) * width;
      // No segment starts from the initial state of a sequence with a reset at its first token.
      for (int64_t k = 0; k < plan_.batch * width; ++k) dst[k] = 0;
      store_state(
          segments, width, segments.initial, [&](int64_t j) { return state + j * ld; }, dst);
    };
    store(workspace_.dh[d], state_, state_units_, args_.dh0);
    store(workspace_.dc[d], shape_.hidden, units_, args_.dc0);
  }

  // Adds to the gradients of the gains and biases; then the gradients of the sums become those of W x.
  void finish_norm(int64_t layer, int64_t d) {
    T* const gradients = workspace_.gradients[d];
    if (args_.dparams != nullptr)
      norm_parameter_gradients(threads_, plan_.tokens, norms_[d], gradients,
                               layer_params(shape_, static_cast<T*>(args_.dparams), layer, d));
    parallel_ranges(plan_.tokens * shape_.hidden < kThreadedWork ? 1 : threads_, plan_.tokens, 64,
                    [&](int64_t begin, int64_t end) { back_through_input(norms_[d], begin, end, gradients, round_); });
  }

  // dinput [N, in] <- the first direction's gradients of the sums times W_ih, and workspace_.dinput <- the second
  // one's, as pieces that are still to be run. Each is read and written by the thread that has the direction, as a
  // rule; the sum of both is the smallest part to move between caches. Where sums are rounded between directions all is
  // done here, and there are no pieces.
  void input_gradients(int64_t layer, T* dinput, RowProductPieces<T>* pieces) {
    for (int64_t d = 0; d < shape_.directions; ++d) {
      const T* const w_ih = layer_params(shape_, static_cast<const T*>(args_.params), layer, d).w_ih;
      RowProduct<T> product = input_gradient_product(shape_, layer, w_ih);
      product.rows = plan_.tokens;
      product.panels = prepared_weights<T>(shape_, prepared_, layer, d).backward_w_ih;
      product.a = workspace_.gradients[d];
      product.lda = cell_.slots * units_;
      product.ldc = product.columns;
      product.c = d == 0 || round_ != nullptr ? dinput : workspace_.dinput;
      if (round_ == nullptr) {
        pieces[d] = {threads_, product};
        continue;
      }
      product.accumulate = d > 0;
      row_product(threads_, product);
      round_(plan_.tokens, product.columns, dinput, product.ldc);
    }
  }

  // What becomes of the dparams that are there.
  T beta() const { return T(writes_ ? 0 : 1); }

  // Runs `of_dinput` and adds to dparams, if they are wanted, as one job. A direction's pieces are adjacent, and those
  // of the second one in reverse, so that two threads, which claim from both ends, begin with the direction that they
  // have in their caches, and end with the smaller pieces.
  void gradients_of_layer(int64_t layer, const RowProductPieces<T>* of_dinput) {
    const bool wants_weights = args_.dparams != nullptr;
    const T* const input = wants_weights ? layer_source(layer) : nullptr;
    if (wants_weights) prepare_weight_gradients(layer);
    const int64_t weights = wants_weights ? weight_pieces() : 0, of_direction = weights + of_dinput[0].count();
    const int64_t work = of_dinput[0].work() +
                         (wants_weights ? plan_.tokens * shape_.hidden * (layer_input(shape_, layer) + state_) : 0);
    parallel_for(work < kThreadedWork ? 1 : threads_, shape_.directions * of_direction, [&](int64_t piece) {
      const int64_t d = piece / of_direction, rest = piece % of_direction;
      const int64_t own = d == 0 ? rest : of_direction - 1 - rest;
      if (own < weights)
        weight_gradient(layer, d, input, own);
      else
        of_dinput[d].run(own - weights);
    });
    for (int64_t d = 0; d < shape_.directions && wants_weights && options_->drops(RecurrentDropout::kWeights); ++d)
      options_->add_weight_gradient(d, option_workspace_.dw_hh[d],
                                    layer_params(shape_, static_cast<T*>(args_.dparams), layer, d).w_hh);
  }

  void prepare_weight_gradients(int64_t layer) {
    if (!cell_.reads_h) gather_previous(layer, 0, shape_.directions);
    for (int64_t d = 0; d < shape_.directions; ++d) {
      if (layer_options_[d].state != nullptr) mask_previous(d);
      if (options_->drops(RecurrentDropout::kWeights))
        std::fill_n(option_workspace_.dw_hh[d], options_->weights(), T(0));
    }
  }

  // The gradients of one direction's weights have a piece for each gate, matrix and block of rows.
  int64_t weight_pieces() const { return cell_.gates * 3 * weight_blocks(); }
  int64_t weight_blocks() const { return (shape_.hidden + kBlockRows - 1) / kBlockRows; }

  // dW_ih += gradients^T input, dW_hh += gradients^T h_prev (or the operand of a second product), db += column sums of
  // the gradients; or = for +=, if dparams are written. Each element is summed by one piece only.
  void weight_gradient(int64_t layer, int64_t d, const T* input, int64_t piece) {
    const bool masked = options_->drops(RecurrentDropout::kWeights);
    const int64_t block = piece % weight_blocks(), matrix = piece / weight_blocks() % 3;
    const int64_t gate = piece / (3 * weight_blocks()), row = block * kBlockRows;
    const int64_t rows = row + kBlockRows < shape_.hidden ? kBlockRows : shape_.hidden - row;
    const LayerParams<T> dparams = layer_params(shape_, static_cast<T*>(args_.dparams), layer, d);
    const T* const of_input = workspace_.gradients[d] + cell_.input_slot.of[gate] * units_ + row;
    const T* const of_state = shape_.layer_norm ? norms_[d].dstate + gate * units_ + row
                                                : workspace_.gradients[d] + cell_.state_slot.of[gate] * units_ + row;
    const int64_t first = gate * shape_.hidden + row;
    if (matrix == 2) {
      if (shape_.bias && !shape_.layer_norm)  // else finish_norm has added it
        bias_gradient(of_input, of_state, rows, dparams.b_ih + first, dparams.b_hh + first);
      return;
    }
    const int64_t columns = matrix == 0 ? layer_input(shape_, layer) : state_;
    const Factor factor = matrix == 0 ? Factor{input, columns} : state_factor(layer, d, gate);
    T* const dw_hh = masked ? option_workspace_.dw_hh[d] : dparams.w_hh;
    gemm<T>(1, Transpose::kYes, Transpose::kNo, rows, columns, plan_.tokens, matrix == 0 ? of_input : of_state,
            (matrix == 1 && shape_.layer_norm ? cell_.gates : cell_.slots) * units_, factor.rows, factor.ld, beta(),
            (matrix == 0 ? dparams.w_ih : dw_hh) + first * columns, columns);
  }

  struct Factor {
    const T* rows;
    int64_t ld;
  };
  // What the rows of a gate of W_hh multiplied: h_prev, or the operand of the second product.
  Factor state_factor(int64_t layer, int64_t d, int64_t gate) const {
    if (gate < first_gates(cell_)) return {workspace_.h_prev[d], state_};
    const T* const values = reserve_.values + (layer * shape_.directions + d) * reserve_.values_size;
    return {values + cell_.operand_slot * units_, cell_.slots * units_};
  }

  // dW_hr += dh_of_token^T unprojected; or = for +=.
  void projection_gradient(int64_t layer, int64_t d) {
    const T* const unprojected = reserve_.unprojected + (layer * shape_.directions + d) * reserve_.c_size;
    gemm<T>(threads_, Transpose::kYes, Transpose::kNo, state_, shape_.hidden, plan_.tokens, workspace_.dh_of_token[d],
            state_, unprojected, units_, beta(), layer_params(shape_, static_cast<T*>(args_.dparams), layer, d).w_hr,
            shape_.hidden);
  }

  // h_prev [N, R] of the directions [first, end) <- the hidden state before each token's step.
  void gather_previous(int64_t layer, int64_t first, int64_t end) {
    constexpr int64_t kSteps = 4;  // of one piece
    const int64_t pieces = (plan_.segments.steps + kSteps - 1) / kSteps;
    const int64_t threads = plan_.tokens * state_ * (end - first) < kThreadedElements ? 1 : threads_;
    parallel_for(threads, pieces * (end - first), [&](int64_t piece) {
      const int64_t d = first + piece / pieces, step = piece % pieces * kSteps;
      for (int64_t t = step; t < step + kSteps && t < plan_.segments.steps; ++t) gather_previous_of_step(layer, d, t);
    });
  }

  void gather_previous_of_step(int64_t layer, int64_t d, int64_t t) {
    const SegmentSteps segments = segment_steps(plan_, shape_.row_order, d == 1);
    const T* const output = layer_output(layer) + d * state_;
    const T* const h0 =
        args_.h0 == nullptr ? nullptr : static_cast<const T*>(args_.h0) + first_sequence(layer, d) * state_;
    const StepNeighbour before = step_before(segments, t);
    for (int64_t j = 0; j < segments.sizes[t]; ++j) {
      T* const dst = workspace_.h_prev[d] + row_of(segments, t, j) * state_;
      const T* src = h0 == nullptr || segments.initial[j] < 0 ? nullptr : h0 + segments.initial[j] * state_;
      if (j < before.rows) src = output + row_of(segments, before.step, j) * width_;
      for (int64_t u = 0; u < state_; ++u) dst[u] = src == nullptr ? T(0) : src[u];
    }
  }

  // h_prev <- as the product with W_hh read it, under the mask of the state.
  void mask_previous(int64_t d) {
    const RecurrenceOptions<T>& options = layer_options_[d];
    for (int64_t row = 0; row < plan_.tokens; ++row) {
      T* const h = workspace_.h_prev[d] + row * state_;
      options.mask_state(options.sequences[row], state_, 0, state_, h, h);
    }
    if (round_ != nullptr) round_(plan_.tokens, state_, workspace_.h_prev[d], state_);
  }

  // db_ih and db_hh += the column sums of their gradients over the tokens, or = for +=, for at most kBlockRows columns.
  void bias_gradient(const T* of_input, const T* of_state, int64_t columns, T* db_ih, T* db_hh) {
    T sums[kBlockRows];
    column_sums(of_input, columns, sums);
    store_sums(columns, sums, db_ih);
    if (of_state != of_input) column_sums(of_state, columns, sums);
    store_sums(columns, sums, db_hh);
  }

  void store_sums(int64_t columns, const T* sums, T* db) const {
    for (int64_t j = 0; j < columns; ++j) db[j] = writes_ ? sums[j] : db[j] + sums[j];
  }

  void column_sums(const T* gradients, int64_t columns, T* sums) {
    const int64_t ld = cell_.slots * units_;
    for (int64_t j = 0; j < columns; ++j) sums[j] = 0;
    for (int64_t n = 0; n < plan_.tokens; ++n)
      for (int64_t j = 0; j < columns; ++j) sums[j] += gradients[n * ld + j];
  }

  static constexpr int64_t kBlockRows = 256;
  static constexpr int64_t kThreadedElements = 1 << 14;  // from so many on two threads copy or add
  const int64_t threads_;
  const RnnBackwardArgs& args_;
  const PreparedRnn& prepared_;
  const RnnShape& shape_;
  const BatchPlan& plan_;
  const CellTraits& cell_;
  const int64_t units_;        // Hp
  const int64_t state_;        // R
  const int64_t state_units_;  // Rp
  const int64_t width_;        // D*R
  const Rounding<T> round_;
  Carver workspace_carver_;
  Carver reserve_carver_;
  BackwardWorkspace<T> workspace_;
  OptionWorkspace<T> option_workspace_;
  NormWorkspace<T> norm_workspace_;
  Reserve<T> reserve_;
  NormReserve<T> norm_reserve_;
  const RnnOptions<T>* options_ = nullptr;  // of this call
  bool writes_ = false;                     // dparams, in place of adding to them
  RecurrenceOptions<T> layer_options_[kMaxDirections];
  LayerNorm<T> norms_[kMaxDirections];
};

}  // namespace varlstm::host
