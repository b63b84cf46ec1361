// Runs other code in a kernel's place, thread by thread: an interpreter of its PTX, or a probe of a test.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include <functional>

#include "kernels/arch/launch_shape.h"

namespace varlstm::simt {

struct KernelCall {
  const void* kernel;  // the kernel's address: dladdr finds its mangled name if it is exported
  const char* name;    // as in its launcher
  const LaunchShape* shape;
  const void* const* arguments;  // each argument converted to its parameter's type
  const size_t* argument_bytes;
  unsigned argument_count;
  int device;  // the device that it runs on
};

// Called once at every launch, with arguments that live until the launch has ended. If the returned function is not
// empty, each thread of the launch runs it in the kernel's place.
using KernelOverride = std::function<void()> (*)(const KernelCall&);
void set_kernel_override(KernelOverride override_kernel);  // null: none

}  // namespace varlstm::simt
