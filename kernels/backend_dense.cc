// Conversion, copies of columns, dropout, log-softmax and the losses of the CUDA back end.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/backend_ops.h"
#include "kernels/convert/convert.h"
#include "kernels/copy_columns/copy_columns.h"
#include "kernels/dropout/dropout.h"
#include "kernels/linear_cross_entropy/linear_cross_entropy.h"
#include "kernels/log_softmax/log_softmax.h"
#include "kernels/masked_loss/masked_loss.h"

namespace varlstm::cuda {
namespace {

int32_t dropout_call(BackendState* state, DType dtype, int64_t count, double p, uint64_t seed, const void* in,
                     void* out, void* stream) {
  DropoutArgs args{};
  args.dtype = dtype;
  args.m = count;
  args.p = p, args.seed = seed;
  args.in = in, args.out = out;
  return dropout(make_stream(state, stream), args);
}

int32_t convert_call(BackendState* state, DType from, DType to, int64_t count, const void* src, void* dst,
                     void* stream) {
  return convert(make_stream(state, stream), from, to, count, src, dst);
}

int32_t copy_columns_call(BackendState* state, const ColumnCopy& copy, void* stream) {
  return copy_columns(make_stream(state, stream), copy);
}

int32_t log_softmax_forward_call(BackendState* state, DType dtype, int64_t rows, int64_t classes, const void* x,
                                 void* y, void* stream) {
  return log_softmax_forward(make_stream(state, stream), dtype, rows, classes, x, y);
}

int32_t log_softmax_backward_call(BackendState* state, DType dtype, int64_t rows, int64_t classes, const void* y,
                                  const void* dy, void* dx, void* stream) {
  return log_softmax_backward(make_stream(state, stream), dtype, rows, classes, y, dy, dx);
}

int32_t nll_forward_call(BackendState* state, const LossArgs& args, const void* log_probs, void* out, void* weight_sum,
                         void* stream) {
  return nll_forward(make_stream(state, stream), args, log_probs, out, weight_sum);
}

int32_t nll_backward_call(BackendState* state, const LossArgs& args, const void* dout, void* dlog_probs, void* stream) {
  return nll_backward(make_stream(state, stream), args, dout, dlog_probs);
}

int32_t cross_entropy_forward_call(BackendState* state, const LossArgs& args, const void* logits, void* out,
                                   void* weight_sum, void* dlogits, void* stream) {
  return cross_entropy_forward(make_stream(state, stream), args, logits, out, weight_sum, dlogits);
}

int32_t cross_entropy_backward_call(BackendState* state, const LossArgs& args, const void* dout, void* dlogits,
                                    void* stream) {
  return cross_entropy_backward(make_stream(state, stream), args, dout, dlogits);
}

int32_t linear_cross_entropy_forward_call(BackendState* state, const LinearLossArgs& args, void* out, void* weight_sum,
                                          void* lse, void* stream) {
  return linear_cross_entropy_forward(make_stream(state, stream), args, out, weight_sum, lse);
}

int32_t linear_cross_entropy_backward_call(BackendState* state, const LinearLossArgs& args, const void* lse,
                                           const void* dout, void* dx, void* dweight, void* dbias, void* stream) {
  return linear_cross_entropy_backward(make_stream(state, stream), args, lse, dout, dx, dweight, dbias);
}

}  // namespace

void set_dense_operations(Backend& table) {
  table.convert = convert_call;
  table.copy_columns = copy_columns_call;
  table.dropout = dropout_call;
  table.log_softmax_forward = log_softmax_forward_call;
  table.log_softmax_backward = log_softmax_backward_call;
  table.nll_forward = nll_forward_call;
  table.nll_backward = nll_backward_call;
  table.cross_entropy_forward = cross_entropy_forward_call;
  table.cross_entropy_backward = cross_entropy_backward_call;
  table.linear_cross_entropy_forward = linear_cross_entropy_forward_call;
  table.linear_cross_entropy_backward = linear_cross_entropy_backward_call;
}

}  // namespace varlstm::cuda
