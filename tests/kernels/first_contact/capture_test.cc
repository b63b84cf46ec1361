// 5. The first training step of a process is captured into a graph: no kernel has been loaded before. For each way of
// the recurrence a process of its own, with the runtime loading kernels at their first use and at its start.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "support/compare.h"
#include "support/tagger_step.h"
#include "tests/kernels/first_contact/scale.h"

extern char** environ;

namespace varlstm_test {
namespace {

constexpr const char* kOfChild = "VARLSTM_FIRST_CONTACT_CAPTURE";

// In a child process, whose environment names the way.
TEST(FirstCaptureChild, FirstStepIsCaptured) {
  const char* recurrence = std::getenv(kOfChild);
  if (recurrence == nullptr) GTEST_SKIP() << "FirstCapture runs it, in a process of its own";
  const Context ctx = make_context();
  const Bounds bounds = {4, 6, 16};
  const std::vector<std::vector<int64_t>> batches = {{3, 1, 2, 6}, {0, 4, 4, 0}, {4, 4, 4, 4}, {1, 0, 0, 0}};
  TaggerStep captured(ctx.get(), bounds, std::atoi(recurrence));
  captured.set_input(batches[0], 0);
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_OK(varlstm_sync(ctx.get(), nullptr));
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  captured.enqueue(stream);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
  ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  TaggerStep eager(ctx.get(), bounds, std::atoi(recurrence));
  for (int k = 0; k < scale().capture_replays; ++k) {
    const std::vector<int64_t>& lengths = batches[static_cast<size_t>(k) % batches.size()];
    captured.set_input(lengths, static_cast<uint64_t>(k));
    eager.set_input(lengths, static_cast<uint64_t>(k));
    ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    eager.enqueue(stream);
    ASSERT_OK(varlstm_sync(ctx.get(), stream));
    ASSERT_EQ(captured.loss(), eager.loss()) << "replay " << k;
    ASSERT_TRUE(bitwise_equal(captured.params(), eager.params())) << "replay " << k;
  }
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

// The child's status as waitpid gives it; -1 where it did not start.
int run_child(int32_t recurrence, const std::string& loading) {
  const std::string way = std::string(kOfChild) + "=" + std::to_string(recurrence);
  const std::string modules = "CUDA_MODULE_LOADING=" + loading;
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    // The report of results is the parent's.
    if (text.rfind("CUDA_MODULE_LOADING=", 0) != 0 && text.rfind("GTEST_OUTPUT=", 0) != 0)
      environment.push_back(*entry);
  }
  environment.push_back(const_cast<char*>(way.c_str()));
  environment.push_back(const_cast<char*>(modules.c_str()));
  environment.push_back(nullptr);
  char program[] = "/proc/self/exe", filter[] = "--gtest_filter=FirstCaptureChild.*";
  char* arguments[] = {program, filter, nullptr};
  pid_t child = 0;
  int status = -1;
  if (posix_spawn(&child, program, nullptr, nullptr, arguments, environment.data()) != 0) return -1;
  return waitpid(child, &status, 0) == child ? status : -1;
}

TEST(FirstCapture, IsTheFirstStepOfAProcess) {
  // The emulated runtime loads in one way alone.
  const std::vector<const char*> ways =
      emulated() ? std::vector<const char*>{"LAZY"} : std::vector<const char*>{"LAZY", "EAGER"};
  for (const char* loading : ways) {
    for (const int32_t recurrence :
         {VARLSTM_RECURRENCE_STEPWISE, VARLSTM_RECURRENCE_CLUSTER, VARLSTM_RECURRENCE_GRID}) {
      EXPECT_EQ(run_child(recurrence, loading), 0)
          << "varlstm_recurrence " << recurrence << ", kernels loaded " << loading;
    }
  }
}

}  // namespace
}  // namespace varlstm_test
