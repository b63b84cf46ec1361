// The loss of a whole call in the form of a chunk's kernels. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/linear_cross_entropy/chunk.h"
#include "kernels/masked_loss/loss_terms.h"

namespace varlstm::cuda {

// The view has targets and weights of all rows, and the terms of one chunk.
template <class C>
LossView<C> chunk_view(const LossArgs& args, const ChunkScratch& scratch) {
  LossView<C> view = loss_view<C>(args);
  view.totals = scratch.totals;
  view.partial = scratch.partial;
  view.terms = scratch.terms;
  return view;
}

}  // namespace varlstm::cuda
