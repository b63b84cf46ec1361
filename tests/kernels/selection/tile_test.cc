// The tile of a recurrence: that each fits its device, its figures, and which one a batch takes.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/kernels/selection/devices.h"

namespace varlstm::cuda {
namespace {

// Each row has figures of its own, and there are none of a row that is gone.
TEST(RecurrenceSelection, EveryTileHasItsFigures) {
  int rows = 0;
  for (const Policy policy : {Policy::kCluster, Policy::kGrid}) {
    for (const MathKind math : {MathKind::kBf16, MathKind::kF16, MathKind::kTf32, MathKind::kF32}) {
      const TileRows table = tile_rows(policy, math);
      for (int k = 0; k < table.count; ++k) {
        SCOPED_TRACE(std::string(recurrence_policy_name(policy)) + " math " + std::to_string(static_cast<int>(math)) +
                     " row " + std::to_string(k));
        const TileStep step = step_of_tile(policy, math, table.rows[k]);
        for (const StepFigures& figures : {step.forward, step.backward}) {
          EXPECT_GT(figures.chain, 0);
          EXPECT_LT(figures.chain, 1 << 20) << "not listed in step_clocks.h";
          EXPECT_GT(figures.work, 0);
          EXPECT_GT(figures.bytes, 0);
        }
        if (math != MathKind::kF16) ++rows;
      }
    }
  }
  EXPECT_EQ(rows, static_cast<int>(sizeof kTileSteps / sizeof kTileSteps[0]));
}

TEST(RecurrenceSelection, ClocksAreTheChainAndTheLongestOfTheRest) {
  EXPECT_EQ(step_clocks({100, 50, 640}, 1), 150);    // 640 bytes are 10 clocks of a block
  EXPECT_EQ(step_clocks({100, 50, 6400}, 1), 200);   // and 6400 are 100
  EXPECT_EQ(step_clocks({100, 50, 640}, 310), 164);  // 310 blocks share 3100 bytes a clock
}

TEST(RecurrenceSelection, StepsOfABatchByItsLengths) {
  EXPECT_EQ(modelled_steps({100, 154, 2000}, 16), 154);  // 7 sequences of 20 tokens in a slot are fewer
  EXPECT_EQ(modelled_steps({100, 154, 2000}, 8), 260);   // 13 are not
  EXPECT_EQ(modelled_steps({17, 50, 850}, 16), 100);     // two of one length
  EXPECT_EQ(modelled_steps({0, 0, 0}, 8), 1);
  EXPECT_EQ(modelled_steps({3, 0, 0}, 8), 1);  // sequences without tokens
}

// Each of a tile's passes has to fit: a device with a byte less than the one that needs more has no such recurrence.
TEST(RecurrenceSelection, BothPassesHaveToFit) {
  int backward_needs_more = 0;
  for (const Kind& kind : kKinds) {
    for (const Policy policy : {Policy::kCluster, Policy::kGrid}) {
      const TileRows table = tile_rows(policy, kind.math);
      for (int k = 0; k < table.count; ++k) {
        const TileShape& tile = table.rows[k];
        for (const Cell cell : kCells) {
          if (k != row_of(policy, kind.math, tile.hidden, cell)) continue;  // the first of an H decides
          const int64_t forward = forward_shared_bytes(policy, kind.math, cell, tile),
                        backward = backward_shared_bytes(policy, kind.math, cell, tile);
          backward_needs_more += backward > forward ? 1 : 0;
          const RecurrenceShape shape = shape_of(kind, tile.hidden, 1, cell);
          DeviceFacts device = kH100.facts;
          device.shared_bytes = std::max(forward, backward);
          EXPECT_EQ(why_not(policy, shape, device), nullptr) << kind.name << " " << tile.hidden;
          --device.shared_bytes;
          EXPECT_STREQ(why_not(policy, shape, device), "the weights do not fit a multiprocessor's shared memory")
              << kind.name << " " << tile.hidden;
        }
      }
    }
  }
  EXPECT_GT(backward_needs_more, 0);
}

TEST(RecurrenceSelection, EveryRowFitsAnH100) {
  for (const Policy policy : {Policy::kCluster, Policy::kGrid}) {
    for (const Kind& kind : kKinds) {
      const TileRows table = tile_rows(policy, kind.math);
      ASSERT_GT(table.count, 0);
      for (int k = 0; k < table.count; ++k) {
        const TileShape& tile = table.rows[k];
        SCOPED_TRACE(std::string(recurrence_policy_name(policy)) + " " + kind.name + " row " + std::to_string(k));
        for (const Cell cell : kCells) {
          EXPECT_LE(forward_shared_bytes(policy, kind.math, cell, tile), kH100.facts.shared_bytes);
          EXPECT_LE(backward_shared_bytes(policy, kind.math, cell, tile), kH100.facts.shared_bytes);
          EXPECT_TRUE(fits(policy, kind.math, cell, tile, kH100.facts));
        }
        EXPECT_EQ(tile.hidden % tile.units, 0);
        EXPECT_LE(32 * tile.groups() * tile.splits, 1024) << "threads of forward";
        EXPECT_GE(resident_teams(policy, tile, kH100.facts), 1);
        EXPECT_LE(tile.blocks(), policy == Policy::kCluster ? 16 : kH100.facts.resident_blocks);
        // A block's share of W_hh fits registers and shared memory together, whatever the tile says of either.
        const int64_t weights = int64_t{4} * tile.hidden * tile.units * value_bytes(kind.math);
        EXPECT_LE(weights, kH100.facts.shared_bytes + 4 * 64 * 1024);
        if (k == 0) continue;
        const TileShape& before = table.rows[k - 1];
        EXPECT_TRUE(before.hidden < tile.hidden || (before.hidden == tile.hidden && before.slots() < tile.slots()))
            << "smaller H first, fewer slots first";
      }
    }
  }
}

// H of each math for which a team takes 128 of 132 multiprocessors: two directions take turns, up to there they run
// together.
TEST(RecurrenceSelection, DirectionsTakeTurnsWhereOneFillsTheDevice) {
  for (const Kind& kind : kKinds) {
    SCOPED_TRACE(kind.name);
    const int64_t together = value_bytes(kind.math) == 2 ? 1024 : 512;
    EXPECT_EQ(choose_tile(Policy::kGrid, shape_of(kind, together, 2), 64, kH100.facts).directions, 2);
    for (const int64_t batch : {1, 9, 1000}) {
      const RecurrenceChoice turns = choose_tile(Policy::kGrid, shape_of(kind, 2 * together, 2), batch, kH100.facts);
      EXPECT_EQ(turns.directions, 1);
      EXPECT_EQ(turns.teams, 1);
      EXPECT_EQ(turns.tile->blocks(), 128);
      EXPECT_EQ(turns.slots(), batch == 1 ? 8 : 16);
    }
    DeviceFacts fewer = kH100.facts;
    fewer.resident_blocks = 127;
    EXPECT_STREQ(why_not(Policy::kGrid, shape_of(kind, 2 * together, 1), fewer),
                 "the device has too few multiprocessors for a team's blocks");
  }
}

// Beside the LSTM, cells have no second tile of an H: a large batch takes as many teams as are resident.
TEST(RecurrenceSelection, OtherCellsTakeTheFirstTileOfTheirH) {
  for (const Kind& kind : kKinds) {
    SCOPED_TRACE(kind.name);
    const int64_t hidden = kind.math == MathKind::kF32 ? 256 : 512;  // has two tiles
    for (const Cell cell : {Cell::kGru, Cell::kRnnTanh, Cell::kRnnRelu}) {
      const RecurrenceChoice many = choose_tile(Policy::kCluster, shape_of(kind, hidden, 1, cell), 100000, kH100.facts);
      EXPECT_EQ(many.tile->slots(), 8);
      EXPECT_EQ(many.index, row_of(Policy::kCluster, kind.math, hidden, cell));
      EXPECT_EQ(many.teams, resident_teams(Policy::kCluster, *many.tile, kH100.facts));
      EXPECT_EQ(choose_tile(Policy::kCluster, shape_of(kind, hidden, 1), 100000, kH100.facts).tile->slots(), 16);
    }
  }
}

// The tile has the fewest clocks, of which more sequences never take fewer; teams never exceed what is resident; and
// what decides a sum (H's padding, the units of a block, the splits) is the same for every batch.
TEST(RecurrenceSelection, TilesHaveTheFewestClocksAndKeepTheirSums) {
  for_each_shape([](const Device& device, const Kind& kind, const RecurrenceShape& shape) {
    for (const Policy policy : {Policy::kCluster, Policy::kGrid}) {
      if (why_not(policy, shape, device.facts) != nullptr) continue;
      SCOPED_TRACE(recurrence_policy_name(policy));
      const RecurrenceChoice one = choose_tile(policy, shape, 1, device.facts);
      ASSERT_NE(one.tile, nullptr);
      EXPECT_EQ(one.math, kind.math);
      EXPECT_EQ(one.index, row_of(policy, kind.math, shape.hidden, shape.cell));
      EXPECT_EQ(one.teams, 1);
      int64_t clocks = 0;
      for (const int64_t batch : {0, 1, 7, 8, 9, 16, 17, 64, 100, 127, 128, 129, 256, 257, 300, 1000, 5000}) {
        const RecurrenceChoice choice = choose_tile(policy, shape, batch, device.facts);
        ASSERT_NE(choice.tile, nullptr);
        EXPECT_EQ(choice.tile, tile_rows(policy, kind.math).rows + choice.index);
        EXPECT_GE(choice.teams, 1);
        EXPECT_LE(choice.teams * choice.directions, resident_teams(policy, *choice.tile, device.facts));
        EXPECT_LE(choice.teams * choice.tile->blocks() * choice.directions, device.facts.resident_blocks);
        EXPECT_EQ(choice.directions, one.directions);
        EXPECT_GE(choice.clocks, clocks) << "B=" << batch;
        for (const int64_t slots : {8, 16}) {
          RecurrenceShape forced = shape;
          forced.team_slots = slots;
          const RecurrenceChoice other = choose_tile(policy, forced, batch, device.facts);
          EXPECT_LE(choice.clocks, other.clocks) << "B=" << batch << ", " << slots << " slots";
          if (other.tile != choice.tile) {
            EXPECT_EQ(other.tile->slots(), slots);
          }
        }
        EXPECT_LT((choice.teams - 1) * choice.tile->slots(), std::max<int64_t>(batch, 1)) << "a team without work";
        EXPECT_EQ(choice.tile->hidden, one.tile->hidden);
        EXPECT_EQ(choice.tile->units, one.tile->units);
        EXPECT_EQ(choice.tile->splits, one.tile->splits);
        clocks = choice.clocks;
      }
    }
  });
}

}  // namespace
}  // namespace varlstm::cuda
