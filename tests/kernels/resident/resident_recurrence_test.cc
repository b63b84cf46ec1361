// The resident recurrences, forced in each math and tile of their tables, against the naive cell in double: outputs and
// every gradient may be twice as far from it as a model that rounds where the math says so and nowhere else.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "support/compare.h"
#include "support/nvcc_kernels.h"
#include "support/resident_tiles.h"
#include "support/way_accuracy.h"

namespace varlstm_test {
namespace {

using varlstm::cuda::TileRows;
using varlstm::cuda::TileShape;

using ResidentRecurrence = ResidentWays;

// Layers, directions, biases and states vary from tile to tile, so that all of them meet.
RnnOptions options_of(const RecurrenceWay& way, int variant, int64_t hidden) {
  RnnOptions options;
  options.cell = way.cell;
  options.input = 3 + variant % 4;
  options.hidden = hidden;
  options.layers = hidden > 64 ? 1 : 1 + variant / 2 % 2;
  options.bidirectional = variant % 2 == 1;
  options.bias = variant % 3 != 2;
  return options;
}

// Zeros and two lengths for nvcc's PTX of a large H, so that slots still end, idle and take a second sequence.
std::vector<int64_t> lengths_of(int64_t hidden, int64_t batch) {
  std::vector<int64_t> lengths = hostile_lengths(batch, 5);
  if (hidden > 128 && kernels_are_nvccs())
    for (int64_t& length : lengths) length = std::min<int64_t>(length, 2);
  return lengths;
}

// Every tile with H in [least, most], at its limit and just above the next smaller tile's, where whole blocks are
// padding. nvcc's PTX, which takes long, at its limit alone, and large ones for fewer steps.
void check_tiles(const RecurrenceWay& way, int64_t least, int64_t most) {
  const TileRows tiles = tiles_of(way);
  Random random(31);
  int variant = 0;
  for (int index = 0; index < tiles.count; ++index) {
    const TileShape& tile = tiles.rows[index];
    if (tile.hidden < least || tile.hidden > most) continue;
    const TwoTeams device(tile);
    for (const int64_t hidden : {int64_t{tile.hidden}, hidden_below(tiles, index) + 1}) {
      if (hidden != tile.hidden && kernels_are_nvccs()) continue;
      const RnnOptions options = options_of(way, variant++, hidden);
      const int64_t batch = batch_of_tile(tiles, index, options.directions());
      expect_accurate(
          way, make_way_case(way.precision.stored, options, lengths_of(hidden, batch), variant % 3 != 0, random));
    }
  }
}

// An LSTM's F16 is tested as well; nvcc's PTX of F16 is another than that of BF16.
bool repeats_bf16(const RecurrenceWay& way) {
  return way.cell != VARLSTM_CELL_LSTM && way.precision.stored.dtype == VARLSTM_DTYPE_F16 && !kernels_are_nvccs();
}

TEST_P(ResidentRecurrence, SmallTilesAreAccurate) {
  if (repeats_bf16(way()) && way().cell != VARLSTM_CELL_GRU) GTEST_SKIP() << "the tiles of BF16 once more";
  check_tiles(way(), 1, 64);
}

TEST_P(ResidentRecurrence, MiddleTilesAreAccurate) {
  if (repeats_bf16(way())) GTEST_SKIP() << "the tiles of BF16 once more";
  check_tiles(way(), 65, 128);
}

// A few steps alone: millions of weights are slow on a CPU. whole_device: the tiles whose team has 128 blocks, or the
// others; of the former the device holds one team.
void expect_widest_are_accurate(const RecurrenceWay& way, bool whole_device) {
  const TileRows tiles = tiles_of(way);
  Random random(32);
  const int teams = whole_device ? 1 : 2;
  for (int index = 0; index < tiles.count; ++index) {
    const TileShape& tile = tiles.rows[index];
    if (tile.hidden <= 256 || (tile.blocks() == 128) != whole_device) continue;
    const FewTeams device(tile, teams);
    RnnOptions options = options_of(way, index, tile.hidden);
    options.bidirectional = options.hidden <= 512 && index % 2 == 0;
    std::vector<int64_t> lengths(static_cast<size_t>(batch_of_tile(tiles, index, options.directions(), teams)), 0);
    lengths[0] = 1;
    lengths[lengths.size() / 2] = whole_device ? 2 : 3;
    lengths.back() = 2;
    expect_accurate(way, make_way_case(way.precision.stored, options, lengths, true, random));
  }
}

// An LSTM's, of 16 bits those in BF16. The large tiles of the other cells differ from their small ones in the same
// sizes as an LSTM's: of these some.
bool takes_widest(const RecurrenceWay& way) {
  if (way.cell == VARLSTM_CELL_LSTM) return way.precision.stored.dtype != VARLSTM_DTYPE_F16;
  const std::string name = way.name();
  return !kernels_are_nvccs() && (name == "Gru_cluster_bf16" || name == "Gru_grid_tf32" || name == "RnnTanh_grid_tf32");
}

// And of 256 a tile whose warps share the depth of a product in a cluster.
TEST_P(ResidentRecurrence, WideTilesAreAccurate) {
  if (way().cell != VARLSTM_CELL_LSTM && way().name() != "Gru_cluster_tf32" && !takes_widest(way()))
    GTEST_SKIP() << "much as others once more";
  check_tiles(way(), 129, 256);
}

TEST_P(ResidentRecurrence, WidestTilesAreAccurate) {
  if (!takes_widest(way())) GTEST_SKIP() << "much as others once more";
  expect_widest_are_accurate(way(), false);
}

TEST_P(ResidentRecurrence, WidestTilesOfAWholeDeviceAreAccurate) {
  if (!takes_widest(way())) GTEST_SKIP() << "much as others once more";
  expect_widest_are_accurate(way(), true);
}

// On a device that holds one team of one direction, two directions run one after the other.
TEST_P(ResidentRecurrence, SmallTilesAreAccurateInTurns) {
  const TileRows tiles = tiles_of(way());
  const int index = first_team_of_blocks(tiles);
  if (way().policy == VARLSTM_RECURRENCE_CLUSTER) GTEST_SKIP() << "the emulated device holds two clusters";
  const FewTeams device(tiles.rows[index], 1);
  Random random(35);
  RnnOptions options = options_of(way(), 1, tiles.rows[index].hidden);
  options.layers = 2;
  ASSERT_TRUE(options.bidirectional);
  const int64_t slots = tiles.rows[index].slots();
  expect_accurate(way(), make_way_case(way().precision.stored, options, hostile_lengths(slots + 3, 6), true, random));
}

// Steps in which no sequence of a team begins or ends, and no slot is idle, take the usual way through the kernels. In
// the batches above there is hardly one.
TEST_P(ResidentRecurrence, SmallTilesAreAccurateInTheMiddleOfAllSequences) {
  const TileRows tiles = tiles_of(way());
  const TwoTeams device(tiles.rows[0]);
  const std::vector<int64_t> lengths(static_cast<size_t>(2 * tiles.rows[0].slots()), 7);
  Random random(36);
  for (const int variant : {1, 2}) {  // two directions; two layers
    const RnnOptions options = options_of(way(), variant, tiles.rows[0].hidden);
    ASSERT_EQ(options.layers + options.directions(), 3);
    expect_accurate(way(), make_way_case(way().precision.stored, options, lengths, true, random));
  }
}

// F32 with one split has stepwise's chain of sums, forward in every tile, backward where one block has all gates.
TEST_P(ResidentRecurrence, SmallF32TilesGiveTheBitsOfStepwise) {
  if (way().precision.operand.significant_bits != kF32Format.significant_bits) GTEST_SKIP() << "of F32 alone";
  const TileRows tiles = tiles_of(way());
  Random random(33);
  int forward = 0;
  for (int index = 0; index < tiles.count; ++index) {
    const TileShape& tile = tiles.rows[index];
    if (tile.hidden > 64 || tile.splits > 1) continue;
    const TwoTeams device(tile);
    for (const int variant : {0, 1}) {
      const RnnOptions options = options_of(way(), variant, tile.hidden - 1 - variant);
      const WayCase given =
          make_way_case(way().precision.stored, options,
                        hostile_lengths(batch_of_tile(tiles, index, options.directions()), 6), true, random);
      SCOPED_TRACE(describe(given.problem));
      const RnnResults resident = run_way(way(), given), stepwise = run_way(way().stepwise(), given);
      const std::vector<Named> actual = tensors(resident), expected = tensors(stepwise);
      const size_t compared = tile.blocks() == 1 ? actual.size() : 3;  // y, h_n, c_n
      for (size_t k = 0; k < compared; ++k)
        EXPECT_TRUE(bitwise_equal(*actual[k].values, *expected[k].values)) << actual[k].name;
      ++forward;
    }
  }
  EXPECT_GT(forward, 0);
}

TEST_P(ResidentRecurrence, SmallInferGivesTheBitsOfSave) {
  const TileRows tiles = tiles_of(way());
  Random random(34);
  const WayCase given =
      make_way_case(way().precision.stored, options_of(way(), 3, 60), hostile_lengths(11, 3), true, random);
  const TwoTeams device(tiles.rows[1]);
  const RnnOutputs<double> save = run_way(way(), given).out;
  const RnnOutputs<double> infer = run_way(way(), given, RunSetup(given.problem, VARLSTM_MODE_INFER)).out;
  EXPECT_TRUE(bitwise_equal(infer.y, save.y));
  EXPECT_TRUE(bitwise_equal(infer.h_n, save.h_n));
  EXPECT_TRUE(bitwise_equal(infer.c_n, save.c_n));
}

// Rows first, first + 1, ... of each sequence, `count` of them, where every sequence has `length` rows.
std::vector<double> rows_of_each(const std::vector<double>& values, int64_t length, int64_t features, int64_t first,
                                 int64_t count) {
  std::vector<double> taken;
  for (size_t begin = 0; begin < values.size(); begin += static_cast<size_t>(length * features)) {
    const auto from = values.begin() + static_cast<int64_t>(begin) + first * features;
    taken.insert(taken.end(), from, from + count * features);
  }
  return taken;
}

// A sequence in two calls, the second of which starts from h_n of the first, has the bits of one call: what the cell
// keeps of h from step to step is h as y has it. A c_n would be rounded.
TEST_P(ResidentRecurrence, SmallSequencesMayBeCut) {
  if (tested_cell(way().cell).has_c) GTEST_SKIP() << "of cells without c";
  const TileRows tiles = tiles_of(way());
  const TwoTeams device(tiles.rows[0]);
  Random random(36);
  const RnnOptions options = options_of(way(), 0, tiles.rows[0].hidden - 3);
  const int64_t length = 4, cut = 1;
  const RnnCase<double> whole =
      make_way_case(way().precision.stored, options, std::vector<int64_t>(5, length), true, random).problem;
  const auto infer = [&](const RnnCase<double>& problem) {
    return run_way(way(), {problem, {}}, RunSetup(problem, VARLSTM_MODE_INFER)).out;
  };
  const RnnOutputs<double> expected = infer(whole);
  RnnCase<double> part = whole;
  for (const int64_t first : {int64_t{0}, cut}) {
    const int64_t count = first == 0 ? cut : length - cut;
    part.lengths.assign(whole.lengths.size(), count);
    part.x = rows_of_each(whole.x, length, options.input, first, count);
    const RnnOutputs<double> out = infer(part);
    EXPECT_TRUE(bitwise_equal(out.y, rows_of_each(expected.y, length, options.hidden, first, count)));
    part.h0 = out.h_n;
  }
  EXPECT_TRUE(bitwise_equal(part.h0, expected.h_n));
}

INSTANTIATE_TEST_SUITE_P(Ways, ResidentRecurrence, ::testing::ValuesIn(resident_ways()), way_label);
INSTANTIATE_TEST_SUITE_P(OtherCells, ResidentRecurrence, ::testing::ValuesIn(ways_of_other_cells()), way_label);

}  // namespace
}  // namespace varlstm_test
