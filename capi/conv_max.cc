// Convolution over the rows of each word, and the maximum over its positions.
// SPDX-License-Identifier: Apache-2.0
#include "capi/check.h"

using namespace varlstm;

namespace {

long long ll(int64_t value) {
  return value;
}

int32_t check_shape(const ConvMaxShape& shape) {
  VARLSTM_TRY(check_dtype("dtype", static_cast<int64_t>(shape.dtype)));
  VARLSTM_TRY(check_at_least("words", shape.words, 0));
  VARLSTM_TRY(check_at_least("rows", shape.rows, 0));
  VARLSTM_TRY(check_at_least("in", shape.in, 1));
  VARLSTM_TRY(check_at_least("filters", shape.filters, 1));
  VARLSTM_TRY(check_at_least("width", shape.width, 1));
  VARLSTM_TRY(check_bytes("x", {{"rows", shape.rows}, {"in", shape.in}}, 8, nullptr));
  VARLSTM_TRY(
      check_bytes("weight", {{"filters", shape.filters}, {"in", shape.in}, {"width", shape.width}}, 8, nullptr));
  return check_bytes("argmax", {{"words", shape.words}, {"filters", shape.filters}}, 8, nullptr);
}

int32_t check_call(const varlstm_ctx* ctx, const ConvMaxShape& shape, int32_t activation, int64_t ldy,
                   const void* stream) {
  VARLSTM_TRY(check_usable("ctx", ctx, stream));
  VARLSTM_TRY(check_shape(shape));
  VARLSTM_TRY(check_enum("activation", "varlstm_activation", activation, VARLSTM_ACTIVATION_RELU));
  if (ldy < shape.filters)
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "ldy = %lld is smaller than filters = %lld", ll(ldy),
                     ll(shape.filters));
  return check_bytes("y", {{"words", shape.words}, {"ldy", ldy}}, 8, nullptr);
}

// The elements from the first to the last of y: its last row need not be `ldy` wide.
Dim elements_of_y(const ConvMaxShape& shape, int64_t ldy) {
  return {"elements", shape.words == 0 ? 0 : (shape.words - 1) * ldy + shape.filters};
}

int32_t check_counted(const ConvMaxShape& shape, const char* function, int64_t bytes) {
  if (bytes != INT64_MAX) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT,
                   "words = %lld, rows = %lld, in = %lld, filters = %lld and width = %lld need more bytes of workspace "
                   "for %s than 64 bits can count",
                   ll(shape.words), ll(shape.rows), ll(shape.in), ll(shape.filters), ll(shape.width), function);
}

// The bytes that a function needs; null: the call does not need that function's.
int32_t find_size(const varlstm_ctx* ctx, const ConvMaxShape& shape, int64_t* forward, int64_t* backward) {
  int64_t of_forward = 0, of_backward = 0;
  VARLSTM_TRY(call_backend(ctx, "conv_max_size", &Backend::conv_max_size, shape, &of_forward, &of_backward));
  if (forward != nullptr) VARLSTM_TRY(check_counted(shape, "forward", *forward = of_forward));
  if (backward != nullptr) VARLSTM_TRY(check_counted(shape, "backward", *backward = of_backward));
  return VARLSTM_OK;
}

int32_t bad_offset(const int64_t* offsets, int64_t k, int64_t rows) {
  if (k > 0 && offsets[k] < offsets[k - 1])
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "offsets[%lld] = %lld is smaller than offsets[%lld] = %lld", ll(k),
                     ll(offsets[k]), ll(k - 1), ll(offsets[k - 1]));
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "offsets[%lld] = %lld is not in 0 ... rows = %lld", ll(k),
                   ll(offsets[k]), ll(rows));
}

}  // namespace

int32_t varlstm_conv_max_size(varlstm_ctx* ctx, int32_t dtype, int64_t words, int64_t rows, int64_t in, int64_t filters,
                              int64_t width, int64_t* forward_bytes, int64_t* backward_bytes) {
  const ConvMaxShape shape{static_cast<DType>(dtype), words, rows, in, filters, width};
  VARLSTM_TRY(check_usable("ctx", ctx));
  VARLSTM_TRY(check_shape(shape));
  BufferCheck buffers(sizeof(int64_t));
  buffers.write("forward_bytes", forward_bytes, {});
  buffers.write("backward_bytes", backward_bytes, {});
  VARLSTM_TRY(buffers.finish());
  int64_t forward = 0, backward = 0;
  VARLSTM_TRY(find_size(ctx, shape, &forward, &backward));
  *forward_bytes = forward;
  *backward_bytes = backward;
  return VARLSTM_OK;
}

int32_t varlstm_conv_max_forward(varlstm_ctx* ctx, int32_t dtype, int64_t words, int64_t rows, int64_t in,
                                 int64_t filters, int64_t width, int32_t activation, const int64_t* offsets,
                                 const void* x, const void* weight, const void* bias, void* y, int64_t ldy,
                                 int64_t* argmax, void* workspace, int64_t workspace_bytes, void* stream) {
  const ConvMaxShape shape{static_cast<DType>(dtype), words, rows, in, filters, width};
  VARLSTM_TRY(check_call(ctx, shape, activation, ldy, stream));
  int64_t needed = 0;
  VARLSTM_TRY(find_size(ctx, shape, &needed, nullptr));
  BufferCheck buffers(element_size(shape.dtype));
  buffers.read("offsets", offsets, {{"words + 1", words + 1}}, sizeof(int64_t));
  buffers.read("x", x, {{"rows", rows}, {"in", in}});
  buffers.read("weight", weight, {{"filters", filters}, {"in", in}, {"width", width}});
  buffers.read_or_null("bias", bias, {{"filters", filters}});
  buffers.write("y", y, {elements_of_y(shape, ldy)});
  buffers.write_or_null("argmax", argmax, {{"words", words}, {"filters", filters}}, sizeof(int64_t));
  buffers.scratch("workspace", workspace, workspace_bytes, needed);
  VARLSTM_TRY(buffers.finish());
  const ConvMaxForwardArgs args{
      shape, static_cast<Activation>(activation), offsets, x, weight, bias, y, ldy, argmax, workspace, workspace_bytes};
  int64_t bad = -1;
  const int32_t status = call_backend(ctx, "conv_max_forward", &Backend::conv_max_forward, args, &bad, stream);
  return status == VARLSTM_ERROR_INVALID_ARGUMENT && bad >= 0 ? bad_offset(offsets, bad, rows) : status;
}

int32_t varlstm_conv_max_backward(varlstm_ctx* ctx, int32_t dtype, int64_t words, int64_t rows, int64_t in,
                                  int64_t filters, int64_t width, int32_t activation, const int64_t* offsets,
                                  const void* x, const void* weight, const void* y, const void* dy, int64_t ldy,
                                  const int64_t* argmax, void* dx, void* dweight, void* dbias, void* workspace,
                                  int64_t workspace_bytes, void* stream) {
  const ConvMaxShape shape{static_cast<DType>(dtype), words, rows, in, filters, width};
  VARLSTM_TRY(check_call(ctx, shape, activation, ldy, stream));
  int64_t needed = 0;
  VARLSTM_TRY(find_size(ctx, shape, nullptr, &needed));
  BufferCheck buffers(element_size(shape.dtype));
  buffers.read("offsets", offsets, {{"words + 1", words + 1}}, sizeof(int64_t));
  if (dweight != nullptr || x != nullptr) buffers.read("x", x, {{"rows", rows}, {"in", in}});
  if (dx != nullptr || weight != nullptr)
    buffers.read("weight", weight, {{"filters", filters}, {"in", in}, {"width", width}});
  buffers.read("y", y, {elements_of_y(shape, ldy)});
  buffers.read("dy", dy, {elements_of_y(shape, ldy)});
  buffers.read("argmax", argmax, {{"words", words}, {"filters", filters}}, sizeof(int64_t));
  buffers.write_or_null("dx", dx, {{"rows", rows}, {"in", in}});
  buffers.write_or_null("dweight", dweight, {{"filters", filters}, {"in", in}, {"width", width}});
  buffers.write_or_null("dbias", dbias, {{"filters", filters}});
  buffers.scratch("workspace", workspace, workspace_bytes, needed);
  VARLSTM_TRY(buffers.finish());
  const ConvMaxBackwardArgs args{shape,     static_cast<Activation>(activation),
                                 offsets,   x,
                                 weight,    y,
                                 dy,        ldy,
                                 argmax,    dx,
                                 dweight,   dbias,
                                 workspace, workspace_bytes};
  int64_t bad = -1;
  const int32_t status = call_backend(ctx, "conv_max_backward", &Backend::conv_max_backward, args, &bad, stream);
  return status == VARLSTM_ERROR_INVALID_ARGUMENT && bad >= 0 ? bad_offset(offsets, bad, rows) : status;
}
