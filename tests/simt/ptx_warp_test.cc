// What lanes of a warp and threads of a block do together, as PTX written here has it: shuffles in bounds, votes,
// matches, barriers for some threads, and what a GPU permits but the kernels of this project never do.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <functional>

#include "tests/simt/ptx_module.h"

namespace varlstm::test {
namespace {

// %r1 is the thread, %r6 what it stores at its word; s, 512 words of shared memory, %r2 this thread's.
std::string kernel(const std::string& body) {
  return ".visible .entry k(.param .u64 p_0)\n{\n\t.shared .align 16 .b8 s[2048];\n"
         "\t.reg .pred %p<9>;\n\t.reg .b32 %r<30>;\n\t.reg .b64 %rd<20>;\n"
         "\tld.param.u64 %rd1, [p_0];\n\tmov.u32 %r1, %tid.x;\n\tmov.u32 %r6, 0;\n"
         "\tmov.u32 %r3, s;\n\tmad.lo.s32 %r2, %r1, 4, %r3;\n\tmad.wide.u32 %rd2, %r1, 4, %rd1;\n" +
         body + "\tst.global.u32 [%rd2], %r6;\n\tret;\n}\n";
}

struct Outcome {
  std::vector<uint32_t> words;
  std::string report;
};

Outcome run(const std::string& body, unsigned threads, unsigned cluster = 1) {
  const PtxModule module(kernel(body));
  const DeviceVector<uint32_t> words(1024);
  Place place;
  place.threads = threads;
  place.blocks = place.cluster = cluster;
  const std::string report = module.run("k", place, words.data());
  return {words.values(), report};
}

// Each of the first `count` threads stores expected(thread), under every schedule.
void expect_words(const std::string& body, unsigned threads, unsigned count,
                  const std::function<uint32_t(unsigned)>& expected, bool strict = true) {
  for (const simt::Options& options : every_schedule(strict)) {
    const OptionsGuard guard(options);
    const Outcome outcome = run(body, threads);
    ASSERT_EQ(outcome.report, "") << name_of(options.schedule);
    for (unsigned thread = 0; thread < count; ++thread)
      ASSERT_EQ(outcome.words[thread], expected(thread)) << name_of(options.schedule) << ", thread " << thread;
  }
}

uint32_t if_below(unsigned bound, unsigned source, unsigned lane) {
  return source < bound ? source : lane;
}

TEST(PtxWarp, ShufflesTakeTheFiveLowBitsOfTheirDistance) {
  expect_words("\tshfl.sync.bfly.b32 %r6, %r1, 33, 31, -1;\n", 32, 32, [](unsigned lane) { return lane ^ 1; });
  expect_words("\tshfl.sync.down.b32 %r6, %r1, 34, 31, -1;\n", 32, 32,
               [](unsigned lane) { return if_below(32, lane + 2, lane); });
  expect_words("\tshfl.sync.up.b32 %r6, %r1, 35, 0, -1;\n", 32, 32,
               [](unsigned lane) { return lane >= 3 ? lane - 3 : lane; });
  expect_words("\tshfl.sync.idx.b32 %r6, %r1, 40, 31, -1;\n", 32, 32, [](unsigned) { return 8u; });
}

// Segments of eight lanes: bits 8 to 12 of the bounds are 0x18. The predicate counts 100.
TEST(PtxWarp, ShufflesStayInTheirSegment) {
  const std::string end = "\tselp.u32 %r7, 100, 0, %p1;\n\tadd.s32 %r6, %r6, %r7;\n";
  expect_words("\tshfl.sync.down.b32 %r6|%p1, %r1, 3, 0x181f, -1;\n" + end, 32, 32,
               [](unsigned lane) { return lane % 8 < 5 ? lane + 103 : lane; });
  expect_words("\tshfl.sync.up.b32 %r6|%p1, %r1, 3, 0x1800, -1;\n" + end, 32, 32,
               [](unsigned lane) { return lane % 8 >= 3 ? lane + 97 : lane; });
  expect_words("\tshfl.sync.bfly.b32 %r6|%p1, %r1, 5, 0x181f, -1;\n" + end, 32, 32,
               [](unsigned lane) { return (lane ^ 5) + 100; });
  expect_words("\tshfl.sync.bfly.b32 %r6|%p1, %r1, 9, 0x181f, -1;\n" + end, 32, 32,
               [](unsigned lane) { return lane & 8 ? (lane ^ 9) + 100 : lane; });
  expect_words("\tmul.lo.s32 %r8, %r1, 7;\n\tshfl.sync.idx.b32 %r6|%p1, %r1, %r8, 0x1c1f, -1;\n" + end, 32, 32,
               [](unsigned lane) { return (lane & 28) + (lane * 7 & 3) + 100; });
}

// The last lane that may be read differs: it is lane / 2 + 10.
TEST(PtxWarp, ShufflesHaveABoundOfEachLane) {
  expect_words("\tshr.u32 %r7, %r1, 1;\n\tadd.s32 %r7, %r7, 10;\n\tshfl.sync.down.b32 %r6, %r1, 4, %r7, -1;\n", 32, 32,
               [](unsigned lane) { return if_below(lane / 2 + 11, lane + 4, lane); });
}

// Lanes of the second half may come to the whole warp's shuffle before those of the first have had theirs.
TEST(PtxWarp, AHalfMayShuffleBeforeTheWhole) {
  expect_words(
      "\tsetp.lt.u32 %p1, %r1, 16;\n\tselp.b32 %r7, 0xffff, 0xffff0000, %p1;\n"
      "\tshfl.sync.bfly.b32 %r8, %r1, 1, 31, %r7;\n\tadd.s32 %r8, %r8, %r1;\n"
      "\tshfl.sync.bfly.b32 %r9, %r8, 16, 31, -1;\n\tadd.s32 %r6, %r8, %r9;\n",
      32, 32, [](unsigned lane) { return lane + (lane ^ 1) + (lane ^ 16) + (lane ^ 17); });
  expect_words(
      "\tsetp.lt.u32 %p1, %r1, 16;\n\t@!%p1 bra $whole;\n"
      "\tshfl.sync.bfly.b32 %r8, %r1, 1, 31, 0xffff;\n"
      "$whole:\n\tshfl.sync.bfly.b32 %r6, %r1, 16, 31, -1;\n",
      32, 32, [](unsigned lane) { return lane ^ 16; });
}

TEST(PtxWarp, LanesThatWaitForEachOtherAreReported) {
  const Outcome outcome =
      run("\tsetp.lt.u32 %p1, %r1, 16;\n\t@%p1 bra $first;\n\tshfl.sync.bfly.b32 %r6, %r1, 1, 31, -1;\n\tbra $end;\n"
          "$first:\n\tvote.sync.ballot.b32 %r6, 1, -1;\n$end:\n",
          32);
  EXPECT_NE(outcome.report.find("divergent warp"), std::string::npos) << outcome.report;
}

TEST(PtxWarp, LanesMatchVoteAndElect) {
  expect_words("\trem.u32 %r7, %r1, 3;\n\tmatch.any.sync.b32 %r6, %r7, -1;\n", 32, 32, [](unsigned lane) {
    uint32_t same = 0;
    for (unsigned other = lane % 3; other < 32; other += 3) same |= 1u << other;
    return same;
  });
  expect_words(
      "\tmov.u64 %rd3, 7;\n\tmatch.all.sync.b64 %r7|%p1, %rd3, -1;\n\tmatch.all.sync.b32 %r8|%p2, %r1, -1;\n"
      "\tselp.u32 %r9, 1, 0, %p1;\n\tselp.u32 %r10, 2, 0, %p2;\n\tadd.s32 %r6, %r9, %r10;\n"
      "\tadd.s32 %r7, %r7, %r8;\n\tadd.s32 %r7, %r7, 1;\n\tadd.s32 %r6, %r6, %r7;\n",
      32, 32, [](unsigned) { return 1u; });
  expect_words(
      "\tsetp.gt.u32 %p1, %r1, 3;\n\tvote.ballot.sync.b32 %r6, %p1, -1;\n\tvote.sync.uni.pred %p2, %p1, -1;\n"
      "\t@%p2 mov.u32 %r6, 0;\n",
      32, 32, [](unsigned) { return 0xfffffff0u; });
  expect_words(
      "\tsetp.lt.u32 %p1, %r1, 5;\n\t@%p1 bra $end;\n\telect.sync %r7|%p2, 0xffffffe0;\n"
      "\tselp.u32 %r6, 100, 0, %p2;\n\tadd.s32 %r6, %r6, %r7;\n$end:\n",
      32, 32, [](unsigned lane) { return lane < 5    ? 0u
                                         : lane == 5 ? 105u
                                                     : 5u; });
}

constexpr const char* kKeep = "\tst.shared.u32 [%r2], %r1;\n";
// Of thread %r4.
constexpr const char* kTake = "\tmad.lo.s32 %r5, %r4, 4, %r3;\n\tld.shared.u32 %r6, [%r5];\n";

TEST(PtxWarp, ABarrierIsForAllThreadsOfAnyBlock) {
  for (const char* barrier : {"bar.sync 0", "bar.sync 1", "barrier.cta.sync.aligned 15"})
    expect_words(kKeep + ("\t" + std::string(barrier)) + ";\n\tsub.s32 %r4, 74, %r1;\n" + kTake, 75, 75,
                 [](unsigned thread) { return 74 - thread; });
}

TEST(PtxWarp, ABarrierIsForSomeThreads) {
  expect_words("\tsetp.ge.u32 %p1, %r1, 32;\n\t@%p1 bra $end;\n" + std::string(kKeep) +
                   "\tbar.sync 0, 32;\n\tsub.s32 %r4, 31, %r1;\n" + kTake + "$end:\n",
               64, 32, [](unsigned thread) { return 31 - thread; });
  const Outcome odd = run("\tbar.sync 1, 33;\n", 64);
  EXPECT_NE(odd.report.find("barrier 1 of 33 threads"), std::string::npos) << odd.report;
  for (const char* id : {"0", "2"}) {
    const std::string barrier = "\tbar.sync " + std::string(id);
    const Outcome other =
        run("\tsetp.ge.u32 %p1, %r1, 32;\n\t@%p1 bra $all;\n" + barrier + ", 64;\n$all:\n" + barrier + ";\n", 96);
    EXPECT_NE(other.report.find("another number of threads"), std::string::npos) << other.report;
  }
}

// The second half of the block waits for the first, which goes on.
TEST(PtxWarp, ThreadsArriveWithoutWaiting) {
  expect_words("\tsetp.ge.u32 %p1, %r1, 32;\n\t@%p1 bra $wait;\n" + std::string(kKeep) +
                   "\tbar.arrive 2, 64;\n\tmov.u32 %r6, 7;\n\tbra $end;\n"
                   "$wait:\n\tbar.sync 2, 64;\n\tsub.s32 %r4, %r1, 32;\n" +
                   kTake + "$end:\n",
               64, 64, [](unsigned thread) { return thread < 32 ? 7 : thread - 32; });
}

TEST(PtxWarp, BarriersCountPredicates) {
  expect_words(
      "\tsetp.lt.u32 %p1, %r1, 50;\n\tbar.red.popc.u32 %r6, 0, %p1;\n\tsetp.lt.u32 %p2, %r1, 75;\n"
      "\tbarrier.cta.red.and.aligned.pred %p3, 0, %p2;\n\tbar.red.and.pred %p4, 3, %p1;\n"
      "\tsetp.eq.s32 %p5, %r1, 74;\n\tbar.red.or.pred %p6, 0, %p5;\n\tbar.red.or.pred %p7, 0, !%p2;\n"
      "\t@%p3 add.s32 %r6, %r6, 100;\n\t@%p4 add.s32 %r6, %r6, 1000;\n"
      "\t@%p6 add.s32 %r6, %r6, 10000;\n\t@%p7 add.s32 %r6, %r6, 100000;\n",
      75, 75, [](unsigned) { return 10150u; });
}

TEST(PtxWarp, AClusterIsExplicitWhereTheLaunchNamesOne) {
  const std::string body =
      "\tmov.u32 %r6, %is_explicit_cluster;\n\tadd.s32 %r6, %r6, 5;\n"
      "\tmov.u32 %r7, %ctaid.x;\n\tmad.wide.u32 %rd2, %r7, 4, %rd1;\n"
      "\tsetp.ne.s32 %p1, %r1, 0;\n\t@%p1 ret;\n";
  EXPECT_EQ(run(body, 32).words[0], 5u);
  EXPECT_EQ(run(body, 32, 2).words[1], 6u);
}

struct Permitted {
  const char* name;
  std::string body;
  unsigned threads;
  unsigned checked;
  std::function<uint32_t(unsigned)> expected;
  const char* report;  // where it is not permitted
};

std::vector<Permitted> permitted_on_a_gpu() {
  const std::string keep_double = "\tadd.s32 %r7, %r1, %r1;\n\tst.shared.u32 [%r2], %r7;\n";
  const auto two_places = [&](const std::string& barrier) {
    return "\tsetp.ge.u32 %p1, %r1, 32;\n\t@%p1 bra $second;\n" + std::string(kKeep) + barrier +
           "\tadd.s32 %r4, %r1, 32;\n" + kTake + "\tbra $end;\n$second:\n" + keep_double + barrier +
           "\tsub.s32 %r4, %r1, 32;\n" + kTake + "$end:\n";
  };
  const std::string odd_lanes = "\tand.b32 %r7, %r1, 1;\n\tsetp.eq.s32 %p1, %r7, 1;\n\txor.b32 %r4, %r1, 1;\n";
  return {
      {"a shuffle of lanes of which some have ended",
       "\tsetp.ge.u32 %p1, %r1, 20;\n\t@%p1 ret;\n\tshfl.sync.bfly.b32 %r6, %r1, 1, 31, -1;\n", 32, 20,
       [](unsigned thread) { return thread ^ 1; }, "deadlock"},
      {"a vote of lanes of which some have ended",
       odd_lanes + "\t@%p1 ret;\n\tsetp.gt.u32 %p2, %r1, 3;\n\tvote.sync.ballot.b32 %r6, %p2, -1;\n", 32, 1,
       [](unsigned) { return 0x55555550u; }, "deadlock"},
      {"a block's barrier after threads have ended",
       "\tsetp.ge.u32 %p1, %r1, 40;\n\t@%p1 ret;\n" + std::string(kKeep) + "\tbar.sync 0;\n\tsub.s32 %r4, 39, %r1;\n" +
           kTake,
       64, 40, [](unsigned thread) { return 39 - thread; }, "early exit"},
      {"another barrier after threads have ended",
       "\tsetp.ge.u32 %p1, %r1, 40;\n\t@%p1 ret;\n" + std::string(kKeep) + "\tbar.sync 4;\n\tsub.s32 %r4, 39, %r1;\n" +
           kTake,
       64, 40, [](unsigned thread) { return 39 - thread; }, "deadlock"},
      {"a warp's barrier at two places",
       odd_lanes + "\t@%p1 bra $odd;\n" + kKeep + "\tbar.warp.sync -1;\n" + kTake + "\tbra $end;\n$odd:\n" +
           keep_double + "\tbar.warp.sync -1;\n" + kTake + "$end:\n",
       32, 32, [](unsigned thread) { return thread % 2 == 0 ? 2 * (thread + 1) : thread - 1; }, "divergent barrier"},
      {"a block's barrier at two places", two_places("\tbar.sync 0;\n"), 64, 64,
       [](unsigned thread) { return thread < 32 ? 2 * (thread + 32) : thread - 32; }, "divergent barrier"},
  };
}

TEST(PtxWarp, WhatAGpuPermitsIsPermittedUnlessStrict) {
  for (const Permitted& one : permitted_on_a_gpu()) {
    SCOPED_TRACE(one.name);
    expect_words(one.body, one.threads, one.checked, one.expected, false);
    const Outcome strict = run(one.body, one.threads);
    EXPECT_NE(strict.report.find(one.report), std::string::npos) << strict.report;
  }
}

// All of b is 1 in even rows and `odd_b` in odd ones, all of a 1 in even columns and `odd_a` in odd ones: eight
// products are 1, eight are odd_a * odd_b. Gives the bits of c plus their sum.
uint32_t sum_of_16_products(const std::string& type, uint32_t one, uint32_t odd_a, uint32_t odd_b, const char* c,
                            simt::MmaRounding rounding) {
  simt::Options options;
  options.rounding = rounding;
  const OptionsGuard guard(options);
  const std::string a = std::to_string(odd_a << 16 | one), b = std::to_string(odd_b << 16 | one);
  const Outcome outcome = run("\tmov.b32 %r7, " + a + ";\n\tmov.b32 %r8, " + b + ";\n\tmov.b32 %r9, " + c +
                                  ";\n\tmma.sync.aligned.m16n8k16.row.col.f32." + type + "." + type +
                                  ".f32 {%r6, %r10, %r11, %r12}, {%r7, %r7, %r7, %r7}, {%r8, %r8}, {%r9, %r9, %r9, "
                                  "%r9};\n",
                              32);
  EXPECT_EQ(outcome.report, "");
  for (const uint32_t word : {1u, 13u, 31u}) EXPECT_EQ(outcome.words[word], outcome.words[0]);
  return outcome.words[0];
}

// Worked out by hand. With c = -8 the largest exponent is 3, so that what lies below 2^-22 is cut off each product
// before they are added; without c it is 0, and what lies below 2^-25 is cut.
TEST(PtxWarp, TensorCoresAlignWhatTheyAddAndCutIt) {
  using simt::MmaRounding;
  constexpr uint32_t kOne = 0x3c00, kPower = 0x400;  // of f16, and what a power of two more adds to it
  const char* const minus_8 = "0xc1000000";
  const auto sum = [&](int a, int b, const char* c, MmaRounding rounding) {
    return sum_of_16_products("f16", kOne, kOne - static_cast<uint32_t>(a) * kPower,
                              kOne - static_cast<uint32_t>(b) * kPower, c, rounding);
  };
  EXPECT_EQ(sum(13, 10, minus_8, MmaRounding::kExact), 0x35800000u) << "8 * 2^-23 = 2^-20";
  EXPECT_EQ(sum(13, 10, minus_8, MmaRounding::kTruncate), 0u) << "2^-23 is cut eight times";
  EXPECT_EQ(sum(13, 9, minus_8, MmaRounding::kTruncate), 0x36000000u) << "2^-22 is kept: 2^-19";
  EXPECT_EQ(sum(10, 10, "0", MmaRounding::kExact), 0x41000008u) << "8 + 2^-17";
  EXPECT_EQ(sum(12, 11, "0", MmaRounding::kExact), 0x41000001u) << "8 + 2^-20, the next float above 8";
  EXPECT_EQ(sum(12, 11, "0", MmaRounding::kTruncate), 0x41000001u);
  EXPECT_EQ(sum(13, 11, "0", MmaRounding::kTruncate), 0x41000000u) << "8 + 2^-21 is truncated";
  const uint32_t minus = 0x8000u | (kOne - 13 * kPower);
  EXPECT_EQ(sum_of_16_products("f16", kOne, minus, kOne - 12 * kPower, "0", MmaRounding::kExact), 0x41000000u)
      << "8 - 2^-22, a tie, to even";
  EXPECT_EQ(sum_of_16_products("f16", kOne, minus, kOne - 12 * kPower, "0", MmaRounding::kTruncate), 0x40ffffffu)
      << "8 - 2^-22, towards 0";
  EXPECT_EQ(sum_of_16_products("f16", kOne, minus, kOne - 13 * kPower, "0", MmaRounding::kTruncate), 0x41000000u)
      << "2^-26 is cut towards 0";
  constexpr uint32_t kOneBf16 = 0x3f80, kPowerBf16 = 0x80;
  EXPECT_EQ(sum_of_16_products("bf16", kOneBf16, kOneBf16 - 13 * kPowerBf16, kOneBf16 - 10 * kPowerBf16, minus_8,
                               MmaRounding::kTruncate),
            0u);
}

TEST(PtxWarp, AMatrixProductHasOneNan) {
  for (const simt::MmaRounding rounding :
       {simt::MmaRounding::kExact, simt::MmaRounding::kSequential, simt::MmaRounding::kTruncate}) {
    EXPECT_EQ(sum_of_16_products("f16", 0x7c00, 0x7c00, 0xfc00, "0", rounding), 0x7fffffffu) << "infinity less itself";
    EXPECT_EQ(sum_of_16_products("bf16", 0x3f80, 0x3f80, 0x3f80, "0xffc01234", rounding), 0x7fffffffu);
  }
}

}  // namespace
}  // namespace varlstm::test
