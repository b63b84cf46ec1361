// PTX's conversions between types.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "kernels/simt/convert.h"
#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

template <class To, class From>
void convert(Frame& f, const Instruction& i) {
  set<To>(f, i.operands[0], static_cast<To>(operand<From>(f, i, 1)));
}

// To [0, 1]; a NaN becomes 0.
void saturate(Frame& f, const Instruction& i) {
  const auto value = operand<float>(f, i, 1);
  set<float>(f, i.operands[0], !(value > 0) ? 0 : value > 1 ? 1 : value);
}

void round_to_integer(Frame& f, const Instruction& i) {
  set<float>(f, i.operands[0], nearbyintf(operand<float>(f, i, 1)));
}

template <float kFrom(uint16_t)>
void widen(Frame& f, const Instruction& i) {
  set<float>(f, i.operands[0], kFrom(operand<uint16_t>(f, i, 1)));
}
template <uint16_t kTo(float)>
void narrow(Frame& f, const Instruction& i) {
  set<uint16_t>(f, i.operands[0], kTo(operand<float>(f, i, 1)));
}

}  // namespace

void add_conversions(Handlers& h) {
  h["cvt.u64.u16"] = convert<uint64_t, uint16_t>;
  h["cvt.u64.u32"] = convert<uint64_t, uint32_t>;
  h["cvt.s64.s32"] = convert<int64_t, int32_t>;
  h["cvt.u32.u64"] = convert<uint32_t, uint64_t>;
  h["cvt.u16.u64"] = convert<uint16_t, uint64_t>;
  h["cvt.f64.f32"] = convert<double, float>;
  h["cvt.rn.f32.f64"] = convert<float, double>;
  h["cvt.rn.f32.s32"] = convert<float, int32_t>;
  h["cvt.rn.f64.s64"] = convert<double, int64_t>;
  h["cvt.sat.f32.f32"] = saturate;
  h["cvt.rni.f32.f32"] = round_to_integer;
  h["cvt.f32.bf16"] = widen<from_bf16>;
  h["cvt.f32.f16"] = widen<from_f16>;
  h["cvt.rn.bf16.f32"] = narrow<to_bf16>;
  h["cvt.rn.f16.f32"] = narrow<to_f16>;
}

}  // namespace varlstm::simt::ptx
