// Small kernels that show what each primitive does, with what must come out: run in the emulator and on a GPU alike.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace varlstm::test {

struct ConformanceResult {
  std::string name;
  std::string failure;  // empty where all is as it must be
};

// Runs every conformance kernel on the current device.
std::vector<ConformanceResult> run_conformance();

}  // namespace varlstm::test
