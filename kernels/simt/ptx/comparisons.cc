// PTX's comparisons, and the selections by a predicate.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

#define VARLSTM_PTX_COMPARISON(name, result) \
  struct name {                              \
    template <class T>                       \
    bool operator()(T a, T b) const {        \
      return result;                         \
    }                                        \
  }
VARLSTM_PTX_COMPARISON(Equal, a == b);
VARLSTM_PTX_COMPARISON(NotEqual, a<b || a> b);  // false for a NaN
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
#undef VARLSTM_PTX_COMPARISON

enum class Combine { kNone, kAnd, kOr, kXor };

template <Combine kCombine>
bool combined(bool compared, bool other) {
  return kCombine == Combine::kAnd  ? compared && other
         : kCombine == Combine::kOr ? compared || other
                                    : compared != other;
}

// setp p|q, a, b, c: p is F(a, b) combined with the predicate c, and q is the opposite of F(a, b) combined with c. q
// and c may be absent.
template <class F, class T, Combine kCombine>
void compare(Frame& f, const Instruction& i) {
  const int first = i.destinations;
  const bool compared = F()(operand<T>(f, i, first), operand<T>(f, i, first + 1));
  const bool other = kCombine != Combine::kNone && operand<uint64_t>(f, i, first + 2) != 0;
  set<uint64_t>(f, i.operands[0], combined<kCombine>(compared, other));
  if (first == 2) set<uint64_t>(f, i.operands[1], combined<kCombine>(!compared, other));
}

template <class F, class T>
void add_one(Handlers& h, const std::string& name, const std::string& type) {
  h["setp." + name + "." + type] = compare<F, T, Combine::kNone>;
  h["setp." + name + ".and." + type] = compare<F, T, Combine::kAnd>;
  h["setp." + name + ".or." + type] = compare<F, T, Combine::kOr>;
  h["setp." + name + ".xor." + type] = compare<F, T, Combine::kXor>;
}

template <class F>
void add_of_floats(Handlers& h, const std::string& name) {
  add_one<F, float>(h, name, "f32");
  add_one<F, double>(h, name, "f64");
}

template <class F>
void add_of_all(Handlers& h, const std::string& name) {
  add_of_floats<F>(h, name);
  add_one<F, int16_t>(h, name, "s16");
  add_one<F, uint16_t>(h, name, "u16");
  add_one<F, int32_t>(h, name, "s32");
  add_one<F, uint32_t>(h, name, "u32");
  add_one<F, int64_t>(h, name, "s64");
  add_one<F, uint64_t>(h, name, "u64");
}

template <class F>
void add_of_bits(Handlers& h, const std::string& name) {
  add_one<F, uint16_t>(h, name, "b16");
  add_one<F, uint32_t>(h, name, "b32");
  add_one<F, uint64_t>(h, name, "b64");
}

template <class T>
void select(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], operand<T>(f, i, operand<uint64_t>(f, i, 3) != 0 ? 1 : 2));
}

}  // namespace

void add_comparisons(Handlers& h) {
  add_of_all<Equal>(h, "eq");
  add_of_all<NotEqual>(h, "ne");
  add_of_all<Less>(h, "lt");
  add_of_all<LessEqual>(h, "le");
  add_of_all<Greater>(h, "gt");
  add_of_all<GreaterEqual>(h, "ge");
  add_of_bits<Equal>(h, "eq");
  add_of_bits<NotEqual>(h, "ne");
  add_of_floats<EqualOrNan>(h, "equ");
  add_of_floats<NotEqualOrNan>(h, "neu");
  add_of_floats<LessOrNan>(h, "ltu");
  add_of_floats<LessEqualOrNan>(h, "leu");
  add_of_floats<GreaterOrNan>(h, "gtu");
  add_of_floats<GreaterEqualOrNan>(h, "geu");
  add_of_floats<IsNan>(h, "nan");
  add_of_floats<IsNumber>(h, "num");
  h["selp.b16"] = h["selp.u16"] = h["selp.s16"] = select<uint16_t>;
  h["selp.b32"] = h["selp.u32"] = h["selp.s32"] = h["selp.f32"] = select<uint32_t>;
  h["selp.b64"] = h["selp.u64"] = h["selp.s64"] = h["selp.f64"] = select<uint64_t>;
}

}  // namespace varlstm::simt::ptx
