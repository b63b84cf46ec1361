// The gradient of a matrix of weights: c [m, n] <- a^T b, or with `accumulate` c += a^T b, where a [k, m] and b [k, n]
// have a row for each token; k > 0. Each element of c is one chain of additions over k in order, so it depends neither
// on m nor on n.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::host {

template <class T>
void gradient_product(int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb,
                      bool accumulate, T* c, int64_t ldc);

}  // namespace varlstm::host
