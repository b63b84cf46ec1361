// PTX's arithmetic, comparisons, logic, shifts and selections.
// SPDX-License-Identifier: Apache-2.0
#include <fenv.h>
#include <math.h>

#include <limits>
#include <type_traits>

#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

// d = F(a, b), and the like with one and three sources.
template <class F, class T>
void unary(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], F()(operand<T>(f, i, 1)));
}
template <class F, class T>
void binary(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], F()(operand<T>(f, i, 1), operand<T>(f, i, 2)));
}
template <class F, class T>
void ternary(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], F()(operand<T>(f, i, 1), operand<T>(f, i, 2), operand<T>(f, i, 3)));
}
template <class F, class T>
void compare(Frame& f, const Instruction& i) {
  set<uint64_t>(f, i.operands[0], F()(operand<T>(f, i, 1), operand<T>(f, i, 2)) ? 1 : 0);
}

template <class T>
void move(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], operand<T>(f, i, 1));
}

// mov.b64 d, {a, b} and {a, b}, d.
void move_b64(Frame& f, const Instruction& i) {
  if (i.operand_count == 2) return move<uint64_t>(f, i);
  if (i.destinations == 1) {
    const uint64_t low = operand<uint32_t>(f, i, 1), high = operand<uint32_t>(f, i, 2);
    set<uint64_t>(f, i.operands[0], high << 32 | low);
  } else {
    const auto both = operand<uint64_t>(f, i, 2);
    set<uint32_t>(f, i.operands[0], static_cast<uint32_t>(both));
    set<uint32_t>(f, i.operands[1], static_cast<uint32_t>(both >> 32));
  }
}

// Integers wrap: T is unsigned but for what depends on the sign. A quotient by 0 is all ones.
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
VARLSTM_PTX_FUNCTION(Mad, (T a, T b, T c), a* b + c);
VARLSTM_PTX_FUNCTION(Min, (T a, T b), a < b ? a : b);
VARLSTM_PTX_FUNCTION(Max, (T a, T b), a > b ? a : b);
VARLSTM_PTX_FUNCTION(Div, (T a, T b), b == 0 ? ~T(0) : a / b);
VARLSTM_PTX_FUNCTION(DivFloat, (T a, T b), a / b);
VARLSTM_PTX_FUNCTION(Neg, (T a), T(0) - a);
VARLSTM_PTX_FUNCTION(NegFloat, (T a), -a);
VARLSTM_PTX_FUNCTION(And, (T a, T b), a& b);
VARLSTM_PTX_FUNCTION(Or, (T a, T b), a | b);
VARLSTM_PTX_FUNCTION(Xor, (T a, T b), a ^ b);
VARLSTM_PTX_FUNCTION(Not, (T a), ~a);
VARLSTM_PTX_FUNCTION(Fma, (T a, T b, T c), ::fma(a, b, c));
VARLSTM_PTX_FUNCTION(Abs, (T a), ::fabs(a));
VARLSTM_PTX_FUNCTION(CopySign, (T sign, T magnitude), ::copysign(magnitude, sign));
VARLSTM_PTX_FUNCTION(Sqrt, (T a), ::sqrt(a));
VARLSTM_PTX_FUNCTION(Reciprocal, (T a), T(1) / a);

template <>
float Fma::operator()<float>(float a, float b, float c) const {
  return fmaf(a, b, c);
}

#define VARLSTM_PTX_COMPARISON(name, result) \
  struct name {                              \
    template <class T>                       \
    bool operator()(T a, T b) const {        \
      return result;                         \
    }                                        \
  }
VARLSTM_PTX_COMPARISON(Equal, a == b);
VARLSTM_PTX_COMPARISON(NotEqual, a<b || a> b);  // ordered
VARLSTM_PTX_COMPARISON(Less, a < b);
VARLSTM_PTX_COMPARISON(LessEqual, a <= b);
VARLSTM_PTX_COMPARISON(Greater, a > b);
VARLSTM_PTX_COMPARISON(GreaterEqual, a >= b);
VARLSTM_PTX_COMPARISON(EqualOrNan, !(a < b || a > b));
VARLSTM_PTX_COMPARISON(NotEqualOrNan, !(a == b));
VARLSTM_PTX_COMPARISON(LessOrNan, !(a >= b));
VARLSTM_PTX_COMPARISON(LessEqualOrNan, !(a > b));
VARLSTM_PTX_COMPARISON(GreaterOrNan, !(a <= b));
VARLSTM_PTX_COMPARISON(GreaterEqualOrNan, !(a < b));
VARLSTM_PTX_COMPARISON(IsNan, a != a || b != b);
VARLSTM_PTX_COMPARISON(IsNumber, a == a && b == b);

template <class T, class Wide>
void multiply_wide(Frame& f, const Instruction& i) {
  set<Wide>(f, i.operands[0], static_cast<Wide>(operand<T>(f, i, 1)) * static_cast<Wide>(operand<T>(f, i, 2)));
}

// An amount beyond the width shifts everything out.
template <class T>
void shift_left(Frame& f, const Instruction& i) {
  const auto amount = operand<uint32_t>(f, i, 2);
  set<T>(f, i.operands[0], amount >= 8 * sizeof(T) ? T(0) : static_cast<T>(operand<T>(f, i, 1) << amount));
}
template <class T>
void shift_right(Frame& f, const Instruction& i) {
  const auto amount = operand<uint32_t>(f, i, 2), most = static_cast<uint32_t>(8 * sizeof(T) - 1);
  const T value = operand<T>(f, i, 1);
  const bool gone = amount > most && std::is_unsigned<T>::value;
  set<T>(f, i.operands[0], gone ? T(0) : static_cast<T>(value >> (amount > most ? most : amount)));
}

template <class T>
void select(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], operand<T>(f, i, operand<uint64_t>(f, i, 3) != 0 ? 1 : 2));
}

void not_predicate(Frame& f, const Instruction& i) {
  set<uint64_t>(f, i.operands[0], operand<uint64_t>(f, i, 1) == 0);
}

// bfi d, a, b, c, n: the n low bits of a at position c of b.
void insert_bits(Frame& f, const Instruction& i) {
  const auto position = operand<uint32_t>(f, i, 3) & 255, count = operand<uint32_t>(f, i, 4) & 255;
  uint64_t mask = count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
  mask = position >= 64 ? 0 : mask << position;
  const uint64_t inserted = position >= 64 ? 0 : operand<uint64_t>(f, i, 1) << position;
  set<uint64_t>(f, i.operands[0], (operand<uint64_t>(f, i, 2) & ~mask) | (inserted & mask));
}

float flushed(float value) {
  return fabsf(value) < std::numeric_limits<float>::min() ? copysignf(0, value) : value;
}

// The hardware's approximations are good to 2^-22 and better.
void exp2_approximate(Frame& f, const Instruction& i) {
  set<float>(f, i.operands[0], flushed(exp2f(flushed(operand<float>(f, i, 1)))));
}
void reciprocal_approximate(Frame& f, const Instruction& i) {
  set<float>(f, i.operands[0], flushed(1 / flushed(operand<float>(f, i, 1))));
}
// Only the upper 32 bits count.
void reciprocal_approximate_f64(Frame& f, const Instruction& i) {
  const double exact = 1 / operand<double>(f, i, 1);
  uint64_t bits;
  memcpy(&bits, &exact, sizeof bits);
  set<uint64_t>(f, i.operands[0], bits & 0xffffffff00000000u);
}

void fma_down(Frame& f, const Instruction& i) {
  const volatile float a = operand<float>(f, i, 1), b = operand<float>(f, i, 2), c = operand<float>(f, i, 3);
  fesetround(FE_DOWNWARD);
  const volatile float result = fmaf(a, b, c);
  fesetround(FE_TONEAREST);
  set<float>(f, i.operands[0], result);
}

template <class F>
void add_integer_binary(Handlers& handlers, const std::string& name) {
  handlers[name + ".u16"] = handlers[name + ".s16"] = binary<F, uint16_t>;
  handlers[name + ".u32"] = handlers[name + ".s32"] = binary<F, uint32_t>;
  handlers[name + ".u64"] = handlers[name + ".s64"] = binary<F, uint64_t>;
}

template <class F>
void add_float_binary(Handlers& handlers, const std::string& name) {
  handlers[name + ".f32"] = handlers[name + ".rn.f32"] = binary<F, float>;
  handlers[name + ".f64"] = handlers[name + ".rn.f64"] = binary<F, double>;
}

template <class F>
void add_signed_binary(Handlers& handlers, const std::string& name) {
  handlers[name + ".u32"] = binary<F, uint32_t>;
  handlers[name + ".s32"] = binary<F, int32_t>;
  handlers[name + ".u64"] = binary<F, uint64_t>;
  handlers[name + ".s64"] = binary<F, int64_t>;
}

template <class F>
void add_logic(Handlers& handlers, const std::string& name) {
  handlers[name + ".b16"] = binary<F, uint16_t>;
  handlers[name + ".b32"] = binary<F, uint32_t>;
  handlers[name + ".b64"] = handlers[name + ".pred"] = binary<F, uint64_t>;
}

template <class F>
void add_comparison(Handlers& handlers, const std::string& name) {
  handlers["setp." + name + ".f32"] = compare<F, float>;
  handlers["setp." + name + ".f64"] = compare<F, double>;
}

template <class F>
void add_integer_comparison(Handlers& handlers, const std::string& name) {
  add_comparison<F>(handlers, name);
  handlers["setp." + name + ".s16"] = compare<F, int16_t>;
  handlers["setp." + name + ".u16"] = compare<F, uint16_t>;
  handlers["setp." + name + ".s32"] = compare<F, int32_t>;
  handlers["setp." + name + ".u32"] = compare<F, uint32_t>;
  handlers["setp." + name + ".s64"] = compare<F, int64_t>;
  handlers["setp." + name + ".u64"] = compare<F, uint64_t>;
}

void add_comparisons(Handlers& h) {
  add_integer_comparison<Equal>(h, "eq");
  add_integer_comparison<NotEqual>(h, "ne");
  add_integer_comparison<Less>(h, "lt");
  add_integer_comparison<LessEqual>(h, "le");
  add_integer_comparison<Greater>(h, "gt");
  add_integer_comparison<GreaterEqual>(h, "ge");
  h["setp.eq.b32"] = h["setp.eq.u32"], h["setp.eq.b64"] = h["setp.eq.u64"];
  h["setp.ne.b32"] = h["setp.ne.u32"], h["setp.ne.b64"] = h["setp.ne.u64"];
  add_comparison<EqualOrNan>(h, "equ");
  add_comparison<NotEqualOrNan>(h, "neu");
  add_comparison<LessOrNan>(h, "ltu");
  add_comparison<LessEqualOrNan>(h, "leu");
  add_comparison<GreaterOrNan>(h, "gtu");
  add_comparison<GreaterEqualOrNan>(h, "geu");
  add_comparison<IsNan>(h, "nan");
  add_comparison<IsNumber>(h, "num");
}

void add_moves_and_shifts(Handlers& h) {
  h["mov.u16"] = h["mov.b16"] = h["mov.s16"] = move<uint16_t>;
  h["mov.u32"] = h["mov.b32"] = h["mov.s32"] = h["mov.f32"] = move<uint32_t>;
  h["mov.u64"] = h["mov.s64"] = h["mov.f64"] = h["mov.pred"] = move<uint64_t>;
  h["mov.b64"] = move_b64;
  h["shl.b16"] = shift_left<uint16_t>;
  h["shl.b32"] = shift_left<uint32_t>;
  h["shl.b64"] = shift_left<uint64_t>;
  h["shr.u16"] = h["shr.b16"] = shift_right<uint16_t>;
  h["shr.u32"] = h["shr.b32"] = shift_right<uint32_t>;
  h["shr.u64"] = h["shr.b64"] = shift_right<uint64_t>;
  h["shr.s16"] = shift_right<int16_t>;
  h["shr.s32"] = shift_right<int32_t>;
  h["shr.s64"] = shift_right<int64_t>;
  h["selp.b16"] = h["selp.u16"] = h["selp.s16"] = select<uint16_t>;
  h["selp.b32"] = h["selp.u32"] = h["selp.s32"] = h["selp.f32"] = select<uint32_t>;
  h["selp.b64"] = h["selp.u64"] = h["selp.s64"] = h["selp.f64"] = select<uint64_t>;
  h["bfi.b64"] = insert_bits;
}

}  // namespace

void add_arithmetic(Handlers& h) {
  add_moves_and_shifts(h);
  add_comparisons(h);
  add_integer_binary<Add>(h, "add");
  add_integer_binary<Sub>(h, "sub");
  add_integer_binary<Mul>(h, "mul.lo");
  add_float_binary<Add>(h, "add");
  add_float_binary<Sub>(h, "sub");
  add_float_binary<Mul>(h, "mul");
  h["div.rn.f32"] = binary<DivFloat, float>;
  h["div.rn.f64"] = binary<DivFloat, double>;
  add_signed_binary<Min>(h, "min");
  add_signed_binary<Max>(h, "max");
  add_signed_binary<Div>(h, "div");
  add_logic<And>(h, "and");
  add_logic<Or>(h, "or");
  add_logic<Xor>(h, "xor");
  h["not.b32"] = unary<Not, uint32_t>;
  h["not.b64"] = unary<Not, uint64_t>;
  h["not.pred"] = not_predicate;
  h["mad.lo.s32"] = h["mad.lo.u32"] = ternary<Mad, uint32_t>;
  h["mad.lo.s64"] = h["mad.lo.u64"] = ternary<Mad, uint64_t>;
  h["mul.wide.u32"] = multiply_wide<uint32_t, uint64_t>;
  h["mul.wide.s32"] = multiply_wide<int32_t, int64_t>;
  h["fma.rn.f32"] = ternary<Fma, float>;
  h["fma.rn.f64"] = ternary<Fma, double>;
  h["fma.rm.f32"] = fma_down;
  h["neg.s32"] = unary<Neg, uint32_t>;
  h["neg.s64"] = unary<Neg, uint64_t>;
  h["neg.f32"] = unary<NegFloat, float>;
  h["neg.f64"] = unary<NegFloat, double>;
  h["abs.f32"] = unary<Abs, float>;
  h["abs.f64"] = unary<Abs, double>;
  h["copysign.f32"] = binary<CopySign, float>;
  h["copysign.f64"] = binary<CopySign, double>;
  h["sqrt.rn.f32"] = unary<Sqrt, float>;
  h["sqrt.rn.f64"] = unary<Sqrt, double>;
  h["rcp.rn.f32"] = unary<Reciprocal, float>;
  h["rcp.rn.f64"] = unary<Reciprocal, double>;
  h["rcp.approx.ftz.f32"] = reciprocal_approximate;
  h["rcp.approx.ftz.f64"] = reciprocal_approximate_f64;
  h["ex2.approx.ftz.f32"] = exp2_approximate;
}

}  // namespace varlstm::simt::ptx
