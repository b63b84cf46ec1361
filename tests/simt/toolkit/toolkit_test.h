// What the tests over the toolkit's own headers share: kernels that others wrote, run from nvcc's PTX.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>
#include <vector>

#include "tests/simt/ptx_module.h"

namespace varlstm::test {

inline PtxModule toolkit_module(const std::string& name) {
  const char* folder = getenv("VARLSTM_TOOLKIT_PTX");
  return PtxModule::of_file(std::string(folder == nullptr ? "." : folder) + "/" + name + ".ptx");
}

// Numbers below `range`, the same in each run.
inline std::vector<int> numbers(size_t count, unsigned range) {
  std::vector<int> made(count);
  unsigned state = 12345;
  for (int& number : made) {
    state = state * 1664525u + 1013904223u;
    number = static_cast<int>((state >> 8) % range);
  }
  return made;
}

// Runs `check` under every schedule, as a GPU would permit it.
template <class Check>
void under_every_schedule(Check check) {
  for (const simt::Options& options : every_schedule(false)) {
    const OptionsGuard guard(options);
    SCOPED_TRACE(name_of(options.schedule));
    check();
  }
}

// A kernel of (in, out, more...) makes `expected` of `in`.
template <class... More>
void expect_result(const PtxModule& module, const std::string& kernel, const Place& place, const std::vector<int>& in,
                   const std::vector<int>& expected, More... more) {
  SCOPED_TRACE(kernel);
  under_every_schedule([&] {
    const DeviceVector<int> source(in), result(expected.size());
    ASSERT_EQ(module.run(kernel, place, source.data(), result.data(), more...), "");
    EXPECT_EQ(result.values(), expected);
  });
}

}  // namespace varlstm::test
