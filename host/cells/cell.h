// What the host back end knows of a cell beside its formulas.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace varlstm::host {

inline constexpr int kMostGates = 4;  // of any cell

struct PerGate {
  int of[kMostGates];
};

// A token has `slots` numbers for each unit. Forward fills them with the sums of two products, W_ih x and W_hh h, and
// replaces the sums by what backward needs. Backward stores the gradients of the sums in the same slots. The two sums
// of a gate are added if they have the same slot; if not, b_hh of that gate is a part of the state's sum.
//
// A cell with second_gates has two products with W_hh in a step, one after the other: operand() makes of the sums of
// the first one what the second one multiplies. In backward the second one comes first. Its result, the gradient of the
// operand, is in operand_slot when operand_backward() is called.
struct CellTraits {
  int gates = 0;  // the matrices have gates * H rows; 0 if there is no such cell
  int slots = 0;
  PerGate input_slot = {0, 1, 2, 3};  // of W_ih x
  PerGate state_slot = {0, 1, 2, 3};  // of W_hh h; one after another
  int joint_gates = 0;                // so many have one slot for both sums, the first ones; cells.h counts them
  int second_gates = 0;               // so many have a product of their own, the last ones, after that of the others
  int operand_slot = 0;               // the slot of what that product multiplies in the place of h
  bool has_c = false;                 // there is a cell state c beside h
  bool reads_h = false;               // the formulas read h before the step, not only its product
  bool passes_dh = false;             // backward leaves in dh what h before the step gets beside the product
  // The place of each gate in another library's matrices.
  PerGate keras = {0, 1, 2, 3};
  PerGate onnx = {0, 1, 2, 3};
  PerGate cudnn = {0, 1, 2, 3};
  PerGate haste = {0, 1, 2, 3};
};

// How many gates the first product of a step has.
constexpr int first_gates(const CellTraits& traits) {
  return traits.gates - traits.second_gates;
}

}  // namespace varlstm::host
