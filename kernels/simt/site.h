// The place where a kernel calls the emulator.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace varlstm::simt {

struct Site {
  const char* file;
  int line;
  // As a default argument it gives the place of the call.
  static constexpr Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
};

}  // namespace varlstm::simt
