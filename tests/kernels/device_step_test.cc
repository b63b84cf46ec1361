// A tagger's training step that needs the host for nothing: enqueued on a stream, captured into a graph and replayed
// for other lengths, which only the device knows; the bits of the same step without a graph. And how many launches it
// has.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "kernels/core/runtime.h"
#include "support/compare.h"
#include "support/lengths.h"
#include "support/linear_loss_case.h"
#include "support/tagger_step.h"

#if VARLSTM_EMULATED
#include "kernels/simt/runtime_control.h"
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

#if VARLSTM_EMULATED

std::map<std::string, int64_t> launches_of_step(varlstm_ctx* ctx, int64_t max_len, int32_t recurrence) {
  TaggerStep step(ctx, {3, max_len, 3 * max_len}, recurrence);
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
