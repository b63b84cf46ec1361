// The layers of a stack in one launch, each right behind the one below, against the same layers one after the other:
// bitwise, in each math and by cluster and grid.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <utility>

#include "support/compare.h"
#include "support/recurrence_way.h"
#include "support/resident_tiles.h"
#include "support/rnn_runner.h"
#include "support/sequence_slice.h"

#if VARLSTM_EMULATED
#include "kernels/recurrence/checked_words.h"
#include "kernels/recurrence/rnn_layout.h"
#include "kernels/simt/launch.h"
#include "support/enqueued_work.h"
#endif

namespace varlstm_test {
namespace {

using varlstm::cuda::stacks_layers;
using varlstm::cuda::TileRows;
using varlstm::cuda::TileShape;

// What a forward leaves, and its launches (0 on a GPU, where nobody counts them).
struct Ran {
  RnnResults results;
  std::vector<unsigned char> reserve;
  int64_t launches;           // of forward
  int64_t backward_launches;  // or 0: backward did not run
};

// The kernels that body() launches, but for the one that assigns more sequences than there are slots.
template <class Body>
int64_t launches_in(const Body& body) {
#if VARLSTM_EMULATED
  std::map<std::string, int64_t> count = count_enqueued(body);
  count.erase("assign_slots");
  return kernels_in(count);
#else
  body();
  return 0;
#endif
}

template <class Stored>
Ran run_stored(const RecurrenceWay& way, const WayCase& given, int32_t mode, bool gradients) {
  const RunSetup setup(given.problem, mode);
  WayRun<Stored> run(way, given, setup);
  Ran ran;
  ran.launches = launches_in([&] { ran.results.out = run.forward(); });
  ran.reserve = run.reserve();
  ran.backward_launches = launches_in([&] {
    if (gradients) ran.results.gradients = run.backward(given.upstream);
  });
  return ran;
}

// gradients: backward after it as well.
Ran run(const RecurrenceWay& way, const WayCase& given, int32_t mode, bool gradients = false) {
  return way.precision.stored.dtype == VARLSTM_DTYPE_F32 ? run_stored<float>(way, given, mode, gradients)
                                                         : run_stored<uint16_t>(way, given, mode, gradients);
}

WayCase one_after_the_other(WayCase given) {
  given.problem.options.layers_together = false;
  return given;
}

// Launches of a forward of so many layers one after the other: the schedule, and four for each layer.
int64_t launches_of(int64_t layers) {
  return 1 + 4 * layers;
}

void expect_same_outputs(const RnnOutputs<double>& actual, const RnnOutputs<double>& expected) {
  EXPECT_TRUE(bitwise_equal(actual.y, expected.y));
  EXPECT_TRUE(bitwise_equal(actual.h_n, expected.h_n));
  EXPECT_TRUE(bitwise_equal(actual.c_n, expected.c_n));
}

// What `ran` saved behind its header. Layers one after the other keep their schedule behind the tensors, so the end is
// left out that only one of the two has.
std::vector<unsigned char> saved_tensors(const Ran& ran, const Ran& other) {
  const size_t bytes = std::min(ran.reserve.size(), other.reserve.size());
  const size_t header = std::min(bytes, sizeof(varlstm::cuda::ReserveHeader));
  return {ran.reserve.begin() + static_cast<int64_t>(header), ran.reserve.begin() + static_cast<int64_t>(bytes)};
}

void expect_same(const Ran& actual, const Ran& expected) {
  expect_same_outputs(actual.results.out, expected.results.out);
  EXPECT_TRUE(saved_tensors(actual, expected) == saved_tensors(expected, actual)) << "what forward saved";
  const RnnGradients<double>&a = actual.results.gradients, &e = expected.results.gradients;
  EXPECT_TRUE(bitwise_equal(a.dx, e.dx) && bitwise_equal(a.dh0, e.dh0) && bitwise_equal(a.dc0, e.dc0) &&
              bitwise_equal(a.dparams, e.dparams));
}

// Both ways of the case; the first in one launch of all layers.
void expect_same_both_ways(const RecurrenceWay& way, const WayCase& given, int32_t mode, bool gradients = false) {
  SCOPED_TRACE(describe(given.problem) + (mode == VARLSTM_MODE_SAVE ? " save" : " infer"));
  const Ran together = run(way, given, mode, gradients);
  const Ran expected = run(way, one_after_the_other(given), mode, gradients);
  ASSERT_TRUE(all_finite(expected.results.out.y));
  expect_same(together, expected);
#if VARLSTM_EMULATED
  EXPECT_EQ(together.launches, launches_of(1));
  EXPECT_EQ(expected.launches, launches_of(given.problem.options.layers));
  // Layers one after the other leave their schedule to backward, which makes it otherwise.
  if (gradients) {
    EXPECT_EQ(expected.backward_launches + 1, together.backward_launches);
  }
#endif
}

class ResidentLayers : public ResidentWays {
 protected:
  void SetUp() override {
    ResidentWays::SetUp();
    tiles_ = tiles_of(way());
    of_blocks_ = first_team_of_blocks(tiles_);
  }

  const TileShape& tile(int index) const { return tiles_.rows[index]; }

  WayCase make_case(int index, int64_t layers, const std::vector<int64_t>& lengths, uint64_t seed,
                    bool states = true) const {
    RnnOptions options;
    options.input = 5;
    options.hidden = hidden_below(tiles_, index) + 2;
    options.layers = layers;
    Random random(seed);
    return make_way_case(way().precision.stored, options, lengths, states, random);
  }

  TileRows tiles_;
  int smallest_ = 0, of_blocks_;  // tiles; of_blocks_: a team has several blocks
};

// A team for each layer; zero lengths, and slots that idle.
TEST_P(ResidentLayers, GiveTheBitsOfOneAfterTheOther) {
  for (const int64_t layers : {int64_t{2}, int64_t{3}}) {
    const int index = layers == 2 ? of_blocks_ : smallest_;
    const FewTeams device(tile(index), static_cast<int>(layers));
    const WayCase given = make_case(index, layers, {2, 0, 4, 1, 3}, 11);
    expect_same_both_ways(way(), given, VARLSTM_MODE_SAVE, true);
    expect_same_both_ways(way(), given, VARLSTM_MODE_INFER);
  }
}

// Of four layers a slot may take two sequences.
TEST_P(ResidentLayers, TakeOneSequenceAfterTheOther) {
  const FewTeams device(tile(smallest_), 4);
  expect_same_both_ways(way(), make_case(smallest_, 4, hostile_lengths(tile(smallest_).slots() + 5, 5), 12),
                        VARLSTM_MODE_SAVE);
}

// Two teams of each layer; rows sequence after sequence; no states, no biases.
TEST_P(ResidentLayers, TakeRaggedRowsAndNoBiases) {
  const FewTeams device(tile(smallest_), 4);
  WayCase given = make_case(smallest_, 2, hostile_lengths(tile(smallest_).slots() + 3, 4), 13, false);
  given.problem.options.rows = VARLSTM_ROWS_RAGGED;
  expect_same_both_ways(way(), given, VARLSTM_MODE_INFER);
  given.problem.options.bias = false;
  given.problem.params.resize(static_cast<size_t>(rnn_param_count(given.problem.options)));
  expect_same_both_ways(way(), given, VARLSTM_MODE_SAVE);
}

// A batch that runs together and one that is too large for it.
TEST_P(ResidentLayers, BatchMatesDoNotMoveABit) {
  const FewTeams device(tile(smallest_), 3);
  const int64_t slots = tile(smallest_).slots();
  const WayCase given = make_case(smallest_, 3, hostile_lengths(slots + 4, 4), 14);
  const Ran whole = run(way(), given, VARLSTM_MODE_INFER);
  const std::vector<int64_t> order = {3, 1, slots / 2 + 2, 0};
  const WayCase part = {select(given.problem, order), select(given.problem, given.upstream, order)};
  const Ran few = run(way(), part, VARLSTM_MODE_INFER);
  expect_same_outputs(few.results.out, select(given.problem, whole.results.out, order));
#if VARLSTM_EMULATED
  EXPECT_EQ(whole.launches, launches_of(3));
  EXPECT_EQ(few.launches, launches_of(1));
#endif
}

// NaN of one sequence reaches no other.
TEST_P(ResidentLayers, KeepNanToItsSequence) {
  const FewTeams device(tile(smallest_), 2);
  WayCase given = make_case(smallest_, 2, {3, 2, 4}, 15);
  const Ran clean = run(way(), given, VARLSTM_MODE_INFER);
  const size_t first = 3 * 5, last = 5 * 5;  // of the second sequence's x
  for (size_t k = first; k < last; ++k) given.problem.x[k] = std::numeric_limits<double>::quiet_NaN();
  const Ran soiled = run(way(), given, VARLSTM_MODE_INFER);
  const std::vector<int64_t> others = {0, 2}, itself = {1};
  expect_same_outputs(select(given.problem, soiled.results.out, others),
                      select(given.problem, clean.results.out, others));
  for (const double y : select(given.problem, soiled.results.out, itself).y) EXPECT_TRUE(std::isnan(y));
}

// Nor does the one whose bits stand for «nothing yet» between the layers: it arrives, as a NaN.
TEST_P(ResidentLayers, HandOverTheNanOfAllBits) {
  const FewTeams device(tile(smallest_), 2);
  WayCase given = make_case(smallest_, 2, {3, 2, 4}, 19);
  const Ran clean = run(way(), given, VARLSTM_MODE_INFER);
  const size_t hidden = static_cast<size_t>(given.problem.options.hidden);
  for (size_t k = hidden; k < 2 * hidden; ++k) memset(&given.problem.c0[k], 0xff, sizeof(double));  // second sequence
  const Ran soiled = run(way(), given, VARLSTM_MODE_INFER);
  const std::vector<int64_t> others = {0, 2}, itself = {1};
  expect_same_outputs(select(given.problem, soiled.results.out, others),
                      select(given.problem, clean.results.out, others));
  for (const double y : select(given.problem, soiled.results.out, itself).y) EXPECT_TRUE(std::isnan(y));
}

// Every tile that has a kernel of stacked layers.
TEST_P(ResidentLayers, WideTilesGiveTheBitsOfOneAfterTheOther) {
  varlstm::cuda::MathKind kind;
  const varlstm::cuda::RecurrenceShape shape = shape_of(way(), 1, 1);
  ASSERT_TRUE(varlstm::cuda::math_kind(shape.dtype, shape.tf32, &kind));
  int tested = 0;
  for (int index = 0; index < tiles_.count; ++index) {
    const TileShape& tile = tiles_.rows[index];
    if (!stacks_layers(policy_of(way()), kind, tile)) continue;
    ++tested;
    const FewTeams device(tile, 2);
    RnnOptions options;
    options.input = 4;
    options.hidden = tile.hidden - 5;
    options.layers = 2;
    Random random(16);
    expect_same_both_ways(way(), make_way_case(way().precision.stored, options, {2, 1, 0}, true, random),
                          VARLSTM_MODE_INFER);
  }
  EXPECT_GE(tested, 2);
}

// The mask between two layers stands between their launches; without a seed there is none.
TEST_P(ResidentLayers, RunOneAfterTheOtherThroughDropout) {
  if (way().precision.stored.dtype != VARLSTM_DTYPE_F32) GTEST_SKIP() << "the same choice for every type";
  const FewTeams device(tile(smallest_), 2);
  RnnOptions options;
  options.input = 5;
  options.hidden = hidden_below(tiles_, smallest_) + 2;
  options.layers = 2;
  options.dropout = 0.5;
  options.recurrence = way().policy;
  Random random(19);
  RnnCase<float> problem = make_rnn_case<float>(options, {3, 1, 2}, true, random);
  const Context ctx = make_context(way());
  RnnRunner<float> together(ctx.get(), problem);
  problem.options.layers_together = false;
  RnnRunner<float> one_by_one(ctx.get(), problem);
  for (const uint64_t seed : {uint64_t{0}, uint64_t{7}}) {
    const RnnOutputs<float> expected = one_by_one.forward(VARLSTM_MODE_SAVE, seed);
    RnnOutputs<float> actual;
    const int64_t launches = launches_in([&] { actual = together.forward(VARLSTM_MODE_SAVE, seed); });
    EXPECT_TRUE(bitwise_equal(actual.y, expected.y)) << "seed " << seed;
    EXPECT_TRUE(bitwise_equal(actual.h_n, expected.h_n)) << "seed " << seed;
#if VARLSTM_EMULATED
    EXPECT_EQ(launches == launches_of(1), seed == 0) << launches << " launches, seed " << seed;
#else
    (void)launches;
#endif
  }
}

#if VARLSTM_EMULATED
// A word is there when both of its pieces are, whatever they are; no values look like «nothing yet», and only those
// that would are sent as others: NaN for NaN, of 32 bits and of 16.
TEST(Handover, WordsSayWhetherTheyHaveCome) {
  using varlstm::cuda::checked_word;
  using varlstm::cuda::has_come;
  constexpr uint32_t kNothing = varlstm::cuda::kNothingYet;
  for (const auto& pieces : {std::pair{kNothing, kNothing}, {kNothing, 7u}, {7u, kNothing}})
    EXPECT_FALSE(has_come({{pieces.first, pieces.second}}));
  const auto expect_nan = [](uint32_t piece) {
    float value;
    memcpy(&value, &piece, sizeof value);
    EXPECT_TRUE(std::isnan(value));
    for (const uint32_t half : {piece & 0xffff, piece >> 16}) {
      EXPECT_TRUE((half & 0x7f80) == 0x7f80 && (half & 0x7f) != 0) << "bf16 " << half;
      EXPECT_TRUE((half & 0x7c00) == 0x7c00 && (half & 0x3ff) != 0) << "f16 " << half;
    }
  };
  const auto expect_long_words_come_with_each_piece = [](const varlstm::simt::b32x2& word) {
    using varlstm::cuda::Written;
    varlstm::simt::b32x4 two = {{word.r[0], word.r[1], word.r[1], word.r[0]}};
    EXPECT_TRUE(Written::come(Written::look(two)));
    for (uint32_t& piece : two.r) {
      const uint32_t there = piece;
      piece = kNothing;
      EXPECT_FALSE(Written::come(Written::look(two)));
      piece = there;
    }
  };
  for (const uint32_t low : {0u, 1u, 0x7fffffffu, 0xfffffffeu, 0xffff0000u, 0x0000ffffu, kNothing}) {
    for (const uint32_t high : {0u, 0x80000000u, 0x7fff7fffu, 0xfffeffffu, kNothing}) {
      const auto word = checked_word(static_cast<uint64_t>(high) << 32 | low);
      EXPECT_TRUE(has_come(word)) << low << ' ' << high;
      expect_long_words_come_with_each_piece(word);
      if (low == kNothing)
        expect_nan(word.r[0]);
      else
        EXPECT_EQ(word.r[0], low);
      if (high == kNothing)
        expect_nan(word.r[1]);
      else
        EXPECT_EQ(word.r[1], high);
    }
  }
}

// The race detector is on in all of them.
TEST_P(ResidentLayers, SchedulesDoNotMoveABit) {
  if (way().precision.stored.dtype == VARLSTM_DTYPE_F16) GTEST_SKIP() << "the barriers of BF16 once more";
  const varlstm::simt::Options before = varlstm::simt::options();
  for (const int64_t layers : {int64_t{2}, int64_t{3}}) {
    const int index = layers == 2 ? of_blocks_ : smallest_;
    const WayCase given = make_case(index, layers, {1, 0, 3, 2, 1}, 17);
    const Ran expected = run(way(), one_after_the_other(given), VARLSTM_MODE_SAVE);
    const auto expect_same_under = [&](varlstm::simt::Schedule schedule, uint64_t seed) {
      SCOPED_TRACE(std::to_string(static_cast<int>(schedule)) + ":" + std::to_string(seed));
      varlstm::simt::Options chosen = before;
      chosen.schedule = schedule;
      chosen.seed = seed;
      varlstm::simt::set_options(chosen);
      const FewTeams device(tile(index), static_cast<int>(layers));
      expect_same(run(way(), given, VARLSTM_MODE_SAVE), expected);
    };
    expect_same_under(varlstm::simt::Schedule::kLifo, 1);
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      expect_same_under(varlstm::simt::Schedule::kRandom, seed);
      expect_same_under(varlstm::simt::Schedule::kPct, seed);
    }
  }
  varlstm::simt::set_options(before);
}

// Where cooperative launches are not allowed, cluster and stepwise do without: this device refuses any.
TEST_P(ResidentLayers, ClusterAndStepwiseNeedNoCooperativeLaunch) {
  if (way().policy == VARLSTM_RECURRENCE_GRID) GTEST_SKIP() << "the grid's launch is one";
  const FewTeams device(tile(of_blocks_), 2);
  const WayCase given = make_case(of_blocks_, 2, {2, 0, 3}, 20);
  const Ran expected = run(way(), given, VARLSTM_MODE_SAVE, true);
  const varlstm::simt::Options before = varlstm::simt::options();
  varlstm::simt::Options without = before;
  without.resident_blocks = 0;
  varlstm::simt::set_options(without);
  expect_same(run(way(), given, VARLSTM_MODE_SAVE, true), expected);
  ASSERT_TRUE(all_finite(run(way().stepwise(), given, VARLSTM_MODE_SAVE, true).results.gradients.dparams));
  varlstm::simt::set_options(before);
}

// What may not run in one launch runs layer after layer, and says why.
TEST_P(ResidentLayers, RunOneAfterTheOtherWhereTheyMust) {
  const auto reason_of = [&](const WayCase& given, int64_t layers) {
    REQUIRE_OK(setenv("VARLSTM_PRINT_POLICY", "1", 1));
    ::testing::internal::CaptureStderr();
    const Ran ran = run(way(), given, VARLSTM_MODE_INFER);
    const std::string printed = ::testing::internal::GetCapturedStderr();
    REQUIRE_OK(unsetenv("VARLSTM_PRINT_POLICY"));
    EXPECT_EQ(ran.launches, launches_of(layers)) << printed;
    return printed;
  };
  WayCase given = make_case(smallest_, 3, {2, 1, 2}, 18);
  {
    const FewTeams device(tile(smallest_), 2);
    EXPECT_NE(reason_of(given, 3).find("3 layers one after the other: the device has too few multiprocessors"),
              std::string::npos);
  }
  const FewTeams device(tile(smallest_), 3);
  EXPECT_NE(reason_of(given, 1).find("3 layers in one launch forward"), std::string::npos);
  EXPECT_NE(reason_of(one_after_the_other(given), 3).find("VARLSTM_KEY_LAYERS_TOGETHER is 0"), std::string::npos);
}
#endif

INSTANTIATE_TEST_SUITE_P(Ways, ResidentLayers, ::testing::ValuesIn(resident_ways()), way_label);

}  // namespace
}  // namespace varlstm_test
