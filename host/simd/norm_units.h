// The accessors of option_units.h for a cell with c under layer normalisation: its formulas run in two parts, since h
// is computed from the normalisation of the whole row of c'. Everything has internal linkage; row_kernel_impl.h says
// why.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/simd/option_units.h"

namespace varlstm::host {
namespace {

template <class T, int Lanes>
struct NormForwardUnits : OptionForwardUnits<T, Lanes> {
  using Vector = Vec<T, Lanes>;
  static constexpr bool kNormalises = true;
  using OptionForwardUnits<T, Lanes>::OptionForwardUnits;

  void keep_c(Vector c) const { store<T, Lanes>(c_hat(), c); }
  // c' as tanh reads it.
  Vector normalised_c() const {
    const CellForward<T>& step = this->p;
    const int64_t valid = step.valid_units - this->u;
    return load<T, Lanes>(c_hat()) * load_valid<T, Lanes>(step.norm_c + this->u, valid) +
           load_valid<T, Lanes>(step.norm_c_bias + this->u, valid);
  }

 private:
  T* c_hat() const { return this->p.c_hat + row_at(this->p.c_hat_rows, this->r) * this->p.c_hat_ld + this->u; }
};

template <class T, int Lanes>
struct NormBackwardUnits : OptionBackwardUnits<T, Lanes> {
  using Vector = Vec<T, Lanes>;
  static constexpr bool kNormalises = true;
  using OptionBackwardUnits<T, Lanes>::OptionBackwardUnits;

  Vector normalised_c() const {
    const CellBackward<T>& step = this->p;
    const int64_t valid = step.valid_units - this->u;
    return load<T, Lanes>(step.c_hat + this->row * step.c_hat_ld + this->u) *
               load_valid<T, Lanes>(step.norm_c + this->u, valid) +
           load_valid<T, Lanes>(step.norm_c_bias + this->u, valid);
  }
  // The gradient of normalised_c(), and what comes of it for c'.
  void keep_normalised_gradient(Vector v) const {
    store<T, Lanes>(this->p.dnormalised + this->row * this->p.c_hat_ld + this->u, v);
  }
  Vector dc_of_output() const { return load<T, Lanes>(this->p.dc_of_output + this->segment * this->p.dc_ld + this->u); }
};

}  // namespace
}  // namespace varlstm::host
