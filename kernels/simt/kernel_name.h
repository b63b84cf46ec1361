// Finds the mangled name of a kernel in the symbol table of its image.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace varlstm::simt {

// Returns "" if the image has no such function, or no symbol table.
std::string kernel_name(const void* kernel);

}  // namespace varlstm::simt
