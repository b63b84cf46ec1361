// Runs an RnnCase through the library: gives it the rows in the order that the options name, calls forward and
// backward with guarded buffers, and gives the results back in the caller's order.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "support/buffer.h"
#include "support/context.h"
#include "support/dtype.h"
#include "support/packed_order.h"
#include "support/rnn_case.h"

namespace varlstm_test {

template <class T>
class RnnRunner {
 public:
  RnnRunner(varlstm_ctx* context, const RnnCase<T>& problem)
      : RnnRunner(context, problem, exact_bounds(problem.lengths)) {}

  // `fill`: what workspace and reserve hold before the call.
  RnnRunner(varlstm_ctx* context, const RnnCase<T>& problem, const Bounds& bounds, Fill fill = Fill::kNan,
            uint64_t seed = 1)
      : context_(context),
        options_(problem.options),
        lengths_(problem.lengths),
        fill_(fill),
        seed_(seed),
        batch_(make_batch(context, problem.lengths, bounds)),
        rnn_(make_rnn(context, problem.options, kDType<T>)),
        params_(context, problem.params),
        x_(context, to_rows(problem.options.input, problem.x)),
        h0_(context, problem.h0),
        c0_(context, problem.c0),
        y_(context, problem.tokens() * problem.output_features()),
        h_n_(context, problem.state_count()),
        c_n_(context, problem.cell_state_count()),
        c_(context, problem.token_cell_state_count()) {
    REQUIRE_OK(varlstm_rnn_sizes(rnn_.get(), bounds.max_batch, bounds.max_len, bounds.max_tokens, VARLSTM_MODE_SAVE,
                                 &workspace_bytes_, &reserve_bytes_));
    int64_t infer_bytes = 0, no_reserve = 0;  // forward may be called in either mode
    REQUIRE_OK(varlstm_rnn_sizes(rnn_.get(), bounds.max_batch, bounds.max_len, bounds.max_tokens, VARLSTM_MODE_INFER,
                                 &infer_bytes, &no_reserve));
    workspace_bytes_ = std::max(workspace_bytes_, infer_bytes);
    if (!problem.resets.empty()) {
      REQUIRE_OK(varlstm_batch_set_resets(batch_.get(), problem.resets.data(), problem.tokens(), VARLSTM_LAYOUT_RAGGED,
                                          0, VARLSTM_SPACE_HOST, nullptr));
    }
    workspace_ = std::make_unique<ByteBuffer>(context, workspace_bytes_, fill, seed);
    reserve_ = std::make_unique<ByteBuffer>(context, reserve_bytes_, fill, seed + 1);
  }

  // Other values for the same shapes: gradient checks call this many times.
  void set(const RnnCase<T>& problem) {
    params_.set(problem.params);
    x_.set(to_rows(options_.input, problem.x));
    h0_.set(problem.h0);
    c0_.set(problem.c0);
  }

  // From now on the calls run with weights that are prepared for `mode`.
  void prepare(int32_t mode) {
    int64_t bytes = 0;
    REQUIRE_OK(varlstm_rnn_prepared_size(rnn_.get(), mode, &bytes));
    prepared_ = std::make_unique<ByteBuffer>(context_, bytes, fill_, seed_ + 3);
    varlstm_rnn* prepared = nullptr;
    REQUIRE_OK(varlstm_rnn_prepare(rnn_.get(), mode, params_.data(), prepared_->data(), bytes, nullptr, &prepared));
    rnn_.reset(prepared);
  }

  RnnOutputs<T> forward(int32_t mode = VARLSTM_MODE_SAVE, uint64_t dropout_seed = 0) {
    y_.fill_nan();
    h_n_.fill_nan();
    c_n_.fill_nan();
    c_.fill_nan();
    const bool save = mode == VARLSTM_MODE_SAVE;
    void* const reserve = save ? reserve_->data() : nullptr;
    const int64_t reserve_bytes = save ? reserve_bytes_ : 0;
    if (options_.cell_states) {
      REQUIRE_OK(varlstm_rnn_forward_with_c(rnn_.get(), batch_.get(), mode, dropout_seed, params_.data(), x_.data(),
                                            h0(), c0(), y_.data(), h_n_.data(), of_c(c_n_), c_.data(),
                                            workspace_->data(), workspace_bytes_, reserve, reserve_bytes, nullptr));
    } else {
      REQUIRE_OK(varlstm_rnn_forward(rnn_.get(), batch_.get(), mode, dropout_seed, params_.data(), x_.data(), h0(),
                                     c0(), y_.data(), h_n_.data(), of_c(c_n_), workspace_->data(), workspace_bytes_,
                                     reserve, reserve_bytes, nullptr));
    }
    return {from_rows(options_.directions() * options_.state(), y_.get()), h_n_.get(), c_n_.get(),
            from_rows(token_cell_states(), c_.get())};
  }

  // Backward of the last forward that saved. dparams starts from `dparams_before`, zeros where it is empty, and from
  // NaN if it is only written. The workspace is filled afresh: backward may not live on what forward left there.
  RnnGradients<T> backward(const RnnUpstream<T>& upstream, const std::vector<T>& dparams_before = {}) {
    const Buffer<T> dy(context_, to_rows(options_.directions() * options_.state(), upstream.dy));
    const Buffer<T> dh_n(context_, upstream.dh_n), dc_n(context_, upstream.dc_n);
    const Buffer<T> dc(context_, to_rows(token_cell_states(), upstream.dc));
    Buffer<T> dx(context_, x_.count()), dh0(context_, h_n_.count()), dc0(context_, c_n_.count());
    Buffer<T> dparams(context_, dparams_before.empty() ? std::vector<T>(params_.count(), T(0)) : dparams_before);
    if (!options_.add_dparams) dparams.fill_nan();
    workspace_->fill(fill_, seed_ + 2);
    const std::vector<unsigned char> reserve_before = reserve_->get();
    const T* const dy_or_null = upstream.dy.empty() ? nullptr : dy.data();
    const T* const dh_n_or_null = upstream.dh_n.empty() ? nullptr : dh_n.data();
    const T* const dc_n_or_null = upstream.dc_n.empty() ? nullptr : dc_n.data();
    if (upstream.dc.empty()) {
      REQUIRE_OK(varlstm_rnn_backward(rnn_.get(), batch_.get(), params_.data(), x_.data(), h0(), c0(), y_.data(),
                                      dy_or_null, dh_n_or_null, dc_n_or_null, dx.data(), dh0.data(), of_c(dc0),
                                      dparams.data(), workspace_->data(), workspace_bytes_, reserve_->data(),
                                      reserve_bytes_, nullptr));
    } else {
      REQUIRE_OK(varlstm_rnn_backward_with_c(rnn_.get(), batch_.get(), params_.data(), x_.data(), h0(), c0(), y_.data(),
                                             dy_or_null, dh_n_or_null, dc_n_or_null, dc.data(), dx.data(), dh0.data(),
                                             of_c(dc0), dparams.data(), workspace_->data(), workspace_bytes_,
                                             reserve_->data(), reserve_bytes_, nullptr));
    }
    EXPECT_TRUE(reserve_before == reserve_->get()) << "backward wrote to the reserve";
    return {from_rows(options_.input, dx.get()), dh0.get(), dc0.get(), dparams.get()};
  }

  // The raw pieces, for tests that call the ABI themselves.
  const varlstm_rnn* rnn() const { return rnn_.get(); }
  const varlstm_batch* batch() const { return batch_.get(); }
  Buffer<T>& params() { return params_; }
  Buffer<T>& x() { return x_; }
  Buffer<T>& y() { return y_; }
  ByteBuffer& workspace() { return *workspace_; }
  ByteBuffer& reserve() { return *reserve_; }
  const T* h0() const { return h0_.count() > 0 ? h0_.data() : nullptr; }
  const T* c0() const { return c0_.count() > 0 ? c0_.data() : nullptr; }

  // What a tensor c is given as: NULL if the cell has no cell state.
  T* of_c(Buffer<T>& buffer) const { return has_c() ? buffer.data() : nullptr; }
  const T* of_c(const Buffer<T>& buffer) const { return has_c() ? buffer.data() : nullptr; }

 private:
  bool has_c() const { return tested_cell(options_.cell).has_c; }
  // The features of c of every token; 0 if it is not wanted.
  int64_t token_cell_states() const { return options_.cell_states ? options_.directions() * options_.hidden : 0; }
  std::vector<T> to_rows(int64_t features, const std::vector<T>& ragged) const {
    return rows_from_ragged(options_.rows, lengths_, features, ragged);
  }
  std::vector<T> from_rows(int64_t features, const std::vector<T>& rows) const {
    return rows_to_ragged(options_.rows, lengths_, features, rows);
  }

  varlstm_ctx* context_;
  RnnOptions options_;
  std::vector<int64_t> lengths_;
  Fill fill_;
  uint64_t seed_;
  Batch batch_;
  Rnn rnn_;
  Buffer<T> params_, x_, h0_, c0_, y_, h_n_, c_n_, c_;
  int64_t workspace_bytes_ = 0, reserve_bytes_ = 0;
  std::unique_ptr<ByteBuffer> workspace_, reserve_, prepared_;
};

}  // namespace varlstm_test
