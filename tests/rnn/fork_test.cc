// A process that has computed on two threads forks: the child, which has none of them, computes the same bits.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/rnn_runner.h"

namespace varlstm_test {
namespace {

constexpr int kSecondsOfChild = 20;

// Whatever computes on threads: the input's product, the recurrence, the sums of the weights' gradients, OpenBLAS.
class Training {
 public:
  Training(int64_t threads, int64_t hidden, const std::vector<int64_t>& lengths) : context_(make_context(threads)) {
    Random random(7);
    RnnOptions options;
    options.input = 24;
    options.hidden = hidden;
    options.layers = 2;
    options.bidirectional = hidden < 100;
    options.dropout = 0.25;
    const auto problem = make_rnn_case<float>(options, lengths, true, random);
    upstream_ = make_upstream(problem, random);
    runner_ = std::make_unique<RnnRunner<float>>(context_.get(), problem);
  }

  std::vector<float> step() {
    const RnnOutputs<float> outputs = runner_->forward(VARLSTM_MODE_SAVE, 5);
    const RnnGradients<float> gradients = runner_->backward(upstream_);
    std::vector<float> all;
    for (const auto* part :
         {&outputs.y, &outputs.h_n, &outputs.c_n, &gradients.dx, &gradients.dh0, &gradients.dc0, &gradients.dparams})
      all.insert(all.end(), part->begin(), part->end());
    return all;
  }

 private:
  Context context_;
  RnnUpstream<float> upstream_;
  std::unique_ptr<RnnRunner<float>> runner_;
};

// A team by sequences, and one by hidden units with a barrier in each step.
const std::vector<int64_t> kManySequences(32, 12), kFewSequences{40, 30, 20};
Training by_sequences() {
  return Training(2, 32, kManySequences);
}
Training by_units() {
  return Training(2, 160, kFewSequences);
}

// What the child's body says, as its exit status; a child that hangs is ended by SIGALRM.
int status_of_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(kSecondsOfChild);
    int status = 99;
    try {
      status = body();
    } catch (...) {
    }
    _exit(status);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_FALSE(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) << "the child hangs";
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

class Fork : public testing::TestWithParam<Training (*)()> {
 protected:
  void SetUp() override {
    if (test_backend() != VARLSTM_BACKEND_HOST) GTEST_SKIP() << "a CUDA context does not survive a fork";
  }
};

TEST_P(Fork, ChildAndParentGiveTheSameBits) {
  Training training = GetParam()();
  const std::vector<float> expected = training.step();
  EXPECT_EQ(status_of_child([&] { return training.step() == expected ? 0 : 1; }), 0);
  EXPECT_EQ(training.step(), expected);
  EXPECT_EQ(status_of_child([&] { return training.step() == expected ? 0 : 1; }), 0) << "forked once more";
}

int threads_of_process() {
  int count = 0;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) count += thread.exists();
  return count;
}

TEST_P(Fork, AndTheChildHasThreadsOfItsOwn) {
  Training training = GetParam()();
  training.step();
  EXPECT_EQ(status_of_child([&] {
              const int inherited = threads_of_process();
              training.step();
              return 10 * inherited + threads_of_process();
            }),
            10 + threads_of_process());
}

TEST_P(Fork, AndSoDoesAChildOfTheChild) {
  Training training = GetParam()();
  const std::vector<float> expected = training.step();
  const auto grandchild = [&] { return status_of_child([&] { return training.step() == expected ? 0 : 1; }); };
  EXPECT_EQ(status_of_child(grandchild), 0) << "of a child that computed nothing";
  EXPECT_EQ(status_of_child([&] { return training.step() == expected ? grandchild() : 1; }), 0);
}

TEST_P(Fork, AndThreadsThatTheChildStarts) {
  Training training = GetParam()();
  const std::vector<float> expected = training.step();
  EXPECT_EQ(status_of_child([&] {
              bool equal = false;
              std::thread([&] { equal = training.step() == expected; }).join();
              return equal && training.step() == expected ? 0 : 1;
            }),
            0);
}

TEST_P(Fork, FromAThreadBesideOthersThatComputed) {
  Training training = GetParam()(), other = GetParam()();
  const std::vector<float> expected = other.step();
  int status = -1;
  std::thread([&] {
    EXPECT_EQ(training.step(), expected);
    status = status_of_child([&] { return training.step() == expected && other.step() == expected ? 0 : 1; });
  }).join();
  EXPECT_EQ(status, 0);
}

std::string team_name(const testing::TestParamInfo<Training (*)()>& team) {
  return team.param == by_units ? "ByUnits" : "BySequences";
}
INSTANTIATE_TEST_SUITE_P(, Fork, testing::Values(by_sequences, by_units), team_name);

}  // namespace
}  // namespace varlstm_test
