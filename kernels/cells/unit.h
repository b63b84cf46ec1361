// The words in which a cell says what one of its units does in a step. A cell is a struct of constants and two
// functions; lstm.h is the longest example, rnn_tanh.h the shortest:
//
//   kKind         the Cell of capi/contract/shapes.h
//   kGates        the weights have kGates * H rows, gate after gate
//   kSaved        the values of a unit and row that forward saves for backward; at least kGates, because they take the
//                 place of the x-gates
//   kHasC         the cell has a cell state c beside h
//   kStateGates   how many of the gates, the last ones, do not simply add the state's product to the x-gate. These
//                 have two gradients: one flows to the input's weights, the other to the state's weights
//   kSecondGates  how many of the gates, the last ones (0 or 1), have a product with W_hh of their own. It comes after
//                 that of the others, and multiplies something else in the place of h: the operand
//   kStateBias    b_hh is added to the state's product; otherwise it is part of the x-gates
//   kPassesH      a part of dh goes straight to the step before, past the product with W_hh
//   kReadsH       forward and backward read the unit's own h before the step
//   kProjects     what the units give out may be projected to an h of fewer features
//   forward       (x-gates, state's product, state before) -> (saved values, state after)
//   backward      (saved values, state before and after, gradient) -> gradients of the gates: first those that flow to
//                 the input, then those of the state gates that flow to the state. `gradient` comes in as that of the
//                 state after, and goes out as what goes straight to the state before
//   Both functions take the options at the unit as their last argument, and call them where an option acts
//   (options.h). Without the argument there are none.
//
// A cell with kSecondGates has two functions more:
//
//   operand           (the first product, h as it enters that, x-gates) -> the operand. What it makes of the x-gates of
//                     the first product takes their place, so that `forward` gets it
//   operand_backward  (saved values, the operand and its gradient) -> the gradient of the first gate, and what h
//                     receives. `backward` comes before it and gives 0 for that gate
//
// Functions is Accurate (below) or the faster functions of resident_math.h. It has sigmoid and tanh, and
// keeping_sigmoid for the gate by which the cell keeps its state: an error in what the gate loses, 1 minus it, adds up
// over the steps. C is float or double.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <math.h>

#include "kernels/arch/device.h"

namespace varlstm::cuda {

// One value of a unit for each gate: x-gates, sums, activations or gradients.
template <class C, int kCount>
struct UnitValues {
  C of[kCount];
};

// The states of a unit, or their gradients. c is not used if the cell has none.
template <class C>
struct UnitState {
  C h, c;
};

template <class Cell, class C>
struct UnitStep {
  UnitValues<C, Cell::kSaved> saved;
  UnitState<C> after;
};

// The number of gradients of a unit and row that backward stores.
template <class Cell>
constexpr int kGradientsOf = Cell::kGates + Cell::kStateGates;

// The number of gates of the first product with W_hh, and of the last one, which may be the first.
template <class Cell>
constexpr int kFirstGates = Cell::kGates - Cell::kSecondGates;
template <class Cell>
constexpr int kLastGates = Cell::kSecondGates > 0 ? Cell::kSecondGates : Cell::kGates;

// The accurate functions: expf and tanhf of the toolkit have an error of at most 2 ulp.
struct Accurate {
  static constexpr bool kOneOrder = false;
  template <class C>
  VARLSTM_DEVICE static C sigmoid(C x) {
    return C(1) / (C(1) + exp(-x));
  }
  template <class C>
  VARLSTM_DEVICE static C keeping_sigmoid(C x) {
    return sigmoid(x);
  }
  template <class C>
  VARLSTM_DEVICE static C tanh(C x) {
    return ::tanh(x);
  }
};

// Returns a * b + c * d. A compiler may fuse either product with the sum, and in another kernel the other one. Where
// kernels must give the same bits, Functions has kOneOrder.
template <class Functions, class C>
VARLSTM_DEVICE C add_products(C a, C b, C c, C d) {
  if constexpr (Functions::kOneOrder) return simt::fma(a, b, c * d);
  return a * b + c * d;
}

}  // namespace varlstm::cuda
