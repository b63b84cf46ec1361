// A matrix product of the CUDA back end, computed on the device and in two ways on the host.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/gemm/blas_library.h"
#include "kernels/gemm/gemm.h"
#include "kernels/selection/gemm_selection.h"
#include "support/on_device.h"
#include "varlstm.h"

namespace varlstm_test {

// What a typed test of products runs with: the types of A and B, and of C.
template <class TInput, class TOutput>
struct ProductTypes {
  using Input = TInput;
  using Output = TOutput;
};

// A product, its operands with pitches of their own, what is in C before it, and the result in three ways.
template <class T, class TC>
struct Product {
  using C = Wide<T>;
  int64_t m, n, k, rows;  // rows: of A that count, those behind are NaN; -1: all
  bool trans_a, trans_b, accumulate, with_bias, with_bias2;
  int64_t lda, ldb, ldc;
  std::vector<T> a, b, bias, bias2;
  std::vector<TC> before;
  std::vector<TC> chain;             // in the order of k, as on our tiles
  std::vector<double> exact, terms;  // the sum, and that of its terms' magnitudes; NaN where C is left as it is

  Product(Random& random, int64_t m_, int64_t n_, int64_t k_, int64_t rows_) : m(m_), n(n_), k(k_), rows(rows_) {
    trans_a = random.coin(), trans_b = random.coin(), accumulate = random.coin();
    with_bias = random.coin(), with_bias2 = with_bias && random.coin();
    lda = (trans_a ? m : k) + random.integer(0, 3), ldb = (trans_b ? k : n) + random.integer(0, 3);
    ldc = n + random.integer(0, 3);
    fill(random);
  }

  int64_t counted() const { return rows < 0 ? (trans_a ? k : m) : rows; }
  bool is_written(int64_t row) const { return trans_a || row < counted(); }

  void fill(Random& random) {
    a = random_values<T>(random, (trans_a ? k : m) * lda);
    b = random_values<T>(random, (trans_b ? n : k) * ldb);
    bias = random_values<T>(random, n), bias2 = random_values<T>(random, n);
    before = accumulate ? random_values<TC>(random, m * ldc) : nans<TC>(m * ldc);
    poison_pitch(a, trans_a ? m : k, lda);
    poison_pitch(b, trans_b ? k : n, ldb);
    const auto tail = nans<T>(static_cast<int64_t>(a.size()) - counted() * lda);
    std::copy(tail.begin(), tail.end(), a.begin() + counted() * lda);
    chain = before;
    exact.assign(before.size(), NAN), terms.assign(before.size(), NAN);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n && is_written(i); ++j) compute(i, j);
  }

  // NaN behind the `inner` elements of each row.
  static void poison_pitch(std::vector<T>& matrix, int64_t inner, int64_t ld) {
    const auto nan = nans<T>(1);
    for (size_t k = 0; k < matrix.size(); ++k)
      if (static_cast<int64_t>(k) % ld >= inner) matrix[k] = nan[0];
  }

  void compute(int64_t i, int64_t j) {
    C sum = 0;
    double total = 0, magnitude = 0;
    const auto add_exactly = [&](double term) { total += term, magnitude += std::fabs(term); };
    const auto add = [&](C term) { sum += term, add_exactly(static_cast<double>(term)); };
    for (int64_t s = 0; s < (trans_a ? counted() : k); ++s) {
      const C x = widen(a[trans_a ? s * lda + i : i * lda + s]), y = widen(b[trans_b ? j * ldb + s : s * ldb + j]);
      sum = std::fma(x, y, sum);
      add_exactly(static_cast<double>(x) * static_cast<double>(y));
    }
    if (with_bias) add(widen(bias[j]));
    if (with_bias2) add(widen(bias2[j]));
    if (accumulate) add(static_cast<C>(widen(before[i * ldc + j])));
    chain[i * ldc + j] = narrow<TC>(sum);
    exact[i * ldc + j] = total, terms[i * ldc + j] = magnitude;
  }

  std::string shape() const {
    return "m " + std::to_string(m) + " n " + std::to_string(n) + " k " + std::to_string(k) + " rows " +
           std::to_string(rows) + " transposed " + std::to_string(trans_a) + std::to_string(trans_b) + " accumulate " +
           std::to_string(accumulate) + " biases " + std::to_string(with_bias + with_bias2);
  }
};

// The operands of a product on the device, `skip` elements behind an aligned address.
template <class T, class TC>
class ProductOnDevice {
 public:
  ProductOnDevice(const Product<T, TC>& p, size_t skip)
      : a_(p.a, skip),
        b_(p.b, skip),
        bias_(p.bias, skip),
        bias2_(p.bias2, skip),
        c_(p.before, skip),
        rows_({p.rows}),
        workspace_(std::vector<char>(static_cast<size_t>(varlstm::cuda::gemm_workspace_bytes(p.m, p.n))), skip) {
    args.dtype = kType<T>, args.dtype_c = kType<TC>;
    args.m = p.m, args.n = p.n, args.k = p.k;
    args.a = a_.data(), args.lda = p.lda, args.transpose_a = p.trans_a;
    args.b = b_.data(), args.ldb = p.ldb, args.transpose_b = p.trans_b;
    args.c = c_.data(), args.ldc = p.ldc, args.accumulate = p.accumulate;
    args.bias = p.with_bias ? bias_.data() : nullptr;
    args.bias2 = p.with_bias2 ? bias2_.data() : nullptr;
    args.rows = p.rows < 0 ? nullptr : rows_.data();
    args.workspace = workspace_.data(), args.workspace_bytes = varlstm::cuda::gemm_workspace_bytes(p.m, p.n);
  }

  std::vector<TC> c() { return c_.get(); }

  varlstm::cuda::GemmArgs args{};

 private:
  OnDevice<T> a_, b_, bias_, bias2_;
  OnDevice<TC> c_;
  OnDevice<int64_t> rows_;
  OnDevice<char> workspace_;
};

// C after the product on the device, with operands `skip` elements behind an aligned address. `run` computes it.
template <class T, class TC, class Run>
std::vector<TC> run_on_device(const Product<T, TC>& p, size_t skip, const Run& run) {
  ProductOnDevice<T, TC> there(p, skip);
  EXPECT_EQ(run(there.args), VARLSTM_OK) << varlstm::cuda::take_failure_text();
  return there.c();
}
template <class T, class TC>
std::vector<TC> run_on_device(varlstm::cuda::Stream stream, const Product<T, TC>& p, size_t skip) {
  return run_on_device(p, skip, [&](const varlstm::cuda::GemmArgs& args) { return varlstm::cuda::gemm(stream, args); });
}

template <class T, class TC>
void expect_chain(const Product<T, TC>& p, const std::vector<TC>& result) {
  const auto actual = widened(result), wanted = widened(p.chain);
  for (size_t e = 0; e < wanted.size(); ++e)
    ASSERT_TRUE(actual[e] == wanted[e] || (std::isnan(actual[e]) && std::isnan(wanted[e])))
        << "element " << e << ": " << actual[e] << " instead of " << wanted[e] << "; " << p.shape();
}

// Half an ulp, relative, of values that round to T; of subnormal ones absolute.
template <class T>
constexpr double kHalfUlp = std::is_same_v<T, double>  ? DBL_EPSILON / 2
                            : std::is_same_v<T, float> ? FLT_EPSILON / 2
                            : std::is_same_v<T, Bf16>  ? 1.0 / 256
                                                       : 1.0 / 2048;
template <class T>
constexpr double kLeast = std::is_same_v<T, F16> ? 0x1p-25 : 0;

// In any order each of the k + 3 terms is rounded or cut at most once at the magnitude of all, C once more; and both
// factors of a product have been rounded to `factor` before.
template <class T, class TC>
void expect_close(const Product<T, TC>& p, const std::vector<TC>& result, double factor) {
  for (size_t e = 0; e < result.size(); ++e) {
    const double actual = static_cast<double>(widen(result[e]));
    if (std::isnan(p.exact[e])) {
      ASSERT_EQ(std::memcmp(&result[e], &p.before[e], sizeof(TC)), 0) << "element " << e << "; " << p.shape();
      continue;
    }
    const double sums = static_cast<double>(p.k + 3) * 2 * kHalfUlp<Wide<T>> + 2.01 * factor;
    const double bound = sums * p.terms[e] + kHalfUlp<TC> * (std::fabs(p.exact[e]) + sums * p.terms[e]) + kLeast<TC>;
    ASSERT_LE(std::fabs(actual - p.exact[e]), bound)
        << "element " << e << ": " << actual << " instead of " << p.exact[e] << "; " << p.shape();
  }
}

// A context with cuBLAS, as contexts of the C ABI have it.
class WithBlas {
 public:
  WithBlas() {
    EXPECT_EQ(varlstm::cuda::ask_device_facts(0, &state_.facts), VARLSTM_OK);
    EXPECT_GT(state_.facts.capability, 0)
        << "without it the tensor policy is not legal, and a forced one is passed over";
    state_.blas = varlstm::cuda::open_blas();
  }
  WithBlas(const WithBlas&) = delete;
  WithBlas& operator=(const WithBlas&) = delete;
  ~WithBlas() { varlstm::cuda::close_blas(state_.blas); }

  varlstm::cuda::State& state() { return state_; }
  varlstm::cuda::Stream stream() { return {&state_, nullptr}; }
  bool usable() const { return *varlstm::cuda::blas_problem(state_.blas) == 0; }

 private:
  varlstm::cuda::State state_;
};

class ForcedPolicy {
 public:
  explicit ForcedPolicy(varlstm::cuda::GemmPolicy policy) {
    setenv("VARLSTM_GEMM_POLICY", varlstm::cuda::gemm_policy_name(policy), 1);
  }
  ForcedPolicy(const ForcedPolicy&) = delete;
  ForcedPolicy& operator=(const ForcedPolicy&) = delete;
  ~ForcedPolicy() { unsetenv("VARLSTM_GEMM_POLICY"); }
};

}  // namespace varlstm_test
