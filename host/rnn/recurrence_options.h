// The options of a cell as the recurrence of one layer and direction meets them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/simd/row_kernel.h"

namespace varlstm::host {

// What the options change in the recurrence of one layer and direction.
template <class T>
struct RecurrenceOptions {
  UnitOptions<T> units;                                  // in the cell's formulas
  T projection_clip = static_cast<T>(__builtin_inff());  // likewise
  Zoneout<T> projected;                                  // zoneout of a projected h; else it is in `units`
  const T* w_hh = nullptr;                               // [GH, R] W_hh under its mask; or null
  const T* state = nullptr;                              // [B, R] factors of h as it enters the product; or null
  const int64_t* sequences = nullptr;                    // [N] the sequence of each row; only with `state`
  bool clips_projection = false;
  bool in_formulas = false;  // `units` has one
  bool passes_dh = false;    // a part of dh goes straight to the state before, whatever the cell

  // Whether the recurrence differs from that without options, beside its W_hh.
  bool act() const { return in_formulas || clips_projection || projected.p > 0 || state != nullptr; }

  // h [columns], from column `first` on, under the mask of sequence b; in place is allowed.
  void mask_state(int64_t b, int64_t width, int64_t first, int64_t columns, const T* h, T* out) const {
    const T* const factors = state + b * width + first;
    for (int64_t u = 0; u < columns; ++u) out[u] = factors[u] == 0 ? T(0) : h[u] * factors[u];
  }
};

// The state after zoneout; k is the element in its mask.
template <class T>
T kept(const Zoneout<T>& zoneout, int64_t k, T before, T after) {
  if (zoneout.mask != nullptr) return zoneout.mask[k] > 0 ? before : after;
  return before * zoneout.p + after * (1 - zoneout.p);
}
template <class T>
T clipped(T value, T limit) {
  return value > limit ? limit : value < -limit ? -limit : value;
}
template <class T>
bool is_clipped(T value, T limit) {
  return value > limit || value < -limit;
}

}  // namespace varlstm::host
