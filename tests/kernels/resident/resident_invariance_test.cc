// What may not move a bit of a sequence's results in any way of the resident recurrence: batch-mates, their order, the
// number of slots and of teams.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <numeric>

#include "support/compare.h"
#include "support/recurrence_way.h"
#include "support/resident_tiles.h"
#include "support/sequence_slice.h"

namespace varlstm_test {
namespace {

using varlstm::cuda::TileRows;
using ResidentInvariance = ResidentWays;

// The sequences `order` in a batch of their own against the same of the whole batch.
void expect_same_in(const RecurrenceWay& way, const WayCase& given, const RnnResults& whole,
                    const std::vector<int64_t>& order) {
  SCOPED_TRACE(to_string(order));
  const WayCase part = {select(given.problem, order), select(given.problem, given.upstream, order)};
  expect_same_of_sequences(run_way(way, part),
                           {select(given.problem, whole.out, order), select(given.problem, whole.gradients, order)});
}

// The first `count` of 0, 1, ...
std::vector<int64_t> first(int64_t count) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  return order;
}

TEST_P(ResidentInvariance, BatchMatesDoNotMoveABit) {
  const TileRows tiles = tiles_of(way());
  const int index = first_team_of_blocks(tiles);
  const TwoTeams device(tiles.rows[index]);
  Random random(71);
  for (const bool both : {false, true}) {
    const RnnOptions options = options_of(way(), hidden_below(tiles, index) + 5, both);
    const int64_t batch = batch_of_tile(tiles, index, options.directions());
    const WayCase given = make_way_case(way().precision.stored, options, hostile_lengths(batch, 6), true, random);
    SCOPED_TRACE(describe(given.problem));
    const RnnResults whole = run_way(way(), given);
    expect_same_in(way(), given, whole, random.permutation(batch));
    expect_same_in(way(), given, whole, first(batch / 2));
    for (const int64_t alone : {int64_t{0}, int64_t{1}, batch / 2, batch - 1})
      expect_same_in(way(), given, whole, {alone});
  }
}

// As many teams as the device likes, and two.
TEST_P(ResidentInvariance, TeamsDoNotMoveABit) {
  const TileRows tiles = tiles_of(way());
  const int index = first_team_of_blocks(tiles);
  Random random(72);
  const WayCase given = make_way_case(way().precision.stored, options_of(way(), hidden_below(tiles, index) + 3, true),
                                      hostile_lengths(27, 4), true, random);
  const RnnResults many = run_way(way(), given);
  const TwoTeams device(tiles.rows[index]);
  const RnnResults two = run_way(way(), given);
  expect_same_of_sequences(two, many);
  EXPECT_TRUE(bitwise_equal(two.gradients.dparams, many.gradients.dparams));
}

// A batch in the tile of fewer slots, its sequences in a larger one in the tile of more.
TEST_P(ResidentInvariance, WideSlotTilesDoNotMoveABit) {
  if (way().precision.stored.dtype == VARLSTM_DTYPE_F16) GTEST_SKIP() << "the tiles of BF16 once more";
  if (way().cell != VARLSTM_CELL_LSTM) GTEST_SKIP() << "the cell has one tile of each H";
  const TileRows tiles = tiles_of(way());
  int index = 1;
  while (tiles.rows[index].hidden != tiles.rows[index - 1].hidden) ++index;
  Random random(73);
  const int64_t wide = batch_of_tile(tiles, index, 1), narrow = batch_of_tile(tiles, index - 1, 1);
  ASSERT_GT(tiles.rows[index].slots(), tiles.rows[index - 1].slots());
  std::vector<int64_t> lengths = hostile_lengths(wide, 3);
  std::fill(lengths.begin() + narrow, lengths.end() - 4, 1);
  const WayCase given = make_way_case(way().precision.stored, options_of(way(), hidden_below(tiles, index) + 7, false),
                                      lengths, true, random);
  RnnResults whole;
  {
    const TwoTeams device(tiles.rows[index]);
    whole = run_way(way(), given);
  }
  const TwoTeams device(tiles.rows[index - 1]);
  expect_same_in(way(), given, whole, first(narrow));
}

INSTANTIATE_TEST_SUITE_P(Ways, ResidentInvariance, ::testing::ValuesIn(resident_ways()), way_label);
INSTANTIATE_TEST_SUITE_P(OtherCells, ResidentInvariance, ::testing::ValuesIn(few_ways_of_other_cells()), way_label);

}  // namespace
}  // namespace varlstm_test
