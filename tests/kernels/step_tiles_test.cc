// The tiles in which a step of the stepwise recurrence multiplies on tensor cores: the small one, the wide one, and the
// wide one that the blocks of a cluster share. A step takes one by its ranks and by the size of the device, so each
// must give the bits of the others. Before sm_80 the CUDA cores multiply.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>
#include <vector>

#include "capi/handle.h"
#include "kernels/core/state.h"
#include "kernels/selection/step_selection.h"
#include "support/compare.h"
#include "support/lengths.h"
#include "support/recurrence_way.h"
#include "support/rnn_runner.h"

#if VARLSTM_EMULATED
#include "kernels/simt/runtime_control.h"
#endif

namespace varlstm_test {
namespace {

using varlstm::cuda::State;

// A device of so many multiprocessors.
struct Size {
  int multiprocessors, capability;
};

template <class Stored>
RnnResults run_stored(const RecurrenceWay& way, const WayCase& given, const Size& size) {
  WayRun<Stored> run(way, given, RunSetup(given.problem));
  State& state = *static_cast<State*>(run.context()->state);
  state.multiprocessors = size.multiprocessors;
  state.facts.capability = size.capability;
  RnnResults results;
  results.out = run.forward();
  results.gradients = run.backward(given.upstream);
  return results;
}

RnnResults run(const RecurrenceWay& way, const WayCase& given, const Size& size) {
  return way.precision.stored.dtype == VARLSTM_DTYPE_F32 ? run_stored<float>(way, given, size)
                                                         : run_stored<uint16_t>(way, given, size);
}

std::vector<const std::vector<double>*> tensors(const RnnResults& results) {
  const RnnGradients<double>& g = results.gradients;
  return {&results.out.y, &results.out.h_n, &results.out.c_n, &g.dx, &g.dh0, &g.dc0, &g.dparams};
}

// A few of them, or every kind.
std::vector<RnnOptions> networks(bool every) {
  std::vector<RnnOptions> all;
  const auto add = [&](int32_t cell, int64_t input, int64_t hidden) -> RnnOptions& {
    RnnOptions options;
    options.cell = cell, options.input = input, options.hidden = hidden, options.bidirectional = true;
    all.push_back(options);
    return all.back();
  };
  add(VARLSTM_CELL_LSTM, 3, 37);  // no row is aligned to 16 bytes
  add(VARLSTM_CELL_GRU_RESET_BEFORE, 3, 40);
  if (!every) return all;
  add(VARLSTM_CELL_LSTM, 2, 132).bidirectional = false;
  add(VARLSTM_CELL_LSTM, 25, 40).projects = true;
  add(VARLSTM_CELL_GRU, 3, 36);
  add(VARLSTM_CELL_RNN_TANH, 3, 40);
  add(VARLSTM_CELL_LSTM, 3, 40).layer_norm = true;
  RnnOptions& options = add(VARLSTM_CELL_LSTM, 3, 40);
  options.recurrent_dropout = 0.3;
  options.recurrent_dropout_kind = VARLSTM_RECURRENT_DROPOUT_STATE;
  options.zoneout_c = 0.2;
  return all;
}

// 70 sequences, more than a wide tile has ranks, of up to 2 tokens.
WayCase make_case(const Precision& precision, const RnnOptions& options, Random& random) {
  std::vector<int64_t> lengths = random.integers(70, 1, 2);
  lengths[3] = 0;
  WayCase given = make_way_case(precision.stored, options, lengths, true, random);
  given.problem.seed = options.recurrent_dropout > 0 ? 77 : 0;
  return given;
}

class StepTiles : public ::testing::TestWithParam<Precision> {
 protected:
  RecurrenceWay way(const RnnOptions& options) const { return {VARLSTM_RECURRENCE_STEPWISE, GetParam(), options.cell}; }
};

TEST_P(StepTiles, GiveTheSameBits) {
  if (test_backend() != VARLSTM_BACKEND_CUDA) GTEST_SKIP() << "the host has no tiles";
  Random random(61);
  for (const RnnOptions& options : networks(GetParam().stored.dtype == VARLSTM_DTYPE_BF16)) {
    const WayCase given = make_case(GetParam(), options, random);
    SCOPED_TRACE(describe(given.problem));
    const RnnResults small = run(way(options), given, {1000, 90});
    ASSERT_TRUE(all_finite(small.gradients.dparams));
    for (const Size& size : {Size{1, 90}, Size{1, 80}, Size{24, 90}}) {  // wide; without clusters; shared by clusters
      SCOPED_TRACE(std::to_string(size.multiprocessors) + " multiprocessors");
      const RnnResults other = run(way(options), given, size);
      for (size_t k = 0; k < tensors(small).size(); ++k)
        EXPECT_TRUE(bitwise_equal(*tensors(other)[k], *tensors(small)[k])) << "tensor " << k;
    }
  }
}

// The order of sums is another one there, and activations are more accurate.
TEST_P(StepTiles, OlderDevicesMultiplyOnCudaCores) {
  if (test_backend() != VARLSTM_BACKEND_CUDA) GTEST_SKIP() << "the host has no tiles";
  Random random(62);
  const RnnOptions options = networks(false).front();
  const WayCase given = make_case(GetParam(), options, random);
  const RnnResults newer = run(way(options), given, {1000, 80}), older = run(way(options), given, {1000, 75});
  const double unit = std::ldexp(1.0, 1 - GetParam().operand.significant_bits);
  for (size_t k = 0; k < tensors(newer).size(); ++k) {
    double largest = 0, distance = 0;
    for (size_t at = 0; at < tensors(newer)[k]->size(); ++at) {
      largest = std::max(largest, std::fabs((*tensors(older)[k])[at]));
      distance = std::max(distance, std::fabs((*tensors(older)[k])[at] - (*tensors(newer)[k])[at]));
    }
    EXPECT_LE(distance, 8 * unit * largest) << "tensor " << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, StepTiles, ::testing::Values(kPrecisions[1], kPrecisions[2], kPrecisions[3]),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(StepSelection, TensorCoresAreForNarrowTypesOfNewerDevices) {
  using varlstm::cuda::steps_on_tensor_cores;
  for (const bool tf32 : {false, true}) {
    EXPECT_TRUE(steps_on_tensor_cores(false, tf32, 80));
    EXPECT_FALSE(steps_on_tensor_cores(false, tf32, 75));
    EXPECT_EQ(steps_on_tensor_cores(true, tf32, 90), tf32);
    EXPECT_FALSE(steps_on_tensor_cores(true, tf32, 75));
  }
}

TEST(StepSelection, TilesAreWideFromWhereSmallOnesNoLongerRunAtOnce) {
  using varlstm::cuda::is_wide_step;
  EXPECT_FALSE(is_wide_step(16, 1 << 20, 2, 132));  // a wide tile would be empty for the most part
  EXPECT_FALSE(is_wide_step(32, 1024, 1, 132));
  EXPECT_TRUE(is_wide_step(33, 1024, 1, 132));
  EXPECT_TRUE(is_wide_step(32, 1024, 2, 132));
}

TEST(StepSelection, ClustersShareTilesThatWouldLeaveHalfOfTheDeviceIdle) {
  using varlstm::cuda::shares_wide_tiles;
  varlstm::cuda::DeviceFacts facts;
  facts.capability = 90;
  EXPECT_TRUE(shares_wide_tiles(64, 1024, 32, 1, 132, facts));    // 32 tiles
  EXPECT_FALSE(shares_wide_tiles(256, 1024, 32, 1, 132, facts));  // 128
  EXPECT_TRUE(shares_wide_tiles(256, 1024, 128, 1, 132, facts));  // 32
  facts.capability = 80;
  EXPECT_FALSE(shares_wide_tiles(64, 1024, 32, 1, 132, facts));
}

#if VARLSTM_EMULATED

// Whether a forward of so many sequences makes a launch for each step, on a device without clusters, where a grid has
// one team of 8 slots.
bool runs_stepwise(bool batch_invariant, int64_t batch) {
  const Context context = make_context();
  REQUIRE_OK(varlstm_ctx_set_i64(context.get(), VARLSTM_KEY_MATH, VARLSTM_MATH_TF32));
  REQUIRE_OK(varlstm_ctx_set_i64(context.get(), VARLSTM_KEY_BATCH_INVARIANT, batch_invariant ? 1 : 0));
  State& state = *static_cast<State*>(context.get()->state);
  std::fill(std::begin(state.facts.active_clusters), std::end(state.facts.active_clusters), 0);
  state.facts.resident_blocks = 4;
  Random random(63);
  RnnOptions options;
  options.input = 2, options.hidden = 40;
  const auto problem = make_rnn_case<float>(options, std::vector<int64_t>(batch, 2), false, random);
  RnnRunner<float> runner(context.get(), problem);
  varlstm::simt::record_enqueued_work(true);
  runner.forward();
  bool stepwise = false;
  for (const varlstm::simt::EnqueuedWork& work : varlstm::simt::enqueued_work())
    stepwise = stepwise || work.name == "stepwise_forward";
  varlstm::simt::record_enqueued_work(false);
  return stepwise;
}

TEST(BatchSelection, ManyTurnsOfAGridRunStepwiseIfBatchMatesMayMoveBits) {
  if (test_backend() != VARLSTM_BACKEND_CUDA) GTEST_SKIP() << "the host has no grid";
  EXPECT_FALSE(runs_stepwise(true, 25));
  EXPECT_FALSE(runs_stepwise(false, 24));
  EXPECT_TRUE(runs_stepwise(false, 25));
}

#endif

}  // namespace
}  // namespace varlstm_test
