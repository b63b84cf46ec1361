// Part of varlstm.hpp: embedding, linear layer, dropout, log-softmax, and conversion between dtypes. If `batch` is not
// NULL, only its first N rows count.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "batch.hpp"

namespace varlstm {

// The bytes of workspace that an operation, a varlstm_op, needs. The functions here grow the workspace themselves; use
// this to call Workspace::grow beforehand.
template <class T>
int64_t op_workspace(const Context& ctx, int32_t op, int64_t rows, int64_t a, int64_t b) {
  int64_t bytes = 0;
  check(varlstm_op_workspace(ctx.get(), op, dtype_of<T>(), rows, a, b, &bytes));
  return bytes;
}

namespace detail {

// Grows `workspace` to what an operation needs. Sizes that are not allowed are reported by the operation itself, which
// knows their names; here they are called a and b.
template <class T>
void grow_for_op(Workspace& workspace, const Context& ctx, int32_t op, int64_t rows, int64_t a, int64_t b) {
  int64_t bytes = 0;
  const int32_t status = varlstm_op_workspace(ctx.get(), op, dtype_of<T>(), rows, a, b, &bytes);
  if (status == VARLSTM_ERROR_INVALID_ARGUMENT) return;
  check(status);
  workspace.grow(bytes);
}

}  // namespace detail

template <class T>
void embedding_forward(const Context& ctx, const Batch* batch, int64_t rows, int64_t vocab, int64_t features,
                       Span<const T> table, Span<const int64_t> ids, Span<T> y, void* stream = nullptr) {
  detail::need("table", table, {{"vocab", vocab}, {"features", features}});
  detail::need("ids", ids, {{"rows", rows}});
  detail::need("y", y, {{"rows", rows}, {"features", features}});
  check(varlstm_embedding_forward(ctx.get(), batch == nullptr ? nullptr : batch->get(), dtype_of<T>(), rows, vocab,
                                  features, table.data(), ids.data(), y.data(), stream));
}

// padding_idx -1 means that there is no such row.
template <class T>
void embedding_backward(const Context& ctx, const Batch* batch, int64_t rows, int64_t vocab, int64_t features,
                        int64_t padding_idx, Span<const int64_t> ids, Span<const T> dy, Span<T> dtable,
                        Workspace& workspace, void* stream = nullptr) {
  detail::need("ids", ids, {{"rows", rows}});
  detail::need("dy", dy, {{"rows", rows}, {"features", features}});
  detail::need("dtable", dtable, {{"vocab", vocab}, {"features", features}});
  detail::grow_for_op<T>(workspace, ctx, VARLSTM_OP_EMBEDDING_BACKWARD, rows, vocab, features);
  check(varlstm_embedding_backward(ctx.get(), batch == nullptr ? nullptr : batch->get(), dtype_of<T>(), rows, vocab,
                                   features, padding_idx, ids.data(), dy.data(), dtable.data(), workspace.data(),
                                   workspace.bytes(), stream));
}

template <class T>
void linear_forward(const Context& ctx, int64_t rows, int64_t in, int64_t out, Span<const T> x, Span<const T> weight,
                    Span<const T> bias, Span<T> y, Workspace& workspace, void* stream = nullptr) {
  detail::need("x", x, {{"rows", rows}, {"in", in}});
  detail::need("weight", weight, {{"out", out}, {"in", in}});
  detail::need_or_empty("bias", bias, {{"out", out}});
  detail::need("y", y, {{"rows", rows}, {"out", out}});
  detail::grow_for_op<T>(workspace, ctx, VARLSTM_OP_LINEAR_FORWARD, rows, in, out);
  check(varlstm_linear_forward(ctx.get(), dtype_of<T>(), rows, in, out, x.data(), weight.data(), bias.data(), y.data(),
                               workspace.data(), workspace.bytes(), stream));
}

template <class T>
void linear_backward(const Context& ctx, int64_t rows, int64_t in, int64_t out, Span<const T> x, Span<const T> weight,
                     Span<const T> dy, Span<T> dx, Span<T> dweight, Span<T> dbias, Workspace& workspace,
                     void* stream = nullptr) {
  detail::need_or_empty("x", x, {{"rows", rows}, {"in", in}});
  detail::need_or_empty("weight", weight, {{"out", out}, {"in", in}});
  detail::need("dy", dy, {{"rows", rows}, {"out", out}});
  detail::need_or_empty("dx", dx, {{"rows", rows}, {"in", in}});
  detail::need_or_empty("dweight", dweight, {{"out", out}, {"in", in}});
  detail::need_or_empty("dbias", dbias, {{"out", out}});
  detail::grow_for_op<T>(workspace, ctx, VARLSTM_OP_LINEAR_BACKWARD, rows, in, out);
  check(varlstm_linear_backward(ctx.get(), dtype_of<T>(), rows, in, out, x.data(), weight.data(), dy.data(), dx.data(),
                                dweight.data(), dbias.data(), workspace.data(), workspace.bytes(), stream));
}

// dst <- all of src.
template <class From, class To>
void convert(const Context& ctx, Span<const From> src, Span<To> dst, void* stream = nullptr) {
  detail::need("dst", dst, {{"src.size()", src.size()}});
  check(varlstm_convert(ctx.get(), dtype_of<From>(), dtype_of<To>(), src.size(), src.data(), dst.data(), stream));
}

// dst[r * ld_dst + c] <- src[r * ld_src + c] for r < rows and c < columns. A row has ld_src and ld_dst elements, of
// which the last row needs only the first `columns`. The other columns of dst stay as they are. The spans may not
// overlap.
template <class T>
void copy_columns(const Context& ctx, int64_t rows, int64_t columns, Span<const T> src, int64_t ld_src, Span<T> dst,
                  int64_t ld_dst, void* stream = nullptr) {
  if (rows > 0 && ld_src >= columns) detail::need("src", src, {{"elements", (rows - 1) * ld_src + columns}});
  if (rows > 0 && ld_dst >= columns) detail::need("dst", dst, {{"elements", (rows - 1) * ld_dst + columns}});
  check(varlstm_copy_columns(ctx.get(), dtype_of<T>(), rows, columns, src.data(), ld_src, dst.data(), ld_dst, stream));
}

// These work on all of x, or of dy. x and y, or dy and dx, may be the same buffer.
template <class T>
void dropout_forward(const Context& ctx, double p, uint64_t seed, Span<const T> x, Span<T> y, void* stream = nullptr) {
  detail::need("y", y, {{"x.size()", x.size()}});
  check(varlstm_dropout_forward(ctx.get(), dtype_of<T>(), x.size(), p, seed, x.data(), y.data(), stream));
}

template <class T>
void dropout_backward(const Context& ctx, double p, uint64_t seed, Span<const T> dy, Span<T> dx,
                      void* stream = nullptr) {
  detail::need("dx", dx, {{"dy.size()", dy.size()}});
  check(varlstm_dropout_backward(ctx.get(), dtype_of<T>(), dy.size(), p, seed, dy.data(), dx.data(), stream));
}

// x and y, or dy and dx, may be the same buffer.
template <class T>
void log_softmax_forward(const Context& ctx, int64_t rows, int64_t classes, Span<const T> x, Span<T> y,
                         void* stream = nullptr) {
  detail::need("x", x, {{"rows", rows}, {"classes", classes}});
  detail::need("y", y, {{"rows", rows}, {"classes", classes}});
  check(varlstm_log_softmax_forward(ctx.get(), dtype_of<T>(), rows, classes, x.data(), y.data(), stream));
}

template <class T>
void log_softmax_backward(const Context& ctx, int64_t rows, int64_t classes, Span<const T> y, Span<const T> dy,
                          Span<T> dx, void* stream = nullptr) {
  detail::need("y", y, {{"rows", rows}, {"classes", classes}});
  detail::need("dy", dy, {{"rows", rows}, {"classes", classes}});
  detail::need("dx", dx, {{"rows", rows}, {"classes", classes}});
  check(varlstm_log_softmax_backward(ctx.get(), dtype_of<T>(), rows, classes, y.data(), dy.data(), dx.data(), stream));
}

}  // namespace varlstm
