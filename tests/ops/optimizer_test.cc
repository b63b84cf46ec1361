// SGD, Adam, AdamW, the gradient's norm and clipping, against the formulas of torch.optim element by element.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/buffer.h"
#include "support/compare.h"
#include "support/context.h"
#include "support/dtype.h"
#include "support/op_workspace.h"
#include "support/random.h"
#include "support/thread_counts.h"

namespace varlstm_test {
namespace {

struct SgdOptions {
  double lr = 0.1, momentum = 0, weight_decay = 0;
  int32_t nesterov = 0;
};

struct AdamOptions {
  double lr = 0.01, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  int32_t decoupled = 0;
};

// The parameters after one step for each of `gradients`.
template <class T>
std::vector<T> run_sgd(varlstm_ctx* context, const SgdOptions& o, const std::vector<T>& params,
                       const std::vector<std::vector<T>>& gradients) {
  Buffer<T> p(context, params), velocity(context, std::vector<T>(params.size(), T(0)));
  for (const std::vector<T>& gradient : gradients) {
    const Buffer<T> g(context, gradient);
    REQUIRE_OK(varlstm_sgd_step(context, kDType<T>, p.count(), o.lr, o.momentum, o.weight_decay, o.nesterov, p.data(),
                                g.data(), o.momentum > 0 ? velocity.data() : nullptr, nullptr));
  }
  return p.get();
}

template <class T>
std::vector<double> naive_sgd(const SgdOptions& o, const std::vector<T>& params,
                              const std::vector<std::vector<T>>& gradients) {
  std::vector<double> p(params.begin(), params.end()), velocity(params.size(), 0.0);
  for (const std::vector<T>& gradient : gradients) {
    for (size_t k = 0; k < p.size(); ++k) {
      const double g = gradient[k] + o.weight_decay * p[k];
      velocity[k] = o.momentum * velocity[k] + g;
      p[k] -= o.lr * (o.nesterov ? g + o.momentum * velocity[k] : velocity[k]);
    }
  }
  return p;
}

template <class T>
struct AdamState {
  std::vector<T> params, m, v;
  int64_t step = -1;
};

template <class T>
AdamState<T> run_adam(varlstm_ctx* context, const AdamOptions& o, const std::vector<T>& params,
                      const std::vector<std::vector<T>>& gradients) {
  const std::vector<T> zeros(params.size(), T(0));
  Buffer<T> p(context, params), m(context, zeros), v(context, zeros);
  Buffer<int64_t> step(context, std::vector<int64_t>{0});
  for (const std::vector<T>& gradient : gradients) {
    const Buffer<T> g(context, gradient);
    REQUIRE_OK(varlstm_adam_step(context, kDType<T>, p.count(), o.lr, o.beta1, o.beta2, o.eps, o.weight_decay,
                                 o.decoupled, p.data(), g.data(), m.data(), v.data(), step.data(), nullptr));
  }
  return {p.get(), m.get(), v.get(), step.get()[0]};
}

template <class T>
AdamState<double> naive_adam(const AdamOptions& o, const std::vector<T>& params,
                             const std::vector<std::vector<T>>& gradients) {
  AdamState<double> s = {std::vector<double>(params.begin(), params.end()), std::vector<double>(params.size(), 0.0),
                         std::vector<double>(params.size(), 0.0), 0};
  for (const std::vector<T>& gradient : gradients) {
    ++s.step;
    const double steps = static_cast<double>(s.step);
    for (size_t k = 0; k < params.size(); ++k) {
      double g = gradient[k];
      if (o.decoupled) {
        s.params[k] *= 1 - o.lr * o.weight_decay;
      } else {
        g += o.weight_decay * s.params[k];
      }
      s.m[k] = o.beta1 * s.m[k] + (1 - o.beta1) * g;
      s.v[k] = o.beta2 * s.v[k] + (1 - o.beta2) * g * g;
      const double m_hat = s.m[k] / (1 - std::pow(o.beta1, steps));
      const double v_hat = s.v[k] / (1 - std::pow(o.beta2, steps));
      s.params[k] -= o.lr * m_hat / (std::sqrt(v_hat) + o.eps);
    }
  }
  return s;
}

template <class T>
std::vector<std::vector<T>> random_gradients(Random& random, int64_t steps, int64_t count) {
  std::vector<std::vector<T>> gradients;
  for (int64_t step = 0; step < steps; ++step) gradients.push_back(random.vector<T>(count));
  return gradients;
}

// `max_norm` < 0: the norm alone. `gradient` is replaced by the clipped one.
template <class T>
double run_norm(varlstm_ctx* context, double max_norm, std::vector<T>& gradient, Fill fill = Fill::kNan) {
  Buffer<T> g(context, gradient);
  Buffer<double> norm(context, 1);
  ByteBuffer workspace = op_workspace<T>(context, VARLSTM_OP_GRAD_NORM, g.count(), 0, 0, fill);
  if (max_norm < 0) {
    REQUIRE_OK(varlstm_grad_norm(context, kDType<T>, g.count(), g.data(), norm.data(), workspace.data(),
                                 workspace.bytes(), nullptr));
  } else {
    REQUIRE_OK(varlstm_clip_grad_norm(context, kDType<T>, g.count(), max_norm, g.data(), norm.data(), workspace.data(),
                                      workspace.bytes(), nullptr));
  }
  gradient = g.get();
  return norm.get()[0];
}

constexpr int64_t kCounts[] = {0, 1, 7, 4096, 16385};

template <class T>
class Optimizer : public ::testing::Test {
 protected:
  static constexpr double kTolerance = std::is_same_v<T, float> ? 3e-6 : 1e-14;
};
using Floats = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Optimizer, Floats);

TYPED_TEST(Optimizer, SgdFollowsItsFormula) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(71);
  const SgdOptions options[] = {
      {0.1, 0, 0, 0}, {0.1, 0, 0.3, 0}, {0.1, 0.9, 0, 0}, {0.1, 0.9, 0.01, 0}, {0.05, 0.8, 0.02, 1}};
  for (const SgdOptions& o : options) {
    for (const int64_t count : kCounts) {
      SCOPED_TRACE(::testing::Message() << "momentum " << o.momentum << ", weight_decay " << o.weight_decay
                                        << ", nesterov " << o.nesterov << ", count " << count);
      const std::vector<T> params = random.vector<T>(count);
      const auto gradients = random_gradients<T>(random, 4, count);
      EXPECT_TRUE(all_close(run_sgd(context.get(), o, params, gradients), naive_sgd(o, params, gradients),
                            this->kTolerance, this->kTolerance));
    }
  }
}

TYPED_TEST(Optimizer, AdamFollowsItsFormula) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(72);
  const AdamOptions options[] = {{0.01, 0.9, 0.999, 1e-8, 0, 0},
                                 {0.01, 0.9, 0.999, 1e-8, 0.1, 0},
                                 {0.01, 0.9, 0.999, 1e-8, 0.1, 1},
                                 {0.002, 0.5, 0.9, 1e-3, 0, 1},
                                 {0.002, 0, 0, 1e-3, 0, 0}};
  for (const AdamOptions& o : options) {
    for (const int64_t count : kCounts) {
      SCOPED_TRACE(::testing::Message() << "beta1 " << o.beta1 << ", weight_decay " << o.weight_decay << ", decoupled "
                                        << o.decoupled << ", count " << count);
      const std::vector<T> params = random.vector<T>(count);
      const auto gradients = random_gradients<T>(random, 5, count);
      const AdamState<T> actual = run_adam(context.get(), o, params, gradients);
      const AdamState<double> expected = naive_adam(o, params, gradients);
      EXPECT_EQ(actual.step, 5);
      EXPECT_TRUE(all_close(actual.m, expected.m, this->kTolerance, this->kTolerance));
      EXPECT_TRUE(all_close(actual.v, expected.v, this->kTolerance, this->kTolerance));
      EXPECT_TRUE(all_close(actual.params, expected.params, this->kTolerance, this->kTolerance));
    }
  }
}

TYPED_TEST(Optimizer, StepsAreTheSameForAnyNumberOfThreads) {
  using T = TypeParam;
  Random random(73);
  const int64_t count = 200003;
  const std::vector<T> params = random.vector<T>(count);
  const auto gradients = random_gradients<T>(random, 2, count);
  const SgdOptions sgd = {0.1, 0.9, 0.01, 1};
  const AdamOptions adam = {0.01, 0.9, 0.999, 1e-8, 0.1, 1};
  const Context one = make_context(1);
  const std::vector<T> by_sgd = run_sgd(one.get(), sgd, params, gradients);
  const AdamState<T> by_adam = run_adam(one.get(), adam, params, gradients);
  std::vector<T> clipped = gradients[0];
  const double norm = run_norm(one.get(), 1.0, clipped);
  for (const int64_t threads : other_thread_counts()) {
    SCOPED_TRACE(threads);
    const Context context = make_context(threads);
    EXPECT_TRUE(bitwise_equal(run_sgd(context.get(), sgd, params, gradients), by_sgd));
    EXPECT_TRUE(bitwise_equal(run_adam(context.get(), adam, params, gradients).params, by_adam.params));
    std::vector<T> again = gradients[0];
    EXPECT_EQ(run_norm(context.get(), 1.0, again, Fill::kRandomBytes), norm);
    EXPECT_TRUE(bitwise_equal(again, clipped));
  }
}

TYPED_TEST(Optimizer, ThePlaceInTheBufferDoesNotMatter) {
  using T = TypeParam;
  const Context context = make_context();
  const int64_t count = 16384 + 5;  // the last elements of a piece take other code than the first
  const std::vector<T> params(static_cast<size_t>(count), T(0.3));
  const std::vector<std::vector<T>> gradients(3, std::vector<T>(static_cast<size_t>(count), T(0.7)));
  const std::vector<T> by_adam = run_adam(context.get(), AdamOptions(), params, gradients).params;
  EXPECT_TRUE(bitwise_equal(by_adam, std::vector<T>(by_adam.size(), by_adam[0])));
  const std::vector<T> by_sgd = run_sgd(context.get(), {0.1, 0.9, 0.01, 1}, params, gradients);
  EXPECT_TRUE(bitwise_equal(by_sgd, std::vector<T>(by_sgd.size(), by_sgd[0])));
}

TYPED_TEST(Optimizer, NormAndClippingByHand) {
  using T = TypeParam;
  const Context context = make_context();
  std::vector<T> gradient = {3, 0, -4};
  EXPECT_EQ(run_norm(context.get(), -1, gradient), 5);
  EXPECT_EQ(gradient, (std::vector<T>{3, 0, -4}));
  EXPECT_EQ(run_norm(context.get(), 6, gradient), 5);
  EXPECT_EQ(gradient, (std::vector<T>{3, 0, -4}));
  EXPECT_EQ(run_norm(context.get(), 2, gradient), 5);
  const double factor = 2 / (5 + 1e-6);
  EXPECT_TRUE(all_close(gradient, std::vector<double>{3 * factor, 0, -4 * factor}, this->kTolerance, 0));
  gradient = {3, 0, -4};
  EXPECT_EQ(run_norm(context.get(), 0, gradient), 5);
  EXPECT_EQ(gradient, (std::vector<T>{0, 0, 0}));
  gradient = {};
  EXPECT_EQ(run_norm(context.get(), 1, gradient), 0);
}

TYPED_TEST(Optimizer, NormEqualsTheSumOfSquares) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(74);
  for (const int64_t count : {1, 5, 8, 9, 4095, 4096, 4097, 70000}) {
    std::vector<T> gradient = random.vector<T>(count);
    long double sum = 0;
    for (const T g : gradient) sum += static_cast<long double>(g) * g;
    EXPECT_NEAR(run_norm(context.get(), -1, gradient), static_cast<double>(std::sqrt(sum)), 1e-12 * std::sqrt(sum));
  }
}

TYPED_TEST(Optimizer, ANormThatIsNotFinite) {
  using T = TypeParam;
  const Context context = make_context();
  const T nan = std::numeric_limits<T>::quiet_NaN(), inf = std::numeric_limits<T>::infinity();
  std::vector<T> gradient = {1, nan, 2};
  EXPECT_TRUE(std::isnan(run_norm(context.get(), 1, gradient)));
  EXPECT_TRUE(all_close(gradient, std::vector<T>{nan, nan, nan}, 0, 0));
  gradient = {1, inf, -2};
  EXPECT_TRUE(std::isinf(run_norm(context.get(), 1, gradient)));
  EXPECT_TRUE(all_close(gradient, std::vector<T>{0, nan, 0}, 0, 0));
}

TEST(GradNorm, OfFloatsDoesNotOverflow) {
  const Context context = make_context();
  std::vector<float> gradient = {3e30f, 4e30f};
  EXPECT_NEAR(run_norm(context.get(), -1, gradient), 5e30, 1e24);
}

}  // namespace
}  // namespace varlstm_test
