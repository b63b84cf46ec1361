// SPDX-License-Identifier: Apache-2.0
#include "host/gemm/gemm.h"

#include <string.h>

#include <initializer_list>

#include "host/gemm/gradient_product.h"
#include "host/simd/row_kernel.h"
#include "host/threads/parallel.h"

#ifdef VARLSTM_HAVE_CBLAS
#include <cblas.h>
#include <omp.h>
#endif

namespace varlstm::host {
namespace {

// The number of rows of c that one piece of work computes, and if there are few rows, of columns.
constexpr int64_t kBlockRows = 256;
constexpr int64_t kNarrow = 32, kBlockColumns = 128;

#ifdef VARLSTM_HAVE_CBLAS
CBLAS_TRANSPOSE cblas_transpose(Transpose t) {
  return t == Transpose::kYes ? CblasTrans : CblasNoTrans;
}

void gemm_block(Transpose trans_a, Transpose trans_b, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda,
                const float* b, int64_t ldb, float beta, float* c, int64_t ldc) {
  cblas_sgemm(CblasRowMajor, cblas_transpose(trans_a), cblas_transpose(trans_b), m, n, k, 1, a, lda, b, ldb, beta, c,
              ldc);
}

void gemm_block(Transpose trans_a, Transpose trans_b, int64_t m, int64_t n, int64_t k, const double* a, int64_t lda,
                const double* b, int64_t ldb, double beta, double* c, int64_t ldc) {
  cblas_dgemm(CblasRowMajor, cblas_transpose(trans_a), cblas_transpose(trans_b), m, n, k, 1, a, lda, b, ldb, beta, c,
              ldc);
}

// OpenBLAS would start threads of its own and divide the work by their number, which changes the order of sums. This
// object limits it to one thread in the thread that calls it.
class SingleThreadedBlas {
 public:
  SingleThreadedBlas() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~SingleThreadedBlas() { omp_set_num_threads(threads_); }
  SingleThreadedBlas(const SingleThreadedBlas&) = delete;
  SingleThreadedBlas& operator=(const SingleThreadedBlas&) = delete;

 private:
  int threads_;
};

// CBLAS takes sizes as 32-bit integers.
bool fits_cblas(int64_t m, int64_t n, int64_t k, int64_t lda, int64_t ldb, int64_t ldc) {
  for (const int64_t size : {m, n, k, lda, ldb, ldc})
    if (size > INT32_MAX) return false;
  return true;
}

// OpenBLAS takes older kernels for a CPU that it does not know. Where our own have AVX-512 and it has not, ours are
// faster from one vector of columns on.
bool gradient_product_is_faster(int64_t columns, int64_t lanes) {
  static const bool newer = [] {
    for (const char* core : {"SkylakeX", "Cooperlake", "SapphireRapids"})
      if (strcmp(openblas_get_corename(), core) == 0) return false;
    return strcmp(row_kernels().name, "avx512") == 0;
  }();
  return newer && columns >= lanes;
}
#else
bool gradient_product_is_faster(int64_t, int64_t) {
  return true;
}
#endif

}  // namespace

template <class T>
void gemm_loops(Transpose trans_a, Transpose trans_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda,
                const T* b, int64_t ldb, T beta, T* c, int64_t ldc) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      T sum = beta == T(0) ? T(0) : c[i * ldc + j];
      for (int64_t s = 0; s < k; ++s) {
        const T x = trans_a == Transpose::kYes ? a[s * lda + i] : a[i * lda + s];
        const T y = trans_b == Transpose::kYes ? b[j * ldb + s] : b[s * ldb + j];
        sum += x * y;
      }
      c[i * ldc + j] = sum;
    }
}

template <class T>
void gemm(int64_t threads, Transpose trans_a, Transpose trans_b, int64_t m, int64_t n, int64_t k, const T* a,
          int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc) {
  if (m == 0 || n == 0) return;
  const bool of_gradient = trans_a == Transpose::kYes && trans_b == Transpose::kNo && k > 0 &&
                           gradient_product_is_faster(n, row_kernel<T>().lanes);
  const auto block = [&](int64_t row, int64_t rows, int64_t column, int64_t columns) {
    const T* const a_block = a + (trans_a == Transpose::kYes ? row : row * lda);
    const T* const b_block = b + (trans_b == Transpose::kYes ? column * ldb : column);
    T* const c_block = c + row * ldc + column;
    if (of_gradient) return gradient_product(rows, columns, k, a_block, lda, b_block, ldb, beta != T(0), c_block, ldc);
#ifdef VARLSTM_HAVE_CBLAS
    if (k > 0 && fits_cblas(rows, columns, k, lda, ldb, ldc)) {
      const SingleThreadedBlas single;
      return gemm_block(trans_a, trans_b, rows, columns, k, a_block, lda, b_block, ldb, beta, c_block, ldc);
    }
#endif
    gemm_loops(trans_a, trans_b, rows, columns, k, a_block, lda, b_block, ldb, beta, c_block, ldc);
  };
  const int64_t used = m * n * k < kThreadedWork ? 1 : threads;
  if (m <= kNarrow)
    parallel_ranges(used, n, kBlockColumns, [&](int64_t begin, int64_t end) { block(0, m, begin, end - begin); });
  else
    parallel_ranges(used, m, kBlockRows, [&](int64_t begin, int64_t end) { block(begin, end - begin, 0, n); });
}

template void gemm<float>(int64_t, Transpose, Transpose, int64_t, int64_t, int64_t, const float*, int64_t, const float*,
                          int64_t, float, float*, int64_t);
template void gemm<double>(int64_t, Transpose, Transpose, int64_t, int64_t, int64_t, const double*, int64_t,
                           const double*, int64_t, double, double*, int64_t);
template void gemm_loops<float>(Transpose, Transpose, int64_t, int64_t, int64_t, const float*, int64_t, const float*,
                                int64_t, float, float*, int64_t);
template void gemm_loops<double>(Transpose, Transpose, int64_t, int64_t, int64_t, const double*, int64_t, const double*,
                                 int64_t, double, double*, int64_t);

}  // namespace varlstm::host
