// The list of the cells. The instantiations of the stepwise kernels, the choice between them and the facts of facts.h
// are made from it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cells/gru.h"
#include "kernels/cells/gru_reset_before.h"
#include "kernels/cells/lstm.h"
#include "kernels/cells/rnn_relu.h"
#include "kernels/cells/rnn_tanh.h"

// Expands M(cell) for each cell, whose type is given.
#define VARLSTM_EACH_CELL(M) \
  M(LstmCell)                \
  M(GruCell)                 \
  M(RnnTanhCell)             \
  M(RnnReluCell)             \
  M(GruResetBeforeCell)

namespace varlstm::cuda {

// Returns visit(cell), with `cell` an object of the cell's type.
template <class Visit>
auto with_cell(Cell kind, const Visit& visit) {
#define VARLSTM_VISIT(Type) \
  if (kind == Type::kKind) return visit(Type());
  VARLSTM_EACH_CELL(VARLSTM_VISIT)
#undef VARLSTM_VISIT
  return visit(LstmCell());  // capi lets no other cell through
}

}  // namespace varlstm::cuda
