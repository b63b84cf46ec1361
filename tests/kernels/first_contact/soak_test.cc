// 3. and 4. Teams of blocks, of a cluster and over L2, step after step and launch after launch: ragged lengths, slots
// that idle, teams without a step, slots that take several sequences, short launches and long ones. Each run gives the
// bits of the first, which are close to stepwise's.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "tests/kernels/first_contact/chosen_tile.h"
#include "tests/kernels/first_contact/scale.h"
#include "tests/kernels/first_contact/session.h"

namespace varlstm_test {
namespace {

void soak(varlstm_ctx* ctx, const Problem& problem, int runs) {
  SCOPED_TRACE(problem.way.name() + " H = " + std::to_string(problem.options.hidden) +
               " B = " + std::to_string(problem.lengths.size()) +
               " T = " + std::to_string(*std::max_element(problem.lengths.begin(), problem.lengths.end())));
  Session session(ctx, problem, 4);
  Bits first[Session::kInputs];
  for (int input = 0; input < Session::kInputs; ++input) first[input] = session.train(input);
  Problem stepwise = problem;
  stepwise.way = problem.way.stepwise();
  expect_close(problem.way.precision.stored, first[0], Session(ctx, stepwise, 4).train(0),
               4 * tolerance_of(problem.way.precision));
  for (int run = 0; run < runs && !::testing::Test::HasFailure(); ++run) {
    const int input = run % Session::kInputs;
    EXPECT_TRUE(same_bits(session.train(input), first[input])) << "run " << run;
  }
}

// Mixed, with zeros; as long as each other; and one sequence alone, so that the other teams have no step.
std::vector<std::vector<int64_t>> short_batches(int64_t batch, int64_t steps) {
  std::vector<int64_t> mixed, equal, one;
  for (int64_t b = 0; b < batch; ++b) {
    mixed.push_back((b * 7 + steps) % (steps + 1));
    equal.push_back(steps);
    one.push_back(b == batch / 2 ? steps : 0);
  }
  mixed[0] = steps;
  return {mixed, equal, one};
}

std::vector<int64_t> long_batch(int64_t batch, int64_t steps) {
  std::vector<int64_t> lengths(static_cast<size_t>(batch));
  for (size_t b = 0; b < lengths.size(); ++b) lengths[b] = static_cast<int64_t>(b) % 4;
  lengths[0] = steps;
  lengths.back() = std::max<int64_t>(steps - 3, 1);
  lengths[lengths.size() / 2] = steps / 2;
  return lengths;
}

void soak_all(int32_t policy, const std::vector<SoakSize>& sizes) {
  for (const SoakSize& size : sizes) {
    const RecurrenceWay way = way_of(policy, size.math);
    const int index = tile_of(way, size.hidden, size.slots);
    ASSERT_GE(index, 0) << way.name() << " H = " << size.hidden;
    const TwoTeams device(tiles_of(way).rows[index]);
    const Context ctx = make_context(way);
    Problem problem{way, {}, {}};
    problem.options.input = 8;
    problem.options.hidden = size.hidden;
    problem.options.bidirectional = size.bidirectional;
    ASSERT_TRUE(runs(way, size.hidden, device_facts())) << "the device has not this tile";
    const int64_t batch = 2 * size.slots + 1;  // two teams and more
    std::printf("%s, H = %lld, %d slots: B = %lld\n", way.name().c_str(), static_cast<long long>(size.hidden),
                size.slots, static_cast<long long>(batch));
    const int kinds = static_cast<int>(size.short_steps) * 3;
    for (int64_t steps = 1; steps <= size.short_steps; ++steps) {
      for (const std::vector<int64_t>& lengths : short_batches(batch, steps)) {
        problem.lengths = lengths;
        soak(ctx.get(), problem, (size.short_runs + kinds - 1) / kinds);
      }
    }
    problem.lengths = long_batch(batch, size.long_steps);
    soak(ctx.get(), problem, size.long_runs);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(ClusterSoak, GivesTheSameBitsEachTime) {
  soak_all(VARLSTM_RECURRENCE_CLUSTER, scale().cluster_soaks);
}
TEST(GridSoak, GivesTheSameBitsEachTime) {
  soak_all(VARLSTM_RECURRENCE_GRID, scale().grid_soaks);
}

}  // namespace
}  // namespace varlstm_test
