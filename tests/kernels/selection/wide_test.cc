// Wide teams: what they may run, in how many sets, and when they run in the place of a tile.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <utility>

#include "kernels/selection/batch_selection.h"
#include "tests/kernels/selection/devices.h"

namespace varlstm::cuda {
namespace {

// H100: 132 blocks, 66 clusters of 2, 32 of 4 and 16 of 8.
TEST(WideTeams, WhatTheyMayRun) {
  const RecurrenceShape shape = shape_of(kKinds[2], 1024, 1);
  EXPECT_EQ(why_not_wide(WidePass::kForward, Policy::kGrid, shape, kH100.facts), nullptr);
  EXPECT_EQ(why_not_wide(WidePass::kForward, Policy::kStepwise, shape, kH100.facts), nullptr);
  for (const Device& device : {kA100, kA10, kT4, kRtx5090})
    EXPECT_NE(why_not_wide(WidePass::kForward, Policy::kStepwise, shape, device.facts), nullptr) << device.name;
  EXPECT_NE(why_not_wide(WidePass::kForward, Policy::kGrid, shape_of(kKinds[0], 1024, 1), kH100.facts), nullptr);
  for (const int64_t hidden : {1, 255, 257, 384, 1000, 1023, 2047, 4096})
    EXPECT_NE(why_not_wide(WidePass::kForward, Policy::kGrid, shape_of(kKinds[2], hidden, 1), kH100.facts), nullptr)
        << hidden;
  for (const int64_t hidden : {256, 512, 768, 1024})
    EXPECT_EQ(why_not_wide(WidePass::kForward, Policy::kGrid, shape_of(kKinds[4], hidden, 2), kH100.facts), nullptr)
        << hidden;
  RecurrenceShape with = shape;
  with.options = true;
  EXPECT_NE(why_not_wide(WidePass::kForward, Policy::kStepwise, with, kH100.facts), nullptr);
  EXPECT_NE(why_not_wide(WidePass::kForward, Policy::kStepwise, shape_of(kKinds[2], 1024, 1, Cell::kGruResetBefore),
                         kH100.facts),
            nullptr);
  DeviceFacts small = kH100.facts;
  small.active_clusters[2] = 15;  // 60 blocks of the 64
  EXPECT_NE(why_not_wide(WidePass::kForward, Policy::kGrid, shape, small), nullptr);
}

// Backward has the order of stepwise in every cell, and that of policy grid in an LSTM; clusters of 8 blocks, or of 4.
TEST(WideTeams, WhatTheyMayRunBackward) {
  const auto why_not_back = [](Policy policy, const RecurrenceShape& shape, const DeviceFacts& facts = kH100.facts) {
    return why_not_wide(WidePass::kBackward, policy, shape, facts);
  };
  for (const int64_t hidden : {256, 512, 768, 1024}) {
    for (const Cell cell : {Cell::kLstm, Cell::kGru, Cell::kRnnTanh, Cell::kRnnRelu}) {
      const RecurrenceShape shape = shape_of(kKinds[2], hidden, 1, cell);
      EXPECT_EQ(why_not_back(Policy::kStepwise, shape), nullptr) << hidden;
      EXPECT_EQ(why_not_back(Policy::kGrid, shape) == nullptr, cell == Cell::kLstm && hidden > 256) << hidden;
      EXPECT_NE(why_not_back(Policy::kCluster, shape), nullptr) << hidden;
    }
  }
  const RecurrenceShape shape = shape_of(kKinds[4], 1024, 1);
  DeviceFacts small = kH100.facts;
  small.active_clusters[3] = 7;  // 56 blocks of the 64
  EXPECT_NE(why_not_back(Policy::kStepwise, shape, small), nullptr);
  EXPECT_EQ(why_not_back(Policy::kGrid, shape, small), nullptr);
  small.shared_bytes -= 1;
  EXPECT_NE(why_not_back(Policy::kGrid, shape, small), nullptr);
}

// A set of H = 1024 is 64 blocks with 2 teams of 64 slots, and an H100 holds two.
TEST(WideTeams, AreInAsManySetsAsPossible) {
  struct {
    int64_t hidden, directions, batch, teams, sets, at_once;
  } const kCases[] = {{1024, 1, 1, 1, 1, 1},    {1024, 1, 65, 2, 2, 1},   {1024, 1, 129, 3, 2, 1},
                      {1024, 1, 1000, 4, 2, 1}, {1024, 2, 1000, 2, 1, 2}, {768, 1, 1000, 4, 2, 1},
                      {512, 1, 1000, 8, 4, 1},  {256, 2, 1000, 8, 4, 2}};
  for (const auto& c : kCases) {
    SCOPED_TRACE(testing::Message() << "H = " << c.hidden << ", B = " << c.batch);
    const WideChoice choice =
        choose_wide(WidePass::kForward, Policy::kGrid, shape_of(kKinds[2], c.hidden, c.directions),
                    of_one_length(c.batch), kH100.facts);
    EXPECT_EQ(choice.teams, c.teams);
    EXPECT_EQ(choice.sets, c.sets);
    EXPECT_EQ(choice.directions, c.at_once);
  }
  DeviceFacts one_set = kH100.facts;
  one_set.active_clusters[2] = 31;
  const WideChoice in_turn =
      choose_wide(WidePass::kForward, Policy::kGrid, shape_of(kKinds[2], 1024, 2), of_one_length(1000), one_set);
  EXPECT_EQ(in_turn.directions, 1);
  EXPECT_EQ(in_turn.teams, 2);
}

// Backward at H = 1024: one set of clusters of 8 blocks with 2 teams, or two of clusters of 4 with one team each.
TEST(WideTeams, AreInOtherSetsBackward) {
  struct {
    Policy policy;
    int64_t hidden, batch, teams, sets;
  } const kCases[] = {{Policy::kStepwise, 1024, 1000, 2, 1}, {Policy::kGrid, 1024, 1000, 2, 2},
                      {Policy::kStepwise, 768, 1000, 4, 2},  {Policy::kGrid, 768, 1000, 2, 2},
                      {Policy::kStepwise, 512, 70, 2, 2},    {Policy::kGrid, 512, 1000, 3, 3}};
  DeviceFacts facts = kH100.facts;
  facts.active_clusters[3] = 15;
  for (const auto& c : kCases) {
    SCOPED_TRACE(testing::Message() << "H = " << c.hidden << ", B = " << c.batch);
    const WideChoice choice =
        choose_wide(WidePass::kBackward, c.policy, shape_of(kKinds[2], c.hidden, 1), of_one_length(c.batch), facts);
    EXPECT_EQ(choice.teams, c.teams);
    EXPECT_EQ(choice.sets, c.sets);
  }
}

// A long sequence, which decides the number of steps, leaves a second team without a gain; whoever forces teams gets
// all.
TEST(WideTeams, AreFewerIfOneSequenceIsLong) {
  RecurrenceShape shape = shape_of(kKinds[2], 1024, 1);
  const auto teams = [&](const BatchBounds& batch) {
    return choose_wide(WidePass::kBackward, Policy::kGrid, shape, batch, kH100.facts).teams;
  };
  EXPECT_EQ(teams({256, 250, 256 * 40}), 1);
  EXPECT_EQ(teams({256, 40, 256 * 40}), 2);
  shape.team_slots = 64;
  EXPECT_EQ(teams({256, 250, 256 * 40}), 2);
  EXPECT_EQ(teams({64, 250, 64 * 40}), 1);
}

// Large batches of a large H, and no small ones; the slots that are forced decide before that.
TEST(WideTeams, TakeWhatTheyAreFasterFor) {
  RecurrenceShape shape = shape_of(kKinds[2], 1024, 1);
  const auto faster = [&](Policy policy, int64_t batch) {
    return is_wide_faster(WidePass::kForward, policy, shape, of_one_length(batch), kH100.facts);
  };
  EXPECT_FALSE(faster(Policy::kGrid, 16));
  EXPECT_TRUE(faster(Policy::kGrid, 256));
  EXPECT_TRUE(faster(Policy::kGrid, 1000));
  EXPECT_TRUE(faster(Policy::kStepwise, 1));
  shape.hidden = 256;
  EXPECT_FALSE(faster(Policy::kCluster, 256));
  EXPECT_TRUE(faster(Policy::kCluster, 2000));
  shape.team_slots = 64;
  EXPECT_TRUE(faster(Policy::kCluster, 1));
  for (const int64_t slots : {int64_t{8}, int64_t{16}, kNoTeams}) {
    shape.team_slots = slots;
    EXPECT_FALSE(faster(Policy::kCluster, 2000)) << slots;
  }
}

TEST(WideTeams, TakeWhatTheyAreFasterForBackward) {
  const auto faster = [&](Policy policy, int64_t hidden, int64_t batch, int64_t slots = 0) {
    RecurrenceShape shape = shape_of(kKinds[2], hidden, 1);
    shape.team_slots = slots;
    return is_wide_faster(WidePass::kBackward, policy, shape, of_one_length(batch), kH100.facts);
  };
  for (const int64_t hidden : {512, 768, 1024}) {
    EXPECT_FALSE(faster(Policy::kGrid, hidden, 16)) << hidden;
    EXPECT_TRUE(faster(Policy::kGrid, hidden, 256)) << hidden;
    EXPECT_TRUE(faster(Policy::kStepwise, hidden, 1)) << hidden;
    EXPECT_TRUE(faster(Policy::kGrid, hidden, 1, 64)) << hidden;
    EXPECT_FALSE(faster(Policy::kGrid, hidden, 256, 16)) << hidden;
    EXPECT_FALSE(faster(Policy::kStepwise, hidden, 256, kNoTeams)) << hidden;
  }
}

// In TF32 they stream their weights: an LSTM, in the order of stepwise.
TEST(StreamedTeams, WhatTheyMayRun) {
  const RecurrenceShape shape = shape_of(kKinds[1], 2048, 2);
  for (const WidePass pass : {WidePass::kForward, WidePass::kBackward}) {
    EXPECT_EQ(why_not_wide(pass, Policy::kStepwise, shape, kH100.facts), nullptr);
    EXPECT_NE(why_not_wide(pass, Policy::kGrid, shape, kH100.facts), nullptr);
    EXPECT_NE(why_not_wide(pass, Policy::kStepwise, shape_of(kKinds[0], 2048, 1), kH100.facts), nullptr);
    for (const int64_t hidden : {255, 512, 1024, 2047, 4096})
      EXPECT_NE(why_not_wide(pass, Policy::kStepwise, shape_of(kKinds[1], hidden, 1), kH100.facts), nullptr) << hidden;
    for (const Cell cell : {Cell::kGru, Cell::kGruResetBefore, Cell::kRnnTanh}) {
      EXPECT_NE(why_not_wide(pass, Policy::kStepwise, shape_of(kKinds[1], 2048, 1, cell), kH100.facts), nullptr);
      EXPECT_NE(why_not_wide(pass, Policy::kGrid, shape_of(kKinds[2], 2048, 1, cell), kH100.facts), nullptr);
    }
    // In 16 bits in the order of the grid, whose tile for H = 2048 has the splits and blocks that they add.
    EXPECT_EQ(why_not_wide(pass, Policy::kGrid, shape_of(kKinds[2], 2048, 1), kH100.facts), nullptr);
    EXPECT_EQ(why_not_wide(pass, Policy::kGrid, shape_of(kKinds[4], 2048, 1), kH100.facts), nullptr);
    EXPECT_NE(why_not_wide(pass, Policy::kStepwise, shape_of(kKinds[2], 2048, 1), kH100.facts), nullptr);
    DeviceFacts small = kH100.facts;
    small.active_clusters[2] = 31;  // 124 blocks of the 128
    EXPECT_NE(why_not_wide(pass, Policy::kStepwise, shape, small), nullptr);
  }
}

// In TF32 in the order of the tiles: forward with 128 blocks of 8 units, backward of the grid in clusters of 8 blocks.
TEST(WideTeams, WhatTheyMayRunInTf32) {
  const auto why_not_pass = [](WidePass pass, Policy policy, int64_t hidden, Cell cell = Cell::kLstm) {
    return why_not_wide(pass, policy, shape_of(kKinds[1], hidden, 1, cell), kH100.facts);
  };
  for (const int64_t hidden : {256, 1024}) {
    EXPECT_EQ(why_not_pass(WidePass::kForward, Policy::kGrid, hidden), nullptr) << hidden;
    EXPECT_NE(why_not_pass(WidePass::kForward, Policy::kGrid, hidden, Cell::kGru), nullptr) << hidden;
  }
  EXPECT_EQ(why_not_pass(WidePass::kForward, Policy::kCluster, 256), nullptr);  // whose splits have as much depth
  EXPECT_EQ(why_not_pass(WidePass::kBackward, Policy::kGrid, 1024), nullptr);
  EXPECT_NE(why_not_pass(WidePass::kBackward, Policy::kGrid, 256), nullptr);
  EXPECT_NE(why_not_pass(WidePass::kBackward, Policy::kStepwise, 1024), nullptr);
  for (const int64_t hidden : {512, 768, 2048})
    for (const WidePass pass : {WidePass::kForward, WidePass::kBackward})
      EXPECT_NE(why_not_pass(pass, Policy::kGrid, hidden), nullptr) << hidden;
  const RecurrenceShape shape = shape_of(kKinds[1], 1024, 1);
  const WideSizes forward = wide_sizes(WidePass::kForward, Policy::kGrid, shape);
  EXPECT_EQ(forward.blocks, 128);
  EXPECT_EQ(forward.weight_bytes, 0);
  const WideSizes backward = wide_sizes(WidePass::kBackward, Policy::kGrid, shape);
  EXPECT_EQ(backward.blocks, 64);
  EXPECT_EQ(backward.cluster, 8);
  EXPECT_EQ(backward.weight_bytes, 4 * 1024 * 1024 * 4);
}

// Many sequences, and those whose lengths differ; few run in the tiles of the grid.
TEST(WideTeams, TakeWhatTheyAreFasterForInTf32) {
  for (const WidePass pass : {WidePass::kForward, WidePass::kBackward}) {
    const auto faster = [&](const BatchBounds& batch) {
      return is_wide_faster(pass, Policy::kGrid, shape_of(kKinds[1], 1024, 1), batch, kH100.facts);
    };
    EXPECT_FALSE(faster(of_one_length(1)));
    EXPECT_FALSE(faster(of_one_length(16)));
    EXPECT_TRUE(faster(of_one_length(64)));
    EXPECT_TRUE(faster({256, 258, 11720}));
    EXPECT_TRUE(faster({256, 154, 4659}));
  }
}

// A context without batch invariance runs many turns of the grid stepwise, but not where wide teams stream weights.
TEST(StreamedTeams, KeepABatchFromStepwise) {
  const auto stepwise = [](const Kind& kind, int64_t hidden, const DeviceFacts& facts) {
    return is_faster_stepwise(Policy::kGrid, shape_of(kind, hidden, 1), 256, facts);
  };
  DeviceFacts without = kH100.facts;
  without.active_clusters[2] = without.active_clusters[3] = 0;
  for (const auto& [kind, hidden] : {std::pair{kKinds[1], 1024}, std::pair{kKinds[2], 2048}}) {
    EXPECT_FALSE(stepwise(kind, hidden, kH100.facts)) << hidden;
    EXPECT_TRUE(stepwise(kind, hidden, without)) << hidden;
  }
  EXPECT_TRUE(stepwise(kKinds[2], 1024, kH100.facts));  // stepwise has wide teams, too
  EXPECT_FALSE(is_faster_stepwise(Policy::kGrid, shape_of(kKinds[2], 1024, 1), 48, kH100.facts));
}

// No H has them in 64 bits, not even one whose weights are streamed in other types.
TEST(StreamedTeams, HaveNo64Bits) {
  const Kind kind = {"f64", DType::kF64, false, MathKind::kF32};
  for (const int64_t hidden : {256, 1024, 2048})
    for (const WidePass pass : {WidePass::kForward, WidePass::kBackward})
      for (const Policy policy : {Policy::kStepwise, Policy::kGrid})
        EXPECT_NE(why_not_wide(pass, policy, shape_of(kind, hidden, 1), kH100.facts), nullptr) << hidden;
}

// Slots beyond what the longest sequence leaves idle cost values of each step, and so does every further turn.
TEST(StreamedTeams, HaveAsManySlotsAsPay) {
  RecurrenceShape shape = shape_of(kKinds[1], 2048, 2);
  const auto choose = [&](const BatchBounds& batch) {
    return choose_wide(WidePass::kBackward, Policy::kStepwise, shape, batch, kH100.facts);
  };
  EXPECT_EQ(choose({64, 150, 1200}).team_slots, 8);
  EXPECT_EQ(choose({64, 150, 64 * 50}).team_slots, 24);
  EXPECT_EQ(choose({64, 50, 64 * 50}).team_slots, 64);
  EXPECT_EQ(choose({64, 50, 64 * 50}).slots(), 64);
  EXPECT_EQ(choose({64, 50, 64 * 50}).directions, 1);
  shape.team_slots = 64;  // forced: those that take the batch at once
  EXPECT_EQ(choose({3, 50, 3}).team_slots, 8);
  EXPECT_EQ(choose({17, 50, 17}).team_slots, 24);
  EXPECT_EQ(choose({1000, 50, 1000}).team_slots, 64);
}

// A launch for each step is faster backward for wide batches of one length alone.
TEST(StreamedTeams, TakeWhatTheyAreFasterFor) {
  const auto faster = [](WidePass pass, const BatchBounds& batch, int64_t slots = 0) {
    RecurrenceShape shape = shape_of(kKinds[1], 2048, 1);
    shape.team_slots = slots;
    return is_wide_faster(pass, Policy::kStepwise, shape, batch, kH100.facts);
  };
  for (const int64_t batch : {1, 16, 64, 256}) EXPECT_TRUE(faster(WidePass::kForward, of_one_length(batch))) << batch;
  for (const int64_t batch : {1, 16, 64}) EXPECT_TRUE(faster(WidePass::kBackward, of_one_length(batch))) << batch;
  EXPECT_FALSE(faster(WidePass::kBackward, of_one_length(256)));
  EXPECT_TRUE(faster(WidePass::kBackward, {256, 258, 11720}));
  EXPECT_TRUE(faster(WidePass::kBackward, of_one_length(256), 64));
  for (const int64_t slots : {int64_t{8}, kNoTeams}) EXPECT_FALSE(faster(WidePass::kForward, of_one_length(1), slots));
}

// Many turns of the grid's few slots take longer than a turn of 64; few do not.
TEST(StreamedTeams, TakeWhatTheyAreFasterForIn16Bits) {
  for (const WidePass pass : {WidePass::kForward, WidePass::kBackward}) {
    const auto faster = [&](const BatchBounds& batch) {
      return is_wide_faster(pass, Policy::kGrid, shape_of(kKinds[2], 2048, 1), batch, kH100.facts);
    };
    EXPECT_FALSE(faster(of_one_length(1)));
    EXPECT_EQ(faster(of_one_length(16)), pass == WidePass::kBackward);
    EXPECT_TRUE(faster(of_one_length(64)));
    EXPECT_TRUE(faster({256, 258, 11720}));
  }
}

// A context without batch invariance runs many turns of the grid stepwise, but not where wide teams stream weights in
// its place: stepwise has none there.
TEST(StreamedTeams, KeepABatchFromStepwise) {
  const auto stepwise = [](int64_t hidden, int64_t batch, const DeviceFacts& facts) {
    return is_faster_stepwise(Policy::kGrid, shape_of(kKinds[2], hidden, 1), batch, facts);
  };
  DeviceFacts without = kH100.facts;
  without.active_clusters[2] = 0;
  for (const int64_t batch : {64, 256}) {
    EXPECT_FALSE(stepwise(2048, batch, kH100.facts)) << batch;
    EXPECT_TRUE(stepwise(2048, batch, without)) << batch;
  }
  EXPECT_FALSE(stepwise(2048, 48, without));
  EXPECT_TRUE(stepwise(1024, 256, kH100.facts));
  EXPECT_FALSE(stepwise(1024, 48, kH100.facts));
}

// Their sums are those of the tiles in whose place they run: in splits of the same depth, of the same H.
TEST(WideTeams, HaveTheOrderOfTheTiles) {
  for (const MathKind math : {MathKind::kBf16, MathKind::kF16}) {
    for (const int hidden : kWideTeamHidden)
      EXPECT_TRUE(has_wide_order(tile_rows(Policy::kGrid, math), hidden)) << hidden;
    for (const int hidden : {256, 512})
      EXPECT_TRUE(has_wide_order(tile_rows(Policy::kCluster, math), hidden)) << hidden;
  }
  for (const int hidden : kTilesHiddenTf32) {
    EXPECT_TRUE(has_wide_order(tile_rows(Policy::kGrid, MathKind::kTf32), hidden, true)) << hidden;
    EXPECT_FALSE(wide_order(hidden, true).padded) << hidden;
  }
  ASSERT_EQ(wide_order(1024).depth, 256);
  constexpr TileShape kOtherSplits[] = {{1024, 16, 1, 2, 16, 4}}, kPadding[] = {{2048, 16, 1, 8, 16, 4}};
  EXPECT_FALSE(has_wide_order({kOtherSplits, 1}, 1024));
  EXPECT_FALSE(has_wide_order({kPadding, 1}, 1024));
  EXPECT_FALSE(has_wide_order({kPadding, 1}, 4096));
  // Backward adds the parts of blocks of 16 units, in eight groups of neighbours.
  for (const MathKind math : {MathKind::kBf16, MathKind::kF16}) {
    const TileRows table = tile_rows(Policy::kGrid, math);
    for (const int hidden : kWideTeamHidden) {
      const TileShape& tile = table.rows[first_row(Cell::kLstm, table, hidden)];
      const bool as_tile = tile.hidden == hidden && tile.units == 16 && tile.blocks() % 8 == 0;
      EXPECT_EQ(has_wide_grid_order(Cell::kLstm, hidden), as_tile) << hidden;
    }
  }
}

}  // namespace
}  // namespace varlstm::cuda
