// Opens cuDNN: see cudnn_api.h.
// SPDX-License-Identifier: Apache-2.0
#include "bench/lstm_driver/cudnn_api.h"

#include <dlfcn.h>

#include "bench/lstm_driver/error.h"

namespace varlstm::lstm_driver::cudnn {
namespace {

void* open_library() {
  for (const char* name : {"libcudnn.so.9", "libcudnn.so.8", "libcudnn.so"})
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
  fail("libcudnn.so cannot be opened (its folder belongs in LD_LIBRARY_PATH)");
}

template <class Function>
void find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  if (*function == nullptr) fail("libcudnn.so has no {}", name);
}

Api load() {
  void* const library = open_library();
  Api api{};
  find(library, "cudnnGetVersion", &api.version);
  find(library, "cudnnGetErrorString", &api.error_string);
  find(library, "cudnnCreate", &api.create);
  find(library, "cudnnDestroy", &api.destroy);
  find(library, "cudnnSetStream", &api.set_stream);
  find(library, "cudnnCreateTensorDescriptor", &api.create_tensor);
  find(library, "cudnnDestroyTensorDescriptor", &api.destroy_tensor);
  find(library, "cudnnSetTensorNdDescriptor", &api.set_tensor);
  find(library, "cudnnCreateDropoutDescriptor", &api.create_dropout);
  find(library, "cudnnDestroyDropoutDescriptor", &api.destroy_dropout);
  find(library, "cudnnSetDropoutDescriptor", &api.set_dropout);
  find(library, "cudnnCreateRNNDescriptor", &api.create_rnn);
  find(library, "cudnnDestroyRNNDescriptor", &api.destroy_rnn);
  find(library, "cudnnSetRNNDescriptor_v8", &api.set_rnn);
  find(library, "cudnnBuildRNNDynamic", &api.build_dynamic);
  find(library, "cudnnCreateRNNDataDescriptor", &api.create_data);
  find(library, "cudnnDestroyRNNDataDescriptor", &api.destroy_data);
  find(library, "cudnnSetRNNDataDescriptor", &api.set_data);
  find(library, "cudnnGetRNNWeightSpaceSize", &api.weight_bytes);
  find(library, "cudnnGetRNNTempSpaceSizes", &api.space_bytes);
  find(library, "cudnnRNNForward", &api.forward);
  find(library, "cudnnRNNBackwardData_v8", &api.backward_data);
  find(library, "cudnnRNNBackwardWeights_v8", &api.backward_weights);
  return api;
}

}  // namespace

const Api& api() {
  static const Api loaded = load();
  return loaded;
}

}  // namespace varlstm::lstm_driver::cudnn
