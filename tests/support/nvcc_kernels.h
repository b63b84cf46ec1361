// Whether kernels run from nvcc's PTX of them, on the emulator: several times slower than as the host's compiler has
// them, so that a test of the same source on more shapes may take fewer.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>

namespace varlstm_test {

inline bool kernels_are_nvccs() {
  return std::getenv("VARLSTM_EMULATOR_PTX") != nullptr;
}

}  // namespace varlstm_test
