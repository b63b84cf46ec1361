// Backward of one layer in one direction: dh of a step = its gradients of the step after times W_hh + dy, then the
// cell. With a projection that dh is stored for each token, and the cell gets dh W_hr.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/cells/cells.h"
#include "host/rnn/recurrence_steps.h"
#include "host/simd/rounding.h"
#include "host/simd/row_kernel.h"

namespace varlstm::host {

template <class T>
struct RecurrenceBackward {
  const BatchPlan* plan;
  Cell cell;
  RowOrder row_order;
  bool reverse;
  bool by_sequence;
  int64_t hidden;       // H
  int64_t units;        // Hp
  int64_t state;        // R, the width of h
  int64_t state_units;  // Rp
  const T* w_hh;        // [GH, R]
  T* panels;            // G H Rp elements
  const T* values;      // [N, S, Hp] from forward
  const T* h_prev;      // [N, R] hidden state before each token's step; null if the cell does not read it
  const T* c;           // [N, Hp]; c, c_init and dc are null if the cell has no c
  const T* c_init;      // [B, Hp] longest first
  const T* dy;          // [N, ldy], of which R columns are read; or null
  int64_t ldy;
  T* gradients;  // [N, S, Hp]
  T* dh;         // [B, Rp]; input: gradient of h_n; output: gradient of h0, if wanted
  T* dc;         // [B, Hp]; input: gradient of c_n; output: gradient of c0
  bool want_dh0;
  const T* w_hr;      // [P, H], or null: no projection, and the rest is not used
  T* w_hr_panels;     // P Hp elements
  T* dh_of_token;     // [N, P]
  T* dunprojected;    // [B, Hp]
  Rounding<T> round;  // rounds the gradients before they are stored; or null
};

// dh of the sequences of `set` and the columns of the panel <- the state's gradients of step t times W_hh, added to
// what the cell has passed.
template <class T>
void backward_product(const RecurrenceBackward<T>& p, const UnitPanel& panel, const RowSet& set, int64_t t) {
  static constexpr T kZeros[kPanelVectors * kUnitTile] = {};
  const RowKernel<T>& kernel = row_kernel<T>();
  const CellTraits& traits = kCellTraits[p.cell];
  const int64_t row = row_of(*p.plan, p.row_order, t, set.first);
  const int64_t row_size = traits.slots * p.units;
  PanelProduct<T> product{};
  product.rows = set.count;
  product.k = p.hidden;
  product.lda = row_size * set.stride;
  product.vectors = panel.columns.vectors;
  product.c = p.dh + set.first * p.state_units + panel.unit;
  product.ldc = p.state_units * set.stride;
  product.vector_stride = kernel.lanes;
  for (int64_t gate = 0; gate < traits.gates; ++gate) {
    product.a = p.gradients + row * row_size + traits.state_slot.of[gate] * p.units;
    product.panel = p.panels + panel.unit * traits.gates * p.hidden + gate * p.hidden * panel.units;
    product.init = gate == 0 && !traits.passes_dh ? kZeros : nullptr;
    kernel.product(product);
  }
}

// dh_of_token of step t, for the columns of the panel <- dh + dy.
template <class T>
void store_dh(const RecurrenceBackward<T>& p, const UnitPanel& panel, const RowSet& set, int64_t t) {
  const int64_t row = row_of(*p.plan, p.row_order, t, set.first);
  const int64_t left = p.state - panel.unit, columns = left < panel.units ? left : panel.units;
  T* const stored = p.dh_of_token + row * p.state + panel.unit;
  for (int64_t r = 0; r < set.count; ++r) {
    const T* const dh = p.dh + (set.first + r * set.stride) * p.state_units + panel.unit;
    const T* const dy = p.dy == nullptr ? nullptr : p.dy + (row + r * set.stride) * p.ldy + panel.unit;
    for (int64_t u = 0; u < columns; ++u) stored[r * set.stride * p.state + u] = dy == nullptr ? dh[u] : dh[u] + dy[u];
  }
  if (p.round != nullptr) p.round(set.count, columns, stored, p.state * set.stride);
}

// The gradient of the unprojected output of step t, for the units of the panel <- dh_of_token W_hr.
template <class T>
void backward_projection(const RecurrenceBackward<T>& p, const UnitPanel& panel, const RowSet& set, int64_t t) {
  static constexpr T kZeros[kPanelVectors * kUnitTile] = {};
  const RowKernel<T>& kernel = row_kernel<T>();
  PanelProduct<T> product{};
  product.rows = set.count;
  product.k = p.state;
  product.a = p.dh_of_token + row_of(*p.plan, p.row_order, t, set.first) * p.state;
  product.lda = p.state * set.stride;
  product.panel = p.w_hr_panels + panel.unit * p.state;
  product.vectors = panel.columns.vectors;
  product.init = kZeros;
  product.c = p.dunprojected + set.first * p.units + panel.unit;
  product.ldc = p.units * set.stride;
  product.vector_stride = kernel.lanes;
  kernel.product(product);
}

// `before` is the previous step of the sequences of `set`, or -1 if they start here.
template <class T>
void backward_cell(const RecurrenceBackward<T>& p, const UnitPanel& panel, const RowSet& set, int64_t t,
                   int64_t before) {
  const CellTraits& traits = kCellTraits[p.cell];
  const int64_t row = row_of(*p.plan, p.row_order, t, set.first);
  const int64_t row_size = traits.slots * p.units;
  CellBackward<T> cell{};
  cell.rows = set.count;
  cell.units = panel.units;
  cell.valid_units = p.hidden - panel.unit;
  cell.values = p.values + row * row_size + panel.unit;
  cell.values_ld = cell.gradients_ld = row_size * set.stride;
  cell.slot_stride = p.units;
  if (traits.reads_h) {
    cell.h_prev = p.h_prev + row * p.hidden + panel.unit;
    cell.h_prev_ld = p.hidden * set.stride;
  }
  if (traits.has_c) {
    cell.c = p.c + row * p.units + panel.unit;
    cell.c_prev = panel.unit + (before < 0 ? p.c_init + set.first * p.units
                                           : p.c + row_of(*p.plan, p.row_order, before, set.first) * p.units);
    cell.dc = p.dc + set.first * p.units + panel.unit;
    cell.c_ld = cell.c_prev_ld = cell.dc_ld = p.units * set.stride;
  }
  cell.dh = (p.w_hr != nullptr ? p.dunprojected : p.dh) + set.first * p.units + panel.unit;
  cell.dh_ld = p.units * set.stride;
  cell.dy = p.dy == nullptr || p.w_hr != nullptr ? nullptr : p.dy + row * p.ldy + panel.unit;
  cell.dy_ld = p.ldy * set.stride;
  cell.gradients = p.gradients + row * row_size + panel.unit;
  row_kernel<T>().cells[p.cell].backward(cell);
  for (int64_t slot = 0; slot < traits.slots && p.round != nullptr; ++slot)
    p.round(set.count, cell.units, cell.gradients + slot * p.units, cell.gradients_ld);
}

template <class T>
void recurrence_backward(const RecurrenceBackward<T>& p, const Member& member) {
  const BatchPlan& plan = *p.plan;
  const int64_t rows = kCellTraits[p.cell].gates * p.hidden;
  // The columns of the two products: those of W_hh, and with a projection those of W_hr.
  const UnitPanels panels{p.state, 1, row_kernel<T>().lanes, p.by_sequence, member};
  const UnitPanels projection{p.hidden, 1, row_kernel<T>().lanes, p.by_sequence, member};
  panels.for_packed([&](const UnitPanel& panel) {
    pack_panel(panel.columns, p.w_hh, p.state, false, 0, rows, p.panels + panel.unit * rows);
  });
  if (p.w_hr != nullptr) {
    projection.for_packed([&](const UnitPanel& panel) {
      pack_panel(panel.columns, p.w_hr, p.hidden, false, 0, p.state, p.w_hr_panels + panel.unit * p.state);
    });
  }
  member.sync();

  for (int64_t step = 0; step < plan.steps; ++step) {
    const int64_t t = p.reverse ? step : plan.steps - 1 - step;
    const StepNeighbour before = step_before(plan, p.reverse, t), after = step_after(plan, p.reverse, t);
    const RowSet shared = rows_of(0, after.rows, p.by_sequence, member);
    const RowSet carried = rows_of(0, before.rows, p.by_sequence, member);
    const RowSet started = rows_of(before.rows, plan.batch_sizes[t], p.by_sequence, member);
    const RowSet all = rows_of(0, plan.batch_sizes[t], p.by_sequence, member);
    const auto cells = [&](const UnitPanel& panel) {
      for_spaced(p.row_order, carried, [&](const RowSet& set) { backward_cell(p, panel, set, t, before.step); });
      for_spaced(p.row_order, started, [&](const RowSet& set) { backward_cell(p, panel, set, t, -1); });
    };
    panels.for_used([&](const UnitPanel& panel) {
      for_spaced(p.row_order, shared, [&](const RowSet& set) { backward_product(p, panel, set, after.step); });
      if (p.w_hr != nullptr)
        for_spaced(p.row_order, all, [&](const RowSet& set) { store_dh(p, panel, set, t); });
      else
        cells(panel);
    });
    if (!p.by_sequence) member.sync();
    if (p.w_hr == nullptr) continue;
    projection.for_used([&](const UnitPanel& panel) {
      for_spaced(p.row_order, all, [&](const RowSet& set) { backward_projection(p, panel, set, t); });
      cells(panel);
    });
    if (!p.by_sequence) member.sync();
  }

  if (!p.want_dh0) return;
  for (int64_t t = 0; t < plan.steps; ++t) {
    const RowSet started = rows_of(step_before(plan, p.reverse, t).rows, plan.batch_sizes[t], p.by_sequence, member);
    panels.for_used([&](const UnitPanel& panel) {
      for_spaced(p.row_order, started, [&](const RowSet& set) { backward_product(p, panel, set, t); });
    });
  }
}

}  // namespace varlstm::host
