// The LSTM against PyTorch's nn.LSTM on a PackedSequence: golden/lstm.txt, 1-3 layers x directions x bias x state.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "golden/golden.h"
#include "support/compare.h"
#include "support/rnn_runner.h"

namespace varlstm_test {
namespace {

// The flat buffer from the tensors that varlstm_rnn_param_info names, each item prefixed with `prefix` in the file.
std::vector<double> flat_params(const GoldenCase& golden, const varlstm_rnn* rnn, const std::string& prefix) {
  int64_t tensors = 0, elements = 0;
  REQUIRE_OK(varlstm_rnn_param_count(rnn, &tensors, &elements));
  std::vector<double> flat(static_cast<size_t>(elements));
  int64_t filled = 0;
  for (int64_t index = 0; index < tensors; ++index) {
    const char* name = nullptr;
    int64_t offset = 0, rows = 0, cols = 0;
    REQUIRE_OK(varlstm_rnn_param_info(rnn, index, &name, &offset, &rows, &cols));
    const GoldenTensor& tensor = golden.tensor(prefix + name);
    EXPECT_EQ(tensor.shape[0], rows) << name;
    EXPECT_EQ(tensor.shape.size() > 1 ? tensor.shape[1] : 1, cols) << name;
    EXPECT_EQ(offset, filled) << name;
    std::copy(tensor.values.begin(), tensor.values.end(), flat.begin() + offset);
    filled += rows * cols;
  }
  EXPECT_EQ(filled, elements);
  return flat;
}

RnnOptions options_of(const GoldenCase& golden) {
  const std::vector<int64_t>& shape = golden.ints("shape");
  return {shape[0], shape[1], shape[2], shape[3] != 0, shape[4] != 0, 0.0};
}

template <class T>
void compare_case(varlstm_ctx* context, const GoldenCase& golden, double tolerance) {
  SCOPED_TRACE(golden.name);
  const RnnOptions options = options_of(golden);
  const std::vector<int64_t>& lengths = golden.ints("lengths");
  const Rnn names = make_rnn(context, options, kDType<T>);
  const bool states = golden.has("h0");
  const auto ragged = [&](const char* item, int64_t features) {
    return packed_to_ragged(lengths, features, golden.real(item));
  };

  RnnCase<double> problem{options, lengths, flat_params(golden, names.get(), ""), ragged("x", options.input), {}, {}};
  if (states) {
    problem.h0 = golden.real("h0");
    problem.c0 = golden.real("c0");
  }
  const RnnUpstream<double> upstream{ragged("dy", problem.output_features()), golden.real("dh_n"), golden.real("dc_n")};
  RnnRunner<T> runner(context, convert<T>(problem));
  const RnnOutputs<T> out = runner.forward();
  EXPECT_TRUE(all_close(runner.y().get(), golden.real("y"), tolerance, tolerance));
  EXPECT_TRUE(all_close(out.h_n, golden.real("h_n"), tolerance, tolerance));
  EXPECT_TRUE(all_close(out.c_n, golden.real("c_n"), tolerance, tolerance));
  const RnnGradients<T> gradients = runner.backward(convert<T>(upstream));
  EXPECT_TRUE(all_close(gradients.dx, ragged("dx", options.input), tolerance, tolerance));
  EXPECT_TRUE(all_close(gradients.dparams, flat_params(golden, names.get(), "d"), tolerance, tolerance));
  if (states) {
    EXPECT_TRUE(all_close(gradients.dh0, golden.real("dh0"), tolerance, tolerance));
    EXPECT_TRUE(all_close(gradients.dc0, golden.real("dc0"), tolerance, tolerance));
  }
}

TEST(GoldenLstm, MatchesPyTorch) {
  const GoldenFile golden = read_golden("lstm.txt");
  EXPECT_NE(golden.version.find("PyTorch 1."), std::string::npos) << golden.version;
  ASSERT_EQ(golden.cases.size(), 24u);
  const Context context = make_context();
  for (const GoldenCase& one : golden.cases) {
    compare_case<double>(context.get(), one, 1e-12);
    compare_case<float>(context.get(), one, 2e-5);
  }
}

}  // namespace
}  // namespace varlstm_test
