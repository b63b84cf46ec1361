// The cells of this folder: their numbers, their gradients, and on which back ends they are.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "golden/golden_rnn.h"
#include "support/cell_test.h"
#include "support/compare.h"
#include "support/gradcheck.h"
#include "support/rnn_reference.h"

namespace varlstm_test {
namespace {

// Of every cell, whether or not the library has it.
class Rules : public CellTest {
 protected:
  void SetUp() override {}
};

CELL_TEST(Rules, OwnGradientsMatchCentralDifferences) {
  Random random(5);
  RnnOptions options = cell_options();
  options.input = 2;
  options.hidden = 3;
  options.layers = 2;
  options.bidirectional = true;
  const RnnCase<double> problem = make_rnn_case<double>(options, {3, 0, 2}, true, random);
  const RnnUpstream<double> upstream = make_upstream(problem, random);
  const auto value = [&](const RnnCase<double>& at) {
    const RnnOutputs<double> out = RnnReference<double>(at).forward();
    return dot(upstream.dy, out.y) + dot(upstream.dh_n, out.h_n) + dot(upstream.dc_n, out.c_n);
  };
  RnnReference<double> reference(problem);
  reference.forward();
  const RnnGradients<double> gradients = reference.backward(upstream);
  const auto check = [&](std::vector<double> RnnCase<double>::*part, const std::vector<double>& analytic) {
    RnnCase<double> moved = problem;
    const ScalarFunction f = [&](const std::vector<double>& values) {
      moved.*part = values;
      return value(moved);
    };
    EXPECT_TRUE(gradient_matches(f, problem.*part, analytic));
  };
  check(&RnnCase<double>::params, gradients.dparams);
  check(&RnnCase<double>::x, gradients.dx);
  check(&RnnCase<double>::h0, gradients.dh0);
  if (cell().has_c) check(&RnnCase<double>::c0, gradients.dc0);
}

CELL_TEST(Rules, OwnNumbersMatchTheGoldenOnes) {
  for (const GoldenCase& one : read_golden(golden_file(cell())).cases) {
    SCOPED_TRACE(one.name);
    const GoldenRnn golden = golden_rnn(cell(), one);
    RnnReference<double> reference(golden.problem);
    const RnnOutputs<double> out = reference.forward();
    EXPECT_TRUE(all_close(out.y, golden.outputs.y, 1e-12, 1e-12));
    EXPECT_TRUE(all_close(out.h_n, golden.outputs.h_n, 1e-12, 1e-12));
    EXPECT_TRUE(all_close(out.c_n, golden.outputs.c_n, 1e-12, 1e-12));
    const RnnGradients<double> gradients = reference.backward(golden.upstream);
    EXPECT_TRUE(all_close(gradients.dx, golden.gradients.dx, 1e-12, 1e-12));
    EXPECT_TRUE(all_close(gradients.dparams, golden.gradients.dparams, 1e-12, 1e-12));
    if (golden.problem.h0.empty()) continue;
    EXPECT_TRUE(all_close(gradients.dh0, golden.gradients.dh0, 1e-12, 1e-12));
    EXPECT_TRUE(all_close(gradients.dc0, golden.gradients.dc0, 1e-12, 1e-12));
  }
}

// The list says on which back ends the other tests of a cell run.
CELL_TEST(Rules, AreOnTheBackEndsThatTheListNames) {
  const Context context = make_context();
  varlstm_rnn* handle = nullptr;
  ASSERT_OK(varlstm_rnn_create(context.get(), cell().cell, 3, 4, 1, &handle));
  const Rnn rnn(handle);
  if (cell().projects) {
    ASSERT_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_PROJ_SIZE, 2));
  }
  ASSERT_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_LAYER_NORM, cell().layer_norm ? 1 : 0));
  int64_t used = -1;
  const int32_t status = varlstm_rnn_get_i64(handle, VARLSTM_KEY_RECURRENCE_USED, &used);
  EXPECT_STATUS(cell().on(test_backend()) ? VARLSTM_OK : VARLSTM_ERROR_UNSUPPORTED, status);
  if (!emulated() || status != VARLSTM_OK) return;
  // The emulated device holds every resident recurrence that there is.
  for (const int32_t wanted : {VARLSTM_RECURRENCE_STEPWISE, VARLSTM_RECURRENCE_CLUSTER, VARLSTM_RECURRENCE_GRID}) {
    ASSERT_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_RECURRENCE, wanted));
    ASSERT_OK(varlstm_rnn_get_i64(handle, VARLSTM_KEY_RECURRENCE_USED, &used));
    EXPECT_EQ(used, cell().on_cuda == OnCuda::kResident ? wanted : VARLSTM_RECURRENCE_STEPWISE);
  }
}

}  // namespace
}  // namespace varlstm_test
