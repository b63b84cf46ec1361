// The gradient that reaches h of a unit in a step of backward. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cells/unit.h"
#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/stepwise/backward_sum.h"
#include "kernels/recurrence/stepwise/cell_options.h"
#include "kernels/recurrence/stepwise/step_shape.h"

namespace varlstm::cuda {

// Visits the ranks and units of the tile (product.h) with the gradient of what the units give out from
// dprojected of this token, or that of h from the product of the step after. S0: after it the tiles' rows are visible.
template <class CellType, bool kProjected, class Tile, class T, class C, class Visitor>
VARLSTM_DEVICE void incoming_gradients(BackwardTiles<Tile>& tiles, const LayerBackward<T, C>& layer,
                                       const DirectionBackward<T, C>& dir, const StepPlace& at,
                                       const Visitor& visitor) {
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < Tile::kRanks) {
    const int64_t own = at.rank0 + thread;
    tiles.rows[thread] = own >= at.width ? -1
                         : kProjected    ? row_of(layer.plan, layer.row_order, at.t, own)
                                         : row_after(layer.plan, layer.row_order, at.reverse, at.t, own);
  }
  simt::block_sync();  // S0
  const int64_t ranks = at.width - at.rank0;
  if constexpr (kProjected)
    row_sums(tiles, dir.dprojected, layer.state, {dir.w_hr, layer.state, layer.hidden, at.unit0}, layer.state, 0, ranks,
             at.blocks, visitor);
  else
    recurrent_gradients<CellType>(tiles, dir.dgates, dir.w_hh, layer.hidden, layer.hidden, at.unit0, ranks, at.blocks,
                                  visitor);
}

// A unit of a row in a step of backward.
struct UnitPlace {
  int64_t row, rank, unit;
  int64_t final;  // the sequence whose final state the segment gives, or -1
  bool ends;      // the segment ends here
};

// What the gradient of h of a unit has besides the product.
template <class C>
struct AskedGradient {
  C dy, of_end, passed;
};

// Whether a part of the gradient of h goes straight to the step before.
template <class CellType, bool kProjected, class T, class C, class Options>
VARLSTM_DEVICE bool passes_h(const DirectionBackward<T, C>& dir, const Options&) {
  return CellType::kPassesH || (Options::kAct && !kProjected && dir.dh != nullptr);
}

template <class CellType, bool kProjected, class T, class C, class Options>
VARLSTM_DEVICE AskedGradient<C> ask_gradient(const LayerBackward<T, C>& layer, const DirectionBackward<T, C>& dir,
                                             const Options& options, const UnitPlace& at) {
  AskedGradient<C> asked = {C(0), C(0), C(0)};
  if constexpr (!kProjected) {
    asked.dy = load_or_zero(dir.dy, at.row * layer.ldy + at.unit);
    if (at.ends) asked.of_end = of_sequence(dir.dh_n, at.final, layer.hidden, at.unit);
  }
  if (passes_h<CellType, kProjected>(dir, options) && !at.ends) asked.passed = dir.dh[at.rank * layer.hidden + at.unit];
  return asked;
}

// Returns the gradient of h, or of what is projected, from `incoming` above.
template <class CellType, bool kProjected, class T, class C, class Options>
VARLSTM_DEVICE C gradient_of_h(const LayerBackward<T, C>& layer, const DirectionBackward<T, C>& dir,
                               const Options& options, const UnitPlace& at, const AskedGradient<C>& asked, C incoming) {
  if constexpr (Options::kAct && !kProjected) {
    const DirectionOptions<C> of_direction(options, blockIdx.z);
    if (of_direction.drops_state()) {
      const int64_t b = sequence_of(layer.plan, layer.row_order, at.row, at.rank);
      incoming = times_factor(incoming, of_direction.state_factor(b, layer.hidden, at.unit));
    }
  }
  C gradient = kProjected ? incoming : asked.dy + (at.ends ? asked.of_end : incoming);
  if (passes_h<CellType, kProjected>(dir, options)) gradient += asked.passed;
  return gradient;
}

}  // namespace varlstm::cuda
