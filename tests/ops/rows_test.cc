// Rows of a table: their gradients have the bits of the whole table's gradient, and their steps, with those for which
// they waited, the bits of steps over the whole table.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "support/buffer.h"
#include "support/compare.h"
#include "support/context.h"
#include "support/dtype.h"
#include "support/lengths.h"
#include "support/op_workspace.h"
#include "support/random.h"
#include "support/thread_counts.h"

namespace varlstm_test {
namespace {

struct Sizes {
  int64_t vocab = 12, features = 5;

  int64_t elements() const { return vocab * features; }
};

template <class T>
struct RowGradient {
  std::vector<int64_t> row_ids;
  std::vector<T> drows;
};

template <class T>
RowGradient<T> backward_rows(varlstm_ctx* context, const Sizes& sizes, const std::vector<int64_t>& ids,
                             int64_t padding_idx, const std::vector<T>& gradient, const varlstm_batch* batch = nullptr,
                             Fill fill = Fill::kNan) {
  const int64_t rows = static_cast<int64_t>(ids.size());
  const Buffer<int64_t> words(context, ids);
  const Buffer<T> dy(context, gradient);
  Buffer<int64_t> row_ids(context, rows);
  Buffer<T> drows(context, rows * sizes.features);
  ByteBuffer work = op_workspace<T>(context, VARLSTM_OP_EMBEDDING_BACKWARD, rows, sizes.vocab, sizes.features, fill);
  REQUIRE_OK(varlstm_embedding_backward_rows(context, batch, kDType<T>, rows, sizes.vocab, sizes.features, padding_idx,
                                             words.data(), dy.data(), row_ids.data(), drows.data(), work.data(),
                                             work.bytes(), nullptr));
  return {row_ids.get(), drows.get()};
}

// The gradient of the whole table, which is zero before.
template <class T>
std::vector<T> backward_table(varlstm_ctx* context, const Sizes& sizes, const std::vector<int64_t>& ids,
                              int64_t padding_idx, const std::vector<T>& gradient,
                              const varlstm_batch* batch = nullptr) {
  const int64_t rows = static_cast<int64_t>(ids.size());
  const Buffer<int64_t> words(context, ids);
  const Buffer<T> dy(context, gradient);
  Buffer<T> dtable(context, std::vector<T>(static_cast<size_t>(sizes.elements())));
  ByteBuffer work = op_workspace<T>(context, VARLSTM_OP_EMBEDDING_BACKWARD, rows, sizes.vocab, sizes.features);
  REQUIRE_OK(varlstm_embedding_backward(context, batch, kDType<T>, rows, sizes.vocab, sizes.features, padding_idx,
                                        words.data(), dy.data(), dtable.data(), work.data(), work.bytes(), nullptr));
  return dtable.get();
}

// dtable's rows at the first row of each id that has a gradient; nothing at the others.
template <class T>
RowGradient<T> rows_of(const Sizes& sizes, const std::vector<T>& dtable, const std::vector<int64_t>& ids,
                       int64_t padding_idx) {
  RowGradient<T> rows = {std::vector<int64_t>(ids.size(), -1), std::vector<T>(ids.size() * sizes.features)};
  std::set<int64_t> seen = {padding_idx};
  for (size_t n = 0; n < ids.size(); ++n) {
    const int64_t id = ids[n], f = sizes.features;
    if (id < 0 || id >= sizes.vocab || !seen.insert(id).second) continue;
    rows.row_ids[n] = id;
    std::copy_n(dtable.begin() + id * f, f, rows.drows.begin() + static_cast<int64_t>(n) * f);
  }
  return rows;
}

template <class T>
class Rows : public ::testing::Test {};
using Floats = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Rows, Floats);

TYPED_TEST(Rows, TheGradientIsThatOfTheTable) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(31);
  for (const int64_t rows : {0, 1, 7, 300, 1500}) {
    for (const int64_t vocab : {1, 3, 256, 70000}) {
      SCOPED_TRACE(std::to_string(rows) + " rows, vocab " + std::to_string(vocab));
      const Sizes sizes = {vocab, random.integer(1, 40)};
      const std::vector<int64_t> ids = random.integers(rows, -1, vocab);  // bad ids among them
      const int64_t padding_idx = random.integer(-1, std::min<int64_t>(vocab - 1, 5));
      const std::vector<T> dy = random.vector<T>(rows * sizes.features);
      const std::vector<T> dtable = backward_table(context.get(), sizes, ids, padding_idx, dy);
      const RowGradient<T> expected = rows_of(sizes, dtable, ids, padding_idx);
      for (const Fill fill : {Fill::kNan, Fill::kRandomBytes}) {
        const RowGradient<T> actual = backward_rows(context.get(), sizes, ids, padding_idx, dy, nullptr, fill);
        EXPECT_EQ(actual.row_ids, expected.row_ids);
        EXPECT_TRUE(bitwise_equal(actual.drows, expected.drows));
      }
    }
  }
  int64_t bits = 0;
  ASSERT_OK(varlstm_ctx_device_status(context.get(), 1, &bits, nullptr, nullptr));
  EXPECT_EQ(bits, VARLSTM_DEVICE_STATUS_TOKEN_ID);
}

TYPED_TEST(Rows, TheGradientCountsTheBatchsRowsAlone) {
  using T = TypeParam;
  const Context context = make_context();
  const Batch batch = make_batch(context.get(), {2, 0, 1}, {3, 2, 6});
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const RowGradient<T> actual =
      backward_rows<T>(context.get(), {4, 1}, {3, 1, 3, 0, -5, 2}, -1, {1, 2, 4, nan, nan, nan}, batch.get());
  EXPECT_EQ(actual.row_ids, (std::vector<int64_t>{3, 1, -1, -1, -1, -1}));
  EXPECT_EQ(actual.drows, (std::vector<T>{5, 2, 0, 0, 0, 0}));
}

struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  int32_t decoupled = 0;
};

// One step's learning rate and gradient.
template <class T>
struct Step {
  double lr;
  RowGradient<T> gradient;
};

template <class T>
struct AdamState {
  std::vector<T> table, m, v;
};

template <class T>
::testing::AssertionResult same_bits(const AdamState<T>& a, const AdamState<T>& b) {
  if (auto result = bitwise_equal(a.m, b.m); !result) return result << " of m";
  if (auto result = bitwise_equal(a.v, b.v); !result) return result << " of v";
  return bitwise_equal(a.table, b.table);
}

// Adam over the whole table.
template <class T>
class WholeTable {
 public:
  WholeTable(varlstm_ctx* context, const Sizes& sizes, const AdamOptions& o, const AdamState<T>& before)
      : context_(context),
        sizes_(sizes),
        o_(o),
        table_(context, before.table),
        m_(context, before.m),
        v_(context, before.v),
        gradient_(context, sizes.elements()),
        step_(context, std::vector<int64_t>{0}) {}

  void run(const Step<T>& step) {
    std::vector<T> gradient(static_cast<size_t>(sizes_.elements()));
    for (size_t n = 0; n < step.gradient.row_ids.size(); ++n) {
      const int64_t id = step.gradient.row_ids[n], f = sizes_.features;
      if (id >= 0 && id < sizes_.vocab)
        std::copy_n(step.gradient.drows.begin() + static_cast<int64_t>(n) * f, f, gradient.begin() + id * f);
    }
    gradient_.set(gradient);
    REQUIRE_OK(varlstm_adam_step(context_, kDType<T>, sizes_.elements(), step.lr, o_.beta1, o_.beta2, o_.eps,
                                 o_.weight_decay, o_.decoupled, table_.data(), gradient_.data(), m_.data(), v_.data(),
                                 step_.data(), nullptr));
  }
  AdamState<T> state() const { return {table_.get(), m_.get(), v_.get()}; }

 private:
  varlstm_ctx* context_;
  Sizes sizes_;
  AdamOptions o_;
  Buffer<T> table_, m_, v_, gradient_;
  Buffer<int64_t> step_;
};

// Adam over the rows that have a gradient.
template <class T>
class TouchedRows {
 public:
  TouchedRows(varlstm_ctx* context, const Sizes& sizes, const AdamOptions& o, const AdamState<T>& before,
              int64_t history_steps)
      : last_steps(context, std::vector<int64_t>(static_cast<size_t>(sizes.vocab))),
        step(context, std::vector<int64_t>{0}),
        context_(context),
        sizes_(sizes),
        o_(o),
        table_(context, before.table),
        m_(context, before.m),
        v_(context, before.v),
        history_steps_(history_steps),
        history_(context, history_steps * 3) {}

  int32_t run(const Step<T>& s) {
    const int64_t rows = static_cast<int64_t>(s.gradient.row_ids.size());
    const Buffer<int64_t> row_ids(context_, s.gradient.row_ids);
    const Buffer<T> drows(context_, s.gradient.drows);
    return varlstm_adam_rows_step(context_, kDType<T>, rows, sizes_.vocab, sizes_.features, s.lr, o_.beta1, o_.beta2,
                                  o_.eps, o_.weight_decay, o_.decoupled, row_ids.data(), drows.data(), table_.data(),
                                  m_.data(), v_.data(), last_steps.data(), history_.data(), history_steps_, step.data(),
                                  nullptr);
  }
  int32_t catch_up(const std::vector<int64_t>& ids) {
    const Buffer<int64_t> words(context_, ids);
    return catch_up(words.data(), words.count());
  }
  int32_t catch_up() { return catch_up(nullptr, 7); }

  AdamState<T> state() const { return {table_.get(), m_.get(), v_.get()}; }

  Buffer<int64_t> last_steps, step;

 private:
  int32_t catch_up(const int64_t* ids, int64_t rows) {
    return varlstm_adam_rows_catch_up(context_, kDType<T>, rows, sizes_.vocab, sizes_.features, o_.beta1, o_.beta2,
                                      o_.eps, o_.weight_decay, o_.decoupled, ids, table_.data(), m_.data(), v_.data(),
                                      last_steps.data(), history_.data(), history_steps_, step.data(), nullptr);
  }

  varlstm_ctx* context_;
  Sizes sizes_;
  AdamOptions o_;
  Buffer<T> table_, m_, v_;
  int64_t history_steps_;
  Buffer<T> history_;
};

template <class T>
AdamState<T> random_state(Random& random, const Sizes& sizes) {
  const std::vector<T> zeros(static_cast<size_t>(sizes.elements()));
  return {random.vector<T>(sizes.elements()), zeros, zeros};
}

// `most` rows at most have a gradient; some of the list are none.
template <class T>
RowGradient<T> random_gradient(Random& random, const Sizes& sizes, int64_t most) {
  std::vector<int64_t> row_ids = random.permutation(sizes.vocab);
  row_ids.resize(static_cast<size_t>(random.integer(0, std::min(most, sizes.vocab))));
  if (random.coin()) row_ids.push_back(-1);
  if (random.coin()) row_ids.push_back(sizes.vocab);
  const int64_t elements = static_cast<int64_t>(row_ids.size()) * sizes.features;
  return {row_ids, random.vector<T>(elements, -0.02, 0.02)};
}

const AdamOptions kOptions[] = {{},
                                {0.9, 0.999, 1e-8, 0.1, 0},
                                {0.9, 0.999, 1e-8, 0.1, 1},
                                {0.5, 0.9, 1e-3, 0, 1},
                                {0.95, 0.8, 0, 0, 0},  // v falls faster than m; without eps
                                {0, 0, 1e-3, 0, 0}};

// Before each step the rows that it touches are caught up, as a forward pass wants them.
TYPED_TEST(Rows, AdamHasTheBitsOfTheWholeTable) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(32);
  for (const AdamOptions& o : kOptions) {
    for (const int64_t features : {1, 5, 33}) {
      SCOPED_TRACE("beta1 " + std::to_string(o.beta1) + ", weight_decay " + std::to_string(o.weight_decay) +
                   ", decoupled " + std::to_string(o.decoupled) + ", features " + std::to_string(features));
      const Sizes sizes = {12, features};
      const AdamState<T> before = random_state<T>(random, sizes);
      WholeTable<T> whole(context.get(), sizes, o, before);
      TouchedRows<T> rows(context.get(), sizes, o, before, 8);
      for (int64_t t = 0; t < 40; ++t) {
        // A schedule that rises, falls and stands still at 0.
        const double lr = t < 10 ? 0.002 * static_cast<double>(t) : t % 7 == 0 ? 0 : 0.02 / static_cast<double>(t);
        const Step<T> step = {lr, random_gradient<T>(random, sizes, 3)};
        std::vector<int64_t> words = step.gradient.row_ids;
        words.insert(words.end(), step.gradient.row_ids.begin(), step.gradient.row_ids.end());
        ASSERT_OK(rows.catch_up(words));
        const AdamState<T> now = rows.state(), expected = whole.state();
        for (const int64_t id : step.gradient.row_ids) {
          for (int64_t k = id * features; id >= 0 && id < sizes.vocab && k < (id + 1) * features; ++k)
            ASSERT_EQ(std::memcmp(&now.table[k], &expected.table[k], sizeof(T)), 0) << "step " << t << ", row " << id;
        }
        whole.run(step);
        ASSERT_OK(rows.run(step));
        if (t % 8 == 7 || t == 13) {  // the history has 8 steps
          ASSERT_OK(rows.catch_up());
          ASSERT_TRUE(same_bits(rows.state(), whole.state())) << "step " << t;
        }
      }
      EXPECT_EQ(rows.step.get()[0], 40);
      EXPECT_EQ(rows.last_steps.get(), std::vector<int64_t>(static_cast<size_t>(sizes.vocab), 40));
    }
  }
}

// Rows that wait so long that their parameters stand still long before, from gradients and parameters of any size.
TYPED_TEST(Rows, WaitForLong) {
  using T = TypeParam;
  using Limits = std::numeric_limits<T>;
  const Context context = make_context();
  Random random(33);
  const Sizes sizes = {8, 6};
  AdamState<T> before = random_state<T>(random, sizes);
  const T large[] = {0, -0.0, 1, -3e-5, 1e9, Limits::min(), Limits::denorm_min(), Limits::max(), 1 / Limits::max()};
  for (size_t k = 0; k < 24; ++k) before.table[k] = large[k % 9];
  before.table[25] = Limits::infinity();
  before.table[32] = Limits::quiet_NaN();
  before.m[41] = 1e-20, before.v[42] = 1e-20, before.v[43] = Limits::infinity();
  WholeTable<T> whole(context.get(), sizes, {}, before);
  TouchedRows<T> rows(context.get(), sizes, {}, before, 1200);
  const auto step = [&](double lr, const RowGradient<T>& gradient) {
    whole.run({lr, gradient});
    ASSERT_OK(rows.run({lr, gradient}));
  };
  const auto idle = [&](int64_t steps, double lr) {
    for (int64_t t = 0; t < steps; ++t) step(lr, {});
  };
  idle(20, 0.01);  // before any gradient
  ASSERT_OK(rows.catch_up());
  ASSERT_TRUE(same_bits(rows.state(), whole.state()));
  for (int64_t t = 0; t < 5; ++t) step(0.01, random_gradient<T>(random, sizes, 6));
  idle(1000, 0.002);
  step(0.002, {{0, 6}, random.vector<T>(2 * sizes.features, -1e-6, 1e-6)});
  ASSERT_OK(rows.catch_up());
  ASSERT_TRUE(same_bits(rows.state(), whole.state()));
  step(0.002, {{1, 2, 5}, random.vector<T>(3 * sizes.features, -1e3, 1e3)});
  idle(150, 1e-5);
  idle(150, 3.0);  // moves what stood still
  idle(300, 0);
  idle(100, 0.1);
  ASSERT_OK(rows.catch_up());
  EXPECT_TRUE(same_bits(rows.state(), whole.state()));
}

TYPED_TEST(Rows, AreTheSameForAnyNumberOfThreads) {
  using T = TypeParam;
  Random random(34);
  const Sizes sizes = {400, 20};
  const AdamState<T> before = random_state<T>(random, sizes);
  std::vector<Step<T>> steps;
  for (int64_t t = 0; t < 6; ++t) steps.push_back({0.01, random_gradient<T>(random, sizes, 60)});
  const std::vector<int64_t> ids = random.integers(900, 0, 399);
  const std::vector<T> dy = random.vector<T>(900 * sizes.features);
  const auto run = [&](int64_t threads, AdamState<T>* state, RowGradient<T>* gradient) {
    const Context context = make_context(threads);
    *gradient = backward_rows(context.get(), sizes, ids, 3, dy);
    TouchedRows<T> rows(context.get(), sizes, {}, before, 6);
    for (const Step<T>& step : steps) ASSERT_OK(rows.run(step));
    ASSERT_OK(rows.catch_up(ids));
    *state = rows.state();
  };
  AdamState<T> expected, actual;
  RowGradient<T> expected_gradient, gradient;
  run(1, &expected, &expected_gradient);
  for (const int64_t threads : other_thread_counts()) {
    run(threads, &actual, &gradient);
    EXPECT_TRUE(same_bits(actual, expected)) << threads << " threads";
    EXPECT_EQ(gradient.row_ids, expected_gradient.row_ids) << threads << " threads";
    EXPECT_TRUE(bitwise_equal(gradient.drows, expected_gradient.drows)) << threads << " threads";
  }
}

TYPED_TEST(Rows, SgdHasTheBitsOfTheWholeTable) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(35);
  const Sizes sizes = {50, 37};
  const RowGradient<T> gradient = random_gradient<T>(random, sizes, 20);
  const std::vector<T> before = random.vector<T>(sizes.elements());
  Buffer<T> table(context.get(), before), whole(context.get(), before);
  std::vector<T> dense(static_cast<size_t>(sizes.elements()));
  for (size_t n = 0; n < gradient.row_ids.size(); ++n) {
    const int64_t id = gradient.row_ids[n], f = sizes.features;
    if (id >= 0 && id < sizes.vocab)
      std::copy_n(gradient.drows.begin() + static_cast<int64_t>(n) * f, f, dense.begin() + id * f);
  }
  const Buffer<int64_t> row_ids(context.get(), gradient.row_ids);
  const Buffer<T> drows(context.get(), gradient.drows), dtable(context.get(), dense);
  ASSERT_OK(varlstm_sgd_rows_step(context.get(), kDType<T>, row_ids.count(), sizes.vocab, sizes.features, 0.3,
                                  row_ids.data(), drows.data(), table.data(), nullptr));
  ASSERT_OK(varlstm_sgd_step(context.get(), kDType<T>, sizes.elements(), 0.3, 0, 0, 0, whole.data(), dtable.data(),
                             nullptr, nullptr));
  EXPECT_TRUE(bitwise_equal(table.get(), whole.get()));
}

// The norm of the rows is that of the table but for the order of its additions, and a float's clipping has no digit for
// the difference.
TEST(RowsOfFloats, AreClippedAsTheTable) {
  const Context context = make_context();
  Random random(36);
  const Sizes sizes = {3000, 10};
  const std::vector<int64_t> ids = random.integers(200, 0, 2999);
  const std::vector<float> dy = random.vector<float>(200 * sizes.features);
  const RowGradient<float> gradient = backward_rows(context.get(), sizes, ids, -1, dy);
  const auto clipped = [&](const std::vector<float>& values, double* norm) {
    Buffer<float> grads(context.get(), values);
    Buffer<double> of_all(context.get(), 1);
    ByteBuffer work = op_workspace<float>(context.get(), VARLSTM_OP_GRAD_NORM, grads.count(), 0, 0);
    REQUIRE_OK(varlstm_clip_grad_norm(context.get(), kDType<float>, grads.count(), 0.7, grads.data(), of_all.data(),
                                      work.data(), work.bytes(), nullptr));
    *norm = of_all.get()[0];
    return grads.get();
  };
  double norm = 0, table_norm = 0;
  const std::vector<float> drows = clipped(gradient.drows, &norm);
  const std::vector<float> dtable = clipped(backward_table(context.get(), sizes, ids, -1, dy), &table_norm);
  EXPECT_NEAR(norm, table_norm, 1e-14 * table_norm);
  EXPECT_TRUE(bitwise_equal(drows, rows_of(sizes, dtable, ids, -1).drows));
}

// A last step that cannot be: an error on the host, which writes nothing, and a bit on CUDA.
TYPED_TEST(Rows, ALastStepThatIsTooOldOrYetToCome) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(37);
  const Sizes sizes = {3, 2};
  const AdamState<T> before = random_state<T>(random, sizes);
  struct Case {
    std::vector<int64_t> last_steps;
    int64_t step;
    std::string of_step, of_catch_up;  // texts, or "" if there is nothing wrong
  };
  const Case cases[] = {
      {{5, 1, 5}, 5, "last_steps[1] = 1 is more than history_steps = 4 before this step; step[0] = 5", ""},
      {{5, 0, 5},
       5,
       "last_steps[1] = 0 is more than history_steps = 4 before this step; step[0] = 5",
       "last_steps[1] = 0 is more than history_steps = 4 before this step; step[0] = 5"},
      {{0, 7, 0}, 5, "last_steps[1] = 7 is not in 0 ... step[0] = 5", "last_steps[1] = 7 is not in 0 ... step[0] = 5"},
      {{0, -1, 0},
       2,
       "last_steps[1] = -1 is not in 0 ... step[0] = 2",
       "last_steps[1] = -1 is not in 0 ... step[0] = 2"}};
  for (const Case& c : cases) {
    for (const bool is_step : {true, false}) {
      SCOPED_TRACE(c.of_step + (is_step ? " step" : " catch up"));
      TouchedRows<T> rows(context.get(), sizes, {}, before, 4);
      for (int64_t t = 0; t < 4; ++t) ASSERT_OK(rows.run({0.1, {}}));
      rows.last_steps.set(c.last_steps);
      rows.step.set({c.step});
      const Step<T> step = {0.1, {{1, 7, -1}, std::vector<T>(6, T(0.5))}};
      const int32_t status = is_step ? rows.run(step) : rows.catch_up({1, 7, -1});
      const std::string text = status == VARLSTM_OK ? "" : varlstm_last_error();
      const std::string& expected = is_step ? c.of_step : c.of_catch_up;
      if (test_backend() == VARLSTM_BACKEND_HOST) {
        EXPECT_EQ(status, expected.empty() ? VARLSTM_OK : VARLSTM_ERROR_INVALID_ARGUMENT);
        EXPECT_NE(text.find(expected), std::string::npos) << text;
        if (expected.empty()) continue;
        EXPECT_TRUE(same_bits(rows.state(), before));
        EXPECT_EQ(rows.last_steps.get(), c.last_steps);
        EXPECT_EQ(rows.step.get()[0], c.step);
      } else {
        ASSERT_OK(status);
        int64_t bits = 0, first = -1;
        ASSERT_OK(varlstm_ctx_device_status(context.get(), 1, &bits, &first, nullptr));
        EXPECT_EQ(bits, expected.empty() ? 0 : VARLSTM_DEVICE_STATUS_LAST_STEP);
        EXPECT_EQ(first, expected.empty() ? -1 : 1);
      }
    }
  }
  TouchedRows<T> rows(context.get(), sizes, {}, before, 4);
  if (test_backend() != VARLSTM_BACKEND_HOST) return;
  for (const int64_t step : {int64_t{-3}, std::numeric_limits<int64_t>::max()}) {
    rows.step.set({step});
    EXPECT_EQ(rows.catch_up(), VARLSTM_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(std::string(varlstm_last_error()), "step[0] = " + std::to_string(step) + " is not in 0 ... 2^63 - 2");
  }
}

}  // namespace
}  // namespace varlstm_test
