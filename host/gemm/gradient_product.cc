// SPDX-License-Identifier: Apache-2.0
#include "host/gemm/gradient_product.h"

#include "host/gemm/row_product.h"

namespace varlstm::host {

template <class T>
void gradient_product(int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb,
                      bool accumulate, T* c, int64_t ldc) {
  RowProduct<T> product;
  product.rows = m;
  product.columns = n;
  product.segment = k;
  product.a = a;
  product.lda = lda;
  product.transposed_a = true;
  product.weight = b;
  product.weight_ld = ldb;
  product.accumulate = accumulate;
  product.c = c;
  product.ldc = ldc;
  row_product(1, product);
}

template void gradient_product<float>(int64_t, int64_t, int64_t, const float*, int64_t, const float*, int64_t, bool,
                                      float*, int64_t);
template void gradient_product<double>(int64_t, int64_t, int64_t, const double*, int64_t, const double*, int64_t, bool,
                                       double*, int64_t);

}  // namespace varlstm::host
