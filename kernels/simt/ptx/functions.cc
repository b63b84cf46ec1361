// PTX's approximate functions. The hardware's have an error of about 2^-22; these are rounded as in the host's library,
// and tanh as in convert.h.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include <limits>

#include "kernels/simt/canonical.h"
#include "kernels/simt/convert.h"
#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

float kept(float value) {
  return value;
}
// .ftz: a subnormal operand or result becomes 0 with its sign.
float flushed(float value) {
  return fabsf(value) < std::numeric_limits<float>::min() ? copysignf(0, value) : value;
}

float reciprocal(float x) {
  return 1 / x;
}
float reciprocal_root(float x) {
  return 1 / sqrtf(x);
}

template <float kFunction(float), float kSubnormal(float)>
void approximate(Frame& f, const Instruction& i) {
  set<float>(f, i.operands[0], canonical(kSubnormal(kFunction(kSubnormal(operand<float>(f, i, 1))))));
}

template <float kSubnormal(float)>
void divide(Frame& f, const Instruction& i) {
  const float a = kSubnormal(operand<float>(f, i, 1)), b = kSubnormal(operand<float>(f, i, 2));
  set<float>(f, i.operands[0], canonical(kSubnormal(a / b)));
}

// Only the upper 32 bits of a double are kept; a NaN has one value.
uint64_t upper_bits(double exact) {
  if (exact != exact) return 0x7fffffff00000000u;
  uint64_t bits;
  memcpy(&bits, &exact, sizeof bits);
  return bits & 0xffffffff00000000u;
}
void reciprocal_f64(Frame& f, const Instruction& i) {
  set<uint64_t>(f, i.operands[0], upper_bits(1 / operand<double>(f, i, 1)));
}
void reciprocal_root_f64(Frame& f, const Instruction& i) {
  set<uint64_t>(f, i.operands[0], upper_bits(1 / ::sqrt(operand<double>(f, i, 1))));
}

template <float kFunction(float)>
void add(Handlers& h, const std::string& name) {
  h[name + ".approx.f32"] = approximate<kFunction, kept>;
  h[name + ".approx.ftz.f32"] = approximate<kFunction, flushed>;
}

}  // namespace

void add_functions(Handlers& h) {
  add<exp2f>(h, "ex2");
  add<log2f>(h, "lg2");
  add<sinf>(h, "sin");
  add<cosf>(h, "cos");
  add<sqrtf>(h, "sqrt");
  add<reciprocal>(h, "rcp");
  add<reciprocal_root>(h, "rsqrt");
  h["tanh.approx.f32"] = approximate<fast_tanh, kept>;
  h["div.approx.f32"] = h["div.full.f32"] = divide<kept>;
  h["div.approx.ftz.f32"] = h["div.full.ftz.f32"] = divide<flushed>;
  h["rcp.approx.ftz.f64"] = reciprocal_f64;
  h["rsqrt.approx.f64"] = h["rsqrt.approx.ftz.f64"] = reciprocal_root_f64;
}

}  // namespace varlstm::simt::ptx
