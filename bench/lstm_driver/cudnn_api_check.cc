// Compiled where cudnn.h is found: the values and signatures of cudnn_api.h are cuDNN's.
// SPDX-License-Identifier: Apache-2.0
#include <cudnn.h>

#include <type_traits>

#include "bench/lstm_driver/cudnn_api.h"

namespace varlstm::lstm_driver::cudnn {
namespace {

static_assert(int(kFloat) == CUDNN_DATA_FLOAT && int(kDouble) == CUDNN_DATA_DOUBLE && int(kHalf) == CUDNN_DATA_HALF &&
              int(kBfloat16) == CUDNN_DATA_BFLOAT16);
static_assert(int(kDefaultMath) == CUDNN_DEFAULT_MATH && int(kTensorOpMath) == CUDNN_TENSOR_OP_MATH &&
              int(kFmaMath) == CUDNN_FMA_MATH);
static_assert(int(kStandard) == CUDNN_RNN_ALGO_STANDARD && int(kPersistStatic) == CUDNN_RNN_ALGO_PERSIST_STATIC &&
              int(kPersistDynamic) == CUDNN_RNN_ALGO_PERSIST_DYNAMIC &&
              int(kPersistStaticSmallH) == CUDNN_RNN_ALGO_PERSIST_STATIC_SMALL_H);
static_assert(int(kSeqMajorUnpacked) == CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED &&
              int(kSeqMajorPacked) == CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_PACKED);
static_assert(int(kRnnRelu) == CUDNN_RNN_RELU && int(kRnnTanh) == CUDNN_RNN_TANH && int(kLstm) == CUDNN_LSTM &&
              int(kGru) == CUDNN_GRU);
static_assert(kSuccess == CUDNN_STATUS_SUCCESS && kDoubleBias == CUDNN_RNN_DOUBLE_BIAS);
static_assert(kLinearInput == CUDNN_LINEAR_INPUT && kUnidirectional == CUDNN_UNIDIRECTIONAL &&
              kBidirectional == CUDNN_BIDIRECTIONAL);
static_assert(kInference == CUDNN_FWD_MODE_INFERENCE && kTraining == CUDNN_FWD_MODE_TRAINING &&
              kAddGradients == CUDNN_WGRAD_MODE_ADD && kPaddedIo == CUDNN_RNN_PADDED_IO_ENABLED);

// cuDNN's parameters as cudnn_api.h has them: pointers to its structs are void*, enums int.
template <class T>
struct Plain {
  using type = std::conditional_t<std::is_enum_v<T>, int, T>;
};
template <class T>
struct Plain<T*> {
  using type = T*;
};
#define OPAQUE(handle)    \
  template <>             \
  struct Plain<handle> {  \
    using type = void*;   \
  };                      \
  template <>             \
  struct Plain<handle*> { \
    using type = void**;  \
  }
OPAQUE(cudnnHandle_t);
OPAQUE(cudnnTensorDescriptor_t);
OPAQUE(cudnnDropoutDescriptor_t);
OPAQUE(cudnnRNNDescriptor_t);
OPAQUE(cudnnRNNDataDescriptor_t);
template <>
struct Plain<cudaStream_t> {
  using type = void*;
};
#undef OPAQUE

template <class Result, class... Args>
auto plain(Result (*)(Args...)) -> typename Plain<Result>::type (*)(typename Plain<Args>::type...);

template <class Ours, class Theirs>
constexpr bool same = std::is_same_v<Ours, decltype(plain(std::declval<Theirs>()))>;

#define SAME(ours, theirs) static_assert(same<decltype(Api::ours), decltype(&theirs)>)
SAME(version, cudnnGetVersion);
SAME(error_string, cudnnGetErrorString);
SAME(create, cudnnCreate);
SAME(destroy, cudnnDestroy);
SAME(set_stream, cudnnSetStream);
SAME(create_tensor, cudnnCreateTensorDescriptor);
SAME(destroy_tensor, cudnnDestroyTensorDescriptor);
SAME(set_tensor, cudnnSetTensorNdDescriptor);
SAME(create_dropout, cudnnCreateDropoutDescriptor);
SAME(destroy_dropout, cudnnDestroyDropoutDescriptor);
SAME(set_dropout, cudnnSetDropoutDescriptor);
SAME(create_rnn, cudnnCreateRNNDescriptor);
SAME(destroy_rnn, cudnnDestroyRNNDescriptor);
SAME(set_rnn, cudnnSetRNNDescriptor_v8);
SAME(build_dynamic, cudnnBuildRNNDynamic);
SAME(create_data, cudnnCreateRNNDataDescriptor);
SAME(destroy_data, cudnnDestroyRNNDataDescriptor);
SAME(set_data, cudnnSetRNNDataDescriptor);
SAME(weight_bytes, cudnnGetRNNWeightSpaceSize);
SAME(space_bytes, cudnnGetRNNTempSpaceSizes);
SAME(forward, cudnnRNNForward);
SAME(backward_data, cudnnRNNBackwardData_v8);
SAME(backward_weights, cudnnRNNBackwardWeights_v8);
#undef SAME

}  // namespace
}  // namespace varlstm::lstm_driver::cudnn
