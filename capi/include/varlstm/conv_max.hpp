// Part of varlstm.hpp: convolution over the rows of each word, and the maximum over the word's positions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core.hpp"

namespace varlstm {

// The sizes of varlstm_conv_max_*: weight is [filters, in, width].
struct ConvMax {
  int64_t in = 1;                                // features of a row of x
  int64_t filters = 1;                           // features of a word that are computed
  int64_t width = 1;                             // rows that the convolution sees at once
  int32_t activation = VARLSTM_ACTIVATION_NONE;  // a varlstm_activation, of the maxima
  int64_t ldy = 0;                               // elements from one row of y and of dy to the next; 0 means `filters`
};

namespace detail {

inline int64_t row_of_y(const ConvMax& conv) {
  return conv.ldy == 0 ? conv.filters : conv.ldy;
}

// Grows `workspace`, unless the sizes are not allowed, which the operation itself reports.
template <class T>
void grow_for_conv_max(Workspace& workspace, const Context& ctx, const ConvMax& conv, int64_t words, int64_t rows,
                       bool backward) {
  int64_t bytes[2] = {0, 0};
  const int32_t status = varlstm_conv_max_size(ctx.get(), dtype_of<T>(), words, rows, conv.in, conv.filters, conv.width,
                                               &bytes[0], &bytes[1]);
  if (status == VARLSTM_ERROR_INVALID_ARGUMENT) return;
  check(status);
  workspace.grow(bytes[backward ? 1 : 0]);
}

// y has the words' rows but for what follows the last one's filters.
template <class S>
void need_y(const char* name, S y, const ConvMax& conv, int64_t words) {
  if (words > 1) need(name, y, {{"words - 1", words - 1}, {"ldy", row_of_y(conv)}});
  if (words > 0 && y.size() - (words - 1) * row_of_y(conv) < conv.filters)
    need(name, y, {{"words", words}, {"ldy", row_of_y(conv)}});
}

}  // namespace detail

// All spans are of the back end's memory.
//   words      at least 0; word w has the rows offsets[w] ... offsets[w + 1] - 1 of x
//   rows       of x, at least 0
//   offsets    [words + 1], not decreasing, in [0, rows]
//   x          [rows, in]
//   weight     [filters, in, width]
//   bias       [filters], or empty: zeros
//   y          [words, ldy], written; the last row needs only `filters` elements
//   argmax     [words, filters], written for backward, or empty: not wanted
//   workspace  grows to the size that is needed
// An argument that is wrong, or a span that is too short, is an Error that names it.
template <class T>
void conv_max_forward(const Context& ctx, const ConvMax& conv, int64_t words, int64_t rows, Span<const int64_t> offsets,
                      Span<const T> x, Span<const T> weight, Span<const T> bias, Span<T> y, Span<int64_t> argmax,
                      Workspace& workspace, void* stream = nullptr) {
  detail::need("offsets", offsets, {{"words + 1", words < INT64_MAX ? words + 1 : words}});
  detail::need("x", x, {{"rows", rows}, {"in", conv.in}});
  detail::need("weight", weight, {{"filters", conv.filters}, {"in", conv.in}, {"width", conv.width}});
  detail::need_or_empty("bias", bias, {{"filters", conv.filters}});
  detail::need_y("y", y, conv, words);
  detail::need_or_empty("argmax", argmax, {{"words", words}, {"filters", conv.filters}});
  detail::grow_for_conv_max<T>(workspace, ctx, conv, words, rows, false);
  check(varlstm_conv_max_forward(ctx.get(), dtype_of<T>(), words, rows, conv.in, conv.filters, conv.width,
                                 conv.activation, offsets.data(), x.data(), weight.data(), bias.data(), y.data(),
                                 detail::row_of_y(conv), argmax.data(), workspace.data(), workspace.bytes(), stream));
}

// Arguments that forward has too are as there; y and argmax are what it wrote.
//   x        [rows, in]; may be empty if dweight is
//   weight   [filters, in, width]; may be empty if dx is
//   dy       [words, ldy]; the last row needs only `filters` elements
//   dx       [rows, in], overwritten, or empty: not wanted
//   dweight  [filters, in, width], added to, or empty
//   dbias    [filters], added to, or empty
template <class T>
void conv_max_backward(const Context& ctx, const ConvMax& conv, int64_t words, int64_t rows,
                       Span<const int64_t> offsets, Span<const T> x, Span<const T> weight, Span<const T> y,
                       Span<const T> dy, Span<const int64_t> argmax, Span<T> dx, Span<T> dweight, Span<T> dbias,
                       Workspace& workspace, void* stream = nullptr) {
  detail::need("offsets", offsets, {{"words + 1", words < INT64_MAX ? words + 1 : words}});
  detail::need_or_empty("x", x, {{"rows", rows}, {"in", conv.in}});
  detail::need_or_empty("weight", weight, {{"filters", conv.filters}, {"in", conv.in}, {"width", conv.width}});
  detail::need_y("y", y, conv, words);
  detail::need_y("dy", dy, conv, words);
  detail::need("argmax", argmax, {{"words", words}, {"filters", conv.filters}});
  detail::need_or_empty("dx", dx, {{"rows", rows}, {"in", conv.in}});
  detail::need_or_empty("dweight", dweight, {{"filters", conv.filters}, {"in", conv.in}, {"width", conv.width}});
  detail::need_or_empty("dbias", dbias, {{"filters", conv.filters}});
  detail::grow_for_conv_max<T>(workspace, ctx, conv, words, rows, true);
  check(varlstm_conv_max_backward(ctx.get(), dtype_of<T>(), words, rows, conv.in, conv.filters, conv.width,
                                  conv.activation, offsets.data(), x.data(), weight.data(), y.data(), dy.data(),
                                  detail::row_of_y(conv), argmax.data(), dx.data(), dweight.data(), dbias.data(),
                                  workspace.data(), workspace.bytes(), stream));
}

}  // namespace varlstm
