// A recurrent layer over a batch whose lengths lie in the back end's memory: the bits of the same batch with lengths
// from the host, zeros behind the tokens where the device alone knows how many there are, and nothing read there; in
// workspace and reserve, nothing written there either.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "support/cell_test.h"
#include "support/compare.h"
#include "support/lengths.h"
#include "support/rnn_runner.h"

namespace varlstm_test {
namespace {

template <class>
using DeviceLengths = CellTest;

// `values`, and `fill` in the rows behind them.
template <class T>
std::vector<T> with_tail(std::vector<T> values, int64_t rows, int64_t features, T fill) {
  values.resize(rows * features, fill);
  return values;
}

// How many words of 32 bits a call changed.
int64_t changed_words(const std::vector<unsigned char>& before, const std::vector<unsigned char>& after) {
  int64_t changed = 0;
  for (size_t k = 0; k < before.size(); k += 4)
    changed += !std::equal(&before[k], &before[k] + std::min<size_t>(4, before.size() - k), &after[k]);
  return changed;
}

// One forward and backward over buffers of `rows` rows; tails of the inputs are NaN, every output starts as NaN.
template <class T>
struct Pass {
  std::vector<T> y, h_n, c_n, c, dx, dh0, dc0, dparams;
  int64_t words_of_reserve, words_of_forward, words_of_backward;  // changed; the latter two in the workspace

  Pass(varlstm_ctx* context, const RnnCase<T>& problem, const RnnUpstream<T>& upstream, const Bounds& bounds,
       const varlstm_batch* batch, int64_t rows) {
    const T nan = std::numeric_limits<T>::quiet_NaN();
    const RnnOptions& options = problem.options;
    const int64_t outputs = options.directions() * options.state();
    const Rnn rnn = make_rnn(context, options, kDType<T>);
    int64_t workspace_bytes = 0, reserve_bytes = 0;
    REQUIRE_OK(varlstm_rnn_sizes(rnn.get(), bounds.max_batch, bounds.max_len, bounds.max_tokens, VARLSTM_MODE_SAVE,
                                 &workspace_bytes, &reserve_bytes));
    ByteBuffer workspace(context, workspace_bytes, Fill::kRandomBytes, 3);
    ByteBuffer reserve(context, reserve_bytes, Fill::kNan, 4);
    const auto of_c = [&](auto& buffer) { return problem.has_c() ? buffer.data() : nullptr; };
    const Buffer<T> params(context, problem.params), h0(context, problem.h0), c0(context, problem.c0);
    const Buffer<T> dh_n(context, upstream.dh_n), dc_n(context, upstream.dc_n);
    const Buffer<T> x(context, with_tail(rows_from_ragged(options.rows, problem.lengths, options.input, problem.x),
                                         rows, options.input, nan));
    const Buffer<T> dy(
        context, with_tail(rows_from_ragged(options.rows, problem.lengths, outputs, upstream.dy), rows, outputs, nan));
    const int64_t cell_states = options.cell_states ? options.directions() * options.hidden : 0;
    const Buffer<T> dc(context, with_tail(rows_from_ragged(options.rows, problem.lengths, cell_states, upstream.dc),
                                          rows, cell_states, nan));
    Buffer<T> token_c_out(context, rows * cell_states);
    Buffer<T> y_out(context, rows * outputs), h_out(context, h0.count()), c_out(context, c0.count());
    Buffer<T> dx_out(context, rows * options.input), dh0_out(context, h0.count()), dc0_out(context, c0.count());
    Buffer<T> dparams_out(context, std::vector<T>(problem.params.size(), T(0)));
    std::vector<unsigned char> workspace_before = workspace.get();
    const std::vector<unsigned char> reserve_before = reserve.get();
    EXPECT_OK(varlstm_rnn_forward_with_c(rnn.get(), batch, VARLSTM_MODE_SAVE, 6, params.data(), x.data(), h0.data(),
                                         of_c(c0), y_out.data(), h_out.data(), of_c(c_out),
                                         cell_states > 0 ? token_c_out.data() : nullptr, workspace.data(),
                                         workspace_bytes, reserve.data(), reserve_bytes, nullptr));
    words_of_forward = changed_words(workspace_before, workspace.get());
    words_of_reserve = changed_words(reserve_before, reserve.get());
    workspace.fill(Fill::kNan);  // a row behind the tokens that is read shows in a sum, were it times 0
    workspace_before = workspace.get();
    EXPECT_OK(varlstm_rnn_backward_with_c(rnn.get(), batch, params.data(), x.data(), h0.data(), of_c(c0), y_out.data(),
                                          dy.data(), dh_n.data(), of_c(dc_n), cell_states > 0 ? dc.data() : nullptr,
                                          dx_out.data(), dh0_out.data(), of_c(dc0_out), dparams_out.data(),
                                          workspace.data(), workspace_bytes, reserve.data(), reserve_bytes, nullptr));
    words_of_backward = changed_words(workspace_before, workspace.get());
    y = y_out.get(), h_n = h_out.get(), c_n = c_out.get(), c = token_c_out.get();
    dx = dx_out.get(), dh0 = dh0_out.get(), dc0 = dc0_out.get(), dparams = dparams_out.get();
  }
};

template <class T>
void expect_zero_tail(const std::vector<T>& values, size_t head) {
  EXPECT_TRUE(
      std::all_of(values.begin() + static_cast<std::ptrdiff_t>(head), values.end(), [](T v) { return v == 0; }));
}

// On our own tiles: cuBLAS, which sums the gradients of weights where the host knows the lengths, has its own order.
CELL_SCALAR_TEST(DeviceLengths, GiveTheBitsOfLengthsFromTheHost) {
  using T = TypeParam;
  setenv("VARLSTM_GEMM_POLICY", "wide", 1);
  const Context context = make_context();
  const bool only_the_device_knows = test_backend() == VARLSTM_BACKEND_CUDA;
  Random random(61);
  const Bounds bounds = {7, 9, 45};
  const Batch from_host = make_batch(context.get(), {}, bounds), from_device = make_batch(context.get(), {}, bounds);
  for (int round = 0; round < 10; ++round) {
    if (this->few_cases() && round % 5 > 1) continue;
    RnnOptions options = this->cell_options();
    options.input = random.integer(1, 9);
    options.hidden = random.integer(1, 37);
    options.layers = 1 + round % 3;
    options.bidirectional = round % 2 == 1;
    options.bias = round % 4 != 0;
    options.dropout = options.layers > 1 && round != 4 ? 0.3 : 0;  // of round 4, layers run in one launch
    options.recurrent_dropout = round % 5 == 1 ? 0.3 : 0;          // of weights
    options.rows = round >= 5 ? VARLSTM_ROWS_RAGGED : VARLSTM_ROWS_PACKED;
    options.recurrence = round % 5 % 4;  // each a varlstm_recurrence
    options.cell_states = this->cell().has_c && round % 5 == 1;
    const std::vector<int64_t> lengths = random_lengths(random.integer(1, 7), 6, random);
    const auto problem = make_rnn_case<T>(options, lengths, true, random);
    const auto upstream = make_upstream(problem, random);
    SCOPED_TRACE(describe(problem));
    const int64_t tokens = problem.tokens();
    const Buffer<int64_t> stored(context.get(), lengths);
    ASSERT_OK(varlstm_batch_set_lengths(from_host.get(), lengths.data(), problem.batch(), VARLSTM_SPACE_HOST, nullptr));
    ASSERT_OK(
        varlstm_batch_set_lengths(from_device.get(), stored.data(), problem.batch(), VARLSTM_SPACE_BACKEND, nullptr));
    const Pass<T> expected(context.get(), problem, upstream, bounds, from_host.get(), tokens);
    Pass<T> actual(context.get(), problem, upstream, bounds, from_device.get(),
                   only_the_device_knows ? bounds.max_tokens : tokens);
    ASSERT_TRUE(all_finite(expected.dparams));
    EXPECT_EQ(actual.words_of_reserve, expected.words_of_reserve);
    if (round != 4) {  // layers in one launch: their handover is filled for as many rows as the bound
      EXPECT_EQ(actual.words_of_forward, expected.words_of_forward);
    }
    EXPECT_EQ(actual.words_of_backward, expected.words_of_backward);
    expect_zero_tail(actual.y, expected.y.size());
    expect_zero_tail(actual.dx, expected.dx.size());
    expect_zero_tail(actual.c, expected.c.size());
    actual.c.resize(expected.c.size());
    EXPECT_TRUE(bitwise_equal(actual.c, expected.c));
    actual.y.resize(expected.y.size());
    actual.dx.resize(expected.dx.size());
    EXPECT_TRUE(bitwise_equal(actual.y, expected.y));
    EXPECT_TRUE(bitwise_equal(actual.h_n, expected.h_n));
    EXPECT_TRUE(bitwise_equal(actual.c_n, expected.c_n));
    EXPECT_TRUE(bitwise_equal(actual.dx, expected.dx));
    EXPECT_TRUE(bitwise_equal(actual.dh0, expected.dh0));
    EXPECT_TRUE(bitwise_equal(actual.dc0, expected.dc0));
    EXPECT_TRUE(bitwise_equal(actual.dparams, expected.dparams));
  }
  unsetenv("VARLSTM_GEMM_POLICY");
}

}  // namespace
}  // namespace varlstm_test
