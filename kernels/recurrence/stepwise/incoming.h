// The gradient that reaches h of a unit in a step of backward. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cells/unit.h"
#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/stepwise/backward_sum.h"
#include "kernels/recurrence/stepwise/cell_options.h"
#include "kernels/recurrence/stepwise/step_shape.h"

namespace varlstm::cuda {

// Returns, for this thread's rank and unit, the gradient of what the units give out from dprojected of this token, or
// that of h from the product of the step after. S0: after it the tiles' rows are visible. S1, S2: of row_sum.
template <class CellType, bool kProjected, class T, class C>
VARLSTM_DEVICE C incoming_gradient(BackwardTiles<C>& tiles, const LayerBackward<T, C>& layer,
                                   const DirectionBackward<T, C>& dir, const StepTile& at) {
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < kRows) {
    const int64_t own = at.rank0 + thread;
    tiles.rows[thread] = own >= at.width ? -1
                         : kProjected    ? row_of(layer.plan, layer.row_order, at.t, own)
                                         : row_after(layer.plan, layer.row_order, at.reverse, at.t, own);
  }
  simt::block_sync();  // S0
  if constexpr (kProjected)
    return row_sum(tiles, dir.dprojected, layer.state, {layer.state, layer.state, 0}, dir.w_hr, layer.hidden, at.unit0);
  else
    return recurrent_gradient<CellType>(tiles, dir.dgates, dir.w_hh, layer.hidden, layer.hidden, at.unit0);
}

// A unit of a row in a step of backward.
struct UnitPlace {
  int64_t row, rank, unit;
  int64_t final;  // the sequence whose final state the segment gives, or -1
  bool ends;      // the segment ends here
};

// Returns the gradient of h, or of what is projected, from `incoming` above.
template <class CellType, bool kProjected, class T, class C, class Options>
VARLSTM_DEVICE C gradient_of_h(const LayerBackward<T, C>& layer, const DirectionBackward<T, C>& dir,
                               const Options& options, const UnitPlace& at, C incoming) {
  const int64_t hidden = layer.hidden;
  if constexpr (Options::kAct && !kProjected) {
    const DirectionOptions<C> of_direction(options, blockIdx.z);
    if (of_direction.drops_state()) {
      const int64_t b = sequence_of(layer.plan, layer.row_order, at.row, at.rank);
      incoming = times_factor(incoming, of_direction.state_factor(b, hidden, at.unit));
    }
  }
  C gradient = incoming;
  if constexpr (!kProjected)
    gradient = load_or_zero(dir.dy, at.row * layer.ldy + at.unit) +
               (at.ends ? of_sequence(dir.dh_n, at.final, hidden, at.unit) : incoming);
  const bool passes_h = CellType::kPassesH || (Options::kAct && !kProjected && dir.dh != nullptr);
  if (passes_h) gradient += at.ends ? C(0) : dir.dh[at.rank * hidden + at.unit];
  return gradient;
}

}  // namespace varlstm::cuda
