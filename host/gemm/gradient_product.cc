// SPDX-License-Identifier: Apache-2.0
#include "host/gemm/gradient_product.h"

#include "host/gemm/row_product.h"
#include "host/simd/row_kernel.h"

namespace varlstm::host {
namespace {

// A block of a, transposed on the stack, stays in the second-level cache. bench/NOTES.md has the sizes that were tried.
constexpr int64_t kBlockBytes = 128 * 1024;
constexpr int64_t kBlockColumns = 128;

}  // namespace

template <class T>
void gradient_product(int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb, T* c,
                      int64_t ldc) {
  constexpr int64_t kBlockRows = kBlockBytes / (kBlockColumns * static_cast<int64_t>(sizeof(T)));
  alignas(64) T transposed[kBlockColumns * kBlockRows];
  const RowKernel<T>& kernel = row_kernel<T>();
  RowProduct<T> product;
  product.columns = n;
  product.a = transposed;
  product.lda = kBlockRows;
  product.weight_ld = ldb;
  product.accumulate = true;
  product.ldc = ldc;
  for (int64_t column = 0; column < m; column += kBlockColumns) {
    product.rows = column + kBlockColumns < m ? kBlockColumns : m - column;
    product.c = c + column * ldc;
    for (int64_t token = 0; token < k; token += kBlockRows) {
      product.segment = token + kBlockRows < k ? kBlockRows : k - token;
      product.weight = b + token * ldb;
      for (int64_t row = 0; row < product.segment; row += kernel.lanes)
        kernel.transpose(a + (token + row) * lda + column, lda, product.segment - row, product.rows, transposed + row,
                         kBlockRows);
      row_product(1, product);
    }
  }
}

template void gradient_product<float>(int64_t, int64_t, int64_t, const float*, int64_t, const float*, int64_t, float*,
                                      int64_t);
template void gradient_product<double>(int64_t, int64_t, int64_t, const double*, int64_t, const double*, int64_t,
                                       double*, int64_t);

}  // namespace varlstm::host
