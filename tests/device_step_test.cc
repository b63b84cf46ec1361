// A tagger's training step that needs the host for nothing: enqueued on a stream, captured into a graph and replayed
// for other lengths, which only the device knows; the bits of the same step without a graph. And how many launches it
// has.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "kernels/core/runtime.h"
#include "support/buffer.h"
#include "support/compare.h"
#include "support/lengths.h"
#include "support/linear_loss_case.h"
#include "support/lstm_case.h"

#if VARLSTM_EMULATED
#include "kernels/simt/runtime_control.h"
#endif

namespace varlstm_test {
namespace {

constexpr int64_t kVocab = 11, kFeatures = 5, kHidden = 9, kWidth = 2 * kHidden, kClasses = 6;

RnnOptions rnn_options() {
  RnnOptions options;
  options.input = kFeatures;
  options.hidden = kHidden;
  options.layers = 2;
  options.bidirectional = true;
  options.dropout = 0.25;
  return options;
}

// Everything that a step reads and writes, in device memory; a step only enqueues.
class Step {
 public:
  Step(varlstm_ctx* ctx, const Bounds& bounds, int32_t recurrence, bool fused_loss = false)
      : ctx_(ctx),
        bounds_(bounds),
        fused_loss_(fused_loss),
        batch_(make_batch(ctx, {}, bounds)),
        rnn_(make_rnn(ctx, rnn_options(), kF32)),
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

const int64_t Step::kRnn = lstm_param_count(rnn_options());
const int64_t Step::kCount = kTable + kRnn + kWeight + kClasses;

class DeviceStep : public ::testing::TestWithParam<int32_t> {};

// fused_loss: the last layer and the loss in one, in chunks of 5 rows.
void compare_graph_to_step(int32_t recurrence, bool fused_loss) {
  const Context ctx = make_context();
  const Bounds bounds = {4, 6, 16};
  const ForcedChunk chunk(5);
  Step eager(ctx.get(), bounds, recurrence, fused_loss), captured(ctx.get(), bounds, recurrence, fused_loss);
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  captured.enqueue(stream);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
  ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);

  const std::vector<std::vector<int64_t>> mini_batches = {{3, 1, 2, 6}, {0, 4, 4, 0}, {4, 4, 4, 4},
                                                          {6, 6, 1, 3}, {0, 0, 0, 1}, {1, 2, 3, 4}};
  const int replays = emulated() ? 8 : 1000;
  for (int k = 0; k < replays; ++k) {
    const std::vector<int64_t>& lengths = mini_batches[static_cast<size_t>(k) % mini_batches.size()];
    eager.set_input(lengths, static_cast<uint64_t>(k));
    captured.set_input(lengths, static_cast<uint64_t>(k));
    eager.enqueue(stream);
    ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    ASSERT_OK(varlstm_sync(ctx.get(), stream));
    ASSERT_TRUE(std::isfinite(eager.loss())) << "replay " << k;
    ASSERT_EQ(captured.loss(), eager.loss()) << "replay " << k;
    ASSERT_TRUE(bitwise_equal(captured.params(), eager.params())) << "replay " << k;
  }
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

TEST_P(DeviceStep, GraphGivesTheBitsOfTheStepForOtherLengths) {
  compare_graph_to_step(GetParam(), false);
}
TEST_P(DeviceStep, GraphOfTheLossInChunksToo) {
  compare_graph_to_step(GetParam(), true);
}

#if VARLSTM_EMULATED

std::map<std::string, int64_t> launches_of_step(varlstm_ctx* ctx, int64_t max_len, int32_t recurrence) {
  Step step(ctx, {3, max_len, 3 * max_len}, recurrence);
  step.set_input({max_len, 2, max_len - 1}, 1);
  varlstm::simt::record_enqueued_work(true);
  step.enqueue(nullptr);
  std::map<std::string, int64_t> count;
  for (const varlstm::simt::EnqueuedWork& work : varlstm::simt::enqueued_work()) ++count[work.name];
  varlstm::simt::record_enqueued_work(false);
  return count;
}

// For both directions of a layer one launch a step, or one in all where the recurrence is resident; nothing else looks
// at the length.
TEST_P(DeviceStep, LaunchesDependOnTheLengthThroughTheStepwiseRecurrenceAlone) {
  const Context ctx = make_context();
  const bool stepwise = GetParam() == VARLSTM_RECURRENCE_STEPWISE;
  std::map<std::string, int64_t> few = launches_of_step(ctx.get(), 5, GetParam()),
                                 many = launches_of_step(ctx.get(), 20, GetParam());
  for (const std::string direction : {"forward", "backward"}) {
    const std::string recurrence = (stepwise ? "stepwise_" : "resident_") + direction;
    EXPECT_EQ(few[recurrence], 2 * (stepwise ? 5 : 1)) << recurrence;
    EXPECT_EQ(many[recurrence], 2 * (stepwise ? 20 : 1)) << recurrence;
    few.erase(recurrence);
    many.erase(recurrence);
  }
  EXPECT_EQ(few, many);
  EXPECT_GT(few.size(), 10u);
}

#endif

std::string label(const ::testing::TestParamInfo<int32_t>& tested) {
  return tested.param == VARLSTM_RECURRENCE_STEPWISE  ? "stepwise"
         : tested.param == VARLSTM_RECURRENCE_CLUSTER ? "cluster"
                                                      : "grid";
}

INSTANTIATE_TEST_SUITE_P(Recurrences, DeviceStep,
                         ::testing::Values(VARLSTM_RECURRENCE_STEPWISE, VARLSTM_RECURRENCE_CLUSTER,
                                           VARLSTM_RECURRENCE_GRID),
                         label);

}  // namespace
}  // namespace varlstm_test
