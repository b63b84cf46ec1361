// Addresses of code as places in source files, for reports.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <string>

namespace varlstm::simt {

// «(file.cu:12)» of the call that returns to `pc`; where only 30 bits are known, the image that they fit is looked for.
std::string symbol_of(uintptr_t pc);
std::string symbol_of_low_bits(uint32_t pc);

// Whether an address lies in the program or a shared library: constants and static variables.
bool in_image(const void* address);

}  // namespace varlstm::simt
