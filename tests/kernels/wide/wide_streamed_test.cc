// Wide teams of 16 bits whose weights are streamed, both passes, at a small H: the bits of teams that keep all weights
// in shared memory. The tests of the library show that these are right.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <vector>

#include "kernels/core/kernel_registry.h"
#include "kernels/core/state.h"
#include "support/on_device.h"
#include "tests/kernels/wide/streamed_kernel.h"

#if VARLSTM_EMULATED
#include "kernels/simt/options.h"
#endif

namespace varlstm_test {
namespace {

using namespace varlstm;
using namespace varlstm::cuda;

struct Segment {
  int64_t slot, first_step, length;
  bool states;  // it begins from given states, and gives its last ones
};
// Slots that end at different steps, one that takes a second segment, and idle ones. A segment is a sequence.
constexpr Segment kSegments[] = {{0, 0, 4, true}, {1, 0, 1, false}, {2, 0, 3, true},
                                 {5, 0, 1, true}, {1, 1, 3, true},  {7, 0, 2, false}};
constexpr int64_t kHidden = kStreamedTestHidden, kSteps = 4, kBatch = std::size(kSegments), kRows = 14,
                  kStates = kBatch * kHidden, kElements = kRows * kHidden, kGates = 4;

// The schedule of a team of so many slots. Its rows are segment after segment.
std::vector<SlotStep> entries_of(int64_t slots) {
  std::vector<SlotStep> entries(static_cast<size_t>(kSteps * slots), SlotStep{-1, 0, 0});
  int64_t row = 0;
  uint32_t sequence = 0;
  for (const Segment& segment : kSegments) {
    for (int64_t t = 0; t < segment.length; ++t, ++row) {
      uint32_t marks = 0;
      if (t == 0) marks |= segment.states ? kFirstToken | kTakesInitial : kFirstToken;
      if (t + 1 == segment.length) marks |= segment.states ? kLastToken | kGivesFinal : kLastToken;
      entries[static_cast<size_t>((segment.first_step + t) * slots + segment.slot)] = {row, sequence, marks};
    }
    ++sequence;
  }
  EXPECT_EQ(row, kRows);
  return entries;
}

template <class T>
void append(std::vector<unsigned char>& bytes, OnDevice<T>& values) {
  const std::vector<T> all = values.get();
  const size_t end = bytes.size();
  bytes.resize(end + all.size() * sizeof(T));
  std::memcpy(bytes.data() + end, all.data(), all.size() * sizeof(T));
}

// What both passes get: any numbers will do.
class WideStreamed : public ::testing::Test {
 protected:
  WideStreamed() {
    EXPECT_EQ(load_kernels(227 * 1024, true), 0) << take_failure_text();
    for (const float value : random_.vector<float>(kGates * kHidden * kHidden))
      weights_of_host_.push_back(narrow<Bf16>(value / 16));  // small, so that gradients do not grow
  }

  // The layer's pass by one team.
  template <class Layer>
  void run(bool streamed, const Layer& layer) {
    const int64_t slots = streamed ? 8 : 64;
    const StreamedBytes bytes = streamed_bytes();
    OnDevice<SlotStep> entries(entries_of(slots));
    OnDevice<int64_t> steps(std::vector<int64_t>{kSteps});
    OnDevice<unsigned char> area(std::vector<unsigned char>(static_cast<size_t>(bytes.area)));
    OnDevice<unsigned char> weights(std::vector<unsigned char>(static_cast<size_t>(bytes.weights), 0xff));
    const SlotSchedule schedule = {slots, slots, kSteps, entries.data(), steps.data(), nullptr, 0};
    State state;
    EXPECT_EQ(run_team(streamed, Stream{&state, nullptr}, schedule, area.data(), weights.data(), layer), 0)
        << take_failure_text();
    EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
  }
  template <class Layer>
  Layer layer_of() const {
    Layer layer{};
    layer.row_order = RowOrder::kPacked;
    layer.hidden = layer.state = layer.ldy = kHidden;
    layer.directions = 1;
    return layer;
  }

  std::vector<unsigned char> forward(bool streamed) {
    OnDevice<Bf16> w_hh(weights_of_host_), h0(h0_), c0(c0_), y(nans<Bf16>(kElements)), h_n(nans<Bf16>(kStates)),
        c_n(nans<Bf16>(kStates));
    OnDevice<float> gates(gates_), c(nans<float>(kElements));
    auto layer = layer_of<LayerForward<Bf16, float>>();
    layer.save = true;
    DirectionForward<Bf16, float>& to = layer.direction[0];
    to.w_hh = w_hh.data(), to.h0 = h0.data(), to.c0 = c0.data(), to.gates = gates.data(), to.c = c.data();
    to.y = y.data(), to.h_n = h_n.data(), to.c_n = c_n.data();
    run(streamed, layer);
    std::vector<unsigned char> bytes;
    append(bytes, y), append(bytes, h_n), append(bytes, c_n), append(bytes, gates), append(bytes, c);
    return bytes;
  }

  std::vector<unsigned char> backward(bool streamed) {
    OnDevice<Bf16> w_hh(weights_of_host_), h0(h0_), c0(c0_), y(y_), dy(dy_), dh_n(dh_n_), dc_n(dc_n_),
        dgates(nans<Bf16>(kGates * kElements)), dh0(nans<Bf16>(kStates)), dc0(nans<Bf16>(kStates));
    OnDevice<float> gates(gates_), c(c_);
    auto layer = layer_of<LayerBackward<Bf16, float>>();
    DirectionBackward<Bf16, float>& to = layer.direction[0];
    to.w_hh = w_hh.data(), to.h0 = h0.data(), to.c0 = c0.data(), to.gates = gates.data(), to.c = c.data();
    to.y = y.data(), to.dy = dy.data(), to.dh_n = dh_n.data(), to.dc_n = dc_n.data(), to.dgates = dgates.data();
    to.dh0 = dh0.data(), to.dc0 = dc0.data();
    layer.in_pairs = has_pairs(layer);
    run(streamed, layer);
    std::vector<unsigned char> bytes;
    append(bytes, dgates), append(bytes, dh0), append(bytes, dc0);
    return bytes;
  }

 private:
  Random random_{23};
  std::vector<Bf16> weights_of_host_;
  const std::vector<Bf16> h0_ = random_values<Bf16>(random_, kStates), c0_ = random_values<Bf16>(random_, kStates),
                          y_ = random_values<Bf16>(random_, kElements), dy_ = random_values<Bf16>(random_, kElements),
                          dh_n_ = random_values<Bf16>(random_, kStates), dc_n_ = random_values<Bf16>(random_, kStates);
  const std::vector<float> gates_ = random_.vector<float>(kGates * kElements), c_ = random_.vector<float>(kElements);
};

// The race detector sees kept weights in other tests.
class WithoutRaces {
#if VARLSTM_EMULATED
 public:
  WithoutRaces() : before_(simt::options()) {
    simt::Options without = before_;
    without.races = false;
    simt::set_options(without);
  }
  ~WithoutRaces() {
    simt::set_options(before_);
  }

 private:
  const simt::Options before_;
#endif
};

TEST_F(WideStreamed, ForwardHasTheBitsOfKeptWeights) {
  const std::vector<unsigned char> streamed = forward(true);
  [[maybe_unused]] const WithoutRaces without;
  EXPECT_TRUE(streamed == forward(false));
}

TEST_F(WideStreamed, BackwardHasTheBitsOfKeptWeights) {
  const std::vector<unsigned char> streamed = backward(true);
  [[maybe_unused]] const WithoutRaces without;
  EXPECT_TRUE(streamed == backward(false));
}

}  // namespace
}  // namespace varlstm_test
