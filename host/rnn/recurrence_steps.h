// How a recurrence of one layer in one direction goes through a batch whose width shrinks.
//
// "Before" is the step before in this direction's own order: the forward direction runs t = 0 .. T-1, the backward
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

// Hidden units whose columns of W_hh are packed together. If there are `groups` > 1 groups of columns, these are one
// vector of units of each group, else up to kPanelVectors vectors of units.
struct UnitPanel {
  int64_t unit;   // the first
  int64_t units;  // a multiple of lanes
  PanelColumns columns;

  UnitPanel(int64_t hidden, int64_t groups, int64_t lanes, int64_t vector, int64_t vector_end)
      : unit(vector * lanes), columns(panel_columns(hidden, groups, lanes, 0)) {
    columns.first = unit;
    if (groups == 1)
      columns.vectors = static_cast<int>(vector_end - vector < kPanelVectors ? vector_end - vector : kPanelVectors);
    units = groups > 1 ? lanes : columns.vectors * lanes;
  }
};

// The panels of one member. A share of vectors is cut into panels from its own first vector on.
struct UnitPanels {
  int64_t hidden;
  int64_t groups;
  int64_t lanes;
  bool by_sequence;
  const Member& member;

  // Calls body(panel) for the panels that this member computes.
  template <class Body>
  void for_used(const Body& body) const {
    for_share(by_sequence ? Share{0, vectors()} : share_of(vectors(), member), body);
  }

  // Calls body(panel) for the panels that this member packs: its own ones, or its part of those that all members use.
  template <class Body>
  void for_packed(const Body& body) const {
    int64_t index = 0;
    for_used([&](const UnitPanel& panel) {
      if (!by_sequence || index++ % member.size == member.rank) body(panel);
    });
  }

 private:
  int64_t vectors() const { return (hidden + lanes - 1) / lanes; }

  template <class Body>
  void for_share(const Share& share, const Body& body) const {
    for (int64_t vector = share.begin; vector<share.end; vector += groups> 1 ? 1 : kPanelVectors)
      body(UnitPanel(hidden, groups, lanes, vector, share.end));
  }
};

}  // namespace varlstm::host
