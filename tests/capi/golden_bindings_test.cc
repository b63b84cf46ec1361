// The golden case of every binding (golden/bindings.txt: lengths 5, 3, 3, 1) through varlstm.hpp, over packed rows and
// over ragged ones; and the LSTM with a projection (golden/projected_lstm.txt).
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "golden/golden.h"
#include "support/compare.h"
#include "support/context.h"
#include "support/packed_order.h"
#include "varlstm.hpp"

namespace varlstm_test {
namespace {

template <class T>
class GoldenRun {
 public:
  GoldenRun(const GoldenCase& golden, int32_t rows)
      : golden_(golden),
        lengths_(golden.ints("lengths")),
        ragged_(rows == VARLSTM_ROWS_RAGGED),
        batch_(ctx_, lengths_) {
    const std::vector<int64_t>& shape = golden.ints("shape");
    rnn_.set_i64(VARLSTM_KEY_BIDIRECTIONAL, shape[3]);
    rnn_.set_i64(VARLSTM_KEY_BIAS, shape[4]);
    rnn_.set_i64(VARLSTM_KEY_ROWS, rows);
    if (shape.size() > 5) rnn_.set_i64(VARLSTM_KEY_PROJ_SIZE, shape[5]);
  }

  void compare(double tolerance) {
    using varlstm::Buffer;
    const std::vector<T> params = flat(""), h0 = values("h0"), c0 = values("c0");
    const Buffer<T> params_there(ctx_, params), h0_there(ctx_, h0), c0_there(ctx_, c0), x(ctx_, rows("x"));
    const Buffer<T> dy(ctx_, rows("dy")), dh_n(ctx_, values("dh_n")), dc_n(ctx_, values("dc_n"));
    Buffer<T> y(ctx_, dy.size()), h_n(ctx_, dh_n.size()), c_n(ctx_, dc_n.size()), dx(ctx_, x.size());
    Buffer<T> dh0(ctx_, h0_there.size()), dc0(ctx_, c0_there.size());
    Buffer<T> dparams = Buffer<T>::zeros(ctx_, params_there.size());
    varlstm::Workspace workspace(ctx_), reserve(ctx_);
    const varlstm::RnnInput<T> in{params_there, x, h0_there, c0_there};
    const auto expect = [&](const char* name, const Buffer<T>& actual, const std::vector<T>& expected) {
      EXPECT_TRUE(all_close(actual.download(), expected, tolerance, tolerance)) << name;
    };

    rnn_.forward(batch_, in, {y, h_n, c_n}, workspace);
    expect("y", y, rows("y"));
    rnn_.forward_save(batch_, in, {y, h_n, c_n}, workspace, reserve);
    expect("y", y, rows("y"));
    expect("h_n", h_n, values("h_n"));
    expect("c_n", c_n, values("c_n"));
    rnn_.backward(batch_, in, y, {dy, dh_n, dc_n}, {dparams, dx, dh0, dc0}, workspace, reserve);
    expect("dx", dx, rows("dx"));
    expect("dh0", dh0, values("dh0"));
    expect("dc0", dc0, values("dc0"));
    expect("dparams", dparams, flat("d"));
    EXPECT_EQ(ctx_.device_status(false).bits, 0);
  }

 private:
  std::vector<T> values(const std::string& item) const {
    const std::vector<double>& real = golden_.real(item);
    return std::vector<T>(real.begin(), real.end());
  }
  // The rows of an item, which the file has in packed order, as this rnn takes them.
  std::vector<T> rows(const std::string& item) const {
    const std::vector<T> packed = values(item);
    return ragged_ ? packed_to_ragged(lengths_, golden_.tensor(item).shape[1], packed) : packed;
  }
  // The flat buffer of parameters or, with prefix "d", of their gradients.
  std::vector<T> flat(const std::string& prefix) const {
    std::vector<T> all(static_cast<size_t>(rnn_.param_elements()));
    for (const varlstm::ParamInfo& info : rnn_.params()) {
      const std::vector<T> tensor = values(prefix + info.name);
      EXPECT_EQ(static_cast<int64_t>(tensor.size()), info.rows * info.cols) << info.name;
      std::copy(tensor.begin(), tensor.end(), all.begin() + info.offset);
    }
    return all;
  }

  const GoldenCase& golden_;
  std::vector<int64_t> lengths_;
  bool ragged_;
  varlstm::Context ctx_{test_backend()};
  varlstm::Batch batch_;
  varlstm::Rnn<T> rnn_{ctx_, golden_.ints("shape")[0], golden_.ints("shape")[1], golden_.ints("shape")[2]};
};

TEST(GoldenBindings, VarlstmHppMatchesPyTorch) {
  const GoldenFile file = read_golden("bindings.txt");
  ASSERT_EQ(file.cases.size(), 1u);
  const GoldenCase& golden = file.cases[0];
  EXPECT_EQ(golden.ints("lengths"), (std::vector<int64_t>{5, 3, 3, 1}));
  for (const int32_t rows : {VARLSTM_ROWS_PACKED, VARLSTM_ROWS_RAGGED}) {
    GoldenRun<double>(golden, rows).compare(1e-12);
    GoldenRun<float>(golden, rows).compare(2e-5);
  }
}

TEST(GoldenBindings, VarlstmHppMatchesPyTorchsProjection) {
  int compared = 0;
  const GoldenFile file = read_golden("projected_lstm.txt");
  for (const GoldenCase& golden : file.cases) {
    if (!golden.has("h0")) continue;
    SCOPED_TRACE(golden.name);
    GoldenRun<double>(golden, VARLSTM_ROWS_RAGGED).compare(1e-12);
    GoldenRun<float>(golden, VARLSTM_ROWS_PACKED).compare(2e-5);
    ++compared;
  }
  EXPECT_GE(compared, 4);
}

}  // namespace
}  // namespace varlstm_test
