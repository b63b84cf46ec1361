// Numbers of threads beside one, whose results must have the bits of one thread. Only the host has threads: on CUDA the
// same call once more, which shows that it does not change from run to run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "support/context.h"

namespace varlstm_test {

inline std::vector<int64_t> other_thread_counts() {
  return test_backend() == VARLSTM_BACKEND_HOST ? std::vector<int64_t>{2, 3, 7} : std::vector<int64_t>{1};
}

}  // namespace varlstm_test
