// Runs of a layer by wide teams, and by what has the same bits.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <map>
#include <string>
#include <vector>

#include "kernels/selection/wide_selection.h"
#include "support/recurrence_way.h"

#if VARLSTM_EMULATED
#include "kernels/simt/options.h"
#include "support/enqueued_work.h"
#endif

namespace varlstm_test {

// For its lifetime, rnns that are made have teams of so many slots (0: whatever the library chooses), and contexts find
// an emulated device that holds so many sets of wide teams of H, whose blocks have that many units. A GPU stays as it
// is.
class Device {
 public:
  Device(int64_t slots, int64_t hidden, int64_t sets, int64_t units = 16) {
    if (slots > 0) setenv("VARLSTM_RECURRENCE_SLOTS", std::to_string(slots).c_str(), 1);
#if VARLSTM_EMULATED
    saved_ = varlstm::simt::options();
    varlstm::simt::Options few = saved_;
    few.resident_blocks = static_cast<unsigned>(sets * hidden / units);
    if (varlstm::cuda::wide_order(hidden).padded) few.resident_blocks = 64;  // of the policy's own tile, of 1024
    few.multiprocessors = few.resident_blocks / 4;                           // as many clusters of 4, too
    few.gpcs = {};
    varlstm::simt::set_options(few);
#else
    (void)hidden, (void)sets, (void)units;
#endif
  }
  ~Device() {
    unsetenv("VARLSTM_RECURRENCE_SLOTS");
#if VARLSTM_EMULATED
    varlstm::simt::set_options(saved_);
#endif
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

#if VARLSTM_EMULATED
 private:
  varlstm::simt::Options saved_;
#endif
};

inline bool has_tf32(const RecurrenceWay& way) {
  return way.precision.math == VARLSTM_MATH_TF32;
}
// The least units that a block of wide teams of that way has.
inline int64_t units_of(const RecurrenceWay& way) {
  const bool resident = way.policy != VARLSTM_RECURRENCE_STEPWISE;
  return varlstm::cuda::wide_units(varlstm::cuda::WidePass::kForward, resident, has_tf32(way) ? 4 : 2);
}

// Whether backward of that way has wide teams, too.
inline bool has_wide_backward(const RecurrenceWay& way, int64_t hidden) {
  return way.policy == VARLSTM_RECURRENCE_STEPWISE ||
         (way.policy == VARLSTM_RECURRENCE_GRID &&
          (hidden == varlstm::cuda::kStreamedHidden16 ||
           varlstm::cuda::has_wide_grid_order(static_cast<varlstm::Cell>(way.cell), hidden, has_tf32(way))));
}

// What a run does. After kForward there are values for backward, but no gradients.
enum class Passes { kInfer, kForward, kBoth };

// saved: what forward leaves in the reserve for backward, in f32. It shows a sum that is rounded in another place,
// which y in 16 bits hides.
struct LayerRun {
  RnnResults results;
  std::vector<unsigned char> saved;
};

template <class Stored>
LayerRun run_layer_of(const RecurrenceWay& way, const WayCase& given, Passes passes) {
  constexpr int64_t kHeader = 256;  // bytes at the begin of the reserve
  WayRun<Stored> run(way, given,
                     RunSetup(given.problem, passes == Passes::kInfer ? VARLSTM_MODE_INFER : VARLSTM_MODE_SAVE));
  LayerRun layer;
  layer.results.out = run.forward();
  if (passes == Passes::kInfer) return layer;
  const int64_t saved = way.cell == VARLSTM_CELL_LSTM ? 4 + 1 : way.cell == VARLSTM_CELL_GRU ? 4 : 1;
  const std::vector<unsigned char> reserve = run.reserve();
  const int64_t values = given.problem.tokens() * saved * given.problem.options.hidden;
  layer.saved.assign(reserve.begin() + kHeader, reserve.begin() + kHeader + values * 4);
  if (passes == Passes::kBoth) layer.results.gradients = run.backward(given.upstream);
  return layer;
}

inline LayerRun run_layer(const RecurrenceWay& way, const WayCase& given, Passes passes) {
  return way.precision.stored.dtype == VARLSTM_DTYPE_F32 ? run_layer_of<float>(way, given, passes)
                                                         : run_layer_of<uint16_t>(way, given, passes);
}

// By wide teams; slots: as Device takes them.
inline LayerRun run_wide(const RecurrenceWay& way, const WayCase& given, int64_t sets, Passes passes = Passes::kBoth,
                         int64_t slots = varlstm::cuda::kWideTeamSlots) {
  const Device device(slots, given.problem.options.hidden, sets, units_of(way));
  LayerRun layer;
  const auto run = [&] { layer = run_layer(way, given, passes); };
#if VARLSTM_EMULATED
  const std::map<std::string, int64_t> count = count_enqueued(run);
  const bool backward = passes == Passes::kBoth && has_wide_backward(way, given.problem.options.hidden);
  EXPECT_EQ(count.count("wide_forward"), 1u) << "wide teams have not run";
  EXPECT_EQ(count.count("wide_backward"), backward ? 1u : 0u);
#else
  run();
#endif
  return layer;
}

// By the policy's own tiles of 8 slots, or a launch for each step.
inline LayerRun run_own(const RecurrenceWay& way, const WayCase& given, Passes passes = Passes::kBoth) {
  const Device device(8, given.problem.options.hidden, 1, units_of(way));
  return run_layer(way, given, passes);
}

inline void expect_same(const LayerRun& actual, const LayerRun& expected) {
  expect_same_of_sequences(actual.results, expected.results);
  EXPECT_TRUE(actual.saved == expected.saved) << "what forward saves differs";
}

}  // namespace varlstm_test
