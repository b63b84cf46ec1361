// PTX that reaches memory and other threads, as kernels written here: what nvcc makes of the vocabulary is in
// conformance.cu, the rest and what must be refused is here.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <string.h>

#include <string>
#include <vector>

#include "kernels/simt/kernel_override.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/memory.h"
#include "kernels/simt/options.h"
#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

constexpr unsigned kBlocks = 4;
constexpr unsigned kThreads = 64;
constexpr unsigned kWords = 2 * kBlocks * kThreads;

// %rd1 is the address of the words, %rd2 that of this thread's, %r1 the thread, %r2 the block, %r3 the peer's rank.
constexpr const char* kBegin =
    ".extern .shared .align 128 .b8 _ZN7varlstm4simt2s_E[];\n"
    ".visible .entry _ZN7varlstm4test1kEPj(\n\t.param .u64 p_0\n)\n{\n"
    "\t.local .align 16 .b8 depot[32];\n"
    "\t.reg .pred %p<9>;\n\t.reg .b16 %rs<9>;\n\t.reg .b32 %r<30>;\n\t.reg .b64 %rd<20>;\n"
    "\tld.param.u64 %rd1, [p_0];\n"
    "\tmov.u32 %r1, %tid.x;\n"
    "\tmov.u32 %r2, %ctaid.x;\n"
    "\tmad.lo.s32 %r4, %r2, 64, %r1;\n"
    "\tmad.wide.u32 %rd2, %r4, 4, %rd1;\n"
    "\tmov.u32 %r5, %cluster_ctarank;\n"
    "\txor.b32 %r3, %r5, 1;\n";

std::vector<Program> programs;  // of the launch that runs

void never_called(uint32_t*) {}

std::function<void()> run_program(const KernelCall& call) {
  const void* const* arguments = call.arguments;
  return [arguments] {
    std::vector<unsigned char> reached(programs[0].instructions.size());
    run_thread(programs[0], arguments, nullptr, reached.data());
  };
}

struct Outcome {
  std::vector<uint32_t> words;
  std::string report;  // empty where nothing is wrong
};

Outcome run(const std::string& body) {
  programs = parse("test.ptx", kBegin + body + "\tret;\n}\n");
  auto* words = static_cast<uint32_t*>(device_allocate(kWords * sizeof(uint32_t)));
  memset(words, 0, kWords * sizeof(uint32_t));
  LaunchShape shape;
  shape.grid = dim3(kBlocks);
  shape.block = dim3(kThreads);
  shape.cluster = 2;
  shape.shared_bytes = 1024;
  set_kernel_override(run_program);
  const cudaError_t error = simt::launch(shape, nullptr, "test", never_called, words);
  set_kernel_override(nullptr);
  Outcome outcome{std::vector<uint32_t>(words, words + kWords), error == cudaSuccess ? "" : last_report()};
  device_free(words);
  return outcome;
}

// Every thread's word is expected(block, thread).
template <class Expected>
void expect_words(const std::string& body, Expected expected) {
  const Outcome outcome = run(body);
  ASSERT_EQ(outcome.report, "");
  for (unsigned word = 0; word < kBlocks * kThreads; ++word)
    ASSERT_EQ(outcome.words[word], expected(word / kThreads, word % kThreads)) << "word " << word;
}

TEST(PtxLaunch, SpecialRegistersSayWhereAThreadIs) {
  expect_words(
      "\tmov.u32 %r6, %laneid;\n\tmov.u32 %r7, %warpid;\n\tmov.u32 %r8, %clusterid.x;\n"
      "\tmov.u32 %r9, %nclusterid.x;\n\tmov.u32 %r10, %cluster_nctarank;\n\tmov.u32 %r11, %lanemask_lt;\n"
      "\tpopc.b32 %r11, %r11;\n\tsub.s32 %r11, %r11, %r6;\n\tmov.u32 %r12, %dynamic_smem_size;\n"
      "\tmad.lo.s32 %r13, %r7, 100, %r6;\n\tmad.lo.s32 %r13, %r8, 1000, %r13;\n"
      "\tmad.lo.s32 %r13, %r9, 10000, %r13;\n\tmad.lo.s32 %r13, %r10, 100000, %r13;\n"
      "\tadd.s32 %r13, %r13, %r11;\n\tmad.lo.s32 %r13, %r12, 1000000, %r13;\n"
      "\tst.global.u32 [%rd2], %r13;\n",
      [](unsigned block, unsigned thread) {
        return thread % 32 + thread / 32 * 100 + block / 2 * 1000 + 20000 + 200000 + 1024000000u;
      });
}

TEST(PtxLaunch, SignedLoadsExtendTheirSign) {
  expect_words(
      "\tmov.u32 %r6, -70000;\n\tst.global.u32 [%rd2], %r6;\n\tld.global.s32 %rd3, [%rd2];\n"
      "\tld.global.s16 %r7, [%rd2];\n\tld.global.s8 %r8, [%rd2];\n"  // -4464 and -112
      "\tshr.s64 %rd3, %rd3, 32;\n\tcvt.u32.u64 %r9, %rd3;\n"
      "\tadd.s32 %r7, %r7, %r8;\n\tadd.s32 %r7, %r7, %r9;\n\tst.global.u32 [%rd2], %r7;\n",
      [](unsigned, unsigned) { return static_cast<uint32_t>(-4464 - 112 - 1); });
}

// Vectors through the shared memory of the peer, by addresses of the shared window and by generic ones.
TEST(PtxLaunch, PeersSharedMemoryHasAddressesOfItsOwn) {
  const std::string exchange =
      "\tmov.u32 %r6, _ZN7varlstm4simt2s_E;\n\tmad.lo.s32 %r7, %r1, 8, %r6;\n"
      "\tst.shared.v2.u32 [%r7], {%r4, %r1};\n"
      "\tbarrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;\n"
      "\tmapa.shared::cluster.u32 %r8, %r7, %r3;\n";
  const std::string end =
      "\tadd.s32 %r9, %r9, %r10;\n\tst.global.u32 [%rd2], %r9;\n"
      "\tbarrier.cluster.arrive.aligned;\n\tbarrier.cluster.wait.aligned;\n";
  const auto expected = [](unsigned block, unsigned thread) { return (block ^ 1) * kThreads + 2 * thread; };
  expect_words(exchange + "\tld.shared::cluster.v2.u32 {%r9, %r10}, [%r8];\n" + end, expected);
  expect_words(exchange +
                   "\t{ .reg .b64 %tmp;\n\tcvt.u64.u32 %tmp, %r8;\n\tcvta.shared.u64 %rd3, %tmp; }\n"
                   "\tld.v2.u32 {%r9, %r10}, [%rd3];\n" +
                   end,
               expected);
  const Outcome wrong = run(exchange + "\tld.shared.v2.u32 {%r9, %r10}, [%r8];\n" + end);
  EXPECT_NE(wrong.report.find("not its own shared memory"), std::string::npos) << wrong.report;
  EXPECT_NE(wrong.report.find("test.ptx:"), std::string::npos) << wrong.report;
}

TEST(PtxLaunch, LocalMemoryIsReachedByGenericAddresses) {
  expect_words(
      "\tmov.u64 %rd3, depot;\n\tcvta.local.u64 %rd4, %rd3;\n\tst.local.v2.u32 [%rd3+8], {%r4, %r1};\n"
      "\tld.u32 %r6, [%rd4+12];\n\tst.u32 [%rd4], %r6;\n\tld.local.u32 %r7, [%rd3];\n"
      "\tld.local.u32 %r8, [%rd3+8];\n\tadd.s32 %r7, %r7, %r8;\n\tst.global.u32 [%rd2], %r7;\n",
      [](unsigned block, unsigned thread) { return block * kThreads + 2 * thread; });
}

TEST(PtxLaunch, WarpsReduceAndVote) {
  expect_words(
      "\tredux.sync.add.s32 %r6, %r1, -1;\n\tredux.sync.max.u32 %r7, %r1, -1;\n"
      "\tneg.s32 %r8, %r1;\n\tredux.sync.min.s32 %r8, %r8, -1;\n\tredux.sync.xor.b32 %r9, %r1, -1;\n"
      "\tsetp.lt.u32 %p1, %r1, 40;\n\tvote.sync.ballot.b32 %r10, !%p1, -1;\n\tpopc.b32 %r10, %r10;\n"
      "\tactivemask.b32 %r11;\n\tmov.u32 %r12, %lanemask_eq;\n\tand.b32 %r11, %r11, %r12;\n"
      "\tsetp.eq.s32 %p2, %r11, %r12;\n\tselp.u32 %r11, 1, 0, %p2;\n"
      "\tadd.s32 %r6, %r6, %r7;\n\tadd.s32 %r6, %r6, %r8;\n\tadd.s32 %r6, %r6, %r9;\n"
      "\tmad.lo.s32 %r6, %r10, 10000, %r6;\n\tmad.lo.s32 %r6, %r11, 1000000, %r6;\n"
      "\tst.global.u32 [%rd2], %r6;\n",
      [](unsigned, unsigned thread) { return 1000000 + (thread < 32 ? 496u : 1520 + 240000); });
}

// Four words at once from the block before, which releases them; counted by red, waited for with nanosleep.
TEST(PtxLaunch, VectorsAreReleasedAndAcquired) {
  expect_words(
      "\tsetp.ne.s32 %p1, %r1, 0;\n\t@%p1 bra $L_end;\n"
      "\tmad.wide.u32 %rd3, %r2, 16, %rd1;\n\tadd.s64 %rd3, %rd3, 1024;\n"
      "\tsetp.eq.s32 %p2, %r2, 0;\n\tmov.u32 %r6, 1;\n\t@%p2 bra $L_store;\n"
      "$L_wait:\n\tnanosleep.u32 20;\n\tld.acquire.gpu.global.v4.u32 {%r6, %r7, %r8, %r9}, [%rd3+-16];\n"
      "\tsetp.eq.s32 %p3, %r9, 0;\n\t@%p3 bra $L_wait;\n\tadd.s32 %r6, %r6, %r9;\n"
      "\tadd.s32 %r10, %r2, -1;\n\tmad.wide.u32 %rd4, %r10, 256, %rd1;\n\tld.global.u32 %r11, [%rd4];\n"
      "\tadd.s32 %r6, %r6, %r11;\n"
      "$L_store:\n\tst.global.u32 [%rd2], %r6;\n"
      "\tst.release.gpu.global.v4.b32 [%rd3], {%r6, %r2, %r2, 1};\n"
      "\tred.release.gpu.global.add.u32 [%rd1+1536], %r6;\n"
      "$L_end:\n",
      [](unsigned block, unsigned thread) { return thread == 0 ? (2u << block) - 1 : 0; });
}

TEST(PtxLaunch, TimersGoOn) {
  expect_words(
      "\tmov.u64 %rd3, %globaltimer;\n\tnanosleep.u32 20;\n\tmov.u64 %rd4, %globaltimer;\n"
      "\tsetp.gt.u64 %p1, %rd4, %rd3;\n\tselp.u32 %r6, 1, 0, %p1;\n\tst.global.u32 [%rd2], %r6;\n",
      [](unsigned, unsigned) { return 1u; });
}

TEST(PtxLaunch, WhatAGpuWouldRefuseIsReported) {
  const auto expect_report = [](const std::string& body, const std::string& report) {
    const Outcome outcome = run(body);
    EXPECT_NE(outcome.report.find(report), std::string::npos) << outcome.report;
    EXPECT_NE(outcome.report.find("test.ptx:"), std::string::npos) << outcome.report;
  };
  expect_report("\tld.global.v4.u32 {%r6, %r7, %r8, %r9}, [%rd1+8];\n", "misaligned access");
  expect_report("\tst.shared.u64 [_ZN7varlstm4simt2s_E+4], %rd1;\n", "misaligned access");
  expect_report("\ttrap;\n", "trap");
  expect_report("\tcvta.to.shared.u64 %rd3, %rd1;\n", "not shared memory");
  expect_report("\tst.global.u32 [%rd1], %r1;\n", "race");
}

}  // namespace
}  // namespace varlstm::simt::ptx
