// Every cell against PyTorch's nn.LSTM, nn.GRU and nn.RNN on a PackedSequence, and with layer normalisation against
// haste's cells: golden/lstm.txt and so on.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "golden/golden_rnn.h"
#include "support/cell_test.h"
#include "support/compare.h"
#include "support/rnn_runner.h"

namespace varlstm_test {
namespace {

// The tensors of the flat buffer have the names, shapes and places that varlstm_rnn_param_info says.
void check_params(varlstm_ctx* context, const GoldenCase& golden, const RnnCase<double>& problem) {
  const Rnn rnn = make_rnn(context, problem.options, VARLSTM_DTYPE_F64);
  int64_t tensors = 0, elements = 0;
  ASSERT_OK(varlstm_rnn_param_count(rnn.get(), &tensors, &elements));
  ASSERT_EQ(elements, static_cast<int64_t>(problem.params.size()));
  int64_t filled = 0;
  for (int64_t index = 0; index < tensors; ++index) {
    const char* name = nullptr;
    int64_t offset = 0, rows = 0, cols = 0;
    ASSERT_OK(varlstm_rnn_param_info(rnn.get(), index, &name, &offset, &rows, &cols));
    const GoldenTensor& tensor = golden.tensor(name);
    EXPECT_EQ(tensor.shape[0], rows) << name;
    EXPECT_EQ(tensor.shape.size() > 1 ? tensor.shape[1] : 1, cols) << name;
    ASSERT_EQ(offset, filled) << name;
    EXPECT_TRUE(std::equal(tensor.values.begin(), tensor.values.end(), problem.params.begin() + offset)) << name;
    filled += rows * cols;
  }
  EXPECT_EQ(filled, elements);
}

template <class T>
void compare_case(varlstm_ctx* context, const GoldenRnn& golden, double tolerance) {
  RnnRunner<T> runner(context, convert<T>(golden.problem));
  const RnnOutputs<T> out = runner.forward();
  EXPECT_TRUE(all_close(out.y, golden.outputs.y, tolerance, tolerance));
  EXPECT_TRUE(all_close(out.h_n, golden.outputs.h_n, tolerance, tolerance));
  EXPECT_TRUE(all_close(out.c_n, golden.outputs.c_n, tolerance, tolerance));
  const RnnGradients<T> gradients = runner.backward(convert<T>(golden.upstream));
  EXPECT_TRUE(all_close(gradients.dx, golden.gradients.dx, tolerance, tolerance));
  EXPECT_TRUE(all_close(gradients.dparams, golden.gradients.dparams, tolerance, tolerance));
  if (golden.problem.h0.empty()) return;
  EXPECT_TRUE(all_close(gradients.dh0, golden.gradients.dh0, tolerance, tolerance));
  EXPECT_TRUE(all_close(gradients.dc0, golden.gradients.dc0, tolerance, tolerance));
}

using Golden = CellTest;
CELL_TEST(Golden, MatchesItsPeer) {
  const GoldenFile file = read_golden(golden_file(cell()));
  EXPECT_EQ(file.version.find(cell().layer_norm ? "haste at ceba32e" : "PyTorch 1."), size_t{0}) << file.version;
  ASSERT_EQ(static_cast<int64_t>(file.cases.size()), cell().layer_norm ? 3 : share(24, 6));
  const Context context = make_context();
  for (const GoldenCase& one : file.cases) {
    SCOPED_TRACE(one.name);
    const GoldenRnn golden = golden_rnn(cell(), one);
    check_params(context.get(), one, golden.problem);
    compare_case<double>(context.get(), golden, 1e-12);
    compare_case<float>(context.get(), golden, 2e-5);
  }
}

}  // namespace
}  // namespace varlstm_test
