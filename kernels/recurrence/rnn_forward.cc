// Forward of the recurrent network: per layer one product of all tokens with W_ih, then the recurrence.
// Mirrored by host/rnn_forward.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/scalar_dispatch.h"
#include "kernels/core/status.h"
#include "kernels/dropout/dropout.h"
#include "kernels/gemm/gemm.h"
#include "kernels/recurrence/layer_recurrence.h"
#include "kernels/recurrence/rnn.h"

namespace varlstm::cuda {
namespace {

template <class T>
class Forward {
  using C = ComputeType<T>;

 public:
  Forward(Stream stream, const RnnForwardArgs& args, RecurrencePolicy policy)
      : stream_(stream),
        args_(args),
        shape_(args.shape),
        plan_(*args.batch),
        rows_(rows_of(plan_)),
        workspace_carver_(args.workspace),
        reserve_carver_(args.reserve),
        workspace_(shape_, rows_, args.save, workspace_carver_),
        recurrence_(*stream.state, shape_, policy, plan_.bounds, plan_.batch, workspace_carver_),
        reserve_(shape_, rows_, reserve_carver_) {}

  int32_t run() {
    if (args_.save) {
      VARLSTM_CUDA_TRY(
          write_reserve_header(stream_, plan_, reserve_hash(shape_, plan_.batch), args_.dropout_seed, reserve_.header));
    }
    VARLSTM_CUDA_TRY(recurrence_.prepare(stream_, plan_));
    const T* input = static_cast<const T*>(args_.x);
    for (int64_t layer = 0; layer < shape_.layers; ++layer) {
      T* const output = layer + 1 == shape_.layers ? static_cast<T*>(args_.y)
                        : args_.save               ? reserve_.y + layer * reserve_.y_size
                                                   : workspace_.y[layer % 2];
      VARLSTM_CUDA_TRY(run_layer(layer, input, output));
      input = output;
      if (layer + 1 < shape_.layers && shape_.dropout > 0 && args_.dropout_seed != 0) {
        VARLSTM_CUDA_TRY(dropout(stream_, shape_.dtype, rows_.tokens * width(), shape_.dropout,
                                 args_.dropout_seed + static_cast<uint64_t>(layer), output, workspace_.dropped));
        input = workspace_.dropped;
      }
    }
    return VARLSTM_OK;
  }

 private:
  int64_t width() const { return shape_.directions * shape_.hidden; }

  int32_t run_layer(int64_t layer, const T* input, T* output) {
    // Rows from N on stay zeros.
    if (plan_.tokens < 0 && rows_.tokens > 0) {
      VARLSTM_CUDA_TRY(check_runtime(
          cudaMemsetAsync(output, 0, static_cast<size_t>(rows_.tokens * width()) * sizeof(T), stream_.handle),
          "cudaMemsetAsync"));
    }
    LayerForward<T, C> recurrence{};
    recurrence.plan = plan_;
    recurrence.row_order = shape_.row_order;
    recurrence.hidden = shape_.hidden;
    recurrence.directions = shape_.directions;
    recurrence.ldy = width();
    recurrence.save = args_.save;
    for (int64_t d = 0; d < shape_.directions; ++d) {
      recurrence.direction[d] = direction(layer, d, output);
      VARLSTM_CUDA_TRY(project_input(layer, d, input, recurrence.direction[d].gates));
    }
    return recurrence_.forward(stream_, recurrence);
  }

  DirectionForward<T, C> direction(int64_t layer, int64_t d, T* output) {
    const int64_t entry = layer * shape_.directions + d;
    const auto state = [&](auto* base) {
      return base == nullptr ? nullptr : base + entry * plan_.batch * shape_.hidden;
    };
    DirectionForward<T, C> r{};
    r.w_hh = static_cast<const T*>(args_.params) + layer_offsets(shape_, layer, d).w_hh;
    r.h0 = state(static_cast<const T*>(args_.h0));
    r.c0 = state(static_cast<const T*>(args_.c0));
    r.gates = args_.save ? reserve_.gates + entry * reserve_.gates_size : workspace_.gates[d];
    r.c = args_.save ? reserve_.c + entry * reserve_.c_size : workspace_.c[d];
    r.y = output + d * shape_.hidden;
    r.h_n = state(static_cast<T*>(args_.h_n));
    r.c_n = state(static_cast<T*>(args_.c_n));
    return r;
  }

  // gates [N, 4H] <- input W_ih^T + b_ih + b_hh, in C.
  int32_t project_input(int64_t layer, int64_t d, const T* input, C* gates) {
    const T* params = static_cast<const T*>(args_.params);
    const LayerOffsets offsets = layer_offsets(shape_, layer, d);
    GemmArgs product{};
    product.dtype = shape_.dtype;
    product.dtype_c = shape_.dtype == DType::kF64 ? DType::kF64 : DType::kF32;
    product.m = rows_.tokens, product.n = 4 * shape_.hidden, product.k = layer_input(shape_, layer);
    product.a = input, product.lda = product.k;
    product.b = params + offsets.w_ih, product.ldb = product.k, product.transpose_b = true;
    product.c = gates, product.ldc = product.n;
    if (shape_.bias) product.bias = params + offsets.b_ih, product.bias2 = params + offsets.b_hh;
    product.rows = counted_rows(plan_);
    product.workspace = workspace_.product, product.workspace_bytes = workspace_.product_bytes;
    return gemm(stream_, product);
  }

  const Stream stream_;
  const RnnForwardArgs& args_;
  const RnnShape& shape_;
  const BatchPlan& plan_;
  const RnnRows rows_;
  Carver workspace_carver_, reserve_carver_;
  ForwardWorkspace<T, C> workspace_;
  const LayerRecurrence recurrence_;
  Reserve<T, C> reserve_;
};

}  // namespace

int32_t rnn_forward(Stream stream, const RnnForwardArgs& args) {
  RecurrencePolicy policy;
  VARLSTM_CUDA_TRY(choose_recurrence(*stream.state, args.shape, &policy));
  return with_scalar(args.shape.dtype,
                     [&](auto scalar) { return Forward<decltype(scalar)>(stream, args, policy).run(); });
}

}  // namespace varlstm::cuda
