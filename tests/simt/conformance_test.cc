// What each primitive does in the emulator, under several schedules and with copies that land early and late.
// SPDX-License-Identifier: Apache-2.0
#include "tests/simt/conformance.h"

#include <gtest/gtest.h>

#include "kernels/simt/options.h"

namespace varlstm::test {
namespace {

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
      const std::vector<ConformanceResult> results = run_conformance();
      EXPECT_GE(results.size(), 19u);
      for (const ConformanceResult& result : results)
        EXPECT_EQ(result.failure, "") << result.name << " under schedule " << static_cast<int>(schedule) << "\n"
                                      << simt::last_report();
    }
  }
  simt::set_options(Options());
}

}  // namespace
}  // namespace varlstm::test
