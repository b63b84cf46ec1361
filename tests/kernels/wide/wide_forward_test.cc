// Forward by wide teams gives the bits of the policy whose order of sums it has, in every cell, 16-bit type and H, and
// in TF32, with any number of teams; and so does backward after it, by wide teams if they have the policy's order. That
// the policies themselves are right, other tests show.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "support/resident_tiles.h"
#include "support/sequence_slice.h"
#include "support/wide_run.h"

namespace varlstm_test {
namespace {

class WideForward : public ::testing::TestWithParam<RecurrenceWay> {
 protected:
  void SetUp() override {
    if (test_backend() == VARLSTM_BACKEND_HOST) GTEST_SKIP() << "the host has one way alone";
  }
  const RecurrenceWay& way() const { return GetParam(); }
  WayCase make_case(int64_t hidden, bool both, const std::vector<int64_t>& lengths, bool states = true) const {
    Random random(static_cast<uint64_t>(hidden + way().cell));
    return make_way_case(way().precision.stored, options_of(way(), hidden, both), lengths, states, random);
  }
};

// Few sequences, whose kernels every schedule and the race detector can see in seconds: states, a sequence of length 0,
// idle slots, a slot's last step before the team's.
TEST_P(WideForward, FewSequencesHaveTheBitsOfThePolicy) {
  const WayCase given = make_case(256, false, {2, 0, 4, 1});
  expect_same(run_wide(way(), given, 1), run_own(way(), given));
}

// The tests of what all cells share.
class WideTeams : public WideForward {};

// One set, whose slots take a second sequence; two directions run one after the other.
TEST_P(WideForward, HasTheBitsOfThePolicy) {
  const WayCase given = make_case(256, way().cell != VARLSTM_CELL_LSTM, hostile_lengths(137, 3));
  SCOPED_TRACE(describe(given.problem));
  expect_same(run_wide(way(), given, 1), run_own(way(), given));
}

// One sequence, one team, two sets of one team each, two of two; without states and without a reserve.
TEST_P(WideTeams, TeamsAndBatchMatesDoNotMoveABit) {
  const WayCase given = make_case(256, false, hostile_lengths(139, 3), false);
  const LayerRun whole = run_wide(way(), given, 2, Passes::kInfer);
  expect_same(run_own(way(), given, Passes::kInfer), whole);
  for (const int64_t count : {1, 70}) {
    std::vector<int64_t> order(static_cast<size_t>(count));
    std::iota(order.begin(), order.end(), 139 / 2 - count / 2);
    const WayCase part = {select(given.problem, order), {}};
    RnnResults of_part;
    of_part.out = select(given.problem, whole.results.out, order);
    expect_same_of_sequences(run_wide(way(), part, 2, Passes::kInfer).results, of_part);
  }
}

TEST_P(WideTeams, NanStaysInItsSequence) {
  const int64_t batch = 131, poisoned = 3;
  const WayCase clean = make_case(256, false, hostile_lengths(batch, 3));
  WayCase given = clean;
  given.problem.h0[poisoned * 256 + 17] = std::numeric_limits<double>::quiet_NaN();
  const RnnResults expected = run_wide(way(), clean, 1, Passes::kInfer).results;
  const RnnResults actual = run_wide(way(), given, 1, Passes::kInfer).results;
  std::vector<int64_t> others(static_cast<size_t>(batch));
  std::iota(others.begin(), others.end(), 0);
  others.erase(others.begin() + poisoned);
  RnnResults a, e;
  a.out = select(clean.problem, actual.out, others);
  e.out = select(clean.problem, expected.out, others);
  expect_same_of_sequences(a, e);
  for (const double h : select(clean.problem, actual.out, {poisoned}).h_n) EXPECT_TRUE(std::isnan(h));
}

std::vector<RecurrenceWay> ways_of(int32_t policy, std::vector<int32_t> cells) {
  std::vector<RecurrenceWay> ways;
  for (const int32_t cell : cells)
    for (const Precision& precision : kPrecisions) {
      const bool tf32 = precision.math == VARLSTM_MATH_TF32;
      const bool has_teams = precision.stored.dtype != VARLSTM_DTYPE_F32 || (tf32 && cell == VARLSTM_CELL_LSTM);
      if (has_teams && (cell == VARLSTM_CELL_LSTM || precision.name[0] == 'b'))
        ways.push_back({policy, precision, cell});
    }
  return ways;
}
constexpr int32_t kLstm = VARLSTM_CELL_LSTM, kGru = VARLSTM_CELL_GRU, kTanh = VARLSTM_CELL_RNN_TANH,
                  kRelu = VARLSTM_CELL_RNN_RELU;
INSTANTIATE_TEST_SUITE_P(Stepwise, WideForward,
                         ::testing::ValuesIn(ways_of(VARLSTM_RECURRENCE_STEPWISE, {kLstm, kGru, kTanh})), way_label);
INSTANTIATE_TEST_SUITE_P(Cluster, WideForward,
                         ::testing::ValuesIn(ways_of(VARLSTM_RECURRENCE_CLUSTER, {kLstm, kGru, kRelu})), way_label);
INSTANTIATE_TEST_SUITE_P(Ways, WideTeams,
                         ::testing::Values(RecurrenceWay{VARLSTM_RECURRENCE_STEPWISE, kPrecisions[1]},
                                           RecurrenceWay{VARLSTM_RECURRENCE_STEPWISE, kPrecisions[2]},
                                           RecurrenceWay{VARLSTM_RECURRENCE_CLUSTER, kPrecisions[2]}),
                         way_label);

// Every H, with the sums of its tiles of policy grid, and of a launch for each step.
class WideHidden : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (test_backend() == VARLSTM_BACKEND_HOST) GTEST_SKIP() << "the host has one way alone";
  }
};

TEST_P(WideHidden, HasTheBitsOfThePolicy) {
  const int hidden = GetParam();
  for (const int32_t policy : {VARLSTM_RECURRENCE_GRID, VARLSTM_RECURRENCE_STEPWISE}) {
    const RecurrenceWay way = {policy, kPrecisions[2]};
    SCOPED_TRACE(way.name());
    Random random(static_cast<uint64_t>(hidden));
    const WayCase given = make_way_case(kBf16, options_of(way, hidden, false), {2, 1, 0, 3, 1}, true, random);
    expect_same(run_wide(way, given, 1, Passes::kForward), run_own(way, given, Passes::kForward));
  }
}

// The H for which weights are streamed, in TF32 with the sums of the tiles backward alone: both passes, a team of 8
// slots.
class WideStreamed : public ::testing::TestWithParam<RecurrenceWay> {};

TEST_P(WideStreamed, WidestHasTheBitsOfThePolicy) {
  if (test_backend() == VARLSTM_BACKEND_HOST) GTEST_SKIP() << "the host has one way alone";
  Random random(7);
  const int64_t hidden = has_tf32(GetParam()) && GetParam().policy == VARLSTM_RECURRENCE_GRID ? 1024 : 2048;
  const WayCase given =
      make_way_case(GetParam().precision.stored, options_of(GetParam(), hidden, false), {2, 1}, true, random);
  expect_same(run_wide(GetParam(), given, 1), run_own(GetParam(), given));
}

INSTANTIATE_TEST_SUITE_P(Ways, WideStreamed,
                         ::testing::Values(RecurrenceWay{VARLSTM_RECURRENCE_STEPWISE, kPrecisions[1]},
                                           RecurrenceWay{VARLSTM_RECURRENCE_GRID, kPrecisions[1]},
                                           RecurrenceWay{VARLSTM_RECURRENCE_GRID, kPrecisions[2]}),
                         way_label);

// Nobody forces them: by the model both passes are faster than four turns of a team of 16 slots.
TEST(WideDefault, RunsWhereItIsFaster) {
  if (test_backend() == VARLSTM_BACKEND_HOST) GTEST_SKIP() << "the host has one way alone";
  const RecurrenceWay way = {VARLSTM_RECURRENCE_GRID, kPrecisions[2]};
  Random random(5);
  const std::vector<int64_t> lengths(64, 1);
  const WayCase given = make_way_case(kBf16, options_of(way, 512, false), lengths, true, random);
  expect_same(run_wide(way, given, 1, Passes::kBoth, 0), run_own(way, given));
}

INSTANTIATE_TEST_SUITE_P(All, WideHidden, ::testing::ValuesIn(varlstm::cuda::kWideTeamHidden));

}  // namespace
}  // namespace varlstm_test
