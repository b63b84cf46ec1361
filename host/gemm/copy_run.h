// Copies short runs of elements, which are whole cache lines as a rule: without a call, as memcpy of any length is.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

namespace varlstm::host {

inline void copy_run(void* dst, const void* src, int64_t bytes) {
  constexpr int64_t kLine = 64;
  char* const to = static_cast<char*>(dst);
  const char* const from = static_cast<const char*>(src);
  int64_t done = 0;
  for (; done + kLine <= bytes; done += kLine) memcpy(to + done, from + done, kLine);
  if (done < bytes) memcpy(to + done, from + done, static_cast<size_t>(bytes - done));
}

}  // namespace varlstm::host
