// GEMM of the host back end: CBLAS for float and double if it was found at build time, else plain loops. For a^T b, the
// gradient of weights, gradient_product where it is faster or there is no CBLAS.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::host {

enum class Transpose { kNo, kYes };

// c [m, n] <- op(a) op(b) + beta * c, row-major with leading dimensions; op(a) is [m, k] and op(b) is [k, n]. beta is
// 0, and then c is not read, or 1. The work is cut into blocks of fixed size, so the result does not depend on
// `threads`.
template <class T>
void gemm(int64_t threads, Transpose trans_a, Transpose trans_b, int64_t m, int64_t n, int64_t k, const T* a,
          int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc);

// The same with plain loops: the reference that gemm is tested against.
template <class T>
void gemm_loops(Transpose trans_a, Transpose trans_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda,
                const T* b, int64_t ldb, T beta, T* c, int64_t ldc);

}  // namespace varlstm::host
