// The kernels of a step: one token of each of B streams, whose states are in rows of a table. See step.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/core/stream.h"
#include "kernels/recurrence/layer_options.h"

namespace varlstm::cuda {

// rows [B] <- slots [B], or -1 for a stream whose slot is not in [0, S) or belongs to an earlier stream. Such a stream
// raises BadValue::kSlot. owner [S] is scratch.
struct SlotCheck {
  int64_t streams;
  int64_t table_slots;
  const int64_t* slots;
  unsigned long long* owner;
  int64_t* rows;
};

int32_t check_slots(Stream stream, const SlotCheck& check);

// One layer of a step. T is the dtype; C is the type that T is computed in; S' is the number of values of a unit that
// the cell saves, whose first G are the x-gates.
template <class T, class C>
struct StepLayer {
  int64_t streams;
  int64_t hidden;
  int64_t features;     // R: of h
  const int64_t* rows;  // [B]
  const T* w_hh;        // [GH, R]
  const T* b_hh;        // [GH]; null if there is none, or if it is part of the x-gates
  C* gates;             // [B, S', H]; a first product writes what it makes of its x-gates
  T* operand;           // [B, H] of a second product; null if the cell has one
  const T* h;           // [S, R] this layer's part of the table
  C* c;                 // [S, H] likewise, in and out; null if the cell has no c
  T* y;                 // [B, H] the states after the step, or what is still to be projected; 0 where the row is -1
};

// The options have no seed.
template <class T, class C>
int32_t step_layer(Stream stream, Cell cell, const StepLayer<T, C>& layer, const LayerOptions<C>& options);

// The table's rows of h of all layers <- the layers' outputs.
template <class T>
struct StoredStates {
  int64_t layers, streams, table_slots, features;
  const int64_t* rows;  // [B]; nothing is stored where it is -1
  const T* below;       // [L - 1, B, R] the outputs of the layers below the last
  const T* last;        // [B, R]
  T* h;                 // [L, S, R]
};

template <class T>
int32_t store_states(Stream stream, const StoredStates<T>& states);

}  // namespace varlstm::cuda
