// Which way a recurrence runs, on devices that are not here: the pure functions of recurrence_selection.h on tables of
// device facts. What each should choose is worked out here from the devices' limits, not with the library's formulas.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/selection/recurrence_selection.h"
#include "kernels/selection/wide_selection.h"

namespace varlstm::cuda {
namespace {

using Policy = RecurrencePolicy;

struct Device {
  const char* name;
  DeviceFacts facts;
};

// Multiprocessors, shared memory of a block at most, and clusters of 1, 2, 4, 8 and 16 blocks that are resident.
const Device kH100 = {"sm_90", {90, 132, 227 * 1024, {132, 66, 32, 16, 8}}};
const Device kA100 = {"sm_80", {80, 108, 163 * 1024, {108, 0, 0, 0, 0}}};
const Device kA10 = {"sm_86", {86, 84, 99 * 1024, {84, 0, 0, 0, 0}}};
const Device kT4 = {"sm_75", {75, 40, 64 * 1024, {40, 0, 0, 0, 0}}};
const Device kRtx5090 = {"sm_120", {120, 170, 99 * 1024, {170, 85, 42, 21, 0}}};
const Device kDevices[] = {kH100, kA100, kA10, kT4, kRtx5090};

struct Kind {
  const char* name;
  DType dtype;
  bool tf32;
  MathKind math;
};
const Kind kKinds[] = {{"f32", DType::kF32, false, MathKind::kF32},
                       {"tf32", DType::kF32, true, MathKind::kTf32},
                       {"bf16", DType::kBF16, false, MathKind::kBf16},
                       {"bf16 with the key of TF32", DType::kBF16, true, MathKind::kBf16},
                       {"f16", DType::kF16, false, MathKind::kF16}};

RecurrenceShape shape_of(const Kind& kind, int64_t hidden, int64_t directions, Cell cell = Cell::kLstm) {
  return {cell, kind.dtype, kind.tf32, hidden, directions};
}

// One for each number of gates. The two RNNs have the same sizes.
constexpr Cell kCells[] = {Cell::kLstm, Cell::kGru, Cell::kRnnTanh};

// The index of the first row that holds H and has kernels of the cell, or -1.
int row_of(Policy policy, MathKind math, int64_t hidden, Cell cell) {
  const TileRows table = tile_rows(policy, math);
  for (int k = 0; k < table.count; ++k)
    if (table.rows[k].hidden >= hidden && has_kernels(cell, table, k)) return k;
  return -1;
}

// Every device, kind, H around the tables' limits, number of directions and cell.
template <class Body>
void for_each_shape(const Body& body) {
  for (const Device& device : kDevices) {
    for (const Kind& kind : kKinds) {
      for (const int64_t hidden :
           {1, 31, 32, 33, 64, 65, 128, 129, 256, 257, 384, 385, 512, 640, 768, 896, 1024, 1025, 2048, 2049}) {
        for (const int64_t directions : {1, 2}) {
          for (const Cell cell : kCells) {
            SCOPED_TRACE(std::string(device.name) + " " + kind.name + " H=" + std::to_string(hidden) +
                         " D=" + std::to_string(directions) + " cell " + std::to_string(static_cast<int>(cell)));
            body(device, kind, shape_of(kind, hidden, directions, cell));
          }
        }
      }
    }
  }
}

TEST(RecurrenceSelection, AutomaticTakesTheLegalPolicyWithTheFewestClocks) {
  int compared = 0;
  for_each_shape([&](const Device& device, const Kind&, const RecurrenceShape& shape) {
    const bool cluster = why_not(Policy::kCluster, shape, device.facts) == nullptr;
    const bool grid = why_not(Policy::kGrid, shape, device.facts) == nullptr;
    Policy expected = cluster ? Policy::kCluster : grid ? Policy::kGrid : Policy::kStepwise;
    if (cluster && grid) {
      ++compared;
      const int64_t of_cluster = choose_tile(Policy::kCluster, shape, kReferenceBatch, device.facts).clocks,
                    of_grid = choose_tile(Policy::kGrid, shape, kReferenceBatch, device.facts).clocks;
      if (of_grid < of_cluster) expected = Policy::kGrid;
    }
    EXPECT_EQ(select_recurrence(shape, device.facts, 0), expected);
  });
  EXPECT_GT(compared, 100);
}

// The policy decides bits, so nothing of a batch may decide the policy.
TEST(RecurrenceSelection, ForcedSlotsDoNotMoveThePolicy) {
  for_each_shape([](const Device& device, const Kind&, const RecurrenceShape& shape) {
    RecurrenceShape forced = shape;
    for (const int64_t slots : {8, 16, 1000}) {
      forced.team_slots = slots;
      EXPECT_EQ(select_recurrence(forced, device.facts, 0), select_recurrence(shape, device.facts, 0));
    }
  });
}

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

TEST(RecurrenceSelection, AProjectionRunsStepwise) {
  for_each_shape([](const Device& device, const Kind&, const RecurrenceShape& shape) {
    RecurrenceShape projected = shape;
    projected.projects = true;
    for (const Policy policy : {Policy::kCluster, Policy::kGrid})
      EXPECT_STREQ(why_not(policy, projected, device.facts), "resident kernels have no projection of h");
    EXPECT_EQ(select_recurrence(projected, device.facts, 0), Policy::kStepwise);
  });
}

TEST(RecurrenceSelection, ACellWithTwoProductsRunsStepwise) {
  for_each_shape([](const Device& device, const Kind&, const RecurrenceShape& shape) {
    RecurrenceShape two = shape;
    two.cell = Cell::kGruResetBefore;
    for (const Policy policy : {Policy::kCluster, Policy::kGrid})
      EXPECT_STREQ(why_not(policy, two, device.facts),
                   "resident kernels exchange once in a step, and the cell needs two");
    EXPECT_EQ(select_recurrence(two, device.facts, 0), Policy::kStepwise);
  });
}

TEST(RecurrenceSelection, OptionsOfTheCellRunStepwise) {
  for_each_shape([](const Device& device, const Kind&, const RecurrenceShape& shape) {
    RecurrenceShape with_options = shape;
    with_options.options = true;
    for (const Policy policy : {Policy::kCluster, Policy::kGrid})
      EXPECT_STREQ(why_not(policy, with_options, device.facts),
                   "resident kernels have no option of a cell but dropout of weights");
    EXPECT_EQ(select_recurrence(with_options, device.facts, 0), Policy::kStepwise);
  });
}

TEST(RecurrenceSelection, LayerNormalisationRunsStepwise) {
  for_each_shape([](const Device& device, const Kind&, const RecurrenceShape& shape) {
    RecurrenceShape normalised = shape;
    normalised.layer_norm = true;
    for (const Policy policy : {Policy::kCluster, Policy::kGrid})
      EXPECT_STREQ(why_not(policy, normalised, device.facts), "resident kernels have no layer normalisation");
    EXPECT_EQ(select_recurrence(normalised, device.facts, 0), Policy::kStepwise);
  });
}

TEST(RecurrenceSelection, MoreRowsThan32BitsCountRunStepwise) {
  for_each_shape([](const Device& device, const Kind&, const RecurrenceShape& shape) {
    RecurrenceShape large = shape;
    large.max_rows = int64_t{INT32_MAX} + 1;
    for (const Policy policy : {Policy::kCluster, Policy::kGrid})
      EXPECT_STREQ(why_not(policy, large, device.facts), "resident kernels count rows with 32 bits");
    EXPECT_EQ(select_recurrence(large, device.facts, 0), Policy::kStepwise);
    large.max_rows = INT32_MAX;
    for (const Policy policy : {Policy::kCluster, Policy::kGrid})
      EXPECT_EQ(why_not(policy, large, device.facts), why_not(policy, shape, device.facts));
  });
}

// What a policy needs, one requirement after the other.
TEST(RecurrenceSelection, ReasonsNameWhatIsMissing) {
  for_each_shape([](const Device& device, const Kind& kind, const RecurrenceShape& shape) {
    for (const Policy policy : {Policy::kCluster, Policy::kGrid}) {
      SCOPED_TRACE(recurrence_policy_name(policy));
      const char* reason = why_not(policy, shape, device.facts);
      const int row = row_of(policy, kind.math, shape.hidden, shape.cell);
      if (device.facts.capability < 80) {
        EXPECT_STREQ(reason, "tensor cores for these types need sm_80");
        continue;
      }
      if (row < 0) {
        EXPECT_STREQ(reason, "H is larger than the largest tile");
        continue;
      }
      const TileShape& tile = tile_rows(policy, kind.math).rows[row];
      const int64_t most = std::max(forward_shared_bytes(policy, kind.math, shape.cell, tile),
                                    backward_shared_bytes(policy, kind.math, shape.cell, tile));
      if (policy == Policy::kCluster && tile.blocks() > 1 && device.facts.capability < 90) {
        EXPECT_STREQ(reason, "clusters of blocks need sm_90");
      } else if (most > device.facts.shared_bytes) {
        EXPECT_STREQ(reason, "the weights do not fit a multiprocessor's shared memory");
      } else if (policy == Policy::kGrid && tile.blocks() > device.facts.resident_blocks) {
        EXPECT_STREQ(reason, "the device has too few multiprocessors for a team's blocks");
      } else if (policy == Policy::kCluster && tile.blocks() == 16 && device.facts.active_clusters[4] == 0) {
        EXPECT_STREQ(reason, "no cluster of that size is resident");
      } else {
        EXPECT_EQ(reason, nullptr) << reason;
      }
    }
  });
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

// The way of each shape on an H100, up to the tables' limits: a resident one, and clusters for 16 bits and H up to 256,
// which fall behind the grid by no model.
TEST(RecurrenceSelection, H100TakesResidentPoliciesThenSteps) {
  for (const Kind& kind : kKinds) {
    SCOPED_TRACE(kind.name);
    const TileRows cluster = tile_rows(Policy::kCluster, kind.math), grid = tile_rows(Policy::kGrid, kind.math);
    const int64_t cluster_limit = cluster.rows[cluster.count - 1].hidden, grid_limit = grid.rows[grid.count - 1].hidden;
    ASSERT_LE(cluster_limit, grid_limit);
    for (int64_t hidden = 1; hidden <= grid_limit + 64; hidden += hidden < 70 ? 1 : 31) {
      for (const int64_t directions : {1, 2}) {
        const Policy chosen = select_recurrence(shape_of(kind, hidden, directions), kH100.facts, 0);
        EXPECT_EQ(chosen == Policy::kStepwise, hidden > grid_limit) << "H=" << hidden << " D=" << directions;
        if (hidden > cluster_limit) {
          EXPECT_NE(chosen, Policy::kCluster);
        }
        if (hidden <= 256 && value_bytes(kind.math) == 2) {
          EXPECT_EQ(chosen, Policy::kCluster) << "H=" << hidden;
        }
      }
    }
  }
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

TEST(RecurrenceSelection, WhatIsForcedButCannotRunGivesStepwise) {
  int forced = 0, refused = 0;
  for_each_shape([&](const Device& device, const Kind&, const RecurrenceShape& shape) {
    EXPECT_EQ(select_recurrence(shape, device.facts, static_cast<int32_t>(Policy::kStepwise)), Policy::kStepwise);
    for (const Policy policy : {Policy::kCluster, Policy::kGrid}) {
      const bool legal = why_not(policy, shape, device.facts) == nullptr;
      EXPECT_EQ(select_recurrence(shape, device.facts, static_cast<int32_t>(policy)),
                legal ? policy : Policy::kStepwise);
      ++(legal ? forced : refused);
    }
  });
  EXPECT_GT(forced, 0);
  EXPECT_GT(refused, 0);
}

TEST(RecurrenceSelection, DoubleIsStepwise) {
  for (const Device& device : kDevices) {
    for (const int32_t forced : {0, 1, 2, 3}) {
      const RecurrenceShape shape = {varlstm::Cell::kLstm, DType::kF64, forced % 2 == 1, 64, 1};
      EXPECT_EQ(select_recurrence(shape, device.facts, forced), Policy::kStepwise);
      EXPECT_STREQ(why_not(Policy::kGrid, shape, device.facts), "F64 is computed a step at a time");
      EXPECT_STREQ(why_not(Policy::kCluster, shape, device.facts), "F64 is computed a step at a time");
    }
  }
}

TEST(RecurrenceSelection, CellsWithoutKernelsRunStepwise) {
  for_each_shape([](const Device& device, const Kind&, const RecurrenceShape& shape) {
    RecurrenceShape unknown = shape;
    unknown.cell = static_cast<Cell>(99);
    for (const Policy policy : {Policy::kCluster, Policy::kGrid})
      EXPECT_STREQ(why_not(policy, unknown, device.facts), "the cell has no resident kernels");
    EXPECT_EQ(select_recurrence(unknown, device.facts, 0), Policy::kStepwise);
  });
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

TEST(RecurrenceSelection, GridNeedsCooperativeLaunches) {
  DeviceFacts facts = kH100.facts;
  facts.resident_blocks = 0;
  EXPECT_STREQ(why_not(Policy::kGrid, shape_of(kKinds[2], 64, 1), facts), "the device has no cooperative launches");
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

// H100: 132 blocks, 66 clusters of 2, 32 of 4 and 16 of 8.
TEST(WideTeams, WhatTheyMayRun) {
  const RecurrenceShape shape = shape_of(kKinds[2], 1024, 1);
  EXPECT_EQ(why_not_wide(Policy::kGrid, shape, kH100.facts), nullptr);
  EXPECT_EQ(why_not_wide(Policy::kStepwise, shape, kH100.facts), nullptr);
  for (const Device& device : {kA100, kA10, kT4, kRtx5090})
    EXPECT_NE(why_not_wide(Policy::kStepwise, shape, device.facts), nullptr) << device.name;
  for (const Kind& kind : {kKinds[0], kKinds[1]})
    EXPECT_NE(why_not_wide(Policy::kGrid, shape_of(kind, 1024, 1), kH100.facts), nullptr) << kind.name;
  for (const int64_t hidden : {1, 255, 257, 384, 1000, 1023, 2048})
    EXPECT_NE(why_not_wide(Policy::kGrid, shape_of(kKinds[2], hidden, 1), kH100.facts), nullptr) << hidden;
  for (const int64_t hidden : {256, 512, 768, 1024})
    EXPECT_EQ(why_not_wide(Policy::kGrid, shape_of(kKinds[4], hidden, 2), kH100.facts), nullptr) << hidden;
  RecurrenceShape with = shape;
  with.options = true;
  EXPECT_NE(why_not_wide(Policy::kStepwise, with, kH100.facts), nullptr);
  EXPECT_NE(why_not_wide(Policy::kStepwise, shape_of(kKinds[2], 1024, 1, Cell::kGruResetBefore), kH100.facts), nullptr);
  DeviceFacts small = kH100.facts;
  small.active_clusters[2] = 15;  // 60 blocks of the 64
  EXPECT_NE(why_not_wide(Policy::kGrid, shape, small), nullptr);
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
        choose_wide(shape_of(kKinds[2], c.hidden, c.directions), of_one_length(c.batch), kH100.facts);
    EXPECT_EQ(choice.teams, c.teams);
    EXPECT_EQ(choice.sets, c.sets);
    EXPECT_EQ(choice.directions, c.at_once);
  }
  DeviceFacts one_set = kH100.facts;
  one_set.active_clusters[2] = 31;
  const WideChoice in_turn = choose_wide(shape_of(kKinds[2], 1024, 2), of_one_length(1000), one_set);
  EXPECT_EQ(in_turn.directions, 1);
  EXPECT_EQ(in_turn.teams, 2);
}

// Large batches of a large H, and no small ones; the slots that are forced decide before that.
TEST(WideTeams, TakeWhatTheyAreFasterFor) {
  RecurrenceShape shape = shape_of(kKinds[2], 1024, 1);
  const auto faster = [&](Policy policy, int64_t batch) {
    return is_wide_faster(policy, shape, of_one_length(batch), kH100.facts);
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

// Their sums are those of the tiles in whose place they run: in splits of the same depth, of the same H.
TEST(WideTeams, HaveTheOrderOfTheTiles) {
  for (const MathKind math : {MathKind::kBf16, MathKind::kF16}) {
    for (const int hidden : kWideTeamHidden)
      EXPECT_TRUE(has_wide_order(tile_rows(Policy::kGrid, math), hidden)) << hidden;
    for (const int hidden : {256, 512})
      EXPECT_TRUE(has_wide_order(tile_rows(Policy::kCluster, math), hidden)) << hidden;
  }
  ASSERT_EQ(wide_order(1024).depth, 256);
  constexpr TileShape kOtherSplits[] = {{1024, 16, 1, 2, 16, 4}}, kPadding[] = {{2048, 16, 1, 8, 16, 4}};
  EXPECT_FALSE(has_wide_order({kOtherSplits, 1}, 1024));
  EXPECT_FALSE(has_wide_order({kPadding, 1}, 1024));
  EXPECT_FALSE(has_wide_order({kPadding, 1}, 4096));
}

TEST(StackedLayers, ShareALaunchWhereAnH100HoldsThem) {
  const char* const fits_not = "W_ih and W_hh do not fit a multiprocessor's shared memory";
  const char* const spills = "the kernel of stacked layers would spill registers at this H";
  const char* const divided = "warps share the depth of a product at this H";
  const char* const too_few = "the device has too few multiprocessors for all layers";
  const struct {
    Policy policy;
    int kind;  // of kKinds
    int64_t hidden, layers;
    const char* reason;
    int64_t teams;  // of each layer at most, where there is no reason
  } cases[] = {
      {Policy::kCluster, 2, 32, 4, nullptr, 33},
      {Policy::kCluster, 2, 100, 4, nullptr, 8},
      {Policy::kCluster, 2, 128, 8, nullptr, 4},
      {Policy::kCluster, 2, 256, 4, nullptr, 8},
      {Policy::kCluster, 2, 257, 4, divided, 0},
      {Policy::kCluster, 1, 128, 3, nullptr, 10},
      {Policy::kCluster, 1, 129, 3, divided, 0},
      {Policy::kCluster, 0, 128, 2, nullptr, 16},
      {Policy::kCluster, 0, 129, 2, fits_not, 0},
      {Policy::kGrid, 0, 256, 2, nullptr, 4},
      {Policy::kGrid, 0, 256, 8, nullptr, 1},
      {Policy::kGrid, 0, 257, 2, spills, 0},
      {Policy::kGrid, 4, 256, 8, nullptr, 2},
      {Policy::kCluster, 2, 64, 1, "there is one layer", 0},
      {Policy::kStepwise, 2, 64, 2, "the recurrence does not stay resident", 0},
      {Policy::kCluster, 2, 64, 9, "there are more layers than one launch takes", 0},
  };
  for (const Cell cell : {Cell::kGru, Cell::kRnnTanh, Cell::kRnnRelu})
    EXPECT_STREQ(why_not_together(Policy::kCluster, shape_of(kKinds[2], 64, 1, cell), 2, kH100.facts),
                 "only layers of an LSTM run in one launch");
  for (const auto& one : cases) {
    const RecurrenceShape shape = shape_of(kKinds[one.kind], one.hidden, 1);
    SCOPED_TRACE(std::string(kKinds[one.kind].name) + " H=" + std::to_string(one.hidden) +
                 " L=" + std::to_string(one.layers) + " " + recurrence_policy_name(one.policy));
    EXPECT_STREQ(why_not_together(one.policy, shape, one.layers, kH100.facts), one.reason);
    if (one.reason != nullptr) continue;
    const RecurrenceChoice few = choose_tile(one.policy, shape, 1, kH100.facts, one.layers);
    EXPECT_EQ(few.teams, 1);
    const RecurrenceChoice most = choose_tile(one.policy, shape, 1 << 20, kH100.facts, one.layers);
    EXPECT_EQ(most.teams, one.teams);
    EXPECT_EQ(most.tile->splits, 1);
    EXPECT_EQ(most_together(most, one.layers), one.layers / 2 * one.teams * most.tile->slots());
  }
  const RecurrenceShape both = shape_of(kKinds[2], 64, 2), one = shape_of(kKinds[2], 128, 1);
  EXPECT_STREQ(why_not_together(Policy::kCluster, both, 2, kH100.facts),
               "a layer above needs both directions of the whole sequence");
  DeviceFacts facts = kH100.facts;
  facts.active_clusters[2] = 3;
  EXPECT_STREQ(why_not_together(Policy::kCluster, one, 4, facts), too_few);
  EXPECT_STREQ(why_not_together(Policy::kCluster, one, 3, facts), nullptr);
  facts.resident_blocks = 0;
  EXPECT_STREQ(why_not_together(Policy::kCluster, one, 3, facts), nullptr);  // clusters need no cooperative launch
}

// What shares a launch fits the device, all layers at once.
TEST(StackedLayers, FitEveryDevice) {
  int legal = 0;
  for_each_shape([&](const Device& device, const Kind&, const RecurrenceShape& shape) {
    for (const Policy policy : {Policy::kCluster, Policy::kGrid}) {
      for (const int64_t layers : {2, 3, 8}) {
        if (why_not(policy, shape, device.facts) != nullptr) continue;
        if (why_not_together(policy, shape, layers, device.facts) != nullptr) continue;
        ++legal;
        EXPECT_EQ(shape.directions, 1);
        for (const int64_t batch : {1, 9, 100, 100000}) {
          const RecurrenceChoice choice = choose_tile(policy, shape, batch, device.facts, layers);
          ASSERT_NE(choice.tile, nullptr);
          EXPECT_GE(choice.tile->hidden, shape.hidden);
          EXPECT_LE(layers_shared_bytes(policy, choice.math, *choice.tile), device.facts.shared_bytes);
          EXPECT_LE(choice.teams * layers * choice.tile->blocks(), device.facts.resident_blocks);
        }
      }
    }
  });
  EXPECT_GT(legal, 100);
}

}  // namespace
}  // namespace varlstm::cuda
