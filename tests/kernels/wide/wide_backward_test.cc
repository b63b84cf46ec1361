// Backward by wide teams, called by its launcher: the bits of every gradient are those of the recurrence whose order of
// sums it takes, stepwise or policy grid, whatever the number of teams and sets. The tests of the library show that
// these are right.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

#include "capi/handle.h"
#include "kernels/recurrence/resident/resident.h"
#include "kernels/recurrence/wide/wide.h"
#include "support/context.h"
#include "support/on_device.h"

namespace varlstm_test {
namespace {

using namespace varlstm;
using namespace varlstm::cuda;

struct Problem {
  Cell cell;
  int64_t hidden, directions;
  std::vector<int64_t> lengths;
  RowOrder order = RowOrder::kPacked;

  int64_t batch() const { return static_cast<int64_t>(lengths.size()); }
  int64_t tokens() const { return std::accumulate(lengths.begin(), lengths.end(), int64_t{0}); }
  int64_t longest() const { return *std::max_element(lengths.begin(), lengths.end()); }
  BatchBounds bounds() const { return {batch(), longest(), tokens()}; }
};

std::string describe(const Problem& p) {
  return "cell " + std::to_string(static_cast<int>(p.cell)) + ", H " + std::to_string(p.hidden) + ", B " +
         std::to_string(p.batch()) + ", N " + std::to_string(p.tokens()) + ", D " + std::to_string(p.directions);
}

template <class T>
std::vector<T> joined(std::vector<T> all, const std::vector<T>& more) {
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

template <class T>
std::vector<uint16_t> bits(const std::vector<T>& values) {
  std::vector<uint16_t> all(values.size());
  std::memcpy(all.data(), values.data(), values.size() * sizeof(T));
  return all;
}

// What backward gets from forward and from the caller: any numbers will do. Directions after each other.
template <class T>
class Given {
 public:
  Given(const Problem& p, Random& random)
      : problem_(p),
        rows_(p.tokens() * p.hidden),
        states_(p.batch() * p.hidden),
        gates_count_(p.cell == Cell::kGru ? 4 : resident_gates(p.cell)),
        context_(make_context()),
        weights_(scaled(random.vector<float>(p.directions * resident_gates(p.cell) * p.hidden * p.hidden))),
        h0_(random_values<T>(random, p.directions * states_)),
        c0_(random_values<T>(random, p.directions * states_)),
        dh_n_(random_values<T>(random, p.directions * states_)),
        dc_n_(random_values<T>(random, p.directions * states_)),
        y_(random_values<T>(random, p.directions * rows_)),
        dy_(random_values<T>(random, p.directions * rows_)),
        gates_(random.vector<float>(p.directions * rows_ * gates_count_)),
        c_(random.vector<float>(p.directions * rows_)) {
    varlstm_batch* batch = nullptr;
    REQUIRE_OK(varlstm_batch_create(context_.get(), p.batch(), p.longest(), p.tokens(), &batch));
    batch_.reset(batch);
    REQUIRE_OK(varlstm_batch_set_lengths(batch, p.lengths.data(), p.batch(), VARLSTM_SPACE_HOST, nullptr));
  }

  Stream stream() { return make_stream(context_->state, nullptr); }
  const BatchPlan& plan() const { return batch_->plan; }

  // The bits of dgates, dh0 and dc0 after `run(layer)`.
  template <class Run>
  std::vector<uint16_t> gradients(const Run& run) {
    const int64_t directions = problem_.directions, gates = directions * rows_ * gates_count_;
    OnDevice<T> dgates(nans<T>(gates)), dh0(nans<T>(directions * states_)), dc0(nans<T>(directions * states_));
    OnDevice<float> dc(nans<float>(directions * states_)), dh(nans<float>(directions * states_));
    const bool has_c = problem_.cell == Cell::kLstm;
    LayerBackward<T, float> layer{};
    layer.plan = plan();
    layer.row_order = problem_.order;
    layer.hidden = layer.state = problem_.hidden;
    layer.directions = directions;
    layer.ldy = directions * problem_.hidden;
    for (int64_t d = 0; d < directions; ++d) {
      DirectionBackward<T, float>& to = layer.direction[d];
      to.w_hh = weights_.data() + d * resident_gates(problem_.cell) * problem_.hidden * problem_.hidden;
      to.gates = gates_.data() + d * rows_ * gates_count_;
      to.y = y_.data() + d * problem_.hidden;
      to.dy = dy_.data() + d * problem_.hidden;
      to.dgates = dgates.data() + d * rows_ * gates_count_;
      to.dh = problem_.cell == Cell::kGru ? dh.data() + d * states_ : nullptr;
      to.h0 = h0_.data() + d * states_, to.dh_n = dh_n_.data() + d * states_, to.dh0 = dh0.data() + d * states_;
      if (!has_c) continue;
      to.c = c_.data() + d * rows_, to.dc = dc.data() + d * states_;
      to.c0 = c0_.data() + d * states_, to.dc_n = dc_n_.data() + d * states_, to.dc0 = dc0.data() + d * states_;
    }
    layer.in_pairs = has_pairs(layer);
    EXPECT_EQ(run(layer), VARLSTM_OK) << take_failure_text();
    return joined(joined(bits(dgates.get()), bits(dh0.get())), has_c ? bits(dc0.get()) : std::vector<uint16_t>());
  }

 private:
  // Rounded, and small, so that the gradients do not grow.
  std::vector<T> scaled(std::vector<float> values) {
    std::vector<T> narrowed;
    for (const float value : values) narrowed.push_back(narrow<T>(value / 16));
    return narrowed;
  }

  const Problem problem_;
  const int64_t rows_, states_, gates_count_;
  Context context_;
  Batch batch_;
  OnDevice<T> weights_, h0_, c0_, dh_n_, dc_n_, y_, dy_;
  OnDevice<float> gates_, c_;
};

// A schedule of so many slots, in memory of its own.
class Schedule {
 public:
  template <class T>
  Schedule(Given<T>& given, const Problem& p, int64_t slots, int64_t team_slots)
      : memory_(std::vector<char>(static_cast<size_t>(carve(nullptr, p, slots, team_slots)))) {
    carve(memory_.data(), p, slots, team_slots);
    EXPECT_EQ(build_slot_schedule(given.stream(), given.plan(), p.order, p.directions, of, scratch_, {}), VARLSTM_OK);
  }
  SlotSchedule of;

 private:
  int64_t carve(void* base, const Problem& p, int64_t slots, int64_t team_slots) {
    Carver carver(base);
    of = carve_slot_schedule(p.bounds(), p.directions, slots, team_slots, slots, carver);
    scratch_ = carve_slot_scratch(p.batch(), slots, carver);
    return carver.bytes();
  }
  SlotScratch scratch_;
  OnDevice<char> memory_;
};

template <class T>
std::vector<uint16_t> run_stepwise(Given<T>& given, const Problem& p) {
  return given.gradients([&](const LayerBackward<T, float>& layer) {
    return stepwise_backward(given.stream(), p.cell, layer, LayerOptions<float>{});
  });
}

// By the tile of policy grid for this H.
template <class T>
std::vector<uint16_t> run_grid(Given<T>& given, const Problem& p) {
  RecurrenceChoice choice{};
  choice.policy = RecurrencePolicy::kGrid, choice.cell = p.cell;
  EXPECT_TRUE(math_kind(kType<T>, false, &choice.math));
  const TileRows table = tile_rows(choice.policy, choice.math);
  while (table.rows[choice.index].hidden < p.hidden) ++choice.index;
  choice.tile = &table.rows[choice.index];
  choice.teams = 2, choice.directions = p.directions;
  const Schedule schedule(given, p, choice.slots(), choice.tile->slots());
  OnDevice<char> weights(
      std::vector<char>(static_cast<size_t>(p.directions * recurrent_weight_bytes(choice.math, p.cell, *choice.tile))));
  OnDevice<char> area(
      std::vector<char>(static_cast<size_t>(p.directions * choice.teams * grid_area_bytes(choice.math, *choice.tile))));
  return given.gradients([&](const LayerBackward<T, float>& layer) {
    const ResidentRun run = {choice, schedule.of, weights.data(), area.data(), {}};
    return resident_launcher<LayerBackward<T, float>>(choice)(given.stream(), run, layer);
  });
}

template <class T>
std::vector<uint16_t> run_wide(Given<T>& given, const Problem& p, bool grid_order, int64_t teams, int64_t sets) {
  const Schedule schedule(given, p, teams * kWideTeamSlots, kWideTeamSlots);
  const WideSizes sizes = wide_sizes(WidePass::kBackward, grid_order, p.cell, p.hidden);
  OnDevice<char> area(std::vector<char>(static_cast<size_t>(p.directions * teams * sizes.area_bytes)));
  return given.gradients([&](const LayerBackward<T, float>& layer) {
    const WideRun run = {{teams, sets, p.directions, 0}, grid_order, schedule.of, area.data()};
    return wide_backward(given.stream(), p.cell, run, layer);
  });
}

size_t differences(const std::vector<uint16_t>& a, const std::vector<uint16_t>& b) {
  size_t count = a.size() == b.size() ? 0 : 1;
  for (size_t k = 0; k < a.size() && k < b.size(); ++k) count += a[k] != b[k] ? 1 : 0;
  return count;
}

class WideBackward : public ::testing::Test {
 protected:
  void SetUp() override {
    if (test_backend() != VARLSTM_BACKEND_CUDA) GTEST_SKIP() << "the host has no teams";
  }
  Random random_{91};
};

template <class T>
void expect_bits_of_stepwise(const Problem& p, Random& random,
                             std::vector<std::pair<int64_t, int64_t>> teams_and_sets) {
  SCOPED_TRACE(describe(p));
  Given<T> given(p, random);
  const std::vector<uint16_t> expected = run_stepwise(given, p);
  for (const auto& [teams, sets] : teams_and_sets)
    EXPECT_EQ(differences(run_wide(given, p, false, teams, sets), expected), 0u)
        << "of " << expected.size() << ", " << teams << " teams of " << sets << " sets";
}

// A team waits for the slots of others; a slot takes several sequences; a team has few or no sequences.
TEST_F(WideBackward, LstmHasTheBitsOfStepwise) {
  expect_bits_of_stepwise<Bf16>({Cell::kLstm, 256, 1, random_.integers(70, 1, 3)}, random_, {{1, 1}, {2, 1}});
}

TEST_F(WideBackward, LstmHasTheBitsOfStepwiseInF16AndBothDirections) {
  expect_bits_of_stepwise<F16>({Cell::kLstm, 256, 2, random_.integers(5, 1, 4), RowOrder::kRagged}, random_, {{2, 2}});
}

TEST_F(WideBackward, OtherCellsHaveTheBitsOfStepwise) {
  expect_bits_of_stepwise<Bf16>({Cell::kGru, 256, 1, random_.integers(9, 1, 3)}, random_, {{1, 1}});
  expect_bits_of_stepwise<Bf16>({Cell::kRnnTanh, 256, 1, random_.integers(9, 1, 3)}, random_, {{1, 1}});
  expect_bits_of_stepwise<F16>({Cell::kRnnRelu, 256, 1, random_.integers(9, 1, 3)}, random_, {{1, 1}});
}

TEST_F(WideBackward, LstmHasTheBitsOfTheGrid) {
  const Problem p = {Cell::kLstm, 512, 1, random_.integers(9, 1, 3)};
  Given<Bf16> given(p, random_);
  EXPECT_EQ(differences(run_wide(given, p, true, 1, 1), run_grid(given, p)), 0u);
}

TEST_F(WideBackward, WiderHasTheBitsOfTheGrid) {
  const Problem p = {Cell::kLstm, 768, 1, {2, 1}};
  Given<F16> given(p, random_);
  EXPECT_EQ(differences(run_wide(given, p, true, 1, 1), run_grid(given, p)), 0u);
}

// The largest H, in both orders.
TEST_F(WideBackward, WidestHasTheBitsOfBoth) {
  const Problem p = {Cell::kLstm, 1024, 1, {2, 1, 2}};
  Given<Bf16> given(p, random_);
  EXPECT_EQ(differences(run_wide(given, p, false, 1, 1), run_stepwise(given, p)), 0u);
  EXPECT_EQ(differences(run_wide(given, p, true, 1, 1), run_grid(given, p)), 0u);
}

TEST_F(WideBackward, NamesTheHiddenThatHasNoTeams) {
  const Problem p = {Cell::kLstm, 128, 1, {1}};
  Given<Bf16> given(p, random_);
  given.gradients([&](const LayerBackward<Bf16, float>& layer) {
    EXPECT_EQ(wide_backward(given.stream(), p.cell, {{1, 1, 1, 0}, false, {}, nullptr}, layer), VARLSTM_ERROR_INTERNAL);
    EXPECT_NE(std::string(take_failure_text()).find("H = 128"), std::string::npos);
    return VARLSTM_OK;
  });
}

}  // namespace
}  // namespace varlstm_test
