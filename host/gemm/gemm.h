// GEMM of the host back end: CBLAS for float and double where it was found at build time, plain loops otherwise.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::host {

enum class Transpose { kNo, kYes };

// c [m, n] <- op(a) op(b) + beta * c, row-major with leading dimensions; op(a) [m, k], op(b) [k, n]; beta 0 (c is not
// read) or 1. Cut into blocks of fixed size, so the result does not depend on `threads`.
template <class T>
void gemm(int64_t threads, Transpose trans_a, Transpose trans_b, int64_t m, int64_t n, int64_t k, const T* a,
          int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc);

// The same as plain loops, for any scalar: the reference that the fast face is tested against.
template <class T>
void gemm_loops(Transpose trans_a, Transpose trans_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda,
                const T* b, int64_t ldb, T beta, T* c, int64_t ldc);

}  // namespace varlstm::host
