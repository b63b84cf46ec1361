// Forward of the recurrent network. Each layer is one product of all tokens with W_ih, and then the recurrence. If the
// layers run in one launch, only the lowest layer has that product, and one recurrence runs all layers. Mirrored by
// host/rnn/rnn_forward.h.
// SPDX-License-Identifier: Apache-2.0
#include <type_traits>

#include "kernels/core/scalar_dispatch.h"
#include "kernels/core/status.h"
#include "kernels/dropout/dropout.h"
#include "kernels/dropout/weight_mask.h"
#include "kernels/gemm/gemm.h"
#include "kernels/recurrence/layer_norm/layer_norm.h"
#include "kernels/recurrence/layer_recurrence.h"
#include "kernels/recurrence/rnn.h"

namespace varlstm::cuda {
namespace {

template <class T>
class Forward {
  using C = ComputeType<T>;

 public:
  Forward(Stream stream, const RnnForwardArgs& args)
      : stream_(stream),
        args_(args),
        shape_(args.shape),
        cell_(cell_facts(args.shape.cell)),
        plan_(*args.batch),
        rows_(rows_of(plan_)),
        workspace_carver_(args.workspace),
        reserve_carver_(args.reserve),
        together_(runs_together(*args.plan, plan_.segments.count) && !drops() && !drops_weights()),
        workspace_rows_(together_ ? fewest_rows(rows_, plan_.bounds) : rows_),
        wide_(!together_ && runs_wide(WidePass::kForward, *stream.state, shape_, *args.plan, scheduled_extent(plan_))),
        keeps_schedule_(args.save && schedule_is_kept(*stream.state, shape_, *args.plan, scheduled_extent(plan_))),
        reserve_(shape_, rows_, reserve_carver_),
        norm_reserve_(shape_, rows_, reserve_carver_),
        workspace_(shape_, workspace_rows_, args.save, together_, workspace_carver_),
        norm_workspace_(shape_, workspace_rows_, args.save, workspace_carver_),
        recurrence_(*stream.state, shape_, *args.plan, wide_ ? TeamKind::kWideForward : TeamKind::kOfPolicy,
                    together_ ? shape_.layers : 1, extent(), keeps_schedule_ ? reserve_carver_ : workspace_carver_,
                    workspace_carver_) {}

  int32_t run() {
    HeaderToWrite header{};
    if (args_.save) {
      header.to = reserve_.header;
      header.shape_hash = reserve_hash(shape_, extent_of(plan_));
      header.dropout_seed = args_.dropout_seed;
      if (keeps_schedule_) recurrence_.add_schedule_to(&header.shape_hash);
    }
    VARLSTM_CUDA_TRY(recurrence_.prepare(stream_, plan_, header));
    VARLSTM_CUDA_TRY(clear_output());
    if (together_) return run_together();
    const T* input = static_cast<const T*>(args_.x);
    for (int64_t layer = 0; layer < shape_.layers; ++layer) {
      T* const output = output_of(layer, workspace_.y[layer % 2]);
      VARLSTM_CUDA_TRY(run_layer(layer, input, output));
      input = output;
      if (!is_last(layer) && drops()) {
        VARLSTM_CUDA_TRY(drop(layer, output));
        input = workspace_.dropped;
      }
    }
    return VARLSTM_OK;
  }

 private:
  BatchBounds extent() const {
    const BatchBounds extent = scheduled_extent(plan_);
    return {extent.max_batch, extent.max_len, workspace_rows_.tokens};
  }
  bool drops() const { return shape_.dropout > 0 && args_.dropout_seed != 0; }
  bool drops_weights() const { return masks_weights(shape_) && args_.dropout_seed != 0; }
  int64_t width() const { return shape_.directions * features_of_h(shape_); }
  bool is_last(int64_t layer) const { return layer + 1 == shape_.layers; }

  // workspace.dropped <- the output of `layer` after dropout.
  int32_t drop(int64_t layer, const T* output) {
    DropoutArgs args{};
    args.dtype = shape_.dtype;
    args.m = rows_.tokens, args.n = width();
    args.rows = counted_rows(plan_);
    args.p = shape_.dropout, args.seed = args_.dropout_seed + static_cast<uint64_t>(layer);
    args.in = output, args.out = workspace_.dropped;
    return dropout(stream_, args);
  }

  int32_t run_together() {
    if constexpr (std::is_same<C, float>::value) {
      StackForward<T> stack{};
      stack.count = shape_.layers;
      for (int64_t layer = 0; layer < shape_.layers; ++layer) {
        stack.layers[layer] = arguments(layer, output_of(layer, nullptr));
        const Parameters of_layer = parameters(layer, 0);
        if (layer > 0) stack.inputs[layer] = {of_layer.w_ih, of_layer.b_ih, of_layer.b_hh};
      }
      VARLSTM_CUDA_TRY(
          gemm(stream_, projection_of(0, 0, static_cast<const T*>(args_.x), stack.layers[0].direction[0].gates)));
      return recurrence_.run_together(stream_, stack);
    }
    return fail(VARLSTM_ERROR_INTERNAL, "no kernel runs layers of dtype %d together", static_cast<int>(shape_.dtype));
  }

  // Where a layer writes its rows of y: `unsaved` if neither the caller nor backward reads them.
  T* output_of(int64_t layer, T* unsaved) const {
    if (is_last(layer)) return static_cast<T*>(args_.y);
    return args_.save ? reserve_.y + layer * reserve_.y_size : unsaved;
  }

  // Rows of y and c from N on are zeros. Those of the layers below stay unwritten, because nothing reads them.
  int32_t clear_output() {
    if (plan_.tokens >= 0 || rows_.tokens == 0) return VARLSTM_OK;
    VARLSTM_CUDA_TRY(clear(args_.y, width()));
    return args_.c == nullptr ? VARLSTM_OK : clear(args_.c, shape_.directions * shape_.hidden);
  }
  int32_t clear(void* rows, int64_t features) {
    return check_runtime(
        cudaMemsetAsync(rows, 0, static_cast<size_t>(rows_.tokens * features) * sizeof(T), stream_.handle),
        "cudaMemsetAsync");
  }

  int32_t run_layer(int64_t layer, const T* input, T* output) {
    LayerForward<T, C> recurrence = arguments(layer, output);
    for (int64_t d = 0; d < shape_.directions && drops_weights(); ++d) {
      const WeightMask mask{shape_.dtype,      recurrent_weights(shape_), layer, d, shape_.options.recurrent_dropout,
                            args_.dropout_seed};
      VARLSTM_CUDA_TRY(mask_weights(stream_, mask, recurrence.direction[d].w_hh, workspace_.w_hh[d]));
      recurrence.direction[d].w_hh = workspace_.w_hh[d];
    }
    LayerNormForward<T, C> norm{};
    GemmArgs projections[kMaxDirections];
    for (int64_t d = 0; d < shape_.directions; ++d) {
      if (shape_.layer_norm)
        VARLSTM_CUDA_TRY(normalise_input(layer, d, input, &norm));
      else
        projections[d] = projection_of(layer, d, input, recurrence.direction[d].gates);
    }
    if (!shape_.layer_norm)
      VARLSTM_CUDA_TRY(gemm_group(stream_, projections, static_cast<int>(shape_.directions), GemmOrder::kIndependent));
    LayerOptions<C> options = layer_options<C>(shape_, layer, args_.dropout_seed, nullptr);
    for (int64_t d = 0; d < shape_.directions && args_.save; ++d)
      options.unclipped[d] = reserve_.unclipped_of(shape_, rows_, layer, d);
    if (shape_.layer_norm) return layer_norm_forward(stream_, shape_.cell, recurrence, norm, options);
    return recurrence_.run(stream_, recurrence, options);
  }

  // x_hat of a direction <- LN(input W_ih^T).
  int32_t normalise_input(int64_t layer, int64_t d, const T* input, LayerNormForward<T, C>* norm) {
    norm->params[d] = norm_parameters(shape_, static_cast<const T*>(args_.params), layer, d);
    NormValues<C>& values = norm->values[d];
    values = args_.save ? norm_reserve_.of(layer * shape_.directions + d) : norm_workspace_.values[d];
    VARLSTM_CUDA_TRY(gemm(stream_, projection_of(layer, d, input, values.x_hat)));
    return normalise_rows<C>(
        stream_, {workspace_rows_.tokens, gate_values(shape_), counted_rows(plan_), values.x_hat, values.x_rstd});
  }

  LayerForward<T, C> arguments(int64_t layer, T* output) {
    LayerForward<T, C> recurrence{};
    recurrence.plan = plan_;
    recurrence.row_order = shape_.row_order;
    recurrence.hidden = shape_.hidden;
    recurrence.state = features_of_h(shape_);
    recurrence.directions = shape_.directions;
    recurrence.ldy = width();
    recurrence.save = args_.save;
    if (is_last(layer)) recurrence.c_of_token = static_cast<T*>(args_.c);
    for (int64_t d = 0; d < shape_.directions; ++d) recurrence.direction[d] = direction(layer, d, output);
    return recurrence;
  }

  DirectionForward<T, C> direction(int64_t layer, int64_t d, T* output) {
    const int64_t entry = layer * shape_.directions + d;
    const auto state = [&](auto* base, int64_t features) {
      return base == nullptr ? nullptr : base + entry * plan_.batch * features;
    };
    const int64_t of_h = features_of_h(shape_), of_c = shape_.hidden;
    DirectionForward<T, C> r{};
    r.w_hh = parameters(layer, d).w_hh;
    if (cell_.state_bias) r.b_hh = parameters(layer, d).b_hh;
    r.h0 = state(static_cast<const T*>(args_.h0), of_h);
    r.c0 = state(static_cast<const T*>(args_.c0), of_c);
    r.gates = args_.save ? reserve_.gates + entry * reserve_.gates_size : workspace_.gates[d];
    if (cell_.has_c) r.c = args_.save ? reserve_.c + entry * reserve_.c_size : workspace_.c[d];
    if (shape_.projection > 0) {
      r.w_hr = parameters(layer, d).w_hr;
      r.unprojected = args_.save ? reserve_.unprojected + entry * reserve_.c_size : workspace_.unprojected[d];
    }
    r.operand =
        args_.save && reserve_.operand != nullptr ? reserve_.operand + entry * reserve_.c_size : workspace_.operand[d];
    r.y = output == nullptr ? nullptr : output + d * of_h;
    r.h_n = state(static_cast<T*>(args_.h_n), of_h);
    r.c_n = state(static_cast<T*>(args_.c_n), of_c);
    return r;
  }

  struct Parameters {
    const T *w_ih, *w_hh, *b_ih, *b_hh, *w_hr;  // the biases and w_hr are null if there are none
  };
  Parameters parameters(int64_t layer, int64_t d) const {
    const T* params = static_cast<const T*>(args_.params);
    const LayerOffsets at = layer_offsets(shape_, layer, d);
    const auto or_null = [&](int64_t offset) { return offset < 0 ? nullptr : params + offset; };
    return {params + at.w_ih, params + at.w_hh, or_null(at.b_ih), or_null(at.b_hh), or_null(at.w_hr)};
  }

  // The first G of gates [N, S, H] <- input W_ih^T + b_ih + b_hh, in C; without b_hh if it is added to the state's
  // product. With layer normalisation gates is [N, G, H], and both biases are added later.
  GemmArgs projection_of(int64_t layer, int64_t d, const T* input, C* gates) const {
    const Parameters of_layer = parameters(layer, d);
    GemmArgs product{};
    product.dtype = shape_.dtype;
    product.dtype_c = shape_.dtype == DType::kF64 ? DType::kF64 : DType::kF32;
    product.m = workspace_rows_.tokens, product.n = cell_.gates * shape_.hidden, product.k = layer_input(shape_, layer);
    product.a = input, product.lda = product.k;
    product.b = of_layer.w_ih, product.ldb = product.k, product.transpose_b = true;
    product.c = gates, product.ldc = (shape_.layer_norm ? cell_.gates : cell_.saved) * shape_.hidden;
    if (!shape_.layer_norm) product.bias = of_layer.b_ih, product.bias2 = cell_.state_bias ? nullptr : of_layer.b_hh;
    product.rows = counted_rows(plan_);
    product.workspace = workspace_.product, product.workspace_bytes = workspace_.product_bytes;
    return product;
  }

  const Stream stream_;
  const RnnForwardArgs& args_;
  const RnnShape& shape_;
  const CellFacts cell_;
  const BatchPlan& plan_;
  const RnnRows rows_;
  Carver workspace_carver_, reserve_carver_;
  const bool together_;
  const RnnRows workspace_rows_;
  const bool wide_;            // the layers run by wide teams
  const bool keeps_schedule_;  // in the reserve, for backward
  Reserve<T, C> reserve_;
  const NormReserve<C> norm_reserve_;
  ForwardWorkspace<T, C> workspace_;
  const NormForwardWorkspace<C> norm_workspace_;
  LayerRecurrence recurrence_;
};

}  // namespace

int32_t rnn_forward(BackendState* state, const RnnForwardArgs& args, void* stream) {
  const Stream own = make_stream(state, stream);
  switch (args.shape.dtype) {
    case DType::kF32:
      return Forward<float>(own, args).run();
    case DType::kF64:
      return Forward<double>(own, args).run();
    case DType::kBF16:
      return Forward<Bf16>(own, args).run();
    case DType::kF16:
      return Forward<F16>(own, args).run();
    default:
      return VARLSTM_ERROR_UNSUPPORTED;
  }
}

}  // namespace varlstm::cuda
