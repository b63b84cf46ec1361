// Layers that share a launch: which do, and that all of them fit the device at once.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "tests/kernels/selection/devices.h"

namespace varlstm::cuda {
namespace {

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
