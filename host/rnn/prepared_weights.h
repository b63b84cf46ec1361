// The weights of an rnn, packed once for many calls (varlstm_rnn_prepare): the panels that each call would else pack
// for itself. Results have the same bits.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/backend.h"
#include "host/carve.h"
#include "host/gemm/row_product.h"
#include "host/rnn/recurrence_backward.h"
#include "host/rnn/recurrence_forward.h"
#include "host/rnn/rnn_layout.h"
#include "host/simd/scalar16.h"

namespace varlstm::host {

// Those of one layer and direction. Null is what is not there: all, if nothing has been prepared.
template <class T>
struct PreparedWeights {
  T* w_ih = nullptr;
  T* w_hh = nullptr;
  T* w_hr = nullptr;
  T* backward_w_ih = nullptr;  // these three only if backward has been prepared too
  T* backward_w_hh = nullptr;
  T* backward_w_hr = nullptr;
};

// The product of x with W_ih: all but the rows.
template <class T>
RowProduct<T> input_product(const RnnShape& shape, int64_t layer, const T* w_ih) {
  const CellTraits& cell = kCellTraits[shape.cell];
  RowProduct<T> product;
  product.columns = shape.hidden;
  product.groups = cell.gates;
  product.group_slots = cell.input_slot.of;
  product.group_stride = padded_units(shape.hidden);
  product.segment = layer_input(shape, layer);
  product.weight = w_ih;
  product.transposed_weight = true;
  return product;
}

// The product of the gradients of the sums with W_ih, which gives dx: likewise.
template <class T>
RowProduct<T> input_gradient_product(const RnnShape& shape, int64_t layer, const T* w_ih) {
  const CellTraits& cell = kCellTraits[shape.cell];
  RowProduct<T> product;
  product.columns = layer_input(shape, layer);
  product.segment = shape.hidden;
  product.segments = cell.gates;
  product.segment_slots = cell.input_slot.of;
  product.segment_stride = padded_units(shape.hidden);
  product.weight = w_ih;
  return product;
}

// Takes the places of one layer and direction, after those of all before it.
template <class T>
PreparedWeights<T> prepared_weights(const RnnShape& shape, bool save, int64_t layer, int64_t direction,
                                    Carver& carver) {
  const int64_t gates = kCellTraits[shape.cell].gates, units = padded_units(shape.hidden);
  const int64_t state = state_width(shape), state_units = padded_units(state);
  PreparedWeights<T> p;
  for (int64_t l = 0; l <= layer; ++l)
    for (int64_t d = 0; d < (l < layer ? shape.directions : direction + 1); ++d) {
      const T* const no_weight = nullptr;
      p.w_ih = carver.take<T>(packed_elements(input_product(shape, l, no_weight)));
      p.w_hh = carver.take<T>(gates * units, state);
      p.w_hr = shape.projection > 0 ? carver.take<T>(state_units, shape.hidden) : nullptr;
      if (!save) continue;
      p.backward_w_ih = carver.take<T>(packed_elements(input_gradient_product(shape, l, no_weight)));
      p.backward_w_hh = carver.take<T>(gates * units, state_units);
      p.backward_w_hr = shape.projection > 0 ? carver.take<T>(units, shape.projection) : nullptr;
    }
  return p;
}

template <class T>
PreparedWeights<T> prepared_weights(const RnnShape& shape, const PreparedRnn& prepared, int64_t layer,
                                    int64_t direction) {
  if (prepared.memory == nullptr) return {};
  Carver carver(const_cast<void*>(prepared.memory));  // it is only read
  return prepared_weights<T>(shape, prepared.save, layer, direction, carver);
}

template <class T>
int64_t prepared_bytes(const RnnShape& shape, bool save) {
  Carver carver(nullptr);
  prepared_weights<T>(shape, save, shape.layers - 1, shape.directions - 1, carver);
  return carver.bytes();
}

template <class T>
void prepare_weights(int64_t threads, const RnnShape& shape, const T* params, const PreparedRnn& prepared) {
  const auto for_members = [&](int64_t work, const auto& pack) {
    const int members = work < kThreadedWork ? 1 : thread_count(threads, shape.hidden);
    parallel_for(members, members, [&](int64_t rank) { pack(member_of_part(rank, members)); });
  };
  for (int64_t layer = 0; layer < shape.layers; ++layer)
    for (int64_t d = 0; d < shape.directions; ++d) {
      const LayerParams<const T> of_layer = layer_params(shape, params, layer, d);
      const PreparedWeights<T> places = prepared_weights<T>(shape, prepared, layer, d);
      const int64_t work = kCellTraits[shape.cell].gates * shape.hidden * state_width(shape);
      pack_weight(threads, input_product(shape, layer, of_layer.w_ih), places.w_ih);
      RecurrenceForward<T> forward{};
      forward.cell = shape.cell;
      forward.by_segment = true;
      forward.hidden = shape.hidden;
      forward.units = padded_units(shape.hidden);
      forward.state = state_width(shape);
      forward.w_hh = of_layer.w_hh;
      forward.packed_w_hh = places.w_hh;
      forward.w_hr = of_layer.w_hr;
      forward.packed_w_hr = places.w_hr;
      for_members(work, [&](const Member& member) { pack_forward(forward, member, {true, true}); });
      if (!prepared.save) continue;
      pack_weight(threads, input_gradient_product(shape, layer, of_layer.w_ih), places.backward_w_ih);
      RecurrenceBackward<T> backward{};
      backward.cell = shape.cell;
      backward.by_segment = true;
      backward.hidden = shape.hidden;
      backward.state = state_width(shape);
      backward.w_hh = of_layer.w_hh;
      backward.packed_w_hh = places.backward_w_hh;
      backward.w_hr = of_layer.w_hr;
      backward.packed_w_hr = places.backward_w_hr;
      for_members(work, [&](const Member& member) { pack_backward(backward, member, {true, true}); });
    }
}

// Prepared params of 16 bits: the params in float, and after them what is prepared of these.
struct PreparedFloats {
  float* params;  // null if nothing is prepared
  PreparedRnn prepared;

  PreparedFloats(const RnnShape& shape, const PreparedRnn& of_16bit) : params(nullptr), prepared(of_16bit) {
    if (of_16bit.memory == nullptr) return;
    Carver carver(const_cast<void*>(of_16bit.memory));
    params = carver.take<float>(param_elements(shape));
    prepared.memory = static_cast<const char*>(of_16bit.memory) + carver.bytes();
  }
};

inline int64_t prepared_bytes_16bit(const RnnShape& shape, bool save) {
  Carver carver(nullptr);
  carver.take<float>(param_elements(shape));
  int64_t bytes = prepared_bytes<float>(shape, save);
  return __builtin_add_overflow(bytes, carver.bytes(), &bytes) ? INT64_MAX : bytes;
}

template <class T>
void prepare_16bit(int64_t threads, const RnnShape& shape, const T* params, const PreparedRnn& prepared) {
  const PreparedFloats floats(shape, prepared);
  convert(param_elements(shape), params, floats.params);
  prepare_weights<float>(threads, shape, floats.params, floats.prepared);
}

}  // namespace varlstm::host
