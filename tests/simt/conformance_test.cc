// What each primitive does: in the emulator, under several schedules and with copies that land early and late, or on a
// GPU, where the same test is the program simt_conformance.
// SPDX-License-Identifier: Apache-2.0
#include "tests/simt/conformance.h"

#include <gtest/gtest.h>

#if defined(VARLSTM_EMULATED)
#include "kernels/simt/options.h"
#endif

namespace varlstm::test {
namespace {

void check_each_primitive() {
  const std::vector<ConformanceResult> results = run_conformance();
  for (const ConformanceResult& result : results) EXPECT_EQ(result.failure, "") << result.name;
  EXPECT_GE(results.size(), 47u);
}

#if defined(VARLSTM_EMULATED)

using simt::AsyncCompletion;
using simt::Options;
using simt::Schedule;

TEST(Conformance, EachPrimitiveDoesWhatItMust) {
  for (Schedule schedule : {Schedule::kFifo, Schedule::kLifo, Schedule::kRandom, Schedule::kPct}) {
    for (AsyncCompletion async : {AsyncCompletion::kEarly, AsyncCompletion::kLate, AsyncCompletion::kRandom}) {
      Options options;
      options.schedule = schedule;
      options.async = async;
      simt::set_options(options);
      SCOPED_TRACE("schedule " + std::to_string(static_cast<int>(schedule)));
      check_each_primitive();
    }
  }
  simt::set_options(Options());
}

#else

TEST(Conformance, EachPrimitiveDoesWhatItMust) {
  check_each_primitive();
}

#endif

}  // namespace
}  // namespace varlstm::test
