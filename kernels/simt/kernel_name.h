// The mangled name of a kernel, from the symbol table of the image that it lies in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace varlstm::simt {

// Empty where the image has no such function, or no symbol table.
std::string kernel_name(const void* kernel);

}  // namespace varlstm::simt
