// Forward of one layer in one direction: the sums of a step += h(before) W_hh^T, then the cell. With a projection the
// cell's output is stored beside h, and then h = output W_hr^T.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/cells/cells.h"
#include "host/rnn/recurrence_steps.h"
#include "host/simd/rounding.h"
#include "host/simd/row_kernel.h"

namespace varlstm::host {

template <class T>
struct RecurrenceForward {
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
  const T* b_hh;        // [GH] or null
  T* panels;            // G Hp R elements
  T* values;            // [N, S, Hp]; input: W_ih x + b; output: what backward needs
  const T* h_init;      // [B, Rp] longest first, or null for zeros
  const T* c_init;      // [B, Hp]; c_init and c are null if the cell has no c
  T* c;                 // [N, Hp] if c_by_token, else [B, Hp]
  bool c_by_token;      // and so is `unprojected`
  T* y;                 // [N, ldy]; R columns are written
  int64_t ldy;
  const T* w_hr;      // [P, H], or null: no projection, and the rest is not used
  T* w_hr_panels;     // Rp H elements
  T* unprojected;     // [N, Hp] if c_by_token, else [B, Hp]
  T* projected;       // [B, Rp]
  Rounding<T> round;  // rounds h before it is stored; or null
};

// The state's sums that have a slot of their own begin as their b_hh. `values` are those of the panel's first unit.
template <class T>
void begin_state_sums(const RecurrenceForward<T>& p, const UnitPanel& panel, int64_t rows, T* values, int64_t ld) {
  const CellTraits& traits = kCellTraits[p.cell];
  const int64_t left = p.hidden - panel.unit, valid = left < panel.units ? left : panel.units;
  for (int64_t gate = traits.joint_gates; gate < traits.gates; ++gate) {
    T* const sums = values + traits.state_slot.of[gate] * p.units;
    const T* const bias = p.b_hh == nullptr ? nullptr : p.b_hh + gate * p.hidden + panel.unit;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t u = 0; u < panel.units; ++u) sums[row * ld + u] = bias != nullptr && u < valid ? bias[u] : T(0);
  }
}

// Computes step t of the sequences of `set` for the units of a panel. `before` is the previous step of these sequences,
// or -1 if they start here.
template <class T>
void forward_step(const RecurrenceForward<T>& p, const UnitPanel& panel, const RowSet& set, int64_t t, int64_t before) {
  const RowKernel<T>& kernel = row_kernel<T>();
  const CellTraits& traits = kCellTraits[p.cell];
  const int64_t row = row_of(*p.plan, p.row_order, t, set.first);
  const bool carried = before >= 0;
  const int64_t row_before = carried ? row_of(*p.plan, p.row_order, before, set.first) : -1;
  const int64_t row_size = traits.slots * p.units;
  T* const values = p.values + row * row_size + panel.unit;
  PanelProduct<T> product{};
  product.rows = set.count;
  product.k = p.state;
  product.a = carried ? p.y + row_before * p.ldy : p.h_init + set.first * p.state_units;
  product.lda = (carried ? p.ldy : p.state_units) * set.stride;
  product.panel = p.panels + panel.unit * traits.gates * p.state;
  product.vectors = panel.columns.vectors;
  product.c = values + traits.state_slot.of[0] * p.units;
  product.ldc = row_size * set.stride;
  product.vector_stride = traits.gates > 1 ? p.units : kernel.lanes;
  if (traits.joint_gates < traits.gates) begin_state_sums(p, panel, set.count, values, product.ldc);
  if (carried || p.h_init != nullptr) kernel.product(product);

  CellForward<T> cell{};
  cell.rows = set.count;
  cell.units = panel.units;
  cell.valid_units = p.hidden - panel.unit;
  cell.values = values;
  cell.values_ld = product.ldc;
  cell.slot_stride = p.units;
  if (traits.reads_h && (carried || p.h_init != nullptr)) {
    cell.h_prev = product.a + panel.unit;
    cell.h_prev_ld = product.lda;
  }
  if (traits.has_c) {
    cell.c = p.c + (p.c_by_token ? row : set.first) * p.units + panel.unit;
    cell.c_prev = panel.unit +
                  (!carried ? p.c_init + set.first * p.units : p.c + (p.c_by_token ? row_before : set.first) * p.units);
    cell.c_ld = cell.c_prev_ld = p.units * set.stride;
  }
  const bool projects = p.w_hr != nullptr;
  const int64_t h_ld = projects ? p.units : p.ldy;
  cell.h = (projects ? p.unprojected : p.y) + (projects && !p.c_by_token ? set.first : row) * h_ld + panel.unit;
  cell.h_ld = h_ld * set.stride;
  kernel.cells[p.cell].forward(cell);
  if (p.round != nullptr)
    p.round(set.count, cell.units < cell.valid_units ? cell.units : cell.valid_units, cell.h, cell.h_ld);
}

// h of step t for the columns of a panel <- the unprojected output times W_hr^T. Whole vectors are computed beside y,
// whose rows have no padding.
template <class T>
void forward_projection(const RecurrenceForward<T>& p, const UnitPanel& panel, const RowSet& set, int64_t t) {
  static constexpr T kZeros[kPanelVectors * kUnitTile] = {};
  const RowKernel<T>& kernel = row_kernel<T>();
  const int64_t row = row_of(*p.plan, p.row_order, t, set.first);
  PanelProduct<T> product{};
  product.rows = set.count;
  product.k = p.hidden;
  product.a = p.unprojected + (p.c_by_token ? row : set.first) * p.units;
  product.lda = p.units * set.stride;
  product.panel = p.w_hr_panels + panel.unit * p.hidden;
  product.vectors = panel.columns.vectors;
  product.init = kZeros;
  product.c = p.projected + set.first * p.state_units + panel.unit;
  product.ldc = p.state_units * set.stride;
  product.vector_stride = kernel.lanes;
  kernel.product(product);
  const int64_t left = p.state - panel.unit, columns = left < panel.units ? left : panel.units;
  T* const y = p.y + row * p.ldy + panel.unit;
  const int64_t ldy = p.ldy * set.stride;
  for (int64_t r = 0; r < set.count; ++r)
    for (int64_t u = 0; u < columns; ++u) y[r * ldy + u] = product.c[r * product.ldc + u];
  if (p.round != nullptr) p.round(set.count, columns, y, ldy);
}

template <class T>
void recurrence_forward(const RecurrenceForward<T>& p, const Member& member) {
  const BatchPlan& plan = *p.plan;
  const int64_t gates = kCellTraits[p.cell].gates;
  const UnitPanels panels{p.hidden, gates, row_kernel<T>().lanes, p.by_sequence, member};
  panels.for_packed([&](const UnitPanel& panel) {
    pack_panel(panel.columns, p.w_hh, p.state, true, 0, p.state, p.panels + panel.unit * gates * p.state);
  });
  const UnitPanels projection{p.state, 1, row_kernel<T>().lanes, p.by_sequence, member};
  if (p.w_hr != nullptr) {
    projection.for_packed([&](const UnitPanel& panel) {
      pack_panel(panel.columns, p.w_hr, p.hidden, true, 0, p.hidden, p.w_hr_panels + panel.unit * p.hidden);
    });
  }
  member.sync();

  for (int64_t step = 0; step < plan.steps; ++step) {
    const int64_t t = p.reverse ? plan.steps - 1 - step : step;
    const StepNeighbour before = step_before(plan, p.reverse, t);
    const RowSet carried = rows_of(0, before.rows, p.by_sequence, member);
    const RowSet started = rows_of(before.rows, plan.batch_sizes[t], p.by_sequence, member);
    panels.for_used([&](const UnitPanel& panel) {
      for_spaced(p.row_order, carried, [&](const RowSet& set) { forward_step(p, panel, set, t, before.step); });
      for_spaced(p.row_order, started, [&](const RowSet& set) { forward_step(p, panel, set, t, -1); });
    });
    if (!p.by_sequence) member.sync();
    if (p.w_hr == nullptr) continue;
    const RowSet all = rows_of(0, plan.batch_sizes[t], p.by_sequence, member);
    projection.for_used([&](const UnitPanel& panel) {
      for_spaced(p.row_order, all, [&](const RowSet& set) { forward_projection(p, panel, set, t); });
    });
    if (!p.by_sequence) member.sync();
  }
}

}  // namespace varlstm::host
