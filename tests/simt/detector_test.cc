// What the emulator reports of kernels with a planted defect, and that it reports nothing of correct ones.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>

#include <string>
#include <vector>

#include "kernels/simt/launch.h"
#include "kernels/simt/memory.h"
#include "kernels/simt/options.h"
#include "simt/case_table.h"

namespace varlstm::test {
namespace {

using simt::Options;
using simt::Schedule;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kHooks = false;
#else
constexpr bool kHooks = true;
#endif

// Whether kernels run as their PTX has them.
bool runs_ptx() {
  return getenv("VARLSTM_EMULATOR_PTX") != nullptr;
}

// In order, newest first, 8 at random, 8 by random priorities.
std::vector<Options> schedules() {
  std::vector<Options> all(18);
  all[1].schedule = Schedule::kLifo;
  for (size_t i = 2; i < all.size(); ++i) {
    all[i].schedule = i < 10 ? Schedule::kRandom : Schedule::kPct;
    all[i].seed = i;
  }
  return all;
}

struct Result {
  cudaError_t error;
  std::vector<uint32_t> words;
  std::string report;
};

Result run_shape(const KernelCase& kernel_case, const LaunchShape& shape, const Options& options) {
  simt::set_options(options);
  auto* words = static_cast<uint32_t*>(simt::device_allocate(kWords * sizeof(uint32_t)));
  memset(words, 0, kWords * sizeof(uint32_t));
  Result result;
  if (kernel_case.mapped == nullptr) {
    result.error = simt::launch(shape, nullptr, kernel_case.name, kernel_case.kernel, words);
  } else {
    TensorMaps maps = {};
    EXPECT_EQ(make_tensor_maps(words + 512, &maps), CUDA_SUCCESS);
    result.error = simt::launch(shape, nullptr, kernel_case.name, kernel_case.mapped, words, maps);
  }
  result.words.assign(words, words + kWords);
  simt::device_free(words);
  if (result.error != cudaSuccess) result.report = simt::last_report();
  simt::set_options(Options());
  return result;
}

Result run_case(const KernelCase& kernel_case, const Options& options) {
  LaunchShape shape;
  shape.grid = dim3(kBlocks);
  shape.block = dim3(kernel_case.threads);
  shape.cluster = kCluster;
  shape.shared_bytes = kSharedBytes * kernel_case.threads / kThreads;
  shape.cooperative = true;
  return run_shape(kernel_case, shape, options);
}

class Detector : public testing::TestWithParam<KernelCase> {};

std::string case_name(const testing::TestParamInfo<KernelCase>& info) {
  std::string name;
  for (const char* c = info.param.name; *c != 0; ++c)
    if (isalnum(static_cast<unsigned char>(*c))) name += *c;
  return name;
}

class PlantedDefect : public Detector {};
class CorrectKernel : public Detector {};
class WeaklyOrderedKernel : public Detector {};

// nvcc makes a loop of the grid's barrier: who waits there for ever spins.
std::string expected_report(const KernelCase& kernel_case) {
  return runs_ptx() && std::string(kernel_case.name) == "an exit before the grid's barrier" ? "livelock"
                                                                                            : kernel_case.report;
}

TEST_P(PlantedDefect, IsFoundUnderEverySchedule) {
  const KernelCase& kernel_case = GetParam();
  if (kernel_case.needs_hooks && !kHooks) GTEST_SKIP() << "accesses are not watched in this build";
  for (const Options& options : schedules()) {
    SCOPED_TRACE("schedule " + std::to_string(static_cast<int>(options.schedule)) + " seed " +
                 std::to_string(options.seed));
    const Result result = run_case(kernel_case, options);
    ASSERT_EQ(result.error, cudaErrorLaunchFailure);
    EXPECT_NE(result.report.find(expected_report(kernel_case)), std::string::npos) << result.report;
    EXPECT_NE(result.report.find(runs_ptx() ? "defects.ptx:" : "defects.cu:"), std::string::npos)
        << "no line of the kernel: " << result.report;
  }
}

// A race, or another result than in order: at least one schedule in four.
TEST_P(WeaklyOrderedKernel, IsFoundUnderSomeSchedules) {
  const KernelCase& kernel_case = GetParam();
  if (kernel_case.needs_hooks && !kHooks) GTEST_SKIP() << "accesses are not watched in this build";
  const std::vector<uint32_t> in_order = run_case(kernel_case, Options()).words;
  size_t found = 0;
  for (const Options& options : schedules()) {
    const Result result = run_case(kernel_case, options);
    if (kernel_case.report != nullptr) {
      found += result.report.find(kernel_case.report) != std::string::npos;
    } else {
      ASSERT_EQ(result.error, cudaSuccess) << result.report;
      found += result.words != in_order;
    }
  }
  EXPECT_GE(found, 4u);
}

TEST_P(CorrectKernel, IsCleanAndGivesTheSameUnderEverySchedule) {
  if (GetParam().needs_hooks && !kHooks) GTEST_SKIP() << "nobody else runs while one waits for a volatile word";
  const Result first = run_case(GetParam(), Options());
  for (const Options& options : schedules()) {
    const Result result = run_case(GetParam(), options);
    ASSERT_EQ(result.error, cudaSuccess) << result.report;
    EXPECT_EQ(result.words, first.words);
  }
}

TEST(Livelock, IsReportedWithTheNameOfTheWait) {
  if (runs_ptx()) GTEST_SKIP() << "PTX keeps no name of a wait";
  size_t tested = 0;
  for (const KernelCase& kernel_case : defective_kernels()) {
    const char* named = strcmp(kernel_case.name, "a spin without progress") == 0      ? "a word that nobody writes"
                        : strcmp(kernel_case.name, "announced bytes never come") == 0 ? "an mbarrier's phase"
                                                                                      : nullptr;
    if (named == nullptr) continue;
    ++tested;
    const Result result = run_case(kernel_case, Options());
    EXPECT_EQ(result.error, cudaErrorLaunchFailure);
    EXPECT_NE(result.report.find(std::string(" at a spin loop for ") + named + " "), std::string::npos)
        << result.report;
  }
  EXPECT_EQ(tested, 2u);
}

// More blocks than are resident at a time: what those of an earlier wave released is not forgotten.
TEST(Waves, ReleaseToEachOther) {
  constexpr unsigned kManyBlocks = 60;
  LaunchShape shape;
  shape.grid = dim3(kManyBlocks);
  shape.block = dim3(kThreads);
  shape.shared_bytes = kSharedBytes;
  for (const Options& options : schedules()) {
    const Result result = run_shape(last_block_case(), shape, options);
    ASSERT_EQ(result.error, cudaSuccess) << result.report;
    EXPECT_EQ(result.words[0], kManyBlocks * (kManyBlocks + 1) / 2);
  }
}

TEST(Statistics, CountPushesAndInstructions) {
  for (const KernelCase& kernel_case : correct_kernels()) {
    if (strcmp(kernel_case.name, "stores to the peer") != 0) continue;
    const simt::Statistics before = simt::statistics();
    ASSERT_EQ(run_case(kernel_case, Options()).error, cudaSuccess);
    const simt::Statistics after = simt::statistics();
    constexpr uint64_t kPushes = kBlocks * kThreads * 4;  // four steps
    EXPECT_EQ(after.pushes - before.pushes, kPushes);
    EXPECT_EQ(after.pushed_bytes - before.pushed_bytes, kPushes * sizeof(uint32_t));
    EXPECT_EQ(after.instructions > before.instructions + kPushes, runs_ptx());
  }
}

INSTANTIATE_TEST_SUITE_P(Emulator, PlantedDefect, testing::ValuesIn(defective_kernels()), case_name);
INSTANTIATE_TEST_SUITE_P(Warpgroups, PlantedDefect, testing::ValuesIn(defective_warpgroups()), case_name);
INSTANTIATE_TEST_SUITE_P(TensorCopies, PlantedDefect, testing::ValuesIn(defective_tensor_copies()), case_name);
INSTANTIATE_TEST_SUITE_P(Warpgroups, CorrectKernel, testing::ValuesIn(correct_warpgroups()), case_name);
INSTANTIATE_TEST_SUITE_P(Emulator, WeaklyOrderedKernel, testing::ValuesIn(weakly_ordered_kernels()), case_name);
INSTANTIATE_TEST_SUITE_P(Emulator, CorrectKernel, testing::ValuesIn(correct_kernels()), case_name);

}  // namespace
}  // namespace varlstm::test
