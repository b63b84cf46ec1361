// The linear layer of the CUDA back end: products and column sums.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/backend_ops.h"
#include "kernels/core/status.h"
#include "kernels/gemm/column_sum.h"
#include "kernels/gemm/gemm.h"
#include "varlstm.h"

namespace varlstm::cuda {
namespace {

// y [rows, out] <- x [rows, in] weight^T + bias, weight [out, in].
int32_t forward(BackendState* state, const LinearArgs& args, const void* x, const void* weight, const void* bias,
                void* y, void* stream) {
  GemmArgs product{};
  product.dtype = product.dtype_c = args.dtype;
  product.m = args.rows, product.n = args.out, product.k = args.in;
  product.a = x, product.lda = args.in;
  product.b = weight, product.ldb = args.in, product.transpose_b = true;
  product.c = y, product.ldc = args.out;
  product.bias = bias;
  product.workspace = args.workspace, product.workspace_bytes = args.workspace_bytes;
  return gemm(make_stream(state, stream), product);
}

// dx [rows, in] <- dy weight.
GemmArgs input_gradient(const LinearArgs& args, const void* weight, const void* dy, void* dx) {
  GemmArgs product{};
  product.dtype = product.dtype_c = args.dtype;
  product.m = args.rows, product.n = args.in, product.k = args.out;
  product.a = dy, product.lda = args.out;
  product.b = weight, product.ldb = args.in;
  product.c = dx, product.ldc = args.in;
  product.workspace = args.workspace, product.workspace_bytes = args.workspace_bytes;
  return product;
}

// dweight [out, in] += dy^T x; dbias [out] += the column sums of dy, unless it is null.
GemmArgs weight_gradient(const LinearArgs& args, const void* x, const void* dy, void* dweight, void* dbias) {
  GemmArgs product{};
  product.dtype = product.dtype_c = args.dtype;
  product.m = args.out, product.n = args.in, product.k = args.rows;
  product.a = dy, product.lda = args.out, product.transpose_a = true;
  product.b = x, product.ldb = args.in;
  product.c = dweight, product.ldc = args.in;
  product.accumulate = true;
  product.sums = dbias;
  product.workspace = args.workspace, product.workspace_bytes = args.workspace_bytes;
  return product;
}

int32_t backward(BackendState* state, const LinearArgs& args, const void* x, const void* weight, const void* dy,
                 void* dx, void* dweight, void* dbias, void* raw_stream) {
  const Stream stream = make_stream(state, raw_stream);
  if (args.rows == 0) return VARLSTM_OK;
  GemmArgs products[2];
  int count = 0;
  if (dx != nullptr) products[count++] = input_gradient(args, weight, dy, dx);
  if (dweight != nullptr) products[count++] = weight_gradient(args, x, dy, dweight, dbias);
  VARLSTM_CUDA_TRY(gemm_group(stream, products, count, GemmOrder::kIndependent));
  if (dbias == nullptr || dweight != nullptr) return VARLSTM_OK;
  return add_column_sums(stream, args.dtype, args.dtype, args.rows, args.out, dy, args.out, nullptr, dbias, nullptr);
}

}  // namespace

void set_linear_operations(Backend& table) {
  table.linear_forward = forward;
  table.linear_backward = backward;
}

}  // namespace varlstm::cuda
