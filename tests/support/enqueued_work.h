// Counts what the emulated CUDA runtime was given: kernels, and the other work that is enqueued.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "kernels/simt/runtime_control.h"

namespace varlstm_test {

// How often each kernel, and each other function of the runtime, is enqueued by body().
template <class Body>
std::map<std::string, int64_t> count_enqueued(const Body& body) {
  varlstm::simt::record_enqueued_work(true);
  body();
  std::map<std::string, int64_t> count;
  for (const varlstm::simt::EnqueuedWork& work : varlstm::simt::enqueued_work()) ++count[work.name];
  varlstm::simt::record_enqueued_work(false);
  return count;
}

// The runtime's own work has the names of its functions.
inline bool is_kernel(const std::string& name) {
  return name.rfind("cudaMem", 0) != 0;
}

inline int64_t kernels_in(const std::map<std::string, int64_t>& count) {
  int64_t kernels = 0;
  for (const auto& [name, times] : count) kernels += is_kernel(name) ? times : 0;
  return kernels;
}

inline int64_t others_in(const std::map<std::string, int64_t>& count) {
  int64_t others = 0;
  for (const auto& [name, times] : count) others += is_kernel(name) ? 0 : times;
  return others;
}

}  // namespace varlstm_test
