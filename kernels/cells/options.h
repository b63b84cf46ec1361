// Where the options of a cell act in its formulas: a cell calls these functions. Zoneout acts outside of the formulas
// (kernels/recurrence/stepwise/cell_options.h).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arch/device.h"

namespace varlstm::cuda {

// A dropped value is 0 whatever it was.
template <class C>
VARLSTM_DEVICE C times_factor(C value, C factor) {
  return factor == C(0) ? C(0) : value * factor;
}

// The value in [-limit, limit]. A NaN stays a NaN.
template <class C>
VARLSTM_DEVICE C clipped(C value, C limit) {
  return value > limit ? limit : value < -limit ? -limit : value;
}
template <class C>
VARLSTM_DEVICE bool is_clipped(C value, C limit) {
  return value > limit || value < -limit;
}

// No options. It is also the argument of kernels that run without any.
struct NoOptions {
  static constexpr bool kAct = false;

  // The candidate, or its gradient, under its dropout.
  template <class C>
  VARLSTM_DEVICE static C candidate(C value) {
    return value;
  }
  template <class C>
  VARLSTM_DEVICE static C clip(C c) {
    return c;
  }
  // The gradient of c before the clip.
  template <class C>
  VARLSTM_DEVICE static C clip_gradient(C, C gradient) {
    return gradient;
  }
  // c before the clip, in backward: `saved` is what the step has left as c, and again() computes it from the gates.
  template <class C, class Again>
  VARLSTM_DEVICE static C c_after(C saved, const Again&) {
    return saved;
  }
};

// The options at one unit of one token.
template <class C>
struct UnitOptions {
  C candidate_factor;  // 1 without dropout of the candidate; 0 drops it, whatever it is
  C cell_clip;         // infinity without a clip
  bool c_is_saved;     // neither a clip nor zoneout has changed c after the formula

  VARLSTM_DEVICE C candidate(C value) const { return times_factor(value, candidate_factor); }
  VARLSTM_DEVICE C clip(C c) const { return clipped(c, cell_clip); }
  VARLSTM_DEVICE C clip_gradient(C c, C gradient) const { return is_clipped(c, cell_clip) ? C(0) : gradient; }
  template <class Again>
  VARLSTM_DEVICE C c_after(C saved, const Again& again) const {
    return c_is_saved ? saved : again();
  }
};

}  // namespace varlstm::cuda
