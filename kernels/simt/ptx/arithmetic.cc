// PTX's arithmetic.
// SPDX-License-Identifier: Apache-2.0
#include <fenv.h>
#include <math.h>

#include <limits>
#include <type_traits>

#include "kernels/simt/canonical.h"
#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

// d = F(a, b), and the same with one and three sources.
template <class F, class T>
void unary(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], canonical<T>(F()(operand<T>(f, i, 1))));
}
template <class F, class T>
void binary(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], canonical<T>(F()(operand<T>(f, i, 1), operand<T>(f, i, 2))));
}
template <class F, class T>
void ternary(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], canonical<T>(F()(operand<T>(f, i, 1), operand<T>(f, i, 2), operand<T>(f, i, 3))));
}

// -a; the lowest number stays itself.
template <class T>
T wrapped_opposite(T a) {
  return static_cast<T>(0 - static_cast<std::make_unsigned_t<T>>(a));
}

// Integers wrap: T is unsigned, except if the result depends on the sign. A quotient by 0 is all ones, a remainder by 0
// is the dividend.
#define VARLSTM_PTX_FUNCTION(name, arguments, result) \
  struct name {                                       \
    template <class T>                                \
    T operator() arguments const {                    \
      return static_cast<T>(result);                  \
    }                                                 \
  }
VARLSTM_PTX_FUNCTION(Add, (T a, T b), a + b);
VARLSTM_PTX_FUNCTION(Sub, (T a, T b), a - b);
VARLSTM_PTX_FUNCTION(Mul, (T a, T b), a* b);
VARLSTM_PTX_FUNCTION(MulWord, (T a, T b), uint32_t{a} * b);
VARLSTM_PTX_FUNCTION(Mad, (T a, T b, T c), a* b + c);
VARLSTM_PTX_FUNCTION(MadWord, (T a, T b, T c), uint32_t{a} * b + c);
VARLSTM_PTX_FUNCTION(Min, (T a, T b), a < b ? a : b);
VARLSTM_PTX_FUNCTION(Max, (T a, T b), a > b ? a : b);
VARLSTM_PTX_FUNCTION(Div, (T a, T b), b == 0 ? ~T(0) : b == T(-1) && T(-1) < T(0) ? wrapped_opposite(a) : a / b);
VARLSTM_PTX_FUNCTION(Rem, (T a, T b), b == 0 ? a : b == T(-1) && T(-1) < T(0) ? T(0) : a % b);
VARLSTM_PTX_FUNCTION(DivFloat, (T a, T b), a / b);
VARLSTM_PTX_FUNCTION(Neg, (T a), T(0) - a);
VARLSTM_PTX_FUNCTION(NegFloat, (T a), -a);
VARLSTM_PTX_FUNCTION(Fma, (T a, T b, T c), ::fma(a, b, c));
VARLSTM_PTX_FUNCTION(MinFloat, (T a, T b), a != a ? b : b != b ? a : a < b || (a == b && signbit(a)) ? a : b);
VARLSTM_PTX_FUNCTION(MaxFloat, (T a, T b), a != a ? b : b != b ? a : a > b || (a == b && signbit(b)) ? a : b);
VARLSTM_PTX_FUNCTION(Abs, (T a), ::fabs(a));
VARLSTM_PTX_FUNCTION(Sqrt, (T a), ::sqrt(a));
VARLSTM_PTX_FUNCTION(Reciprocal, (T a), T(1) / a);
#undef VARLSTM_PTX_FUNCTION

template <>
float Fma::operator()<float>(float a, float b, float c) const {
  return fmaf(a, b, c);
}

// A subnormal operand or result becomes 0 with its sign.
float flushed(float value) {
  return fabsf(value) < std::numeric_limits<float>::min() ? copysignf(0, value) : value;
}
template <class F>
struct Flushed {
  template <class... T>
  float operator()(T... sources) const {
    return flushed(F()(flushed(sources)...));
  }
};

// Only bits move: a NaN stays as it is.
template <class T>
void copy_sign(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], copysign(operand<T>(f, i, 2), operand<T>(f, i, 1)));
}

template <class T>
void absolute(Frame& f, const Instruction& i) {
  const T value = operand<T>(f, i, 1);
  set<T>(f, i.operands[0], value < 0 ? wrapped_opposite(value) : value);
}

// The product in twice the width, all of it or its upper half, plus a third source in the mad forms.
template <class T, class Wide>
Wide wide_product(const Frame& f, const Instruction& i) {
  return static_cast<Wide>(static_cast<Wide>(operand<T>(f, i, 1)) * static_cast<Wide>(operand<T>(f, i, 2)));
}
template <class T, class Wide>
void multiply_wide(Frame& f, const Instruction& i) {
  set<Wide>(f, i.operands[0], wide_product<T, Wide>(f, i));
}
template <class T, class Wide>
void multiply_add_wide(Frame& f, const Instruction& i) {
  using Unsigned = std::make_unsigned_t<Wide>;
  const auto product = static_cast<Unsigned>(wide_product<T, Wide>(f, i));
  set<Unsigned>(f, i.operands[0], static_cast<Unsigned>(product + operand<Unsigned>(f, i, 3)));
}
template <class T, class Wide>
T upper_half(const Frame& f, const Instruction& i) {
  return static_cast<T>(wide_product<T, Wide>(f, i) >> (8 * sizeof(T)));
}
template <class T, class Wide>
void multiply_high(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], upper_half<T, Wide>(f, i));
}
template <class T, class Wide>
void multiply_add_high(Frame& f, const Instruction& i) {
  using Unsigned = std::make_unsigned_t<T>;
  const auto high = static_cast<Unsigned>(upper_half<T, Wide>(f, i));
  set<Unsigned>(f, i.operands[0], static_cast<Unsigned>(high + operand<Unsigned>(f, i, 3)));
}

// Rounded in a direction. The operands are volatile, so that the compiler does not move the operation.
template <class F, int kDirection>
void binary_rounded(Frame& f, const Instruction& i) {
  const volatile float a = operand<float>(f, i, 1), b = operand<float>(f, i, 2);
  fesetround(kDirection);
  const volatile float result = F()(float{a}, float{b});
  fesetround(FE_TONEAREST);
  set<float>(f, i.operands[0], canonical<float>(result));
}
template <int kDirection>
void fma_rounded(Frame& f, const Instruction& i) {
  const volatile float a = operand<float>(f, i, 1), b = operand<float>(f, i, 2), c = operand<float>(f, i, 3);
  fesetround(kDirection);
  const volatile float result = fmaf(a, b, c);
  fesetround(FE_TONEAREST);
  set<float>(f, i.operands[0], canonical<float>(result));
}

template <class F>
void add_integer_binary(Handlers& h, const std::string& name) {
  h[name + ".u16"] = h[name + ".s16"] = binary<F, uint16_t>;
  h[name + ".u32"] = h[name + ".s32"] = binary<F, uint32_t>;
  h[name + ".u64"] = h[name + ".s64"] = binary<F, uint64_t>;
}

template <class F>
void add_float_binary(Handlers& h, const std::string& name) {
  h[name + ".f32"] = h[name + ".rn.f32"] = binary<F, float>;
  h[name + ".f64"] = h[name + ".rn.f64"] = binary<F, double>;
  h[name + ".ftz.f32"] = h[name + ".rn.ftz.f32"] = binary<Flushed<F>, float>;
}

template <int kDirection>
void add_rounded(Handlers& h, const std::string& rounding) {
  h["add." + rounding + ".f32"] = binary_rounded<Add, kDirection>;
  h["sub." + rounding + ".f32"] = binary_rounded<Sub, kDirection>;
  h["mul." + rounding + ".f32"] = binary_rounded<Mul, kDirection>;
  h["div." + rounding + ".f32"] = binary_rounded<DivFloat, kDirection>;
  h["fma." + rounding + ".f32"] = fma_rounded<kDirection>;
}

template <class F>
void add_signed_binary(Handlers& h, const std::string& name) {
  h[name + ".u16"] = binary<F, uint16_t>;
  h[name + ".s16"] = binary<F, int16_t>;
  h[name + ".u32"] = binary<F, uint32_t>;
  h[name + ".s32"] = binary<F, int32_t>;
  h[name + ".u64"] = binary<F, uint64_t>;
  h[name + ".s64"] = binary<F, int64_t>;
}

template <class T, class Wide>
void add_wide(Handlers& h, const std::string& type) {
  h["mul.wide." + type] = multiply_wide<T, Wide>;
  h["mad.wide." + type] = multiply_add_wide<T, Wide>;
  h["mul.hi." + type] = multiply_high<T, Wide>;
  h["mad.hi." + type] = multiply_add_high<T, Wide>;
}

void add_integers(Handlers& h) {
  add_integer_binary<Add>(h, "add");
  add_integer_binary<Sub>(h, "sub");
  add_integer_binary<Mul>(h, "mul.lo");
  h["mul.lo.u16"] = h["mul.lo.s16"] = binary<MulWord, uint16_t>;
  add_signed_binary<Min>(h, "min");
  add_signed_binary<Max>(h, "max");
  add_signed_binary<Div>(h, "div");
  add_signed_binary<Rem>(h, "rem");
  h["mad.lo.s16"] = h["mad.lo.u16"] = ternary<MadWord, uint16_t>;
  h["mad.lo.s32"] = h["mad.lo.u32"] = ternary<Mad, uint32_t>;
  h["mad.lo.s64"] = h["mad.lo.u64"] = ternary<Mad, uint64_t>;
  add_wide<uint16_t, uint32_t>(h, "u16");
  add_wide<int16_t, int32_t>(h, "s16");
  add_wide<uint32_t, uint64_t>(h, "u32");
  add_wide<int32_t, int64_t>(h, "s32");
  h["mul.hi.u64"] = multiply_high<uint64_t, unsigned __int128>;
  h["mul.hi.s64"] = multiply_high<int64_t, __int128>;
  h["mad.hi.u64"] = multiply_add_high<uint64_t, unsigned __int128>;
  h["mad.hi.s64"] = multiply_add_high<int64_t, __int128>;
  h["neg.s16"] = unary<Neg, uint16_t>;
  h["neg.s32"] = unary<Neg, uint32_t>;
  h["neg.s64"] = unary<Neg, uint64_t>;
  h["abs.s16"] = absolute<int16_t>;
  h["abs.s32"] = absolute<int32_t>;
  h["abs.s64"] = absolute<int64_t>;
}

void add_floats(Handlers& h) {
  add_float_binary<Add>(h, "add");
  add_float_binary<Sub>(h, "sub");
  add_float_binary<Mul>(h, "mul");
  add_float_binary<DivFloat>(h, "div");
  add_float_binary<MinFloat>(h, "min");
  add_float_binary<MaxFloat>(h, "max");
  h["fma.rn.f32"] = ternary<Fma, float>;
  h["fma.rn.f64"] = ternary<Fma, double>;
  h["fma.rn.ftz.f32"] = ternary<Flushed<Fma>, float>;
  add_rounded<FE_DOWNWARD>(h, "rm");
  add_rounded<FE_UPWARD>(h, "rp");
  add_rounded<FE_TOWARDZERO>(h, "rz");
  h["neg.f32"] = unary<NegFloat, float>;
  h["neg.f64"] = unary<NegFloat, double>;
  h["neg.ftz.f32"] = unary<Flushed<NegFloat>, float>;
  h["abs.f32"] = unary<Abs, float>;
  h["abs.f64"] = unary<Abs, double>;
  h["abs.ftz.f32"] = unary<Flushed<Abs>, float>;
  h["copysign.f32"] = copy_sign<float>;
  h["copysign.f64"] = copy_sign<double>;
  h["sqrt.rn.f32"] = unary<Sqrt, float>;
  h["sqrt.rn.f64"] = unary<Sqrt, double>;
  h["rcp.rn.f32"] = unary<Reciprocal, float>;
  h["rcp.rn.f64"] = unary<Reciprocal, double>;
}

}  // namespace

void add_arithmetic(Handlers& h) {
  add_integers(h);
  add_floats(h);
}

}  // namespace varlstm::simt::ptx
