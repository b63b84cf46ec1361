// The resident recurrences give the same bits under every schedule of the emulator, with the race detector on; and,
// with each rounding that a matrix product may have, the same under some of them.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "kernels/simt/options.h"
#include "support/compare.h"
#include "support/recurrence_way.h"
#include "support/resident_tiles.h"

namespace varlstm_test {
namespace {

using varlstm::cuda::TileRows;
using varlstm::simt::AsyncCompletion;
using varlstm::simt::MmaRounding;
using varlstm::simt::Options;
using varlstm::simt::Schedule;

class ResidentSchedules : public ResidentWays {
 protected:
  void SetUp() override {
    ResidentWays::SetUp();
    before_ = varlstm::simt::options();
  }
  void TearDown() override { varlstm::simt::set_options(before_); }

  // A team of several blocks for each direction, idle slots, a slot's second sequence.
  WayCase make_case() {
    const TileRows tiles = tiles_of(way());
    const int index = first_team_of_blocks(tiles);
    RnnOptions options;
    options.cell = way().cell;
    options.input = 3;
    options.hidden = hidden_below(tiles, index) + 3;
    options.bidirectional = true;
    Random random(91);
    return make_way_case(way().precision.stored, options, {1, 0, 3, 1, 1, 1, 2, 1, 1, 1, 1}, true, random);
  }
  // More steps than the grid's exchange has buffers, twice.
  WayCase make_long_case() {
    const TileRows tiles = tiles_of(way());
    RnnOptions options;
    options.cell = way().cell;
    options.input = 3;
    options.hidden = hidden_below(tiles, first_team_of_blocks(tiles)) + 3;
    Random random(93);
    return make_way_case(way().precision.stored, options, {37, 1, 20, 0, 36, 17}, true, random);
  }
  RnnResults run_under(const WayCase& given, const Options& chosen) {
    const TileRows tiles = tiles_of(way());
    varlstm::simt::set_options(chosen);
    const TwoTeams device(tiles.rows[first_team_of_blocks(tiles)]);
    return run_way(way(), given);
  }

  Options before_;
};

bool same(const RnnResults& a, const RnnResults& b) {
  return a.out.y == b.out.y && a.out.h_n == b.out.h_n && a.out.c_n == b.out.c_n && a.gradients.dx == b.gradients.dx &&
         a.gradients.dh0 == b.gradients.dh0 && a.gradients.dc0 == b.gradients.dc0 &&
         a.gradients.dparams == b.gradients.dparams;
}

TEST_P(ResidentSchedules, GiveTheSameBits) {
  if (way().precision.stored.dtype == VARLSTM_DTYPE_F16) GTEST_SKIP() << "the barriers of BF16 once more";
  const WayCase given = make_case();
  Options chosen = before_;
  chosen.schedule = Schedule::kFifo;
  const RnnResults expected = run_under(given, chosen);
  ASSERT_TRUE(all_finite(expected.gradients.dparams));
  chosen.schedule = Schedule::kLifo;
  EXPECT_TRUE(same(run_under(given, chosen), expected)) << "lifo";
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    chosen.seed = seed;
    for (const Schedule schedule : {Schedule::kRandom, Schedule::kPct}) {
      chosen.schedule = schedule;
      EXPECT_TRUE(same(run_under(given, chosen), expected))
          << (schedule == Schedule::kPct ? "pct:" : "random:") << seed;
    }
  }
}

// F32 has the bits of stepwise forward, whose states go through no exchange.
TEST_P(ResidentSchedules, LongSequencesGiveTheSameBits) {
  if (way().policy != VARLSTM_RECURRENCE_GRID) GTEST_SKIP() << "two buffers, which shorter sequences use again";
  if (way().precision.stored.dtype == VARLSTM_DTYPE_F16) GTEST_SKIP() << "the barriers of BF16 once more";
  const WayCase given = make_long_case();
  Options chosen = before_;
  chosen.schedule = Schedule::kFifo;
  const RnnResults expected = run_under(given, chosen);
  ASSERT_TRUE(all_finite(expected.gradients.dparams));
  if (way().precision.stored.dtype == VARLSTM_DTYPE_F32 && way().precision.math != VARLSTM_MATH_TF32) {
    EXPECT_EQ(expected.out.y, run_way(way().stepwise(), given).out.y);
  }
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    chosen.seed = seed;
    for (const Schedule schedule : {Schedule::kRandom, Schedule::kPct}) {
      chosen.schedule = schedule;
      EXPECT_TRUE(same(run_under(given, chosen), expected))
          << (schedule == Schedule::kPct ? "pct:" : "random:") << seed;
    }
  }
}

// Rounding moves the bits of what goes through matrix products; schedules and the completion of asynchronous stores do
// not. Results of 16 bits hide most roundings: of those alone the bits under one rounding are compared.
TEST_P(ResidentSchedules, RoundingsOfProductsGiveTheSameBitsEach) {
  const WayCase given = make_case();
  Options chosen = before_;
  chosen.schedule = Schedule::kFifo;
  const RnnResults exact = run_under(given, chosen);
  for (const MmaRounding rounding : {MmaRounding::kSequential, MmaRounding::kTruncate}) {
    chosen = before_;
    chosen.rounding = rounding;
    const RnnResults expected = run_under(given, chosen);
    if (way().precision.stored.dtype == VARLSTM_DTYPE_F32) {
      EXPECT_EQ(same(expected, exact), way().precision.math != VARLSTM_MATH_TF32);
    }
    for (const AsyncCompletion async : {AsyncCompletion::kEarly, AsyncCompletion::kLate}) {
      chosen.async = async;
      chosen.schedule = async == AsyncCompletion::kEarly ? Schedule::kLifo : Schedule::kRandom;
      EXPECT_TRUE(same(run_under(given, chosen), expected)) << static_cast<int>(async);
    }
  }
}

// More sequences than a team's slots, of which one has tokens: the other team has no step, and leaves nothing on its
// way to a block that has ended.
TEST_P(ResidentSchedules, TeamsWithoutStepsLeaveNothingBehind) {
  if (way().precision.stored.dtype == VARLSTM_DTYPE_F16) GTEST_SKIP() << "the barriers of BF16 once more";
  const TileRows tiles = tiles_of(way());
  const int index = first_team_of_blocks(tiles);
  RnnOptions options;
  options.cell = way().cell;
  options.input = 3;
  options.hidden = hidden_below(tiles, index) + 3;
  std::vector<int64_t> lengths(static_cast<size_t>(tiles.rows[index].slots()) + 1, 0);
  lengths[4] = 2;
  Random random(92);
  const WayCase given = make_way_case(way().precision.stored, options, lengths, true, random);
  Options chosen = before_;
  chosen.schedule = Schedule::kFifo;
  const RnnResults expected = run_under(given, chosen);
  for (const AsyncCompletion async : {AsyncCompletion::kEarly, AsyncCompletion::kLate}) {
    chosen.async = async;
    for (const Schedule schedule : {Schedule::kLifo, Schedule::kRandom, Schedule::kPct}) {
      chosen.schedule = schedule;
      EXPECT_TRUE(same(run_under(given, chosen), expected)) << static_cast<int>(schedule);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, ResidentSchedules, ::testing::ValuesIn(resident_ways()), way_label);
// Cells have the barriers of an LSTM, and what they keep in registers beside it is a GRU's.
INSTANTIATE_TEST_SUITE_P(OtherCells, ResidentSchedules,
                         ::testing::Values(few_ways_of_other_cells()[0], few_ways_of_other_cells()[1]), way_label);

}  // namespace
}  // namespace varlstm_test
