// A training step by every kind of call that the C ABI has, from the context's creation to its destruction: for tests
// that let something fail on the way.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>

#include "support/context.h"

namespace varlstm_test {

// Every call stands in step(), which stops at the first error; nothing here allocates itself.
class TrainingStep {
 public:
  // Called around the calls that may not allocate, counts allocations; null: not counted.
  using Count = int64_t (*)();

  // threads 0: not set.
  explicit TrainingStep(int64_t threads, Count allocations_made = nullptr)
      : threads_(threads), allocations_made_(allocations_made) {}

  TrainingStep(const TrainingStep&) = delete;
  TrainingStep& operator=(const TrainingStep&) = delete;

  ~TrainingStep() {
    for (int k = 0; k < taken_; ++k) varlstm_free(ctx_, memory_[k]);
    varlstm_loss_destroy(loss_);
    varlstm_rnn_destroy(rnn_);
    varlstm_batch_destroy(batch_);
    if (varlstm_ctx_destroy(ctx_) != VARLSTM_OK) std::abort();
  }

  int32_t run() {
    create();
    take_memory();
    forward_and_backward();
    rest_of_the_operations();
    return status_;
  }

  // A call that failed is made once more before the step gives up.
  void retry_failed_calls() { retries_ = true; }

  varlstm_ctx* ctx() const { return ctx_; }
  int64_t failures() const { return failures_; }
  int64_t hidden_allocations() const { return hidden_allocations_; }
  const char* first_hidden() const { return first_hidden_; }

 private:
  // A call that may allocate.
  template <class Make>
  void create(const Make& make) {
    if (status_ != VARLSTM_OK) return;
    status_ = make();
    if (status_ == VARLSTM_OK) return;
    ++failures_;
    if (retries_) status_ = make();
  }

  // A call that must not.
  template <class Run>
  void step(const char* name, const Run& call) {
    const int64_t before = allocations_made_ == nullptr ? 0 : allocations_made_();
    create(call);
    const int64_t made = allocations_made_ == nullptr ? 0 : allocations_made_() - before;
    if (made > 0 && hidden_allocations_ == 0) first_hidden_ = name;
    hidden_allocations_ += made;
  }

  template <class T>
  T* take(int64_t count) {
    void* memory = nullptr;
    create([&] { return varlstm_alloc(ctx_, count * static_cast<int64_t>(sizeof(T)), &memory); });
    if (status_ == VARLSTM_OK) {
      memory_[taken_++] = memory;
      step("varlstm_zero",
           [&] { return varlstm_zero(ctx_, memory, count * static_cast<int64_t>(sizeof(T)), nullptr); });
    }
    return static_cast<T*>(memory);
  }

  void create() {
    create([&] { return varlstm_ctx_create(test_backend(), 0, &ctx_); });
    if (threads_ != 0) {
      step("varlstm_ctx_set_i64", [&] { return varlstm_ctx_set_i64(ctx_, VARLSTM_KEY_THREADS, threads_); });
    }
    create([&] { return varlstm_batch_create(ctx_, kBatch, kLen, kTokens, &batch_); });
    create([&] { return varlstm_rnn_create(ctx_, VARLSTM_CELL_LSTM, kFeatures, kHidden, kLayers, &rnn_); });
    create([&] { return varlstm_loss_create(ctx_, kClasses, &loss_); });
    step("varlstm_rnn_set_i64", [&] { return varlstm_rnn_set_i64(rnn_, VARLSTM_KEY_DTYPE, kF64); });
    step("varlstm_rnn_set_f64", [&] { return varlstm_rnn_set_f64(rnn_, VARLSTM_KEY_DROPOUT, 0.5); });
    step("varlstm_batch_from_batch_sizes", [&] {
      const int64_t sizes[2] = {3, 1}, order[3] = {2, 0, 1};
      return varlstm_batch_from_batch_sizes(batch_, sizes, 2, order, nullptr);
    });
    step("varlstm_batch_set_lengths", [&] {
      const int64_t lengths[kBatch] = {2, 4, 1};
      return varlstm_batch_set_lengths(batch_, lengths, kBatch, VARLSTM_SPACE_HOST, nullptr);
    });
  }

  void take_memory() {
    step("varlstm_rnn_param_count", [&] { return varlstm_rnn_param_count(rnn_, nullptr, &elements_); });
    step("varlstm_rnn_sizes", [&] {
      return varlstm_rnn_sizes(rnn_, kBatch, kLen, kTokens, VARLSTM_MODE_SAVE, &rnn_bytes_, &reserve_bytes_);
    });
    step("varlstm_rnn_step_size", [&] { return varlstm_rnn_step_size(rnn_, kBatch, kSlots, &stepping_bytes_); });
    const struct {
      int32_t op;
      int64_t rows, a, b;
    } operations[] = {{VARLSTM_OP_EMBEDDING_BACKWARD, kTokens, kVocab, kFeatures},
                      {VARLSTM_OP_LINEAR_FORWARD, kTokens, kHidden, kClasses},
                      {VARLSTM_OP_LINEAR_BACKWARD, kTokens, kHidden, kClasses},
                      {VARLSTM_OP_NLL, kTokens, kClasses, 0},
                      {VARLSTM_OP_CROSS_ENTROPY, kTokens, kClasses, 0},
                      {VARLSTM_OP_LINEAR_CROSS_ENTROPY_FORWARD, kTokens, kHidden, kClasses},
                      {VARLSTM_OP_LINEAR_CROSS_ENTROPY_BACKWARD, kTokens, kHidden, kClasses},
                      {VARLSTM_OP_GRAD_NORM, elements_, 0, 0}};
    for (const auto& one : operations) {
      int64_t bytes = 0;
      step("varlstm_op_workspace",
           [&] { return varlstm_op_workspace(ctx_, one.op, kF64, one.rows, one.a, one.b, &bytes); });
      if (bytes > op_bytes_) op_bytes_ = bytes;
    }
    ids_ = take<int64_t>(kBatch * kLen);
    tokens_ = take<int64_t>(kTokens);
    table_ = take<double>(kVocab * kFeatures);
    x_ = take<double>(kTokens * kFeatures);
    params_ = take<double>(elements_);
    grads_ = take<double>(elements_);
    m_ = take<double>(elements_);
    v_ = take<double>(elements_);
    y_ = take<double>(kTokens * kHidden);
    dy_ = take<double>(kTokens * kHidden);
    dx_ = take<double>(kTokens * kFeatures);
    weight_ = take<double>(kClasses * kHidden);
    dweight_ = take<double>(kClasses * kHidden);
    logits_ = take<double>(kTokens * kClasses);
    lse_ = take<double>(kTokens);
    out_ = take<double>(1);
    norm_ = take<double>(1);
    step_ = take<int64_t>(1);
    padded_ = take<double>(kBatch * kLen * kClasses);
    slots_ = take<int64_t>(kBatch);
    h_ = take<double>(kLayers * kSlots * kHidden);
    c_ = take<double>(kLayers * kSlots * kHidden);
    stepping_workspace_ = take<char>(stepping_bytes_);
    rnn_workspace_ = take<char>(rnn_bytes_);
    reserve_ = take<char>(reserve_bytes_);
    op_workspace_ = take<char>(op_bytes_);
  }

  void forward_and_backward() {
    step("varlstm_pack", [&] {
      return varlstm_pack(batch_, VARLSTM_DTYPE_I64, VARLSTM_LAYOUT_BATCH_FIRST, kLen, 1, ids_, tokens_, nullptr);
    });
    step("varlstm_embedding_forward", [&] {
      return varlstm_embedding_forward(ctx_, batch_, kF64, kTokens, kVocab, kFeatures, table_, tokens_, x_, nullptr);
    });
    step("varlstm_rnn_forward", [&] {
      return varlstm_rnn_forward(rnn_, batch_, VARLSTM_MODE_SAVE, 9, params_, x_, nullptr, nullptr, y_, nullptr,
                                 nullptr, rnn_workspace_, rnn_bytes_, reserve_, reserve_bytes_, nullptr);
    });
    step("varlstm_linear_forward", [&] {
      return varlstm_linear_forward(ctx_, kF64, kTokens, kHidden, kClasses, y_, weight_, nullptr, logits_,
                                    op_workspace_, op_bytes_, nullptr);
    });
    step("varlstm_cross_entropy_forward", [&] {
      return varlstm_cross_entropy_forward(loss_, batch_, kF64, kTokens, logits_, tokens_, nullptr, out_, nullptr,
                                           logits_, op_workspace_, op_bytes_, nullptr);
    });
    step("varlstm_cross_entropy_backward",
         [&] { return varlstm_cross_entropy_backward(loss_, kF64, kTokens, nullptr, logits_, nullptr); });
    step("varlstm_linear_backward", [&] {
      return varlstm_linear_backward(ctx_, kF64, kTokens, kHidden, kClasses, y_, weight_, logits_, dy_, dweight_,
                                     nullptr, op_workspace_, op_bytes_, nullptr);
    });
    step("varlstm_linear_cross_entropy_forward", [&] {
      return varlstm_linear_cross_entropy_forward(loss_, batch_, kF64, kTokens, kHidden, y_, weight_, nullptr, tokens_,
                                                  nullptr, out_, nullptr, lse_, op_workspace_, op_bytes_, nullptr);
    });
    step("varlstm_linear_cross_entropy_backward", [&] {
      return varlstm_linear_cross_entropy_backward(loss_, batch_, kF64, kTokens, kHidden, y_, weight_, nullptr, tokens_,
                                                   nullptr, lse_, nullptr, dy_, dweight_, nullptr, op_workspace_,
                                                   op_bytes_, nullptr);
    });
    step("varlstm_rnn_backward", [&] {
      return varlstm_rnn_backward(rnn_, batch_, params_, x_, nullptr, nullptr, y_, dy_, nullptr, nullptr, dx_, nullptr,
                                  nullptr, grads_, rnn_workspace_, rnn_bytes_, reserve_, reserve_bytes_, nullptr);
    });
    step("varlstm_embedding_backward", [&] {
      return varlstm_embedding_backward(ctx_, batch_, kF64, kTokens, kVocab, kFeatures, 0, tokens_, dx_, table_,
                                        op_workspace_, op_bytes_, nullptr);
    });
  }

  void rest_of_the_operations() {
    step("varlstm_clip_grad_norm", [&] {
      return varlstm_clip_grad_norm(ctx_, kF64, elements_, 1.0, grads_, norm_, op_workspace_, op_bytes_, nullptr);
    });
    step("varlstm_adam_step", [&] {
      return varlstm_adam_step(ctx_, kF64, elements_, 0.1, 0.9, 0.999, 1e-8, 0.0, 0, params_, grads_, m_, v_, step_,
                               nullptr);
    });
    step("varlstm_sgd_step",
         [&] { return varlstm_sgd_step(ctx_, kF64, elements_, 0.1, 0.9, 0.0, 0, params_, grads_, m_, nullptr); });
    step("varlstm_copy", [&] {
      const int64_t slots[kBatch] = {3, 0, 2};
      return varlstm_copy(ctx_, slots_, slots, sizeof slots, VARLSTM_COPY_TO_BACKEND, nullptr);
    });
    step("varlstm_rnn_step", [&] {
      return varlstm_rnn_step(rnn_, kBatch, params_, x_, slots_, kSlots, h_, c_, y_, stepping_workspace_,
                              stepping_bytes_, nullptr);
    });
    step("varlstm_dropout_forward",
         [&] { return varlstm_dropout_forward(ctx_, kF64, kTokens * kHidden, 0.5, 3, y_, y_, nullptr); });
    step("varlstm_log_softmax_forward",
         [&] { return varlstm_log_softmax_forward(ctx_, kF64, kTokens, kClasses, logits_, logits_, nullptr); });
    step("varlstm_nll_forward", [&] {
      return varlstm_nll_forward(loss_, batch_, kF64, kTokens, logits_, tokens_, nullptr, out_, nullptr, op_workspace_,
                                 op_bytes_, nullptr);
    });
    step("varlstm_nll_backward", [&] {
      return varlstm_nll_backward(loss_, batch_, kF64, kTokens, tokens_, nullptr, nullptr, logits_, op_workspace_,
                                  op_bytes_, nullptr);
    });
    step("varlstm_log_softmax_backward",
         [&] { return varlstm_log_softmax_backward(ctx_, kF64, kTokens, 1, y_, dy_, dy_, nullptr); });
    step("varlstm_unpack", [&] {
      return varlstm_unpack(batch_, kF64, VARLSTM_LAYOUT_TIME_MAJOR, kLen, kClasses, 0.0, logits_, padded_, nullptr);
    });
    step("varlstm_ctx_device_status", [&] {
      int64_t bits = 0;
      return varlstm_ctx_device_status(ctx_, 1, &bits, nullptr, nullptr);
    });
    step("varlstm_sync", [&] { return varlstm_sync(ctx_, nullptr); });
  }

  static constexpr int32_t kF64 = VARLSTM_DTYPE_F64;
  static constexpr int64_t kBatch = 3, kLen = 4, kTokens = 7, kVocab = 5, kFeatures = 3, kHidden = 4, kClasses = 6;
  static constexpr int64_t kLayers = 2, kSlots = 5;

  int64_t threads_;
  Count allocations_made_;
  bool retries_ = false;
  int64_t failures_ = 0;
  int32_t status_ = VARLSTM_OK;
  int64_t hidden_allocations_ = 0;
  const char* first_hidden_ = "";

  varlstm_ctx* ctx_ = nullptr;
  varlstm_batch* batch_ = nullptr;
  varlstm_rnn* rnn_ = nullptr;
  varlstm_loss* loss_ = nullptr;
  void* memory_[32] = {};
  int taken_ = 0;

  int64_t elements_ = 0, rnn_bytes_ = 0, reserve_bytes_ = 0, op_bytes_ = 0, stepping_bytes_ = 0;
  int64_t *ids_ = nullptr, *tokens_ = nullptr, *step_ = nullptr, *slots_ = nullptr;
  double *table_ = nullptr, *x_ = nullptr, *params_ = nullptr, *grads_ = nullptr, *m_ = nullptr, *v_ = nullptr;
  double *y_ = nullptr, *dy_ = nullptr, *dx_ = nullptr, *weight_ = nullptr, *dweight_ = nullptr, *logits_ = nullptr;
  double *lse_ = nullptr, *out_ = nullptr, *norm_ = nullptr, *padded_ = nullptr, *h_ = nullptr, *c_ = nullptr;
  char *rnn_workspace_ = nullptr, *reserve_ = nullptr, *op_workspace_ = nullptr, *stepping_workspace_ = nullptr;
};

}  // namespace varlstm_test
