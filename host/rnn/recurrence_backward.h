// Backward of one layer in one direction: dh of a step = its gradients of the step after times W_hh + dy, then the
// cell. A cell with two products has its second one after that: the gradient of its operand = the gradients of the
// last gates times their rows of W_hh. With a projection dh is stored for each token, and the cell gets dh W_hr. With
// layer normalisation the gradients of the step after are those of U h, which are made of the sums' own when the whole
// row of a step is there.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/cells/cells.h"
#include "host/rnn/layer_norm.h"
#include "host/rnn/recurrence_options.h"
#include "host/rnn/recurrence_steps.h"
#include "host/simd/row_kernel.h"

namespace varlstm::host {

template <class T>
struct RecurrenceBackward {
  SegmentSteps segments;
  Cell cell;
  bool by_segment;
  int64_t hidden;          // H
  int64_t units;           // Hp
  int64_t state;           // R, the width of h
  int64_t state_units;     // Rp
  const T* w_hh;           // [GH, R]
  T* packed_w_hh;          // G H Rp elements: room for the panels of W_hh,
  const T* prepared_w_hh;  // and panels that are there already; or null
  const T* panels;         // those that are read; set by the recurrence, as w_hr_panels
  const T* values;         // [N, S, Hp] from forward
  const T* h_prev;         // [N, R] hidden state before each token's step; null if the cell does not read it
  const T* c;              // [N, Hp]; c, c_init and dc are null if the cell has no c
  const T* c_init;         // [B, Hp], and a row of zeros before it
  const T* dy;             // [N, ldy], of which R columns are read; or null
  int64_t ldy;
  T* gradients;          // [N, S, Hp]
  T* dh;                 // [., Rp] by rank; input: gradient of the final h; output: of the initial h, if wanted
  T* dc;                 // [., Hp] likewise of c, which is always wanted
  const T* dc_of_token;  // [N, ldc], of which H columns are read: added to dc after each token; or null
  int64_t ldc;
  bool want_dh0;
  const T* w_hr;           // [P, H], or null: no projection, and the rest is not used
  T* packed_w_hr;          // P Hp elements
  const T* prepared_w_hr;  // or null
  const T* w_hr_panels;
  T* dh_of_token;                       // [N, P]
  T* dunprojected;                      // [., Hp] by rank
  Rounding<T> round;                    // rounds the gradients before they are stored; or null
  const RecurrenceOptions<T>* options;  // or null: none, and the rest is not used
  T* dmasked;                           // [., Rp] by rank: the gradient of h under the mask of the state
  const T* unclipped;                   // [N, P] from forward, if the projection is clipped
  const LayerNorm<T>* norm;             // or null: no layer normalisation
};

template <class T>
bool passes_dh(const RecurrenceBackward<T>& p) {
  return kCellTraits[p.cell].passes_dh || (p.options != nullptr && p.options->passes_dh);
}

// dh of the segments of `set` and the columns of the panel <- what has been passed to it, if anything is, + dmasked
// under the mask of the state at step t.
template <class T>
void unmask_states(const RecurrenceBackward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t) {
  const int64_t first = panel.unit, left = p.state - first, columns = left < panel.units ? left : panel.units;
  const RowIndex now = rows_at(p.segments, set, t);
  const bool adds = passes_dh(p);
  for (int64_t r = 0; r < set.count; ++r) {
    const int64_t at = row_at(set.ranks(), r) * p.state_units + first;
    T* const dh = p.dh + at;
    T* const dmasked = p.dmasked + at;
    p.options->mask_state(p.options->sequences[row_at(now, r)], p.state, first, columns, dmasked, dmasked);
    for (int64_t u = 0; u < columns; ++u) dh[u] = adds ? dh[u] + dmasked[u] : dmasked[u];
  }
}

// dh of the segments of `set` and the columns of the panel <- the state's gradients of step t times W_hh, added to what
// has been passed to it.
template <class T>
void backward_product(const RecurrenceBackward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t) {
  if (set.count == 0) return;
  static constexpr T kZeros[kPanelVectors * kUnitTile] = {};
  const RowKernel<T>& kernel = row_kernel<T>();
  const CellTraits& traits = kCellTraits[p.cell];
  PanelProduct<T> product{};
  product.rows = set.count;
  product.k = p.hidden;
  product.lda = (p.norm != nullptr ? traits.gates : traits.slots) * p.units;
  product.a_rows = rows_at(p.segments, set, t);
  product.vectors = panel.columns.vectors;
  const bool masks = p.options != nullptr && p.options->state != nullptr;
  product.c = (masks ? p.dmasked : p.dh) + panel.unit;
  product.ldc = p.state_units;
  product.c_rows = set.ranks();
  product.vector_stride = kernel.lanes;
  // With two products dmasked has the operand's part already.
  const bool adds = masks ? traits.second_gates > 0 : passes_dh(p);
  for (int64_t gate = 0; gate < first_gates(traits); ++gate) {
    product.a =
        p.norm != nullptr ? p.norm->dstate + gate * p.units : p.gradients + traits.state_slot.of[gate] * p.units;
    product.panel = p.panels + (panel.unit * traits.gates + gate * panel.units / panel.panels) * p.hidden;
    product.init = gate == 0 && !adds ? kZeros : nullptr;
    multiply(panel, traits.gates * p.hidden, product);
  }
  if (masks) unmask_states(p, panel, set, t);
}

// What reaches the projected output of one element of the gradient of h. *dh <- what goes straight to h before.
template <class T>
T back_through_options(const RecurrenceBackward<T>& p, int64_t row, int64_t column, T gradient, T* dh) {
  const RecurrenceOptions<T>& options = *p.options;
  if (options.projected.p > 0) {
    const int64_t k = row * options.projected.mask_ld + column;
    *dh = kept(options.projected, k, gradient, T(0));
    gradient = kept(options.projected, k, T(0), gradient);
  }
  const bool zero =
      options.clips_projection && is_clipped(p.unclipped[row * p.state + column], options.projection_clip);
  return zero ? T(0) : gradient;
}

// dh_of_token of step t, for the columns of the panel <- dh + dy.
template <class T>
void store_dh(const RecurrenceBackward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t) {
  const RowIndex now = rows_at(p.segments, set, t);
  const int64_t left = p.state - panel.unit, columns = left < panel.units ? left : panel.units;
  T* const stored = p.dh_of_token + panel.unit;
  for (int64_t r = 0; r < set.count; ++r) {
    const int64_t row = row_at(now, r);
    T* const dh = p.dh + row_at(set.ranks(), r) * p.state_units + panel.unit;
    const T* const dy = p.dy == nullptr ? nullptr : p.dy + row * p.ldy + panel.unit;
    for (int64_t u = 0; u < columns; ++u) stored[row * p.state + u] = dy == nullptr ? dh[u] : dh[u] + dy[u];
    for (int64_t u = 0; u < columns && p.options != nullptr; ++u) {
      T& gradient = stored[row * p.state + u];
      gradient = back_through_options(p, row, panel.unit + u, gradient, dh + u);
    }
  }
  if (p.round != nullptr) round_rows(p.round, columns, stored, p.state, now, set.count);
}

// The gradient of the unprojected output of step t, for the units of the panel <- dh_of_token W_hr.
template <class T>
void backward_projection(const RecurrenceBackward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t) {
  if (set.count == 0) return;
  static constexpr T kZeros[kPanelVectors * kUnitTile] = {};
  PanelProduct<T> product{};
  product.rows = set.count;
  product.k = p.state;
  product.a = p.dh_of_token;
  product.lda = p.state;
  product.a_rows = rows_at(p.segments, set, t);
  product.panel = p.w_hr_panels + panel.unit * p.state;
  product.vectors = panel.columns.vectors;
  product.init = kZeros;
  product.c = p.dunprojected + panel.unit;
  product.ldc = p.units;
  product.c_rows = set.ranks();
  product.vector_stride = row_kernel<T>().lanes;
  multiply(panel, p.state, product);
}

// dc of the segments of `set` and the units of the panel += the gradient of c of token t.
template <class T>
void add_cell_gradients(const RecurrenceBackward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t) {
  const int64_t left = p.hidden - panel.unit, columns = left < panel.units ? left : panel.units;
  const RowIndex now = rows_at(p.segments, set, t);
  for (int64_t r = 0; r < set.count; ++r) {
    const T* const of_token = p.dc_of_token + row_at(now, r) * p.ldc + panel.unit;
    T* const dc = p.dc + row_at(set.ranks(), r) * p.units + panel.unit;
    for (int64_t u = 0; u < columns; ++u) dc[u] += of_token[u];
  }
}

// What the cell reads and writes in step t. `before` is the previous step of the segments of `set`, or -1 if they start
// here.
template <class T>
CellBackward<T> cell_of_step(const RecurrenceBackward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t,
                             int64_t before) {
  const CellTraits& traits = kCellTraits[p.cell];
  CellBackward<T> cell{};
  cell.rows = set.count;
  cell.units = panel.units;
  cell.valid_units = p.hidden - panel.unit;
  cell.now = rows_at(p.segments, set, t);
  cell.segments = set.ranks();
  cell.values = p.values + panel.unit;
  cell.values_ld = cell.gradients_ld = traits.slots * p.units;
  cell.slot_stride = p.units;
  if (traits.reads_h) {
    cell.h_prev = p.h_prev + panel.unit;
    cell.h_prev_ld = p.hidden;
  }
  if (traits.has_c) {
    cell.c = p.c + panel.unit;
    cell.c_prev = (before < 0 ? p.c_init : p.c) + panel.unit;
    cell.c_before = before < 0 ? set.in(p.segments.initial) : rows_at(p.segments, set, before);
    cell.dc = p.dc + panel.unit;
    cell.c_ld = cell.c_prev_ld = cell.dc_ld = p.units;
  }
  cell.dh = (p.w_hr != nullptr ? p.dunprojected : p.dh) + panel.unit;
  cell.dh_ld = p.units;
  cell.dy = p.dy == nullptr || p.w_hr != nullptr ? nullptr : p.dy + panel.unit;
  cell.dy_ld = p.ldy;
  cell.gradients = p.gradients + panel.unit;
  cell.unit = panel.unit;
  if (p.options != nullptr && p.options->in_formulas) cell.options = &p.options->units;
  return cell;
}

template <class T>
void backward_cell(const RecurrenceBackward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t,
                   int64_t before) {
  if (set.count == 0) return;
  if (p.dc_of_token != nullptr) add_cell_gradients(p, panel, set, t);
  const CellTraits& traits = kCellTraits[p.cell];
  const CellBackward<T> cell = cell_of_step(p, panel, set, t, before);
  if (cell.options != nullptr)
    row_kernel<T>().cells[p.cell].backward_with_options(cell);
  else
    row_kernel<T>().cells[p.cell].backward(cell);
  // Those of the gates of the first product are not complete before the second one is done.
  const int64_t first = traits.second_gates > 0 ? traits.state_slot.of[first_gates(traits)] : 0;
  const int64_t last = traits.second_gates > 0 ? first + traits.second_gates : traits.slots;
  for (int64_t slot = first; slot < last && p.round != nullptr; ++slot)
    round_rows(p.round, cell.units, cell.gradients + slot * p.units, cell.gradients_ld, cell.now, set.count);
}

// The second product of step t, for the units of a panel, whose result is in the operand's slot of the gradients, and
// what it gives to the gates of the first product and to h before.
template <class T>
void backward_second(const RecurrenceBackward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t) {
  if (set.count == 0) return;
  static constexpr T kZeros[kPanelVectors * kUnitTile] = {};
  const CellTraits& traits = kCellTraits[p.cell];
  const int64_t gate = first_gates(traits);
  PanelProduct<T> product{};
  product.rows = set.count;
  product.k = p.hidden;
  product.a = p.gradients + traits.state_slot.of[gate] * p.units;
  product.lda = product.ldc = traits.slots * p.units;
  product.a_rows = product.c_rows = rows_at(p.segments, set, t);
  product.panel = p.panels + (panel.unit * traits.gates + gate * panel.units / panel.panels) * p.hidden;
  product.vectors = panel.columns.vectors;
  product.init = kZeros;
  product.c = p.gradients + traits.operand_slot * p.units + panel.unit;
  product.vector_stride = row_kernel<T>().lanes;
  multiply(panel, traits.gates * p.hidden, product);

  const bool masks = p.options != nullptr && p.options->state != nullptr;
  CellBackward<T> cell{};
  cell.rows = set.count;
  cell.units = panel.units;
  cell.now = product.a_rows;
  cell.segments = set.ranks();
  cell.values = p.values + panel.unit;
  cell.gradients = p.gradients + panel.unit;
  cell.values_ld = cell.gradients_ld = product.lda;
  cell.slot_stride = p.units;
  cell.dh = (masks ? p.dmasked : p.dh) + panel.unit;
  cell.dh_ld = p.state_units;
  cell.adds_operand = !masks;
  row_kernel<T>().cells[p.cell].operand_backward(cell);
  for (int64_t k = 0; k < gate && p.round != nullptr; ++k)
    round_rows(p.round, cell.units, cell.gradients + traits.state_slot.of[k] * p.units, cell.gradients_ld, cell.now,
               set.count);
}

// The cell with layer normalisation, for all units, and then the gradient of U h.
template <class T>
void normalised_cell(const RecurrenceBackward<T>& p, const UnitPanels& units, const RankSet& set, int64_t t,
                     int64_t before) {
  if (set.count == 0) return;
  static constexpr UnitOptions<T> kNoOptions;
  const CellKernel<T>& formulas = row_kernel<T>().cells[p.cell];
  const LayerNorm<T>& norm = *p.norm;
  if (p.dc_of_token != nullptr) add_cell_gradients(p, units.whole_row(), set, t);
  CellBackward<T> cell = cell_of_step(p, units.whole_row(), set, t, before);
  if (kCellTraits[p.cell].has_c) {
    if (cell.options == nullptr) cell.options = &kNoOptions;
    cell.c_hat = norm.c_hat;
    cell.c_hat_ld = p.units;
    cell.norm_c = norm.params.norm_c;
    cell.norm_c_bias = norm.params.norm_c_bias;
    cell.dnormalised = norm.dnormalised;
    cell.dc_of_output = norm.dc_of_output;
    formulas.backward_to_norm(cell);
    back_through_c(norm, cell.now, cell.segments, set.count);
    formulas.backward_from_norm(cell);
  } else if (cell.options != nullptr) {
    formulas.backward_with_options(cell);
  } else {
    formulas.backward(cell);
  }
  back_through_state(norm, p.gradients, cell.now, set.count, p.round);
}

// The panels of one member's two products: of W_hh, whose columns are features of h, and with a projection of W_hr,
// whose columns are units.
template <class T>
struct BackwardPanels {
  UnitPanels state, projection;

  BackwardPanels(const RecurrenceBackward<T>& p, const Member& member)
      : state{p.state, 1, row_kernel<T>().lanes, p.by_segment, member},
        projection{p.hidden, 1, row_kernel<T>().lanes, p.by_segment, member} {}
};

// What the team of `member` has to pack. W_hh is not read in a recurrence of one step that gives no dh0, unless the
// cell has a second product.
template <class T>
Packing packing_of(const RecurrenceBackward<T>& p, const Member& member) {
  const BackwardPanels<T> panels(p, member);
  const bool reads_w_hh = p.segments.steps > 1 || p.want_dh0 || kCellTraits[p.cell].second_gates > 0;
  return {reads_w_hh && !(p.prepared_w_hh != nullptr && panels.state.are_of_whole_matrix()),
          p.w_hr != nullptr && !(p.prepared_w_hr != nullptr && panels.projection.are_of_whole_matrix())};
}

// Packs this member's part of the weights, before the steps of any member.
template <class T>
void pack_backward(const RecurrenceBackward<T>& p, const Member& member, const Packing& packing) {
  const int64_t rows = kCellTraits[p.cell].gates * p.hidden;
  const BackwardPanels<T> panels(p, member);
  if (packing.w_hh) {
    panels.state.for_packed([&](const UnitPanel& panel) {
      pack_panel(panel.columns, p.w_hh, p.state, false, 0, rows, p.packed_w_hh + panel.unit * rows);
    });
  }
  if (packing.w_hr && p.w_hr != nullptr) {
    panels.projection.for_packed([&](const UnitPanel& panel) {
      pack_panel(panel.columns, p.w_hr, p.hidden, false, 0, p.state, p.packed_w_hr + panel.unit * p.state);
    });
  }
}

template <class T>
void recurrence_backward(RecurrenceBackward<T> p, const Packing& packing, Member member) {
  p.panels = packing.w_hh ? p.packed_w_hh : p.prepared_w_hh;
  p.w_hr_panels = packing.w_hr ? p.packed_w_hr : p.prepared_w_hr;
  const SegmentSteps& segments = p.segments;
  const BackwardPanels<T> panels(p, member);

  for_blocks(segments, p.by_segment, member, [&](const RankBlock& block) {
    for (int64_t step = 0; step < block.steps; ++step) {
      const int64_t t = segments.reverse ? step : block.steps - 1 - step;
      const StepNeighbour before = step_before(segments, t), after = step_after(segments, t);
      const int64_t first_started = block.clipped(before.rows);
      const RankSet shared = ranks_of(block.begin, block.clipped(after.rows), p.by_segment, member);
      const RankSet carried = ranks_of(block.begin, first_started, p.by_segment, member);
      const RankSet started = ranks_of(first_started, block.clipped(segments.sizes[t]), p.by_segment, member);
      const RankSet all = ranks_of(block.begin, block.clipped(segments.sizes[t]), p.by_segment, member);
      const auto cells = [&](const UnitPanel& panel) {
        backward_cell(p, panel, carried, t, before.step);
        backward_cell(p, panel, started, t, -1);
      };
      panels.state.for_used(all.count, t, [&](const UnitPanel& panel) {
        backward_product(p, panel, shared, after.step);
        if (p.w_hr != nullptr)
          store_dh(p, panel, all, t);
        else if (p.norm == nullptr)
          cells(panel);
      });
      if (!p.by_segment) member.sync();
      if (kCellTraits[p.cell].second_gates > 0) {
        panels.state.for_used(all.count, t, [&](const UnitPanel& panel) { backward_second(p, panel, all, t); });
        if (!p.by_segment) member.sync();
      }
      if (p.w_hr != nullptr) {
        panels.projection.for_used(all.count, t, [&](const UnitPanel& panel) {
          backward_projection(p, panel, all, t);
          if (p.norm == nullptr) cells(panel);
        });
        if (!p.by_segment) member.sync();
      }
      if (p.norm == nullptr) continue;
      normalised_cell(p, panels.projection, carried, t, before.step);
      normalised_cell(p, panels.projection, started, t, -1);
    }
  });

  if (!p.want_dh0) return;
  for (int64_t t = 0; t < segments.steps; ++t) {
    const RankSet started = ranks_of(step_before(segments, t).rows, segments.sizes[t], p.by_segment, member);
    panels.state.for_used(started.count, t, [&](const UnitPanel& panel) { backward_product(p, panel, started, t); });
  }
}

}  // namespace varlstm::host
