// The tutorial's network: three sentences, 10 words, 6 tags, <PAD> = 0. PyTorch's side (golden/make_golden.py) pads,
// packs, unpacks, flattens and masks as the tutorial does; here nothing is ever padded.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "golden/golden.h"
#include "support/compare.h"
#include "support/tagger_chain.h"

namespace varlstm_test {
namespace {

constexpr double kTolerance = 1e-6;  // relative
constexpr double kNegligible = 1e-12;

ChainParams<double> params_of(const GoldenCase& golden, const std::string& prefix) {
  ChainParams<double> params{golden.real(prefix + "embedding.weight"),
                             {},
                             golden.real(prefix + "linear.weight"),
                             golden.real(prefix + "linear.bias")};
  for (const char* name : {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}) {
    const std::vector<double>& tensor = golden.real(prefix + "lstm." + name);
    params.rnn.insert(params.rnn.end(), tensor.begin(), tensor.end());
  }
  return params;
}

void expect_close(const ChainParams<double>& actual, const ChainParams<double>& expected) {
  EXPECT_TRUE(all_close(actual.table, expected.table, kTolerance, kNegligible));
  EXPECT_TRUE(all_close(actual.rnn, expected.rnn, kTolerance, kNegligible));
  EXPECT_TRUE(all_close(actual.weight, expected.weight, kTolerance, kNegligible));
  EXPECT_TRUE(all_close(actual.bias, expected.bias, kTolerance, kNegligible));
}

void sgd(varlstm_ctx* context, double lr, const std::vector<double>& gradient, std::vector<double>* params) {
  Buffer<double> values(context, *params);
  const Buffer<double> grads(context, gradient);
  REQUIRE_OK(varlstm_sgd_step(context, VARLSTM_DTYPE_F64, values.count(), lr, 0.0, 0.0, 0, values.data(), grads.data(),
                              nullptr, nullptr));
  *params = values.get();
}

class Tutorial : public ::testing::Test {
 protected:
  TaggerChain<double> chain(bool embed_padded, bool fused) {
    ChainShape shape;
    shape.rnn.input = 3;
    shape.rnn.hidden = 20;
    shape.vocab = 10;
    shape.classes = 6;
    shape.lengths = {7, 2, 2};
    shape.embed_padded = embed_padded;
    shape.fused = fused;
    shape.ignore_index = 0;
    shape.padding_idx = 0;
    return TaggerChain<double>(context_.get(), shape, {1, 2, 3, 4, 5, 6, 7, 8, 8, 7, 9},
                               {1, 2, 3, 3, 3, 1, 4, 5, 5, 4, 5}, golden_.real("h0"), golden_.real("c0"));
  }

  const GoldenFile file_ = read_golden("tutorial.txt");
  const GoldenCase& golden_ = file_.cases.at(0);
  Context context_ = make_context();
};

TEST_F(Tutorial, LossAndEveryGradientEqualPyTorchs) {
  for (const bool embed_padded : {false, true}) {
    for (const bool fused : {false, true}) {
      TaggerChain<double> ours = chain(embed_padded, fused);
      const ChainResult<double> result = ours.run(params_of(golden_, ""));
      EXPECT_NEAR(result.loss[0], golden_.real("losses")[0], kTolerance * golden_.real("losses")[0]);
      expect_close(result.gradients, params_of(golden_, "d"));
    }
  }
}

TEST_F(Tutorial, FiftyStepsOfSgdEqualPyTorchs) {
  TaggerChain<double> ours = chain(false, true);
  ChainParams<double> params = params_of(golden_, "");
  const double lr = golden_.scalar("lr");
  const std::vector<double>& losses = golden_.real("losses");
  ASSERT_EQ(losses.size(), 50u);
  for (size_t step = 0; step < losses.size(); ++step) {
    const ChainResult<double> result = ours.run(params);
    EXPECT_NEAR(result.loss[0], losses[step], kTolerance * losses[step]) << "step " << step;
    sgd(context_.get(), lr, result.gradients.table, &params.table);
    sgd(context_.get(), lr, result.gradients.rnn, &params.rnn);
    sgd(context_.get(), lr, result.gradients.weight, &params.weight);
    sgd(context_.get(), lr, result.gradients.bias, &params.bias);
  }
  expect_close(params, params_of(golden_, "final_"));
}

}  // namespace
}  // namespace varlstm_test
