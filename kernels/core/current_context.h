// The context that is current in this thread. Each copy of the runtime in a process remembers by itself which device a
// thread has chosen, but all copies work in the driver's current context. If a function restores that context as it
// was, it changes no other code's device, and makes no context on an unused device, as cudaSetDevice() would.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::cuda {

// Makes the device's primary context current. *previous <- the context that was current, or null.
int32_t enter_device(int32_t device, void** previous);

// Makes `previous` current again. A failure is not reported.
void leave_device(void* previous);

}  // namespace varlstm::cuda
