// What the C ABI knows of each cell: how large its parameters are, which states it has, and how many biases other
// libraries give it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"

namespace varlstm {

constexpr int64_t kMostGates = 4;  // of any cell
constexpr Cell kLastCell = Cell::kGruResetBefore;

struct CellFacts {
  const char* name;
  int64_t gates;       // W_ih and W_hh have gates * H rows
  const char* rows;    // the same, in words
  bool has_c;          // the cell has a cell state c beside h
  bool has_candidate;  // new values that a gate lets in: g or n
  bool can_normalise;  // the cell has a form with layer normalisation
  int biases[5];       // by ParamFormat: of one layer and direction; 0 if that library does not have the cell
};

inline CellFacts cell_facts(Cell cell) {
  switch (cell) {
    case Cell::kLstm:
      return {"VARLSTM_CELL_LSTM", 4, "4 * hidden_size", true, true, true, {2, 1, 2, 2, 1}};
    case Cell::kGru:
      return {"VARLSTM_CELL_GRU", 3, "3 * hidden_size", false, true, true, {2, 2, 2, 2, 2}};
    case Cell::kRnnTanh:
      return {"VARLSTM_CELL_RNN_TANH", 1, "hidden_size", false, false, false, {2, 1, 2, 2, 0}};
    case Cell::kRnnRelu:
      return {"VARLSTM_CELL_RNN_RELU", 1, "hidden_size", false, false, false, {2, 1, 2, 2, 0}};
    case Cell::kGruResetBefore:
      break;
  }
  return {"VARLSTM_CELL_GRU_RESET_BEFORE", 3, "3 * hidden_size", false, true, false, {0, 1, 2, 0, 0}};
}

}  // namespace varlstm
