// Running something else in a kernel's place, thread by thread: an interpreter of its PTX, or a probe of a test.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include <functional>

#include "kernels/arch/launch_shape.h"

namespace varlstm::simt {

struct KernelCall {
  const void* kernel;  // the kernel's address: dladdr tells its mangled name where it is exported
  const char* name;    // as its launcher calls it
  const LaunchShape* shape;
  const void* const* arguments;  // each argument converted to its parameter's type
  const size_t* argument_bytes;
  unsigned argument_count;
  int device;  // that it runs on
};

// Asked once at every launch, with arguments that live until the launch has ended. A function that is not empty is run
// by each thread of the launch in the kernel's place.
using KernelOverride = std::function<void()> (*)(const KernelCall&);
void set_kernel_override(KernelOverride override_kernel);  // null: none

}  // namespace varlstm::simt
