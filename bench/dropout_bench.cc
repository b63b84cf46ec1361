// Dropout: each element read and written once, and a quarter of a Philox block for its mask.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

void dropout(benchmark::State& state) {
  const Context context = make_context();
  const Buffer<float> x = random_floats(context, state.range(0), 1.0);
  Buffer<float> y = random_floats(context, state.range(0), 1.0);
  measure(state, context, [&] {
    check(
        varlstm_dropout_forward(context.get(), VARLSTM_DTYPE_F32, state.range(0), 0.5, 1, x.data(), y.data(), nullptr));
  });
  set_rates(state, 0, 0, 2.0 * static_cast<double>(x.bytes()));
}
void dropout_shapes(benchmark::internal::Benchmark* bench) {
  add_shapes(bench, {"count"}, {{1 << 14, 1 << 20}}, {{1 << 26}});
}
BENCHMARK(dropout)->Apply(dropout_shapes);

}  // namespace
}  // namespace varlstm::bench
