// What the C ABI knows of each cell: how large its parameters are, and which states it has.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"

namespace varlstm {

constexpr int64_t kMostGates = 4;  // of any cell

struct CellFacts {
  const char* name;
  int64_t gates;     // W_ih and W_hh have gates * H rows
  const char* rows;  // the same, in words
  bool has_c;        // the cell has a cell state c beside h
};

inline CellFacts cell_facts(Cell cell) {
  switch (cell) {
    case Cell::kLstm:
      return {"VARLSTM_CELL_LSTM", 4, "4 * hidden_size", true};
    case Cell::kGru:
      return {"VARLSTM_CELL_GRU", 3, "3 * hidden_size", false};
    case Cell::kRnnTanh:
      break;
  }
  return {"VARLSTM_CELL_RNN_TANH", 1, "hidden_size", false};
}

}  // namespace varlstm
