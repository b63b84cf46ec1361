// 6. A device that others use: teams whose blocks wait for each other beside a kernel that holds a multiprocessor, two
// grids on two streams, layers whose blocks start late and one by one. All end, with the bits of a quiet device.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/kernels/first_contact/busy_kernel.h"
#include "tests/kernels/first_contact/chosen_tile.h"
#include "tests/kernels/first_contact/scale.h"
#include "tests/kernels/first_contact/session.h"

namespace varlstm_test {
namespace {

class OwnStream {
 public:
  OwnStream() { EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess); }
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;
  ~OwnStream() { EXPECT_EQ(cudaStreamDestroy(stream_), cudaSuccess); }
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

Problem grid_problem() {
  Problem problem{way_of(VARLSTM_RECURRENCE_GRID, kMathBf16), {}, {scale().busy_steps, 0, scale().busy_steps / 2}};
  problem.options.input = 8;
  problem.options.hidden = scale().busy_grid_hidden;
  return problem;
}

TEST(BusyDevice, GridEndsBesideAKernelThatHoldsAMultiprocessor) {
  const Problem problem = grid_problem();
  const Context ctx = make_context(problem.way);
  Session session(ctx.get(), problem, 5);
  const Bits quiet = session.train(0);
  const int64_t shared = device_facts().shared_bytes;
  const OwnStream busy, own;
  for (const bool busy_first : {true, false}) {
    const auto forward = [&] { session.forward(0, VARLSTM_MODE_SAVE, own); };
    if (!busy_first) forward();
    ASSERT_EQ(occupy(busy, 1, shared, scale().busy_ns), cudaSuccess);
    if (busy_first) forward();
    session.backward(0, own);
    session.wait(own);
    EXPECT_TRUE(same_bits(session.results(), quiet)) << (busy_first ? "after" : "before") << " the other kernel";
    ASSERT_EQ(cudaStreamSynchronize(busy), cudaSuccess);
  }
}

TEST(BusyDevice, TwoGridsOnTwoStreamsEnd) {
  const Problem problem = grid_problem();
  const Context contexts[2] = {make_context(problem.way), make_context(problem.way)};
  Session first(contexts[0].get(), problem, 6), second(contexts[1].get(), problem, 7);
  Session* const sessions[2] = {&first, &second};
  const Bits quiet[2] = {first.train(0), second.train(0)};
  const OwnStream streams[2];
  for (int round = 0; round < scale().busy_rounds; ++round) {
    for (int k = 0; k < 2; ++k) sessions[k]->forward(0, VARLSTM_MODE_SAVE, streams[k]);
    for (int k = 0; k < 2; ++k) sessions[k]->backward(0, streams[k]);
    for (int k = 0; k < 2; ++k) {
      sessions[k]->wait(streams[k]);
      ASSERT_TRUE(same_bits(sessions[k]->results(), quiet[k])) << "round " << round << ", stream " << k;
    }
  }
}

// Multiprocessors become free one after the other, in any order.
TEST(BusyDevice, LayersEndAmongBlocksThatFillTheDevice) {
  const HandoverSize& size = scale().handovers[0];
  Problem problem{way_of(VARLSTM_RECURRENCE_CLUSTER, size.math), {}, {}};
  for (int64_t b = 0; b < 8; ++b) problem.lengths.push_back(scale().busy_steps - b % 3);
  problem.options.input = 8;
  problem.options.hidden = size.hidden;
  problem.options.layers = size.layers;
  const FewTeams device(tiles_of(problem.way).rows[tile_of(problem.way, size.hidden, 8)],
                        static_cast<int>(size.layers));
  const varlstm::cuda::DeviceFacts facts = device_facts();
  ASSERT_EQ(why_not_together(problem.way, size.hidden, size.layers, 8), nullptr);
  const Context ctx = make_context(problem.way);
  problem.options.layers_together = false;
  Session one_by_one(ctx.get(), problem, 8);
  one_by_one.forward(0, VARLSTM_MODE_INFER);
  one_by_one.wait();
  const Bits expected = one_by_one.outputs();
  problem.options.layers_together = true;
  Session together(ctx.get(), problem, 8);
  const OwnStream busy, own;
  const unsigned multiprocessors = static_cast<unsigned>(facts.active_clusters[0]);
  for (int round = 0; round < scale().busy_rounds; ++round) {
    // Many short blocks, and every other round long ones first, so that no block starts for a while.
    if (round % 2 == 1) {
      ASSERT_EQ(occupy(busy, multiprocessors, facts.shared_bytes, 20 * scale().busy_short_ns), cudaSuccess);
    }
    ASSERT_EQ(occupy(busy, scale().busy_blocks * multiprocessors, facts.shared_bytes, scale().busy_short_ns),
              cudaSuccess);
    together.forward(0, VARLSTM_MODE_INFER, own);
    together.wait(own);
    ASSERT_TRUE(same_bits(together.outputs(), expected)) << "round " << round;
    ASSERT_EQ(cudaStreamSynchronize(busy), cudaSuccess);
  }
}

}  // namespace
}  // namespace varlstm_test
