// The linear layer, forward and backward (all three gradients): three GEMMs of 2 * rows * in * out operations.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

void linear(benchmark::State& state, bool backward) {
  const int64_t rows = state.range(0), in = state.range(1), out = state.range(2);
  const Context context(state.range(3));
  const Buffer x = random_floats(context, rows * in, 1.0), weight = random_floats(context, out * in, 0.1);
  const Buffer bias = random_floats(context, out, 0.1), y = random_floats(context, rows * out, 1.0);
  const Buffer dx = random_floats(context, rows * in, 1.0), dweight = random_floats(context, out * in, 0.0);
  const Buffer dbias = random_floats(context, out, 0.0);
  const Buffer workspace =
      workspace_of(context, backward ? VARLSTM_OP_LINEAR_BACKWARD : VARLSTM_OP_LINEAR_FORWARD, rows, in, out);
  measure(state, context, [&] {
    if (backward) {
      check(varlstm_linear_backward(context.get(), VARLSTM_DTYPE_F32, rows, in, out, x.get(), weight.get(), y.get(),
                                    dx.get(), dweight.get(), dbias.get(), workspace.get(), workspace.bytes(), nullptr));
    } else {
      check(varlstm_linear_forward(context.get(), VARLSTM_DTYPE_F32, rows, in, out, x.get(), weight.get(), bias.get(),
                                   y.get(), workspace.get(), workspace.bytes(), nullptr));
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
