// How a recurrence of one layer in one direction goes through the segments of a batch, whose width shrinks.
//
// "Before" is the step before in this direction's own order: the forward direction runs t = 0 .. T-1, the backward
// direction t = T-1 .. 0. The segments are ranked by length, longest first. So the segments that are in both steps are
// the first ranks of both: they are `carried`. The other segments are `started`: they begin at this step, from the
// initial state of a sequence or from zeros.
//
// The rows of a step are named by a list, or are adjacent if there is none (packed order without resets). They are
// multiplied together in both cases, with the same bits.
//
// A team of threads divides the work by segments, so that each member runs alone and needs no barrier, or by hidden
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

// The segments as one direction goes through them.
struct SegmentSteps {
  int64_t count;
  int64_t steps;
  bool reverse;
  const int64_t* sizes;    // [steps] how many segments are longer than t
  const int64_t* offsets;  // [steps + 1]
  const int64_t* rows;     // at offsets[t] + j: the row of token t of the segment of rank j; null if it is that itself
  const int64_t* initial;  // [count] the sequence from whose initial state the segment starts, or -1: from zeros
  const int64_t* final;    // [count] the sequence whose final state the segment gives, or -1
};

inline SegmentSteps segment_steps(const BatchPlan& plan, RowOrder order, bool reverse) {
  const Segments& s = plan.segments;
  SegmentSteps steps{s.count, s.steps, reverse, s.sizes, s.offsets, s.packed_rows, s.begins, s.lasts};
  if (order == RowOrder::kRagged) steps.rows = s.ragged_rows;
  if (reverse) steps.initial = s.lasts, steps.final = s.firsts;
  return steps;
}

// The row of token t of the segment of rank j, which is longer than t.
inline int64_t row_of(const SegmentSteps& segments, int64_t t, int64_t j) {
  const int64_t at = segments.offsets[t] + j;
  return segments.rows == nullptr ? at : segments.rows[at];
}

// The step before or after step t in a direction's own order.
struct StepNeighbour {
  int64_t rows;  // how many segments have both steps
  int64_t step;  // the index of the step before or after, if rows > 0
};

inline StepNeighbour neighbour(const SegmentSteps& segments, bool earlier, int64_t t) {
  if (earlier) return t > 0 ? StepNeighbour{segments.sizes[t], t - 1} : StepNeighbour{0, 0};
  return t + 1 < segments.steps ? StepNeighbour{segments.sizes[t + 1], t + 1} : StepNeighbour{0, 0};
}

inline StepNeighbour step_before(const SegmentSteps& segments, int64_t t) {
  return neighbour(segments, !segments.reverse, t);
}
inline StepNeighbour step_after(const SegmentSteps& segments, int64_t t) {
  return neighbour(segments, segments.reverse, t);
}

// The ranks of one member: first, first + stride, ..., `count` of them.
struct RankSet {
  int64_t first;
  int64_t stride;
  int64_t count;

  RowIndex ranks() const { return {nullptr, first, stride}; }
  // What a list by rank names for them.
  RowIndex in(const int64_t* list) const { return {list + first, 0, stride}; }
};

inline RankSet ranks_of(int64_t begin, int64_t end, bool by_segment, const Member& member) {
  if (!by_segment) return {begin, 1, end - begin};
  const int64_t first = begin + ((member.rank - begin) % member.size + member.size) % member.size;
  return {first, member.size, first < end ? (end - first + member.size - 1) / member.size : 0};
}

// Ranks that go through all their steps before the next ones begin, so that what a step leaves in the cache is still
// there in the next step.
struct RankBlock {
  int64_t begin;
  int64_t end;
  int64_t steps;  // of its longest segment

  int64_t clipped(int64_t rank) const { return rank < begin ? begin : rank > end ? end : rank; }
};

inline constexpr int64_t kBlockRanks = 128;  // of one member

// Calls body(block) for blocks that cover all ranks.
template <class Body>
void for_blocks(const SegmentSteps& segments, bool by_segment, const Member& member, const Body& body) {
  const int64_t size = by_segment ? kBlockRanks * member.size : kBlockRanks;
  int64_t steps = segments.steps;
  for (int64_t begin = 0; begin < segments.count; begin += size) {
    while (steps > 0 && segments.sizes[steps - 1] <= begin) --steps;
    body(RankBlock{begin, begin + size, steps});
  }
}

// The rows of token t of the segments of `set`.
inline RowIndex rows_at(const SegmentSteps& segments, const RankSet& set, int64_t t) {
  const int64_t at = segments.offsets[t] + set.first;
  return {segments.rows == nullptr ? nullptr : segments.rows + at, at, set.stride};
}

// Rounds the first `columns` columns of `count` rows.
template <class T>
void round_rows(Rounding<T> round, int64_t columns, T* data, int64_t ld, const RowIndex& rows, int64_t count) {
  if (rows.list == nullptr) return round(count, columns, data + rows.first * ld, rows.stride * ld);
  for (int64_t r = 0; r < count; ++r) round(1, columns, data + row_at(rows, r) * ld, ld);
}

// Hidden units whose columns of W_hh are packed together. If there are `groups` > 1 groups of columns, these are one
// vector of units of each group, else up to kPanelVectors vectors of units. For few rows it is several such panels,
// which are adjacent and equally wide.
struct UnitPanel {
  int64_t unit;   // the first
  int64_t units;  // a multiple of lanes; of all panels
  int64_t panels = 1;
  bool from_last = false;  // several panels are multiplied from the last to the first
  PanelColumns columns;    // of the first panel

  UnitPanel(int64_t hidden, int64_t groups, int64_t lanes, int64_t vector, int64_t vector_end)
      : unit(vector * lanes), columns(panel_columns(hidden, groups, lanes, 0)) {
    columns.first = unit;
    if (groups == 1)
      columns.vectors = static_cast<int>(vector_end - vector < kPanelVectors ? vector_end - vector : kPanelVectors);
    units = groups > 1 ? lanes : columns.vectors * lanes;
  }
};

// Multiplies the rows by the panels of `panel`. `product` has everything but the number of panels. An element of the
// product has `k` weights in a packed panel, of which product.k begin at product.panel.
template <class T>
void multiply(const UnitPanel& panel, int64_t k, PanelProduct<T> product) {
  const RowKernel<T>& kernel = row_kernel<T>();
  if (product.rows > kFewRows) return kernel.product(product);
  product.panels = panel.panels;
  product.from_last = panel.from_last;
  product.panel_stride = k * product.vectors * kernel.lanes;
  product.c_panel_stride = panel.units / panel.panels;
  kernel.few_rows(product);
}

// Which of its weights a recurrence has to pack.
struct Packing {
  bool w_hh;
  bool w_hr;

  bool any() const { return w_hh || w_hr; }
};

// The panels of one member. The share of vectors of each part of the work is cut into panels from its own first vector
// on.
struct UnitPanels {
  int64_t hidden;
  int64_t groups;
  int64_t lanes;
  bool by_segment;
  const Member& member;

  // Calls body(panel) for the panels that this member computes in a step of `rows` rows. Every other step goes through
  // few rows' panels from the last to the first: of weights that are larger than a cache, those that were read last are
  // still there. No sum depends on the order of panels.
  template <class Body>
  void for_used(int64_t rows, int64_t step, const Body& body) const {
    for_own_shares([&](const Share& share) {
      if (rows > kFewRows) return for_share(share, body);
      const int64_t wide = groups > 1 ? 1 : kPanelVectors, panels = (share.end - share.begin) / wide;
      const int64_t rest = share.begin + panels * wide;
      if (panels > 0) {
        UnitPanel together(hidden, groups, lanes, share.begin, share.end);
        together.panels = panels;
        together.from_last = step % 2 != 0;
        together.units *= panels;
        body(together);
      }
      if (rest < share.end) body(UnitPanel(hidden, groups, lanes, rest, share.end));
    });
  }

  // All units as one panel, for what reads no packed weights.
  UnitPanel whole_row() const {
    UnitPanel row(hidden, groups, lanes, 0, vectors());
    row.units = vectors() * lanes;
    return row;
  }

  // Whether the panels of all parts are panels of the whole matrix: then it may have been packed before.
  bool are_of_whole_matrix() const {
    if (by_segment || groups > 1) return true;
    for (int part = 1; part < member.parts; ++part)
      if (share_of_part(part).begin % kPanelVectors != 0) return false;
    return true;
  }

  // Calls body(panel) for the panels that this member packs: its own ones, or its part of those that all members use.
  template <class Body>
  void for_packed(const Body& body) const {
    int64_t index = 0;
    for_own_shares([&](const Share& share) {
      for_share(share, [&](const UnitPanel& panel) {
        if (!by_segment || index++ % member.size == member.rank) body(panel);
      });
    });
  }

 private:
  int64_t vectors() const { return (hidden + lanes - 1) / lanes; }
  Share share_of_part(int64_t part) const { return share_of(vectors(), part, member.parts); }

  // Calls body(share) for the shares of the member's own parts: one for all of them, if that makes the same panels.
  template <class Body>
  void for_own_shares(const Body& body) const {
    if (by_segment) return body(Share{0, vectors()});
    const Share own = member.own_parts();
    if (own.begin == own.end) return;
    if (own.end - own.begin == 1 || are_of_whole_matrix())
      return body(Share{share_of_part(own.begin).begin, share_of_part(own.end - 1).end});
    for (int64_t part = own.begin; part < own.end; ++part) body(share_of_part(part));
  }

  template <class Body>
  void for_share(const Share& share, const Body& body) const {
    for (int64_t vector = share.begin; vector<share.end; vector += groups> 1 ? 1 : kPanelVectors)
      body(UnitPanel(hidden, groups, lanes, vector, share.end));
  }
};

}  // namespace varlstm::host
