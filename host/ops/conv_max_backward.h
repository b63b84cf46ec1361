// The gradients of the convolution with maximum.
//
//   dv[w, f] = dy[w, f] activation'(y[w, f]), at the window of argmax[w, f] alone
//   dx[row] = sum over f in order of dv[w, f] weight[f, :, k]      for the window's row k
//   dweight[f, :, k] += sum over w of dv[w, f] x[row];  dbias[f] += sum over w of dv[w, f]
//
// The words are cut into chunks whose number depends on the shape alone. A chunk sums its own dweight and dbias in the
// order of its words, and the sums of the chunks are added in order, so nothing depends on the number of threads. A
// word's dx depends on no other word. The 16-bit dtypes are computed on float copies of x and dx.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "capi/contract/shapes.h"
#include "host/carve.h"
#include "host/ops/conv_max.h"
#include "host/simd/row_kernel.h"
#include "host/simd/scalar16.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

// The chunks of words that sum dweight: at least 64 words each, 64 chunks at most, and fewer for large weights.
inline int64_t conv_max_chunks(const ConvMaxShape& shape) {
  constexpr int64_t kWords = 64, kChunks = 64, kElements = 1 << 22;
  const int64_t filter_elements = shape.filters * shape.in * shape.width;
  const int64_t by_words = (shape.words + kWords - 1) / kWords, by_weights = kElements / filter_elements;
  return std::max<int64_t>(1, std::min({by_words, by_weights, kChunks}));
}

// Backward's workspace.
template <class T>
struct ConvMaxGradientRoom {
  using C = ComputeType<T>;
  int64_t chunks;
  C* arranged;       // [filters, width, in]: the weights
  C* dweight;        // [chunks, filters, width, in]
  C* dbias;          // [chunks, filters]
  C* gradients;      // [chunks, filters]: dv of a word
  int64_t* windows;  // [chunks, filters]
  C* x;              // [rows, in] for the 16-bit dtypes alone
  C* dx;             // likewise

  ConvMaxGradientRoom(const ConvMaxShape& shape, Carver& carver) {
    chunks = conv_max_chunks(shape);
    arranged = carver.take<C>(shape.filters, shape.width, shape.in);
    dweight = carver.take<C>(chunks, shape.filters, shape.width * shape.in);
    dbias = carver.take<C>(chunks, shape.filters);
    gradients = carver.take<C>(chunks, shape.filters);
    windows = carver.take<int64_t>(chunks, shape.filters);
    x = kIs16Bit<T> ? carver.take<C>(shape.rows, shape.in) : nullptr;
    dx = kIs16Bit<T> ? carver.take<C>(shape.rows, shape.in) : nullptr;
  }
};

template <class T>
int64_t conv_max_backward_bytes(const ConvMaxShape& shape) {
  Carver carver(nullptr);
  const ConvMaxGradientRoom<T> room(shape, carver);
  return carver.bytes();
}

// gradients [filters] <- dv of the word, 0 if argmax is outside of the word; windows [filters] <- the first rows of the
// windows.
template <class T, class C>
void find_windows(const ConvMaxBackwardArgs& args, int64_t word, C* gradients, int64_t* windows) {
  const int64_t begin = args.offsets[word], end = args.offsets[word + 1], left = (args.shape.width - 1) / 2;
  const T* const ys = static_cast<const T*>(args.y) + word * args.ldy;
  const T* const dys = static_cast<const T*>(args.dy) + word * args.ldy;
  const int64_t* const argmax = args.argmax + word * args.shape.filters;
  for (int64_t f = 0; f < args.shape.filters; ++f) {
    const C y = ys[f], dy = dys[f];
    const C dv = args.activation == Activation::kTanh   ? dy * (1 - y * y)
                 : args.activation == Activation::kRelu ? (y <= 0 ? C(0) : dy)
                                                        : dy;
    const bool in_word = argmax[f] >= begin && argmax[f] < end;
    gradients[f] = in_word ? dv : C(0);
    windows[f] = in_word ? argmax[f] - left : begin;
  }
}

// The words [begin, end) of one chunk. x and dx are those of the call, or their float copies.
template <class T, class C>
void run_chunk(const ConvMaxBackwardArgs& args, const ConvMaxGradientRoom<T>& room, int64_t chunk, int64_t begin,
               int64_t end, const C* x, C* dx) {
  const ConvMaxShape& shape = args.shape;
  const int64_t weights = shape.filters * shape.width * shape.in;
  WindowGradients<C> word;
  word.filters = shape.filters;
  word.width = shape.width;
  word.in = shape.in;
  C* const gradients = room.gradients + chunk * shape.filters;
  int64_t* const windows = room.windows + chunk * shape.filters;
  C* const dbias = room.dbias + chunk * shape.filters;
  word.windows = windows;
  word.gradients = gradients;
  word.x = x;
  word.weight = room.arranged;
  word.dx = dx;
  word.dweight = args.dweight == nullptr ? nullptr : room.dweight + chunk * weights;
  if (word.dweight != nullptr) std::fill_n(word.dweight, weights, C(0));
  std::fill_n(dbias, shape.filters, C(0));
  if (dx != nullptr) std::fill(dx + args.offsets[begin] * shape.in, dx + args.offsets[end] * shape.in, C(0));
  for (int64_t w = begin; w < end; ++w) {
    word.begin = args.offsets[w];
    word.end = args.offsets[w + 1];
    if (word.begin == word.end) continue;
    find_windows<T>(args, w, gradients, windows);
    row_kernel<C>().window_gradients(word);
    for (int64_t f = 0; f < shape.filters; ++f) dbias[f] += gradients[f];
  }
}

// dweight and dbias += the sums of the chunks.
template <class T>
void join_chunks(int64_t threads, const ConvMaxBackwardArgs& args, const ConvMaxGradientRoom<T>& room) {
  using C = ComputeType<T>;
  const ConvMaxShape& shape = args.shape;
  const int64_t filter_size = shape.width * shape.in, weights = shape.filters * filter_size;
  const auto add_all = [&](int64_t f) {
    C* const sums = room.dweight + f * filter_size;
    for (int64_t chunk = 1; chunk < room.chunks; ++chunk)
      for (int64_t j = 0; j < filter_size; ++j) sums[j] += sums[chunk * weights + j];
    T* const dweight = static_cast<T*>(args.dweight) + f * filter_size;
    for (int64_t i = 0; i < shape.in; ++i)
      for (int64_t k = 0; k < shape.width; ++k) {
        T& to = dweight[i * shape.width + k];
        to = static_cast<T>(static_cast<C>(to) + sums[k * shape.in + i]);
      }
  };
  if (args.dweight != nullptr)
    parallel_for(weights * room.chunks < kThreadedWork ? 1 : threads, shape.filters, add_all);
  if (args.dbias == nullptr) return;
  for (int64_t f = 0; f < shape.filters; ++f) {
    C sum = 0;
    for (int64_t chunk = 0; chunk < room.chunks; ++chunk) sum += room.dbias[chunk * shape.filters + f];
    T& to = static_cast<T*>(args.dbias)[f];
    to = static_cast<T>(static_cast<C>(to) + sum);
  }
}

template <class T>
void conv_max_backward(int64_t threads, const ConvMaxBackwardArgs& args) {
  using C = ComputeType<T>;
  const ConvMaxShape& shape = args.shape;
  Carver carver(args.workspace);
  const ConvMaxGradientRoom<T> room(shape, carver);
  const C* x;
  C* dx;
  if constexpr (kIs16Bit<T>) {
    if (args.dweight != nullptr) convert(shape.rows * shape.in, static_cast<const T*>(args.x), room.x);
    x = room.x;
    dx = args.dx == nullptr ? nullptr : room.dx;
  } else {
    x = static_cast<const T*>(args.x);
    dx = static_cast<T*>(args.dx);
  }
  if (dx != nullptr) {
    arrange_filters(shape, static_cast<const T*>(args.weight), room.arranged);
    std::fill(dx, dx + args.offsets[0] * shape.in, C(0));
    std::fill(dx + args.offsets[shape.words] * shape.in, dx + shape.rows * shape.in, C(0));
  }
  const int64_t work = shape.words * shape.filters * shape.width * shape.in;
  parallel_for(work < kThreadedWork ? 1 : threads, room.chunks, [&](int64_t chunk) {
    run_chunk(args, room, chunk, shape.words * chunk / room.chunks, shape.words * (chunk + 1) / room.chunks, x, dx);
  });
  join_chunks(threads, args, room);
  if constexpr (kIs16Bit<T>)
    if (dx != nullptr) convert(shape.rows * shape.in, dx, static_cast<T*>(args.dx));
}

}  // namespace varlstm::host
