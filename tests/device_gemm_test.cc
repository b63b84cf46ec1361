// Matrix products and column sums of the CUDA back end against the chains of additions that their headers promise: each
// bit, for every dtype, policy, transposition and pitch.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/core/scalar_types.h"
#include "kernels/core/status.h"
#include "kernels/gemm/blas_library.h"
#include "kernels/gemm/column_sum.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/gemm_tuning.h"
#include "support/random.h"
#include "varlstm.h"

#if VARLSTM_EMULATED
#include "kernels/simt/runtime_control.h"
#endif

namespace varlstm::cuda {
namespace {

using varlstm_test::Random;

template <class T>
constexpr bool kIs16Bit = sizeof(T) == 2;
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class T>
constexpr DType kType = std::is_same_v<T, float>    ? DType::kF32
                        : std::is_same_v<T, double> ? DType::kF64
                        : std::is_same_v<T, Bf16>   ? DType::kBF16
                                                    : DType::kF16;

float widen(Bf16 value) {
  const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
  float wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}
float widen(F16 value) {
  _Float16 half;
  std::memcpy(&half, &value, sizeof half);
  return static_cast<float>(half);
}
template <class T>
T widen(T value) {
  return value;
}

// To nearest, ties to even; for finite values.
template <class T>
T narrow(Wide<T> value) {
  if constexpr (std::is_same_v<T, Bf16>) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return Bf16{static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
  } else if constexpr (std::is_same_v<T, F16>) {
    const _Float16 half = static_cast<_Float16>(value);
    F16 stored;
    std::memcpy(&stored, &half, sizeof stored);
    return stored;
  } else {
    return value;
  }
}

// Device memory with the values of a vector, `skip` elements behind its aligned start.
template <class T>
class OnDevice {
 public:
  explicit OnDevice(const std::vector<T>& values, size_t skip = 0) : count_(values.size()), skip_(skip) {
    EXPECT_EQ(cudaMalloc(&block_, (count_ + skip) * sizeof(T) + 1), cudaSuccess);
    if (count_ > 0) {
      EXPECT_EQ(cudaMemcpyAsync(data(), values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice, nullptr),
                cudaSuccess);
    }
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() { EXPECT_EQ(cudaFree(block_), cudaSuccess); }

  T* data() { return static_cast<T*>(block_) + skip_; }
  std::vector<T> get() {
    std::vector<T> values(count_);
    EXPECT_EQ(cudaMemcpyAsync(values.data(), data(), count_ * sizeof(T), cudaMemcpyDeviceToHost, nullptr), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
    return values;
  }

 private:
  void* block_ = nullptr;
  size_t count_, skip_;
};

template <class T>
std::vector<T> random_values(Random& random, int64_t count) {
  std::vector<T> values;
  for (const float value : random.vector<float>(count)) values.push_back(narrow<T>(value));
  return values;
}

template <class T>
std::vector<T> nans(int64_t count) {
  T nan;
  std::memset(&nan, 0xff, sizeof nan);
  return std::vector<T>(static_cast<size_t>(count), nan);
}

// Values as wide as they are added, so that == compares them: zeros of either sign are equal.
template <class T>
std::vector<Wide<T>> widened(const std::vector<T>& values) {
  std::vector<Wide<T>> wide;
  for (const T& value : values) wide.push_back(widen(value));
  return wide;
}

Stream default_stream() {
  static State state;
  return {&state, nullptr};
}

template <class TInput, class TOutput>
struct Types {
  using Input = TInput;
  using Output = TOutput;
};

template <class T>
class DeviceGemm : public ::testing::Test {};
using Combinations = ::testing::Types<Types<float, float>, Types<double, double>, Types<Bf16, Bf16>, Types<F16, F16>,
                                      Types<Bf16, float>, Types<F16, float>>;
TYPED_TEST_SUITE(DeviceGemm, Combinations);

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
    const auto tail = nans<T>(static_cast<int64_t>(a.size()) - counted() * lda);
    std::copy(tail.begin(), tail.end(), a.begin() + counted() * lda);
    chain = before;
    exact.assign(before.size(), NAN), terms.assign(before.size(), NAN);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n && is_written(i); ++j) compute(i, j);
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

// C after the product on the device, with operands `skip` elements behind an aligned address.
template <class T, class TC>
std::vector<TC> run_on_device(Stream stream, const Product<T, TC>& p, size_t skip) {
  OnDevice<T> a(p.a, skip), b(p.b, skip), bias(p.bias, skip), bias2(p.bias2, skip);
  OnDevice<TC> c(p.before, skip);
  OnDevice<int64_t> rows({p.rows});
  OnDevice<char> workspace(std::vector<char>(static_cast<size_t>(gemm_workspace_bytes(p.m, p.n))), skip);
  GemmArgs args{};
  args.dtype = kType<T>, args.dtype_c = kType<TC>;
  args.m = p.m, args.n = p.n, args.k = p.k;
  args.a = a.data(), args.lda = p.lda, args.transpose_a = p.trans_a;
  args.b = b.data(), args.ldb = p.ldb, args.transpose_b = p.trans_b;
  args.c = c.data(), args.ldc = p.ldc, args.accumulate = p.accumulate;
  args.bias = p.with_bias ? bias.data() : nullptr;
  args.bias2 = p.with_bias2 ? bias2.data() : nullptr;
  args.rows = p.rows < 0 ? nullptr : rows.data();
  args.workspace = workspace.data(), args.workspace_bytes = gemm_workspace_bytes(p.m, p.n);
  EXPECT_EQ(gemm(stream, args), VARLSTM_OK) << take_failure_text();
  return c.get();
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
    EXPECT_EQ(ask_device_facts(0, &state_.facts), VARLSTM_OK);
    EXPECT_GT(state_.facts.capability, 0)
        << "without it the tensor policy is not legal, and a forced one is passed over";
    state_.blas = open_blas();
  }
  WithBlas(const WithBlas&) = delete;
  WithBlas& operator=(const WithBlas&) = delete;
  ~WithBlas() { close_blas(state_.blas); }

  State& state() { return state_; }
  Stream stream() { return {&state_, nullptr}; }
  bool usable() const { return *blas_problem(state_.blas) == 0; }

 private:
  State state_;
};

class ForcedPolicy {
 public:
  explicit ForcedPolicy(GemmPolicy policy) { setenv("VARLSTM_GEMM_POLICY", gemm_policy_name(policy), 1); }
  ForcedPolicy(const ForcedPolicy&) = delete;
  ForcedPolicy& operator=(const ForcedPolicy&) = delete;
  ~ForcedPolicy() { unsetenv("VARLSTM_GEMM_POLICY"); }
};

// Half an ulp of TF32.
constexpr double kTf32 = 1.0 / 2048;

// One product of a random shape under every policy that is there, of F32 with either math.
template <class T, class TC>
void check_product(Random& random, int64_t m, int64_t n, int64_t k, int64_t rows) {
  const Product<T, TC> product(random, m, n, k, rows);
  const size_t skip = static_cast<size_t>(random.integer(0, 3));
  WithBlas context;
  for (const int64_t math : {VARLSTM_MATH_F32, VARLSTM_MATH_TF32}) {
    context.state().math = math;
    for (const GemmPolicy policy : kGemmPolicies) {
      if (policy == GemmPolicy::kCublas && !context.usable()) continue;
      SCOPED_TRACE(std::string(gemm_policy_name(policy)) + ", math " + std::to_string(math));
      const ForcedPolicy forced(policy);
      const std::vector<TC> result = run_on_device(context.stream(), product, skip);
      if (policy == GemmPolicy::kWide || policy == GemmPolicy::kFlat)
        expect_chain(product, result);
      else
        expect_close(product, result, std::is_same_v<T, float> && math == VARLSTM_MATH_TF32 ? kTf32 : 0);
    }
    if (!std::is_same_v<T, float>) break;
  }
}

TYPED_TEST(DeviceGemm, IsTheChainOfItsHeader) {
  Random random(71);
  for (int round = 0; round < 24; ++round) {
    const bool large = round % 8 == 0;
    const int64_t m = random.integer(0, large ? 140 : 40), n = random.integer(0, large ? 130 : 40);
    const int64_t k = round % 5 == 1 ? 0 : random.integer(1, 70);
    check_product<typename TypeParam::Input, typename TypeParam::Output>(random, m, n, k, -1);
  }
}

TYPED_TEST(DeviceGemm, CountsTheRowsThatOnlyTheDeviceKnows) {
  Random random(72);
  for (int round = 0; round < 16; ++round) {
    const int64_t m = random.integer(1, 80), n = random.integer(1, 40), k = m;  // rows of A either way
    check_product<typename TypeParam::Input, typename TypeParam::Output>(random, m, n, k, random.integer(0, m));
  }
}

// Rows `first` to `first + m` of a product, with the alignment that they happen to have.
template <class T, class TC>
Product<T, TC> some_rows(const Product<T, TC>& whole, int64_t first, int64_t m) {
  Product<T, TC> part = whole;
  part.m = m;
  part.a.assign(whole.a.begin() + first * whole.lda, whole.a.begin() + (first + m) * whole.lda);
  part.before.assign(whole.before.begin() + first * whole.ldc, whole.before.begin() + (first + m) * whole.ldc);
  return part;
}

// What the context keeps for tokens: a row's bits, whatever rows stand beside it.
TYPED_TEST(DeviceGemm, RowsDoNotDependOnEachOther) {
  using T = typename TypeParam::Input;
  using TC = typename TypeParam::Output;
  Random random(76);
  WithBlas context;
  context.state().math = VARLSTM_MATH_TF32;
  for (int round = 0; round < 6; ++round) {
    Product<T, TC> whole(random, 90, random.integer(1, 80), random.integer(1, 100), -1);
    whole.trans_a = false, whole.lda = whole.k + random.integer(0, 3);
    whole.fill(random);
    const std::vector<TC> expected = run_on_device(context.stream(), whole, 0);
    for (const int64_t m : {1, 15, 17, 64}) {
      const int64_t first = random.integer(0, whole.m - m);
      const std::vector<TC> rows = run_on_device(context.stream(), some_rows(whole, first, m), round % 3);
      EXPECT_EQ(std::memcmp(rows.data(), expected.data() + first * whole.ldc, rows.size() * sizeof(TC)), 0)
          << m << " rows from " << first << " of " << whole.shape();
    }
  }
}

// Large enough for every stage, and aligned so that every word comes by cp.async.
TYPED_TEST(DeviceGemm, AlignedOperandsGiveTheBitsOfOthers) {
  using T = typename TypeParam::Input;
  using TC = typename TypeParam::Output;
  Random random(77);
  State state;
  state.math = VARLSTM_MATH_TF32;
  for (int transposes = 0; transposes < 4; ++transposes) {
    Product<T, TC> product(random, 72, 136, 104, -1);
    product.trans_a = transposes % 2 == 1, product.trans_b = transposes / 2 == 1;
    product.lda = product.trans_a ? 72 : 104, product.ldb = product.trans_b ? 104 : 136;
    product.fill(random);
    const std::vector<TC> aligned = run_on_device(Stream{&state, nullptr}, product, 0);
    expect_close(product, aligned, std::is_same_v<T, float> ? kTf32 : 0);
    const std::vector<TC> others = run_on_device(Stream{&state, nullptr}, product, 1);
    EXPECT_EQ(std::memcmp(aligned.data(), others.data(), aligned.size() * sizeof(TC)), 0) << product.shape();
  }
}

// A product that every policy could run, of tokens or of what is summed over them.
GemmShape shape_for(DType dtype, bool rows_are_tokens) {
  GemmShape shape{};
  shape.dtype = shape.dtype_c = dtype;
  shape.m = 300, shape.n = 200, shape.k = 100, shape.longest_line = 300;
  shape.rows_are_tokens = rows_are_tokens;
  shape.workspace_bytes = gemm_workspace_bytes(300, 200);
  return shape;
}

TEST(GemmPolicies, TokensRunInCublasOnlyWhereTheyMayDependOnEachOther) {
  for (const DType dtype : {DType::kF32, DType::kF64, DType::kBF16, DType::kF16}) {
    for (const bool tokens : {false, true}) {
      const GemmShape shape = shape_for(dtype, tokens);
      EXPECT_EQ(select_gemm(shape, {false, false, true, true}), GemmPolicy::kCublas);
      EXPECT_EQ(select_gemm(shape, {true, false, true, true}) == GemmPolicy::kCublas, !tokens);
      EXPECT_NE(select_gemm(shape, {false, false, true, false}), GemmPolicy::kCublas);
    }
  }
}

TEST(GemmPolicies, TensorCoresTakeWhatTheyMayWhateverTheShape) {
  for (const int64_t m : {1, 16, 17, 1000}) {
    const auto select = [m](DType dtype, bool tf32, bool tensor_cores) {
      GemmShape shape = shape_for(dtype, true);
      shape.m = m;
      return select_gemm(shape, {true, tf32, tensor_cores, true});
    };
    for (const DType dtype : {DType::kBF16, DType::kF16}) {
      EXPECT_EQ(select(dtype, false, true), GemmPolicy::kTensor);
      EXPECT_NE(select(dtype, true, false), GemmPolicy::kTensor);
    }
    EXPECT_EQ(select(DType::kF32, true, true), GemmPolicy::kTensor);
    EXPECT_NE(select(DType::kF32, false, true), GemmPolicy::kTensor);
    EXPECT_NE(select(DType::kF32, true, false), GemmPolicy::kTensor);
    EXPECT_NE(select(DType::kF64, true, true), GemmPolicy::kTensor);
  }
}

TEST(GemmPolicies, CublasGetsNothingThatItCannotDo) {
  const auto is_refused = [](const auto& change) {
    GemmShape shape = shape_for(DType::kBF16, false);
    change(shape);
    return !is_legal(GemmPolicy::kCublas, shape, {false, false, true, true});
  };
  EXPECT_FALSE(is_refused([](GemmShape&) {}));
  EXPECT_FALSE(is_refused([](GemmShape& s) { s.biases = 1; }));
  EXPECT_FALSE(is_refused([](GemmShape& s) { s.biases = 2, s.dtype_c = DType::kF32; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.biases = 2; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.biases = 1, s.accumulate = true; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.rows_on_device = true; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.workspace_bytes = 0; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.k = 0; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.k = INT64_C(1) << 31; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.longest_line = INT64_C(1) << 31; }));
}

TEST(GemmPolicies, WorkspaceGrowsWithTheProductUpToItsLimit) {
  EXPECT_EQ(gemm_workspace_bytes(0, 0), 256);
  EXPECT_EQ(gemm_workspace_bytes(5, 7), 16 * 35 + 256);
  EXPECT_EQ(gemm_workspace_bytes(INT64_C(1) << 40, INT64_C(1) << 40), (32 << 20) + 256);
}

TEST(GemmPolicies, ForcedCublasThatIsMissingIsNamed) {
  const ForcedPolicy forced(GemmPolicy::kCublas);
  char unused = 0;
  GemmArgs args{};
  args.dtype = args.dtype_c = DType::kF32;
  args.m = args.n = args.k = args.lda = args.ldb = args.ldc = 1;
  args.a = args.b = args.c = &unused;
  EXPECT_EQ(gemm(default_stream(), args), VARLSTM_ERROR_UNSUPPORTED);
  EXPECT_STREQ(take_failure_text(),
               "VARLSTM_GEMM_POLICY = cublas, but there is no cuBLAS: the context opened no cuBLAS");
}

#if VARLSTM_EMULATED

// The kernels, copies and calls of cuBLAS that a product enqueues.
std::vector<std::string> enqueued_by(Stream stream, const Product<float, float>& product) {
  simt::record_enqueued_work(true);
  run_on_device(stream, product, 0);
  std::vector<std::string> names;
  for (const simt::EnqueuedWork& work : simt::enqueued_work())
    if (work.name != "cudaMemcpyAsync") names.push_back(work.name);
  simt::record_enqueued_work(false);
  return names;
}

TEST(GemmPolicies, ContextDecidesWhoRunsAProduct) {
  Random random(74);
  Product<float, float> product(random, 9, 8, 7, -1);
  product.trans_a = false, product.trans_b = true, product.accumulate = product.with_bias2 = false;
  product.with_bias = true;
  product.lda = product.ldb = 7, product.ldc = 8;
  product.fill(random);
  using Names = std::vector<std::string>;
  WithBlas context;
  EXPECT_EQ(enqueued_by(context.stream(), product), Names{"gemm"});
  context.state().batch_invariant = 0;
  EXPECT_EQ(enqueued_by(context.stream(), product), (Names{"bias_rows", "cublasGemmEx"}));
  product.trans_a = true, product.lda = 9, product.with_bias = false;
  product.fill(random);
  context.state().batch_invariant = 1;
  EXPECT_EQ(enqueued_by(context.stream(), product), Names{"cublasGemmEx"});

  setenv("VARLSTM_EMULATOR_CUBLAS", "missing", 1);
  WithBlas without;
  unsetenv("VARLSTM_EMULATOR_CUBLAS");
  EXPECT_FALSE(without.usable());
  EXPECT_EQ(enqueued_by(without.stream(), product), Names{"gemm"});
}

TEST(GemmPolicies, CallOfCublasThatFailsIsNamed) {
  Random random(75);
  WithBlas context;
  OnDevice<float> a(random_values<float>(random, 4)), c(random_values<float>(random, 4));
  OnDevice<char> workspace(std::vector<char>(static_cast<size_t>(gemm_workspace_bytes(2, 2))));
  GemmArgs args{};
  args.dtype = args.dtype_c = DType::kF32;
  args.m = args.n = args.k = args.lda = args.ldb = args.ldc = 2;
  args.a = args.b = a.data(), args.c = c.data(), args.transpose_a = true;
  args.workspace = workspace.data(), args.workspace_bytes = gemm_workspace_bytes(2, 2);
  const std::vector<float> before = c.get();
  simt::set_runtime_fault({1, cudaErrorUnknown, false});
  EXPECT_EQ(gemm(context.stream(), args), VARLSTM_ERROR_BACKEND);
  simt::set_runtime_fault({});
  EXPECT_EQ(std::string(take_failure_text()).rfind("cublasGemmEx failed with cudaErrorUnknown", 0), 0u);
  EXPECT_EQ(c.get(), before);
}

#endif

template <class T>
class ColumnSum : public ::testing::Test {};
TYPED_TEST_SUITE(ColumnSum, Combinations);

// Eight lanes, each its rows in order, then the lanes in order, all in double: as the kernel's comment says.
TYPED_TEST(ColumnSum, AddsTheRowsThatCount) {
  using T = typename TypeParam::Input;
  using Out = typename TypeParam::Output;
  Random random(73);
  for (int round = 0; round < 20; ++round) {
    const int64_t m = random.integer(0, 90), n = random.integer(1, 70), ldx = n + random.integer(0, 3);
    const bool on_device = random.coin();
    const int64_t counted = on_device ? random.integer(0, m) : m;
    std::vector<T> x = random_values<T>(random, m * ldx);
    const auto tail = nans<T>((m - counted) * ldx);
    std::copy(tail.begin(), tail.end(), x.begin() + counted * ldx);
    const auto before = random_values<Out>(random, n), before2 = random_values<Out>(random, n);
    std::vector<Out> expected = before, expected2 = before2;
    for (int64_t j = 0; j < n; ++j) {
      double total = 0;
      for (int64_t lane = 0; lane < 8; ++lane) {
        double sum = 0;
        for (int64_t i = lane; i < counted; i += 8) sum += static_cast<double>(widen(x[i * ldx + j]));
        total += sum;
      }
      expected[j] = narrow<Out>(static_cast<Wide<Out>>(static_cast<double>(widen(before[j])) + total));
      expected2[j] = narrow<Out>(static_cast<Wide<Out>>(static_cast<double>(widen(before2[j])) + total));
    }
    OnDevice<T> x_there(x, 1);
    OnDevice<Out> out(before), out2(before2);
    OnDevice<int64_t> rows({counted});
    ASSERT_EQ(add_column_sums(default_stream(), kType<T>, kType<Out>, m, n, x_there.data(), ldx,
                              on_device ? rows.data() : nullptr, out.data(), out2.data()),
              0);
    EXPECT_EQ(widened(out.get()), widened(expected)) << "m " << m << " n " << n << " counted " << counted;
    EXPECT_EQ(widened(out2.get()), widened(expected2));
  }
}

}  // namespace
}  // namespace varlstm::cuda
