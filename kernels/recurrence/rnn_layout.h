// The device memory of a recurrent network: the parameters of a layer in the flat buffer, the reserve that forward
// leaves for backward, and the workspaces. T is the dtype; C is the type that T is computed in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include <initializer_list>

#include "capi/contract/shapes.h"
#include "kernels/cells/facts.h"
#include "kernels/core/carve.h"
#include "kernels/selection/gemm_selection.h"

namespace varlstm::cuda {

constexpr int kMaxDirections = 2;

// R, the number of features of h: P if it is projected, else H.
inline int64_t features_of_h(const RnnShape& shape) {
  return shape.projection > 0 ? shape.projection : shape.hidden;
}

inline int64_t layer_input(const RnnShape& shape, int64_t layer) {
  return layer == 0 ? shape.input : shape.directions * features_of_h(shape);
}

// Offsets, in elements, of one layer and direction in the flat buffer. The gates are in the cell's order.
struct LayerOffsets {
  int64_t w_ih;         // [GH, in]
  int64_t w_hh;         // [GH, R]
  int64_t b_ih;         // [GH], or -1
  int64_t b_hh;         // [GH], or -1
  int64_t w_hr;         // [P, H], or -1
  int64_t norm_ih;      // [GH], or -1 without layer normalisation
  int64_t norm_hh;      // [GH], likewise
  int64_t norm_c;       // [H], likewise; -1 if the cell has no c
  int64_t norm_c_bias;  // [H], likewise
};

inline LayerOffsets layer_offsets(const RnnShape& shape, int64_t layer, int64_t direction) {
  const CellFacts cell = cell_facts(shape.cell);
  const int64_t rows = cell.gates * shape.hidden;
  const int64_t width = features_of_h(shape), projection = shape.projection * shape.hidden;
  const int64_t norms_of_c = shape.layer_norm && cell.has_c ? 2 * shape.hidden : 0;
  const int64_t norms = (shape.layer_norm ? 2 * rows : 0) + norms_of_c;
  const auto before_norms = [&](int64_t l) {
    return rows * (layer_input(shape, l) + width + (shape.bias ? 2 : 0)) + projection;
  };
  const auto elements = [&](int64_t l) { return before_norms(l) + norms; };
  LayerOffsets offsets;
  offsets.w_ih = layer == 0 ? 0 : shape.directions * (elements(0) + (layer - 1) * elements(1));
  offsets.w_ih += direction * elements(layer);
  offsets.w_hh = offsets.w_ih + rows * layer_input(shape, layer);
  offsets.b_ih = shape.bias ? offsets.w_hh + rows * width : -1;
  offsets.b_hh = shape.bias ? offsets.b_ih + rows : -1;
  offsets.w_hr = projection > 0 ? offsets.w_hh + rows * (width + (shape.bias ? 2 : 0)) : -1;
  offsets.norm_ih = shape.layer_norm ? offsets.w_ih + before_norms(layer) : -1;
  offsets.norm_hh = shape.layer_norm ? offsets.norm_ih + rows : -1;
  offsets.norm_c = norms_of_c > 0 ? offsets.norm_hh + rows : -1;
  offsets.norm_c_bias = norms_of_c > 0 ? offsets.norm_c + shape.hidden : -1;
  return offsets;
}

// The numbers of rows that buffers are laid out for: B; N, or the bound of N if only the device knows N; and as many as
// there may be segments.
struct RnnRows {
  int64_t batch;
  int64_t tokens;
  int64_t segments;
};

inline RnnRows rows_of(const BatchPlan& plan) {
  return {plan.batch, plan.tokens >= 0 ? plan.tokens : plan.bounds.max_tokens, plan.segments.count};
}

// At most so many segments has a batch of an rnn.
inline int64_t segment_bound(const RnnShape& shape, int64_t batch, int64_t tokens) {
  return batch + (shape.resets ? tokens : 0);
}

// The same, with at most as many tokens as `rows.batch` sequences can have.
inline RnnRows fewest_rows(const RnnRows& rows, const BatchBounds& bounds) {
  const int64_t most = rows.batch * bounds.max_len;
  return {rows.batch, rows.tokens < most ? rows.tokens : most, rows.segments};
}

// B, T and N, or the bounds of T and N if only the device knows them.
inline BatchBounds extent_of(const BatchPlan& plan) {
  return {plan.batch, plan.steps >= 0 ? plan.steps : plan.bounds.max_len, rows_of(plan).tokens};
}

// The same for the schedule of slots, with the number of segments in the place of B.
inline BatchBounds scheduled_extent(const BatchPlan& plan) {
  const BatchBounds extent = extent_of(plan);
  return {plan.segments.count, extent.max_len, extent.max_tokens};
}

// Where products read N on the device if only the device knows it; null if all rows are tokens.
inline const int64_t* counted_rows(const BatchPlan& plan) {
  return plan.tokens >= 0 ? nullptr : plan.step_offsets + plan.bounds.max_len;
}

// Lets backward check that a reserve is of a forward of the same shape, extent and lengths, and with the same schedule
// if it has one.
struct ReserveHeader {
  uint64_t magic;
  uint64_t shape_hash;
  int64_t lengths_hash;  // BatchPlan::lengths_hash
  uint64_t dropout_seed;
};

constexpr uint64_t kReserveMagic = 0x76617231'6c73746dULL;

// What a forward writes there. The lengths' hash comes from the plan.
struct HeaderToWrite {
  ReserveHeader* to;  // or null: none
  uint64_t shape_hash;
  uint64_t dropout_seed;
};

// FNV-1a, one word at a time.
inline uint64_t add_to_hash(uint64_t hash, int64_t value) {
  return (hash ^ static_cast<uint64_t>(value)) * 1099511628211ULL;
}

inline int64_t bits_of(double value) {
  int64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

// Of everything that the layout of a reserve depends on, and of the masks; the lengths have a hash of their own.
inline uint64_t reserve_hash(const RnnShape& shape, const BatchBounds& extent) {
  uint64_t hash = 1469598103934665603ULL;
  for (const int64_t value :
       {static_cast<int64_t>(shape.cell), static_cast<int64_t>(shape.dtype), shape.input, shape.hidden,
        shape.projection, shape.layers, shape.directions, static_cast<int64_t>(shape.bias),
        static_cast<int64_t>(shape.layer_norm), static_cast<int64_t>(shape.row_order),
        static_cast<int64_t>(shape.options.recurrent_dropout_kind), bits_of(shape.options.recurrent_dropout),
        bits_of(shape.options.cell_clip), bits_of(shape.options.projection_clip), bits_of(shape.options.zoneout_h),
        bits_of(shape.options.zoneout_c), extent.max_batch, extent.max_len, extent.max_tokens})
    hash = add_to_hash(hash, value);
  return hash;
}

// What forward saves: the cell's saved values and cell state of every token, what its units give out if that is
// projected, the projected h if it is clipped, and the outputs that the next layer reads.
// The schedule follows, if it is kept (layer_recurrence.h).
template <class T, class C>
struct Reserve {
  ReserveHeader* header;
  int64_t gates_size, c_size, y_size;  // elements of one entry
  C* gates;                            // [L, D][N, S, H]
  C* c = nullptr;                      // [L, D][N, H]; null if the cell has no c
  T* unprojected = nullptr;            // likewise; null without a projection
  T* operand = nullptr;                // likewise, of a second product; null if the cell has one
  C* unclipped = nullptr;              // [L, D][N, P] the projected h before its clip; null without a clip
  T* y;                                // [L - 1][N, D*R]

  Reserve(const RnnShape& shape, const RnnRows& rows, Carver& carver) {
    const int64_t entries = shape.layers * shape.directions;
    const CellFacts cell = cell_facts(shape.cell);
    c_size = rows.tokens * shape.hidden;
    gates_size = cell.saved * c_size;
    y_size = rows.tokens * features_of_h(shape) * shape.directions;
    header = carver.take<ReserveHeader>(1);
    gates = carver.take<C>(gates_size * entries);
    if (cell.has_c) c = carver.take<C>(c_size * entries);
    if (shape.projection > 0) unprojected = carver.take<T>(c_size * entries);
    if (cell.second_gates > 0) operand = carver.take<T>(c_size * entries);
    if (shape.options.projection_clip > 0) unclipped = carver.take<C>(rows.tokens * shape.projection * entries);
    y = carver.take<T>(y_size * (shape.layers - 1));
  }

  // [N, P] of one layer and direction, or null without a clip.
  C* unclipped_of(const RnnShape& shape, const RnnRows& rows, int64_t layer, int64_t d) const {
    const int64_t entry = layer * shape.directions + d;
    return unclipped == nullptr ? nullptr : unclipped + entry * rows.tokens * shape.projection;
  }
};

// Whether calls with a seed multiply by a W_hh under a mask.
inline bool masks_weights(const RnnShape& shape) {
  return shape.options.recurrent_dropout > 0 && shape.options.recurrent_dropout_kind == RecurrentDropout::kWeights;
}
inline int64_t recurrent_weights(const RnnShape& shape) {
  return cell_facts(shape.cell).gates * shape.hidden * features_of_h(shape);
}

// Bytes of workspace for the largest product: gates [N, GH], dx [N, in], dW_ih [GH, in], dW_hh [GH, R] or dW_hr [P, H].
// Forward and backward use the same size. A workspace for SAVE may still be too small for INFER: INFER keeps the gates
// in the workspace, as C, while backward's dgates there are T, which is half as wide for types of 16 bits.
inline int64_t product_workspace_bytes(const RnnShape& shape, const RnnRows& rows) {
  const int64_t gates = cell_facts(shape.cell).gates * shape.hidden, width = shape.directions * features_of_h(shape);
  const int64_t lines = rows.tokens > gates ? rows.tokens : gates;
  const int64_t forward = gemm_workspace_bytes(rows.tokens, gates);
  const int64_t backward = gemm_workspace_bytes(lines, shape.input > width ? shape.input : width);
  const int64_t projection = shape.projection > 0 ? gemm_workspace_bytes(shape.projection, shape.hidden) : 0;
  const int64_t larger = forward > backward ? forward : backward;
  return larger > projection ? larger : projection;
}

template <class T, class C>
struct ForwardWorkspace {
  C* gates[kMaxDirections] = {};        // [N, S, H], with layer normalisation [., S, H] by rank; null with save
  C* c[kMaxDirections] = {};            // [., H] of the current step, by rank; null with save, or if the cell has no c
  T* unprojected[kMaxDirections] = {};  // likewise; null with save, or without a projection
  T* operand[kMaxDirections] = {};      // likewise; null with save, or if the cell has one product
  T* y[2] = {};                         // [N, D*R] outputs of the lower layers, alternating; null with save or together
  T* dropped = nullptr;                 // [N, D*R] input of a layer, after dropout
  T* w_hh[kMaxDirections] = {};         // [GH, R] under the mask of weights; null without one
  int64_t product_bytes;                // of `product`, the workspace of a matrix product
  char* product;

  // together: all layers run in one launch.
  ForwardWorkspace(const RnnShape& shape, const RnnRows& rows, bool save, bool together, Carver& carver) {
    const int64_t width = shape.directions * features_of_h(shape);
    const CellFacts cell = cell_facts(shape.cell);
    for (int64_t d = 0; d < shape.directions && !save; ++d) {
      gates[d] = carver.take<C>((shape.layer_norm ? rows.segments : rows.tokens) * cell.saved * shape.hidden);
      if (cell.has_c) c[d] = carver.take<C>(rows.segments * shape.hidden);
      if (shape.projection > 0) unprojected[d] = carver.take<T>(rows.segments * shape.hidden);
      if (cell.second_gates > 0) operand[d] = carver.take<T>(rows.segments * shape.hidden);
    }
    for (int64_t k = 0; k < 2 && !save && !together && k + 1 < shape.layers; ++k)
      y[k] = carver.take<T>(rows.tokens * width);
    if (shape.layers > 1 && shape.dropout > 0) dropped = carver.take<T>(rows.tokens * width);
    for (int64_t d = 0; d < shape.directions && masks_weights(shape); ++d)
      w_hh[d] = carver.take<T>(recurrent_weights(shape));
    product_bytes = product_workspace_bytes(shape, rows);
    product = carver.take<char>(product_bytes);
  }
};

template <class T, class C>
struct BackwardWorkspace {
  T* dgates[kMaxDirections] = {};      // [N, G', H]; with layer normalisation those of U h
  C* dc[kMaxDirections] = {};          // [., H] of the current step, by rank; null if the cell has no c
  C* dh[kMaxDirections] = {};          // [., R] likewise: what goes straight to the step before; null if nothing does
  T* dprojected[kMaxDirections] = {};  // [N, P] the gradient of h of every token; null without a projection
  T* h_prev;                     // [N, R] the state that each token's step started from, for one direction at a time
  T* dlayer[2] = {};             // [N, D*R] gradients of the outputs of the layers below the last, alternating
  T* dropped = nullptr;          // [N, D*R]
  T* w_hh[kMaxDirections] = {};  // [GH, R] under the mask of weights; null without one
  C* dw_hh = nullptr;            // [GH, R] their gradient, for one direction at a time
  int64_t product_bytes;         // of `product`, the workspace of a matrix product
  char* product;

  BackwardWorkspace(const RnnShape& shape, const RnnRows& rows, Carver& carver) {
    const int64_t width = shape.directions * features_of_h(shape);
    const CellFacts cell = cell_facts(shape.cell);
    for (int64_t d = 0; d < shape.directions; ++d) {
      dgates[d] = carver.take<T>(rows.tokens * cell.gradients() * shape.hidden);
      if (cell.has_c) dc[d] = carver.take<C>(rows.segments * shape.hidden);
      if (cell.passes_h || shape.options.zoneout_h > 0) dh[d] = carver.take<C>(rows.segments * features_of_h(shape));
      if (shape.projection > 0) dprojected[d] = carver.take<T>(rows.tokens * shape.projection);
    }
    h_prev = carver.take<T>(rows.tokens * features_of_h(shape));
    for (int64_t k = 0; k < 2 && k + 1 < shape.layers; ++k) dlayer[k] = carver.take<T>(rows.tokens * width);
    if (shape.layers > 1 && shape.dropout > 0) dropped = carver.take<T>(rows.tokens * width);
    for (int64_t d = 0; d < shape.directions && masks_weights(shape); ++d)
      w_hh[d] = carver.take<T>(recurrent_weights(shape));
    if (masks_weights(shape)) dw_hh = carver.take<C>(recurrent_weights(shape));
    product_bytes = product_workspace_bytes(shape, rows);
    product = carver.take<char>(product_bytes);
  }
};

}  // namespace varlstm::cuda
