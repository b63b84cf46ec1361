// 8. F32 has one chain of sums: forward gives the same bits stepwise, by cluster, by grid, and with layers in one
// launch or one after the other.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/kernels/first_contact/chosen_tile.h"
#include "tests/kernels/first_contact/scale.h"
#include "tests/kernels/first_contact/session.h"

namespace varlstm_test {
namespace {

TEST(F32Bits, AreThoseOfStepwiseInEveryWay) {
  int stacks = 0;
  for (const int64_t hidden : scale().bits_hidden) {
    Problem problem{way_of(VARLSTM_RECURRENCE_STEPWISE, kMathF32), {}, {}};
    for (int64_t b = 0; b < 8; ++b) problem.lengths.push_back(b * 5 % (scale().bits_steps + 1));
    problem.lengths[3] = scale().bits_steps;
    problem.options.input = 6;
    problem.options.hidden = hidden;
    problem.options.layers = 2;
    problem.options.layers_together = false;
    const Context ctx = make_context(problem.way);
    const auto run = [&](varlstm_ctx* context) {
      Session session(context, problem, 10);
      session.forward(0, VARLSTM_MODE_SAVE);
      session.wait();
      return session.outputs();
    };
    const Bits stepwise = run(ctx.get());
    for (const int32_t policy : {VARLSTM_RECURRENCE_CLUSTER, VARLSTM_RECURRENCE_GRID}) {
      problem.way = way_of(policy, kMathF32);
      const int tile = tile_of(problem.way, hidden, 8);
      ASSERT_GE(tile, 0);
      const TwoTeams device(tiles_of(problem.way).rows[tile]);
      const Context of_device = make_context(problem.way);
      for (const bool together : {false, true}) {
        problem.options.layers_together = together;
        const char* reason = why_not_together(problem.way, hidden, 2, static_cast<int64_t>(problem.lengths.size()));
        if (together && reason != nullptr) {
          std::printf("%s, H = %lld: %s\n", problem.way.name().c_str(), static_cast<long long>(hidden), reason);
          continue;
        }
        stacks += together ? 1 : 0;
        EXPECT_TRUE(same_bits(run(of_device.get()), stepwise))
            << problem.way.name() << " H = " << hidden << (together ? ", both layers in one launch" : "");
      }
    }
  }
  EXPECT_GE(stacks, 2);
}

}  // namespace
}  // namespace varlstm_test
