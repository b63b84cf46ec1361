// A network run in one way of the CUDA back end's recurrence: a policy, what tensors are stored in, what products
// multiply, and a cell. Values are doubles that the stored type holds exactly, so that results of every type compare
// alike.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "support/buffer.h"
#include "support/compare.h"
#include "support/packed_order.h"
#include "support/rnn_case.h"
#include "support/scalar16.h"

namespace varlstm_test {

struct Precision {
  const char* name;
  Format16 stored;
  Format16 operand;  // what products multiply
  int32_t math;      // of the context
};

// Of 32 bits, the significand of each.
constexpr Format16 kF32Format = {VARLSTM_DTYPE_F32, 24, -126, 127}, kTf32Format = {VARLSTM_DTYPE_F32, 11, -126, 127};

constexpr Precision kPrecisions[] = {{"f32", kF32Format, kF32Format, VARLSTM_MATH_F32},
                                     {"tf32", kF32Format, kTf32Format, VARLSTM_MATH_TF32},
                                     {"bf16", kBf16, kBf16, VARLSTM_MATH_F32},
                                     {"f16", kF16, kF16, VARLSTM_MATH_F32}};

struct RecurrenceWay {
  int32_t policy;  // varlstm_recurrence
  Precision precision;
  int32_t cell = VARLSTM_CELL_LSTM;

  // cluster_f32, Gru_cluster_f32.
  std::string name() const {
    const char* policies[] = {"auto", "stepwise", "cluster", "grid"};
    const std::string of_cell = cell == VARLSTM_CELL_LSTM ? "" : std::string(tested_cell(cell).name) + "_";
    return of_cell + policies[policy] + "_" + precision.name;
  }
  friend void PrintTo(const RecurrenceWay& way, std::ostream* out) { *out << way.name(); }
  RecurrenceWay stepwise() const { return {VARLSTM_RECURRENCE_STEPWISE, precision, cell}; }
};

inline std::vector<RecurrenceWay> resident_ways(int32_t cell = VARLSTM_CELL_LSTM) {
  std::vector<RecurrenceWay> ways;
  for (const int32_t policy : {VARLSTM_RECURRENCE_CLUSTER, VARLSTM_RECURRENCE_GRID}) {
    for (const Precision& precision : kPrecisions) ways.push_back({policy, precision, cell});
  }
  return ways;
}

// The ways of the cells beside the LSTM that have kernels of their own. The two RNNs share theirs: each way has one of
// them, and F32, where no rounding carries a unit across the kink of RNN_RELU, has both.
inline std::vector<RecurrenceWay> ways_of_other_cells() {
  std::vector<RecurrenceWay> ways = resident_ways(VARLSTM_CELL_GRU);
  for (const RecurrenceWay& way : resident_ways(VARLSTM_CELL_RNN_TANH)) ways.push_back(way);
  for (const RecurrenceWay& way : resident_ways(VARLSTM_CELL_RNN_RELU))
    if (way.precision.operand.significant_bits == kF32Format.significant_bits) ways.push_back(way);
  return ways;
}

// Of these, those in which the tests of what every way shares run once more: both kernels, in both policies, with types
// of 16 and of 32 bits. Not RNN_RELU, some of whose units pass no gradient on, not even a NaN.
inline std::vector<RecurrenceWay> few_ways_of_other_cells() {
  const Precision &f32 = kPrecisions[0], &bf16 = kPrecisions[2];
  return {{VARLSTM_RECURRENCE_CLUSTER, bf16, VARLSTM_CELL_GRU},
          {VARLSTM_RECURRENCE_GRID, f32, VARLSTM_CELL_GRU},
          {VARLSTM_RECURRENCE_CLUSTER, f32, VARLSTM_CELL_RNN_TANH},
          {VARLSTM_RECURRENCE_GRID, bf16, VARLSTM_CELL_RNN_TANH}};
}

// One layer of that way's cell, with an input of 5 features.
inline RnnOptions options_of(const RecurrenceWay& way, int64_t hidden, bool bidirectional) {
  RnnOptions options;
  options.cell = way.cell;
  options.input = 5;
  options.hidden = hidden;
  options.bidirectional = bidirectional;
  return options;
}

inline Context make_context(const RecurrenceWay& way) {
  Context context = make_context();
  REQUIRE_OK(varlstm_ctx_set_i64(context.get(), VARLSTM_KEY_MATH, way.precision.math));
  return context;
}

inline Rnn make_rnn(varlstm_ctx* context, const RnnOptions& options, const RecurrenceWay& way) {
  Rnn rnn = make_rnn(context, options, way.precision.stored.dtype);
  REQUIRE_OK(varlstm_rnn_set_i64(rnn.get(), VARLSTM_KEY_RECURRENCE, way.policy));
  int64_t used = 0;
  REQUIRE_OK(varlstm_rnn_get_i64(rnn.get(), VARLSTM_KEY_RECURRENCE_USED, &used));
  EXPECT_EQ(used, way.policy) << way.name() << " of H = " << options.hidden;
  return rnn;
}

// A case and its upstream of values that the format holds.
struct WayCase {
  RnnCase<double> problem;
  RnnUpstream<double> upstream;
};

inline WayCase make_way_case(const Format16& format, const RnnOptions& options, const std::vector<int64_t>& lengths,
                             bool states, Random& random) {
  WayCase made;
  made.problem = make_rnn_case<double>(options, lengths, states, random);
  made.upstream = make_upstream(made.problem, random);
  for (auto* part : {&made.problem.params, &made.problem.x, &made.problem.h0, &made.problem.c0, &made.upstream.dy,
                     &made.upstream.dh_n, &made.upstream.dc_n})
    *part = format.round(*part);
  return made;
}

struct RnnResults {
  RnnOutputs<double> out;
  RnnGradients<double> gradients;  // empty for INFER
};

// Expects the same bits in all that belongs to sequences: everything but the gradients of the parameters.
inline void expect_same_of_sequences(const RnnResults& actual, const RnnResults& expected) {
  EXPECT_TRUE(bitwise_equal(actual.out.y, expected.out.y));
  EXPECT_TRUE(bitwise_equal(actual.out.h_n, expected.out.h_n));
  EXPECT_TRUE(bitwise_equal(actual.out.c_n, expected.out.c_n));
  EXPECT_TRUE(bitwise_equal(actual.gradients.dx, expected.gradients.dx));
  EXPECT_TRUE(bitwise_equal(actual.gradients.dh0, expected.gradients.dh0));
  EXPECT_TRUE(bitwise_equal(actual.gradients.dc0, expected.gradients.dc0));
}

// Bounds of the batch, and what workspace and reserve hold before each call.
struct RunSetup {
  Bounds bounds;
  int32_t mode = VARLSTM_MODE_SAVE;
  Fill fill = Fill::kNan;
  uint64_t seed = 1;

  explicit RunSetup(const RnnCase<double>& problem, int32_t run_mode = VARLSTM_MODE_SAVE)
      : bounds(exact_bounds(problem.lengths)), mode(run_mode) {}
};

// Stored: float or, for the formats of 16 bits, uint16_t.
template <class Stored>
class WayRun {
 public:
  WayRun(const RecurrenceWay& way, const WayCase& given, const RunSetup& setup)
      : format_(way.precision.stored), problem_(given.problem), setup_(setup), context_(make_context(way)) {
    rnn_ = make_rnn(context_.get(), problem_.options, way);
    batch_ = make_batch(context_.get(), problem_.lengths, setup.bounds);
    if (!problem_.resets.empty()) {
      REQUIRE_OK(varlstm_batch_set_resets(batch_.get(), problem_.resets.data(), problem_.tokens(),
                                          VARLSTM_LAYOUT_RAGGED, 0, VARLSTM_SPACE_HOST, nullptr));
    }
    int64_t workspace_bytes = 0, reserve_bytes = 0;
    REQUIRE_OK(varlstm_rnn_sizes(rnn_.get(), setup.bounds.max_batch, setup.bounds.max_len, setup.bounds.max_tokens,
                                 setup.mode, &workspace_bytes, &reserve_bytes));
    workspace_ = std::make_unique<ByteBuffer>(context_.get(), workspace_bytes, setup.fill, setup.seed);
    reserve_ = std::make_unique<ByteBuffer>(context_.get(), reserve_bytes, setup.fill, setup.seed + 1);
    params_ = stored(problem_.params);
    x_ = packed(problem_.options.input, problem_.x);
    h0_ = stored(problem_.h0);
    c0_ = stored(problem_.c0);
    y_ = empty(problem_.tokens() * problem_.output_features());
  }

  RnnOutputs<double> forward() {
    const Tensor h_n = empty(problem_.state_count()), c_n = empty(problem_.cell_state_count());
    const bool save = setup_.mode == VARLSTM_MODE_SAVE;
    REQUIRE_OK(varlstm_rnn_forward(rnn_.get(), batch_.get(), setup_.mode, problem_.seed, params_->data(), x_->data(),
                                   of(h0_), of(c0_), y_->data(), h_n->data(), of_c(c_n), workspace_->data(),
                                   workspace_->bytes(), save ? reserve_->data() : nullptr, save ? reserve_->bytes() : 0,
                                   nullptr));
    return {ragged(problem_.output_features(), y_), values(h_n), values(c_n)};
  }

  std::vector<unsigned char> reserve() const { return reserve_->get(); }
  varlstm_ctx* context() const { return context_.get(); }

  RnnGradients<double> backward(const RnnUpstream<double>& upstream) {
    const Tensor dy = packed(problem_.output_features(), upstream.dy);
    const Tensor dh_n = stored(upstream.dh_n), dc_n = stored(upstream.dc_n), dx = empty(x_->count());
    const Tensor dh0 = empty(problem_.state_count()), dc0 = empty(problem_.cell_state_count());
    const Tensor dparams = stored(std::vector<double>(problem_.params.size(), 0));
    workspace_->fill(setup_.fill, setup_.seed + 2);
    const std::vector<unsigned char> reserve_before = reserve_->get();
    REQUIRE_OK(varlstm_rnn_backward(rnn_.get(), batch_.get(), params_->data(), x_->data(), of(h0_), of(c0_), y_->data(),
                                    of(dy), of(dh_n), of(dc_n), dx->data(), dh0->data(), of_c(dc0), dparams->data(),
                                    workspace_->data(), workspace_->bytes(), reserve_->data(), reserve_->bytes(),
                                    nullptr));
    EXPECT_TRUE(reserve_before == reserve_->get()) << "backward wrote to the reserve";
    return {ragged(problem_.options.input, dx), values(dh0), values(dc0), values(dparams)};
  }

 private:
  using Tensor = std::unique_ptr<Buffer<Stored>>;

  Tensor empty(int64_t count) { return std::make_unique<Buffer<Stored>>(context_.get(), count); }
  Tensor stored(const std::vector<double>& all) {
    std::vector<Stored> encoded;
    for (const double value : all) {
      if constexpr (sizeof(Stored) == 2)
        encoded.push_back(format_.encode(value));
      else
        encoded.push_back(static_cast<Stored>(value));
    }
    return std::make_unique<Buffer<Stored>>(context_.get(), encoded);
  }
  Tensor packed(int64_t features, const std::vector<double>& all) {
    return stored(ragged_to_packed(problem_.lengths, features, all));
  }
  // NULL for data that the case does not give.
  static const Stored* of(const Tensor& tensor) { return tensor->count() > 0 ? tensor->data() : nullptr; }
  // NULL if the cell has no cell state.
  Stored* of_c(const Tensor& tensor) const { return problem_.has_c() ? tensor->data() : nullptr; }
  std::vector<double> values(const Tensor& tensor) const {
    std::vector<double> decoded;
    for (const Stored value : tensor->get()) {
      if constexpr (sizeof(Stored) == 2)
        decoded.push_back(format_.decode(value));
      else
        decoded.push_back(value);
    }
    return decoded;
  }
  std::vector<double> ragged(int64_t features, const Tensor& tensor) const {
    return packed_to_ragged(problem_.lengths, features, values(tensor));
  }

  const Format16 format_;
  const RnnCase<double>& problem_;
  const RunSetup setup_;
  const Context context_;
  Rnn rnn_;
  Batch batch_;
  std::unique_ptr<ByteBuffer> workspace_, reserve_;
  Tensor params_, x_, h0_, c0_, y_;
};

template <class Stored>
RnnResults run_way_stored(const RecurrenceWay& way, const WayCase& given, const RunSetup& setup) {
  WayRun<Stored> run(way, given, setup);
  RnnResults results;
  results.out = run.forward();
  if (setup.mode == VARLSTM_MODE_SAVE) results.gradients = run.backward(given.upstream);
  return results;
}

inline RnnResults run_way(const RecurrenceWay& way, const WayCase& given, const RunSetup& setup) {
  return way.precision.stored.dtype == VARLSTM_DTYPE_F32 ? run_way_stored<float>(way, given, setup)
                                                         : run_way_stored<uint16_t>(way, given, setup);
}
inline RnnResults run_way(const RecurrenceWay& way, const WayCase& given) {
  return run_way(way, given, RunSetup(given.problem));
}

}  // namespace varlstm_test
