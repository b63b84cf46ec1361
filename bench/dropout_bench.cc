// Dropout: each element read and written once, and a quarter of a Philox block for its mask.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

void dropout(benchmark::State& state) {
  const Context context;
  const Buffer x = random_floats(context, state.range(0), 1.0), y = random_floats(context, state.range(0), 1.0);
  for (auto _ : state) {
    check(varlstm_dropout_forward(context.get(), VARLSTM_DTYPE_F32, state.range(0), 0.5, 1, x.get(), y.get(), nullptr));
  }
  set_rates(state, 0, 0, 2.0 * static_cast<double>(x.bytes()));
}
BENCHMARK(dropout)->ArgName("count")->Arg(1 << 14)->Arg(1 << 20);

}  // namespace
}  // namespace varlstm::bench
