// The PTX interpreter: what each kind of instruction does at its edges, how statements are read, and that nothing
// unknown is passed over.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <math.h>

#include <limits>
#include <string>
#include <vector>

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
}

}  // namespace
}  // namespace varlstm::simt::ptx
