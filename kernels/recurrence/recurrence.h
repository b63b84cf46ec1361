// The arguments and the launchers of one layer's recurrence on the device, both directions together. T is the dtype; C
// is the type that T is computed in. The rows of a tensor of N rows are in the layer's row_order. G, S and G' are a
// cell's gates, the values of a unit that it saves, and the gradients of a unit that it stores: 4 each for the LSTM
// (kernels/cells/unit.h). R is the number of features of h: P if it is projected, else H. Only the stepwise recurrence
// projects.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arch/fragments.h"
#include "kernels/core/stream.h"
#include "kernels/recurrence/layer_options.h"
#include "kernels/recurrence/rnn_layout.h"
#include "kernels/selection/resident_tiles.h"

namespace varlstm::cuda {

// The arguments of forward for one direction.
template <class T, class C>
struct DirectionForward {
  const T* w_hh;   // [GH, R]
  const T* b_hh;   // [GH]; null if there is none, or if it is part of the x-gates
  const T* w_hr;   // [P, H]; null if h is not projected
  const T* h0;     // [B, R] in the caller's order, or null
  const T* c0;     // [B, H] likewise
  C* gates;        // [N, S, H] in: the x-gates, which are the first G of the S; out: what backward needs, if `save`
  C* c;            // [N, H] by row if `save`, else [., H] by rank; null if the cell has no c
  T* unprojected;  // [N, H] by row if `save`, else [., H] by rank; null if h is not projected
  T* operand;      // likewise: what a second product multiplies; null if the cell has one product
  T* y;            // [N, ldy]: this direction's columns
  T* h_n;          // [B, R] in the caller's order, or null
  T* c_n;          // [B, H] likewise
};

template <class T, class C>
struct LayerForward {
  using Scalar = T;
  using Compute = C;
  BatchPlan plan;
  RowOrder row_order;
  int64_t hidden;
  int64_t state;  // R
  int64_t directions;
  int64_t ldy;
  bool save;      // saves activations in gates, and c by row
  T* c_of_token;  // [N, D*H] c of every token, or null: not wanted; stepwise only
  DirectionForward<T, C> direction[kMaxDirections];
};

// The input parameters of a stacked layer, whose input is the output of the layer below.
template <class T>
struct StackedInput {
  const T* w_ih;  // [GH, H]
  const T* b_ih;  // [GH], or null
  const T* b_hh;  // likewise
};

// Forward of several layers of one direction in one launch, from the lowest. The gates of the layers above the lowest
// may be null if nothing is saved; so may y of all layers but the highest.
template <class T>
struct StackForward {
  using Scalar = T;
  int64_t count;
  LayerForward<T, float> layers[kMaxStackedLayers];
  StackedInput<T> inputs[kMaxStackedLayers];  // unused for the lowest
  simt::b32x2* handover;  // [count - 1][rows][handover_words], of each layer but the highest; then a counter of teams
  int64_t rows;           // N, or its bound if only the device knows N
};

// Runs all steps: one launch for each, or two if h is projected or the cell has two products. If h_n or c_n is wanted,
// one more launch writes them.
template <class T, class C>
int32_t stepwise_forward(Stream stream, Cell cell, const LayerForward<T, C>& layer, const LayerOptions<C>& options);

// The launch that writes h_n and c_n, if they are wanted.
template <class T, class C>
int32_t store_final_states(Stream stream, const LayerForward<T, C>& layer);

// The arguments of backward for one direction.
template <class T, class C>
struct DirectionBackward {
  const T* w_hh;
  const T* w_hr;  // null if h is not projected
  const T* h0;
  const T* c0;
  const C* gates;    // [N, S, H] what forward saved
  const C* c;        // [N, H], or null if the cell has no c
  const T* y;        // [N, ldy]: this direction's columns
  const T* dy;       // [N, ldy], or null
  const T* dh_n;     // [B, R] in the caller's order, or null
  const T* dc_n;     // [B, H] likewise
  const T* operand;  // [N, H], or null if the cell has one product
  T* dprojected;     // [N, P] the gradient of each token's h; null if h is not projected
  T* dgates;         // [N, G', H]
  C* dc;             // [., H] by rank; null if the cell has no c
  C* dh;             // [., R] by rank: what goes straight to the step before; null if nothing does
  T* dh0;            // [B, R] in the caller's order, or null
  T* dc0;            // [B, H] likewise
};

template <class T, class C>
struct LayerBackward {
  using Scalar = T;
  using Compute = C;
  BatchPlan plan;
  RowOrder row_order;
  int64_t hidden;
  int64_t state;  // R
  int64_t directions;
  int64_t ldy;
  const T* dc_of_token;  // [N, D*H] the gradient of c of every token, or null: zeros; stepwise only
  int32_t in_pairs;      // not 0: the units 2 k and 2 k + 1 may be accessed together (has_pairs); resident only
  DirectionBackward<T, C> direction[kMaxDirections];
};

// Whether every row of every tensor begins at a multiple of two elements. The caller's tensors may begin at any
// element; those of the workspace and the reserve are aligned to more.
template <class T, class C>
bool has_pairs(const LayerBackward<T, C>& layer) {
  bool aligned = layer.hidden % 2 == 0 && layer.ldy % 2 == 0;
  for (int64_t d = 0; d < layer.directions; ++d) {
    const T* const tensors[] = {layer.direction[d].y, layer.direction[d].dy};
    for (const T* tensor : tensors) aligned = aligned && reinterpret_cast<uintptr_t>(tensor) % (2 * sizeof(T)) == 0;
  }
  return aligned;
}

// Runs all steps in reverse: one launch for each, or two if h is projected or the cell has two products. If dh0 or dc0
// is wanted, one more launch writes them.
template <class T, class C>
int32_t stepwise_backward(Stream stream, Cell cell, const LayerBackward<T, C>& layer, const LayerOptions<C>& options);

// The launch that writes dh0 and dc0, if they are wanted.
template <class T, class C>
int32_t store_initial_gradients(Stream stream, Cell cell, const LayerBackward<T, C>& layer,
                                const LayerOptions<C>& options);

// h_prev [N, R] <- the state that each token's step of that direction started from, as it entered the product.
template <class T, class C>
int32_t gather_previous(Stream stream, const LayerBackward<T, C>& layer, const LayerOptions<C>& options,
                        int64_t direction, T* h_prev);

// The number of steps of each team in a schedule that forward has kept, and where backward takes them from it.
struct KeptSteps {
  const int64_t* from;
  int64_t* to;
  int64_t teams;  // or 0: nothing was kept
};

// What backward checks. BadValue::kReserve is raised unless a forward of that shape, those lengths and that row order
// wrote the header. steps.to <- steps.from, or zeros if the header is not such a forward's, so that no kernel follows
// what is no schedule.
struct HeaderToCheck {
  const ReserveHeader* header;  // or null: none
  uint64_t shape_hash;
  const int64_t* lengths_hash;
  KeptSteps steps;
  DeviceStatus* status;
};

// Each in a launch of its own, for calls in which no other kernel does it. Both are in rnn_params.cu.
int32_t write_reserve_header(Stream stream, const BatchPlan& plan, const HeaderToWrite& header);
int32_t check_reserve_header(Stream stream, const HeaderToCheck& check);

}  // namespace varlstm::cuda
