// Embedding, linear, dropout and log-softmax.
// SPDX-License-Identifier: Apache-2.0
#include <string_view>

#include "capi/op_workspace.h"

using namespace varlstm;

namespace varlstm {

int32_t query_op_workspace(const varlstm_ctx* ctx, Op op, DType dtype, int64_t rows, int64_t a, int64_t b,
                           int64_t* bytes) {
  return call_backend(ctx, "op_workspace", &Backend::op_workspace, op, dtype, rows, a, b, bytes);
}

}  // namespace varlstm

namespace {

// Checks the sizes a and b of an operation: positive if the operation has such a size, else 0.
int32_t check_op_sizes(int32_t op, int64_t rows, int64_t a, int64_t b) {
  const bool has_a = op != VARLSTM_OP_GRAD_NORM;
  const bool chunked = op >= VARLSTM_OP_LINEAR_CROSS_ENTROPY_FORWARD;  // has no buffer of rows * classes
  const bool has_b = op <= VARLSTM_OP_LINEAR_BACKWARD || chunked;
  VARLSTM_TRY(check_at_least("rows", rows, 0));
  VARLSTM_TRY(has_a ? check_at_least("a", a, 1) : check_between("a", a, 0, 0));
  VARLSTM_TRY(has_b ? check_at_least("b", b, 1) : check_between("b", b, 0, 0));
  if (op != VARLSTM_OP_EMBEDDING_BACKWARD) {  // embedding has no buffer of rows * vocabulary
    VARLSTM_TRY(check_bytes("workspace", {{"rows", rows}, {"a", a}}, 8, nullptr));
  }
  if (!chunked) VARLSTM_TRY(check_bytes("workspace", {{"rows", rows}, {"b", b}}, 8, nullptr));
  return check_bytes("workspace", {{"a", a}, {"b", b}}, 8, nullptr);
}

int32_t check_embedding(const varlstm_ctx* ctx, const varlstm_batch* batch, int32_t dtype, int64_t rows, int64_t vocab,
                        int64_t features, const void* stream) {
  VARLSTM_TRY(check_usable("ctx", ctx, stream));
  VARLSTM_TRY(check_dtype("dtype", dtype));
  VARLSTM_TRY(check_at_least("rows", rows, 0));
  VARLSTM_TRY(check_batch_or_null(ctx, batch, rows));
  VARLSTM_TRY(check_at_least("vocab", vocab, 1));
  return check_at_least("features", features, 1);
}

EmbeddingArgs embedding_args(const varlstm_batch* batch, int32_t dtype, int64_t rows, int64_t vocab, int64_t features,
                             const int64_t* ids) {
  return {static_cast<DType>(dtype), rows, vocab, features, batch == nullptr ? nullptr : &batch->plan, ids};
}

int32_t check_linear(const varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t in, int64_t out, const void* stream) {
  VARLSTM_TRY(check_usable("ctx", ctx, stream));
  VARLSTM_TRY(check_dtype("dtype", dtype));
  VARLSTM_TRY(check_at_least("rows", rows, 0));
  VARLSTM_TRY(check_at_least("in", in, 1));
  VARLSTM_TRY(check_at_least("out", out, 1));
  VARLSTM_TRY(check_bytes("x", {{"rows", rows}, {"in", in}}, 8, nullptr));
  VARLSTM_TRY(check_bytes("y", {{"rows", rows}, {"out", out}}, 8, nullptr));
  return check_bytes("weight", {{"out", out}, {"in", in}}, 8, nullptr);
}

// in_name and out_name are "x" and "y" in forward, "dy" and "dx" in backward.
int32_t run_dropout(varlstm_ctx* ctx, int32_t dtype, int64_t count, double p, uint64_t seed, const char* in_name,
                    const void* in, const char* out_name, void* out, void* stream) {
  VARLSTM_TRY(check_usable("ctx", ctx, stream));
  VARLSTM_TRY(check_dtype("dtype", dtype));
  VARLSTM_TRY(check_at_least("count", count, 0));
  VARLSTM_TRY(check_probability("p", p));
  BufferCheck buffers(element_size(static_cast<DType>(dtype)));
  buffers.read(in_name, in, {{"count", count}});
  buffers.write(out_name, out, {{"count", count}});
  buffers.may_be_same(in_name, out_name);
  VARLSTM_TRY(buffers.finish());
  return call_backend(ctx, "dropout", &Backend::dropout, static_cast<DType>(dtype), count, p, seed, in, out, stream);
}

int32_t check_log_softmax(const varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t classes, const void* stream) {
  VARLSTM_TRY(check_usable("ctx", ctx, stream));
  VARLSTM_TRY(check_dtype("dtype", dtype));
  VARLSTM_TRY(check_at_least("rows", rows, 0));
  return check_at_least("classes", classes, 1);
}

}  // namespace

int32_t varlstm_op_workspace(varlstm_ctx* ctx, int32_t op, int32_t dtype, int64_t rows, int64_t a, int64_t b,
                             int64_t* bytes) {
  VARLSTM_TRY(check_usable("ctx", ctx));
  VARLSTM_TRY(check_enum("op", "varlstm_op", op, VARLSTM_OP_LINEAR_CROSS_ENTROPY_BACKWARD));
  VARLSTM_TRY(check_dtype("dtype", dtype));
  VARLSTM_TRY(check_op_sizes(op, rows, a, b));
  BufferCheck buffers(sizeof(int64_t));
  buffers.write("bytes", bytes, {});
  VARLSTM_TRY(buffers.finish());
  int64_t needed = 0;
  VARLSTM_TRY(query_op_workspace(ctx, static_cast<Op>(op), static_cast<DType>(dtype), rows, a, b, &needed));
  *bytes = needed;
  return VARLSTM_OK;
}

int32_t varlstm_embedding_forward(varlstm_ctx* ctx, const varlstm_batch* batch, int32_t dtype, int64_t rows,
                                  int64_t vocab, int64_t features, const void* table, const int64_t* ids, void* y,
                                  void* stream) {
  VARLSTM_TRY(check_embedding(ctx, batch, dtype, rows, vocab, features, stream));
  BufferCheck buffers(element_size(static_cast<DType>(dtype)));
  buffers.read("table", table, {{"vocab", vocab}, {"features", features}});
  buffers.read("ids", ids, {{"rows", rows}}, sizeof(int64_t));
  buffers.write("y", y, {{"rows", rows}, {"features", features}});
  VARLSTM_TRY(buffers.finish());
  const EmbeddingArgs args = embedding_args(batch, dtype, rows, vocab, features, ids);
  return call_backend(ctx, "embedding_forward", &Backend::embedding_forward, args, table, y, stream);
}

int32_t varlstm_embedding_backward(varlstm_ctx* ctx, const varlstm_batch* batch, int32_t dtype, int64_t rows,
                                   int64_t vocab, int64_t features, int64_t padding_idx, const int64_t* ids,
                                   const void* dy, void* dtable, void* workspace, int64_t workspace_bytes,
                                   void* stream) {
  VARLSTM_TRY(check_embedding(ctx, batch, dtype, rows, vocab, features, stream));
  VARLSTM_TRY(check_between("padding_idx", padding_idx, -1, vocab - 1));
  BufferCheck buffers(element_size(static_cast<DType>(dtype)));
  buffers.read("ids", ids, {{"rows", rows}}, sizeof(int64_t));
  buffers.read("dy", dy, {{"rows", rows}, {"features", features}});
  buffers.write("dtable", dtable, {{"vocab", vocab}, {"features", features}});
  VARLSTM_TRY(buffers.status());
  int64_t needed = 0;
  VARLSTM_TRY(
      query_op_workspace(ctx, Op::kEmbeddingBackward, static_cast<DType>(dtype), rows, vocab, features, &needed));
  buffers.scratch("workspace", workspace, workspace_bytes, needed);
  VARLSTM_TRY(buffers.finish());
  const EmbeddingArgs args = embedding_args(batch, dtype, rows, vocab, features, ids);
  return call_backend(ctx, "embedding_backward", &Backend::embedding_backward, args, padding_idx, dy, dtable, workspace,
                      workspace_bytes, stream);
}

int32_t varlstm_linear_forward(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t in, int64_t out, const void* x,
                               const void* weight, const void* bias, void* y, void* workspace, int64_t workspace_bytes,
                               void* stream) {
  VARLSTM_TRY(check_linear(ctx, dtype, rows, in, out, stream));
  int64_t needed = 0;
  VARLSTM_TRY(query_op_workspace(ctx, Op::kLinearForward, static_cast<DType>(dtype), rows, in, out, &needed));
  BufferCheck buffers(element_size(static_cast<DType>(dtype)));
  buffers.read("x", x, {{"rows", rows}, {"in", in}});
  buffers.read("weight", weight, {{"out", out}, {"in", in}});
  buffers.read_or_null("bias", bias, {{"out", out}});
  buffers.write("y", y, {{"rows", rows}, {"out", out}});
  buffers.scratch("workspace", workspace, workspace_bytes, needed);
  VARLSTM_TRY(buffers.finish());
  const LinearArgs args{static_cast<DType>(dtype), rows, in, out, workspace, workspace_bytes};
  return call_backend(ctx, "linear_forward", &Backend::linear_forward, args, x, weight, bias, y, stream);
}

int32_t varlstm_linear_backward(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t in, int64_t out, const void* x,
                                const void* weight, const void* dy, void* dx, void* dweight, void* dbias,
                                void* workspace, int64_t workspace_bytes, void* stream) {
  VARLSTM_TRY(check_linear(ctx, dtype, rows, in, out, stream));
  int64_t needed = 0;
  VARLSTM_TRY(query_op_workspace(ctx, Op::kLinearBackward, static_cast<DType>(dtype), rows, in, out, &needed));
  BufferCheck buffers(element_size(static_cast<DType>(dtype)));
  if (dweight != nullptr || x != nullptr) buffers.read("x", x, {{"rows", rows}, {"in", in}});
  if (dx != nullptr || weight != nullptr) buffers.read("weight", weight, {{"out", out}, {"in", in}});
  buffers.read("dy", dy, {{"rows", rows}, {"out", out}});
  buffers.write_or_null("dx", dx, {{"rows", rows}, {"in", in}});
  buffers.write_or_null("dweight", dweight, {{"out", out}, {"in", in}});
  buffers.write_or_null("dbias", dbias, {{"out", out}});
  buffers.scratch("workspace", workspace, workspace_bytes, needed);
  VARLSTM_TRY(buffers.finish());
  const LinearArgs args{static_cast<DType>(dtype), rows, in, out, workspace, workspace_bytes};
  return call_backend(ctx, "linear_backward", &Backend::linear_backward, args, x, weight, dy, dx, dweight, dbias,
                      stream);
}

int32_t varlstm_convert(varlstm_ctx* ctx, int32_t from_dtype, int32_t to_dtype, int64_t count, const void* src,
                        void* dst, void* stream) {
  VARLSTM_TRY(check_usable("ctx", ctx, stream));
  VARLSTM_TRY(check_dtype("from_dtype", from_dtype));
  VARLSTM_TRY(check_dtype("to_dtype", to_dtype));
  VARLSTM_TRY(check_at_least("count", count, 0));
  const DType from = static_cast<DType>(from_dtype), to = static_cast<DType>(to_dtype);
  BufferCheck buffers(1);
  buffers.read("src", src, {{"count", count}}, element_size(from));
  buffers.write("dst", dst, {{"count", count}}, element_size(to));
  VARLSTM_TRY(buffers.finish());
  return call_backend(ctx, "convert", &Backend::convert, from, to, count, src, dst, stream);
}

int32_t varlstm_copy_columns(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t columns, const void* src,
                             int64_t ld_src, void* dst, int64_t ld_dst, void* stream) {
  VARLSTM_TRY(check_usable("ctx", ctx, stream));
  VARLSTM_TRY(check_dtype("dtype", dtype, true));
  VARLSTM_TRY(check_at_least("rows", rows, 0));
  VARLSTM_TRY(check_at_least("columns", columns, 1));
  for (const Dim& ld : {Dim{"ld_src", ld_src}, Dim{"ld_dst", ld_dst}}) {
    if (ld.value < columns)
      return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s = %lld is smaller than columns = %lld", ld.name,
                       static_cast<long long>(ld.value), static_cast<long long>(columns));
    VARLSTM_TRY(check_bytes(ld.name == std::string_view("ld_src") ? "src" : "dst", {{"rows", rows}, ld}, 8, nullptr));
  }
  // The last row need not be as wide as the others.
  const auto elements = [&](int64_t ld) { return rows == 0 ? 0 : (rows - 1) * ld + columns; };
  BufferCheck buffers(element_size(static_cast<DType>(dtype)));
  buffers.read("src", src, {{"elements", elements(ld_src)}});
  buffers.write("dst", dst, {{"elements", elements(ld_dst)}});
  VARLSTM_TRY(buffers.finish());
  return call_backend(ctx, "copy_columns", &Backend::copy_columns,
                      ColumnCopy{static_cast<DType>(dtype), rows, columns, src, ld_src, dst, ld_dst}, stream);
}

int32_t varlstm_dropout_forward(varlstm_ctx* ctx, int32_t dtype, int64_t count, double p, uint64_t seed, const void* x,
                                void* y, void* stream) {
  return run_dropout(ctx, dtype, count, p, seed, "x", x, "y", y, stream);
}

int32_t varlstm_dropout_backward(varlstm_ctx* ctx, int32_t dtype, int64_t count, double p, uint64_t seed,
                                 const void* dy, void* dx, void* stream) {
  return run_dropout(ctx, dtype, count, p, seed, "dy", dy, "dx", dx, stream);
}

int32_t varlstm_log_softmax_forward(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t classes, const void* x,
                                    void* y, void* stream) {
  VARLSTM_TRY(check_log_softmax(ctx, dtype, rows, classes, stream));
  BufferCheck buffers(element_size(static_cast<DType>(dtype)));
  buffers.read("x", x, {{"rows", rows}, {"classes", classes}});
  buffers.write("y", y, {{"rows", rows}, {"classes", classes}});
  buffers.may_be_same("x", "y");
  VARLSTM_TRY(buffers.finish());
  return call_backend(ctx, "log_softmax_forward", &Backend::log_softmax_forward, static_cast<DType>(dtype), rows,
                      classes, x, y, stream);
}

int32_t varlstm_log_softmax_backward(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t classes, const void* y,
                                     const void* dy, void* dx, void* stream) {
  VARLSTM_TRY(check_log_softmax(ctx, dtype, rows, classes, stream));
  BufferCheck buffers(element_size(static_cast<DType>(dtype)));
  buffers.read("y", y, {{"rows", rows}, {"classes", classes}});
  buffers.read("dy", dy, {{"rows", rows}, {"classes", classes}});
  buffers.write("dx", dx, {{"rows", rows}, {"classes", classes}});
  buffers.may_be_same("dy", "dx");
  VARLSTM_TRY(buffers.finish());
  return call_backend(ctx, "log_softmax_backward", &Backend::log_softmax_backward, static_cast<DType>(dtype), rows,
                      classes, y, dy, dx, stream);
}
