// 1. Layers in one launch hand their outputs up through L2 while both layers run: many runs, each bit against the same
// layers one after the other. Two inputs take turns, so that a word of the run before is a wrong one.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/kernels/first_contact/chosen_tile.h"
#include "tests/kernels/first_contact/scale.h"
#include "tests/kernels/first_contact/session.h"

namespace varlstm_test {
namespace {

Problem handover_problem(const RecurrenceWay& way, const HandoverSize& size, int64_t steps, bool together) {
  Problem problem{way, {}, {steps, steps, steps - 1, steps, steps / 2, 0, steps / 3, 1}};
  problem.options.input = 8;
  problem.options.hidden = size.hidden;
  problem.options.layers = size.layers;
  problem.options.layers_together = together;
  return problem;
}

// False where these layers do not run in one launch on this device.
bool soak_handover(const RecurrenceWay& way, const HandoverSize& size) {
  const varlstm::cuda::TileRows tiles = tiles_of(way);
  const int tile = tile_of(way, size.hidden, 8);
  if (tile < 0) return false;
  const FewTeams device(tiles.rows[tile], static_cast<int>(size.layers));
  const char* reason = why_not_together(way, size.hidden, size.layers, 8);
  std::printf("%s, H = %lld, %lld layers: %s\n", way.name().c_str(), static_cast<long long>(size.hidden),
              static_cast<long long>(size.layers), reason == nullptr ? "in one launch" : reason);
  if (reason != nullptr) return false;

  const Context ctx = make_context(way);
  Bits outputs[Session::kInputs], saved[Session::kInputs];
  {
    Session one_by_one(ctx.get(), handover_problem(way, size, scale().handover_steps, false), 1);
    for (int input = 0; input < Session::kInputs; ++input) {
      one_by_one.forward(input, VARLSTM_MODE_SAVE);
      one_by_one.wait();
      outputs[input] = one_by_one.outputs(), saved[input] = one_by_one.saved();
    }
  }
  Session together(ctx.get(), handover_problem(way, size, scale().handover_steps, true), 1);
  for (int run = 0; run < size.runs; ++run) {
    const int input = run % Session::kInputs;
    const bool save = run < scale().handover_saves;
    together.forward(input, save ? VARLSTM_MODE_SAVE : VARLSTM_MODE_INFER);
    together.wait();
    if (save)
      EXPECT_TRUE(same_tensors(together.saved(), saved[input])) << way.name() << " H " << size.hidden << " run " << run;
    else
      EXPECT_TRUE(same_bits(together.outputs(), outputs[input]))
          << way.name() << " H " << size.hidden << " run " << run;
    if (::testing::Test::HasFailure()) return true;
  }
  return true;
}

void soak_handovers(int32_t policy) {
  int tested = 0;
  for (const HandoverSize& size : scale().handovers) tested += soak_handover(way_of(policy, size.math), size) ? 1 : 0;
  EXPECT_GE(tested, 2) << "of " << scale().handovers.size() << " stacks";
}

TEST(Handover, GivesTheBitsOfLayerAfterLayerByCluster) {
  soak_handovers(VARLSTM_RECURRENCE_CLUSTER);
}
TEST(Handover, GivesTheBitsOfLayerAfterLayerByGrid) {
  soak_handovers(VARLSTM_RECURRENCE_GRID);
}

}  // namespace
}  // namespace varlstm_test
