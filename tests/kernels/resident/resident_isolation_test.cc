// What may not leak in any way of the resident recurrence: a NaN into sequences that share its team or come after it in
// its slot, old memory into results, a workspace that is too small into a launch.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "support/compare.h"
#include "support/recurrence_way.h"
#include "support/resident_tiles.h"
#include "support/sequence_slice.h"

namespace varlstm_test {
namespace {

using varlstm::cuda::TileRows;
using ResidentIsolation = ResidentWays;

// The first tile whose team has several blocks; the one with the most slots of that H, so that slots take a second
// sequence.
int tile_of_blocks(const TileRows& tiles) {
  int index = first_team_of_blocks(tiles);
  while (index + 1 < tiles.count && tiles.rows[index + 1].hidden == tiles.rows[index].hidden) ++index;
  return index;
}

// Slots take a second and a third sequence: one direction has 16 slots on a device of two teams of 8, two have 8.
WayCase shared_slots(const RecurrenceWay& way, const TileRows& tiles, int index, bool bidirectional, Random& random) {
  RnnOptions options;
  options.cell = way.cell;
  options.input = 4;
  options.hidden = hidden_below(tiles, index) + 2;
  options.bidirectional = bidirectional;
  const int64_t batch = batch_of_tile(tiles, index, options.directions());
  return make_way_case(way.precision.stored, options, hostile_lengths(batch, 5), true, random);
}

void expect_same(const RnnResults& actual, const RnnResults& expected) {
  expect_same_of_sequences(actual, expected);
  EXPECT_TRUE(bitwise_equal(actual.gradients.dparams, expected.gradients.dparams));
}

RnnResults select(const RnnCase<double>& problem, const RnnResults& results, const std::vector<int64_t>& order) {
  return {select(problem, results.out, order), select(problem, results.gradients, order)};
}

// The sequence's value of every kind in turn: its token in the middle, its states, the gradients that come in.
void poison(const RnnCase<double>& shape, int64_t sequence, int where, double value, WayCase* given) {
  const std::vector<int64_t>& lengths = shape.lengths;
  const int64_t start = std::accumulate(lengths.begin(), lengths.begin() + sequence, int64_t{0});
  const int64_t token = start + lengths[static_cast<size_t>(sequence)] / 2, state = sequence * shape.options.hidden;
  if (where == 0) given->problem.x[static_cast<size_t>(token * shape.options.input)] = value;
  if (where == 1) given->problem.h0[static_cast<size_t>(state + 1)] = value;
  if (where == 2) given->problem.c0[static_cast<size_t>(state + shape.options.hidden - 1)] = value;
  if (where == 3) given->upstream.dy[static_cast<size_t>(token * shape.output_features())] = value;
  if (where == 4) given->upstream.dh_n[static_cast<size_t>(state)] = value;
}

TEST_P(ResidentIsolation, NanStaysInItsSequence) {
  const TileRows tiles = tiles_of(way());
  const int index = tile_of_blocks(tiles);
  const TwoTeams device(tiles.rows[index]);
  Random random(81);
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  for (const bool both : {false, true}) {
    const WayCase clean = shared_slots(way(), tiles, index, both, random);
    const RnnResults expected = run_way(way(), clean);
    const int64_t giant = clean.problem.batch() / 2;
    ASSERT_GT(clean.problem.batch(), 6) << "sequence 6 is poisoned below";
    struct Poison {
      int64_t sequence;
      int where;
    };
    // The giant keeps its slot; those of length 4 and 3 give theirs to another; the one of length 0 has none. A cell
    // without c gets the NaN in h0 once more, in the sequence of length 3.
    const Poison of_one[] = {{giant, 0}, {6, 1}, clean.problem.has_c() ? Poison{1, 2} : Poison{2, 1}};
    const Poison of_both[] = {{giant, 3}, {2, 0}, {6, 4}};
    for (const Poison& at : both ? of_both : of_one) {
      SCOPED_TRACE("sequence " + std::to_string(at.sequence) + ", input " + std::to_string(at.where));
      WayCase poisoned = clean;
      // Infinity where it saturates no gate.
      poison(clean.problem, at.sequence, at.where, at.where == 2 || at.where == 3 ? infinity : nan, &poisoned);
      std::vector<int64_t> others = random.permutation(clean.problem.batch());
      others.erase(std::find(others.begin(), others.end(), at.sequence));
      const RnnResults actual = run_way(way(), poisoned);
      expect_same(select(clean.problem, actual, others), select(clean.problem, expected, others));
      const RnnResults own = select(clean.problem, actual, {at.sequence});
      const std::vector<double>& states = clean.problem.has_c() ? own.out.c_n : own.out.h_n;
      EXPECT_FALSE(all_finite(at.where < 3 ? states : own.gradients.dx));
    }
  }
}

// Nor does the one whose bits stand for «nothing yet» in the exchange of states: it arrives, as a NaN.
TEST_P(ResidentIsolation, NanOfAllBitsArrives) {
  const TileRows tiles = tiles_of(way());
  const int index = tile_of_blocks(tiles);
  const TwoTeams device(tiles.rows[index]);
  Random random(84);
  const WayCase clean = shared_slots(way(), tiles, index, false, random);
  WayCase soiled = clean;
  const size_t states = static_cast<size_t>(2 * clean.problem.options.hidden);  // of the first two sequences
  memset(soiled.problem.h0.data(), 0xff, states * sizeof(double));
  const RnnResults actual = run_way(way(), soiled);
  std::vector<int64_t> others(static_cast<size_t>(clean.problem.batch() - 2));
  std::iota(others.begin(), others.end(), 2);
  expect_same(select(clean.problem, actual, others), select(clean.problem, run_way(way(), clean), others));
  for (const double h : select(clean.problem, actual, {0, 1}).out.h_n) EXPECT_TRUE(std::isnan(h));
}

TEST_P(ResidentIsolation, MemoryBeforeTheCallDoesNotMatter) {
  const TileRows tiles = tiles_of(way());
  const int index = tile_of_blocks(tiles);
  const TwoTeams device(tiles.rows[index]);
  Random random(82);
  const WayCase given = shared_slots(way(), tiles, index, true, random);
  const RnnResults expected = run_way(way(), given);
  ASSERT_TRUE(all_finite(expected.gradients.dparams));
  RunSetup setup(given.problem);
  setup.fill = Fill::kRandomBytes;
  expect_same(run_way(way(), given, setup), expected);
  setup.seed = 2;
  setup.bounds = {setup.bounds.max_batch + 9, setup.bounds.max_len + 20, setup.bounds.max_tokens + 50};
  expect_same(run_way(way(), given, setup), expected);
}

// A state or a state's gradient that is not given is zeros, in a slot's second sequence as in its first: nothing of the
// sequence before flows in.
TEST_P(ResidentIsolation, StatesNotGivenAreZerosInRefilledSlots) {
  if (way().precision.stored.dtype == VARLSTM_DTYPE_F16) GTEST_SKIP() << "the slots of BF16 once more";
  const TileRows tiles = tiles_of(way());
  const int index = tile_of_blocks(tiles);
  const TwoTeams device(tiles.rows[index]);
  Random random(83);
  WayCase without = shared_slots(way(), tiles, index, true, random), zeros = without;
  for (auto* states : {&zeros.problem.h0, &zeros.problem.c0, &zeros.upstream.dh_n, &zeros.upstream.dc_n})
    std::fill(states->begin(), states->end(), 0.0);
  for (auto* states : {&without.problem.h0, &without.problem.c0, &without.upstream.dh_n, &without.upstream.dc_n})
    states->clear();
  const RnnResults expected = run_way(way(), zeros);
  ASSERT_TRUE(all_finite(expected.gradients.dparams));
  expect_same(run_way(way(), without), expected);
}

TEST_P(ResidentIsolation, SmallWorkspaceIsAnError) {
  const TileRows tiles = tiles_of(way());
  const Context context = make_context(way());
  RnnOptions options;
  options.cell = way().cell;
  options.hidden = tiles.rows[first_team_of_blocks(tiles)].hidden;
  const Rnn rnn = make_rnn(context.get(), options, way()), steps = make_rnn(context.get(), options, way().stepwise());
  const std::vector<int64_t> lengths = {2, 1};
  const Batch batch = make_batch(context.get(), lengths);
  int64_t bytes = 0, of_steps = 0, reserve_bytes = 0;
  ASSERT_OK(varlstm_rnn_sizes(rnn.get(), 2, 2, 3, VARLSTM_MODE_INFER, &bytes, &reserve_bytes));
  ASSERT_OK(varlstm_rnn_sizes(steps.get(), 2, 2, 3, VARLSTM_MODE_INFER, &of_steps, &reserve_bytes));
  EXPECT_GT(bytes, of_steps);  // the schedule lies there
  const int64_t values = rnn_param_count(options) + 4 * options.hidden;
  ByteBuffer memory(context.get(), 4 * values), out(context.get(), 4 * 3 * options.hidden), work(context.get(), bytes);
  EXPECT_ERROR(VARLSTM_ERROR_BUFFER_TOO_SMALL, "workspace_bytes = " + std::to_string(bytes - 1) + " is too small",
               varlstm_rnn_forward(rnn.get(), batch.get(), VARLSTM_MODE_INFER, 0, memory.data(), memory.data(), nullptr,
                                   nullptr, out.data(), nullptr, nullptr, work.data(), bytes - 1, nullptr, 0, nullptr));
}

INSTANTIATE_TEST_SUITE_P(Ways, ResidentIsolation, ::testing::ValuesIn(resident_ways()), way_label);
INSTANTIATE_TEST_SUITE_P(OtherCells, ResidentIsolation, ::testing::ValuesIn(few_ways_of_other_cells()), way_label);

}  // namespace
}  // namespace varlstm_test
