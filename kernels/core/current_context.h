// The context that is current to this thread. Each copy of the runtime in a process remembers for itself which device a
// thread has chosen, but all work in the driver's current context: who gives that back as it was changes no other's
// device, and makes no context on a device that nobody has used, as cudaSetDevice() would.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::cuda {

// Makes the device's primary context current; *previous is which was, or null.
int32_t enter_device(int32_t device, void** previous);

// Makes `previous` current again; a failure is not told.
void leave_device(void* previous);

}  // namespace varlstm::cuda
