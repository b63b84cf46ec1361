// The convolution with maximum over the characters of words, forward and backward (all three gradients): words of 1 to
// 7 characters (those of UD English EWT have 4.1 on average) with 30 features each, windows of 3.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

constexpr int64_t kIn = 30, kWidth = 3, kLongest = 7;

// offsets [words + 1]
std::vector<int64_t> draw_offsets(const Context& context, int64_t words) {
  std::vector<int64_t> offsets = {0};
  for (int64_t shorter : random_ids(context, words, kLongest).download())
    offsets.push_back(offsets.back() + 1 + shorter);
  return offsets;
}

void conv_max(benchmark::State& state, bool backward) {
  const int64_t words = state.range(0), filters = state.range(1);
  const Context context = make_context(state.range(2));
  const std::vector<int64_t> on_host = draw_offsets(context, words);
  const int64_t rows = on_host.back();
  const Buffer<int64_t> offsets(context, on_host);
  const ConvMax sizes{kIn, filters, kWidth, VARLSTM_ACTIVATION_TANH};
  const Buffer<float> x = random_floats(context, rows * kIn, 1.0), bias = random_floats(context, filters, 0.1);
  const Buffer<float> weight = random_floats(context, filters * kIn * kWidth, 0.1);
  const Buffer<float> dy = random_floats(context, words * filters, 1.0);
  Buffer<float> y(context, words * filters), dx(context, rows * kIn);
  Buffer<float> dweight = random_floats(context, weight.size(), 0.0), dbias = random_floats(context, filters, 0.0);
  Buffer<int64_t> argmax(context, words * filters);
  Workspace workspace(context);
  const auto forward = [&] {
    conv_max_forward<float>(context, sizes, words, rows, offsets, x, weight, bias, y, argmax, workspace);
  };
  forward();  // backward wants its maxima
  measure(state, context, [&] {
    if (backward)
      conv_max_backward<float>(context, sizes, words, rows, offsets, x, weight, y, dy, argmax, dx, dweight, dbias,
                               workspace);
    else
      forward();
  });
  // Forward multiplies every window with every filter, backward the window of each maximum with its gradient, twice.
  const double windows = static_cast<double>(backward ? 2 * words : rows) * static_cast<double>(filters);
  set_rates(state, static_cast<double>(words), 2.0 * windows * static_cast<double>(kIn * kWidth), 0);
}
// A tagger's batch of 32 sentences has about 500 words and, by default, 30 filters.
void shapes(benchmark::internal::Benchmark* bench) {
  add_shapes(bench, {"words", "filters", "threads"}, {{512, 8192}, {30, 100}, {1, 0}}, {{1 << 17}, {100}, {0}});
}
BENCHMARK_CAPTURE(conv_max, forward, false)->Apply(shapes);
BENCHMARK_CAPTURE(conv_max, backward, true)->Apply(shapes);

}  // namespace
}  // namespace varlstm::bench
