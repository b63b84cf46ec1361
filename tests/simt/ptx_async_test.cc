// Asynchronous copies, mbarriers and addresses of the cluster, as PTX written here has them: what conformance.cu does
// not use.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <functional>

#include "tests/simt/ptx_module.h"

namespace varlstm::test {
namespace {

constexpr unsigned kThreads = 64;

// %r1 is the thread, %r6 what it stores at its word; s begins with an mbarrier for all threads, at s + 64 each thread
// has 16 bytes, at %r2.
std::string kernel(const std::string& body) {
  return ".visible .entry k(.param .u64 p_0)\n{\n\t.shared .align 16 .b8 s[2048];\n"
         "\t.reg .pred %p<9>;\n\t.reg .b32 %r<30>;\n\t.reg .b64 %rd<20>;\n"
         "\tld.param.u64 %rd1, [p_0];\n\tmov.u32 %r1, %tid.x;\n\tmov.u32 %r6, 0;\n\tmov.u32 %r3, s;\n"
         "\tmad.lo.s32 %r2, %r1, 16, s+64;\n\tmad.wide.u32 %rd2, %r1, 4, %rd1;\n\tmov.u32 %r4, %ctaid.x;\n"
         "\tmad.wide.u32 %rd2, %r4, 256, %rd2;\n\tsetp.eq.s32 %p8, %r1, 0;\n"
         "\t@%p8 mbarrier.init.shared.b64 [s], 64;\n\tbar.sync 0;\n" +
         body + "\tst.global.u32 [%rd2], %r6;\n\tret;\n}\n";
}

// Words at first hold 100 + their number.
std::string run(const std::string& body, unsigned cluster, std::vector<uint32_t>* words) {
  std::vector<uint32_t> first(1024);
  for (uint32_t word = 0; word < first.size(); ++word) first[word] = 100 + word;
  const PtxModule module(kernel(body));
  const DeviceVector<uint32_t> memory(first);
  Place place;
  place.threads = kThreads;
  place.blocks = place.cluster = cluster;
  const std::string report = module.run("k", place, memory.data());
  *words = memory.values();
  return report;
}

void expect_words(const std::string& body, unsigned cluster, const std::function<uint32_t(unsigned)>& expected) {
  for (simt::Options options : every_schedule(true)) {
    for (const simt::AsyncCompletion async : {simt::AsyncCompletion::kEarly, simt::AsyncCompletion::kLate}) {
      options.async = async;
      const OptionsGuard guard(options);
      std::vector<uint32_t> words;
      ASSERT_EQ(run(body, cluster, &words), "") << name_of(options.schedule);
      for (unsigned word = 0; word < cluster * kThreads; ++word)
        ASSERT_EQ(words[word], expected(word)) << name_of(options.schedule) << ", word " << word;
    }
  }
}

std::string report_of(const std::string& body) {
  std::vector<uint32_t> words;
  return run(body, 1, &words);
}

// Of 16 bytes the first 4; the rest becomes 0. 64 words further on, for what the threads store.
TEST(PtxAsync, CopiesFillWithZeros) {
  const std::string copy =
      "\tst.shared.v4.b32 [%r2], {%r1, %r1, %r1, 9};\n\tmad.wide.u32 %rd3, %r1, 16, %rd1;\n"
      "\tcp.async.cg.shared.global.L2::128B [%r2], [%rd3+1024], 16, ";
  const std::string end =
      ";\n\tcp.async.wait_all;\n\tld.shared.v4.b32 {%r10, %r11, %r12, %r13}, [%r2];\n"
      "\tmad.lo.s32 %r6, %r13, 1000, %r10;\n\tadd.s32 %r6, %r6, %r11;\n";
  expect_words(copy + "4" + end, 1, [](unsigned word) { return 100 + 256 + 4 * word; });
  expect_words(copy + "0" + end, 1, [](unsigned) { return 0u; });
  EXPECT_NE(report_of(copy + "17" + end).find("more bytes of the source"), std::string::npos);
}

// Each thread reads its neighbour's word when the phase that its state names has ended; twice.
TEST(PtxAsync, AStateNamesThePhaseOfItsArrival) {
  const std::string phase =
      "\tmbarrier.arrive.shared::cta.b64 %rd4, [s];\n$wait{}:\n"
      "\tmbarrier.try_wait.shared::cta.b64 %p1, [s], %rd4;\n\t@!%p1 bra $wait{};\n";
  const auto numbered = [&](const std::string& number) {
    std::string text = phase;
    for (size_t at = text.find("{}"); at != std::string::npos; at = text.find("{}")) text.replace(at, 2, number);
    return text;
  };
  expect_words("\tst.shared.u32 [%r2], %r1;\n" + numbered("a") +
                   "\txor.b32 %r7, %r1, 1;\n\tmad.lo.s32 %r7, %r7, 16, s+64;\n\tld.shared.u32 %r8, [%r7];\n" +
                   numbered("b") + "\tst.shared.u32 [%r2], 1000;\n" + numbered("c") +
                   "\tld.shared.u32 %r9, [%r7];\n\tadd.s32 %r6, %r8, %r9;\n",
               1, [](unsigned thread) { return (thread ^ 1) + 1000; });
}

// The second half leaves in the first phase; in the second one the rest is enough.
TEST(PtxAsync, WhoDropsOutIsNotAwaited) {
  expect_words(
      "\tsetp.ge.u32 %p1, %r1, 32;\n\t@%p1 mbarrier.arrive_drop.shared::cta.b64 _, [s];\n\t@%p1 bra $end;\n"
      "\tmbarrier.arrive.shared::cta.b64 _, [s];\n"
      "$first:\n\tmbarrier.test_wait.parity.shared::cta.b64 %p2, [s], 0;\n\t@!%p2 bra $first;\n"
      "\tmbarrier.arrive.shared::cta.b64 _, [s];\n"
      "$second:\n\tmbarrier.test_wait.parity.shared::cta.b64 %p2, [s], 1;\n\t@!%p2 bra $second;\n"
      "\tmov.u32 %r6, 5;\n$end:\n",
      1, [](unsigned thread) { return thread < 32 ? 5u : 0u; });
}

// The copies of all threads arrive: in place of them, or beside their own arrivals.
TEST(PtxAsync, CopiesArriveAtAnMbarrier) {
  const std::string copy = "\tmad.wide.u32 %rd3, %r1, 16, %rd1;\n\tcp.async.cg.shared.global [%r2], [%rd3+1024], 16;\n";
  const std::string end =
      "$wait:\n\tmbarrier.test_wait.parity.shared::cta.b64 %p2, [s], 0;\n\t@!%p2 bra $wait;\n"
      "\txor.b32 %r7, %r1, 1;\n\tmad.lo.s32 %r7, %r7, 16, s+64;\n\tld.shared.u32 %r6, [%r7+4];\n";
  const auto expected = [](unsigned thread) { return 100 + 256 + 4 * (thread ^ 1) + 1; };
  expect_words(copy + "\tcp.async.mbarrier.arrive.noinc.shared::cta.b64 [s];\n" + end, 1, expected);
  expect_words(
      copy + "\tcp.async.mbarrier.arrive.shared::cta.b64 [s];\n\tmbarrier.arrive.shared::cta.b64 _, [s];\n" + end, 1,
      expected);
}

TEST(PtxAsync, AnInvalidatedMbarrierIsNoneAnyMore) {
  const std::string report =
      report_of("\t@%p8 mbarrier.inval.shared.b64 [s];\n\tbar.sync 0;\n\tmbarrier.arrive.shared::cta.b64 _, [s];\n");
  EXPECT_NE(report.find("no mbarrier"), std::string::npos) << report;
  EXPECT_NE(report.find("test.ptx:"), std::string::npos) << report;
}

// A relaxed arrival shows nothing of what its thread did before.
TEST(PtxAsync, ARelaxedArrivalOrdersNothing) {
  const auto body = [](const std::string& order) {
    return "\tst.shared.u32 [%r2], %r1;\n\tmbarrier.arrive." + order +
           ".shared::cta.b64 _, [s];\n"
           "$wait:\n\tmbarrier.test_wait.parity.shared::cta.b64 %p2, [s], 0;\n\t@!%p2 bra $wait;\n"
           "\txor.b32 %r7, %r1, 1;\n\tmad.lo.s32 %r7, %r7, 16, s+64;\n\tld.shared.u32 %r6, [%r7];\n";
  };
  expect_words(body("release.cta"), 1, [](unsigned thread) { return thread ^ 1; });
  EXPECT_NE(report_of(body("relaxed.cta")).find("race"), std::string::npos);
}

// Each thread arrives at the mbarrier of the other block, which that block's first thread has initialised; `before`
// stands before the cluster's barrier, `order` is of the arrival there.
std::string arrivals_at_the_peer(const std::string& before, const std::string& order) {
  return before + "\tbarrier.cluster.arrive" + order +
         ".aligned;\n\tbarrier.cluster.wait.acquire.aligned;\n"
         "\tmov.u32 %r7, %cluster_ctarank;\n\txor.b32 %r7, %r7, 1;\n\tmapa.shared::cluster.u32 %r8, %r3, %r7;\n"
         "\tmbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r8];\n"
         "$wait:\n\tmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p2, [s], 0;\n\t@!%p2 bra $wait;\n"
         "\tmov.u32 %r6, 5;\n\tbarrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;\n";
}

void expect_race(const std::string& body) {
  for (const simt::Options& options : every_schedule(true)) {
    const OptionsGuard guard(options);
    std::vector<uint32_t> words;
    EXPECT_NE(run(body, 2, &words).find("race"), std::string::npos) << name_of(options.schedule);
  }
}

// An mbarrier becomes the cluster's by a release of its initialisation: by the arrival or by a fence before it.
TEST(PtxAsync, AnInitialisedMbarrierNeedsARelease) {
  const auto five = [](unsigned) { return 5u; };
  expect_words(arrivals_at_the_peer("", ".release"), 2, five);
  expect_words(arrivals_at_the_peer("", ""), 2, five);
  expect_words(arrivals_at_the_peer("\t@%p8 fence.mbarrier_init.release.cluster;\n", ".relaxed"), 2, five);
  expect_words(arrivals_at_the_peer("\t@%p8 fence.acq_rel.cluster;\n", ".relaxed"), 2, five);
  expect_race(arrivals_at_the_peer("", ".relaxed"));
  expect_race(arrivals_at_the_peer("\t@%p8 fence.acq_rel.cta;\n", ".relaxed"));
  expect_race("\t@%p8 fence.mbarrier_init.release.cluster;\n\t@%p8 mbarrier.init.shared.b64 [s], 64;\n\tbar.sync 0;\n" +
              arrivals_at_the_peer("", ".relaxed"));
}

// Each thread reads the other block's word. That fence orders nothing but mbarriers.
TEST(PtxAsync, AFenceForMbarriersOrdersNoData) {
  const auto body = [](const std::string& fence, const std::string& order) {
    return "\tst.shared.u32 [%r2], %r1;\n\t" + fence + ";\n\tbarrier.cluster.arrive." + order +
           ".aligned;\n\tbarrier.cluster.wait.acquire.aligned;\n"
           "\tmov.u32 %r7, %cluster_ctarank;\n\txor.b32 %r7, %r7, 1;\n\tmapa.shared::cluster.u32 %r8, %r2, %r7;\n"
           "\tld.shared::cluster.u32 %r6, [%r8];\n"
           "\tbarrier.cluster.arrive.relaxed.aligned;\n\tbarrier.cluster.wait.acquire.aligned;\n";
  };
  const auto thread_of = [](unsigned word) { return word % kThreads; };
  expect_words(body("fence.acq_rel.cluster", "relaxed"), 2, thread_of);
  expect_words(body("fence.mbarrier_init.release.cluster", "release"), 2, thread_of);
  expect_race(body("fence.mbarrier_init.release.cluster", "relaxed"));
}

// Addresses of the next block's shared memory say whose they are.
TEST(PtxAsync, AddressesSayWhoseTheyAre) {
  expect_words(
      "\tmov.u32 %r7, %cluster_ctarank;\n\txor.b32 %r7, %r7, 1;\n\tmapa.shared::cluster.u32 %r8, %r3, %r7;\n"
      "\tgetctarank.shared::cluster.u32 %r9, %r8;\n\tcvt.u64.u32 %rd5, %r8;\n\tcvta.shared.u64 %rd5, %rd5;\n"
      "\tgetctarank.u64 %r10, %rd5;\n\tisspacep.shared::cluster %p1, %rd5;\n\tisspacep.global %p2, %rd5;\n"
      "\tisspacep.global %p3, %rd1;\n\tmad.lo.s32 %r6, %r9, 10, %r10;\n"
      "\t@%p1 add.s32 %r6, %r6, 100;\n\t@%p2 add.s32 %r6, %r6, 1000;\n\t@%p3 add.s32 %r6, %r6, 10000;\n",
      2, [](unsigned word) { return 10100 + (word < kThreads ? 11u : 0u); });
}

// Element c of row r of the matrix is 8 r + c: lane 4 r + q gets those of rows 2 q and 2 q + 1 in column r.
TEST(PtxAsync, AMatrixIsLoadedTransposed) {
  const auto body = [](const std::string& load) {
    return "\tmul.lo.s32 %r7, %r1, 0x40004;\n\tadd.s32 %r7, %r7, 0x10000;\n\tsetp.ge.u32 %p1, %r1, 32;\n"
           "\tmul.lo.s32 %r8, %r1, 4;\n\tadd.s32 %r8, %r8, s+64;\n\tshl.b32 %r7, %r1, 1;\n"
           "\tshl.b32 %r9, %r7, 16;\n\tor.b32 %r7, %r7, %r9;\n\tadd.s32 %r7, %r7, 0x10000;\n"
           "\t@!%p1 st.shared.u32 [%r8], %r7;\n\tbar.sync 0;\n\t@%p1 bra $end;\n"
           "\tand.b32 %r9, %r1, 7;\n\tmad.lo.s32 %r9, %r9, 16, s+64;\n\t" +
           load + " {%r6}, [%r9];\n$end:\n";
  };
  const auto expected = [](unsigned lane) {
    const unsigned first = 16 * (lane % 4) + lane / 4;
    return lane < 32 ? first | (first + 8) << 16 : 0;
  };
  expect_words(body("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16"), 1, expected);
  expect_words(body("ldmatrix.sync.aligned.x1.trans.m8n8.shared.b16"), 1, expected);
}

}  // namespace
}  // namespace varlstm::test
