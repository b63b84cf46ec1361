// The step of every cell in every instruction set: forward against the cell's definition in double, backward against
// central differences of that definition.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "host/every_isa.h"
#include "support/random.h"

namespace varlstm::host {
namespace {

using varlstm_test::Random;

struct State {
  double h, c;
};

double sigma(double x) {
  return 1 / (1 + std::exp(-x));
}

// One unit of one step: sums has the slots of the cell.
State lstm(const double* sums, State before) {
  const double i = sigma(sums[0]), f = sigma(sums[1]), g = std::tanh(sums[2]), o = sigma(sums[3]);
  const double c = f * before.c + i * g;
  return {o * std::tanh(c), c};
}

State gru(const double* sums, State before) {
  const double r = sigma(sums[1]), z = sigma(sums[2]), n = std::tanh(sums[0] + r * sums[3]);
  return {(1 - z) * n + z * before.h, 0};
}

State rnn_tanh(const double* sums, State) {
  return {std::tanh(sums[0]), 0};
}

State rnn_relu(const double* sums, State) {
  return {std::fmax(0, sums[0]), 0};
}

// The part after the second product, whose sum is in slot 2. The part before it is OneStep::check_operand.
State gru_reset_before(const double* sums, State before) {
  const double z = sigma(sums[1]), n = std::tanh(sums[2]);
  return {(1 - z) * n + z * before.h, 0};
}

struct Definition {
  const char* name;
  Cell cell;
  State (*step)(const double* sums, State before);
};

constexpr Definition kDefinitions[] = {{"Lstm", Cell::kLstm, lstm},
                                       {"Gru", Cell::kGru, gru},
                                       {"RnnTanh", Cell::kRnnTanh, rnn_tanh},
                                       {"RnnRelu", Cell::kRnnRelu, rnn_relu},
                                       {"GruResetBefore", Cell::kGruResetBefore, gru_reset_before}};

// The loss whose gradients backward computes is dh h + dc c. Its derivative by `at`, an argument of `loss`:
template <class Loss>
double derivative(double* at, const Loss& loss) {
  const double step = 1e-5, x = *at;
  *at = x + step;
  const double above = loss();
  *at = x - step;
  const double below = loss();
  *at = x;
  return (above - below) / (2 * step);
}

template <class T>
struct Error;
// The activations are within 4 units in the last place (row_kernel_test), 2.4e-7 below 1, and dh + dy, dc and h, c are
// below 2. A result is a sum of two products of at most four of them: below 4e-6 with the rounding of each operation.
template <>
struct Error<float> {
  static constexpr double kForward = 4e-6, kBackward = 4e-6;
};
// Central differences: step^2 / 6 times a third derivative below 10, and the rounding of the loss over the step.
template <>
struct Error<double> {
  static constexpr double kForward = 1e-14, kBackward = 1e-9;
};

template <class T>
class OneStep {
 public:
  OneStep(const RowKernels& kernels, const Definition& definition, uint64_t seed)
      : definition_(definition),
        traits_(kCellTraits[definition.cell]),
        kernel_(kernel_of<T>(kernels)),
        units_(3 * kernel_.lanes),
        valid_(units_ - kernel_.lanes / 2),
        random_(seed),
        sums_(random_.vector<T>(kRows * traits_.slots * units_, -3, 3)),
        h_before_(random_.vector<T>(kRows * valid_)),
        c_before_(random_.vector<T>(kRows * units_)),
        dh_(random_.vector<T>(kRows * units_)),
        dy_(random_.vector<T>(kRows * valid_)),
        dc_(random_.vector<T>(kRows * units_)) {}

  void check() {
    std::vector<T> values, c, h;
    run_forward(nullptr, &values, &c, &h);
    check_forward(h, c, /*from_zeros=*/true);
    run_forward(h_before_.data(), &values, &c, &h);
    check_forward(h, c, /*from_zeros=*/false);
    for (const bool with_dy : {true, false}) check_backward(values, c, with_dy);
    if (traits_.second_gates > 0)
      for (const bool adds : {true, false}) check_operand(adds);
  }

 private:
  static constexpr int64_t kRows = 3;
  int64_t h_ld() const { return valid_ + 2; }

  struct Unit {
    double sums[kMostGates];
    State before;
  };
  Unit unit(int64_t r, int64_t u) const {
    Unit at{};
    for (int64_t s = 0; s < traits_.slots; ++s) at.sums[s] = sums_[(r * traits_.slots + s) * units_ + u];
    at.before.h = h_before_[r * valid_ + u];
    if (traits_.has_c) at.before.c = c_before_[r * units_ + u];
    return at;
  }

  // From zeros if h_before is null.
  void run_forward(const T* h_before, std::vector<T>* values, std::vector<T>* c, std::vector<T>* h) const {
    *values = sums_;
    c->assign(kRows * units_, T(0));
    h->assign(kRows * h_ld(), T(7));
    CellForward<T> forward{};
    forward.rows = kRows;
    forward.units = units_;
    forward.valid_units = valid_;
    forward.values = values->data();
    forward.values_ld = traits_.slots * units_;
    forward.slot_stride = units_;
    forward.h_prev = h_before;
    forward.h_prev_ld = valid_;
    forward.h = h->data();
    forward.h_ld = h_ld();
    if (traits_.has_c) {
      forward.c_prev = c_before_.data();
      forward.c = c->data();
      forward.c_prev_ld = forward.c_ld = units_;
    }
    kernel_.cells[definition_.cell].forward(forward);
  }

  void check_forward(const std::vector<T>& h, const std::vector<T>& c, bool from_zeros) const {
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t u = 0; u < valid_; ++u) {
        Unit at = unit(r, u);
        if (from_zeros) at.before.h = 0;
        const State next = definition_.step(at.sums, at.before);
        EXPECT_NEAR(h[r * h_ld() + u], next.h, Error<T>::kForward) << "unit " << u;
        if (traits_.has_c) {
          EXPECT_NEAR(c[r * units_ + u], next.c, Error<T>::kForward) << "unit " << u;
        }
      }
      for (int64_t u = valid_; u < h_ld(); ++u) EXPECT_EQ(h[r * h_ld() + u], T(7)) << "padding is written to h";
    }
  }

  void check_backward(const std::vector<T>& values, const std::vector<T>& c, bool with_dy) const {
    std::vector<T> dh = dh_, dc = dc_, gradients(sums_.size());
    CellBackward<T> backward{};
    backward.rows = kRows;
    backward.units = units_;
    backward.valid_units = valid_;
    backward.values = values.data();
    backward.gradients = gradients.data();
    backward.values_ld = backward.gradients_ld = traits_.slots * units_;
    backward.slot_stride = units_;
    backward.dh = dh.data();
    backward.dh_ld = units_;
    backward.dy = with_dy ? dy_.data() : nullptr;
    backward.dy_ld = valid_;
    backward.h_prev = h_before_.data();
    backward.h_prev_ld = valid_;
    if (traits_.has_c) {
      backward.c = c.data();
      backward.c_prev = c_before_.data();
      backward.dc = dc.data();
      backward.c_ld = backward.c_prev_ld = backward.dc_ld = units_;
    }
    kernel_.cells[definition_.cell].backward(backward);
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t u = 0; u < valid_; ++u) {
        Unit at = unit(r, u);
        const double d_h = double{dh_[r * units_ + u]} + (with_dy ? dy_[r * valid_ + u] : T(0));
        const auto loss = [&] {
          const State next = definition_.step(at.sums, at.before);
          return d_h * next.h + double{dc_[r * units_ + u]} * next.c;
        };
        const double passed = derivative(&at.before.h, loss);  // beside the product
        if (traits_.passes_dh)
          EXPECT_NEAR(dh[r * units_ + u], passed, Error<T>::kBackward) << "unit " << u;
        else
          EXPECT_TRUE(passed == 0 && dh[r * units_ + u] == dh_[r * units_ + u]) << "unit " << u;
        for (int64_t s = 0; s < traits_.slots; ++s)
          EXPECT_NEAR(gradients[(r * traits_.slots + s) * units_ + u], derivative(&at.sums[s], loss),
                      Error<T>::kBackward)
              << "slot " << s << " of unit " << u;
        if (traits_.has_c) {
          EXPECT_NEAR(dc[r * units_ + u], derivative(&at.before.c, loss), Error<T>::kBackward) << "unit " << u;
        }
      }
  }

  // What the second product multiplies is r h, with r = sigma(sum of slot 0). Its gradient gives one to that sum, and
  // one to h, which is added to what is there or replaces it.
  void check_operand(bool adds) const {
    std::vector<T> values = sums_, gradients = random_gradients(), dh = dh_;
    const std::vector<T> of_operand = gradients;
    const int64_t ld = traits_.slots * units_, slot = traits_.operand_slot * units_;
    CellForward<T> forward{};
    forward.rows = kRows;
    forward.units = units_;
    forward.valid_units = valid_;
    forward.values = values.data();
    forward.values_ld = ld;
    forward.slot_stride = units_;
    forward.h_prev = h_before_.data();
    forward.h_prev_ld = valid_;
    kernel_.cells[definition_.cell].operand(forward);
    CellBackward<T> backward{};
    backward.rows = kRows;
    backward.units = units_;
    backward.values = values.data();
    backward.gradients = gradients.data();
    backward.values_ld = backward.gradients_ld = ld;
    backward.slot_stride = units_;
    backward.dh = dh.data();
    backward.dh_ld = units_;
    backward.adds_operand = adds;
    kernel_.cells[definition_.cell].operand_backward(backward);
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t u = 0; u < valid_; ++u) {
        double sum = sums_[r * ld + u], h = h_before_[r * valid_ + u];
        const double d = of_operand[r * ld + slot + u];
        const auto loss = [&] { return d * sigma(sum) * h; };
        EXPECT_NEAR(values[r * ld + slot + u], sigma(sum) * h, Error<T>::kForward) << "unit " << u;
        EXPECT_NEAR(gradients[r * ld + u], derivative(&sum, loss), Error<T>::kBackward) << "unit " << u;
        const double there = adds ? double{dh_[r * units_ + u]} : 0;
        EXPECT_NEAR(dh[r * units_ + u], there + derivative(&h, loss), Error<T>::kBackward) << "unit " << u;
      }
  }

  std::vector<T> random_gradients() const {
    Random random(77);
    return random.vector<T>(static_cast<int64_t>(sums_.size()));
  }

  const Definition& definition_;
  const CellTraits& traits_;
  const RowKernel<T>& kernel_;
  const int64_t units_, valid_;
  Random random_;
  const std::vector<T> sums_, h_before_, c_before_, dh_, dy_, dc_;
};

TEST(CellKernelTest, EveryCellEqualsItsDefinitionInEveryInstructionSet) {
  for (const Definition& definition : kDefinitions)
    for (const RowKernels* kernels : runnable_kernels())
      for (uint64_t seed = 1; seed <= 3; ++seed) {
        SCOPED_TRACE(definition.name + std::string(" ") + kernels->name);
        OneStep<float>(*kernels, definition, seed).check();
        OneStep<double>(*kernels, definition, seed).check();
      }
}

TEST(CellKernelTest, EveryCellOfTheListIsTested) {
  int cells = 0;
  for (const CellTraits& traits : kCellTraits.entries) cells += traits.gates > 0;
  EXPECT_EQ(cells, static_cast<int>(std::size(kDefinitions)));
}

// The panel product takes the slots of the state's sums as vectors with one stride, and the product of the input adds
// b_hh to its first groups.
TEST(CellKernelTest, TheSlotsAreAsTheProductsTakeThem) {
  for (const CellTraits& traits : kCellTraits.entries)
    for (int gate = 0; gate < traits.gates; ++gate) {
      EXPECT_EQ(traits.state_slot.of[gate], traits.state_slot.of[0] + gate);
      EXPECT_LT(traits.state_slot.of[gate], traits.slots);
      EXPECT_LT(traits.input_slot.of[gate], traits.slots);
      EXPECT_EQ(traits.input_slot.of[gate] == traits.state_slot.of[gate], gate < traits.joint_gates);
    }
}

}  // namespace
}  // namespace varlstm::host
