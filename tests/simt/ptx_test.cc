// The PTX interpreter: what each kind of instruction does at its edges, how statements are read, and that nothing
// unknown is passed over.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <math.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "kernels/simt/convert.h"
#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

constexpr const char* kRegisters =
    "\t.reg .pred %p<9>;\n\t.reg .b16 %rs<9>;\n\t.reg .b32 %r<20>;\n\t.reg .f32 %f<9>;\n\t.reg .b64 %rd<9>;\n";

// The text of a kernel with one parameter.
std::string kernel(const std::string& body) {
  return ".version 9.0\n.target sm_90\n.visible .entry _ZN7varlstm4cuda1k(\n\t.param .u64 p_0\n)\n{\n" +
         std::string(kRegisters) + body + "\tret;\n}\n";
}

// Runs a kernel without memory; its parameter is `argument`.
std::vector<uint64_t> run(const std::string& body, const uint64_t& argument) {
  const std::vector<Program> programs = parse("test.ptx", kernel(body));
  EXPECT_EQ(programs.size(), 1u);
  std::vector<uint64_t> registers = programs[0].registers;
  for (const auto& [slot, parameter] : programs[0].parameter_addresses) {
    EXPECT_EQ(parameter, 0u);
    registers[slot] = reinterpret_cast<uint64_t>(&argument);
  }
  Frame frame{registers.data(), 0};
  while (frame.next < programs[0].instructions.size()) {
    const Instruction& i = programs[0].instructions[frame.next++];
    if (i.predicate >= 0 && (registers[static_cast<size_t>(i.predicate)] != 0) == i.negated) continue;
    i.run(frame, i);
  }
  return registers;
}

// `mnemonic` with the sources given, as the bits of its one result.
template <class... Sources>
uint64_t result_of(const std::string& mnemonic, Sources... sources) {
  const auto found = handlers().find(mnemonic);
  if (found == handlers().end()) {
    ADD_FAILURE() << "no handler of " << mnemonic;
    return 0;
  }
  uint64_t registers[1 + sizeof...(sources)] = {};
  Instruction instruction;
  instruction.destinations = 1;
  instruction.operand_count = 1 + static_cast<int>(sizeof...(sources));
  for (uint32_t k = 0; k <= sizeof...(sources); ++k) instruction.operands[k] = k;
  Frame frame{registers, 0};
  uint32_t slot = 1;
  (set(frame, slot++, sources), ...);
  found->second(frame, instruction);
  return registers[0];
}

template <class T>
T as(uint64_t bits) {
  T value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

TEST(Ptx, IntegersWrapAndKnowTheirSigns) {
  EXPECT_EQ(result_of("add.s32", INT32_MAX, 1), 0x80000000u);
  EXPECT_EQ(result_of("mul.lo.s64", int64_t{1} << 62, int64_t{4}), 0u);
  EXPECT_EQ(result_of("mul.wide.u32", 0xffffffffu, 0xffffffffu), 0xfffffffe00000001u);
  EXPECT_EQ(result_of("mul.wide.s32", -1, 5), static_cast<uint64_t>(-5));
  EXPECT_EQ(result_of("min.s64", int64_t{-3}, int64_t{2}), static_cast<uint64_t>(-3));
  EXPECT_EQ(result_of("max.s32", -3, 2), 2u);
  EXPECT_EQ(result_of("div.s64", int64_t{-7}, int64_t{2}), static_cast<uint64_t>(-3));
  EXPECT_EQ(result_of("div.u32", 7u, 0u), 0xffffffffu);
  EXPECT_EQ(result_of("neg.s64", int64_t{5}), static_cast<uint64_t>(-5));
  EXPECT_EQ(result_of("mad.lo.s32", 3, 4, 5), 17u);
}

TEST(Ptx, ShiftsBeyondTheWidthLeaveNothingButTheSign) {
  EXPECT_EQ(result_of("shl.b32", 1u, 31u), 0x80000000u);
  EXPECT_EQ(result_of("shl.b32", 1u, 32u), 0u);
  EXPECT_EQ(result_of("shr.u32", 0x80000000u, 32u), 0u);
  EXPECT_EQ(result_of("shr.s32", -8, 40u), 0xffffffffu);
  EXPECT_EQ(result_of("shr.s64", int64_t{-8}, 1u), static_cast<uint64_t>(-4));
  EXPECT_EQ(result_of("bfi.b64", uint64_t{0xabc}, ~uint64_t{0}, 8u, 8u), 0xffffffffffffbcffu);
}

TEST(Ptx, ProductsKeepTheirUpperHalf) {
  EXPECT_EQ(result_of("mul.hi.u32", 0xffffffffu, 0xffffffffu), 0xfffffffeu);
  EXPECT_EQ(result_of("mul.hi.s32", -1, 5), 0xffffffffu);
  EXPECT_EQ(result_of("mul.hi.u64", ~uint64_t{0}, ~uint64_t{0}), ~uint64_t{1});
  EXPECT_EQ(result_of("mul.hi.s64", int64_t{-1}, int64_t{5}), ~uint64_t{0});
  EXPECT_EQ(result_of("mad.wide.s32", -2, 3, int64_t{10}), 4u);
  EXPECT_EQ(result_of("mad.wide.u32", -2, 1, int64_t{1} << 33), 0x2fffffffeu);
  EXPECT_EQ(result_of("mul.wide.s16", int16_t{-300}, int16_t{300}), 0xfffea070u);
  EXPECT_EQ(result_of("mul.lo.s16", uint16_t{0xffff}, uint16_t{0xffff}), 1u);
  EXPECT_EQ(result_of("mad.hi.u32", 1u << 31, 2u, 5u), 6u);
  EXPECT_EQ(result_of("rem.s32", -7, 2), 0xffffffffu);
  EXPECT_EQ(result_of("rem.u64", uint64_t{7}, uint64_t{0}), 7u);
  EXPECT_EQ(result_of("div.s32", INT32_MIN, -1), 0x80000000u);
  EXPECT_EQ(result_of("abs.s32", INT32_MIN), 0x80000000u);
}

TEST(Ptx, BitsAreCutPermutedAndCounted) {
  EXPECT_EQ(result_of("bfe.u32", 0xabcd1234u, 8u, 12u), 0xd12u);
  EXPECT_EQ(result_of("bfe.s32", 0xabcd1234u, 16u, 8u), 0xffffffcdu);
  EXPECT_EQ(result_of("bfe.s32", 0x80000000u, 28u, 8u), 0xfffffff8u) << "beyond the top the sign goes on";
  EXPECT_EQ(result_of("bfe.s32", 0x80000000u, 40u, 4u), 0xffffffffu);
  EXPECT_EQ(result_of("bfe.s32", 0xffffffffu, 4u, 0u), 0u);
  EXPECT_EQ(result_of("bfe.u64", ~uint64_t{0}, 60u, 8u), 15u);
  EXPECT_EQ(result_of("bfi.b32", 0xffu, 0u, 28u, 8u), 0xf0000000u);
  EXPECT_EQ(result_of("prmt.b32", 0x33221100u, 0x77665544u, 0x7250u), 0x77225500u);
  EXPECT_EQ(result_of("prmt.b32", 0x00800000u, 0u, 0xa2a2u), 0xff80ff80u) << "the sign of byte 2";
  EXPECT_EQ(result_of("lop3.b32", 0xf0u, 0xccu, 0xaau, 0x96u), 0x96u) << "the table itself: xor of three";
  EXPECT_EQ(result_of("lop3.b32", 0x0fu, 0x33u, 0x55u, 0xe8u), 0x17u) << "majority";
  EXPECT_EQ(result_of("shf.l.wrap.b32", 0x80000001u, 0x2u, 33u), 5u);
  EXPECT_EQ(result_of("shf.r.wrap.b32", 0x2u, 0x1u, 1u), 0x80000001u);
  EXPECT_EQ(result_of("shf.r.clamp.b32", 0x2u, 0x7u, 40u), 7u);
  EXPECT_EQ(result_of("shf.l.clamp.b32", 0x2u, 0x7u, 32u), 2u);
  EXPECT_EQ(result_of("bmsk.clamp.b32", 4u, 8u), 0xff0u);
  EXPECT_EQ(result_of("bmsk.clamp.b32", 4u, 40u), 0xfffffff0u);
  EXPECT_EQ(result_of("bmsk.clamp.b32", 32u, 8u), 0u);
  EXPECT_EQ(result_of("bmsk.wrap.b32", 33u, 34u), 6u);
  EXPECT_EQ(result_of("clz.b32", 1u), 31u);
  EXPECT_EQ(result_of("clz.b64", uint64_t{0}), 64u);
  EXPECT_EQ(result_of("popc.b64", ~uint64_t{0}), 64u);
  EXPECT_EQ(result_of("brev.b32", 0x1u), 0x80000000u);
  EXPECT_EQ(result_of("bfind.u32", 0x00100000u), 20u);
  EXPECT_EQ(result_of("bfind.shiftamt.u32", 0x00100000u), 11u);
  EXPECT_EQ(result_of("bfind.s32", -1), 0xffffffffu);
}

TEST(Ptx, ConversionsSaturateAndRoundAsTheySay) {
  EXPECT_EQ(result_of("cvt.rzi.s32.f32", -2.7f), static_cast<uint64_t>(-2));
  EXPECT_EQ(result_of("cvt.rmi.s32.f32", -2.2f), static_cast<uint64_t>(-3));
  EXPECT_EQ(result_of("cvt.rpi.u32.f32", 2.2f), 3u);
  EXPECT_EQ(result_of("cvt.rni.s64.f64", 2.5), 2u);
  EXPECT_EQ(result_of("cvt.rzi.u32.f32", -1.f), 0u);
  EXPECT_EQ(result_of("cvt.rzi.s32.f32", 1e20f), 0x7fffffffu);
  EXPECT_EQ(result_of("cvt.rzi.u64.f64", 1e30), ~uint64_t{0});
  EXPECT_EQ(result_of("cvt.rzi.s32.f32", std::numeric_limits<float>::quiet_NaN()), 0u);
  EXPECT_EQ(result_of("cvt.rzi.s64.f64", std::numeric_limits<double>::quiet_NaN()), uint64_t{1} << 63);
  EXPECT_EQ(result_of("cvt.s32.s8", 0x80), static_cast<uint64_t>(-128));
  EXPECT_EQ(result_of("cvt.u16.u32", 0x12345u), 0x2345u);
  EXPECT_EQ(result_of("cvt.s16.s32", 0x18000), static_cast<uint64_t>(-32768));
  EXPECT_EQ(as<float>(result_of("cvt.rn.f32.u64", ~uint64_t{0})), ldexpf(1, 64));
  EXPECT_EQ(result_of("cvt.rn.bf16x2.f32", 1.f, 2.f), 0x3f804000u) << "the first source is the upper half";
  EXPECT_EQ(result_of("cvt.rn.f16x2.f32", 1.f, 2.f), 0x3c004000u);
  EXPECT_EQ(result_of("cvt.rna.tf32.f32", 1.f + ldexpf(1, -11)), 0x3f802000u);
  EXPECT_EQ(result_of("cvt.rz.f16.f32", 1e6f), 0x7bffu);
  EXPECT_EQ(result_of("cvt.rp.f16.f32", -1e-9f), 0x8000u);
  EXPECT_EQ(result_of("cvt.rm.f16.f32", -1e-9f), 0x8001u);
  EXPECT_EQ(result_of("cvt.rn.f16.s32", -2049), 0xe800u) << "a tie, to even";
}

TEST(Ptx, ExtremesOfFloatsIgnoreNan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(as<float>(result_of("min.f32", nan, 1.f)), 1.f);
  EXPECT_EQ(as<float>(result_of("max.f32", 1.f, nan)), 1.f);
  EXPECT_EQ(result_of("min.f32", 0.f, -0.f), 0x80000000u);
  EXPECT_EQ(result_of("max.f32", -0.f, 0.f), 0u);
  EXPECT_EQ(as<float>(result_of("add.ftz.f32", 1e-40f, 0.f)), 0.f);
  EXPECT_EQ(as<float>(result_of("add.rz.f32", 1.f, ldexpf(1, -24) * 1.5f)), 1.f);
  EXPECT_EQ(as<float>(result_of("mul.rp.f32", 1.f + ldexpf(1, -23), 1.f + ldexpf(1, -23))), 1.f + ldexpf(3, -23));
}

// A host gives 0xffc00000 or an operand's payload; a GPU one NaN of 32 bits, whatever made it.
TEST(Ptx, NansOfFloatsHaveOneValue) {
  constexpr uint64_t kNan = 0x7fffffffu;
  const float infinity = std::numeric_limits<float>::infinity(), payload = as<float>(0xffc01234u);
  for (const char* name : {"add.f32", "sub.f32", "mul.f32", "div.rn.f32", "min.f32", "max.f32", "add.rz.f32",
                           "sub.rm.f32", "mul.rp.f32", "add.ftz.f32", "div.full.f32", "div.approx.ftz.f32"})
    EXPECT_EQ(result_of(name, payload, payload), kNan) << name;
  for (const char* name : {"neg.f32", "abs.f32", "neg.ftz.f32", "sqrt.rn.f32", "rcp.rn.f32", "ex2.approx.ftz.f32",
                           "lg2.approx.f32", "sin.approx.f32", "cos.approx.f32", "sqrt.approx.f32", "rcp.approx.f32",
                           "rsqrt.approx.f32", "tanh.approx.f32", "cvt.rni.f32.f32", "cvt.rzi.f32.f32"})
    EXPECT_EQ(result_of(name, payload), kNan) << name;
  EXPECT_EQ(result_of("add.f32", infinity, -infinity), kNan);
  EXPECT_EQ(result_of("mul.f32", infinity, 0.f), kNan);
  EXPECT_EQ(result_of("div.rn.f32", 0.f, 0.f), kNan);
  EXPECT_EQ(result_of("sqrt.rn.f32", -1.f), kNan);
  EXPECT_EQ(result_of("fma.rn.f32", infinity, 0.f, 1.f), kNan);
  EXPECT_EQ(result_of("fma.rz.f32", 1.f, payload, 1.f), kNan);
  EXPECT_EQ(result_of("fma.rn.ftz.f32", 1.f, 1.f, payload), kNan);
  EXPECT_EQ(result_of("cvt.rn.f32.f64", as<double>(0xfff8000000000123u)), kNan);
  EXPECT_EQ(result_of("cvt.f32.f16", uint16_t{0xfe01}), kNan);
  EXPECT_EQ(result_of("cvt.rna.tf32.f32", payload), kNan);
  for (const char* name : {"cvt.rn.f16.f32", "cvt.rz.f16.f32", "cvt.rm.f16.f32", "cvt.rp.f16.f32", "cvt.rn.bf16.f32"})
    EXPECT_EQ(result_of(name, payload), 0x7fffu) << name;
}

// A double's NaN keeps its payload but for the fast functions; copysign knows bits alone.
TEST(Ptx, NansOfDoublesKeepTheirPayload) {
  const double payload = as<double>(0x7ff8000000000123u);
  for (const char* name : {"add.f64", "mul.rn.f64", "max.f64", "div.rn.f64"})
    EXPECT_EQ(result_of(name, payload, payload), 0x7ff8000000000123u) << name;
  EXPECT_EQ(result_of("sqrt.rn.f64", payload), 0x7ff8000000000123u);
  EXPECT_EQ(result_of("rcp.approx.ftz.f64", payload), 0x7fffffff00000000u);
  EXPECT_EQ(result_of("rsqrt.approx.ftz.f64", -1.0), 0x7fffffff00000000u);
  EXPECT_EQ(result_of("copysign.f32", -1.f, as<float>(0x7fc00123u)), 0xffc00123u);
}

TEST(Ptx, ComparisonsOfNanAreAsNamed) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const char* ordered : {"eq", "ne", "lt", "le", "gt", "ge", "num"})
    EXPECT_EQ(result_of("setp." + std::string(ordered) + ".f32", nan, 1.f), 0u) << ordered;
  for (const char* unordered : {"equ", "neu", "ltu", "leu", "gtu", "geu", "nan"})
    EXPECT_EQ(result_of("setp." + std::string(unordered) + ".f32", nan, 1.f), 1u) << unordered;
  EXPECT_EQ(result_of("setp.ltu.f64", 1.0, 2.0), 1u);
  EXPECT_EQ(result_of("setp.ltu.f64", 2.0, 2.0), 0u);
  EXPECT_EQ(result_of("setp.lt.s32", -1, 0), 1u);
  EXPECT_EQ(result_of("setp.lt.u32", -1, 0), 0u);
}

TEST(Ptx, FloatsRoundAndFlushAsTheInstructionSays) {
  const float tiny = ldexpf(1, -24);
  EXPECT_EQ(as<float>(result_of("fma.rn.f32", 1.f, 1.f, -tiny / 4)), 1.f);
  EXPECT_EQ(as<float>(result_of("fma.rm.f32", 1.f, 1.f, -tiny / 4)), 1 - tiny);
  EXPECT_EQ(as<float>(result_of("ex2.approx.ftz.f32", -10.f)), ldexpf(1, -10));
  EXPECT_EQ(as<float>(result_of("ex2.approx.ftz.f32", -140.f)), 0.f);
  EXPECT_EQ(as<float>(result_of("rcp.approx.ftz.f32", 1e-40f)), std::numeric_limits<float>::infinity());
  EXPECT_EQ(as<float>(result_of("cvt.sat.f32.f32", std::numeric_limits<float>::quiet_NaN())), 0.f);
  EXPECT_EQ(as<float>(result_of("cvt.sat.f32.f32", 1.5f)), 1.f);
  EXPECT_EQ(as<float>(result_of("cvt.rni.f32.f32", 2.5f)), 2.f);
  EXPECT_EQ(result_of("cvt.rn.bf16.f32", 1.f + ldexpf(1, -8)), 0x3f80u);
  EXPECT_EQ(as<double>(result_of("copysign.f64", -1.0, 3.0)), -3.0);
  EXPECT_EQ(result_of("cvt.s64.s32", -2), static_cast<uint64_t>(-2));
  EXPECT_EQ(result_of("cvt.u64.u32", -2), 0xfffffffeu);
}

// The error that the PTX ISA allows tanh.approx is also made here, in PTX and emulated, so that tests see it.
TEST(Ptx, TanhHasElevenBits) {
  double worst = 0;
  for (int k = -400; k <= 400; ++k) {
    if (k == 0) continue;
    const float x = static_cast<float>(k) / 100, value = as<float>(result_of("tanh.approx.f32", x));
    EXPECT_EQ(value, simt::fast_tanh(x)) << x;
    worst = std::max(worst, fabs(static_cast<double>(value) / tanh(static_cast<double>(x)) - 1));
  }
  EXPECT_LE(worst, ldexp(1, -11));
  EXPECT_GT(worst, ldexp(0.8, -11));
  EXPECT_EQ(as<float>(result_of("tanh.approx.f32", 0.0f)), 0.0f);
  EXPECT_EQ(as<float>(result_of("tanh.approx.f32", 20.0f)), 1.0f);
}

// Slots are made in the order of appearance; a result is looked up through the register that holds it.
TEST(Ptx, ReadsPredicatesBranchesGroupsAndImmediates) {
  const uint64_t argument = 5;
  const std::string body =
      "\tld.param.u64 %rd1, [p_0];\n"
      "$L_loop:\n"
      "\tadd.s64 %rd1, %rd1, -1;\n"
      "\tsetp.ne.s64 %p1, %rd1, 2;\n"
      "\t@%p1 bra $L_loop;\n"
      "\t{.reg .b32 %temp; mov.b64 {%r1, %temp}, %rd1;}\n"
      "\t@!%p1 mov.b64 %rd2, {%r1, %r1};  // a comment\n"
      "\tmov.f64 %rd3, 0d3FF0000000000000;\n";
  const std::vector<uint64_t> registers = run(body, argument);
  const auto holds = [&](uint64_t value) {
    for (const uint64_t one : registers)
      if (one == value) return true;
    return false;
  };
  EXPECT_TRUE(holds(0x0000000200000002u)) << "mov.b64 of a pair";
  EXPECT_TRUE(holds(0x3ff0000000000000u)) << "a double's immediate";
  EXPECT_FALSE(holds(5)) << "the loop ran";
}

TEST(Ptx, ReadsCombinedComparisonsOppositesAndSinks) {
  const uint64_t argument = 5;
  const std::vector<uint64_t> registers =
      run("\tld.param.u64 %rd1, [p_0];\n"
          "\tsetp.lt.s64 %p1|%p2, %rd1, 3;\n"           // false, true
          "\tsetp.gt.and.s64 %p3, %rd1, 4, %p2;\n"      // true
          "\tsetp.eq.or.s64 %p4|%p5, %rd1, 5, !%p3;\n"  // true, false
          "\tsetp.eq.xor.s64 %p6|_, %rd1, 5, %p3;\n"    // false
          "\t@!%p1 mov.b32 %r1, 0x1001;\n"
          "\t@%p3 mov.b32 %r2, 0x1002;\n"
          "\t@%p4 mov.b32 %r3, 0x1003;\n"
          "\t@%p5 mov.b32 %r4, 0x2004;\n"
          "\t@%p6 mov.b32 %r5, 0x2005;\n"
          "\tmov.b64 {%r6, _}, 0x100000abc0;\n"
          "\tmov.b32 {%rs1, %rs2}, %r6;\n"
          "\tmov.b64 %rd2, {%rs1, %rs1, %rs2, %rs1};\n",
          argument);
  const auto count = [&](uint64_t value) {
    int found = 0;
    for (const uint64_t one : registers) found += one == value ? 1 : 0;
    return found;
  };
  // Immediates have a slot each: what was moved stands twice.
  EXPECT_EQ(count(0x1001), 2);
  EXPECT_EQ(count(0x1002), 2);
  EXPECT_EQ(count(0x1003), 2);
  EXPECT_EQ(count(0x2004), 1);
  EXPECT_EQ(count(0x2005), 1);
  EXPECT_EQ(count(0xabc0), 2) << "the lower half of a pair, and its own lower half";
  EXPECT_EQ(count(0xabc00000abc0abc0), 1) << "four quarters";
}

// The same access, however its modifiers are ordered.
TEST(Ptx, TakesModifiersOutOfTheMnemonic) {
  for (const char* text :
       {"atom.add.release.gpu.u32", "atom.release.gpu.global.add.u32", "atom.global.release.gpu.add.u32"}) {
    Instruction made;
    EXPECT_EQ(without_modifiers(text, &made), "atom.add.u32");
    EXPECT_EQ(made.order, Order::kRelease);
    EXPECT_EQ(made.space, Space::kGeneric);
  }
  Instruction loaded;
  EXPECT_EQ(without_modifiers("ld.acquire.cluster.shared::cluster.v4.b32", &loaded), "ld.b32");
  EXPECT_EQ(loaded.order, Order::kAcquire);
  EXPECT_EQ(loaded.space, Space::kCluster);
  Instruction hinted;
  EXPECT_EQ(without_modifiers("ld.global.nc.L1::no_allocate.L2::128B.v2.f32", &hinted), "ld.f32");
  EXPECT_EQ(hinted.order, Order::kWeak);
  Instruction other;
  EXPECT_EQ(without_modifiers("barrier.cluster.arrive.release.aligned", &other),
            "barrier.cluster.arrive.release.aligned");
}

std::vector<std::string> names_of(const std::string& text, const std::string& begin = "") {
  std::vector<std::string> names;
  for (const Program& program : parse("test.ptx", text, begin)) names.push_back(program.name);
  return names;
}

TEST(Ptx, ReadsEveryKernelOfAFile) {
  const std::string text =
      ".version 9.0\n.target sm_90\n.address_size 64\n/* .entry no(\n) */ .extern .func (.param .b32 r) vprintf "
      "(.param .b64 p);\n"
      ".visible .entry bare()\n{\n\tret;\n}\n.entry naked .maxntid 32, 1, 1\n{\n\tret; // }\n}\n"
      ".weak .entry _ZN3cubk(.param .u32 n, .param .align 8 .b8 p[24])\n.reqnctapercluster 4, 1, 1\n{ ret; }\n";
  EXPECT_EQ(names_of(text), (std::vector<std::string>{"bare", "naked", "_ZN3cubk"}));
  EXPECT_EQ(names_of(text, "_ZN3cub"), (std::vector<std::string>{"_ZN3cubk"}));
  const std::vector<Program> programs = parse("test.ptx", text);
  EXPECT_EQ(programs[0].instructions.size(), 1u) << "it does not take what follows";
  EXPECT_EQ(programs[0].parameters, 0u);
  EXPECT_EQ(programs[2].parameters, 2u);
  EXPECT_EQ(programs[2].cluster, 4u);
  EXPECT_EQ(programs[1].cluster, 1u);
}

// Two scopes have a label and a register of one name each; the outer register keeps its value.
TEST(Ptx, LabelsAndRegistersBelongToTheirBraces) {
  const uint64_t argument = 5;
  const std::vector<uint64_t> registers =
      run("\tmov.b32 %r1, 0x7001;\n"
          "\t{ .reg .b32 %r1; .reg .pred p;\n\tmov.b32 %r1, 3;\nloop:\n\tadd.s32 %r1, %r1, -1;\n"
          "\tsetp.ne.s32 p, %r1, 1;\n\t@p bra loop;\n\tmov.b32 %r2, %r1; }\n"
          "\t{ .reg .b32 %r1; .reg .pred p;\n\tmov.b32 %r1, 0x60;\nloop: add.s32 %r1, %r1, -1;\n"
          "\tsetp.ne.s32 p, %r1, 0x50;\n\t@p bra loop;\n\tmov.b32 %r3, %r1; bra.uni done;\ndone: }\n"
          "\tshl.b32 %r4, %r2, 16;\n\tor.b32 %r4, %r4, %r3;\n\tadd.s32 %r5, %r1, %r4;\n",
          argument);
  EXPECT_NE(std::find(registers.begin(), registers.end(), 0x17051u), registers.end()) << "0x7001 + 1 << 16 + 0x50";
}

// Variables lie in memory with their values; addresses of them are operands, with an offset or without.
TEST(Ptx, ReadsVariablesOfAFile) {
  const std::string text =
      ".const .align 4 .b8 table[8] = {1, 0, 0, 0, 0xff};\n"
      ".visible .global .align 8 .u64 pointer = generic(words);\n"
      ".global .align 4 .u32 words[2][2] = {{7, -1}, {0x10, 9}};\n"
      ".global .f32 one = 0f3F800000;\n"
      ".visible .entry k()\n{\n\t.reg .b32 %r<9>;\n\t.reg .b64 %rd<9>;\n"
      "\tld.global.u64 %rd1, [pointer];\n\tld.global.s32 %rd2, [%rd1+4];\n\tmov.u64 %rd3, words+8;\n"
      "\tld.global.u32 %r1, [%rd3];\n\tld.const.u8 %r2, [table+4];\n\tld.global.u32 %r3, [one];\n"
      "\tmov.u32 %r4, WARP_SZ;\n\tadd.s32 %r1, %r1, %r2;\n\tadd.s32 %r1, %r1, %r4;\n\tret;\n}\n";
  const std::vector<Program> programs = parse("test.ptx", text);
  ASSERT_EQ(programs.size(), 1u);
  std::vector<uint64_t> registers = programs[0].registers;
  Frame frame{registers.data(), 0};
  while (frame.next < programs[0].instructions.size()) {
    Instruction i = programs[0].instructions[frame.next++];
    i.space = i.space == Space::kGeneric ? Space::kPrivate : i.space;  // no launch is there to note accesses
    i.run(frame, i);
  }
  const auto holds = [&](uint64_t value) {
    return std::find(registers.begin(), registers.end(), value) != registers.end();
  };
  EXPECT_TRUE(holds(static_cast<uint64_t>(-1))) << "words[0][1] through the pointer";
  EXPECT_TRUE(holds(0x10 + 0xff + 32)) << "words[1][0], table[4] and the warp's size";
  EXPECT_TRUE(holds(0x3f800000u));
}

TEST(PtxDeathTest, NothingUnknownIsPassedOver) {
  EXPECT_DEATH(parse("a.ptx", kernel("\tfrobnicate.b32 %r1, %r2;\n")),
               "a.ptx:[0-9]+: unknown instruction frobnicate.b32");
  EXPECT_DEATH(parse("a.ptx", kernel("\tmov.u32 %r1, %clock.x;\n")), "unknown special register %clock.x");
  EXPECT_DEATH(parse("a.ptx", kernel("\tmov.u64 %rd1, table;\n")), "unknown symbol table");
  EXPECT_DEATH(parse("a.ptx", kernel("\tbra $L_nowhere;\n")), "no label .L_nowhere");
  EXPECT_DEATH(parse("a.ptx", kernel("$L_a:\n$L_a:\n")), "a second .L_a");
  EXPECT_DEATH(parse("a.ptx", kernel("{\n")), "the kernel has no end");
  EXPECT_DEATH(
      parse("a.ptx",
            kernel("\tst.async.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%r1], {%r2, %r3}, [%r4];\n")),
      "unknown instruction st.async");
  EXPECT_DEATH(parse("a.ptx", kernel("\t.const .b32 x;\n")), "unknown directive");
  EXPECT_DEATH(parse("a.ptx", kernel("\tcall.uni (%r1), f, (%r2);\n")), "a call of an unknown function");
  EXPECT_DEATH(parse("a.ptx", kernel("\t{ bra inner; }\n\t{ inner: }\n")), "no label inner");
  EXPECT_DEATH(parse("a.ptx", ".global .u32 a = b;\n" + kernel("\tmov.u64 %rd1, a;\n")), "unknown value b of a");
  EXPECT_DEATH(parse("a.ptx", ".extern .global .u32 a;\n" + kernel("\tmov.u64 %rd1, a;\n")), "unknown symbol a");
  EXPECT_DEATH(parse("a.ptx", ".frobnicate 5;\n"), "a.ptx:1: unknown directive .frobnicate");
}

}  // namespace
}  // namespace varlstm::simt::ptx
