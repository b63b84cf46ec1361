// The layout of the parameters of a layer in the flat buffer, of the reserve that forward writes for backward, and of
// the workspaces.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include "capi/contract/shapes.h"
#include "host/carve.h"
#include "host/cells/cells.h"
#include "host/ops/batch_plan.h"
#include "host/simd/row_kernel.h"

namespace varlstm::host {

inline constexpr int64_t kMaxDirections = 2;

// Hp, which is H rounded up: the width of a gate in internal buffers.
inline int64_t padded_units(int64_t hidden) {
  return (hidden + kUnitTile - 1) / kUnitTile * kUnitTile;
}

// R, which is the width of h: P with a projection, else H.
inline int64_t state_width(const RnnShape& shape) {
  return shape.projection != 0 ? shape.projection : shape.hidden;
}

inline int64_t layer_input(const RnnShape& shape, int64_t layer) {
  return layer == 0 ? shape.input : shape.directions * state_width(shape);
}

// The parameters of one layer and direction, with the gates in the order of varlstm.h. T may be const.
// G is the number of gates.
template <class T>
struct LayerParams {
  T* w_ih;         // [GH, in]
  T* w_hh;         // [GH, R]
  T* b_ih;         // [GH] or null
  T* b_hh;         // [GH] or null
  T* w_hr;         // [P, H] or null
  T* norm_ih;      // [GH], or null without layer normalisation
  T* norm_hh;      // [GH], likewise
  T* norm_c;       // [H], likewise; null if the cell has no c
  T* norm_c_bias;  // [H], likewise
};

template <class T>
LayerParams<T> layer_params(const RnnShape& shape, T* params, int64_t layer, int64_t direction) {
  const int64_t rows = kCellTraits[shape.cell].gates * shape.hidden;
  T* next = params;
  LayerParams<T> p{};
  for (int64_t l = 0; l <= layer; ++l)
    for (int64_t d = 0; d < (l < layer ? shape.directions : direction + 1); ++d) {
      p.w_ih = next;
      p.w_hh = p.w_ih + rows * layer_input(shape, l);
      next = p.w_hh + rows * state_width(shape);
      p.b_ih = shape.bias ? next : nullptr;
      p.b_hh = shape.bias ? next + rows : nullptr;
      if (shape.bias) next += 2 * rows;
      p.w_hr = shape.projection > 0 ? next : nullptr;
      next += shape.projection * shape.hidden;
      if (!shape.layer_norm) continue;
      p.norm_ih = next;
      p.norm_hh = p.norm_ih + rows;
      next = p.norm_hh + rows;
      if (!kCellTraits[shape.cell].has_c) continue;
      p.norm_c = next;
      p.norm_c_bias = p.norm_c + shape.hidden;
      next = p.norm_c_bias + shape.hidden;
    }
  return p;
}

// The number of elements of the flat buffer.
inline int64_t param_elements(const RnnShape& shape) {
  const auto cell = [&](int64_t layer) {
    const CellTraits& traits = kCellTraits[shape.cell];
    const int64_t columns =
        layer_input(shape, layer) + state_width(shape) + (shape.bias ? 2 : 0) + (shape.layer_norm ? 2 : 0);
    const int64_t of_c = shape.layer_norm && traits.has_c ? 2 : 0;
    return shape.hidden * (traits.gates * columns + shape.projection + of_c);
  };
  return shape.directions * (cell(0) + (shape.layers - 1) * cell(1));
}

// With this header backward checks that the reserve was written for its own call.
struct ReserveHeader {
  uint64_t magic;
  uint64_t shape_hash;  // of the shape, the order of rows and the batch's lengths
  uint64_t dropout_seed;
};

inline constexpr uint64_t kReserveMagic = 0x76617230'6c73746dULL;

inline uint64_t reserve_hash(const RnnShape& shape, const BatchPlan& batch) {
  uint64_t hash = kEmptyHash;
  const auto add = [&hash](int64_t value) { hash = add_to_hash(hash, value); };
  add(static_cast<int64_t>(shape.cell));
  add(static_cast<int64_t>(shape.dtype));
  add(shape.input);
  add(shape.hidden);
  add(shape.projection);
  add(shape.layers);
  add(shape.directions);
  add(shape.bias);
  add(shape.layer_norm);
  add(static_cast<int64_t>(shape.row_order));
  const CellOptions& options = shape.options;
  add(static_cast<int64_t>(options.recurrent_dropout_kind));
  for (const double option :
       {options.cell_clip, options.projection_clip, options.recurrent_dropout, options.zoneout_h, options.zoneout_c}) {
    int64_t bits;
    memcpy(&bits, &option, sizeof bits);
    add(bits);
  }
  add(batch.batch);
  add(*batch.lengths_hash);
  return hash;
}

struct BatchSize {
  int64_t batch;     // B
  int64_t tokens;    // N
  int64_t segments;  // of the recurrence
};

inline BatchSize size_of(const BatchPlan& plan) {
  return {plan.batch, plan.tokens, plan.segments.count};
}

// The most that batches within the bounds have.
inline BatchSize largest_size(const RnnShape& shape, const BatchBounds& bounds) {
  return {bounds.max_batch, bounds.max_tokens, bounds.max_batch + (shape.resets ? bounds.max_tokens : 0)};
}

// What forward saves for each layer: the slots and the cell state of every token, its output before a projection, and
// the output that the next layer reads. S is the number of slots. An array of cell states is null if the cell has none,
// and one of unprojected outputs if there is no projection.
template <class T>
struct Reserve {
  ReserveHeader* header;
  int64_t values_size, c_size, y_size;  // elements of one layer (and direction)
  T* values;                            // [L, D][N, S, Hp]
  T* c;                                 // [L, D][N, Hp]
  T* unprojected;                       // likewise
  T* unclipped;                         // [L, D][N, P] h before the clip of the projection; or null
  T* y;                                 // [L - 1][N, D*R]

  Reserve(const RnnShape& shape, const BatchSize& size, Carver& carver) {
    const CellTraits& cell = kCellTraits[shape.cell];
    const int64_t units = padded_units(shape.hidden);
    const int64_t entries = shape.layers * shape.directions;
    values_size = size.tokens * cell.slots * units;
    c_size = size.tokens * units;
    y_size = size.tokens * shape.directions * state_width(shape);
    header = carver.take<ReserveHeader>(1);
    values = carver.take<T>(size.tokens, cell.slots * units, entries);
    c = cell.has_c ? carver.take<T>(size.tokens, units, entries) : nullptr;
    unprojected = shape.projection > 0 ? carver.take<T>(size.tokens, units, entries) : nullptr;
    const bool clips = shape.projection > 0 && shape.options.projection_clip > 0;
    unclipped = clips ? carver.take<T>(size.tokens, shape.projection, entries) : nullptr;
    y = carver.take<T>(size.tokens, shape.directions * state_width(shape), shape.layers - 1);
  }
};

// Whether forward has the cell states of all tokens, so that they need no room by rank.
inline bool keeps_cell_states(const RnnShape& shape, bool save) {
  return save || shape.cell_states;
}

// Room for initial states [B, units] and a row of zeros before them, to which index -1 leads.
template <class T>
T* take_initial(int64_t batch, int64_t units, Carver& carver) {
  T* const states = carver.take<T>(batch + 1, units);
  return states == nullptr ? nullptr : states + units;
}

template <class T>
struct ForwardWorkspace {
  T* panels[kMaxDirections];       // W_hh, packed
  T* h_init[kMaxDirections];       // [B, Rp] h0, and a row of zeros before it
  T* c_init[kMaxDirections];       // [B, Hp] c0, likewise
  T* c[kMaxDirections];            // [., Hp] by rank: the current cell state; or [N, Hp]; not used with save
  T* values[kMaxDirections];       // [N, S, Hp]; not used with save
  T* w_hr_panels[kMaxDirections];  // W_hr, packed; only with a projection, as the next two
  T* unprojected[kMaxDirections];  // as c: the output of the current step, or of every token
  T* projected[kMaxDirections];    // [., Rp] by rank: h of a step, with padding
  T* y[2];                         // [N, D*R] outputs of the layers below the last, alternating; not used with save
  T* dropped;                      // [N, D*R] input of a layer, after dropout

  ForwardWorkspace(const RnnShape& shape, const BatchSize& size, bool save, Carver& carver) {
    const CellTraits& cell = kCellTraits[shape.cell];
    const int64_t units = padded_units(shape.hidden);
    const int64_t width = shape.directions * state_width(shape), state_units = padded_units(state_width(shape));
    const bool projects = shape.projection > 0;
    const int64_t c_rows = keeps_cell_states(shape, save) ? size.tokens : size.segments;
    for (int64_t d = 0; d < shape.directions; ++d) {
      panels[d] = carver.take<T>(cell.gates * units, state_width(shape));
      h_init[d] = take_initial<T>(size.batch, state_units, carver);
      c_init[d] = cell.has_c ? take_initial<T>(size.batch, units, carver) : nullptr;
      c[d] = save || !cell.has_c ? nullptr : carver.take<T>(c_rows, units);
      values[d] = save ? nullptr : carver.take<T>(size.tokens, cell.slots * units);
      w_hr_panels[d] = projects ? carver.take<T>(state_units, shape.hidden) : nullptr;
      unprojected[d] = projects && !save ? carver.take<T>(c_rows, units) : nullptr;
      projected[d] = projects ? carver.take<T>(size.segments, state_units) : nullptr;
    }
    for (int k = 0; k < 2; ++k) y[k] = save || shape.layers - 1 <= k ? nullptr : carver.take<T>(size.tokens, width);
    dropped = shape.layers > 1 && shape.dropout > 0 ? carver.take<T>(size.tokens, width) : nullptr;
  }
};

template <class T>
struct BackwardWorkspace {
  T* panels[kMaxDirections];        // W_hh, transposed and packed
  T* c_init[kMaxDirections];        // [B, Hp] c0, and a row of zeros before it
  T* dh[kMaxDirections];            // [., Rp] by rank
  T* dc[kMaxDirections];            // [., Hp] by rank
  T* gradients[kMaxDirections];     // [N, S, Hp]
  T* h_prev[kMaxDirections];        // [N, R] hidden state before each token's step
  T* w_hr_panels[kMaxDirections];   // W_hr, transposed and packed; only with a projection, as the next two
  T* dh_of_token[kMaxDirections];   // [N, P]
  T* dunprojected[kMaxDirections];  // [., Hp] by rank: of the current step
  T* dlayer[2];                     // [N, D*R] gradients of the outputs of the layers below the last, alternating
  T* dropped;                       // [N, D*R]
  T* dinput;                        // [N, in] the second direction's part of the gradient of a layer's input

  BackwardWorkspace(const RnnShape& shape, const BatchSize& size, Carver& carver) {
    const CellTraits& cell = kCellTraits[shape.cell];
    const int64_t units = padded_units(shape.hidden);
    const int64_t width = shape.directions * state_width(shape), state_units = padded_units(state_width(shape));
    const bool projects = shape.projection > 0;
    for (int64_t d = 0; d < shape.directions; ++d) {
      panels[d] = carver.take<T>(cell.gates * units, state_units);
      c_init[d] = cell.has_c ? take_initial<T>(size.batch, units, carver) : nullptr;
      dh[d] = carver.take<T>(size.segments, state_units);
      dc[d] = cell.has_c ? carver.take<T>(size.segments, units) : nullptr;
      gradients[d] = carver.take<T>(size.tokens, cell.slots * units);
      h_prev[d] = carver.take<T>(size.tokens, state_width(shape));
      w_hr_panels[d] = projects ? carver.take<T>(units, shape.projection) : nullptr;
      dh_of_token[d] = projects ? carver.take<T>(size.tokens, shape.projection) : nullptr;
      dunprojected[d] = projects ? carver.take<T>(size.segments, units) : nullptr;
    }
    for (int k = 0; k < 2; ++k) dlayer[k] = shape.layers - 1 <= k ? nullptr : carver.take<T>(size.tokens, width);
    dropped = shape.layers > 1 && shape.dropout > 0 ? carver.take<T>(size.tokens, width) : nullptr;
    const int64_t widest = shape.layers > 1 && width > shape.input ? width : shape.input;
    dinput = shape.directions > 1 ? carver.take<T>(size.tokens, widest) : nullptr;
  }
};

}  // namespace varlstm::host
