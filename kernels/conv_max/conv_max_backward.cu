// Convolution with maximum, backward.
//
//   dv[w, f] = dy[w, f] activation'(y[w, f]), for the window of the row argmax[w, f]; 0 if that row is not the word's
//   dx[row, i] <- sum over f of dv[w, f] weight[f, i, k] for the word w of the row, where k is the row's place in the
//   window dweight[f, i, k] += sum over w of dv[w, f] x[argmax[w, f] + k - left, i];  dbias[f] += sum over w of dv[w,
//   f]
//
// Kernels, each a grid-stride loop with one thread for each element, without shared memory or synchronisation:
//   window_gradients  dv [words, filters] in the type of the sums; a word with bad offsets raises BadValue::kOffset
//   row_gradients     dx: a thread finds the word of its row by bisection, and adds over the filters in order. A row
//   that
//                     no word has gets zeros
//   filter_gradients  partial [chunks, elements]: the sums over one chunk of words in order. An element is a weight, in
//                     the order [width, in, filters], or after the weights a bias. Neighbouring threads have
//                     neighbouring filters
//   join_gradients    dweight, dbias += the partial sums in the order of the chunks
// A dv of 0 is left out, so that an infinite x or weight does not count there. Sums are in f32 (f64 for F64) and
// rounded once. The chunks depend on the shape alone: the same bits from run to run, and a word's dx whatever other
// words there are. Bytes: filters e of dv for each element of dx; for each element of dweight 16 words. These are
// readable kernels: their speed has not been looked at. Mirrored by host/ops/conv_max_backward.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/conv_max/conv_max.h"
#include "kernels/conv_max/word_rows.h"
#include "kernels/core/carve.h"

namespace varlstm::cuda {

template <class T>
VARLSTM_KERNEL void window_gradients_kernel(ConvMaxShape shape, Activation activation, const int64_t* offsets,
                                            const T* y, const T* dy, int64_t ldy, const int64_t* argmax,
                                            ComputeType<T>* dv, DeviceStatus* status) {
  using C = ComputeType<T>;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t count = shape.words * shape.filters;
  for (int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; e < count; e += stride) {
    const int64_t w = e / shape.filters, f = e % shape.filters;
    const WordRows word = word_rows(offsets, w, shape.rows);
    if (f == 0) check_word(offsets, w, shape.rows, status);
    const C value = load_scalar(y[w * ldy + f]);
    C gradient = load_scalar(dy[w * ldy + f]);
    if (activation == Activation::kTanh) gradient *= 1 - value * value;
    if (activation == Activation::kRelu && value <= 0) gradient = 0;
    dv[e] = argmax[e] >= word.begin && argmax[e] < word.end ? gradient : C(0);
  }
}

// The last word that begins at or before the row, or -1.
VARLSTM_DEVICE int64_t word_before(const int64_t* offsets, int64_t words, int64_t row) {
  int64_t low = 0, high = words;  // words before `low` begin at or before the row, words from `high` on after it
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (offsets[middle] <= row)
      low = middle + 1;
    else
      high = middle;
  }
  return low - 1;
}

template <class T>
VARLSTM_KERNEL void row_gradients_kernel(ConvMaxShape shape, const int64_t* offsets, const int64_t* argmax,
                                         const ComputeType<T>* dv, const ComputeType<T>* arranged, T* dx) {
  using C = ComputeType<T>;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; e < shape.rows * shape.in;
       e += stride) {
    const int64_t row = e / shape.in, i = e % shape.in;
    const int64_t w = word_before(offsets, shape.words, row);
    const WordRows word = w < 0 ? WordRows{0, 0} : word_rows(offsets, w, shape.rows);
    C sum = 0;
#pragma unroll 1
    for (int64_t f = 0; f < shape.filters && row >= word.begin && row < word.end; ++f) {
      const C gradient = dv[w * shape.filters + f];
      if (gradient == 0) continue;
      const int64_t k = row - argmax[w * shape.filters + f] + rows_before(shape);
      if (k >= 0 && k < shape.width) sum += gradient * filters_at(shape, arranged, k, i)[f];
    }
    dx[e] = store_scalar<T>(sum);
  }
}

// The sums over chunks of words.
template <class C>
struct FilterSums {
  int64_t weights;   // filters * in * width
  int64_t elements;  // the weights, and the biases after them
  int64_t chunks;
  C* partial;  // [chunks, elements]
};

template <class T>
VARLSTM_KERNEL void filter_gradients_kernel(ConvMaxShape shape, FilterSums<ComputeType<T>> sums, bool with_weights,
                                            const int64_t* offsets, const int64_t* argmax, const ComputeType<T>* dv,
                                            const T* x) {
  using C = ComputeType<T>;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t count = sums.chunks * sums.elements;
  for (int64_t n = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; n < count; n += stride) {
    const int64_t chunk = n / sums.elements, e = n % sums.elements, f = e % shape.filters;
    const bool is_bias = e >= sums.weights;
    if (!is_bias && !with_weights) continue;
    const int64_t i = e / shape.filters % shape.in, k = e / shape.filters / shape.in;
    const int64_t end = shape.words * (chunk + 1) / sums.chunks;
    C sum = 0;
#pragma unroll 1
    for (int64_t w = shape.words * chunk / sums.chunks; w < end; ++w) {
      const C gradient = dv[w * shape.filters + f];
      if (gradient == 0) continue;
      if (is_bias) {
        sum += gradient;
        continue;
      }
      const WordRows word = word_rows(offsets, w, shape.rows);
      const int64_t row = argmax[w * shape.filters + f] + k - rows_before(shape);
      if (row >= word.begin && row < word.end) sum += gradient * load_scalar(x[row * shape.in + i]);
    }
    sums.partial[n] = sum;
  }
}

template <class T>
VARLSTM_KERNEL void join_gradients_kernel(ConvMaxShape shape, FilterSums<ComputeType<T>> sums, T* dweight, T* dbias) {
  using C = ComputeType<T>;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; e < sums.elements; e += stride) {
    const int64_t f = e % shape.filters, i = e / shape.filters % shape.in, k = e / shape.filters / shape.in;
    T* const target = e >= sums.weights    ? (dbias == nullptr ? nullptr : dbias + f)
                      : dweight == nullptr ? nullptr
                                           : dweight + (f * shape.in + i) * shape.width + k;
    if (target == nullptr) continue;
    C sum = 0;
#pragma unroll 1
    for (int64_t chunk = 0; chunk < sums.chunks; ++chunk) sum += sums.partial[chunk * sums.elements + e];
    *target = store_scalar<T>(load_scalar(*target) + sum);
  }
}

namespace {

template <class C>
struct Workspace {
  C* arranged;  // [width, in, filters]
  C* dv;        // [words, filters]
  FilterSums<C> sums;
};

// Chunks of about 256 words, 32 at most, and fewer if their sums would take much memory.
int64_t chunks_of(const ConvMaxShape& shape, int64_t elements) {
  constexpr int64_t kWords = 256, kChunks = 32, kElements = 1 << 22;
  int64_t chunks = (shape.words + kWords - 1) / kWords;
  if (chunks > kChunks) chunks = kChunks;
  if (chunks > kElements / elements) chunks = kElements / elements;
  return chunks < 1 ? 1 : chunks;
}

template <class C>
int64_t carve(void* base, const ConvMaxShape& shape, Workspace<C>* workspace) {
  Carver carver(base);
  FilterSums<C>& sums = workspace->sums;
  sums.weights = shape.filters * shape.in * shape.width;
  sums.elements = sums.weights + shape.filters;
  sums.chunks = chunks_of(shape, sums.elements);
  workspace->arranged = carver.take<C>(sums.weights);
  workspace->dv = carver.take<C>(shape.words * shape.filters);
  sums.partial = carver.take<C>(sums.chunks * sums.elements);
  return carver.bytes();
}

}  // namespace

int64_t conv_max_backward_workspace(const ConvMaxShape& shape) {
  Workspace<float> narrow;
  Workspace<double> wide;
  return shape.dtype == DType::kF64 ? carve(nullptr, shape, &wide) : carve(nullptr, shape, &narrow);
}

int32_t conv_max_backward(Stream stream, const ConvMaxBackwardArgs& args) {
  const ConvMaxShape& shape = args.shape;
  return with_scalar(shape.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    using C = ComputeType<T>;
    Workspace<C> workspace;
    carve(args.workspace, shape, &workspace);
    const FilterSums<C>& sums = workspace.sums;
    VARLSTM_CUDA_TRY(launch<window_gradients_kernel<T>>(
        stream, "window_gradients", elementwise_shape(stream, shape.words * shape.filters), shape, args.activation,
        args.offsets, static_cast<const T*>(args.y), static_cast<const T*>(args.dy), args.ldy, args.argmax,
        workspace.dv, stream.state->status));
    if (args.dx != nullptr) {
      VARLSTM_CUDA_TRY(arrange_filters<T>(stream, shape, args.weight, workspace.arranged));
      VARLSTM_CUDA_TRY(launch<row_gradients_kernel<T>>(
          stream, "row_gradients", elementwise_shape(stream, shape.rows * shape.in), shape, args.offsets, args.argmax,
          static_cast<const C*>(workspace.dv), static_cast<const C*>(workspace.arranged), static_cast<T*>(args.dx)));
    }
    if (args.dweight == nullptr && args.dbias == nullptr) return int32_t{VARLSTM_OK};
    VARLSTM_CUDA_TRY(launch<filter_gradients_kernel<T>>(
        stream, "filter_gradients", elementwise_shape(stream, sums.chunks * sums.elements), shape, sums,
        args.dweight != nullptr, args.offsets, args.argmax, static_cast<const C*>(workspace.dv),
        static_cast<const T*>(args.x)));
    return launch<join_gradients_kernel<T>>(stream, "join_gradients", elementwise_shape(stream, sums.elements), shape,
                                            sums, static_cast<T*>(args.dweight), static_cast<T*>(args.dbias));
  });
}

}  // namespace varlstm::cuda
