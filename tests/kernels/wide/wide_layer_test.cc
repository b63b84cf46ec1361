// A layer whose passes both run by wide teams, through the C ABI: against the naive cell in double, and with the bits
// of the policy in whose place they run, whatever the caller gives, and if resets make more segments than sequences.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "support/way_accuracy.h"
#include "support/wide_run.h"

namespace varlstm_test {
namespace {

struct Case {
  RecurrenceWay way;
  int64_t hidden;

  friend void PrintTo(const Case& of, std::ostream* out) { *out << of.way.name() << " of H = " << of.hidden; }
};

class WideLayer : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (test_backend() == VARLSTM_BACKEND_HOST) GTEST_SKIP() << "the host has one way alone";
    ASSERT_TRUE(has_wide_backward(way(), GetParam().hidden));
  }
  const RecurrenceWay& way() const { return GetParam().way; }
  WayCase make_case(bool states) {
    WayCase made = make_way_case(way().precision.stored, options_of(way(), GetParam().hidden, false), {2, 0, 1, 3},
                                 states, random_);
    add_resets(made.problem, 0.5, random_);
    return made;
  }
  Random random_{47};
};

TEST_P(WideLayer, MatchesTheReference) {
  const WayCase given = make_case(true);
  SCOPED_TRACE(describe(given.problem));
  const LayerRun actual = run_wide(way(), given, 1);
  expect_accurate(way().precision, actual.results, run_model(way().precision, given), run_exact(given));
  expect_same(actual, run_own(way(), given));
}

// Gradients of the outputs alone, and of the final states alone. What the caller leaves out concerns the cells, which
// are the same in every order of sums.
TEST_P(WideLayer, NeedsNoStatesAndNotEveryGradient) {
  if (way().policy != VARLSTM_RECURRENCE_STEPWISE) GTEST_SKIP() << "stepwise has shown it";
  WayCase given = make_case(false);
  const RnnUpstream<double> all = given.upstream;
  given.upstream.dh_n.clear(), given.upstream.dc_n.clear();
  expect_same(run_wide(way(), given, 1), run_own(way(), given));
  given.upstream = all;
  given.upstream.dy.clear();
  expect_same(run_wide(way(), given, 1), run_own(way(), given));
}

#if VARLSTM_EMULATED
// What VARLSTM_PRINT_POLICY says of the wide teams of an LSTM that takes this policy.
std::string printed(int32_t policy, int64_t hidden) {
  const RecurrenceWay way = {policy, kPrecisions[2]};
  const Device device(0, hidden, 1);  // 0: no number of slots is forced
  setenv("VARLSTM_PRINT_POLICY", "1", 1);
  ::testing::internal::CaptureStderr();
  const Context context = make_context(way);
  make_rnn(context.get(), options_of(way, hidden, false), way);
  unsetenv("VARLSTM_PRINT_POLICY");
  return ::testing::internal::GetCapturedStderr();
}

TEST(WidePolicy, IsPrintedForEachPass) {
  if (test_backend() == VARLSTM_BACKEND_HOST) GTEST_SKIP() << "the host has one way alone";
  const auto expect_has = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  const std::string of_grid = printed(VARLSTM_RECURRENCE_GRID, 512);
  expect_has(of_grid, "wide teams forward where they are faster: up to 2 of 32 blocks and 64 slots");
  expect_has(of_grid, "wide teams backward where they are faster: up to 1 of 32 blocks and 64 slots");
  for (const int32_t policy : {VARLSTM_RECURRENCE_STEPWISE, VARLSTM_RECURRENCE_CLUSTER}) {
    const std::string text = printed(policy, 512);
    expect_has(text, "no wide teams forward: a requested stepwise or cluster has no cooperative launch");
    expect_has(text, "no wide teams backward: a requested stepwise or cluster has no cooperative launch");
  }
}
#endif

constexpr int32_t kStepwise = VARLSTM_RECURRENCE_STEPWISE;
INSTANTIATE_TEST_SUITE_P(Ways, WideLayer,
                         ::testing::Values(Case{{kStepwise, kPrecisions[1]}, 256},
                                           Case{{kStepwise, kPrecisions[2]}, 256},
                                           Case{{kStepwise, kPrecisions[3], VARLSTM_CELL_GRU}, 256},
                                           Case{{VARLSTM_RECURRENCE_GRID, kPrecisions[2]}, 512}),
                         [](const auto& of) { return of.param.way.name(); });

}  // namespace
}  // namespace varlstm_test
