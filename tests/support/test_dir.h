// Where the tests' own files stand.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <string>

namespace varlstm_test {

// The folder of the sources at build time; VARLSTM_TEST_DIR in the environment wins, for programs that were moved.
inline std::string test_dir() {
  const char* moved = std::getenv("VARLSTM_TEST_DIR");
  return moved != nullptr ? moved : VARLSTM_TEST_DIR;
}

}  // namespace varlstm_test
