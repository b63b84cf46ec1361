// A tagger's training step that needs the host for nothing: enqueued on a stream, captured into a graph and replayed
// for other lengths, which only the device knows; the bits of the same step without a graph. And how many launches it
// has. The same of a step of streams, whose slots only the device knows.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "kernels/core/runtime.h"
#include "support/compare.h"
#include "support/lengths.h"
#include "support/linear_loss_case.h"
#include "support/rnn_case.h"
#include "support/tagger_step.h"

#if VARLSTM_EMULATED
#include "support/enqueued_work.h"
#endif

namespace varlstm_test {
namespace {

class DeviceStep : public ::testing::TestWithParam<int32_t> {};

// fused_loss: the last layer and the loss in one, in chunks of 5 rows.
void compare_graph_to_step(int32_t recurrence, bool fused_loss) {
  const Context ctx = make_context();
  const Bounds bounds = {4, 6, 16};
  const ForcedChunk chunk(5);
  TaggerStep eager(ctx.get(), bounds, recurrence, fused_loss), captured(ctx.get(), bounds, recurrence, fused_loss);
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

// Two layers of an LSTM step three streams. enqueue() reads x and slots when the work runs.
class StreamStep {
 public:
  static constexpr int64_t kStreams = 3, kSlots = 5, kInput = 4, kHidden = 20, kLayers = 2;

  explicit StreamStep(varlstm_ctx* ctx)
      : ctx_(ctx), rnn_(make_rnn(ctx, {kInput, kHidden, kLayers, false, true, 0.0}, VARLSTM_DTYPE_F32)) {
    REQUIRE_OK(varlstm_rnn_step_size(rnn_.get(), kStreams, kSlots, &bytes_));
    workspace = std::make_unique<ByteBuffer>(ctx, bytes_);
    params.set(Random(1).vector<float>(params.count(), -0.3, 0.3));
    h.set(std::vector<float>(h.count(), 0.0f));
    c.set(std::vector<float>(c.count(), 0.0f));
  }

  void enqueue(void* stream) {
    EXPECT_OK(varlstm_rnn_step(rnn_.get(), kStreams, params.data(), x.data(), slots.data(), kSlots, h.data(), c.data(),
                               y.data(), workspace->data(), bytes_, stream));
  }

 private:
  varlstm_ctx* ctx_;
  Rnn rnn_;
  int64_t bytes_ = 0;

 public:
  Buffer<float> params{ctx_, rnn_param_count({kInput, kHidden, kLayers, false, true, 0.0})};
  Buffer<float> x{ctx_, kStreams*kInput}, y{ctx_, kStreams*kHidden};
  Buffer<float> h{ctx_, kLayers*kSlots*kHidden}, c{ctx_, kLayers*kSlots*kHidden};
  Buffer<int64_t> slots{ctx_, kStreams};
  std::unique_ptr<ByteBuffer> workspace;
};

TEST(StreamStepOnADevice, GraphGivesTheBitsOfTheStepForOtherSlots) {
  const Context ctx = make_context();
  StreamStep eager(ctx.get()), captured(ctx.get());
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  captured.enqueue(stream);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
  ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  Random random(2);
  for (int k = 0; k < (emulated() ? 6 : 100); ++k) {
    std::vector<int64_t> slots = random.permutation(StreamStep::kSlots);
    slots.resize(StreamStep::kStreams);
    const std::vector<float> x = random.vector<float>(eager.x.count());
    for (StreamStep* one : {&eager, &captured}) {
      one->slots.set(slots);
      one->x.set(x);
    }
    eager.enqueue(stream);
    ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    ASSERT_OK(varlstm_sync(ctx.get(), stream));
    ASSERT_TRUE(all_finite(eager.y.get()));
    ASSERT_TRUE(bitwise_equal(captured.y.get(), eager.y.get())) << "replay " << k;
    ASSERT_TRUE(bitwise_equal(captured.h.get(), eager.h.get())) << "replay " << k;
    ASSERT_TRUE(bitwise_equal(captured.c.get(), eager.c.get())) << "replay " << k;
  }
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

#if VARLSTM_EMULATED

// Two launches for each layer and two for the whole call.
TEST(StreamStepOnADevice, Launches) {
  const Context ctx = make_context();
  StreamStep step(ctx.get());
  step.slots.set({2, 0, 4});
  step.x.set(std::vector<float>(step.x.count(), 0.5f));
  std::map<std::string, int64_t> count = count_enqueued([&] { step.enqueue(nullptr); });
  EXPECT_EQ(kernels_in(count) + others_in(count), 2 * StreamStep::kLayers + 2);
  EXPECT_EQ(count["check_slots"], 1);
  EXPECT_EQ(count["step_layer"], StreamStep::kLayers);
  EXPECT_EQ(count["store_states"], 1);
}

std::map<std::string, int64_t> launches_of_step(varlstm_ctx* ctx, int64_t max_len, int32_t recurrence) {
  TaggerStep step(ctx, {3, max_len, 3 * max_len}, recurrence);
  step.set_input({max_len, 2, max_len - 1}, 1);
  return count_enqueued([&] { step.enqueue(nullptr); });
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
