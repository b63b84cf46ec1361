// BF16 and F16: each operation against the same one in double over the same 16-bit values, within half a unit in the
// last place and what float sums lose.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/buffer.h"
#include "support/compare.h"
#include "support/context.h"
#include "support/linear_loss_case.h"
#include "support/scalar16.h"

namespace varlstm_test {
namespace {

constexpr int32_t kF32 = VARLSTM_DTYPE_F32, kF64 = VARLSTM_DTYPE_F64;

class Scalar16 : public ::testing::TestWithParam<Format16> {
 protected:
  const Format16& format() const { return GetParam(); }
  int32_t dtype() const { return format().dtype; }
  Buffer<uint16_t> stored(const std::vector<double>& values) const { return {ctx_.get(), format().encode(values)}; }
  // Numbers of the format.
  std::vector<double> random_values(int64_t count, double low = -1, double high = 1) {
    return format().round(random_.vector<double>(count, low, high));
  }

  // What a correctly rounded result may be, if the exact one lies within `slack` of `expected`.
  ::testing::AssertionResult rounded_close(const std::vector<uint16_t>& bits, const std::vector<double>& expected,
                                           double slack) const {
    const std::vector<double> actual = format().decode(bits);
    if (actual.size() != expected.size()) return ::testing::AssertionFailure() << actual.size() << " elements";
    for (size_t k = 0; k < actual.size(); ++k) {
      if (actual[k] == expected[k] || (std::isnan(actual[k]) && std::isnan(expected[k]))) continue;
      const double allowed = 0.5 * std::max(format().ulp(expected[k]), format().ulp(actual[k])) + slack;
      if (std::fabs(actual[k] - expected[k]) <= allowed) continue;
      return ::testing::AssertionFailure() << "element " << k << ": " << actual[k] << ", expected " << expected[k];
    }
    return ::testing::AssertionSuccess();
  }

  struct Narrow {
    std::vector<float> out, lse;
    std::vector<uint16_t> dx, dweight, dbias;
  };
  // Linear cross-entropy, forward and backward; dweight and dbias start as `before`.
  Narrow run_narrow(const LinearLossCase<double>& c, double before) {
    const Loss loss = make_loss(ctx_.get(), c.loss);
    const int64_t rows = c.loss.rows(), classes = c.loss.classes, elements = rows * c.in;
    const Buffer<uint16_t> x = stored(c.x), weight = stored(c.weight), bias = stored(c.bias);
    const Buffer<int64_t> targets(ctx_.get(), c.loss.targets);
    const auto weights = optional_buffer<float>(ctx_.get(), c.loss.class_weights);
    const auto dout = optional_buffer<float>(ctx_.get(), c.dout);
    const void* w = weights ? weights->data() : nullptr;
    Buffer<float> out(ctx_.get(), c.loss.outputs()), lse(ctx_.get(), rows);
    Buffer<uint16_t> dx(ctx_.get(), elements), dweight = stored(std::vector<double>(c.weight.size(), before));
    Buffer<uint16_t> dbias = stored(std::vector<double>(c.bias.size(), before));
    int64_t forward_bytes = 0, backward_bytes = 0;
    REQUIRE_OK(varlstm_op_workspace(ctx_.get(), VARLSTM_OP_LINEAR_CROSS_ENTROPY_FORWARD, dtype(), rows, c.in, classes,
                                    &forward_bytes));
    REQUIRE_OK(varlstm_op_workspace(ctx_.get(), VARLSTM_OP_LINEAR_CROSS_ENTROPY_BACKWARD, dtype(), rows, c.in, classes,
                                    &backward_bytes));
    ByteBuffer forward(ctx_.get(), forward_bytes), backward(ctx_.get(), backward_bytes);
    REQUIRE_OK(varlstm_linear_cross_entropy_forward(loss.get(), nullptr, dtype(), rows, c.in, x.data(), weight.data(),
                                                    bias.data(), targets.data(), w, out.data(), nullptr, lse.data(),
                                                    forward.data(), forward_bytes, nullptr));
    REQUIRE_OK(varlstm_linear_cross_entropy_backward(loss.get(), nullptr, dtype(), rows, c.in, x.data(), weight.data(),
                                                     bias.data(), targets.data(), w, lse.data(),
                                                     dout ? dout->data() : nullptr, dx.data(), dweight.data(),
                                                     dbias.data(), backward.data(), backward_bytes, nullptr));
    return {out.get(), lse.get(), dx.get(), dweight.get(), dbias.get()};
  }

  Context ctx_ = make_context();
  Random random_{17};
};

TEST_P(Scalar16, ConvertRoundsAndGivesEveryNumberBack) {
  std::vector<uint16_t> all(65536);
  for (size_t k = 0; k < all.size(); ++k) all[k] = static_cast<uint16_t>(k);
  const Buffer<uint16_t> bits(ctx_.get(), all);
  Buffer<float> wide(ctx_.get(), 65536);
  Buffer<uint16_t> back(ctx_.get(), 65536);
  ASSERT_OK(varlstm_convert(ctx_.get(), dtype(), kF32, 65536, bits.data(), wide.data(), nullptr));
  ASSERT_OK(varlstm_convert(ctx_.get(), kF32, dtype(), 65536, wide.data(), back.data(), nullptr));
  const std::vector<float> values = wide.get();
  const std::vector<uint16_t> again = back.get();
  for (size_t k = 0; k < all.size(); ++k) {
    const double expected = format().decode(all[k]);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(values[k])) << k;
      ASSERT_EQ(again[k], 0x7fff) << k;
    } else {
      ASSERT_EQ(values[k], expected) << k;
      ASSERT_EQ(again[k], all[k]) << k;
    }
  }

  // Between two numbers, at the middle and beside it; and what is too large or too small.
  std::vector<float> floats;
  for (int k = 0; k < 4000; ++k) {
    const double low = format().decode(static_cast<uint16_t>(random_.integer(0, 0xffff)));
    if (!std::isfinite(low)) continue;
    const auto middle = static_cast<float>(low + format().ulp(low) / 2);
    for (const float value : {middle, std::nextafter(middle, 0.f), std::nextafter(middle, 1e38f)})
      floats.push_back(value);
  }
  for (const float value : {0.f, -0.f, 3e38f, -3.4e38f, 65519.f, 65520.f, 1e-7f, 2e-8f, 1e-40f, INFINITY, -INFINITY})
    floats.push_back(value);
  const int64_t count = static_cast<int64_t>(floats.size());
  const Buffer<float> source(ctx_.get(), floats);
  const Buffer<double> wide_source(ctx_.get(), std::vector<double>(floats.begin(), floats.end()));
  Buffer<uint16_t> from_float(ctx_.get(), count), from_double(ctx_.get(), count);
  ASSERT_OK(varlstm_convert(ctx_.get(), kF32, dtype(), count, source.data(), from_float.data(), nullptr));
  ASSERT_OK(varlstm_convert(ctx_.get(), kF64, dtype(), count, wide_source.data(), from_double.data(), nullptr));
  EXPECT_TRUE(bitwise_equal(from_float.get(), format().encode(std::vector<double>(floats.begin(), floats.end()))));
  EXPECT_TRUE(bitwise_equal(from_double.get(), from_float.get()));
}

// Numbers that all four have, from each to each.
TEST_P(Scalar16, ConvertGoesBetweenAllDtypes) {
  constexpr int32_t kDtypes[] = {kF32, kF64, VARLSTM_DTYPE_BF16, VARLSTM_DTYPE_F16};
  std::vector<double> numbers;
  for (int k = -127; k < 128; ++k) numbers.push_back(k / 8.0);
  const int64_t count = static_cast<int64_t>(numbers.size());
  const Buffer<double> source(ctx_.get(), numbers);
  Buffer<double> first(ctx_.get(), count), second(ctx_.get(), count), result(ctx_.get(), count);
  for (const int32_t from : kDtypes) {
    for (const int32_t to : kDtypes) {
      SCOPED_TRACE(std::to_string(from) + " to " + std::to_string(to));
      result.fill_nan();
      ASSERT_OK(varlstm_convert(ctx_.get(), kF64, from, count, source.data(), first.data(), nullptr));
      ASSERT_OK(varlstm_convert(ctx_.get(), from, to, count, first.data(), second.data(), nullptr));
      ASSERT_OK(varlstm_convert(ctx_.get(), to, kF64, count, second.data(), result.data(), nullptr));
      EXPECT_TRUE(bitwise_equal(result.get(), numbers));
    }
  }
}

TEST_P(Scalar16, ImportMovesBits) {
  RnnOptions options;
  options.input = 3;
  options.hidden = 5;
  const Rnn narrow = make_rnn(ctx_.get(), options, dtype()), wide = make_rnn(ctx_.get(), options, kF64);
  const std::vector<double> w_ih = random_values(60), w_hh = random_values(100), bias = random_values(20);
  const Buffer<uint16_t> ih = stored(w_ih), hh = stored(w_hh), b = stored(bias);
  const Buffer<double> wide_ih(ctx_.get(), w_ih), wide_hh(ctx_.get(), w_hh), wide_b(ctx_.get(), bias);
  Buffer<uint16_t> params(ctx_.get(), 200);
  Buffer<double> wide_params(ctx_.get(), 200);
  for (const int32_t import : {VARLSTM_FORMAT_KERAS, VARLSTM_FORMAT_ONNX, VARLSTM_FORMAT_HASTE}) {
    ASSERT_OK(varlstm_rnn_import(narrow.get(), import, 0, 0, ih.data(), hh.data(), b.data(), nullptr, params.data(),
                                 nullptr));
    ASSERT_OK(varlstm_rnn_import(wide.get(), import, 0, 0, wide_ih.data(), wide_hh.data(), wide_b.data(), nullptr,
                                 wide_params.data(), nullptr));
    EXPECT_TRUE(bitwise_equal(params.get(), format().encode(wide_params.get()))) << import;
  }
}

TEST_P(Scalar16, PackMovesBitsAndUnpackRoundsThePadValue) {
  const std::vector<int64_t> lengths = {2, 0, 5, 3};
  const Batch batch = make_batch(ctx_.get(), lengths);
  for (const int64_t features : {1, 3, 8}) {
    std::vector<uint16_t> source(static_cast<size_t>(10 * features));
    for (uint16_t& bits : source) bits = static_cast<uint16_t>(random_.integer(0, 0xffff));
    const Buffer<uint16_t> ragged(ctx_.get(), source);
    Buffer<uint16_t> packed(ctx_.get(), 10 * features), padded(ctx_.get(), 4 * 6 * features);
    ASSERT_OK(
        varlstm_pack(batch.get(), dtype(), VARLSTM_LAYOUT_RAGGED, 0, features, ragged.data(), packed.data(), nullptr));
    ASSERT_OK(varlstm_unpack(batch.get(), dtype(), VARLSTM_LAYOUT_BATCH_FIRST, 6, features, 1.0 / 3, packed.data(),
                             padded.data(), nullptr));
    std::vector<uint16_t> expected;
    auto next = source.begin();
    for (const int64_t length : lengths) {
      expected.insert(expected.end(), next, next + length * features);
      next += length * features;
      expected.insert(expected.end(), static_cast<size_t>((6 - length) * features), format().encode(1.0 / 3));
    }
    EXPECT_TRUE(bitwise_equal(padded.get(), expected)) << features;
    Buffer<uint16_t> back(ctx_.get(), 10 * features);
    ASSERT_OK(varlstm_unpack(batch.get(), dtype(), VARLSTM_LAYOUT_RAGGED, 0, features, 0, packed.data(), back.data(),
                             nullptr));
    EXPECT_TRUE(bitwise_equal(back.get(), source)) << features;
  }
}

TEST_P(Scalar16, EmbeddingSumsInFloat) {
  const int64_t rows = 300, vocab = 5, features = 7;
  const std::vector<double> table = random_values(vocab * features), dy = random_values(rows * features);
  const std::vector<int64_t> ids = random_.integers(rows, 0, vocab - 1);
  const Buffer<int64_t> id_buffer(ctx_.get(), ids);
  const Buffer<uint16_t> dy_buffer = stored(dy);
  Buffer<uint16_t> table_buffer = stored(table), y(ctx_.get(), rows * features);
  ASSERT_OK(varlstm_embedding_forward(ctx_.get(), nullptr, dtype(), rows, vocab, features, table_buffer.data(),
                                      id_buffer.data(), y.data(), nullptr));
  std::vector<double> picked, sums = table;
  for (int64_t n = 0; n < rows; ++n) {
    for (int64_t j = 0; j < features; ++j) {
      picked.push_back(table[ids[n] * features + j]);
      if (ids[n] != 2) sums[ids[n] * features + j] += dy[n * features + j];
    }
  }
  EXPECT_TRUE(bitwise_equal(y.get(), format().encode(picked)));
  int64_t bytes = 0;
  ASSERT_OK(varlstm_op_workspace(ctx_.get(), VARLSTM_OP_EMBEDDING_BACKWARD, dtype(), rows, vocab, features, &bytes));
  ByteBuffer workspace(ctx_.get(), bytes);
  ASSERT_OK(varlstm_embedding_backward(ctx_.get(), nullptr, dtype(), rows, vocab, features, 2, id_buffer.data(),
                                       dy_buffer.data(), table_buffer.data(), workspace.data(), bytes, nullptr));
  EXPECT_TRUE(rounded_close(table_buffer.get(), sums, 1e-4));
}

TEST_P(Scalar16, LinearRoundsOnce) {
  const int64_t rows = 37, in = 45, out = 19;
  const std::vector<double> x = random_values(rows * in), weight = random_values(out * in), bias = random_values(out),
                            dy = random_values(rows * out), dweight = random_values(out * in),
                            dbias = random_values(out);
  std::vector<double> y(static_cast<size_t>(rows * out)), dx(static_cast<size_t>(rows * in)), dw = dweight, db = dbias;
  for (int64_t n = 0; n < rows; ++n) {
    for (int64_t o = 0; o < out; ++o) {
      y[n * out + o] = bias[o];
      db[o] += dy[n * out + o];
      for (int64_t i = 0; i < in; ++i) {
        y[n * out + o] += x[n * in + i] * weight[o * in + i];
        dx[n * in + i] += dy[n * out + o] * weight[o * in + i];
        dw[o * in + i] += dy[n * out + o] * x[n * in + i];
      }
    }
  }
  const Buffer<uint16_t> bx = stored(x), bw = stored(weight), bb = stored(bias), bdy = stored(dy);
  Buffer<uint16_t> by(ctx_.get(), rows * out), bdx(ctx_.get(), rows * in), bdw = stored(dweight), bdb = stored(dbias);
  int64_t forward_bytes = 0, backward_bytes = 0;
  ASSERT_OK(varlstm_op_workspace(ctx_.get(), VARLSTM_OP_LINEAR_FORWARD, dtype(), rows, in, out, &forward_bytes));
  ASSERT_OK(varlstm_op_workspace(ctx_.get(), VARLSTM_OP_LINEAR_BACKWARD, dtype(), rows, in, out, &backward_bytes));
  ByteBuffer forward(ctx_.get(), forward_bytes), backward(ctx_.get(), backward_bytes);
  ASSERT_OK(varlstm_linear_forward(ctx_.get(), dtype(), rows, in, out, bx.data(), bw.data(), bb.data(), by.data(),
                                   forward.data(), forward_bytes, nullptr));
  ASSERT_OK(varlstm_linear_backward(ctx_.get(), dtype(), rows, in, out, bx.data(), bw.data(), bdy.data(), bdx.data(),
                                    bdw.data(), bdb.data(), backward.data(), backward_bytes, nullptr));
  EXPECT_TRUE(rounded_close(by.get(), y, 1e-5));
  EXPECT_TRUE(rounded_close(bdx.get(), dx, 1e-5));
  EXPECT_TRUE(rounded_close(bdw.get(), dw, 1e-5));
  EXPECT_TRUE(rounded_close(bdb.get(), db, 1e-5));
}

// The mask of the wider dtypes, and one rounding.
TEST_P(Scalar16, DropoutRoundsOnce) {
  const int64_t count = 1001;
  const std::vector<double> x = random_values(count);
  Buffer<uint16_t> y = stored(x);
  Buffer<double> wide(ctx_.get(), x);
  ASSERT_OK(varlstm_dropout_forward(ctx_.get(), dtype(), count, 0.3, 5, y.data(), y.data(), nullptr));
  ASSERT_OK(varlstm_dropout_forward(ctx_.get(), kF64, count, 0.3, 5, wide.data(), wide.data(), nullptr));
  EXPECT_TRUE(rounded_close(y.get(), wide.get(), 1e-7));
}

TEST_P(Scalar16, LogSoftmaxRoundsOnce) {
  const int64_t rows = 21, classes = 33;
  const std::vector<double> x = random_values(rows * classes, -8, 8), dy = random_values(rows * classes);
  Buffer<uint16_t> y = stored(x), dx(ctx_.get(), rows * classes);
  const Buffer<uint16_t> bdy = stored(dy);
  ASSERT_OK(varlstm_log_softmax_forward(ctx_.get(), dtype(), rows, classes, y.data(), y.data(), nullptr));
  Buffer<double> wide(ctx_.get(), x);
  ASSERT_OK(varlstm_log_softmax_forward(ctx_.get(), kF64, rows, classes, wide.data(), wide.data(), nullptr));
  EXPECT_TRUE(rounded_close(y.get(), wide.get(), 1e-5));
  const Buffer<double> wide_y(ctx_.get(), format().decode(y.get())), wide_dy(ctx_.get(), dy);
  ASSERT_OK(varlstm_log_softmax_backward(ctx_.get(), dtype(), rows, classes, y.data(), bdy.data(), dx.data(), nullptr));
  ASSERT_OK(varlstm_log_softmax_backward(ctx_.get(), kF64, rows, classes, wide_y.data(), wide_dy.data(), wide.data(),
                                         nullptr));
  EXPECT_TRUE(rounded_close(dx.get(), wide.get(), 1e-5));
}

// out, weight_sum, class_weights and dout are floats.
TEST_P(Scalar16, LossesKeepTheirScalarsInFloat) {
  for (int round = 0; round < (emulated() ? 15 : 40); ++round) {
    const LossCase c = random_loss_case(random_, 23);
    SCOPED_TRACE(round);
    const Loss loss = make_loss(ctx_.get(), c);
    const int64_t rows = c.rows(), elements = rows * c.classes;
    const std::vector<double> logits = random_values(elements, -6, 0);
    const std::vector<double> dout = random_.vector<double>(c.outputs(), 0.5, 2);
    const Buffer<int64_t> targets(ctx_.get(), c.targets);
    const Buffer<uint16_t> narrow = stored(logits);
    const Buffer<double> wide(ctx_.get(), logits), wide_weights(ctx_.get(), c.class_weights),
        wide_dout(ctx_.get(), dout);
    const Buffer<float> weights(ctx_.get(), std::vector<float>(c.class_weights.begin(), c.class_weights.end()));
    const Buffer<float> narrow_dout(ctx_.get(), std::vector<float>(dout.begin(), dout.end()));
    const void* w = c.class_weights.empty() ? nullptr : weights.data();
    const void* ww = c.class_weights.empty() ? nullptr : wide_weights.data();
    Buffer<float> out(ctx_.get(), c.outputs()), sum(ctx_.get(), 1);
    Buffer<double> wide_out(ctx_.get(), c.outputs()), wide_sum(ctx_.get(), 1), wide_gradient(ctx_.get(), elements);
    Buffer<uint16_t> gradient(ctx_.get(), elements);
    ByteBuffer work = op_workspace<double>(ctx_.get(), VARLSTM_OP_CROSS_ENTROPY, rows, c.classes, 0);
    const int64_t bytes = work.bytes();
    const auto expect_same_scalars = [&] {
      EXPECT_TRUE(all_close(out.get(), wide_out.get(), 1e-5, 1e-5));
      EXPECT_TRUE(all_close(sum.get(), wide_sum.get(), 1e-6, 0));
    };
    ASSERT_OK(varlstm_nll_forward(loss.get(), nullptr, dtype(), rows, narrow.data(), targets.data(), w, out.data(),
                                  sum.data(), work.data(), bytes, nullptr));
    ASSERT_OK(varlstm_nll_forward(loss.get(), nullptr, kF64, rows, wide.data(), targets.data(), ww, wide_out.data(),
                                  wide_sum.data(), work.data(), bytes, nullptr));
    expect_same_scalars();
    ASSERT_OK(varlstm_nll_backward(loss.get(), nullptr, dtype(), rows, targets.data(), w, narrow_dout.data(),
                                   gradient.data(), work.data(), bytes, nullptr));
    ASSERT_OK(varlstm_nll_backward(loss.get(), nullptr, kF64, rows, targets.data(), ww, wide_dout.data(),
                                   wide_gradient.data(), work.data(), bytes, nullptr));
    EXPECT_TRUE(rounded_close(gradient.get(), wide_gradient.get(), 1e-6));
    ASSERT_OK(varlstm_cross_entropy_forward(loss.get(), nullptr, dtype(), rows, narrow.data(), targets.data(), w,
                                            out.data(), sum.data(), gradient.data(), work.data(), bytes, nullptr));
    ASSERT_OK(varlstm_cross_entropy_forward(loss.get(), nullptr, kF64, rows, wide.data(), targets.data(), ww,
                                            wide_out.data(), wide_sum.data(), wide_gradient.data(), work.data(), bytes,
                                            nullptr));
    expect_same_scalars();
    EXPECT_TRUE(rounded_close(gradient.get(), wide_gradient.get(), 1e-6));
    wide_gradient.set(format().decode(gradient.get()));
    ASSERT_OK(varlstm_cross_entropy_backward(loss.get(), dtype(), rows, narrow_dout.data(), gradient.data(), nullptr));
    ASSERT_OK(varlstm_cross_entropy_backward(loss.get(), kF64, rows, wide_dout.data(), wide_gradient.data(), nullptr));
    EXPECT_TRUE(rounded_close(gradient.get(), wide_gradient.get(), 1e-6));
  }
}

// dlogits are stored in 16 bits, logits are not; dweight and dbias are rounded after the last chunk.
TEST_P(Scalar16, LinearLossKeepsItsSumsInFloat) {
  const int64_t rows = 23, in = 5, elements = rows * in;
  for (const int64_t classes : {1, 3, 40}) {
    for (const int32_t reduction : {VARLSTM_REDUCTION_NONE, VARLSTM_REDUCTION_MEAN, VARLSTM_REDUCTION_SUM}) {
      SCOPED_TRACE(testing::Message() << classes << " classes, reduction " << reduction);
      LinearLossCase<double> c;
      c.loss.classes = classes;
      c.loss.reduction = reduction;
      c.loss.smoothing = 0.125;
      c.loss.targets = random_.integers(rows, 0, classes - 1);
      c.loss.targets[3] = c.loss.ignore_index;
      if (reduction != VARLSTM_REDUCTION_SUM) c.loss.class_weights = random_.vector<double>(classes, 1, 2);
      if (reduction != VARLSTM_REDUCTION_MEAN) c.dout = random_.vector<double>(c.loss.outputs(), 0.5, 2);
      c.in = in;
      c.x = random_values(elements), c.weight = random_values(classes * in), c.bias = random_values(classes);
      const ForcedChunk chunk(7);
      const LinearLossResult<double> wide = run_linear_cross_entropy(ctx_.get(), c);
      const Narrow narrow = run_narrow(c, 0);
      EXPECT_TRUE(all_close(narrow.out, wide.out, 1e-5, 1e-5));
      EXPECT_TRUE(all_close(narrow.lse, wide.lse, 1e-5, 1e-5));
      // The magnitudes of a row's dlogits sum to 2 w dout <= 8 at most, and each of them is stored once.
      const double unit = 8 * std::ldexp(1.0, -format().significant_bits);
      EXPECT_TRUE(rounded_close(narrow.dx, wide.dx, unit + 1e-5));
      EXPECT_TRUE(rounded_close(narrow.dweight, wide.dweight, rows * unit / 2 + 1e-5));
      EXPECT_TRUE(rounded_close(narrow.dbias, wide.dbias, rows * unit / 2 + 1e-5));
    }
  }
}

// Each row adds half a unit in the last place, or less, of what dweight and dbias hold: rounded chunk by chunk, nothing
// would come of it.
// One row, so that dbias is dlogits as it was rounded, and each element of dweight and dx one product of it: the bits
// of that product, not of one with dlogits in float.
TEST_P(Scalar16, LinearLossMultipliesRoundedGradients) {
  LinearLossCase<double> c;
  c.in = 24;
  c.loss.classes = 6;
  c.loss.reduction = VARLSTM_REDUCTION_SUM;
  c.loss.targets = {2};
  c.x = random_values(c.in, 0.5, 1);
  c.weight.assign(static_cast<size_t>(c.loss.classes * c.in), 0);
  for (int64_t i = 0; i < c.in; ++i) c.weight[i % c.loss.classes * c.in + i] = random_values(1, 0.5, 1)[0];
  c.bias = random_values(c.loss.classes);
  const Narrow result = run_narrow(c, 0);
  const std::vector<double> dlogits = format().decode(result.dbias);
  std::vector<double> dweight, dx;
  for (const double gradient : dlogits)
    for (const double x : c.x) dweight.push_back(format().round(gradient * x));
  for (int64_t i = 0; i < c.in; ++i) {
    const int64_t only = i % c.loss.classes;
    dx.push_back(format().round(dlogits[only] * c.weight[only * c.in + i]));
  }
  EXPECT_EQ(format().decode(result.dweight), dweight);
  EXPECT_EQ(format().decode(result.dx), dx);
}

TEST_P(Scalar16, LinearLossRoundsItsSumsOnce) {
  const double before = std::ldexp(1.0, format().significant_bits);
  LinearLossCase<double> c;
  c.loss.classes = 2;
  c.loss.reduction = VARLSTM_REDUCTION_SUM;
  c.loss.targets.assign(40, 1);
  c.x.assign(40, 1), c.weight = {0, 0}, c.bias = {0, 0};
  const ForcedChunk chunk(1);
  const Narrow narrow = run_narrow(c, before);
  const std::vector<double> expected = {before + 20, before - 20};
  EXPECT_EQ(format().decode(narrow.dweight), expected);
  EXPECT_EQ(format().decode(narrow.dbias), expected);
}

std::string label(const ::testing::TestParamInfo<Format16>& tested) {
  return tested.param.dtype == VARLSTM_DTYPE_BF16 ? "bf16" : "f16";
}

INSTANTIATE_TEST_SUITE_P(Dtypes, Scalar16, ::testing::Values(kBf16, kF16), label);

}  // namespace
}  // namespace varlstm_test
