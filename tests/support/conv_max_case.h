// A case of the convolution with maximum: its operands, its definition as plain loops, and the library's two calls.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/buffer.h"
#include "support/context.h"
#include "support/dtype.h"
#include "support/random.h"

namespace varlstm_test {

template <class T>
struct ConvMaxCase {
  int64_t rows = 0, in = 1, filters = 1, width = 1, ldy = 1;
  int32_t activation = VARLSTM_ACTIVATION_NONE;
  bool has_bias = true;
  std::vector<int64_t> offsets = {0};
  std::vector<T> x, weight, bias, dy;

  int64_t words() const { return static_cast<int64_t>(offsets.size()) - 1; }
  // The elements from the first to the last of y.
  int64_t outputs() const { return words() == 0 ? 0 : (words() - 1) * ldy + filters; }
};

// Words of 0 to max_length rows; some rows before the first word and after the last one. `whole`: small integers, whose
// sums are exact and often equal.
template <class T>
ConvMaxCase<T> random_conv_max(Random& random, int64_t words, int64_t max_length, bool whole = false) {
  ConvMaxCase<T> c;
  c.in = random.integer(1, emulated() ? 4 : 7);
  c.filters = random.integer(1, emulated() ? 5 : 40);
  c.width = random.integer(1, 6);
  c.ldy = c.filters + random.integer(0, 3);
  c.activation = static_cast<int32_t>(random.integer(0, 2));
  c.has_bias = random.coin();
  c.offsets = {random.integer(0, 2)};
  for (int64_t w = 0; w < words; ++w) c.offsets.push_back(c.offsets.back() + random.integer(0, max_length));
  c.rows = c.offsets.back() + random.integer(0, 2);
  const auto values = [&](int64_t count) {
    std::vector<T> all = random.vector<T>(count, -2.5, 2.5);
    for (T& value : all) value = whole ? std::round(value) : value;
    return all;
  };
  c.x = values(c.rows * c.in);
  c.weight = values(c.filters * c.in * c.width);
  c.bias = values(c.filters);
  c.dy = values(c.outputs());
  return c;
}

template <class T>
struct ConvMaxResult {
  std::vector<T> y;  // [words, ldy]
  std::vector<int64_t> argmax;
};

template <class T>
struct ConvMaxGradients {
  std::vector<T> dx, dweight, dbias;
};

// v[p, f] of a word, from the definition.
template <class T>
T conv_at(const ConvMaxCase<T>& c, int64_t word, int64_t position, int64_t filter) {
  const int64_t length = c.offsets[word + 1] - c.offsets[word], left = (c.width - 1) / 2;
  T sum = c.has_bias ? c.bias[filter] : T(0);
  for (int64_t k = 0; k < c.width; ++k) {
    const int64_t row = position + k - left;
    if (row < 0 || row >= length) continue;
    for (int64_t i = 0; i < c.in; ++i)
      sum += c.weight[(filter * c.in + i) * c.width + k] * c.x[(c.offsets[word] + row) * c.in + i];
  }
  return sum;
}

template <class T>
T activated(int32_t activation, T value) {
  if (activation == VARLSTM_ACTIVATION_TANH) return std::tanh(value);
  return activation == VARLSTM_ACTIVATION_RELU && value < 0 ? T(0) : value;
}

// What lies beside the words' elements of y stays `beside`.
template <class T>
ConvMaxResult<T> naive_conv_max(const ConvMaxCase<T>& c, T beside) {
  ConvMaxResult<T> result{std::vector<T>(c.outputs(), beside), std::vector<int64_t>(c.words() * c.filters, -1)};
  for (int64_t w = 0; w < c.words(); ++w)
    for (int64_t f = 0; f < c.filters; ++f) {
      T& y = result.y[w * c.ldy + f];
      int64_t& at = result.argmax[w * c.filters + f];
      y = 0;
      for (int64_t p = 0; p < c.offsets[w + 1] - c.offsets[w]; ++p) {
        const T v = conv_at(c, w, p, f);
        if (at >= 0 && !(v > y) && !(std::isnan(v) && !std::isnan(y))) continue;
        y = v;
        at = c.offsets[w] + p;
      }
      if (at >= 0) y = activated(c.activation, y);
    }
  return result;
}

// The gradients are added to `before`, except dx.
template <class T>
ConvMaxGradients<T> naive_conv_max_gradients(const ConvMaxCase<T>& c, const ConvMaxResult<T>& forward, T before) {
  ConvMaxGradients<T> g{std::vector<T>(c.x.size(), T(0)), std::vector<T>(c.weight.size(), before),
                        std::vector<T>(c.bias.size(), before)};
  for (int64_t w = 0; w < c.words(); ++w)
    for (int64_t f = 0; f < c.filters; ++f) {
      const int64_t at = forward.argmax[w * c.filters + f];
      if (at < c.offsets[w] || at >= c.offsets[w + 1]) continue;
      const T y = forward.y[w * c.ldy + f], dy = c.dy[w * c.ldy + f];
      const T dv = c.activation == VARLSTM_ACTIVATION_TANH   ? dy * (1 - y * y)
                   : c.activation == VARLSTM_ACTIVATION_RELU ? (y > 0 ? dy : T(0))
                                                             : dy;
      g.dbias[f] += dv;
      for (int64_t k = 0; k < c.width; ++k) {
        const int64_t row = at + k - (c.width - 1) / 2;
        if (row < c.offsets[w] || row >= c.offsets[w + 1]) continue;
        for (int64_t i = 0; i < c.in; ++i) {
          g.dx[row * c.in + i] += dv * c.weight[(f * c.in + i) * c.width + k];
          g.dweight[(f * c.in + i) * c.width + k] += dv * c.x[row * c.in + i];
        }
      }
    }
  return g;
}

// The workspace of exactly the bytes that the library asks for.
template <class T, class Stored = T>
ByteBuffer conv_max_workspace(varlstm_ctx* context, const ConvMaxCase<T>& c, int32_t dtype, bool backward, Fill fill) {
  int64_t forward_bytes = -1, backward_bytes = -1;
  REQUIRE_OK(varlstm_conv_max_size(context, dtype, c.words(), c.rows, c.in, c.filters, c.width, &forward_bytes,
                                   &backward_bytes));
  return ByteBuffer(context, backward ? backward_bytes : forward_bytes, fill);
}

template <class T>
ConvMaxResult<T> run_conv_max(varlstm_ctx* context, const ConvMaxCase<T>& c, Fill fill = Fill::kNan) {
  const Buffer<int64_t> offsets(context, c.offsets);
  const Buffer<T> x(context, c.x), weight(context, c.weight), bias(context, c.bias);
  Buffer<T> y(context, std::vector<T>(c.outputs(), T(77)));
  Buffer<int64_t> argmax(context, c.words() * c.filters);
  ByteBuffer workspace = conv_max_workspace(context, c, kDType<T>, false, fill);
  REQUIRE_OK(varlstm_conv_max_forward(context, kDType<T>, c.words(), c.rows, c.in, c.filters, c.width, c.activation,
                                      offsets.data(), x.data(), weight.data(), c.has_bias ? bias.data() : nullptr,
                                      y.data(), c.ldy, argmax.data(), workspace.data(), workspace.bytes(), nullptr));
  return {y.get(), argmax.get()};
}

enum ConvMaxWant { kWantConvX = 1, kWantConvWeight = 2, kWantConvBias = 4, kWantConvAll = 7 };

// What is not wanted stays as it was. dweight and dbias start as `before`.
template <class T>
ConvMaxGradients<T> run_conv_max_backward(varlstm_ctx* context, const ConvMaxCase<T>& c,
                                          const ConvMaxResult<T>& forward, T before, int want = kWantConvAll,
                                          Fill fill = Fill::kNan) {
  const Buffer<int64_t> offsets(context, c.offsets), argmax(context, forward.argmax);
  const Buffer<T> x(context, c.x), weight(context, c.weight), y(context, forward.y), dy(context, c.dy);
  Buffer<T> dx(context, static_cast<int64_t>(c.x.size()));
  Buffer<T> dweight(context, std::vector<T>(c.weight.size(), before));
  Buffer<T> dbias(context, std::vector<T>(c.bias.size(), before));
  ByteBuffer workspace = conv_max_workspace(context, c, kDType<T>, true, fill);
  const bool want_x = want & kWantConvX, want_weight = want & kWantConvWeight;
  REQUIRE_OK(varlstm_conv_max_backward(
      context, kDType<T>, c.words(), c.rows, c.in, c.filters, c.width, c.activation, offsets.data(),
      want_weight ? x.data() : nullptr, want_x ? weight.data() : nullptr, y.data(), dy.data(), c.ldy, argmax.data(),
      want_x ? dx.data() : nullptr, want_weight ? dweight.data() : nullptr,
      want & kWantConvBias ? dbias.data() : nullptr, workspace.data(), workspace.bytes(), nullptr));
  return {dx.get(), dweight.get(), dbias.get()};
}

}  // namespace varlstm_test
