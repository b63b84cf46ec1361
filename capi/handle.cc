// Frees the memory of destroyed handles after a delay.
// SPDX-License-Identifier: Apache-2.0
#include "capi/handle.h"

namespace varlstm {

void bury(Handle* handle) {
  static std::atomic<Handle*> graves[kGraves];
  static std::atomic<uint64_t> next{0};
  delete graves[next.fetch_add(1) % kGraves].exchange(handle);
}

}  // namespace varlstm
