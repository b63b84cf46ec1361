// A tagger's training step in device memory that needs the host for nothing: it only enqueues, so that a CUDA graph can
// capture it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/core/runtime.h"
#include "support/buffer.h"
#include "support/rnn_case.h"

namespace varlstm_test {

// Everything that a step reads and writes, in device memory; a step only enqueues.
class TaggerStep {
  static constexpr int64_t kVocab = 11, kFeatures = 5, kHidden = 9, kWidth = 2 * kHidden, kClasses = 6;

 public:
  TaggerStep(varlstm_ctx* ctx, const Bounds& bounds, int32_t recurrence, bool fused_loss = false)
      : ctx_(ctx),
        bounds_(bounds),
        fused_loss_(fused_loss),
        batch_(make_batch(ctx, {}, bounds)),
        rnn_(make_rnn(ctx, network(), kF32)),
        loss_(make_loss(ctx, kClasses)),
        lengths_(ctx, bounds.max_batch),
        padded_ids_(ctx, bounds.max_batch * bounds.max_len),
        padded_tags_(ctx, bounds.max_batch * bounds.max_len),
        ids_(ctx, bounds.max_tokens),
        tags_(ctx, bounds.max_tokens),
        x_(ctx, bounds.max_tokens * kFeatures),
        y_(ctx, bounds.max_tokens * kWidth),
        dy_(ctx, bounds.max_tokens * kWidth),
        dx_(ctx, bounds.max_tokens * kFeatures),
        logits_(ctx, bounds.max_tokens * kClasses),
        dlogits_(ctx, bounds.max_tokens * kClasses),
        lse_(ctx, bounds.max_tokens),
        loss_value_(ctx, 1),
        params_(ctx, kCount),
        grads_(ctx, kCount),
        m_(ctx, kCount),
        v_(ctx, kCount),
        steps_(ctx, std::vector<int64_t>{0}),
        norm_(ctx, 1),
        op_workspace_(ctx, most_op_workspace(ctx, bounds.max_tokens)) {
    REQUIRE_OK(varlstm_rnn_set_i64(rnn_.get(), VARLSTM_KEY_RECURRENCE, recurrence));
    int64_t used = 0;
    REQUIRE_OK(varlstm_rnn_get_i64(rnn_.get(), VARLSTM_KEY_RECURRENCE_USED, &used));
    EXPECT_EQ(used, recurrence);
    REQUIRE_OK(varlstm_rnn_sizes(rnn_.get(), bounds.max_batch, bounds.max_len, bounds.max_tokens, VARLSTM_MODE_SAVE,
                                 &workspace_bytes_, &reserve_bytes_));
    workspace_ = std::make_unique<ByteBuffer>(ctx, workspace_bytes_);
    reserve_ = std::make_unique<ByteBuffer>(ctx, reserve_bytes_);
    Random random(12);
    params_.set(random.vector<float>(kCount, -0.4, 0.4));
    m_.set(std::vector<float>(kCount));
    v_.set(std::vector<float>(kCount));
  }

  // The next mini-batch; sequences of other lengths, as many as before.
  void set_input(const std::vector<int64_t>& lengths, uint64_t seed) {
    Random random(seed);
    lengths_.set(lengths);
    padded_ids_.set(random.integers(padded_ids_.count(), 0, kVocab - 1));
    padded_tags_.set(random.integers(padded_tags_.count(), 0, kClasses - 1));
  }

  void enqueue(cudaStream_t stream) {
    const int64_t rows = bounds_.max_tokens;
    float *table = params_.data(), *rnn = table + kTable, *weight = rnn + kRnn, *bias = weight + kWeight;
    float *dtable = grads_.data(), *drnn = dtable + kTable, *dweight = drnn + kRnn, *dbias = dweight + kWeight;
    void* work = op_workspace_.data();
    const int64_t work_bytes = op_workspace_.bytes();
    EXPECT_OK(
        varlstm_batch_set_lengths(batch_.get(), lengths_.data(), bounds_.max_batch, VARLSTM_SPACE_BACKEND, stream));
    EXPECT_OK(varlstm_pack(batch_.get(), VARLSTM_DTYPE_I64, VARLSTM_LAYOUT_BATCH_FIRST, bounds_.max_len, 1,
                           padded_ids_.data(), ids_.data(), stream));
    EXPECT_OK(varlstm_pack(batch_.get(), VARLSTM_DTYPE_I64, VARLSTM_LAYOUT_BATCH_FIRST, bounds_.max_len, 1,
                           padded_tags_.data(), tags_.data(), stream));
    EXPECT_OK(varlstm_embedding_forward(ctx_, batch_.get(), kF32, rows, kVocab, kFeatures, table, ids_.data(),
                                        x_.data(), stream));
    EXPECT_OK(varlstm_rnn_forward(rnn_.get(), batch_.get(), VARLSTM_MODE_SAVE, 3, rnn, x_.data(), nullptr, nullptr,
                                  y_.data(), nullptr, nullptr, workspace_->data(), workspace_bytes_, reserve_->data(),
                                  reserve_bytes_, stream));
    EXPECT_OK(varlstm_zero(ctx_, grads_.data(), grads_.bytes(), stream));
    if (fused_loss_) {
      EXPECT_OK(varlstm_linear_cross_entropy_forward(loss_.get(), batch_.get(), kF32, rows, kWidth, y_.data(), weight,
                                                     bias, tags_.data(), nullptr, loss_value_.data(), nullptr,
                                                     lse_.data(), work, work_bytes, stream));
      EXPECT_OK(varlstm_linear_cross_entropy_backward(loss_.get(), batch_.get(), kF32, rows, kWidth, y_.data(), weight,
                                                      bias, tags_.data(), nullptr, lse_.data(), nullptr, dy_.data(),
                                                      dweight, dbias, work, work_bytes, stream));
    } else {
      EXPECT_OK(varlstm_linear_forward(ctx_, kF32, rows, kWidth, kClasses, y_.data(), weight, bias, logits_.data(),
                                       work, work_bytes, stream));
      EXPECT_OK(varlstm_cross_entropy_forward(loss_.get(), batch_.get(), kF32, rows, logits_.data(), tags_.data(),
                                              nullptr, loss_value_.data(), nullptr, dlogits_.data(), work, work_bytes,
                                              stream));
      EXPECT_OK(varlstm_linear_backward(ctx_, kF32, rows, kWidth, kClasses, y_.data(), weight, dlogits_.data(),
                                        dy_.data(), dweight, dbias, work, work_bytes, stream));
    }
    EXPECT_OK(varlstm_rnn_backward(rnn_.get(), batch_.get(), rnn, x_.data(), nullptr, nullptr, y_.data(), dy_.data(),
                                   nullptr, nullptr, dx_.data(), nullptr, nullptr, drnn, workspace_->data(),
                                   workspace_bytes_, reserve_->data(), reserve_bytes_, stream));
    EXPECT_OK(varlstm_embedding_backward(ctx_, batch_.get(), kF32, rows, kVocab, kFeatures, 0, ids_.data(), dx_.data(),
                                         dtable, work, work_bytes, stream));
    EXPECT_OK(varlstm_clip_grad_norm(ctx_, kF32, kCount, 0.5, grads_.data(), norm_.data(), work, work_bytes, stream));
    EXPECT_OK(varlstm_adam_step(ctx_, kF32, kCount, 0.01, 0.9, 0.999, 1e-8, 0.0, 0, params_.data(), grads_.data(),
                                m_.data(), v_.data(), steps_.data(), stream));
  }

  std::vector<float> params() const { return params_.get(); }
  float loss() const { return loss_value_.get()[0]; }

 private:
  static RnnOptions network() {
    RnnOptions options;
    options.input = kFeatures;
    options.hidden = kHidden;
    options.layers = 2;
    options.bidirectional = true;
    options.dropout = 0.25;
    return options;
  }

  static constexpr int32_t kF32 = VARLSTM_DTYPE_F32;
  static constexpr int64_t kTable = kVocab * kFeatures, kWeight = kClasses * kWidth;
  static const int64_t kRnn, kCount;

  static int64_t most_op_workspace(varlstm_ctx* ctx, int64_t rows) {
    const int64_t shapes[][4] = {{VARLSTM_OP_EMBEDDING_BACKWARD, rows, kVocab, kFeatures},
                                 {VARLSTM_OP_LINEAR_FORWARD, rows, kWidth, kClasses},
                                 {VARLSTM_OP_LINEAR_BACKWARD, rows, kWidth, kClasses},
                                 {VARLSTM_OP_CROSS_ENTROPY, rows, kClasses, 0},
                                 {VARLSTM_OP_LINEAR_CROSS_ENTROPY_FORWARD, rows, kWidth, kClasses},
                                 {VARLSTM_OP_LINEAR_CROSS_ENTROPY_BACKWARD, rows, kWidth, kClasses},
                                 {VARLSTM_OP_GRAD_NORM, kCount, 0, 0}};
    int64_t most = 0;
    for (const auto& shape : shapes) {
      int64_t bytes = 0;
      REQUIRE_OK(varlstm_op_workspace(ctx, static_cast<int32_t>(shape[0]), kF32, shape[1], shape[2], shape[3], &bytes));
      most = std::max(most, bytes);
    }
    return most;
  }

  varlstm_ctx* ctx_;
  Bounds bounds_;
  bool fused_loss_;  // linear layer and loss in one
  Batch batch_;
  Rnn rnn_;
  Loss loss_;
  Buffer<int64_t> lengths_, padded_ids_, padded_tags_, ids_, tags_;
  Buffer<float> x_, y_, dy_, dx_, logits_, dlogits_, lse_, loss_value_, params_, grads_, m_, v_;
  Buffer<int64_t> steps_;
  Buffer<double> norm_;
  ByteBuffer op_workspace_;
  std::unique_ptr<ByteBuffer> workspace_, reserve_;
  int64_t workspace_bytes_ = 0, reserve_bytes_ = 0;
};

inline const int64_t TaggerStep::kRnn = rnn_param_count(network());
inline const int64_t TaggerStep::kCount = kTable + kRnn + kWeight + kClasses;

}  // namespace varlstm_test
