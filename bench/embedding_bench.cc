// Embedding, forward and backward, over a vocabulary of 20,000.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

constexpr int64_t kVocab = 20000;

void embedding(benchmark::State& state, bool backward) {
  const Context context;
  const int64_t rows = state.range(0), features = state.range(1);
  const Buffer table = random_floats(context, kVocab * features, 1.0);
  const Buffer ids = random_ids(context, rows, kVocab);
  const Buffer y = random_floats(context, rows * features, 1.0);
  const Buffer workspace = workspace_of(context, VARLSTM_OP_EMBEDDING_BACKWARD, rows, kVocab, features);
  measure(state, context, [&] {
    if (backward) {
      check(varlstm_embedding_backward(context.get(), nullptr, VARLSTM_DTYPE_F32, rows, kVocab, features, -1,
                                       ids.ints(), y.get(), table.get(), workspace.get(), workspace.bytes(), nullptr));
    } else {
      check(varlstm_embedding_forward(context.get(), nullptr, VARLSTM_DTYPE_F32, rows, kVocab, features, table.get(),
                                      ids.ints(), y.get(), nullptr));
    }
  });
  // Forward reads a row and writes one; backward reads two and writes one.
  set_rates(state, static_cast<double>(rows), 0, (backward ? 3.0 : 2.0) * static_cast<double>(y.bytes()));
}
void shapes(benchmark::internal::Benchmark* bench) {
  add_shapes(bench, {"rows", "F"}, {{512, 8192}, {100, 512}}, {{1 << 17}, {512}});
}
BENCHMARK_CAPTURE(embedding, forward, false)->Apply(shapes);
BENCHMARK_CAPTURE(embedding, backward, true)->Apply(shapes);

}  // namespace
}  // namespace varlstm::bench
