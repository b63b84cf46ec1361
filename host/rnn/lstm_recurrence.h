// The recurrence of one LSTM layer in one direction, over the shrinking batch widths of a batch.
//
// forward   gates(t) += h(t-1) W_hh^T, then the cell: RowKernel::cell_forward.
// backward  dh(t) = dgates(t+1) W_hh + dy(t), then the cell: RowKernel::cell_backward.
//
// "t-1" is the previous step in this direction's own order: the forward direction runs t = 0 .. T-1, the backward
// direction t = T-1 .. 0. The rows of a step are sorted by length, longest first. So the sequences that are in both
// steps are the first rows of both: they are `carried`. The other sequences are `started`: they begin at this step from
// their initial state.
//
// In packed order the rows of a step are adjacent, and all sequences are multiplied together. In ragged order each row
// is in its own sequence's part of the tensor, so each sequence is multiplied in a product of its own: the same bits,
// but slower.
//
// A team of threads divides the work by sequences, so that each member runs alone and needs no barrier, or by hidden
// units, so that each member's part of W_hh stays in its cache and a barrier ends each step. Every element is computed
// by the same chain of operations in both cases.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "host/gemm/weight_panel.h"
#include "host/simd/rounding.h"
#include "host/simd/row_kernel.h"
#include "host/threads/team.h"

namespace varlstm::host {

// The row of token t of the j-th longest sequence, which is longer than t.
inline int64_t row_of(const BatchPlan& plan, RowOrder order, int64_t t, int64_t j) {
  return order == RowOrder::kPacked ? plan.step_offsets[t] + j : plan.cu_seqlens[plan.sorted_indices[j]] + t;
}

// The step before or after step t in a direction's own order.
struct StepNeighbour {
  int64_t rows;  // how many sequences have both steps
  int64_t step;  // the index of the step before or after, if rows > 0
};

inline StepNeighbour step_before(const BatchPlan& plan, bool reverse, int64_t t) {
  if (!reverse) return t > 0 ? StepNeighbour{plan.batch_sizes[t], t - 1} : StepNeighbour{0, 0};
  return t + 1 < plan.steps ? StepNeighbour{plan.batch_sizes[t + 1], t + 1} : StepNeighbour{0, 0};
}

inline StepNeighbour step_after(const BatchPlan& plan, bool reverse, int64_t t) {
  return step_before(plan, !reverse, t);
}

// The sequences of one member: first, first + stride, ..., `count` of them.
struct RowSet {
  int64_t first;
  int64_t stride;
  int64_t count;
};

inline RowSet rows_of(int64_t begin, int64_t end, bool by_sequence, const Member& member) {
  if (!by_sequence) return {begin, 1, end - begin};
  const int64_t first = begin + ((member.rank - begin) % member.size + member.size) % member.size;
  return {first, member.size, first < end ? (end - first + member.size - 1) / member.size : 0};
}

// Calls body(part) for parts that cover `set`. The rows of one step in a part are `part.stride` rows apart.
template <class Body>
void for_spaced(RowOrder order, const RowSet& set, const Body& body) {
  if (order == RowOrder::kPacked) {
    if (set.count > 0) body(set);
    return;
  }
  for (int64_t k = 0; k < set.count; ++k) body(RowSet{set.first + k * set.stride, 1, 1});
}

template <class T>
struct RecurrenceForward {
  const BatchPlan* plan;
  RowOrder row_order;
  bool reverse;
  bool by_sequence;
  int64_t hidden;   // H
  int64_t units;    // Hp
  const T* w_hh;    // [4H, H]
  T* panels;        // 4 Hp H elements
  T* gates;         // [N, 4, Hp]; input: W_ih x + b; output: activations
  const T* h_init;  // [B, Hp] longest first, or null for zeros
  const T* c_init;  // [B, Hp]
  T* c;             // [N, Hp] if c_by_token, else [B, Hp]
  bool c_by_token;
  T* y;  // [N, ldy]; H columns are written
  int64_t ldy;
  Rounding<T> round;  // rounds h before it is stored; or null
};

// Computes step t of the sequences of `set` for the units of a panel. `before` is the previous step of these sequences,
// or -1 if they start here.
template <class T>
void forward_step(const RecurrenceForward<T>& p, int64_t panel, const RowSet& set, int64_t t, int64_t before) {
  const RowKernel<T>& kernel = row_kernel<T>();
  const int64_t unit = panel * kernel.lanes;
  const int64_t row = row_of(*p.plan, p.row_order, t, set.first);
  const bool carried = before >= 0;
  const int64_t row_before = carried ? row_of(*p.plan, p.row_order, before, set.first) : -1;
  PanelProduct<T> product{};
  product.rows = set.count;
  product.k = p.hidden;
  product.a = carried ? p.y + row_before * p.ldy : p.h_init + set.first * p.units;
  product.lda = (carried ? p.ldy : p.units) * set.stride;
  product.panel = p.panels + panel * kPanelVectors * kernel.lanes * p.hidden;
  product.vectors = kPanelVectors;
  product.c = p.gates + row * 4 * p.units + unit;
  product.ldc = 4 * p.units * set.stride;
  product.vector_stride = p.units;
  if (carried || p.h_init != nullptr) kernel.product(product);

  CellForward<T> cell{};
  cell.rows = set.count;
  cell.units = kernel.lanes;
  cell.valid_units = p.hidden - unit;
  cell.gates = product.c;
  cell.gates_ld = product.ldc;
  cell.gate_stride = p.units;
  cell.c = p.c + (p.c_by_token ? row : set.first) * p.units + unit;
  cell.c_prev =
      !carried ? p.c_init + set.first * p.units + unit : p.c + (p.c_by_token ? row_before : set.first) * p.units + unit;
  cell.c_ld = cell.c_prev_ld = p.units * set.stride;
  cell.h = p.y + row * p.ldy + unit;
  cell.h_ld = p.ldy * set.stride;
  kernel.cell_forward(cell);
  if (p.round != nullptr)
    p.round(set.count, cell.units < cell.valid_units ? cell.units : cell.valid_units, cell.h, cell.h_ld);
}

template <class T>
void recurrence_forward(const RecurrenceForward<T>& p, const Member& member) {
  const RowKernel<T>& kernel = row_kernel<T>();
  const BatchPlan& plan = *p.plan;
  const int64_t panels = panel_count(p.hidden, true, kernel.lanes);
  const int64_t panel_size = kPanelVectors * kernel.lanes * p.hidden;
  const Share mine = share_of(panels, member);
  for (int64_t panel = mine.begin; panel < mine.end; ++panel)
    pack_panel(panel_columns(p.hidden, true, kernel.lanes, panel), p.w_hh, p.hidden, true, 0, p.hidden,
               p.panels + panel * panel_size);
  member.sync();
  const Share used = p.by_sequence ? Share{0, panels} : mine;

  for (int64_t step = 0; step < plan.steps; ++step) {
    const int64_t t = p.reverse ? plan.steps - 1 - step : step;
    const StepNeighbour before = step_before(plan, p.reverse, t);
    const RowSet carried = rows_of(0, before.rows, p.by_sequence, member);
    const RowSet started = rows_of(before.rows, plan.batch_sizes[t], p.by_sequence, member);
    for (int64_t panel = used.begin; panel < used.end; ++panel) {
      for_spaced(p.row_order, carried, [&](const RowSet& set) { forward_step(p, panel, set, t, before.step); });
      for_spaced(p.row_order, started, [&](const RowSet& set) { forward_step(p, panel, set, t, -1); });
    }
    if (!p.by_sequence) member.sync();
  }
}

template <class T>
struct RecurrenceBackward {
  const BatchPlan* plan;
  RowOrder row_order;
  bool reverse;
  bool by_sequence;
  int64_t hidden;   // H
  int64_t units;    // Hp
  const T* w_hh;    // [4H, H]
  T* panels;        // 4 Hp Hp elements
  const T* gates;   // [N, 4, Hp] activations
  const T* c;       // [N, Hp]
  const T* c_init;  // [B, Hp] longest first
  const T* dy;      // [N, ldy], of which H columns are read; or null
  int64_t ldy;
  T* dgates;  // [N, 4, Hp]
  T* dh;      // [B, Hp]; input: gradient of h_n; output: gradient of h0, if wanted
  T* dc;      // [B, Hp]; input: gradient of c_n; output: gradient of c0
  bool want_dh0;
  Rounding<T> round;  // rounds dgates before they are stored; or null
};

// A panel of up to kPanelVectors vectors of hidden units.
struct UnitPanel {
  int64_t unit;
  PanelColumns columns;
};
inline UnitPanel unit_panel(int64_t hidden, int64_t lanes, int64_t vector, int64_t vector_end) {
  UnitPanel p{vector * lanes, panel_columns(hidden, false, lanes, 0)};
  p.columns.first = p.unit;
  p.columns.vectors = static_cast<int>(vector_end - vector < kPanelVectors ? vector_end - vector : kPanelVectors);
  return p;
}

// dh of the sequences of `set` and the units of the panel <- dgates of step t [.., 4, Hp] times W_hh.
template <class T>
void backward_product(const RecurrenceBackward<T>& p, const UnitPanel& panel, const RowSet& set, int64_t t) {
  static constexpr T kZeros[kPanelVectors * kUnitTile] = {};
  const RowKernel<T>& kernel = row_kernel<T>();
  const int64_t step = panel.columns.vectors * kernel.lanes;
  const int64_t row = row_of(*p.plan, p.row_order, t, set.first);
  PanelProduct<T> product{};
  product.rows = set.count;
  product.k = p.hidden;
  product.lda = 4 * p.units * set.stride;
  product.vectors = panel.columns.vectors;
  product.c = p.dh + set.first * p.units + panel.unit;
  product.ldc = p.units * set.stride;
  product.vector_stride = kernel.lanes;
  for (int64_t gate = 0; gate < 4; ++gate) {
    product.a = p.dgates + row * 4 * p.units + gate * p.units;
    product.panel = p.panels + panel.unit * 4 * p.hidden + gate * p.hidden * step;
    product.init = gate == 0 ? kZeros : nullptr;
    kernel.product(product);
  }
}

template <class T>
void backward_cell(const RecurrenceBackward<T>& p, const UnitPanel& panel, const RowSet& set, int64_t t,
                   const T* c_prev) {
  const RowKernel<T>& kernel = row_kernel<T>();
  const int64_t row = row_of(*p.plan, p.row_order, t, set.first);
  CellBackward<T> cell{};
  cell.rows = set.count;
  cell.units = panel.columns.vectors * kernel.lanes;
  cell.valid_units = p.hidden - panel.unit;
  cell.gates = p.gates + row * 4 * p.units + panel.unit;
  cell.gates_ld = cell.dgates_ld = 4 * p.units * set.stride;
  cell.gate_stride = p.units;
  cell.c = p.c + row * p.units + panel.unit;
  cell.c_prev = c_prev + panel.unit;
  cell.c_ld = cell.c_prev_ld = cell.dh_ld = cell.dc_ld = p.units * set.stride;
  cell.dh = p.dh + set.first * p.units + panel.unit;
  cell.dy = p.dy == nullptr ? nullptr : p.dy + row * p.ldy + panel.unit;
  cell.dy_ld = p.ldy * set.stride;
  cell.dc = p.dc + set.first * p.units + panel.unit;
  cell.dgates = p.dgates + row * 4 * p.units + panel.unit;
  kernel.cell_backward(cell);
  for (int64_t gate = 0; gate < 4 && p.round != nullptr; ++gate)
    p.round(set.count, cell.units, cell.dgates + gate * p.units, cell.dgates_ld);
}

template <class T>
void recurrence_backward(const RecurrenceBackward<T>& p, const Member& member) {
  const RowKernel<T>& kernel = row_kernel<T>();
  const BatchPlan& plan = *p.plan;
  const Share mine = share_of((p.hidden + kernel.lanes - 1) / kernel.lanes, member);
  const Share all = {0, (p.hidden + kernel.lanes - 1) / kernel.lanes};
  // A share's panels begin at its first vector.
  const Share used = p.by_sequence ? all : mine;
  const auto for_panels = [&](const Share& share, const auto& body) {
    for (int64_t vector = share.begin; vector < share.end; vector += kPanelVectors)
      body(unit_panel(p.hidden, kernel.lanes, vector, share.end));
  };
  const auto pack = [&](const UnitPanel& panel) {
    pack_panel(panel.columns, p.w_hh, p.hidden, false, 0, 4 * p.hidden, p.panels + panel.unit * 4 * p.hidden);
  };
  if (p.by_sequence) {
    int64_t index = 0;
    for_panels(all, [&](const UnitPanel& panel) {
      if (index++ % member.size == member.rank) pack(panel);
    });
  } else {
    for_panels(mine, pack);
  }
  member.sync();

  for (int64_t step = 0; step < plan.steps; ++step) {
    const int64_t t = p.reverse ? step : plan.steps - 1 - step;
    const StepNeighbour before = step_before(plan, p.reverse, t), after = step_after(plan, p.reverse, t);
    const RowSet shared = rows_of(0, after.rows, p.by_sequence, member);
    const RowSet carried = rows_of(0, before.rows, p.by_sequence, member);
    const RowSet started = rows_of(before.rows, plan.batch_sizes[t], p.by_sequence, member);
    for_panels(used, [&](const UnitPanel& panel) {
      for_spaced(p.row_order, shared, [&](const RowSet& set) { backward_product(p, panel, set, after.step); });
      for_spaced(p.row_order, carried, [&](const RowSet& set) {
        const int64_t row = row_of(plan, p.row_order, before.step, set.first);
        backward_cell(p, panel, set, t, p.c + row * p.units);
      });
      for_spaced(p.row_order, started,
                 [&](const RowSet& set) { backward_cell(p, panel, set, t, p.c_init + set.first * p.units); });
    });
    if (!p.by_sequence) member.sync();
  }

  if (!p.want_dh0) return;
  for (int64_t t = 0; t < plan.steps; ++t) {
    const RowSet started = rows_of(step_before(plan, p.reverse, t).rows, plan.batch_sizes[t], p.by_sequence, member);
    for_panels(used, [&](const UnitPanel& panel) {
      for_spaced(p.row_order, started, [&](const RowSet& set) { backward_product(p, panel, set, t); });
    });
  }
}

}  // namespace varlstm::host
