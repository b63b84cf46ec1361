// Forward by wide teams gives the bits of the policy whose order of sums it has, in every cell, 16-bit type and H, with
// any number of teams; and so does backward after it. That the policies themselves are right, other tests show.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "kernels/selection/wide_selection.h"
#include "support/recurrence_way.h"
#include "support/resident_tiles.h"
#include "support/sequence_slice.h"

#if VARLSTM_EMULATED
#include "kernels/simt/options.h"
#include "support/enqueued_work.h"
#endif

namespace varlstm_test {
namespace {

using varlstm::cuda::kWideTeamCluster;
using varlstm::cuda::kWideTeamUnits;

// For its lifetime, rnns that are made have teams of so many slots (0: whatever the library chooses), and contexts find
// an emulated device that holds so many sets of wide teams of H. A GPU stays as it is.
class Device {
 public:
  Device(int64_t slots, int64_t hidden, int64_t sets) {
    if (slots > 0) setenv("VARLSTM_RECURRENCE_SLOTS", std::to_string(slots).c_str(), 1);
#if VARLSTM_EMULATED
    saved_ = varlstm::simt::options();
    varlstm::simt::Options few = saved_;
    few.resident_blocks = static_cast<unsigned>(sets * hidden / kWideTeamUnits);
    if (varlstm::cuda::wide_order(hidden).padded) few.resident_blocks = 64;  // of the policy's own tile, of 1024
    few.multiprocessors = few.resident_blocks / kWideTeamCluster;            // as many clusters, too
    few.gpcs = {};
    varlstm::simt::set_options(few);
#else
    (void)hidden, (void)sets;
#endif
  }
  ~Device() {
    unsetenv("VARLSTM_RECURRENCE_SLOTS");
#if VARLSTM_EMULATED
    varlstm::simt::set_options(saved_);
#endif
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

#if VARLSTM_EMULATED
 private:
  varlstm::simt::Options saved_;
#endif
};

RnnResults run_wide(const RecurrenceWay& way, const WayCase& given, int64_t sets, int32_t mode = VARLSTM_MODE_SAVE,
                    int64_t slots = varlstm::cuda::kWideTeamSlots) {
  const Device device(slots, given.problem.options.hidden, sets);
  RnnResults results;
  const auto run = [&] { results = run_way(way, given, RunSetup(given.problem, mode)); };
#if VARLSTM_EMULATED
  const std::map<std::string, int64_t> count = count_enqueued(run);
  EXPECT_GE(count.count("wide_forward") > 0 ? count.at("wide_forward") : 0, 1) << "wide teams have not run";
#else
  run();
#endif
  return results;
}

// By the policy's own tiles of 8 slots, or a launch for each step.
RnnResults run_own(const RecurrenceWay& way, const WayCase& given, int32_t mode = VARLSTM_MODE_SAVE) {
  const Device device(8, given.problem.options.hidden, 1);
  return run_way(way, given, RunSetup(given.problem, mode));
}

// What forward saves in the reserve for backward, in f32: it shows a sum that is rounded in another place, which y in
// 16 bits hides. The reserve begins with its header, in 256 bytes.
std::vector<unsigned char> saved_by(const RecurrenceWay& way, const WayCase& given, int64_t slots) {
  const Device device(slots, given.problem.options.hidden, 1);
  WayRun<uint16_t> run(way, given, RunSetup(given.problem));
  run.forward();
  const int64_t saved = way.cell == VARLSTM_CELL_LSTM ? 4 + 1 : way.cell == VARLSTM_CELL_GRU ? 4 : 1;
  const std::vector<unsigned char> reserve = run.reserve();
  const int64_t values = given.problem.tokens() * saved * given.problem.options.hidden;
  return {reserve.begin() + 256, reserve.begin() + 256 + values * 4};
}
void expect_same_saved(const RecurrenceWay& way, const WayCase& given) {
  EXPECT_TRUE(saved_by(way, given, varlstm::cuda::kWideTeamSlots) == saved_by(way, given, 8));
}

RnnOptions options_of(const RecurrenceWay& way, int64_t hidden, bool bidirectional) {
  RnnOptions options;
  options.cell = way.cell;
  options.input = 5;
  options.hidden = hidden;
  options.bidirectional = bidirectional;
  return options;
}

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
  expect_same_of_sequences(run_wide(way(), given, 1), run_own(way(), given));
  expect_same_saved(way(), given);
}

// The tests of what all cells share.
class WideTeams : public WideForward {};

// One set, whose slots take a second sequence; two directions run one after the other.
TEST_P(WideForward, HasTheBitsOfThePolicy) {
  const WayCase given = make_case(256, way().cell != VARLSTM_CELL_LSTM, hostile_lengths(137, 5));
  SCOPED_TRACE(describe(given.problem));
  expect_same_of_sequences(run_wide(way(), given, 1), run_own(way(), given));
}

// One sequence, one team, two sets of one team each, two of two; without states and without a reserve.
TEST_P(WideTeams, TeamsAndBatchMatesDoNotMoveABit) {
  const WayCase given = make_case(256, false, hostile_lengths(139, 4), false);
  const RnnResults whole = run_wide(way(), given, 2, VARLSTM_MODE_INFER);
  expect_same_of_sequences(run_own(way(), given, VARLSTM_MODE_INFER), whole);
  for (const int64_t count : {1, 70}) {
    std::vector<int64_t> order(static_cast<size_t>(count));
    std::iota(order.begin(), order.end(), 139 / 2 - count / 2);
    const WayCase part = {select(given.problem, order), {}};
    RnnResults of_part;
    of_part.out = select(given.problem, whole.out, order);
    expect_same_of_sequences(run_wide(way(), part, 2, VARLSTM_MODE_INFER), of_part);
  }
}

TEST_P(WideTeams, NanStaysInItsSequence) {
  const int64_t batch = 131, poisoned = 3;
  const WayCase clean = make_case(256, false, hostile_lengths(batch, 4));
  WayCase given = clean;
  given.problem.h0[poisoned * 256 + 17] = std::numeric_limits<double>::quiet_NaN();
  const RnnResults expected = run_wide(way(), clean, 1, VARLSTM_MODE_INFER);
  const RnnResults actual = run_wide(way(), given, 1, VARLSTM_MODE_INFER);
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
    for (const Precision& precision : kPrecisions)
      if (precision.stored.dtype != VARLSTM_DTYPE_F32 && (cell == VARLSTM_CELL_LSTM || precision.name[0] == 'b'))
        ways.push_back({policy, precision, cell});
  return ways;
}
constexpr int32_t kLstm = VARLSTM_CELL_LSTM, kGru = VARLSTM_CELL_GRU, kTanh = VARLSTM_CELL_RNN_TANH,
                  kRelu = VARLSTM_CELL_RNN_RELU;
INSTANTIATE_TEST_SUITE_P(Stepwise, WideForward,
                         ::testing::ValuesIn(ways_of(VARLSTM_RECURRENCE_STEPWISE, {kLstm, kGru, kTanh})), way_label);
INSTANTIATE_TEST_SUITE_P(Cluster, WideForward,
                         ::testing::ValuesIn(ways_of(VARLSTM_RECURRENCE_CLUSTER, {kLstm, kGru, kRelu})), way_label);
INSTANTIATE_TEST_SUITE_P(Ways, WideTeams,
                         ::testing::Values(RecurrenceWay{VARLSTM_RECURRENCE_STEPWISE, kPrecisions[2]},
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
    expect_same_of_sequences(run_wide(way, given, 1, VARLSTM_MODE_INFER), run_own(way, given, VARLSTM_MODE_INFER));
    expect_same_saved(way, given);
  }
}

// Nobody forces them: by the model they are faster than four turns of a team of 16 slots.
TEST(WideDefault, RunsWhereItIsFaster) {
  if (test_backend() == VARLSTM_BACKEND_HOST) GTEST_SKIP() << "the host has one way alone";
  const RecurrenceWay way = {VARLSTM_RECURRENCE_GRID, kPrecisions[2]};
  Random random(5);
  const std::vector<int64_t> lengths(64, 1);
  const WayCase given = make_way_case(kBf16, options_of(way, 1024, false), lengths, true, random);
  expect_same_of_sequences(run_wide(way, given, 1, VARLSTM_MODE_INFER, 0), run_own(way, given, VARLSTM_MODE_INFER));
}

INSTANTIATE_TEST_SUITE_P(All, WideHidden, ::testing::ValuesIn(varlstm::cuda::kWideTeamHidden));

}  // namespace
}  // namespace varlstm_test
