// The accessors of cell_units.h for a network with options of a cell: what a formula calls here is where the option
// acts. Everything has internal linkage; row_kernel_impl.h says why.
//
// Zoneout: the state is kept(before, after). So the gradient of a state has a part that goes straight to the state
// before, and only the rest reaches the formulas. Any cell passes a gradient of h then.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/simd/cell_units.h"
#include "host/simd/row_kernel.h"

namespace varlstm::host {
namespace {

// The options at the units u, u + 1, ... of one row of the tensors by token.
template <class T, int Lanes>
struct OptionsOfUnits {
  using Vector = Vec<T, Lanes>;
  const UnitOptions<T>& options;
  int64_t row, unit;

  Vector candidate(Vector v) const {
    if (options.candidate == nullptr) return v;
    const Vector zero = {}, factor = load<T, Lanes>(options.candidate + row * options.candidate_ld + unit);
    return factor == zero ? zero : v * factor;
  }
  // A NaN stays a NaN.
  Vector clip(Vector c) const {
    const Vector high = broadcast<T, Lanes>(options.cell_clip), low = -high;
    return c > high ? high : c < low ? low : c;
  }
  Vector clip_gradient(Vector c, Vector gradient) const {
    const Vector high = broadcast<T, Lanes>(options.cell_clip), zero = {};
    return c > high ? zero : c < -high ? zero : gradient;
  }
  Vector kept(const Zoneout<T>& zoneout, Vector before, Vector after) const {
    if (zoneout.mask != nullptr) return zoneout_mask(zoneout) > Vector{} ? before : after;
    return before * zoneout.p + after * (1 - zoneout.p);
  }
  // The parts of a state's gradient.
  Vector to_before(const Zoneout<T>& zoneout, Vector gradient) const {
    if (zoneout.mask != nullptr) return zoneout_mask(zoneout) > Vector{} ? gradient : Vector{};
    return gradient * zoneout.p;
  }
  Vector to_after(const Zoneout<T>& zoneout, Vector gradient) const {
    if (zoneout.mask != nullptr) return zoneout_mask(zoneout) > Vector{} ? Vector{} : gradient;
    return gradient * (1 - zoneout.p);
  }

 private:
  Vector zoneout_mask(const Zoneout<T>& zoneout) const {
    return load<T, Lanes>(zoneout.mask + row * zoneout.mask_ld + unit);
  }
};

template <class T, int Lanes>
struct OptionForwardUnits : ForwardUnits<T, Lanes> {
  using Vector = Vec<T, Lanes>;
  using Plain = ForwardUnits<T, Lanes>;
  OptionsOfUnits<T, Lanes> at;

  OptionForwardUnits(const CellForward<T>& step, int64_t row, int64_t unit)
      : Plain(step, row, unit), at{*step.options, row_at(step.now, row), step.unit + unit} {}
  Vector candidate(Vector v) const { return at.candidate(v); }
  Vector clip(Vector c) const { return at.clip(c); }
  void set_c(Vector v) const {
    const Zoneout<T>& zoneout = at.options.c;
    Plain::set_c(zoneout.p > 0 ? at.kept(zoneout, Plain::c_before(), v) : v);
  }
  void set_h(Vector v) const {
    const Zoneout<T>& zoneout = at.options.h;
    Plain::set_h(zoneout.p > 0 ? at.kept(zoneout, Plain::h_before(), v) : v);
  }
};

// A formula calls dh() before pass_dh(), dc() before pass_dc(), and each of them once.
template <class T, int Lanes>
struct OptionBackwardUnits : BackwardUnits<T, Lanes> {
  using Vector = Vec<T, Lanes>;
  using Plain = BackwardUnits<T, Lanes>;
  OptionsOfUnits<T, Lanes> at;

  OptionBackwardUnits(const CellBackward<T>& step, int64_t row_of_step, int64_t unit)
      : Plain(step, row_of_step, unit), at{*step.options, Plain::row, step.unit + unit} {}
  Vector candidate(Vector v) const { return at.candidate(v); }
  Vector clip(Vector c) const { return at.clip(c); }
  Vector clip_gradient(Vector c, Vector gradient) const { return at.clip_gradient(c, gradient); }
  // c before the clip and zoneout, which the saved c does not tell.
  template <class Again>
  Vector c_after(const Again& again) const {
    return again();
  }
  Vector dh() const { return split(at.options.h, Plain::dh(), this->p.dh + this->segment * this->p.dh_ld + this->u); }
  Vector dc() const { return split(at.options.c, Plain::dc(), this->p.dc + this->segment * this->p.dc_ld + this->u); }
  void pass_dh(Vector v) const { pass(at.options.h, v, this->p.dh + this->segment * this->p.dh_ld + this->u); }
  void pass_dc(Vector v) const { pass(at.options.c, v, this->p.dc + this->segment * this->p.dc_ld + this->u); }

 private:
  // *to_before <- the part of the gradient that goes straight to the state before; returns the rest.
  Vector split(const Zoneout<T>& zoneout, Vector gradient, T* to_before) const {
    if (!(zoneout.p > 0)) return gradient;
    store<T, Lanes>(to_before, at.to_before(zoneout, gradient));
    return at.to_after(zoneout, gradient);
  }
  void pass(const Zoneout<T>& zoneout, Vector v, T* to_before) const {
    store<T, Lanes>(to_before, zoneout.p > 0 ? load<T, Lanes>(to_before) + v : v);
  }
};

}  // namespace
}  // namespace varlstm::host
