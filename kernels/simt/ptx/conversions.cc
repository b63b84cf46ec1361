// PTX's conversions between types.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/convert.h"

#include <math.h>

#include <limits>
#include <type_traits>

#include "kernels/simt/canonical.h"
#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

// A result narrower than its register is extended to it, with its sign if it has one.
template <class To>
void set_extended(Frame& f, uint32_t slot, To value) {
  if constexpr (std::is_integral<To>::value && std::is_signed<To>::value)
    set<int64_t>(f, slot, value);
  else
    set<To>(f, slot, value);
}

template <class To, class From>
void convert(Frame& f, const Instruction& i) {
  set_extended<To>(f, i.operands[0], canonical(static_cast<To>(operand<From>(f, i, 1))));
}

// The nearest integer of the type. A NaN gives 0, or the lowest or middle value if one of the types has 64 bits.
template <class To, class From, double kRound(double)>
void to_integer(Frame& f, const Instruction& i) {
  using Limits = std::numeric_limits<To>;
  const double value = kRound(static_cast<double>(operand<From>(f, i, 1)));
  const double limit = ldexp(1, Limits::digits);  // the lowest double that is too large
  const bool wide = sizeof(From) == 8 || sizeof(To) == 8;
  To result;
  if (value != value)
    result = wide ? static_cast<To>(uint64_t{1} << (8 * sizeof(To) - 1)) : To(0);
  else if (value >= limit)
    result = Limits::max();
  else
    result = value <= static_cast<double>(Limits::min()) ? Limits::min() : static_cast<To>(value);
  set_extended<To>(f, i.operands[0], result);
}

template <class T, double kRound(double)>
void round_to_integer(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], canonical(static_cast<T>(kRound(static_cast<double>(operand<T>(f, i, 1))))));
}

// To [0, 1]; a NaN becomes 0.
template <class T>
void saturate(Frame& f, const Instruction& i) {
  const auto value = operand<T>(f, i, 1);
  set<T>(f, i.operands[0], !(value > 0) ? 0 : value > 1 ? 1 : value);
}

template <float kFrom(uint16_t)>
void widen(Frame& f, const Instruction& i) {
  set<float>(f, i.operands[0], kFrom(operand<uint16_t>(f, i, 1)));
}
float number_of_f16(uint16_t bits) {
  return canonical(from_f16(bits));
}
template <uint16_t kTo(float)>
void narrow(Frame& f, const Instruction& i) {
  set<uint16_t>(f, i.operands[0], kTo(operand<float>(f, i, 1)));
}
// The nearest binary16; if it is beyond the number in the given direction, its neighbour. The directions are towards 0,
// down and up.
enum class Towards { kZero, kDown, kUp };
template <Towards kTowards>
uint16_t to_f16_towards(float value) {
  const uint16_t nearest = to_f16(value);
  const float got = from_f16(nearest);
  const bool inwards = kTowards == Towards::kZero || (kTowards == Towards::kDown) == (value > 0);
  if (inwards && fabsf(got) > fabsf(value)) return static_cast<uint16_t>(nearest - 1);
  if (!inwards && fabsf(got) < fabsf(value)) return static_cast<uint16_t>(nearest + 1);
  return nearest;
}
// An integer that a float must round is too large for binary16.
template <class From>
void integer_to_f16(Frame& f, const Instruction& i) {
  set<uint16_t>(f, i.operands[0], to_f16(static_cast<float>(operand<From>(f, i, 1))));
}

// cvt d, a, b: a is the upper half.
template <uint16_t kTo(float)>
void narrow_pair(Frame& f, const Instruction& i) {
  const uint32_t upper = kTo(operand<float>(f, i, 1)), lower = kTo(operand<float>(f, i, 2));
  set<uint32_t>(f, i.operands[0], upper << 16 | lower);
}
void narrow_to_tf32(Frame& f, const Instruction& i) {
  set<uint32_t>(f, i.operands[0], to_tf32(operand<float>(f, i, 1)));
}

template <class To, class From, double kRound(double)>
void add_to_integer(Handlers& h, const std::string& rounding, const std::string& types) {
  h["cvt." + rounding + "." + types] = to_integer<To, From, kRound>;
}

template <double kRound(double)>
void add_rounding(Handlers& h, const std::string& rounding) {
  add_to_integer<int32_t, float, kRound>(h, rounding, "s32.f32");
  add_to_integer<uint32_t, float, kRound>(h, rounding, "u32.f32");
  add_to_integer<int64_t, float, kRound>(h, rounding, "s64.f32");
  add_to_integer<uint64_t, float, kRound>(h, rounding, "u64.f32");
  add_to_integer<int32_t, double, kRound>(h, rounding, "s32.f64");
  add_to_integer<uint32_t, double, kRound>(h, rounding, "u32.f64");
  add_to_integer<int64_t, double, kRound>(h, rounding, "s64.f64");
  add_to_integer<uint64_t, double, kRound>(h, rounding, "u64.f64");
  h["cvt." + rounding + ".f32.f32"] = round_to_integer<float, kRound>;
  h["cvt." + rounding + ".f64.f64"] = round_to_integer<double, kRound>;
}

// From one integer type to every other number type.
template <class From>
void add_from_integer(Handlers& h, const std::string& from) {
  h["cvt.u8." + from] = convert<uint8_t, From>;
  h["cvt.s8." + from] = convert<int8_t, From>;
  h["cvt.u16." + from] = convert<uint16_t, From>;
  h["cvt.s16." + from] = convert<int16_t, From>;
  h["cvt.u32." + from] = convert<uint32_t, From>;
  h["cvt.s32." + from] = convert<int32_t, From>;
  h["cvt.u64." + from] = convert<uint64_t, From>;
  h["cvt.s64." + from] = convert<int64_t, From>;
  h["cvt.rn.f32." + from] = convert<float, From>;
  h["cvt.rn.f64." + from] = convert<double, From>;
  h["cvt.rn.f16." + from] = integer_to_f16<From>;
}

}  // namespace

void add_conversions(Handlers& h) {
  add_from_integer<uint8_t>(h, "u8");
  add_from_integer<int8_t>(h, "s8");
  add_from_integer<uint16_t>(h, "u16");
  add_from_integer<int16_t>(h, "s16");
  add_from_integer<uint32_t>(h, "u32");
  add_from_integer<int32_t>(h, "s32");
  add_from_integer<uint64_t>(h, "u64");
  add_from_integer<int64_t>(h, "s64");
  add_rounding<nearbyint>(h, "rni");
  add_rounding<trunc>(h, "rzi");
  add_rounding<floor>(h, "rmi");
  add_rounding<ceil>(h, "rpi");
  h["cvt.f64.f32"] = convert<double, float>;
  h["cvt.rn.f32.f64"] = convert<float, double>;
  h["cvt.sat.f32.f32"] = saturate<float>;
  h["cvt.sat.f64.f64"] = saturate<double>;
  h["cvt.f32.bf16"] = widen<from_bf16>;
  h["cvt.f32.f16"] = widen<number_of_f16>;
  h["cvt.rn.bf16.f32"] = narrow<to_bf16>;
  h["cvt.rn.f16.f32"] = narrow<to_f16>;
  h["cvt.rz.f16.f32"] = narrow<to_f16_towards<Towards::kZero>>;
  h["cvt.rm.f16.f32"] = narrow<to_f16_towards<Towards::kDown>>;
  h["cvt.rp.f16.f32"] = narrow<to_f16_towards<Towards::kUp>>;
  h["cvt.rn.bf16x2.f32"] = narrow_pair<to_bf16>;
  h["cvt.rn.f16x2.f32"] = narrow_pair<to_f16>;
  h["cvt.rna.tf32.f32"] = narrow_to_tf32;
}

}  // namespace varlstm::simt::ptx
