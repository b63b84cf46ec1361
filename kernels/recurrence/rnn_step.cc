// A step of the recurrent network: one token of each of B streams, whose states are in rows of a table. Each layer is
// one product of the B inputs with W_ih, and then the step of its states. Mirrored by host/rnn/rnn_step.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/carve.h"
#include "kernels/core/scalar_dispatch.h"
#include "kernels/core/status.h"
#include "kernels/gemm/gemm.h"
#include "kernels/recurrence/layer_norm/layer_norm.h"
#include "kernels/recurrence/rnn.h"
#include "kernels/recurrence/rnn_layout.h"
#include "kernels/recurrence/step/step.h"
#include "kernels/recurrence/stepwise/projection.h"

namespace varlstm::cuda {
namespace {

template <class T, class C>
struct StepWorkspace {
  unsigned long long* owner;  // [S]
  int64_t* rows;              // [B]
  C* gates;                   // [B, S', H] of one layer at a time
  NormValues<C> norm{};       // likewise; nulls without layer normalisation
  T* unprojected = nullptr;   // [B, H] likewise; null without a projection
  T* operand = nullptr;       // [B, H] likewise, of a second product; null if the cell has one
  T* y;                       // [L - 1, B, R] outputs of the layers below the last
  int64_t product_bytes;      // of `product`, the workspace of a matrix product
  char* product;

  StepWorkspace(const RnnShape& shape, int64_t streams, int64_t table_slots, Carver& carver) {
    owner = carver.take<unsigned long long>(table_slots);
    rows = carver.take<int64_t>(streams);
    gates = carver.take<C>(streams * cell_facts(shape.cell).saved * shape.hidden);
    if (shape.layer_norm) norm = take_norm_values<C>(shape, streams, streams, carver);
    if (shape.projection > 0) unprojected = carver.take<T>(streams * shape.hidden);
    if (cell_facts(shape.cell).second_gates > 0) operand = carver.take<T>(streams * shape.hidden);
    y = carver.take<T>((shape.layers - 1) * streams * features_of_h(shape));
    product_bytes = product_workspace_bytes(shape, {streams, streams, streams});
    product = carver.take<char>(product_bytes);
  }
};

template <class T>
class Step {
  using C = ComputeType<T>;

 public:
  Step(Stream stream, const RnnStepArgs& args)
      : stream_(stream),
        args_(args),
        shape_(args.shape),
        cell_(cell_facts(args.shape.cell)),
        carver_(args.workspace),
        workspace_(shape_, args.streams, args.table_slots, carver_) {}

  int32_t run() {
    if (args_.streams == 0) return VARLSTM_OK;
    VARLSTM_CUDA_TRY(
        check_slots(stream_, {args_.streams, args_.table_slots, args_.slots, workspace_.owner, workspace_.rows}));
    const T* input = static_cast<const T*>(args_.x);
    for (int64_t layer = 0; layer < shape_.layers; ++layer) {
      T* const output = layer + 1 == shape_.layers ? static_cast<T*>(args_.y)
                                                   : workspace_.y + layer * args_.streams * features_of_h(shape_);
      VARLSTM_CUDA_TRY(run_layer(layer, input, output));
      input = output;
    }
    return store_states<T>(
        stream_, {shape_.layers, args_.streams, args_.table_slots, features_of_h(shape_), workspace_.rows, workspace_.y,
                  static_cast<const T*>(args_.y), static_cast<T*>(args_.h)});
  }

 private:
  int32_t run_layer(int64_t layer, const T* input, T* output) {
    const T* params = static_cast<const T*>(args_.params);
    const LayerOffsets at = layer_offsets(shape_, layer, 0);
    const T* const b_ih = shape_.bias ? params + at.b_ih : nullptr;
    const T* const b_hh = shape_.bias ? params + at.b_hh : nullptr;
    GemmArgs product{};
    product.dtype = shape_.dtype;
    product.dtype_c = shape_.dtype == DType::kF64 ? DType::kF64 : DType::kF32;
    product.m = args_.streams, product.n = cell_.gates * shape_.hidden, product.k = layer_input(shape_, layer);
    product.a = input, product.lda = product.k;
    product.b = params + at.w_ih, product.ldb = product.k, product.transpose_b = true;
    product.c = workspace_.gates, product.ldc = cell_.saved * shape_.hidden;
    if (shape_.layer_norm)
      product.c = workspace_.norm.x_hat, product.ldc = product.n;
    else
      product.bias = b_ih, product.bias2 = cell_.state_bias ? nullptr : b_hh;
    product.workspace = workspace_.product, product.workspace_bytes = workspace_.product_bytes;
    VARLSTM_CUDA_TRY(gemm(stream_, product));

    const int64_t slots_below = layer * args_.table_slots;
    StepLayer<T, C> step{};
    step.streams = args_.streams;
    step.hidden = shape_.hidden;
    step.features = features_of_h(shape_);
    step.rows = workspace_.rows;
    step.w_hh = params + at.w_hh;
    step.b_hh = cell_.state_bias ? b_hh : nullptr;
    step.gates = workspace_.gates;
    step.operand = workspace_.operand;
    step.h = static_cast<const T*>(args_.h) + slots_below * features_of_h(shape_);
    if (cell_.has_c) step.c = static_cast<C*>(args_.c) + slots_below * shape_.hidden;
    step.y = shape_.projection > 0 ? workspace_.unprojected : output;
    const auto options = layer_options<C>(shape_, layer, 0, nullptr);
    if (shape_.layer_norm) {
      VARLSTM_CUDA_TRY(normalise_rows<C>(stream_, {args_.streams, product.n, nullptr, workspace_.norm.x_hat, nullptr}));
      VARLSTM_CUDA_TRY(layer_norm_step(stream_, shape_.cell, step, norm_parameters(shape_, params, layer, 0),
                                       {workspace_.norm, workspace_.gates}, options));
    } else {
      VARLSTM_CUDA_TRY(step_layer(stream_, shape_.cell, step, options));
    }
    if (shape_.projection == 0) return VARLSTM_OK;
    return project_rows<T>(stream_,
                           {args_.streams, shape_.hidden, shape_.projection, workspace_.rows, params + at.w_hr,
                            workspace_.unprojected, output, step.h},
                           options);
  }

  const Stream stream_;
  const RnnStepArgs& args_;
  const RnnShape& shape_;
  const CellFacts cell_;
  Carver carver_;
  const StepWorkspace<T, C> workspace_;
};

}  // namespace

int32_t rnn_step_size(const BackendState*, const RnnShape& shape, int64_t max_streams, int64_t table_slots,
                      int64_t* bytes) {
  VARLSTM_CUDA_TRY(check_shape(shape));
  return with_scalar(shape.dtype, [&](auto scalar) -> int32_t {
    using T = decltype(scalar);
    Carver carver(nullptr);
    const StepWorkspace<T, ComputeType<T>> workspace(shape, max_streams, table_slots, carver);
    *bytes = carver.bytes();
    return VARLSTM_OK;
  });
}

int32_t rnn_step(BackendState* state, const RnnStepArgs& args, int64_t*, void* stream) {
  return with_scalar(args.shape.dtype,
                     [&](auto scalar) { return Step<decltype(scalar)>(make_stream(state, stream), args).run(); });
}

}  // namespace varlstm::cuda
