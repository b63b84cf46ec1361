// The policy of a recurrence: which is legal, why another is not, and which AUTO takes.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/kernels/selection/devices.h"

namespace varlstm::cuda {
namespace {

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

// On every device both resident policies refuse a shape that is changed like that, for this reason.
template <class Change>
void expect_refused(const char* reason, const Change& change) {
  for_each_shape([&](const Device& device, const Kind&, const RecurrenceShape& shape) {
    RecurrenceShape changed = shape;
    change(changed);
    for (const Policy policy : {Policy::kCluster, Policy::kGrid})
      EXPECT_STREQ(why_not(policy, changed, device.facts), reason);
    EXPECT_EQ(select_recurrence(changed, device.facts, 0), Policy::kStepwise);
  });
}

TEST(RecurrenceSelection, AProjectionRunsStepwise) {
  expect_refused("resident kernels have no projection of h", [](RecurrenceShape& shape) { shape.projects = true; });
}

TEST(RecurrenceSelection, ACellWithTwoProductsRunsStepwise) {
  expect_refused("resident kernels exchange once in a step, and the cell needs two",
                 [](RecurrenceShape& shape) { shape.cell = Cell::kGruResetBefore; });
}

TEST(RecurrenceSelection, CellsWithoutKernelsRunStepwise) {
  expect_refused("the cell has no resident kernels",
                 [](RecurrenceShape& shape) { shape.cell = static_cast<Cell>(99); });
}

TEST(RecurrenceSelection, OptionsOfTheCellRunStepwise) {
  expect_refused("resident kernels have no option of a cell but dropout of weights",
                 [](RecurrenceShape& shape) { shape.options = true; });
}

TEST(RecurrenceSelection, LayerNormalisationRunsStepwise) {
  expect_refused("resident kernels have no layer normalisation",
                 [](RecurrenceShape& shape) { shape.layer_norm = true; });
}

TEST(RecurrenceSelection, MoreRowsThan32BitsCountRunStepwise) {
  expect_refused("resident kernels count rows with 32 bits",
                 [](RecurrenceShape& shape) { shape.max_rows = int64_t{INT32_MAX} + 1; });
  for_each_shape([](const Device& device, const Kind&, const RecurrenceShape& shape) {
    RecurrenceShape large = shape;
    large.max_rows = INT32_MAX;
    for (const Policy policy : {Policy::kCluster, Policy::kGrid})
      EXPECT_EQ(why_not(policy, large, device.facts), why_not(policy, shape, device.facts));
  });
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

TEST(RecurrenceSelection, GridNeedsCooperativeLaunches) {
  DeviceFacts facts = kH100.facts;
  facts.resident_blocks = 0;
  EXPECT_STREQ(why_not(Policy::kGrid, shape_of(kKinds[2], 64, 1), facts), "the device has no cooperative launches");
}

}  // namespace
}  // namespace varlstm::cuda
