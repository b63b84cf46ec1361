// varlstm_rnn_import: the foreign layouts of varlstm.h, each made here from PyTorch's by its definition and imported
// back, into every layer and direction.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>

#include "support/compare.h"
#include "support/rnn_reference.h"
#include "support/rnn_runner.h"

namespace varlstm_test {
namespace {

// One cell in one format. gates[q] is the place among PyTorch's gates of the format's gate q.
struct Format {
  int32_t cell, format;
  std::array<int, kMostGates> gates;
  bool columns;   // matrices are [in, GH] instead of [GH, in]
  bool one_bias;  // a single bias: the sum of PyTorch's two, b_hh NULL
};

constexpr Format kFormats[] = {{VARLSTM_CELL_LSTM, VARLSTM_FORMAT_PYTORCH, {0, 1, 2, 3}, false, false},  // i, f, g, o
                               {VARLSTM_CELL_LSTM, VARLSTM_FORMAT_CUDNN, {0, 1, 2, 3}, false, false},
                               {VARLSTM_CELL_LSTM, VARLSTM_FORMAT_KERAS, {0, 1, 2, 3}, true, true},
                               {VARLSTM_CELL_LSTM, VARLSTM_FORMAT_ONNX, {0, 3, 1, 2}, false, false},  // i, o, f, c
                               {VARLSTM_CELL_LSTM, VARLSTM_FORMAT_HASTE, {0, 2, 1, 3}, true, true},   // i, g, f, o
                               {VARLSTM_CELL_GRU, VARLSTM_FORMAT_PYTORCH, {0, 1, 2}, false, false},   // r, z, n
                               {VARLSTM_CELL_GRU, VARLSTM_FORMAT_CUDNN, {0, 1, 2}, false, false},
                               {VARLSTM_CELL_GRU, VARLSTM_FORMAT_KERAS, {1, 0, 2}, true, false},  // z, r, h
                               {VARLSTM_CELL_GRU, VARLSTM_FORMAT_ONNX, {1, 0, 2}, false, false},
                               {VARLSTM_CELL_GRU, VARLSTM_FORMAT_HASTE, {1, 0, 2}, true, false},  // z, r, g
                               {VARLSTM_CELL_RNN_TANH, VARLSTM_FORMAT_PYTORCH, {0}, false, false},
                               {VARLSTM_CELL_RNN_TANH, VARLSTM_FORMAT_CUDNN, {0}, false, false},
                               {VARLSTM_CELL_RNN_TANH, VARLSTM_FORMAT_KERAS, {0}, true, true},
                               {VARLSTM_CELL_RNN_TANH, VARLSTM_FORMAT_ONNX, {0}, false, false},
                               {VARLSTM_CELL_RNN_RELU, VARLSTM_FORMAT_PYTORCH, {0}, false, false},
                               {VARLSTM_CELL_RNN_RELU, VARLSTM_FORMAT_CUDNN, {0}, false, false},
                               {VARLSTM_CELL_RNN_RELU, VARLSTM_FORMAT_KERAS, {0}, true, true},
                               {VARLSTM_CELL_RNN_RELU, VARLSTM_FORMAT_ONNX, {0}, false, false},
                               {VARLSTM_CELL_GRU_RESET_BEFORE, VARLSTM_FORMAT_KERAS, {1, 0, 2}, true, true},  // z, r, h
                               {VARLSTM_CELL_GRU_RESET_BEFORE, VARLSTM_FORMAT_ONNX, {1, 0, 2}, false, false}};

// matrix [GH, cols] in PyTorch's layout; a bias has one column.
template <class T>
std::vector<T> to_foreign(const Format& format, int64_t hidden, int64_t cols, const std::vector<T>& matrix) {
  std::vector<T> foreign(matrix.size());
  const int64_t gates = tested_cell(format.cell).gates;
  for (int64_t q = 0; q < gates; ++q) {
    for (int64_t u = 0; u < hidden; ++u) {
      for (int64_t k = 0; k < cols; ++k) {
        const int64_t row = q * hidden + u;
        const int64_t at = format.columns ? k * gates * hidden + row : row * cols + k;
        foreign[at] = matrix[(format.gates[q] * hidden + u) * cols + k];
      }
    }
  }
  return foreign;
}

template <class T>
class RnnImport : public ::testing::Test {
 protected:
  Context context_ = make_context();
  Random random_{71};

  RnnOptions options(bool bias, int32_t cell = VARLSTM_CELL_LSTM) {
    RnnOptions options;
    options.cell = cell;
    options.input = 3;
    options.hidden = 5;
    options.layers = 2;
    options.bidirectional = true;
    options.bias = bias;
    return options;
  }

  // Imports every layer and direction of `params` by way of `format`; a format of one bias finds their sum in b_ih.
  std::vector<T> import_all(const Format& format, const RnnOptions& o, std::vector<T> params, Buffer<T>* target) {
    const Rnn rnn = make_rnn(context_.get(), o, kDType<T>);
    const int64_t gates = tested_cell(o.cell).gates * o.hidden;
    for (int64_t layer = 0; layer < o.layers; ++layer) {
      const int64_t in = layer == 0 ? o.input : 2 * o.hidden;
      for (int64_t d = 0; d < 2; ++d) {
        const RnnWeights<T> w = rnn_weights<T>(o, params.data(), layer, d);
        if (o.bias && format.one_bias) {
          for (int64_t k = 0; k < gates; ++k) {
            w.b_ih[k] += w.b_hh[k];
            w.b_hh[k] = T(0);
          }
        }
        const auto foreign = [&](const T* from, int64_t cols) {
          return from == nullptr ? std::vector<T>()
                                 : to_foreign(format, o.hidden, cols, std::vector<T>(from, from + gates * cols));
        };
        const Buffer<T> w_ih(context_.get(), foreign(w.w_ih, in)), w_hh(context_.get(), foreign(w.w_hh, o.hidden));
        const Buffer<T> b_ih(context_.get(), foreign(w.b_ih, 1)), b_hh(context_.get(), foreign(w.b_hh, 1));
        EXPECT_OK(varlstm_rnn_import(rnn.get(), format.format, layer, static_cast<int32_t>(d), w_ih.data(), w_hh.data(),
                                     o.bias ? b_ih.data() : nullptr, o.bias && !format.one_bias ? b_hh.data() : nullptr,
                                     target->data(), nullptr));
      }
    }
    return params;
  }
};

using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(RnnImport, Scalars);

TYPED_TEST(RnnImport, EveryFormatGivesPyTorchsParameters) {
  for (const Format& format : kFormats) {
    if (!tested_cell(format.cell).on(test_backend())) continue;
    for (const bool bias : {false, true}) {
      SCOPED_TRACE(tested_cell(format.cell).name + std::string(" of format ") + std::to_string(format.format));
      const RnnOptions options = this->options(bias, format.cell);
      const auto params = this->random_.template vector<TypeParam>(rnn_param_count(options));
      Buffer<TypeParam> imported(this->context_.get(), params.size());
      const auto expected = this->import_all(format, options, params, &imported);
      EXPECT_TRUE(bitwise_equal(imported.get(), expected));
    }
  }
}

TYPED_TEST(RnnImport, AMissingBiasIsZero) {
  const RnnOptions options = this->options(true);
  const Rnn rnn = make_rnn(this->context_.get(), options, kDType<TypeParam>);
  const auto w_ih = this->random_.template vector<TypeParam>(20 * 3),
             w_hh = this->random_.template vector<TypeParam>(20 * 5);
  const Buffer<TypeParam> ih(this->context_.get(), w_ih), hh(this->context_.get(), w_hh);
  Buffer<TypeParam> params(this->context_.get(), rnn_param_count(options));
  ASSERT_OK(varlstm_rnn_import(rnn.get(), VARLSTM_FORMAT_PYTORCH, 0, 0, ih.data(), hh.data(), nullptr, nullptr,
                               params.data(), nullptr));
  const std::vector<TypeParam> all = params.get();
  EXPECT_TRUE(bitwise_equal(std::vector<TypeParam>(all.begin(), all.begin() + 60), w_ih));
  EXPECT_TRUE(bitwise_equal(std::vector<TypeParam>(all.begin() + 160, all.begin() + 200),
                            std::vector<TypeParam>(40, TypeParam(0))));
  for (size_t k = 200; k < all.size(); ++k) EXPECT_TRUE(std::isnan(all[k])) << "another layer was written";
}

TYPED_TEST(RnnImport, ABiasForAnRnnWithoutIsRefused) {
  const RnnOptions options = this->options(false);
  const Rnn rnn = make_rnn(this->context_.get(), options, kDType<TypeParam>);
  const Buffer<TypeParam> w_ih(this->context_.get(), 60), w_hh(this->context_.get(), 100), b(this->context_.get(), 20);
  Buffer<TypeParam> params(this->context_.get(), rnn_param_count(options));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "b_ih",
               varlstm_rnn_import(rnn.get(), VARLSTM_FORMAT_PYTORCH, 0, 0, w_ih.data(), w_hh.data(), b.data(), nullptr,
                                  params.data(), nullptr));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "b_hh",
               varlstm_rnn_import(rnn.get(), VARLSTM_FORMAT_PYTORCH, 0, 0, w_ih.data(), w_hh.data(), nullptr, b.data(),
                                  params.data(), nullptr));
}

TYPED_TEST(RnnImport, AFormatRefusesTheCellAndTheBiasThatItDoesNotHave) {
  if (!tested_cell(VARLSTM_CELL_RNN_TANH).on(test_backend())) GTEST_SKIP() << "this back end does not have the cell";
  const RnnOptions options = this->options(true, VARLSTM_CELL_RNN_TANH);
  const Rnn rnn = make_rnn(this->context_.get(), options, kDType<TypeParam>);
  const Buffer<TypeParam> w_ih(this->context_.get(), 15), w_hh(this->context_.get(), 25), b(this->context_.get(), 5);
  Buffer<TypeParam> params(this->context_.get(), rnn_param_count(options));
  EXPECT_ERROR(VARLSTM_ERROR_UNSUPPORTED, "format = 4",
               varlstm_rnn_import(rnn.get(), VARLSTM_FORMAT_HASTE, 0, 0, w_ih.data(), w_hh.data(), b.data(), nullptr,
                                  params.data(), nullptr));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "b_hh",
               varlstm_rnn_import(rnn.get(), VARLSTM_FORMAT_KERAS, 0, 0, w_ih.data(), w_hh.data(), b.data(), b.data(),
                                  params.data(), nullptr));
}

TYPED_TEST(RnnImport, OnlyKerasAndOnnxHaveAResetBefore) {
  if (!tested_cell(VARLSTM_CELL_GRU_RESET_BEFORE).on(test_backend())) GTEST_SKIP() << "this back end does not have it";
  const RnnOptions options = this->options(true, VARLSTM_CELL_GRU_RESET_BEFORE);
  const Rnn rnn = make_rnn(this->context_.get(), options, kDType<TypeParam>);
  const Buffer<TypeParam> w_ih(this->context_.get(), 45), w_hh(this->context_.get(), 75), b(this->context_.get(), 15);
  Buffer<TypeParam> params(this->context_.get(), rnn_param_count(options));
  for (const int32_t format : {VARLSTM_FORMAT_PYTORCH, VARLSTM_FORMAT_CUDNN, VARLSTM_FORMAT_HASTE})
    EXPECT_ERROR(VARLSTM_ERROR_UNSUPPORTED, "VARLSTM_CELL_GRU_RESET_BEFORE",
                 varlstm_rnn_import(rnn.get(), format, 0, 0, w_ih.data(), w_hh.data(), b.data(), nullptr, params.data(),
                                    nullptr));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "b_hh",
               varlstm_rnn_import(rnn.get(), VARLSTM_FORMAT_KERAS, 0, 0, w_ih.data(), w_hh.data(), b.data(), b.data(),
                                  params.data(), nullptr));
}

}  // namespace
}  // namespace varlstm_test
