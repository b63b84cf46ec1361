// What a cell's formulas read and write of one vector of units, and the loops over rows and vectors. Everything has
// internal linkage; row_kernel_impl.h says why. The formulas in host/cells are compiled for these types alone, so they
// have it too.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/simd/row_kernel.h"
#include "host/simd/vector_math.h"

namespace varlstm::host {
namespace {

// The first `valid` units of a vector that may have padding.
template <class T, int Lanes>
inline Vec<T, Lanes> load_valid(const T* p, int64_t valid) {
  return valid > 0 ? load_lanes<T, Lanes>(p, valid < Lanes ? valid : Lanes) : Vec<T, Lanes>{};
}

template <class T, int Lanes>
struct UnitMath {
  using Vector = Vec<T, Lanes>;
  static Vector all(T x) { return broadcast<T, Lanes>(x); }
  static Vector sigmoid(Vector x) { return host::sigmoid<T, Lanes>(x); }
  static Vector tanh(Vector x) { return tanh_of<T, Lanes>(x); }

  // Without options.
  static Vector candidate(Vector v) { return v; }
  static Vector clip(Vector c) { return c; }
  static constexpr bool kNormalises = false;  // c' before it is used
};

// The units u, u + 1, ... of row r of a step.
template <class T, int Lanes>
struct ForwardUnits : UnitMath<T, Lanes> {
  using Vector = Vec<T, Lanes>;
  const CellForward<T>& p;
  int64_t r, u;
  T* values;

  ForwardUnits(const CellForward<T>& step, int64_t row, int64_t unit)
      : p(step), r(row), u(unit), values(step.values + row_at(step.now, row) * step.values_ld + unit) {}
  Vector value(int slot) const { return load<T, Lanes>(values + slot * p.slot_stride); }  // the sum
  void keep(int slot, Vector v) const { store<T, Lanes>(values + slot * p.slot_stride, v); }
  Vector h_before() const {
    return p.h_prev == nullptr ? Vector{}
                               : load_valid<T, Lanes>(p.h_prev + row_at(p.before, r) * p.h_prev_ld + u, valid());
  }
  Vector c_before() const { return load<T, Lanes>(p.c_prev + row_at(p.c_before, r) * p.c_prev_ld + u); }
  void set_c(Vector v) const { store<T, Lanes>(p.c + row_at(p.c_now, r) * p.c_ld + u, v); }
  void set_h(Vector v) const {
    if (valid() > 0)
      store_lanes<T, Lanes>(p.h + row_at(p.h_rows, r) * p.h_ld + u, v, valid() < Lanes ? valid() : Lanes);
  }

 private:
  int64_t valid() const { return p.valid_units - u; }
};

template <class T, int Lanes>
struct BackwardUnits : UnitMath<T, Lanes> {
  using Vector = Vec<T, Lanes>;
  const CellBackward<T>& p;
  int64_t row, segment;  // of the tensors by token, and of dh and dc
  int64_t r, u;

  BackwardUnits(const CellBackward<T>& step, int64_t at, int64_t unit)
      : p(step), row(row_at(step.now, at)), segment(row_at(step.segments, at)), r(at), u(unit) {}
  Vector value(int slot) const { return load<T, Lanes>(p.values + row * p.values_ld + slot * p.slot_stride + u); }
  Vector h_before() const { return load_valid<T, Lanes>(p.h_prev + row * p.h_prev_ld + u, p.valid_units - u); }
  // The saved c, which `again` would compute once more.
  template <class Again>
  Vector c_after(const Again&) const {
    return load<T, Lanes>(p.c + row * p.c_ld + u);
  }
  static Vector clip_gradient(Vector, Vector gradient) { return gradient; }
  Vector c_before() const { return load<T, Lanes>(p.c_prev + row_at(p.c_before, r) * p.c_prev_ld + u); }
  Vector dc() const { return load<T, Lanes>(p.dc + segment * p.dc_ld + u); }
  void pass_dc(Vector v) const { store<T, Lanes>(p.dc + segment * p.dc_ld + u, v); }
  void pass_dh(Vector v) const { store<T, Lanes>(p.dh + segment * p.dh_ld + u, v); }
  void pass_operand(Vector v) const {
    T* const dh = p.dh + segment * p.dh_ld + u;
    store<T, Lanes>(dh, p.adds_operand ? load<T, Lanes>(dh) + v : v);
  }
  Vector gradient(int slot) const {
    return load<T, Lanes>(p.gradients + row * p.gradients_ld + slot * p.slot_stride + u);
  }
  void set_gradient(int slot, Vector v) const {
    store<T, Lanes>(p.gradients + row * p.gradients_ld + slot * p.slot_stride + u, v);
  }
  // The gradient of h of this step.
  Vector dh() const {
    Vector v = load<T, Lanes>(p.dh + segment * p.dh_ld + u);
    const int64_t valid = p.valid_units - u;
    if (p.dy != nullptr && valid > 0)
      v += load_lanes<T, Lanes>(p.dy + row * p.dy_ld + u, valid < Lanes ? valid : Lanes);
    return v;
  }
};

template <class Room, class T, int Lanes, template <class, int> class Units = ForwardUnits>
void cell_forward(const CellForward<T>& p) {
  constexpr int64_t kAhead = 8;
  constexpr int kSlots = Room::traits().slots;
  for (int64_t row = 0; row < p.rows; ++row) {
    // No hardware foresees listed rows. In a function of its own GCC would remove the prefetches.
    if (p.now.list != nullptr && row + kAhead < p.rows) {
      const T* const next = p.values + row_at(p.now, row + kAhead) * p.values_ld;
      for (int slot = 0; slot < kSlots; ++slot)
        for (int64_t u = 0; u < p.units; u += 64 / sizeof(T)) __builtin_prefetch(next + slot * p.slot_stride + u, 1);
    }
    for (int64_t u = 0; u < p.units; u += Lanes) Room::forward(Units<T, Lanes>(p, row, u));
  }
}

template <class Room, class T, int Lanes, template <class, int> class Units = BackwardUnits>
void cell_backward(const CellBackward<T>& p) {
  for (int64_t row = 0; row < p.rows; ++row)
    for (int64_t u = 0; u < p.units; u += Lanes) Room::backward(Units<T, Lanes>(p, row, u));
}

template <class Room, class T, int Lanes>
void cell_operand(const CellForward<T>& p) {
  for (int64_t row = 0; row < p.rows; ++row)
    for (int64_t u = 0; u < p.units; u += Lanes) Room::operand(ForwardUnits<T, Lanes>(p, row, u));
}

template <class Room, class T, int Lanes>
void cell_operand_backward(const CellBackward<T>& p) {
  for (int64_t row = 0; row < p.rows; ++row)
    for (int64_t u = 0; u < p.units; u += Lanes) Room::operand_backward(BackwardUnits<T, Lanes>(p, row, u));
}

}  // namespace
}  // namespace varlstm::host
