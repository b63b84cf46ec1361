// varlstm.hpp: handles that move and destroy themselves, exceptions with the library's text, views, memory; and that
// every function of varlstm.h is called there.
// SPDX-License-Identifier: Apache-2.0
#include "varlstm.hpp"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <functional>
#include <regex>
#include <set>
#include <sstream>

#include "support/context.h"
#include "support/test_dir.h"

namespace varlstm_test {
namespace {

// The status and text of the Error that `call` throws; OK and "" if it throws none.
template <class Call>
std::pair<int32_t, std::string> error_of(Call call) {
  try {
    call();
  } catch (const varlstm::Error& error) {
    return {error.status(), error.what()};
  }
  return {VARLSTM_OK, ""};
}

const std::vector<int64_t> kLengths = {2, 4, 0, 1};

class CapiHpp : public ::testing::Test {
 protected:
  varlstm::Context ctx_{test_backend()};
};

TEST_F(CapiHpp, AFailedCallThrowsTheLibrarysText) {
  varlstm::Batch batch(ctx_, 3, 4, 9);
  const std::vector<int64_t> lengths = {1, 9};
  try {
    batch.set_lengths(lengths);
    FAIL() << "no exception";
  } catch (const varlstm::Error& error) {
    EXPECT_EQ(error.status(), VARLSTM_ERROR_INVALID_ARGUMENT);
    EXPECT_STREQ(error.status_name(), "VARLSTM_ERROR_INVALID_ARGUMENT");
    EXPECT_STREQ(error.what(), "lengths[1] = 9 is larger than max_len = 4");
  }
  EXPECT_EQ(batch.size(), 0) << "the batch has changed";
}

TEST_F(CapiHpp, ABadContextBatchRnnOrLossThrowsWhenItIsMade) {
  EXPECT_EQ(error_of([] { varlstm::Context(7); }).first, VARLSTM_ERROR_INVALID_ARGUMENT);
  EXPECT_NE(error_of([&] { varlstm::Batch(ctx_, 3, -1, 9); }).second.find("max_len = -1"), std::string::npos);
  EXPECT_NE(error_of([&] { varlstm::Rnn<float>(ctx_, 3, 0); }).second.find("hidden_size = 0"), std::string::npos);
  EXPECT_NE(error_of([&] { varlstm::Loss<float>(ctx_, 0); }).second.find("classes = 0"), std::string::npos);
  EXPECT_NE(error_of([&] { varlstm::Rnn<double>(ctx_, 3, 5, 1, 99); }).second.find("cell = 99"), std::string::npos);
}

TEST_F(CapiHpp, ABatchFromBadLengthsNamesTheLength) {
  const auto text_of = [&](const std::vector<int64_t>& lengths) {
    return error_of([&] { varlstm::Batch(ctx_, lengths); }).second;
  };
  EXPECT_EQ(text_of({3, -1}), "lengths[1] = -1 is smaller than 0");
  EXPECT_EQ(text_of({-7}), "lengths[0] = -7 is smaller than 0");
  EXPECT_EQ(text_of({-3, 5, -2}), "lengths[0] = -3 is smaller than 0");
  EXPECT_EQ(text_of({INT64_MIN, 5}), "lengths[0] = -9223372036854775808 is smaller than 0");
  EXPECT_EQ(text_of({INT64_MAX}),
            "lengths[0] = 9223372036854775807 makes the sum of the lengths more than fits in memory");
  EXPECT_EQ(text_of({5, INT64_MAX, INT64_MAX}),
            "lengths[1] = 9223372036854775807 makes the sum of the lengths more than fits in memory");
  EXPECT_EQ(text_of({int64_t{1} << 52, 3, int64_t{1} << 52}),
            "lengths[2] = 4503599627370496 makes the sum of the lengths more than fits in memory");
  EXPECT_EQ(error_of([&] { varlstm::Batch(ctx_, {3, -1}); }).second, "lengths[1] = -1 is smaller than 0");
  // A null pointer and a size, which is how {0, 2} would read as a span.
  EXPECT_EQ(error_of([&] { varlstm::Batch(ctx_, varlstm::Span<const int64_t>(nullptr, 2)); }).second,
            "lengths is NULL");
}

TEST_F(CapiHpp, LengthsInBraces) {
  varlstm::Batch batch(ctx_, {0, 2});
  EXPECT_EQ(batch.size(), 2);
  EXPECT_EQ(batch.rows(), 2);
  batch.set_lengths({1, 0});
  EXPECT_EQ(batch.rows(), 1);
  EXPECT_EQ(varlstm::Batch(ctx_, {}).size(), 0);
}

TEST_F(CapiHpp, BadBatchSizesAreNamed) {
  varlstm::Batch batch(ctx_, 3, 3, 6);
  const auto text_of = [&](const std::vector<int64_t>& batch_sizes, const std::vector<int64_t>& sorted) {
    return error_of([&] { batch.from_batch_sizes(batch_sizes, sorted); }).second;
  };
  EXPECT_EQ(text_of({-1, 1}, {0}), "batch_sizes[0] = -1 is smaller than 1");
  EXPECT_EQ(text_of({2, 3}, {0, 1}), "batch_sizes[1] = 3 is larger than batch_sizes[0] = 2");
  EXPECT_EQ(text_of({2, 1}, {0, 2}), "sorted_indices[1] = 2 is larger than the last sequence = 1");
  const varlstm::Span<const int64_t> null(nullptr, 2);
  EXPECT_EQ(error_of([&] { batch.from_batch_sizes(null); }).second, "batch_sizes is NULL");
}

// What the wrapper checks of its own accord may not name another argument than the wrong one.
TEST_F(CapiHpp, AWrongArgumentIsNamedByItsOwnName) {
  varlstm::Workspace work(ctx_);
  varlstm::Buffer<float> a(ctx_, 64), b(ctx_, 64), c(ctx_, 64), d(ctx_, 64);
  const varlstm::Buffer<int64_t> ids = varlstm::Buffer<int64_t>::zeros(ctx_, 4);
  const auto begins = [](const std::pair<int32_t, std::string>& error, const std::string& begin) {
    EXPECT_EQ(error.first, VARLSTM_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(error.second.substr(0, begin.size()), begin);
  };
  for (const int64_t bad : {-1, 0}) {
    const std::string value = " = " + std::to_string(bad) + " is smaller than 1";
    begins(error_of([&] { varlstm::linear_forward<float>(ctx_, 4, bad, 2, a, b, {}, c, work); }), "in" + value);
    begins(error_of([&] { varlstm::linear_forward<float>(ctx_, 4, 2, bad, a, b, {}, c, work); }), "out" + value);
    begins(error_of([&] { varlstm::linear_backward<float>(ctx_, 4, 2, bad, a, b, c, d, {}, {}, work); }),
           "out" + value);
    begins(error_of([&] { varlstm::embedding_backward<float>(ctx_, nullptr, 4, bad, 2, -1, ids, a, b, work); }),
           "vocab" + value);
    begins(error_of([&] { varlstm::embedding_backward<float>(ctx_, nullptr, 4, 2, bad, -1, ids, a, b, work); }),
           "features" + value);
    varlstm::Loss<float> loss(ctx_, 3);
    begins(error_of([&] { loss.linear_cross_entropy_forward(nullptr, 4, bad, a, b, {}, ids, {}, c, {}, {}, work); }),
           "in" + value);
  }
  begins(error_of([&] { varlstm::linear_forward<float>(ctx_, -3, 2, 2, a, b, {}, c, work); }),
         "rows = -3 is smaller than 0");

  const varlstm::Batch batch(ctx_, kLengths);
  begins(error_of([&] { varlstm::pack<float>(batch, varlstm::Layout{7, 100}, 3, a, b); }), "layout = 7");
  begins(error_of([&] { varlstm::unpack<float>(batch, varlstm::Layout{-1, 100}, 3, 0.0, a, b); }), "layout = -1");
  const varlstm::Rnn<float> rnn(ctx_, 3, 1, 2);
  for (const int64_t layer : {-1, 2}) {
    begins(error_of([&] { rnn.import_params(VARLSTM_FORMAT_PYTORCH, layer, 0, a.span().subspan(0, 2), b, {}, {}, c); }),
           "layer = " + std::to_string(layer));
  }
}

TEST_F(CapiHpp, WhatWasMovedFromIsAnInvalidHandleAndIsDestroyedInSilence) {
  varlstm::Batch first(ctx_, kLengths);
  varlstm::Batch second(std::move(first));
  EXPECT_EQ(second.rows(), 7);
  EXPECT_EQ(error_of([&] { first.rows(); }).first, VARLSTM_ERROR_INVALID_HANDLE);  // NOLINT: that is the point

  varlstm::Rnn<float> rnn(ctx_, 3, 5), other_rnn(std::move(rnn));
  EXPECT_EQ(other_rnn.param_elements(), 4 * 5 * (3 + 5 + 2));
  EXPECT_EQ(error_of([&] { rnn.param_elements(); }).first, VARLSTM_ERROR_INVALID_HANDLE);

  varlstm::Loss<float> loss(ctx_, 6), other_loss(std::move(loss));
  EXPECT_EQ(other_loss.get_i64(VARLSTM_KEY_CLASSES), 6);
  EXPECT_EQ(error_of([&] { loss.get_i64(VARLSTM_KEY_CLASSES); }).first, VARLSTM_ERROR_INVALID_HANDLE);

  varlstm::Buffer<float> buffer(ctx_, 8), other_buffer(std::move(buffer));
  EXPECT_EQ(other_buffer.size(), 8);
  EXPECT_EQ(buffer.size(), 0);
  EXPECT_EQ(buffer.data(), nullptr);
}

// A context refuses to be destroyed while something made from it lives: varlstm_ctx_destroy tells whether any is left.
TEST_F(CapiHpp, AssigningDestroysTheOldHandleBeforeItsContext) {
  auto raw = std::shared_ptr<varlstm_ctx>();
  int32_t destroyed = -1;
  {
    varlstm_ctx* handle = nullptr;
    ASSERT_OK(varlstm_ctx_create(test_backend(), 0, &handle));
    raw.reset(handle, [&destroyed](varlstm_ctx* ctx) { destroyed = varlstm_ctx_destroy(ctx); });
  }
  varlstm::Batch batch(varlstm::Context(std::move(raw)), kLengths);
  EXPECT_EQ(destroyed, -1) << "the context has to live as long as its batch";
  batch = varlstm::Batch(ctx_, 1, 1, 1);
  EXPECT_EQ(destroyed, VARLSTM_OK);
  EXPECT_EQ(batch.get_i64(VARLSTM_KEY_MAX_BATCH), 1);
}

TEST_F(CapiHpp, AContextLivesAsLongAsWhatWasMadeFromIt) {
  const auto make = [] {
    return varlstm::Buffer<double>(varlstm::Context(test_backend()), std::vector<double>{1.5, 2.5});
  };
  const varlstm::Buffer<double> buffer = make();
  EXPECT_EQ(buffer.download(), (std::vector<double>{1.5, 2.5}));
}

TEST_F(CapiHpp, AHandleThatCAlreadyDestroyedIsNotTouchedAgain) {
  {
    varlstm::Batch batch(ctx_, kLengths);
    ASSERT_OK(varlstm_batch_destroy(batch.get()));
    EXPECT_EQ(error_of([&] { batch.size(); }).first, VARLSTM_ERROR_INVALID_HANDLE);
  }
  varlstm::Batch next(ctx_, kLengths);
  EXPECT_EQ(next.rows(), 7);
}

TEST_F(CapiHpp, SpansViewWhatHasDataAndSize) {
  float array[3] = {1, 2, 3};
  const std::array<float, 2> two = {4, 5};
  const std::vector<float> vector = {6, 7, 8, 9};
  EXPECT_EQ(varlstm::Span<const float>(array).size(), 3);
  EXPECT_EQ(varlstm::Span<const float>(two).data(), two.data());
  const varlstm::Span<const float> view = vector;
  EXPECT_EQ(view.subspan(1, 2).data()[1], 8.0f);
  EXPECT_TRUE(view.subspan(4, 0).empty());
  EXPECT_EQ(varlstm::Span<const float>(std::vector<float>()).data(), nullptr);
  EXPECT_EQ(varlstm::Span<float>(array, 0).data(), nullptr) << "{} is NULL";
  const std::string text = error_of([&] { view.subspan(3, 2); }).second;
  EXPECT_EQ(text, "first = 3 with count = 2 lies outside the span's size = 4");
  EXPECT_FALSE((std::is_convertible_v<const std::vector<float>&, varlstm::Span<float>>)) << "const is lost";
  EXPECT_FALSE((std::is_convertible_v<const std::vector<int>&, varlstm::Span<const int64_t>>)) << "of another type";
}

TEST_F(CapiHpp, BuffersCopyBothWays) {
  varlstm::Buffer<int64_t> buffer(ctx_, std::vector<int64_t>{5, 6, 7});
  buffer.upload(std::vector<int64_t>{8});
  EXPECT_EQ(buffer.download(), (std::vector<int64_t>{8, 6, 7}));
  varlstm::Buffer<int64_t> copy(ctx_, 3);
  varlstm::copy<int64_t>(ctx_, copy, buffer, VARLSTM_COPY_WITHIN_BACKEND);
  varlstm::zero<int64_t>(ctx_, copy.span().subspan(1, 1));
  ctx_.sync();
  EXPECT_EQ(copy.download(), (std::vector<int64_t>{8, 0, 7}));
  copy.zero();
  EXPECT_EQ(copy.download(), (std::vector<int64_t>{0, 0, 0}));
  EXPECT_EQ(varlstm::Buffer<float>::zeros(ctx_, 2).download(), (std::vector<float>{0, 0}));
  EXPECT_TRUE(varlstm::Buffer<float>(ctx_, 0).download().empty());
  buffer.upload(std::vector<int64_t>{1, 2, 3});
  std::vector<int64_t> first(2);
  buffer.download(first);
  EXPECT_EQ(first, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(buffer.bytes(), 24);
  EXPECT_EQ(varlstm::Buffer<float>().bytes(), 0);

  EXPECT_EQ(error_of([&] { buffer.upload(std::vector<int64_t>(4)); }).second,
            "buffer has 3 elements, fewer than values.size() = 4");
  std::vector<int64_t> too_many(4);
  EXPECT_EQ(error_of([&] { buffer.download(too_many); }).second, "buffer has 3 elements, fewer than values.size() = 4");
  EXPECT_EQ(error_of([&] { varlstm::Buffer<float>(ctx_, -2); }).second, "size = -2 is negative");
  EXPECT_EQ(error_of([&] { varlstm::Buffer<double>(ctx_, INT64_MAX / 4); }).second,
            "size = 2305843009213693951 is more than fits in memory");
}

TEST_F(CapiHpp, AWorkspaceGrowsAndNeverShrinks) {
  varlstm::Workspace workspace(ctx_);
  EXPECT_EQ(workspace.bytes(), 0);
  workspace.grow(1000);
  const void* memory = workspace.data();
  workspace.grow(10);
  EXPECT_EQ(workspace.bytes(), 1000);
  EXPECT_EQ(workspace.data(), memory) << "memory that is enough was replaced";
}

TEST_F(CapiHpp, AnRnnOfEachCell) {
  const std::pair<int32_t, int64_t> cells[] = {{VARLSTM_CELL_LSTM, 4},
                                               {VARLSTM_CELL_GRU, 3},
                                               {VARLSTM_CELL_RNN_TANH, 1},
                                               {VARLSTM_CELL_RNN_RELU, 1},
                                               {VARLSTM_CELL_GRU_RESET_BEFORE, 3}};
  for (const auto& [cell, gates] : cells) {
    const varlstm::Rnn<float> rnn(ctx_, 3, 5, 1, cell);
    EXPECT_EQ(rnn.get_i64(VARLSTM_KEY_CELL), cell);
    EXPECT_EQ(rnn.gates(), gates);
    EXPECT_EQ(rnn.params()[0].rows, gates * 5);
    EXPECT_EQ(rnn.param_elements(), gates * 5 * (3 + 5 + 2));
  }
}

TEST_F(CapiHpp, ACOfACellWithoutCIsRefusedByName) {
  const varlstm::Rnn<float> gru(ctx_, 3, 5, 1, VARLSTM_CELL_GRU);
  const varlstm::Batch batch(ctx_, kLengths);
  const auto zeros = [&](int64_t count) { return varlstm::Buffer<float>::zeros(ctx_, count); };
  varlstm::Buffer<float> params = zeros(gru.param_elements()), x = zeros(7 * 3), y = zeros(7 * 5);
  varlstm::Buffer<float> state = zeros(4 * 5);
  varlstm::Workspace work(ctx_), reserve(ctx_);
  gru.forward_save(batch, {params, x}, {y}, work, reserve);
  const auto expect_named = [&](const std::string& name, const std::function<void()>& call) {
    const std::string text = error_of(call).second;
    EXPECT_EQ(text.substr(0, name.size() + 3), name + " = ") << text;
    EXPECT_NE(text.find("VARLSTM_CELL_GRU"), std::string::npos) << text;
  };
  expect_named("c0", [&] { gru.forward(batch, {params, x, {}, state}, {y}, work); });
  expect_named("c_n", [&] { gru.forward(batch, {params, x}, {y, {}, state}, work); });
  expect_named("dc_n", [&] { gru.backward(batch, {params, x}, y, {{}, {}, state}, {}, work, reserve); });
  expect_named("dc0", [&] { gru.backward(batch, {params, x}, y, {}, {{}, {}, {}, state}, work, reserve); });
}

TEST_F(CapiHpp, OptionsAreReadBack) {
  varlstm::Rnn<double> rnn(ctx_, 3, 5, 2);
  EXPECT_EQ(rnn.get_i64(VARLSTM_KEY_DTYPE), VARLSTM_DTYPE_F64);
  EXPECT_EQ(varlstm::Rnn<varlstm::Bf16>(ctx_, 3, 5).get_i64(VARLSTM_KEY_DTYPE), VARLSTM_DTYPE_BF16);
  rnn.set_i64(VARLSTM_KEY_BIDIRECTIONAL, 1);
  rnn.set_f64(VARLSTM_KEY_DROPOUT, 0.25);
  EXPECT_EQ(rnn.get_f64(VARLSTM_KEY_DROPOUT), 0.25);
  EXPECT_EQ(error_of([&] { rnn.set_i64(VARLSTM_KEY_DTYPE, VARLSTM_DTYPE_F32); }).second,
            "value = 0 of VARLSTM_KEY_DTYPE is not the dtype of this Rnn<T>, which is 1");
  const std::vector<varlstm::ParamInfo> params = rnn.params();
  ASSERT_EQ(params.size(), 16u);
  EXPECT_EQ(params[4].name, "weight_ih_l0_reverse");
  EXPECT_EQ(params[1].offset, 4 * 5 * 3);
  EXPECT_EQ(params[8].cols, 2 * 5) << "the upper layer reads both directions";

  varlstm::Loss<float> loss(ctx_, 4);
  loss.set_i64(VARLSTM_KEY_IGNORE_INDEX, 0);
  loss.set_f64(VARLSTM_KEY_LABEL_SMOOTHING, 0.5);
  EXPECT_EQ(loss.get_i64(VARLSTM_KEY_IGNORE_INDEX), 0);
  EXPECT_EQ(loss.get_f64(VARLSTM_KEY_LABEL_SMOOTHING), 0.5);

  ctx_.set_i64(VARLSTM_KEY_BATCH_INVARIANT, 0);
  EXPECT_EQ(ctx_.get_i64(VARLSTM_KEY_BATCH_INVARIANT), 0);
  EXPECT_EQ(varlstm::version(), varlstm_version());
  EXPECT_STREQ(varlstm::build_info(), varlstm_build_info());
  EXPECT_EQ(varlstm::device_count(VARLSTM_BACKEND_HOST), 1);
}

TEST_F(CapiHpp, ABatchOfAPackedSequencesFields) {
  const std::vector<int64_t> batch_sizes = {3, 2, 1}, sorted = {2, 0, 1};
  varlstm::Batch batch(ctx_, 3, 3, 6);
  batch.from_batch_sizes(batch_sizes, sorted);
  std::vector<int64_t> lengths(3);
  varlstm::copy<int64_t>(ctx_, lengths, batch.array(VARLSTM_BATCH_LENGTHS), VARLSTM_COPY_TO_HOST);
  EXPECT_EQ(lengths, (std::vector<int64_t>{2, 1, 3}));
  EXPECT_EQ(
      error_of([&] { batch.from_batch_sizes(batch_sizes, varlstm::Span<const int64_t>(sorted).subspan(0, 2)); }).second,
      "sorted_indices has 2 elements, fewer than batch_sizes[0] = 3");
}

TEST_F(CapiHpp, LengthsInTheBackEndsMemoryAreClampedAndReported) {
  const varlstm::Buffer<int64_t> lengths(ctx_, std::vector<int64_t>{2, 9});
  varlstm::Batch batch(ctx_, 2, 4, 8);
  batch.set_lengths(lengths, VARLSTM_SPACE_BACKEND);
  const varlstm::DeviceStatus status = ctx_.device_status(true);
  EXPECT_EQ(status.bits, VARLSTM_DEVICE_STATUS_LENGTH);
  EXPECT_EQ(status.first_index, 1);
  EXPECT_EQ(ctx_.device_status(false).bits, 0) << "not cleared";
  EXPECT_EQ(batch.rows(), test_backend() == VARLSTM_BACKEND_HOST ? 6 : 8) << "rows that the caller has to provide";
}

std::string read(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return text.str();
}

std::set<std::string> functions_in(const std::string& text) {
  const std::regex call("\\bvarlstm_[a-z0-9_]+(?=[(,>)])");
  return {std::sregex_token_iterator(text.begin(), text.end(), call), std::sregex_token_iterator()};
}

TEST(CapiHppHeader, CallsEveryFunctionOfVarlstmH) {
  const std::string include = test_dir() + "/../capi/include/";
  std::string text;
  for (const char* part : {"core", "batch", "rnn", "operations", "conv_max", "loss", "optimizer", "rows"}) {
    text += read(include + "varlstm/" + part + ".hpp");
  }
  const std::set<std::string> called = functions_in(text);
  const std::string header = read(include + "varlstm.h");
  const std::regex declaration("VARLSTM_API [a-z0-9_ ]+\\*? ?(varlstm_[a-z0-9_]+)\\(");
  int functions = 0;
  for (std::sregex_iterator found(header.begin(), header.end(), declaration), end; found != end; ++found, ++functions) {
    EXPECT_EQ(called.count((*found)[1]), 1u) << (*found)[1] << " is not called by varlstm.hpp";
  }
  EXPECT_EQ(functions, 78);
}

}  // namespace
}  // namespace varlstm_test
