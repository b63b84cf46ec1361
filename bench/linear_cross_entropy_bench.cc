// The last layer and its loss, forward and backward with every gradient: in one, a chunk of rows at a time, and as
// linear_forward, cross_entropy_forward, linear_backward. 2 * rows * in * C operations a product: three of them, and in
// one a fourth, which makes the logits again. `workspace_MiB` and `logits_MiB`: the memory that each needs for logits.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

constexpr int32_t kF32 = VARLSTM_DTYPE_F32;
constexpr double kMiB = 1 << 20;

// Operands of one call, and gradients to be filled.
struct Layer {
  Layer(const Context& context, int64_t rows, int64_t in, int64_t classes)
      : x(random_floats(context, rows * in, 1.0)),
        weight(random_floats(context, classes * in, 0.1)),
        bias(random_floats(context, classes, 0.1)),
        dx(random_floats(context, rows * in, 1.0)),
        dweight(random_floats(context, classes * in, 0.0)),
        dbias(random_floats(context, classes, 0.0)),
        targets(random_ids(context, rows, classes)),
        out(context, 1),
        loss(context, classes) {}

  const Buffer<float> x, weight, bias;
  Buffer<float> dx, dweight, dbias;
  const Buffer<int64_t> targets;
  Buffer<float> out;
  const Loss<float> loss;
};

void fused(benchmark::State& state, bool backward) {
  const int64_t rows = state.range(0), in = state.range(1), classes = state.range(2);
  const Context context = make_context();
  Layer layer(context, rows, in, classes);
  Buffer<float> lse(context, rows);
  Buffer<char> workspace = workspace_of(context, VARLSTM_OP_LINEAR_CROSS_ENTROPY_BACKWARD, rows, in, classes);
  measure(state, context, [&] {
    check(varlstm_linear_cross_entropy_forward(layer.loss.get(), nullptr, kF32, rows, in, layer.x.data(),
                                               layer.weight.data(), layer.bias.data(), layer.targets.data(), nullptr,
                                               layer.out.data(), nullptr, lse.data(), workspace.data(),
                                               workspace.bytes(), nullptr));
    if (!backward) return;
    check(varlstm_linear_cross_entropy_backward(layer.loss.get(), nullptr, kF32, rows, in, layer.x.data(),
                                                layer.weight.data(), layer.bias.data(), layer.targets.data(), nullptr,
                                                lse.data(), nullptr, layer.dx.data(), layer.dweight.data(),
                                                layer.dbias.data(), workspace.data(), workspace.bytes(), nullptr));
  });
  const double product = 2.0 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(classes);
  set_rates(state, static_cast<double>(rows), backward ? 4.0 * product : product, 0);
  state.counters["workspace_MiB"] = static_cast<double>(workspace.bytes()) / kMiB;
}

void in_parts(benchmark::State& state, bool backward) {
  const int64_t rows = state.range(0), in = state.range(1), classes = state.range(2);
  const Context context = make_context();
  Layer layer(context, rows, in, classes);
  Buffer<float> logits(context, rows * classes);
  Buffer<char> linear_work = workspace_of(context, VARLSTM_OP_LINEAR_BACKWARD, rows, in, classes);
  Buffer<char> loss_work = workspace_of(context, VARLSTM_OP_CROSS_ENTROPY, rows, classes, 0);
  measure(state, context, [&] {
    check(varlstm_linear_forward(context.get(), kF32, rows, in, classes, layer.x.data(), layer.weight.data(),
                                 layer.bias.data(), logits.data(), linear_work.data(), linear_work.bytes(), nullptr));
    check(varlstm_cross_entropy_forward(layer.loss.get(), nullptr, kF32, rows, logits.data(), layer.targets.data(),
                                        nullptr, layer.out.data(), nullptr, backward ? logits.data() : nullptr,
                                        loss_work.data(), loss_work.bytes(), nullptr));
    if (!backward) return;
    check(varlstm_linear_backward(context.get(), kF32, rows, in, classes, layer.x.data(), layer.weight.data(),
                                  logits.data(), layer.dx.data(), layer.dweight.data(), layer.dbias.data(),
                                  linear_work.data(), linear_work.bytes(), nullptr));
  });
  const double product = 2.0 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(classes);
  set_rates(state, static_cast<double>(rows), backward ? 3.0 * product : product, 0);
  state.counters["logits_MiB"] = static_cast<double>(logits.bytes()) / kMiB;
}

// A tagger's last layer, and a language model's.
void shapes(benchmark::internal::Benchmark* bench) {
  add_shapes(bench, {"rows", "in", "C"}, {{512, 8192}, {256}, {17, 4096}}, {{1 << 14}, {1024}, {32768, 131072}});
}
BENCHMARK_CAPTURE(fused, linear_cross_entropy_forward, false)->Apply(shapes);
BENCHMARK_CAPTURE(in_parts, linear_cross_entropy_forward, false)->Apply(shapes);
BENCHMARK_CAPTURE(fused, linear_cross_entropy_backward, true)->Apply(shapes);
BENCHMARK_CAPTURE(in_parts, linear_cross_entropy_backward, true)->Apply(shapes);

}  // namespace
}  // namespace varlstm::bench
