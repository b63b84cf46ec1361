// Streams that step through an rnn, and the sequence call with the same tokens, in any dtype. T is what an element is
// stored as: float, double, or uint16_t for both 16-bit dtypes. Tokens are [T, B, I], as all sequences have one length.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <type_traits>
#include <vector>

#include "support/buffer.h"
#include "support/context.h"
#include "support/dtype.h"
#include "support/random.h"
#include "support/rnn_case.h"
#include "support/scalar16.h"

namespace varlstm_test {

// What a table of cell states holds: the type that the dtype is computed in.
template <class T>
using CellState = std::conditional_t<std::is_same_v<T, uint16_t>, float, T>;

template <class T>
struct StepDType {
  int32_t dtype;

  std::vector<T> store(const std::vector<double>& values) const {
    if constexpr (std::is_same_v<T, uint16_t>) {
      return format().encode(values);
    } else {
      return std::vector<T>(values.begin(), values.end());
    }
  }
  std::vector<T> store_cell_states(const std::vector<CellState<T>>& values) const {
    return store(std::vector<double>(values.begin(), values.end()));
  }
  // Cell states that a T can hold.
  std::vector<CellState<T>> cell_states(const std::vector<double>& values) const {
    std::vector<double> held = values;
    if constexpr (std::is_same_v<T, uint16_t>) held = format().decode(store(values));
    return std::vector<CellState<T>>(held.begin(), held.end());
  }

 private:
  const Format16& format() const { return dtype == VARLSTM_DTYPE_BF16 ? kBf16 : kF16; }
};

template <class T>
struct StepProblem {
  StepDType<T> dtype;
  RnnOptions options;
  std::vector<T> params;

  bool has_c() const { return tested_cell(options.cell).has_c; }
  int64_t states(int64_t rows) const { return options.layers * rows * options.state(); }
  int64_t cell_states(int64_t rows) const { return has_c() ? options.layers * rows * options.hidden : 0; }
};

template <class T>
StepProblem<T> make_step_problem(const StepDType<T>& dtype, RnnOptions options, Random& random) {
  options.recurrence = VARLSTM_RECURRENCE_STEPWISE;  // whose bits a step gives
  const double scale = std::sqrt(2.0 / static_cast<double>(options.hidden + 1));
  return {dtype, options, dtype.store(random.vector<double>(rnn_param_count(options), -scale, scale))};
}

template <class T>
struct SequenceResult {
  std::vector<T> y, h_n, c_n;  // y has the packed rows
};

// The sequence call over sequences of these lengths. h0 and c0 [L, B, H] may be empty: zeros.
template <class T>
SequenceResult<T> run_sequences(varlstm_ctx* ctx, const StepProblem<T>& problem, const std::vector<int64_t>& lengths,
                                const std::vector<T>& x, const std::vector<T>& h0 = {}, const std::vector<T>& c0 = {}) {
  const Bounds bounds = exact_bounds(lengths);
  const Batch batch = make_batch(ctx, lengths);
  const Rnn rnn = make_rnn(ctx, problem.options, problem.dtype.dtype);
  int64_t workspace_bytes = 0, reserve_bytes = 0;
  REQUIRE_OK(varlstm_rnn_sizes(rnn.get(), bounds.max_batch, bounds.max_len, bounds.max_tokens, VARLSTM_MODE_INFER,
                               &workspace_bytes, &reserve_bytes));
  ByteBuffer workspace(ctx, workspace_bytes);
  const Buffer<T> params(ctx, problem.params), tokens(ctx, x), h(ctx, h0), c(ctx, c0);
  Buffer<T> y(ctx, bounds.max_tokens * problem.options.state()), h_n(ctx, problem.states(bounds.max_batch)),
      c_n(ctx, problem.cell_states(bounds.max_batch));
  REQUIRE_OK(varlstm_rnn_forward(rnn.get(), batch.get(), VARLSTM_MODE_INFER, 0, params.data(), tokens.data(),
                                 h0.empty() ? nullptr : h.data(), c0.empty() ? nullptr : c.data(), y.data(), h_n.data(),
                                 problem.has_c() ? c_n.data() : nullptr, workspace.data(), workspace_bytes, nullptr, 0,
                                 nullptr));
  return {y.get(), h_n.get(), c_n.get()};
}

// A table of states and what steps on it need.
template <class T>
class StepTable {
 public:
  using C = CellState<T>;

  StepTable(varlstm_ctx* ctx, const StepProblem<T>& problem, int64_t max_streams, int64_t slots, Fill fill = Fill::kNan)
      : ctx_(ctx),
        options_(problem.options),
        has_c_(problem.has_c()),
        slots_(slots),
        rnn_(make_rnn(ctx, problem.options, problem.dtype.dtype)),
        params_(ctx, problem.params),
        h_(ctx, problem.states(slots)),
        c_(ctx, problem.cell_states(slots)) {
    REQUIRE_OK(varlstm_rnn_step_size(rnn_.get(), max_streams, slots, &workspace_bytes_));
    workspace_ = std::make_unique<ByteBuffer>(ctx, workspace_bytes_, fill);
  }

  Buffer<T>& h() { return h_; }
  Buffer<C>& c() { return c_; }

  // From now on the steps run with prepared weights.
  void prepare() {
    int64_t bytes = 0;
    REQUIRE_OK(varlstm_rnn_prepared_size(rnn_.get(), VARLSTM_MODE_INFER, &bytes));
    prepared_ = std::make_unique<ByteBuffer>(ctx_, bytes);
    varlstm_rnn* prepared = nullptr;
    REQUIRE_OK(varlstm_rnn_prepare(rnn_.get(), VARLSTM_MODE_INFER, params_.data(), prepared_->data(), bytes, nullptr,
                                   &prepared));
    rnn_.reset(prepared);
  }

  // y [B, H] of one step. `seed`: the workspace's bytes before the call; 0: what the last call left.
  std::vector<T> step(const std::vector<int64_t>& slots, const std::vector<T>& x, uint64_t seed = 0) {
    Buffer<T> y(ctx_, static_cast<int64_t>(slots.size()) * options_.state());
    if (seed != 0) workspace_->fill(Fill::kRandomBytes, seed);
    REQUIRE_OK(try_step(slots, x, y));
    return y.get();
  }

  int32_t try_step(const std::vector<int64_t>& slots, const std::vector<T>& x, Buffer<T>& y) {
    const Buffer<T> tokens(ctx_, x);
    const Buffer<int64_t> rows(ctx_, slots);
    const int32_t status = varlstm_rnn_step(rnn_.get(), static_cast<int64_t>(slots.size()), params_.data(),
                                            tokens.data(), rows.data(), slots_, h_.data(), has_c_ ? c_.data() : nullptr,
                                            y.data(), workspace_->data(), workspace_bytes_, nullptr);
    if (status == VARLSTM_OK) REQUIRE_OK(varlstm_sync(ctx_, nullptr));
    return status;
  }

  // Zeros where a stream begins.
  void clear(int64_t slot) {
    const auto zero = [&](auto* table, int64_t row, int64_t width) {
      const int64_t bytes = width * static_cast<int64_t>(sizeof(*table));
      REQUIRE_OK(varlstm_zero(ctx_, table + row * width, bytes, nullptr));
    };
    for (int64_t layer = 0; layer < options_.layers; ++layer) {
      zero(h_.data(), layer * slots_ + slot, options_.state());
      if (has_c_) zero(c_.data(), layer * slots_ + slot, options_.hidden);
    }
  }

 private:
  varlstm_ctx* ctx_;
  RnnOptions options_;
  bool has_c_;
  int64_t slots_;
  Rnn rnn_;
  Buffer<T> params_, h_;
  Buffer<C> c_;
  int64_t workspace_bytes_ = 0;
  std::unique_ptr<ByteBuffer> workspace_, prepared_;
};

// The rows [L, B, width] of a table [L, S, width] at these slots.
template <class E>
std::vector<E> at_slots(const std::vector<E>& table, int64_t layers, int64_t table_slots, int64_t width,
                        const std::vector<int64_t>& slots) {
  std::vector<E> rows;
  for (int64_t layer = 0; layer < layers && !table.empty(); ++layer)
    for (const int64_t slot : slots) {
      const auto from = table.begin() + (layer * table_slots + slot) * width;
      rows.insert(rows.end(), from, from + width);
    }
  return rows;
}

// The rows of [B, width] in this order.
template <class E>
std::vector<E> rows_in_order(const std::vector<E>& rows, int64_t width, const std::vector<int64_t>& order) {
  return at_slots(rows, 1, 0, width, order);
}

}  // namespace varlstm_test
