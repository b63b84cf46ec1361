// Forward of one layer in one direction: the sums of a step += h(before) W_hh^T, then the cell. A cell with two
// products makes the operand of the second one of the sums of the first. With a projection the cell's output is stored
// beside h, and then h = output W_hr^T. Between these parts of a step there is a barrier if the members divide the
// units. With layer normalisation the product stays beside the sums until the whole row of a step can be normalised,
// and is then added to them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <algorithm>

#include "host/cells/cells.h"
#include "host/rnn/layer_norm.h"
#include "host/rnn/recurrence_options.h"
#include "host/rnn/recurrence_steps.h"
#include "host/simd/row_kernel.h"

namespace varlstm::host {

template <class T>
struct RecurrenceForward {
  SegmentSteps segments;
  Cell cell;
  bool by_segment;
  int64_t hidden;          // H
  int64_t units;           // Hp
  int64_t state;           // R, the width of h
  int64_t state_units;     // Rp
  const T* w_hh;           // [GH, R]
  const T* b_hh;           // [GH] or null
  T* packed_w_hh;          // G Hp R elements: room for the panels of W_hh,
  const T* prepared_w_hh;  // and panels that are there already; or null
  const T* panels;         // those that are read; set by the recurrence, as w_hr_panels
  T* values;               // [N, S, Hp]; input: W_ih x + b; output: what backward needs
  const T* h_init;         // [B, Rp], and a row of zeros before it; or null for zeros
  const T* c_init;         // [B, Hp], likewise; c_init and c are null if the cell has no c
  T* c;                    // [N, Hp] if c_by_token, else by rank
  bool c_by_token;         // and so is `unprojected`
  T* y;                    // [N, ldy]; R columns are written
  int64_t ldy;
  const T* w_hr;           // [P, H], or null: no projection, and the rest is not used
  T* packed_w_hr;          // Rp H elements
  const T* prepared_w_hr;  // or null
  const T* w_hr_panels;
  T* unprojected;                       // [N, Hp] if c_by_token, else by rank
  T* projected;                         // [., Rp] by rank
  Rounding<T> round;                    // rounds h before it is stored; or null
  const RecurrenceOptions<T>* options;  // or null: none, and the rest is not used
  T* masked;                            // [N, R] h under the mask of the state; null without such a mask
  const T* masked_init;                 // [B, Rp] likewise of h_init
  T* unclipped;                         // [N, P] h before the clip of the projection; or null: not saved
  const LayerNorm<T>* norm;             // or null: no layer normalisation
};

// Where the panels of W_hh of the second product begin.
template <class T>
int64_t second_panels(const RecurrenceForward<T>& p) {
  return first_gates(kCellTraits[p.cell]) * p.units * p.state;
}

// The state's sums that have a slot of their own begin as their b_hh.
template <class T>
void begin_state_sums(const RecurrenceForward<T>& p, const UnitPanel& panel, int64_t rows, const RowIndex& now) {
  const CellTraits& traits = kCellTraits[p.cell];
  const int64_t left = p.hidden - panel.unit, valid = left < panel.units ? left : panel.units;
  for (int64_t gate = traits.joint_gates; gate < traits.gates; ++gate) {
    T* const sums = p.values + traits.state_slot.of[gate] * p.units + panel.unit;
    const T* const bias = p.b_hh == nullptr ? nullptr : p.b_hh + gate * p.hidden + panel.unit;
    for (int64_t r = 0; r < rows; ++r) {
      T* const of_row = sums + row_at(now, r) * traits.slots * p.units;
      for (int64_t u = 0; u < panel.units; ++u) of_row[u] = bias != nullptr && u < valid ? bias[u] : T(0);
    }
  }
}

// Stores h of `count` rows for the next step's product, under its mask.
template <class T>
void mask_states(const RecurrenceForward<T>& p, int64_t first, int64_t columns, const RowIndex& rows, int64_t count) {
  for (int64_t r = 0; r < count; ++r) {
    const int64_t row = row_at(rows, r);
    p.options->mask_state(p.options->sequences[row], p.state, first, columns, p.y + row * p.ldy + first,
                          p.masked + row * p.state + first);
  }
  if (p.round != nullptr) round_rows(p.round, columns, p.masked + first, p.state, rows, count);
}

// The states that a step of some segments starts from.
template <class T>
struct StatesBefore {
  RowIndex rows;
  const T* h;  // or null for zeros
  int64_t h_ld;
  const T* operand;  // h as products multiply it: under its mask, if it has one; or null
  int64_t operand_ld;
};

// `before` is the previous step of the segments of `set`, or -1 if they start here.
template <class T>
StatesBefore<T> states_before(const RecurrenceForward<T>& p, const RankSet& set, int64_t before) {
  const bool masks = p.options != nullptr && p.options->state != nullptr;
  if (before < 0) {
    const RowIndex rows = set.in(p.segments.initial);
    return {rows, p.h_init, p.state_units, masks ? p.masked_init : p.h_init, p.state_units};
  }
  const RowIndex rows = rows_at(p.segments, set, before);
  return {rows, p.y, p.ldy, masks ? p.masked : p.y, masks ? p.state : p.ldy};
}

template <class T>
CellForward<T> cell_of_step(const RecurrenceForward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t) {
  CellForward<T> cell{};
  cell.rows = set.count;
  cell.units = panel.units;
  cell.valid_units = p.hidden - panel.unit;
  cell.now = rows_at(p.segments, set, t);
  cell.values = p.values + panel.unit;
  cell.values_ld = kCellTraits[p.cell].slots * p.units;
  cell.slot_stride = p.units;
  return cell;
}

// The product of the states before step t and the panel of W_hh, which is added to the state's sums. `a` is null if the
// states are zeros.
template <class T>
PanelProduct<T> state_product(const RecurrenceForward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t,
                              const StatesBefore<T>& states) {
  const CellTraits& traits = kCellTraits[p.cell];
  PanelProduct<T> product{};
  product.rows = set.count;
  product.k = p.state;
  product.a = states.operand;
  product.lda = states.operand_ld;
  product.a_rows = states.rows;
  product.panel = p.panels + panel.unit * first_gates(traits) * p.state;
  product.vectors = panel.columns.vectors;
  product.c = p.values + traits.state_slot.of[0] * p.units + panel.unit;
  product.ldc = traits.slots * p.units;
  product.c_rows = rows_at(p.segments, set, t);
  product.vector_stride = first_gates(traits) > 1 ? p.units : row_kernel<T>().lanes;
  return product;
}

// The sums of step t of the segments of `set`, for the units of a panel, += the states before times W_hh^T.
template <class T>
void forward_product(const RecurrenceForward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t,
                     const StatesBefore<T>& states) {
  const CellTraits& traits = kCellTraits[p.cell];
  const PanelProduct<T> product = state_product(p, panel, set, t, states);
  if (traits.joint_gates < traits.gates) begin_state_sums(p, panel, set.count, product.c_rows);
  if (product.a != nullptr) multiply(panel, p.state, product);
}

// All that the cell reads and writes after the products.
template <class T>
CellForward<T> whole_cell_of_step(const RecurrenceForward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t,
                                  int64_t before, const StatesBefore<T>& states) {
  const CellTraits& traits = kCellTraits[p.cell];
  const bool carried = before >= 0;
  CellForward<T> cell = cell_of_step(p, panel, set, t);
  cell.before = states.rows;
  const bool in_formulas = p.options != nullptr && p.options->in_formulas;
  if ((traits.reads_h || (in_formulas && p.options->units.h.p > 0)) && states.h != nullptr) {
    cell.h_prev = states.h + panel.unit;
    cell.h_prev_ld = states.h_ld;
  }
  if (traits.has_c) {
    cell.c = p.c + panel.unit;
    cell.c_now = p.c_by_token ? cell.now : set.ranks();
    cell.c_prev = (carried ? p.c : p.c_init) + panel.unit;
    cell.c_before = carried && !p.c_by_token ? set.ranks() : states.rows;
    cell.c_ld = cell.c_prev_ld = p.units;
  }
  const bool projects = p.w_hr != nullptr;
  cell.h = (projects ? p.unprojected : p.y) + panel.unit;
  cell.h_ld = projects ? p.units : p.ldy;
  cell.h_rows = projects && !p.c_by_token ? set.ranks() : cell.now;
  cell.unit = panel.unit;
  if (in_formulas) cell.options = &p.options->units;
  return cell;
}

// After the cell: h is rounded, and masked for the next product.
template <class T>
void finish_step(const RecurrenceForward<T>& p, const CellForward<T>& cell) {
  const int64_t columns = cell.units < cell.valid_units ? cell.units : cell.valid_units;
  if (p.round != nullptr) round_rows(p.round, columns, cell.h, cell.h_ld, cell.h_rows, cell.rows);
  const bool masks = p.options != nullptr && p.options->state != nullptr;
  if (masks && p.w_hr == nullptr) mask_states(p, cell.unit, columns, cell.now, cell.rows);
}

template <class T>
void forward_cell(const RecurrenceForward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t, int64_t before,
                  const StatesBefore<T>& states) {
  const CellForward<T> cell = whole_cell_of_step(p, panel, set, t, before, states);
  if (cell.options != nullptr)
    row_kernel<T>().cells[p.cell].forward_with_options(cell);
  else
    row_kernel<T>().cells[p.cell].forward(cell);
  finish_step(p, cell);
}

// Computes step t of the segments of `set` for the units of a panel, up to the operand of its second product if it has
// one. `before` is the previous step of these segments, or -1 if they start here.
template <class T>
void forward_step(const RecurrenceForward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t,
                  int64_t before) {
  if (set.count == 0) return;
  const CellTraits& traits = kCellTraits[p.cell];
  const StatesBefore<T> states = states_before(p, set, before);
  forward_product(p, panel, set, t, states);
  if (traits.second_gates == 0) return forward_cell(p, panel, set, t, before, states);
  CellForward<T> cell = cell_of_step(p, panel, set, t);
  cell.before = states.rows;
  if (states.operand != nullptr) cell.h_prev = states.operand + panel.unit;
  cell.h_prev_ld = states.operand_ld;
  row_kernel<T>().cells[p.cell].operand(cell);
  if (p.round != nullptr)
    round_rows(p.round, cell.units, cell.values + traits.operand_slot * p.units, cell.values_ld, cell.now, set.count);
}

// The rest of a step with two products. The panel has one vector for each of its units, as a projection's.
template <class T>
void forward_second(const RecurrenceForward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t,
                    int64_t before) {
  if (set.count == 0) return;
  const CellTraits& traits = kCellTraits[p.cell];
  const StatesBefore<T> states = states_before(p, set, before);
  PanelProduct<T> product{};
  product.rows = set.count;
  product.k = p.hidden;
  product.a = p.values + traits.operand_slot * p.units;
  product.lda = product.ldc = traits.slots * p.units;
  product.a_rows = product.c_rows = rows_at(p.segments, set, t);
  product.panel = p.panels + second_panels(p) + panel.unit * p.state;
  product.vectors = panel.columns.vectors;
  product.c = p.values + traits.state_slot.of[first_gates(traits)] * p.units + panel.unit;
  product.vector_stride = row_kernel<T>().lanes;
  if (states.operand != nullptr) multiply(panel, p.state, product);
  forward_cell(p, panel, set, t, before, states);
}

// A step with layer normalisation, for all units: the whole rows of the set are this member's.
template <class T>
void normalised_step(const RecurrenceForward<T>& p, const UnitPanels& panels, const RankSet& set, int64_t t,
                     int64_t before) {
  if (set.count == 0) return;
  static constexpr T kZeros[kPanelVectors * kUnitTile] = {};
  static constexpr UnitOptions<T> kNoOptions;
  const RowKernel<T>& kernel = row_kernel<T>();
  const CellKernel<T>& formulas = kernel.cells[p.cell];
  const LayerNorm<T>& norm = *p.norm;
  const StatesBefore<T> states = states_before(p, set, before);
  const RowIndex now = rows_at(p.segments, set, t), hat_rows = norm.by_token ? now : set.ranks();
  const int64_t hat_ld = kCellTraits[p.cell].gates * p.units;
  panels.for_used(set.count, t, [&](const UnitPanel& panel) {
    PanelProduct<T> product = state_product(p, panel, set, t, states);
    product.init = kZeros;
    product.c = norm.h_hat + panel.unit;
    product.ldc = hat_ld;
    product.c_rows = hat_rows;
    if (product.a != nullptr) multiply(panel, p.state, product);
  });
  for (int64_t r = 0; r < set.count && states.operand == nullptr; ++r)
    std::fill_n(norm.h_hat + row_at(hat_rows, r) * hat_ld, hat_ld, T(0));
  normalise_state(norm, hat_rows, now, set.count, p.values);

  CellForward<T> cell = whole_cell_of_step(p, panels.whole_row(), set, t, before, states);
  if (kCellTraits[p.cell].has_c) {
    if (cell.options == nullptr) cell.options = &kNoOptions;
    cell.c_hat = norm.c_hat;
    cell.c_hat_ld = p.units;
    cell.c_hat_rows = hat_rows;
    cell.norm_c = norm.params.norm_c;
    cell.norm_c_bias = norm.params.norm_c_bias;
    formulas.forward_to_c(cell);
    normalise_c(norm, hat_rows, set.count);
    formulas.forward_from_c(cell);
  } else if (cell.options != nullptr) {
    formulas.forward_with_options(cell);
  } else {
    formulas.forward(cell);
  }
  finish_step(p, cell);
}

// h of step t for the columns of a panel <- the unprojected output times W_hr^T. Whole vectors are computed beside y,
// whose rows have no padding. With options store_projected follows.
template <class T>
void forward_projection(const RecurrenceForward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t) {
  if (set.count == 0) return;
  static constexpr T kZeros[kPanelVectors * kUnitTile] = {};
  const RowIndex now = rows_at(p.segments, set, t);
  PanelProduct<T> product{};
  product.rows = set.count;
  product.k = p.hidden;
  product.a = p.unprojected;
  product.lda = p.units;
  product.a_rows = p.c_by_token ? now : set.ranks();
  product.panel = p.w_hr_panels + panel.unit * p.hidden;
  product.vectors = panel.columns.vectors;
  product.init = kZeros;
  product.c = p.projected + panel.unit;
  product.ldc = p.state_units;
  product.c_rows = set.ranks();
  product.vector_stride = row_kernel<T>().lanes;
  multiply(panel, p.hidden, product);
  if (p.options != nullptr) return;
  const int64_t left = p.state - panel.unit, columns = left < panel.units ? left : panel.units;
  for (int64_t r = 0; r < set.count; ++r) {
    const T* const projected = product.c + row_at(product.c_rows, r) * product.ldc;
    T* const y = p.y + row_at(now, r) * p.ldy + panel.unit;
    for (int64_t u = 0; u < columns; ++u) y[u] = projected[u];
  }
  if (p.round != nullptr) round_rows(p.round, columns, p.y + panel.unit, p.ldy, now, set.count);
}

// h of step t for the columns of a panel <- the projected output, clipped and under zoneout. `before` is as in
// forward_step.
template <class T>
void store_projected(const RecurrenceForward<T>& p, const UnitPanel& panel, const RankSet& set, int64_t t,
                     int64_t before) {
  const RecurrenceOptions<T>& options = *p.options;
  const int64_t first = panel.unit, left = p.state - first, columns = left < panel.units ? left : panel.units;
  const RowIndex now = rows_at(p.segments, set, t);
  const RowIndex states = before >= 0 ? rows_at(p.segments, set, before) : set.in(p.segments.initial);
  const T* const h_before = before >= 0 ? p.y : p.h_init;
  const int64_t before_ld = before >= 0 ? p.ldy : p.state_units;
  for (int64_t r = 0; r < set.count; ++r) {
    const int64_t row = row_at(now, r);
    const T* const projected = p.projected + row_at(set.ranks(), r) * p.state_units + first;
    const T* const h = h_before == nullptr ? nullptr : h_before + row_at(states, r) * before_ld + first;
    T* const y = p.y + row * p.ldy + first;
    for (int64_t u = 0; u < columns; ++u) {
      T after = projected[u];
      if (p.unclipped != nullptr) p.unclipped[row * p.state + first + u] = after;
      after = clipped(after, options.projection_clip);
      const int64_t k = row * options.projected.mask_ld + first + u;
      y[u] = options.projected.p > 0 ? kept(options.projected, k, h == nullptr ? T(0) : h[u], after) : after;
    }
  }
  if (p.round != nullptr) round_rows(p.round, columns, p.y + first, p.ldy, now, set.count);
  if (options.state != nullptr) mask_states(p, first, columns, now, set.count);
}

// The panels of one member: of the gates' products, of the second product, and of the projection.
template <class T>
struct ForwardPanels {
  UnitPanels gates, second, projection;

  ForwardPanels(const RecurrenceForward<T>& p, const Member& member)
      : gates{p.hidden, first_gates(kCellTraits[p.cell]), row_kernel<T>().lanes, p.by_segment, member},
        second{p.hidden, 1, row_kernel<T>().lanes, p.by_segment, member},
        projection{p.state, 1, row_kernel<T>().lanes, p.by_segment, member} {}
};

// What the team of `member` has to pack. W_hh is not read in a recurrence of one step from zeros.
template <class T>
Packing packing_of(const RecurrenceForward<T>& p, const Member& member) {
  const ForwardPanels<T> panels(p, member);
  const bool reads_w_hh = p.segments.steps > 1 || p.h_init != nullptr;
  const bool whole = panels.gates.are_of_whole_matrix() &&
                     (kCellTraits[p.cell].second_gates == 0 || panels.second.are_of_whole_matrix());
  return {reads_w_hh && !(p.prepared_w_hh != nullptr && whole),
          p.w_hr != nullptr && !(p.prepared_w_hr != nullptr && panels.projection.are_of_whole_matrix())};
}

// Packs this member's part of the weights, before the steps of any member.
template <class T>
void pack_forward(const RecurrenceForward<T>& p, const Member& member, const Packing& packing) {
  const int64_t gates = first_gates(kCellTraits[p.cell]);
  const ForwardPanels<T> panels(p, member);
  if (packing.w_hh) {
    panels.gates.for_packed([&](const UnitPanel& panel) {
      pack_panel(panel.columns, p.w_hh, p.state, true, 0, p.state, p.packed_w_hh + panel.unit * gates * p.state);
    });
  }
  if (packing.w_hh && kCellTraits[p.cell].second_gates > 0) {
    panels.second.for_packed([&](const UnitPanel& panel) {
      pack_panel(panel.columns, p.w_hh + gates * p.hidden * p.state, p.state, true, 0, p.state,
                 p.packed_w_hh + second_panels(p) + panel.unit * p.state);
    });
  }
  if (packing.w_hr && p.w_hr != nullptr) {
    panels.projection.for_packed([&](const UnitPanel& panel) {
      pack_panel(panel.columns, p.w_hr, p.hidden, true, 0, p.hidden, p.packed_w_hr + panel.unit * p.hidden);
    });
  }
}

template <class T>
void recurrence_forward(RecurrenceForward<T> p, const Packing& packing, Member member) {
  p.panels = packing.w_hh ? p.packed_w_hh : p.prepared_w_hh;
  p.w_hr_panels = packing.w_hr ? p.packed_w_hr : p.prepared_w_hr;
  const SegmentSteps& segments = p.segments;
  const bool two_products = kCellTraits[p.cell].second_gates > 0;
  const ForwardPanels<T> panels(p, member);
  for_blocks(segments, p.by_segment, member, [&](const RankBlock& block) {
    for (int64_t step = 0; step < block.steps; ++step) {
      const int64_t t = segments.reverse ? block.steps - 1 - step : step;
      const StepNeighbour before = step_before(segments, t);
      const int64_t first_started = block.clipped(before.rows);
      const RankSet carried = ranks_of(block.begin, first_started, p.by_segment, member);
      const RankSet started = ranks_of(first_started, block.clipped(segments.sizes[t]), p.by_segment, member);
      const int64_t rows = carried.count + started.count;
      if (p.norm != nullptr) {
        normalised_step(p, panels.gates, carried, t, before.step);
        normalised_step(p, panels.gates, started, t, -1);
      } else {
        panels.gates.for_used(rows, t, [&](const UnitPanel& panel) {
          forward_step(p, panel, carried, t, before.step);
          forward_step(p, panel, started, t, -1);
        });
      }
      if (!p.by_segment) member.sync();
      if (two_products) {
        panels.second.for_used(rows, t, [&](const UnitPanel& panel) {
          forward_second(p, panel, carried, t, before.step);
          forward_second(p, panel, started, t, -1);
        });
        if (!p.by_segment) member.sync();
      }
      if (p.w_hr == nullptr) continue;
      const RankSet all = ranks_of(block.begin, block.clipped(segments.sizes[t]), p.by_segment, member);
      panels.projection.for_used(rows, t, [&](const UnitPanel& panel) {
        forward_projection(p, panel, all, t);
        if (p.options == nullptr) return;
        store_projected(p, panel, carried, t, before.step);
        store_projected(p, panel, started, t, -1);
      });
      if (!p.by_segment) member.sync();
    }
  });
}

}  // namespace varlstm::host
