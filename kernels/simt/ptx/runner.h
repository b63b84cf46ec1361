// Runs kernels from their PTX instead of their source.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/kernel_override.h"

namespace varlstm::simt::ptx {

// If VARLSTM_EMULATOR_PTX names a folder of *.ptx, the override runs every kernel from these files, and ends the
// process at a kernel that they lack. Otherwise it is null. VARLSTM_EMULATOR_PTX_COVERAGE names a file to which the
// process appends at its end, for each kernel of the folder, a line «name instructions ranges of those that some thread
// reached»; the kernels of a file that it did not need have 0 instructions there.
KernelOverride override_of_environment();

}  // namespace varlstm::simt::ptx
