// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/kernel_loading.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mutex>
#include <set>
#include <utility>

#include "kernels/simt/runtime_call.h"
#include "kernels/simt/runtime_control.h"
#include "kernels/simt/stream_queue.h"

namespace varlstm::simt {
namespace {

bool lazy_of_environment() {
  const char* text = getenv("CUDA_MODULE_LOADING");
  return text == nullptr || strcmp(text, "EAGER") != 0;
}

struct Loaded {
  std::mutex mutex;
  bool lazy = lazy_of_environment();
  std::set<std::pair<const void*, int>> kernels;  // with their device
};

Loaded& loaded() {
  static Loaded* const instance = new Loaded;
  return *instance;
}

}  // namespace

cudaError_t load_kernel(const void* kernel, const char* name) {
  Loaded& all = loaded();
  const std::lock_guard<std::mutex> guard(all.mutex);
  const std::pair<const void*, int> key{kernel, current_device()};
  if (!all.lazy || all.kernels.count(key) > 0) return cudaSuccess;
  const cudaError_t error = forbid_in_capture();
  if (error == cudaSuccess)
    all.kernels.insert(key);
  else
    fprintf(stderr, "emulator: %s is first used inside a capture, where it cannot be loaded\n", name);
  return error;
}

void set_lazy_loading(bool lazy) {
  Loaded& all = loaded();
  const std::lock_guard<std::mutex> guard(all.mutex);
  all.lazy = lazy;
  all.kernels.clear();
}

}  // namespace varlstm::simt
