// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/driver.h"

#if !defined(VARLSTM_EMULATED)
#include <dlfcn.h>
#endif

namespace varlstm::cuda {
namespace {

#if defined(VARLSTM_EMULATED)
Driver find_driver() {
  return {cuCtxGetCurrent, cuCtxSetCurrent, cuTensorMapEncodeTiled};
}
#else
template <class Function>
void find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
}

// cudaGetDriverEntryPoint() is not used, because a call of the runtime may make a context. The runtime opens the same
// library.
Driver find_driver() {
  Driver found;
  void* const library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return found;
  find(library, "cuCtxGetCurrent", &found.get_current);
  find(library, "cuCtxSetCurrent", &found.set_current);
  find(library, "cuTensorMapEncodeTiled", &found.encode_tensor_map);
  return found;
}
#endif

}  // namespace

const Driver& driver() {
  static const Driver functions = find_driver();
  return functions;
}

}  // namespace varlstm::cuda
