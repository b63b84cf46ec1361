// 2. Every tile of every table launches, forward and backward, and as a stack of layers where it has one: a few steps
// against stepwise. And how many clusters of each size are resident at a time.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/kernels/first_contact/chosen_tile.h"
#include "tests/kernels/first_contact/scale.h"
#include "tests/kernels/first_contact/session.h"

namespace varlstm_test {
namespace {

using varlstm::cuda::DeviceFacts;
using varlstm::cuda::TileRows;
using varlstm::cuda::TileShape;

// Of B sequences a few have tokens: the first, the last and some between.
std::vector<int64_t> few_lengths(int64_t batch, int64_t steps) {
  std::vector<int64_t> lengths(static_cast<size_t>(batch), 0);
  lengths.back() = 1;
  lengths[lengths.size() / 2] = steps - 1;
  lengths[0] = steps;
  return lengths;
}

void run_tile(const RecurrenceWay& way, const TileShape& tile, int64_t batch) {
  Problem problem{way, {}, few_lengths(batch, scale().tile_steps)};
  problem.options.input = 4;
  problem.options.hidden = tile.hidden;
  const Context ctx = make_context(way);
  const Bits resident = Session(ctx.get(), problem, 2).train(0);
  problem.way = way.stepwise();
  expect_close(way.precision.stored, resident, Session(ctx.get(), problem, 2).train(0), tolerance_of(way.precision));
}

void run_stack(const RecurrenceWay& way, const TileShape& tile) {
  Problem problem{way, {}, few_lengths(3, scale().tile_steps)};
  problem.options.input = 4;
  problem.options.hidden = tile.hidden;
  problem.options.layers = 2;
  const Context ctx = make_context(way);
  Bits saved[2];
  for (const bool together : {false, true}) {
    problem.options.layers_together = together;
    Session session(ctx.get(), problem, 3);
    session.forward(0, VARLSTM_MODE_SAVE);
    session.wait();
    saved[together] = session.saved();
  }
  EXPECT_TRUE(same_tensors(saved[1], saved[0])) << "two layers in one launch";
}

void run_tiles(int32_t policy) {
  int launched = 0;
  for (const MathIndex math : {kMathF32, kMathTf32, kMathBf16, kMathF16}) {
    const RecurrenceWay way = way_of(policy, math);
    const TileRows tiles = tiles_of(way);
    for (int index = 0; index < tiles.count; ++index) {
      const TileShape& tile = tiles.rows[index];
      if (tile.hidden > scale().tile_hidden) continue;
      const FewTeams device(tile, 2);
      const DeviceFacts facts = device_facts();
      const int64_t batch = tile.slots() + 1;  // two teams
      const bool runs_here = runs(way, tile.hidden, facts);
      const bool stack = runs_here && varlstm::cuda::why_not_together(policy_of(way), shape_of(way, tile.hidden, 1), 2,
                                                                      facts) == nullptr;
      const std::string name = way.name() + ", H = " + std::to_string(tile.hidden) + ", " +
                               std::to_string(tile.blocks()) + " blocks, " + std::to_string(tile.slots()) + " slots";
      std::printf("%s: B = %lld%s\n", name.c_str(), static_cast<long long>(batch), stack ? ", and two layers" : "");
      SCOPED_TRACE(name);
      // The tables are made for Hopper: there each of them runs.
      EXPECT_TRUE(runs_here || facts.capability != 90) << "the device has not this tile";
      if (!runs_here) continue;
      run_tile(way, tile, batch);
      if (stack && tile.slot_tiles == 1) run_stack(way, tile);
      ++launched;
    }
  }
  EXPECT_GT(launched, 0);
}

TEST(Tiles, ClustersOfEachSizeAreCounted) {
  const DeviceFacts facts = device_facts();
  std::printf("blocks of a cooperative launch: %d; shared memory of a block: %lld bytes; resident clusters of\n",
              facts.resident_blocks, static_cast<long long>(facts.shared_bytes));
  for (int k = 0; k < varlstm::cuda::kClusterSizes; ++k) {
    std::printf("  %2d blocks: %d\n", 1 << k, facts.active_clusters[k]);
    EXPECT_TRUE(facts.capability != 90 || facts.active_clusters[k] > 0) << "none of " << (1 << k) << " blocks";
  }
}

TEST(Tiles, OfClusterAllLaunch) {
  run_tiles(VARLSTM_RECURRENCE_CLUSTER);
}
TEST(Tiles, OfGridAllLaunch) {
  run_tiles(VARLSTM_RECURRENCE_GRID);
}

}  // namespace
}  // namespace varlstm_test
