// Stepping: T tokens by steps give, bit for bit, what the sequence call gives; other slots stay as they are; bad slots
// change nothing.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "support/cell_options.h"
#include "support/cell_test.h"
#include "support/compare.h"
#include "support/step_runner.h"

namespace varlstm_test {
namespace {

class Stepping : public CellTest {
 protected:
  Context context_ = make_context();
  Random random_{83};

  RnnOptions options(int64_t input, int64_t hidden, int64_t layers, bool bias = true) const {
    RnnOptions options = cell_options();
    options.input = input;
    options.hidden = hidden;
    options.layers = layers;
    options.bias = bias;
    return options;
  }

  // B streams take T tokens at random slots of a table, in another order at each step, the second half of them with
  // prepared weights.
  template <class T>
  void compare(const StepDType<T>& dtype, const RnnOptions& options, int64_t streams, int64_t table_slots,
               int64_t steps) {
    SCOPED_TRACE("dtype " + std::to_string(dtype.dtype) + " H=" + std::to_string(options.hidden) +
                 " L=" + std::to_string(options.layers) + " B=" + std::to_string(streams));
    const StepProblem<T> problem = make_step_problem(dtype, options, random_);
    const int64_t input = options.input, width = options.state(), layers = options.layers;
    std::vector<int64_t> slots = random_.permutation(table_slots);
    slots.resize(static_cast<size_t>(streams));
    const std::vector<T> x = dtype.store(random_.vector<double>(steps * streams * input, -1.5, 1.5));
    const std::vector<T> h = dtype.store(random_.vector<double>(problem.states(table_slots)));
    const auto c = dtype.cell_states(random_.vector<double>(problem.cell_states(table_slots)));
    // Of a table whose rows have `of_row` elements.
    const auto of_slots = [&](const auto& table, int64_t of_row) {
      return at_slots(table, layers, table_slots, of_row, slots);
    };
    const SequenceResult<T> expected =
        run_sequences(context_.get(), problem, std::vector<int64_t>(streams, steps), x, of_slots(h, width),
                      dtype.store_cell_states(of_slots(c, options.hidden)));

    StepTable<T> table(context_.get(), problem, std::min(streams + 2, table_slots), table_slots);
    table.h().set(h);
    table.c().set(c);
    for (int64_t t = 0; t < steps; ++t) {
      if (t == steps / 2) table.prepare();
      const std::vector<int64_t> order = random_.permutation(streams);
      const auto of_step = [&](const std::vector<T>& rows, int64_t of_row) {
        return std::vector<T>(rows.begin() + t * streams * of_row, rows.begin() + (t + 1) * streams * of_row);
      };
      const std::vector<T> y = table.step(rows_in_order(slots, 1, order),
                                          rows_in_order(of_step(x, input), input, order), t % 2 == 0 ? 0 : 7 + t);
      ASSERT_TRUE(bitwise_equal(y, rows_in_order(of_step(expected.y, width), width, order))) << "step " << t;
    }
    EXPECT_TRUE(bitwise_equal(of_slots(table.h().get(), width), expected.h_n));
    EXPECT_TRUE(bitwise_equal(dtype.store_cell_states(of_slots(table.c().get(), options.hidden)), expected.c_n));
    std::vector<int64_t> others;
    const std::set<int64_t> used(slots.begin(), slots.end());
    for (int64_t slot = 0; slot < table_slots; ++slot)
      if (used.count(slot) == 0) others.push_back(slot);
    const auto kept = [&](const auto& after, const auto& before, int64_t of_row) {
      const auto of_others = [&](const auto& states) { return at_slots(states, layers, table_slots, of_row, others); };
      return bitwise_equal(of_others(after), of_others(before)) << "a slot of no stream has changed";
    };
    EXPECT_TRUE(kept(table.h().get(), h, width));
    EXPECT_TRUE(kept(table.c().get(), c, options.hidden));
  }
};

CELL_TEST(Stepping, StepsEqualTheSequenceCall) {
  for (const int64_t layers : {1, 2, 3}) {
    compare<float>({VARLSTM_DTYPE_F32}, options(7, 19, layers), 5, 11, 4);
    compare<double>({VARLSTM_DTYPE_F64}, options(7, 19, layers), 5, 11, 4);
    compare<uint16_t>({VARLSTM_DTYPE_BF16}, options(7, 19, layers), 5, 11, 4);
    compare<uint16_t>({VARLSTM_DTYPE_F16}, options(7, 19, layers), 5, 11, 4);
  }
  compare<float>({VARLSTM_DTYPE_F32}, options(3, 5, 2, /*bias=*/false), 1, 1, 9);
  compare<float>({VARLSTM_DTYPE_F32}, options(3, 33, 2), 18, 18, 2);  // more than one tile of streams and units
}

// Without a seed: clips and the expectation of zoneout.
CELL_TEST(Stepping, StepsWithOptionsOfTheCellEqualTheSequenceCall) {
  RnnOptions with_options = options(7, 19, 2);
  set_all(with_options, VARLSTM_RECURRENT_DROPOUT_STATE);
  compare<float>({VARLSTM_DTYPE_F32}, with_options, 5, 11, 4);
  compare<double>({VARLSTM_DTYPE_F64}, with_options, 5, 11, 4);
  for (const int32_t dtype : {VARLSTM_DTYPE_BF16, VARLSTM_DTYPE_F16})
    compare<uint16_t>({dtype}, with_options, 5, 11, 4);
}

// On the host large steps are divided among threads, by hidden units and by streams.
CELL_TEST(Stepping, ThreadsGiveTheSameBits) {
  if (test_backend() != VARLSTM_BACKEND_HOST) GTEST_SKIP() << "the host alone has threads";
  for (const int64_t threads : {1, 3}) {
    context_ = make_context(threads);
    random_ = Random(5);
    compare<float>({VARLSTM_DTYPE_F32}, options(64, 300, 2), 40, 50, 3);
    compare<double>({VARLSTM_DTYPE_F64}, options(20, 64, 1), 300, 301, 2);
  }
}

// 1,000 streams of random lengths through 64 slots in random order, each from zeros where a slot is free.
CELL_TEST(Stepping, ManyStreamsShareFewSlots) {
  constexpr int64_t kStreams = 1000, kSlots = 64;
  const StepProblem<float> problem = make_step_problem<float>({VARLSTM_DTYPE_F32}, options(3, 6, 2), random_);
  const int64_t input = problem.options.input, width = problem.options.state();
  const std::vector<int64_t> lengths = random_.integers(kStreams, 1, emulated() ? 3 : 30);
  std::vector<std::vector<float>> tokens;
  for (const int64_t length : lengths) tokens.push_back(random_.vector<float>(length * input, -1.5, 1.5));

  StepTable<float> table(context_.get(), problem, kSlots, kSlots);
  std::vector<int64_t> waiting = random_.permutation(kStreams), free = random_.permutation(kSlots);
  struct Active {
    int64_t stream, slot, done;
  };
  std::vector<Active> active;
  std::vector<std::vector<float>> y(kStreams);
  while (!waiting.empty() || !active.empty()) {
    while (!waiting.empty() && !free.empty()) {
      const size_t at = static_cast<size_t>(random_.integer(0, static_cast<int64_t>(free.size()) - 1));
      active.push_back({waiting.back(), free[at], 0});
      table.clear(free[at]);
      waiting.pop_back();
      free.erase(free.begin() + static_cast<std::ptrdiff_t>(at));
    }
    const auto count = static_cast<int64_t>(active.size());
    std::vector<int64_t> chosen = random_.permutation(count), slots;
    chosen.resize(static_cast<size_t>(random_.integer((count + 1) / 2, count)));
    std::vector<float> x;
    for (const int64_t k : chosen) {
      const auto token = tokens[active[k].stream].begin() + active[k].done * input;
      x.insert(x.end(), token, token + input);
      slots.push_back(active[k].slot);
    }
    const std::vector<float> out = table.step(slots, x);
    for (size_t k = 0; k < chosen.size(); ++k) {
      Active& one = active[chosen[k]];
      const auto row = out.begin() + static_cast<std::ptrdiff_t>(k) * width;
      y[one.stream].insert(y[one.stream].end(), row, row + width);
      ++one.done;
    }
    for (size_t k = active.size(); k-- > 0;) {
      if (active[k].done < lengths[active[k].stream]) continue;
      free.push_back(active[k].slot);
      active.erase(active.begin() + static_cast<std::ptrdiff_t>(k));
    }
  }
  for (int64_t stream = 0; stream < kStreams; stream += emulated() ? 25 : 1)
    ASSERT_TRUE(bitwise_equal(y[stream], run_sequences(context_.get(), problem, {lengths[stream]}, tokens[stream]).y))
        << "stream " << stream;
}

TEST(Step, BadSlotsChangeNothing) {
  const Context context = make_context();
  Random random(3);
  RnnOptions options;
  options.input = 2, options.hidden = 20, options.layers = 2;
  const StepProblem<float> problem = make_step_problem<float>({VARLSTM_DTYPE_F32}, options, random);
  constexpr int64_t kSlots = 6;
  const std::vector<float> h = random.vector<float>(problem.states(kSlots)), c = random.vector<float>(h.size());
  const std::vector<float> x = random.vector<float>(4 * options.input);
  const struct {
    std::vector<int64_t> slots;
    int64_t bad;
    const char* text;
  } cases[] = {{{0, 1, 6, 2}, 2, "slots[2] = 6 is not in 0 ... 5"},
               {{3, -1, 4, 2}, 1, "slots[1] = -1 is not in 0 ... 5"},
               {{3, INT64_MIN, 4, 2}, 1, "slots[1] = -9223372036854775808 is not in"},
               {{INT64_MAX, 1, 4, 2}, 0, "slots[0] = 9223372036854775807 is not in"},
               {{5, 1, 3, 1}, 3, "slots[3] = 1 occurs twice: it is slots[1] as well"},
               {{0, 0, 4, 5}, 1, "slots[1] = 0 occurs twice: it is slots[0] as well"}};
  for (const auto& one : cases) {
    for (const Fill fill : {Fill::kNan, Fill::kRandomBytes}) {
      SCOPED_TRACE(one.text);
      StepTable<float> table(context.get(), problem, 4, kSlots, fill);
      table.h().set(h);
      table.c().set(c);
      Buffer<float> y(context.get(), 4 * options.hidden);
      if (test_backend() == VARLSTM_BACKEND_HOST) {
        const std::vector<float> before = y.get();
        EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, one.text, table.try_step(one.slots, x, y));
        EXPECT_TRUE(bitwise_equal(y.get(), before));
        EXPECT_TRUE(bitwise_equal(table.h().get(), h));
        EXPECT_TRUE(bitwise_equal(table.c().get(), c));
        continue;
      }
      // The other streams step, as if the bad one were not there.
      EXPECT_OK(table.try_step(one.slots, x, y));
      int64_t bits = 0, first = 0;
      ASSERT_OK(varlstm_ctx_device_status(context.get(), 1, &bits, &first, nullptr));
      EXPECT_EQ(bits, VARLSTM_DEVICE_STATUS_SLOT);
      EXPECT_EQ(first, one.bad);
      std::vector<int64_t> good;
      for (int64_t k = 0; k < 4; ++k)
        if (k != one.bad) good.push_back(k);
      StepTable<float> alone(context.get(), problem, 4, kSlots);
      alone.h().set(h);
      alone.c().set(c);
      const std::vector<float> expected =
          alone.step(rows_in_order(one.slots, 1, good), rows_in_order(x, options.input, good));
      EXPECT_TRUE(bitwise_equal(rows_in_order(y.get(), options.hidden, good), expected));
      EXPECT_TRUE(bitwise_equal(rows_in_order(y.get(), options.hidden, {one.bad}), std::vector<float>(20, 0.0f)));
      EXPECT_TRUE(bitwise_equal(table.h().get(), alone.h().get()));
      EXPECT_TRUE(bitwise_equal(table.c().get(), alone.c().get()));
    }
  }
}

// Every number of streams and slots below those of the size may use the workspace.
TEST(Step, SizesGrowWithStreamsAndSlots) {
  const Context context = make_context();
  const Rnn rnn = make_rnn(context.get(), {3, 9, 2, false, true, 0.0}, VARLSTM_DTYPE_BF16);
  int64_t before = 0;
  for (int64_t slots = 1; slots < 40; ++slots) {
    int64_t last = 0;
    for (int64_t streams = 0; streams <= slots; ++streams) {
      int64_t bytes = 0;
      ASSERT_OK(varlstm_rnn_step_size(rnn.get(), streams, slots, &bytes));
      EXPECT_GE(bytes, last);
      last = bytes;
    }
    EXPECT_GE(last, before);
    before = last;
  }
}

TEST(Step, NoStreamIsLegal) {
  const Context context = make_context();
  const Rnn rnn = make_rnn(context.get(), {3, 4, 1, false, true, 0.0}, VARLSTM_DTYPE_F32);
  Buffer<float> params(context.get(), 4 * 4 * (3 + 4 + 2)), h(context.get(), 8), c(context.get(), 8);
  int64_t bytes = 0;
  ASSERT_OK(varlstm_rnn_step_size(rnn.get(), 0, 2, &bytes));
  ByteBuffer workspace(context.get(), bytes);
  EXPECT_OK(varlstm_rnn_step(rnn.get(), 0, params.data(), nullptr, nullptr, 2, h.data(), c.data(), nullptr,
                             workspace.data(), bytes, nullptr));
}

TEST(Step, RefusesWhatIsNotItsOwn) {
  const Context context = make_context();
  const auto size_of = [&](const RnnOptions& options) {
    const Rnn rnn = make_rnn(context.get(), options, VARLSTM_DTYPE_F32);
    int64_t bytes = 0;
    return varlstm_rnn_step_size(rnn.get(), 1, 1, &bytes);
  };
  RnnOptions options;
  EXPECT_OK(size_of(options));
  options.bidirectional = true;
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "VARLSTM_KEY_BIDIRECTIONAL", size_of(options));

  const auto step = [&](int32_t cell, bool with_c, int64_t missing_bytes, bool y_in_h) {
    RnnOptions shape{3, 4, 1, false, true, 0.0};
    shape.cell = cell;
    const Rnn rnn = make_rnn(context.get(), shape, VARLSTM_DTYPE_F32);
    const Buffer<float> params(context.get(), rnn_param_count(shape)), x(context.get(), 3);
    const Buffer<int64_t> slots(context.get(), std::vector<int64_t>{1});
    Buffer<float> h(context.get(), 8), c(context.get(), 8), y(context.get(), 4);
    int64_t bytes = 0;
    REQUIRE_OK(varlstm_rnn_step_size(rnn.get(), 1, 2, &bytes));
    ByteBuffer workspace(context.get(), bytes);
    return varlstm_rnn_step(rnn.get(), 1, params.data(), x.data(), slots.data(), 2, h.data(),
                            with_c ? c.data() : nullptr, y_in_h ? h.data() + 4 : y.data(), workspace.data(),
                            bytes - missing_bytes, nullptr);
  };
  EXPECT_OK(step(VARLSTM_CELL_LSTM, true, 0, false));
  EXPECT_OK(step(VARLSTM_CELL_GRU, false, 0, false));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "c is NULL", step(VARLSTM_CELL_LSTM, false, 0, false));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "must be NULL: VARLSTM_CELL_GRU has no cell state",
               step(VARLSTM_CELL_GRU, true, 0, false));
  EXPECT_ERROR(VARLSTM_ERROR_BUFFER_TOO_SMALL, "workspace_bytes", step(VARLSTM_CELL_LSTM, true, 1, false));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "overlaps", step(VARLSTM_CELL_LSTM, true, 0, true));
}

}  // namespace
}  // namespace varlstm_test
