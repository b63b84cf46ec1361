// Turns addresses of code into places in source files, for reports.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <string>

namespace varlstm::simt {

// Returns «(file.cu:12)» for the call that returns to `pc`. If only 30 bits are known, it looks for the image that they
// fit.
std::string symbol_of(uintptr_t pc);
std::string symbol_of_low_bits(uint32_t pc);

// Returns whether an address is in the program or a shared library: constants and static variables.
bool in_image(const void* address);

}  // namespace varlstm::simt
