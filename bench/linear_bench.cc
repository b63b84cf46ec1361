// The linear layer, forward and backward (all three gradients): three GEMMs of 2 * rows * in * out operations.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

void linear(benchmark::State& state, bool backward) {
  const int64_t rows = state.range(0), in = state.range(1), out = state.range(2);
  const Context context = make_context(state.range(3));
  const Buffer<float> x = random_floats(context, rows * in, 1.0), weight = random_floats(context, out * in, 0.1);
  const Buffer<float> bias = random_floats(context, out, 0.1);
  Buffer<float> y = random_floats(context, rows * out, 1.0), dx = random_floats(context, rows * in, 1.0);
  Buffer<float> dweight = random_floats(context, out * in, 0.0), dbias = random_floats(context, out, 0.0);
  Buffer<char> workspace =
      workspace_of(context, backward ? VARLSTM_OP_LINEAR_BACKWARD : VARLSTM_OP_LINEAR_FORWARD, rows, in, out);
  measure(state, context, [&] {
    if (backward) {
      check(varlstm_linear_backward(context.get(), VARLSTM_DTYPE_F32, rows, in, out, x.data(), weight.data(), y.data(),
                                    dx.data(), dweight.data(), dbias.data(), workspace.data(), workspace.bytes(),
                                    nullptr));
    } else {
      check(varlstm_linear_forward(context.get(), VARLSTM_DTYPE_F32, rows, in, out, x.data(), weight.data(),
                                   bias.data(), y.data(), workspace.data(), workspace.bytes(), nullptr));
    }
  });
  const double gemm = 2.0 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out);
  set_rates(state, static_cast<double>(rows), backward ? 2.0 * gemm : gemm, 0);
}
// out 17 is a tagger's last layer, 2048 the input projection of an LSTM with 512 units.
void shapes(benchmark::internal::Benchmark* bench) {
  add_shapes(bench, {"rows", "in", "out", "threads"}, {{512, 8192}, {256, 512}, {17, 2048}, {1, 0}},
             {{1 << 16}, {512}, {2048}, {0}});
}
BENCHMARK_CAPTURE(linear, forward, false)->Apply(shapes);
BENCHMARK_CAPTURE(linear, backward, true)->Apply(shapes);

}  // namespace
}  // namespace varlstm::bench
