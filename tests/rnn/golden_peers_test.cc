// Every cell against Keras and ONNX Runtime: their parameters, in their layouts, are imported by varlstm_rnn_import,
// and outputs, states and, of Keras, gradients are theirs: golden/keras.txt and onnx.txt.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "golden/golden.h"
#include "support/cell_test.h"
#include "support/compare.h"
#include "support/rnn_reference.h"
#include "support/rnn_runner.h"

namespace varlstm_test {
namespace {

struct Peer {
  const char* file;
  const char* version;  // how its first line begins
  int32_t format;
  // Of |difference| <= tolerance + tolerance * |value|, in each dtype of this library.
  double in_double, in_float;
};

// Keras computes in double, in another order of sums: the largest difference that was found is 6e-16. ONNX Runtime
// computes in float: each of at most 10 steps (2 layers of 5) rounds sums of up to 11 terms of order 1 and has a
// sigmoid and a tanh within some eps of the exact ones; an eps is 1.2e-7, and the largest difference found is 2e-7
// against double and 3e-7 against float. In float this library rounds as much in its own steps, and its inputs: 4e-7
// against Keras.
constexpr Peer kKeras = {"keras.txt", "Keras 3.", VARLSTM_FORMAT_KERAS, 1e-13, 5e-6};
constexpr Peer kOnnx = {"onnx.txt", "ONNX Runtime 1.", VARLSTM_FORMAT_ONNX, 1e-6, 5e-6};

template <class T>
class PeerCase {
 public:
  PeerCase(varlstm_ctx* context, const Peer& peer, const GoldenCase& golden)
      : context_(context), peer_(peer), golden_(golden) {
    const std::vector<int64_t>& shape = golden.ints("shape");
    RnnOptions& options = problem_.options;
    options.cell = static_cast<int32_t>(golden.ints("cell")[0]);
    options.input = shape[0];
    options.hidden = shape[1];
    options.layers = shape[2];
    options.bidirectional = shape[3] != 0;
    options.bias = shape[4] != 0;
    problem_.lengths = golden.ints("lengths");
    problem_.params = imported("");
    problem_.x = values("x");
    problem_.h0 = values("h0");
    problem_.c0 = values("c0");
  }

  void compare(double tolerance) {
    RnnRunner<T> runner(context_, problem_);
    const RnnOutputs<T> out = runner.forward();
    EXPECT_TRUE(all_close(out.y, values("y"), tolerance, tolerance));
    EXPECT_TRUE(all_close(out.h_n, values("h_n"), tolerance, tolerance));
    EXPECT_TRUE(all_close(out.c_n, values("c_n"), tolerance, tolerance));
    if (!golden_.has("dy")) return;  // the peer gives no gradients
    const RnnGradients<T> gradients = runner.backward({values("dy"), values("dh_n"), values("dc_n")});
    EXPECT_TRUE(all_close(gradients.dx, values("dx"), tolerance, tolerance));
    EXPECT_TRUE(all_close(gradients.dparams, imported("d"), tolerance, tolerance));
    if (problem_.h0.empty()) return;
    EXPECT_TRUE(all_close(gradients.dh0, values("dh0"), tolerance, tolerance));
    EXPECT_TRUE(all_close(gradients.dc0, values("dc0"), tolerance, tolerance));
  }

 private:
  std::vector<T> values(const std::string& item) const {
    return golden_.has(item) ? convert<T>(golden_.real(item)) : std::vector<T>();
  }

  // The flat buffer of the parameters, or with "d" of their gradients, whose layout is the parameters'. If the peer has
  // one bias, its gradient is that of both here.
  std::vector<T> imported(const std::string& prefix) const {
    const RnnOptions& o = problem_.options;
    const Rnn rnn = make_rnn(context_, o, kDType<T>);
    Buffer<T> target(context_, rnn_param_count(o));
    for (int64_t layer = 0; layer < o.layers; ++layer) {
      for (int64_t d = 0; d < o.directions(); ++d) {
        const std::string place = "_l" + std::to_string(layer) + (d == 0 ? "" : "_reverse");
        const auto tensor = [&](const char* name) { return Buffer<T>(context_, values(prefix + name + place)); };
        const Buffer<T> w_ih = tensor("kernel_ih"), w_hh = tensor("kernel_hh"), b_ih = tensor("bias_ih"),
                        b_hh = tensor("bias_hh");
        EXPECT_OK(varlstm_rnn_import(rnn.get(), peer_.format, layer, static_cast<int32_t>(d), w_ih.data(), w_hh.data(),
                                     b_ih.count() > 0 ? b_ih.data() : nullptr, b_hh.count() > 0 ? b_hh.data() : nullptr,
                                     target.data(), nullptr));
      }
    }
    std::vector<T> flat = target.get();
    if (prefix.empty() || !o.bias || golden_.has("bias_hh_l0")) return flat;
    for (int64_t layer = 0; layer < o.layers; ++layer) {
      for (int64_t d = 0; d < o.directions(); ++d) {
        const RnnWeights<T> weights = rnn_weights<T>(o, flat.data(), layer, d);
        std::copy(weights.b_ih, weights.b_hh, weights.b_hh);
      }
    }
    return flat;
  }

  varlstm_ctx* context_;
  const Peer& peer_;
  const GoldenCase& golden_;
  RnnCase<T> problem_;
};

class GoldenPeers : public CellTest {
 protected:
  void compare_with(const Peer& peer) {
    const GoldenFile file = read_golden(peer.file);
    EXPECT_EQ(file.version.rfind(peer.version, 0), 0u) << file.version;
    const Context context = make_context();
    int cases = 0;
    for (const GoldenCase& golden : file.cases) {
      if (golden.ints("cell")[0] != cell().cell) continue;
      SCOPED_TRACE(golden.name);
      PeerCase<double>(context.get(), peer, golden).compare(peer.in_double);
      PeerCase<float>(context.get(), peer, golden).compare(peer.in_float);
      ++cases;
    }
    EXPECT_EQ(cases, 3);
  }
};

CELL_TEST(GoldenPeers, MatchesKeras) {
  compare_with(kKeras);
}
CELL_TEST(GoldenPeers, MatchesOnnxRuntime) {
  compare_with(kOnnx);
}

}  // namespace
}  // namespace varlstm_test
