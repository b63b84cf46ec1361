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
struct CellTraits {
  int gates = 0;  // the matrices have gates * H rows; 0 if there is no such cell
  int slots = 0;
  PerGate input_slot = {0, 1, 2, 3};  // of W_ih x
  PerGate state_slot = {0, 1, 2, 3};  // of W_hh h; one after another
  int joint_gates = 0;                // so many have one slot for both sums, the first ones; cells.h counts them
  bool has_c = false;                 // there is a cell state c beside h
  bool reads_h = false;               // the formulas read h before the step, not only its product
  bool passes_dh = false;             // backward leaves in dh what h before the step gets beside the product
  // The place of each gate in another library's matrices.
  PerGate keras = {0, 1, 2, 3};
  PerGate onnx = {0, 1, 2, 3};
  PerGate cudnn = {0, 1, 2, 3};
  PerGate haste = {0, 1, 2, 3};
};

}  // namespace varlstm::host
