// The list of all cells. Their traits, the functions of each instruction set and the choice among them come from it.
//
// The file of a cell has a struct with its value of Cell, its traits, and forward and backward of one vector of units,
// written for the accessors of host/simd/cell_units.h, or of host/simd/option_units.h if the network has options of a
// cell. What an option changes goes through candidate() (dropout of the new values), clip() and c_after(); without
// options these return what they are given. With layer normalisation a cell with c also has forward_output and
// backward_output, the part of its formulas between c' and h; a cell without c needs nothing.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"
#include "host/cells/cell.h"
#include "host/cells/gru.h"
#include "host/cells/gru_reset_before.h"
#include "host/cells/lstm.h"
#include "host/cells/rnn_relu.h"
#include "host/cells/rnn_tanh.h"

namespace varlstm::host {

template <class... Rooms>
struct CellList {};

using Cells = CellList<Lstm, Gru, RnnTanh, RnnRelu, GruResetBefore>;

// Something of every cell, found by the value of Cell.
template <class Entry>
struct CellTable {
  static constexpr int kEntries = 8;
  Entry entries[kEntries];

  constexpr const Entry& operator[](Cell cell) const { return entries[static_cast<int>(cell)]; }
};

template <class... Rooms>
constexpr CellTable<CellTraits> traits_of(CellList<Rooms...>) {
  CellTable<CellTraits> table{};
  ((table.entries[static_cast<int>(Rooms::kCell)] = Rooms::traits()), ...);
  for (CellTraits& t : table.entries)
    while (t.joint_gates < t.gates && t.input_slot.of[t.joint_gates] == t.state_slot.of[t.joint_gates]) ++t.joint_gates;
  return table;
}

inline constexpr CellTable<CellTraits> kCellTraits = traits_of(Cells());

// The panels of the second product have one gate.
template <class... Rooms>
constexpr bool have_at_most_one_second_gate(CellList<Rooms...>) {
  return ((Rooms::traits().second_gates <= 1) && ...);
}
static_assert(have_at_most_one_second_gate(Cells()));

}  // namespace varlstm::host
