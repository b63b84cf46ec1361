// The cells as the resident kernels take them: one kernel for the LSTM, one for the GRU, and one for both RNNs.
//
// An RNN with tanh and one with a rectifier differ in one function of a unit, but their kernels take as long to compile
// as any other. So they share a kernel, RnnCell, whose units choose the function by the kind of the layer's cell. The
// choice is the same for all threads of a launch.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "kernels/cells/cells.h"

namespace varlstm::cuda {

struct RnnCell {
  static constexpr int kGates = 1, kSaved = 1, kStateGates = 0;
  static constexpr bool kHasC = false, kStateBias = false, kPassesH = false, kReadsH = false;
  template <class C>
  using Factors = UnitValues<C, 1>;
};

template <class CellType>
constexpr bool kIsRnn = std::is_same<CellType, RnnCell>::value;

static_assert(RnnTanhCell::kSaved == RnnCell::kSaved && RnnReluCell::kSaved == RnnCell::kSaved, "what RnnCell says");

// Forward of one unit of a cell of that kind.
template <class CellType, class Functions, class C>
VARLSTM_DEVICE UnitStep<CellType, C> forward_unit(Cell kind, const UnitValues<C, CellType::kGates>& x,
                                                  const UnitValues<C, CellType::kGates>& s,
                                                  const UnitState<C>& before) {
  if constexpr (!kIsRnn<CellType>) {
    return CellType::template forward<Functions>(x, s, before);
  } else if (kind == Cell::kRnnRelu) {
    const auto step = RnnReluCell::forward<Functions>(x, s, before);
    return {step.saved, step.after};
  } else {
    const auto step = RnnTanhCell::forward<Functions>(x, s, before);
    return {step.saved, step.after};
  }
}

// What the gradients of one unit are multiplied by, which is known before them.
template <class CellType, class C>
using BackwardFactors = typename CellType::template Factors<C>;

template <class CellType, class Functions, class C>
VARLSTM_DEVICE BackwardFactors<CellType, C> backward_factors(Cell kind, const UnitValues<C, CellType::kSaved>& saved,
                                                             const UnitState<C>& before, const UnitState<C>& after) {
  if constexpr (!kIsRnn<CellType>) {
    return CellType::template factors<Functions>(saved, before, after);
  } else {
    return kind == Cell::kRnnRelu ? RnnReluCell::factors<Functions>(saved, before, after)
                                  : RnnTanhCell::factors<Functions>(saved, before, after);
  }
}

// Backward of one unit of a cell of that kind.
template <class CellType, class C>
VARLSTM_DEVICE UnitValues<C, kGradientsOf<CellType>> backward_unit(Cell kind, const BackwardFactors<CellType, C>& by,
                                                                   UnitState<C>* gradient) {
  if constexpr (!kIsRnn<CellType>) {
    return CellType::backward(by, gradient);
  } else {
    return kind == Cell::kRnnRelu ? RnnReluCell::backward(by, gradient) : RnnTanhCell::backward(by, gradient);
  }
}

}  // namespace varlstm::cuda
