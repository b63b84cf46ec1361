// Convolution with maximum, forward.
//
//   v[p, f] = bias[f] + sum over k < width and i < in of weight[f, i, k] x[begin(w) + p + k - left, i]
//   y[w, f] = activation(max over p of v[p, f]),  argmax[w, f] = begin(w) + the first p that has the maximum
//
// x [rows, in], weight [filters, in, width], y [words, ldy], argmax [words, filters], offsets [words + 1]. A first
// kernel copies the weights to the workspace as arranged [width, in, filters]. In the second one thread takes a word
// and a filter, and neighbouring threads have neighbouring filters: they read the same elements of x, and neighbouring
// ones of arranged. Rows outside of the word are left out of the sum. A NaN is larger than any number, and the first
// one stays. A word without rows gives zeros and -1; so does one whose offsets are bad, which raises BadValue::kOffset.
// Each v is one chain of additions over (k, i) in order, in f32 (f64 for F64), and y is rounded once: the same bits
// from run to run, whatever other words there are. Operations: 2 in width for each v. Bytes: x once for each filter,
// from the caches mostly, and width in filters e for each position, from the caches too. No shared memory, no
// synchronisation. This is a readable kernel: its speed has not been looked at. Mirrored by host/ops/conv_max.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/conv_max/conv_max.h"
#include "kernels/conv_max/word_rows.h"
#include "kernels/core/carve.h"

namespace varlstm::cuda {

template <class T>
VARLSTM_KERNEL void arrange_filters_kernel(ConvMaxShape shape, const T* weight, ComputeType<T>* arranged) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t count = shape.width * shape.in * shape.filters;
  for (int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; e < count; e += stride) {
    const int64_t f = e % shape.filters, i = e / shape.filters % shape.in, k = e / shape.filters / shape.in;
    arranged[e] = load_scalar(weight[(f * shape.in + i) * shape.width + k]);
  }
}

template <class T>
int32_t arrange_filters(Stream stream, const ConvMaxShape& shape, const void* weight, ComputeType<T>* arranged) {
  return launch<arrange_filters_kernel<T>>(stream, "arrange_filters",
                                           elementwise_shape(stream, shape.width * shape.in * shape.filters), shape,
                                           static_cast<const T*>(weight), arranged);
}
template int32_t arrange_filters<float>(Stream, const ConvMaxShape&, const void*, float*);
template int32_t arrange_filters<double>(Stream, const ConvMaxShape&, const void*, double*);
template int32_t arrange_filters<Bf16>(Stream, const ConvMaxShape&, const void*, float*);
template int32_t arrange_filters<F16>(Stream, const ConvMaxShape&, const void*, float*);

// v[p, f] for the position `at`, a row of the word.
template <class T>
VARLSTM_DEVICE ComputeType<T> convolve(const ConvMaxShape& shape, WordRows word, int64_t at, int64_t f, const T* x,
                                       const ComputeType<T>* arranged, ComputeType<T> bias) {
  ComputeType<T> sum = bias;
  const int64_t window = at - rows_before(shape);
#pragma unroll 1
  for (int64_t k = 0; k < shape.width; ++k) {
    const int64_t row = window + k;
    if (row < word.begin || row >= word.end) continue;
    const T* values = x + row * shape.in;
    const ComputeType<T>* weights = filters_at(shape, arranged, k, 0) + f;
#pragma unroll 4
    for (int64_t i = 0; i < shape.in; ++i) sum += weights[i * shape.filters] * load_scalar(values[i]);
  }
  return sum;
}

template <class C>
VARLSTM_DEVICE C activate(Activation activation, C value) {
  if (activation == Activation::kTanh) return tanh(value);
  return activation == Activation::kRelu && value <= 0 ? C(0) : value;
}

template <class T>
VARLSTM_KERNEL void conv_max_kernel(ConvMaxShape shape, Activation activation, const int64_t* offsets, const T* x,
                                    const ComputeType<T>* arranged, const T* bias, T* y, int64_t ldy, int64_t* argmax,
                                    DeviceStatus* status) {
  using C = ComputeType<T>;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t count = shape.words * shape.filters;
  for (int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; e < count; e += stride) {
    const int64_t w = e / shape.filters, f = e % shape.filters;
    const WordRows word = word_rows(offsets, w, shape.rows);
    if (f == 0) check_word(offsets, w, shape.rows, status);
    const C first = bias == nullptr ? C(0) : load_scalar(bias[f]);
    C largest = 0;
    int64_t at = -1;
#pragma unroll 1
    for (int64_t row = word.begin; row < word.end; ++row) {
      const C value = convolve(shape, word, row, f, x, arranged, first);
      const bool replaces = !(value <= largest) && largest == largest;
      if (at >= 0 && !replaces) continue;
      largest = value;
      at = row;
    }
    y[w * ldy + f] = store_scalar<T>(at < 0 ? C(0) : activate(activation, largest));
    if (argmax != nullptr) argmax[e] = at;
  }
}

namespace {

// The workspace: the arranged weights.
template <class C>
int64_t carve(void* base, const ConvMaxShape& shape, C** arranged) {
  Carver carver(base);
  *arranged = carver.take<C>(shape.width * shape.in * shape.filters);
  return carver.bytes();
}

}  // namespace

int64_t conv_max_forward_workspace(const ConvMaxShape& shape) {
  float* narrow;
  double* wide;
  return shape.dtype == DType::kF64 ? carve(nullptr, shape, &wide) : carve(nullptr, shape, &narrow);
}

int32_t conv_max_forward(Stream stream, const ConvMaxForwardArgs& args) {
  const ConvMaxShape& shape = args.shape;
  if (shape.words == 0) return VARLSTM_OK;
  return with_scalar(shape.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    ComputeType<T>* arranged;
    carve(args.workspace, shape, &arranged);
    VARLSTM_CUDA_TRY(arrange_filters<T>(stream, shape, args.weight, arranged));
    return launch<conv_max_kernel<T>>(stream, "conv_max", elementwise_shape(stream, shape.words * shape.filters), shape,
                                      args.activation, args.offsets, static_cast<const T*>(args.x), arranged,
                                      static_cast<const T*>(args.bias), static_cast<T*>(args.y), args.ldy, args.argmax,
                                      stream.state->status);
  });
}

}  // namespace varlstm::cuda
