// Backward of the recurrent network. Each layer is the recurrence in reverse, and then dx, dW_ih and dW_hh as large
// products over all tokens. Mirrored by host/rnn/rnn_backward.h.
// SPDX-License-Identifier: Apache-2.0
#include <type_traits>

#include "kernels/core/scalar_dispatch.h"
#include "kernels/core/status.h"
#include "kernels/dropout/dropout.h"
#include "kernels/dropout/weight_mask.h"
#include "kernels/gemm/column_sum.h"
#include "kernels/gemm/gemm.h"
#include "kernels/recurrence/layer_norm/layer_norm.h"
#include "kernels/recurrence/layer_recurrence.h"
#include "kernels/recurrence/rnn.h"

namespace varlstm::cuda {
namespace {

template <class T>
class Backward {
  using C = ComputeType<T>;

 public:
  Backward(Stream stream, const RnnBackwardArgs& args)
      : stream_(stream),
        args_(args),
        shape_(args.shape),
        cell_(cell_facts(args.shape.cell)),
        plan_(*args.batch),
        rows_(rows_of(plan_)),
        workspace_carver_(args.workspace),
        reserve_carver_(const_cast<void*>(args.reserve)),  // only read from
        wide_(runs_wide(WidePass::kBackward, *stream.state, shape_, *args.plan, scheduled_extent(plan_))),
        schedule_is_kept_(schedule_is_kept(*stream.state, shape_, *args.plan, scheduled_extent(plan_))),
        reserve_(shape_, rows_, reserve_carver_),
        norm_reserve_(shape_, rows_, reserve_carver_),
        workspace_(shape_, rows_, workspace_carver_),
        norm_workspace_(shape_, rows_, workspace_carver_),
        recurrence_(*stream.state, shape_, *args.plan, wide_ ? TeamKind::kWideBackward : TeamKind::kOfPolicy, 1,
                    scheduled_extent(plan_), schedule_is_kept_ ? reserve_carver_ : workspace_carver_,
                    workspace_carver_) {}

  int32_t run() {
    uint64_t hash = reserve_hash(shape_, extent_of(plan_));
    KeptSteps steps{};
    if (schedule_is_kept_) steps = recurrence_.take_kept_schedule(&hash);
    VARLSTM_CUDA_TRY(recurrence_.check(stream_, plan_, {reserve_.header, hash, plan_.lengths_hash, steps}));
    if (!schedule_is_kept_) VARLSTM_CUDA_TRY(recurrence_.prepare(stream_, plan_, {}));
    VARLSTM_CUDA_TRY(clear_initial_gradients());
    if (!shape_.add_dparams) VARLSTM_CUDA_TRY(clear(args_.dparams, param_elements()));
    const T* doutput = static_cast<const T*>(args_.dy);
    for (int64_t layer = shape_.layers - 1; layer >= 0; --layer) {
      T* const dinput = layer == 0 ? static_cast<T*>(args_.dx) : workspace_.dlayer[(layer - 1) % 2];
      VARLSTM_CUDA_TRY(run_layer(layer, doutput, dinput));
      if (layer > 0) VARLSTM_CUDA_TRY(drop(layer - 1, dinput, dinput));
      doutput = dinput;
    }
    return VARLSTM_OK;
  }

 private:
  int64_t width() const { return shape_.directions * features_of_h(shape_); }
  // Where one layer more would begin.
  int64_t param_elements() const { return layer_offsets(shape_, shape_.layers, 0).w_ih; }

  // No segment starts from the initial state of a sequence with a reset at its first token, so that its gradient is 0.
  int32_t clear_initial_gradients() {
    if (plan_.segments.lengths == nullptr) return VARLSTM_OK;
    const int64_t states = shape_.layers * shape_.directions * plan_.batch;
    VARLSTM_CUDA_TRY(clear(args_.dh0, states * features_of_h(shape_)));
    return clear(args_.dc0, states * shape_.hidden);
  }

  int32_t clear(void* gradient, int64_t elements) {
    if (gradient == nullptr || elements == 0) return VARLSTM_OK;
    return check_runtime(cudaMemsetAsync(gradient, 0, static_cast<size_t>(elements) * sizeof(T), stream_.handle),
                         "cudaMemsetAsync");
  }

  // out <- in with the dropout mask that forward used after `layer`. This is a copy if forward ran without dropout; it
  // does nothing if the rnn has no dropout.
  int32_t drop(int64_t layer, const T* in, T* out) {
    if (!(shape_.dropout > 0)) return VARLSTM_OK;
    DropoutArgs args{};
    args.dtype = shape_.dtype;
    args.m = rows_.tokens, args.n = width();
    args.rows = counted_rows(plan_);
    args.p = shape_.dropout;
    args.seed = static_cast<uint64_t>(layer), args.stored_seed = &reserve_.header->dropout_seed;
    args.in = in, args.out = out;
    return dropout(stream_, args);
  }

  // The mask that forward used, none if its seed was 0.
  WeightMask weight_mask(int64_t layer, int64_t d) const {
    return {shape_.dtype,
            recurrent_weights(shape_),
            layer,
            d,
            shape_.options.recurrent_dropout,
            0,
            &reserve_.header->dropout_seed};
  }

  // The output of a layer as it left the recurrence.
  const T* layer_output(int64_t layer) const {
    return layer + 1 == shape_.layers ? static_cast<const T*>(args_.y) : reserve_.y + layer * reserve_.y_size;
  }

  int32_t run_layer(int64_t layer, const T* doutput, T* dinput) {
    LayerBackward<T, C> recurrence{};
    recurrence.plan = plan_;
    recurrence.row_order = shape_.row_order;
    recurrence.hidden = shape_.hidden;
    recurrence.state = features_of_h(shape_);
    recurrence.directions = shape_.directions;
    recurrence.ldy = width();
    if (layer + 1 == shape_.layers) recurrence.dc_of_token = static_cast<const T*>(args_.dc);
    for (int64_t d = 0; d < shape_.directions; ++d) recurrence.direction[d] = direction(layer, d, doutput);
    for (int64_t d = 0; d < shape_.directions && masks_weights(shape_); ++d) {
      VARLSTM_CUDA_TRY(mask_weights(stream_, weight_mask(layer, d), recurrence.direction[d].w_hh, workspace_.w_hh[d]));
      recurrence.direction[d].w_hh = workspace_.w_hh[d];
    }
    recurrence.in_pairs = has_pairs(recurrence) ? 1 : 0;
    LayerOptions<C> options = layer_options<C>(shape_, layer, 0, &reserve_.header->dropout_seed);
    for (int64_t d = 0; d < shape_.directions; ++d)
      options.unclipped[d] = reserve_.unclipped_of(shape_, rows_, layer, d);
    if (shape_.layer_norm)
      VARLSTM_CUDA_TRY(layer_norm_backward(stream_, shape_.cell, recurrence, norm(layer), options));
    else
      VARLSTM_CUDA_TRY(recurrence_.run(stream_, recurrence, options));
    if (dinput != nullptr) VARLSTM_CUDA_TRY(input_gradient(layer, dinput));
    if (args_.dparams == nullptr) return VARLSTM_OK;

    const T* source = layer == 0 ? static_cast<const T*>(args_.x) : layer_output(layer - 1);
    if (layer > 0 && shape_.dropout > 0) {
      VARLSTM_CUDA_TRY(drop(layer - 1, source, workspace_.dropped));
      source = workspace_.dropped;
    }
    for (int64_t d = 0; d < shape_.directions; ++d) {
      StatesBefore before = states_before(recurrence, d);
      if (before.rows == nullptr) {
        VARLSTM_CUDA_TRY(run_gradients());  // which read the h_prev of the other direction
        VARLSTM_CUDA_TRY(gather_previous(stream_, recurrence, options, d, workspace_.h_prev));
        before = {workspace_.h_prev, features_of_h(shape_), nullptr, nullptr};
      }
      VARLSTM_CUDA_TRY(weight_gradients(layer, d, source, before));
      if (shape_.layer_norm) VARLSTM_CUDA_TRY(gain_gradients(layer, d));
      if (shape_.projection > 0) VARLSTM_CUDA_TRY(projection_gradient(layer, d));
    }
    return run_gradients();
  }

  // The state that each token's step started from: row n of `of`, or the row that rows[n] names, as in GemmArgs.
  struct StatesBefore {
    const T* of;
    int64_t ld;
    const int64_t* rows;
    const T* initial;
  };

  // Those of a direction where they are, if its products can take them from there; otherwise without rows.
  StatesBefore states_before(const LayerBackward<T, C>& layer, int64_t d) const {
    const StatesBefore in_place{layer.direction[d].y, layer.ldy, recurrence_.rows_before(d), layer.direction[d].h0};
    const GateGradients gradients{workspace_.dgates[d], cell_.gradients() * shape_.hidden};
    const GemmArgs product = gradient_product(gradients, {0, cell_.gates, 0}, in_place.of, in_place.ld,
                                              features_of_h(shape_), static_cast<T*>(args_.dparams), true);
    return in_place.rows != nullptr && takes_rows_by_index(stream_, product) ? in_place : StatesBefore{};
  }

  LayerNormBackward<T, C> norm(int64_t layer) const {
    LayerNormBackward<T, C> r{};
    for (int64_t d = 0; d < shape_.directions; ++d) {
      r.params[d] = norm_parameters(shape_, static_cast<const T*>(args_.params), layer, d);
      r.values[d] = norm_reserve_.of(layer * shape_.directions + d);
      r.gradients[d] = norm_workspace_.gradients[d];
    }
    return r;
  }

  // Gradients of gates, in rows of ld elements.
  struct GateGradients {
    const T* values;
    int64_t ld;
  };
  // Those that flow to the input's weights are the first GH of each row.
  GateGradients input_gradients(int64_t d) const {
    if (shape_.layer_norm) return {norm_workspace_.gradients[d].dproduct, gate_values(shape_)};
    return {workspace_.dgates[d], cell_.gradients() * shape_.hidden};
  }

  DirectionBackward<T, C> direction(int64_t layer, int64_t d, const T* doutput) {
    const int64_t entry = layer * shape_.directions + d;
    const auto state = [&](auto* base, int64_t features) {
      return base == nullptr ? nullptr : base + entry * plan_.batch * features;
    };
    const int64_t of_h = features_of_h(shape_), of_c = shape_.hidden;
    const LayerOffsets offsets = layer_offsets(shape_, layer, d);
    DirectionBackward<T, C> r{};
    r.w_hh = static_cast<const T*>(args_.params) + offsets.w_hh;
    if (shape_.projection > 0) r.w_hr = static_cast<const T*>(args_.params) + offsets.w_hr;
    r.dprojected = workspace_.dprojected[d];
    r.h0 = state(static_cast<const T*>(args_.h0), of_h);
    r.c0 = state(static_cast<const T*>(args_.c0), of_c);
    r.gates = reserve_.gates + entry * reserve_.gates_size;
    if (cell_.has_c) r.c = reserve_.c + entry * reserve_.c_size;
    if (reserve_.operand != nullptr) r.operand = reserve_.operand + entry * reserve_.c_size;
    r.y = layer_output(layer) + d * of_h;
    r.dy = doutput == nullptr ? nullptr : doutput + d * of_h;
    r.dh_n = state(static_cast<const T*>(args_.dh_n), of_h);
    r.dc_n = state(static_cast<const T*>(args_.dc_n), of_c);
    r.dgates = workspace_.dgates[d];
    r.dc = workspace_.dc[d];
    r.dh = workspace_.dh[d];
    r.dh0 = state(static_cast<T*>(args_.dh0), of_h);
    r.dc0 = state(static_cast<T*>(args_.dc0), of_c);
    return r;
  }

  // dinput [N, in] <- sum over directions of dgates W_ih, with the gradients that flow to the input. Rows of dx from N
  // on are zeros. Between layers those rows stay unwritten, because nothing reads them: the recurrence reads rows of
  // tokens only, and products and dropout stop at N.
  int32_t input_gradient(int64_t layer, T* dinput) {
    const int64_t in = layer_input(shape_, layer);
    if (layer == 0 && plan_.tokens < 0 && rows_.tokens > 0) {
      VARLSTM_CUDA_TRY(
          check_runtime(cudaMemsetAsync(dinput, 0, static_cast<size_t>(rows_.tokens * in) * sizeof(T), stream_.handle),
                        "cudaMemsetAsync"));
    }
    GemmArgs products[kMaxDirections];
    for (int64_t d = 0; d < shape_.directions; ++d) {
      GemmArgs& product = products[d];
      product = {};
      product.dtype = product.dtype_c = shape_.dtype;
      product.m = rows_.tokens, product.n = in, product.k = cell_.gates * shape_.hidden;
      product.a = input_gradients(d).values, product.lda = input_gradients(d).ld;
      product.b = static_cast<const T*>(args_.params) + layer_offsets(shape_, layer, d).w_ih, product.ldb = in;
      product.c = dinput, product.ldc = in;
      product.accumulate = d > 0;
      product.rows = counted_rows(plan_);
      product.workspace = workspace_.product, product.workspace_bytes = workspace_.product_bytes;
    }
    return gemm_group(stream_, products, static_cast<int>(shape_.directions), GemmOrder::kChain);
  }

  // The gates from `first` on, and where dgates has their gradients.
  struct Gates {
    int64_t first, count, stored_at;
  };

  // dW_ih += dgates^T input, dW_hh += dgates^T h_prev (or the operand of a second product), and the biases' gradients
  // += column sums of dgates, which the same products add up. If the last gates have gradients of their own for the
  // state's weights, those are products and sums of their own. The products run with those of the other direction.
  int32_t weight_gradients(int64_t layer, int64_t d, const T* input, const StatesBefore& before) {
    const LayerOffsets offsets = layer_offsets(shape_, layer, d);
    const int64_t plain = cell_.gates - cell_.state_gates;  // gates with one gradient
    const int64_t first_gates = plain - cell_.second_gates, in = layer_input(shape_, layer);
    const Gates all{0, cell_.gates, 0}, of_first{0, first_gates, 0},
        of_second{first_gates, cell_.second_gates, first_gates}, of_state{plain, cell_.state_gates, cell_.gates};
    const GateGradients gradients{workspace_.dgates[d], cell_.gradients() * shape_.hidden};
    const int64_t features = features_of_h(shape_);
    const bool sums = shape_.bias && !shape_.layer_norm;  // otherwise gain_gradients adds to those of the biases
    T* const dparams = static_cast<T*>(args_.dparams);
    const auto add = [&](GemmArgs product, T* dbias) {
      if (sums) product.sums = dbias;
      return add_gradient(product);
    };
    VARLSTM_CUDA_TRY(add(gradient_product(input_gradients(d), all, input, in, in, dparams + offsets.w_ih, true),
                         dparams + offsets.b_ih));
    const auto state_gradient = [&](const Gates& gates, const StatesBefore& factor) -> int32_t {
      if (gates.count == 0) return VARLSTM_OK;
      T* const dbias = dparams + offsets.b_hh + gates.first * shape_.hidden;
      GemmArgs product =
          gradient_product(gradients, gates, factor.of, factor.ld, features, dparams + offsets.w_hh, true);
      if (masks_weights(shape_))
        product = gradient_product(gradients, gates, factor.of, factor.ld, features, workspace_.dw_hh, false);
      product.b_rows = factor.rows, product.b_initial = factor.initial;
      product.b_initials = factor.initial == nullptr ? 0 : plan_.batch;
      if (!masks_weights(shape_)) return add(product, dbias);
      VARLSTM_CUDA_TRY(add_gradient(product));
      return sums ? bias_gradient(gradients, gates, dbias) : VARLSTM_OK;
    };
    VARLSTM_CUDA_TRY(state_gradient(of_first, before));
    VARLSTM_CUDA_TRY(state_gradient(of_state, before));
    if (cell_.second_gates > 0)
      VARLSTM_CUDA_TRY(state_gradient(of_second, {reserve_.operand + (layer * shape_.directions + d) * reserve_.c_size,
                                                  features, nullptr, nullptr}));
    if (!masks_weights(shape_)) return VARLSTM_OK;
    VARLSTM_CUDA_TRY(run_gradients());
    return add_masked_gradient(stream_, weight_mask(layer, d), workspace_.dw_hh, dparams + offsets.w_hh);
  }

  // Puts off a gradient of weights until run_gradients(), with as many others as a launch takes.
  int32_t add_gradient(const GemmArgs& product) {
    if (gradient_count_ == kMostProducts) VARLSTM_CUDA_TRY(run_gradients());
    gradients_[gradient_count_++] = product;
    return VARLSTM_OK;
  }
  int32_t run_gradients() {
    const int count = gradient_count_;
    gradient_count_ = 0;
    return gemm_group(stream_, gradients_, count, GemmOrder::kIndependent);
  }

  // The gradients of the gains and biases under layer normalisation += sums over the tokens.
  int32_t gain_gradients(int64_t layer, int64_t d) {
    const LayerOffsets offsets = layer_offsets(shape_, layer, d);
    const NormValues<C> values = norm_reserve_.of(layer * shape_.directions + d);
    const NormGradients<T, C>& gradients = norm_workspace_.gradients[d];
    const int64_t hidden = shape_.hidden, plain = cell_.gates - cell_.state_gates, hat_ld = cell_.gates * hidden;
    const auto add = [&](const Gates& gates, const C* hat, int64_t of_gain, int64_t of_bias) {
      const int64_t first = gates.first * hidden;
      const auto at = [&](int64_t offset) {
        return offset < 0 ? nullptr : static_cast<T*>(args_.dparams) + offset + first;
      };
      return add_gain_gradients<T, C>(
          stream_, {rows_.tokens, gates.count * hidden, counted_rows(plan_), gradients.dsums + gates.stored_at * hidden,
                    cell_.gradients() * hidden, hat + first, hat_ld, at(of_gain), at(of_bias)});
    };
    VARLSTM_CUDA_TRY(add({0, cell_.gates, 0}, values.x_hat, offsets.norm_ih, offsets.b_ih));
    VARLSTM_CUDA_TRY(add({0, plain, 0}, values.h_hat, offsets.norm_hh, offsets.b_hh));
    VARLSTM_CUDA_TRY(add({plain, cell_.state_gates, cell_.gates}, values.h_hat, offsets.norm_hh, offsets.b_hh));
    if (!cell_.has_c) return VARLSTM_OK;
    T* const dparams = static_cast<T*>(args_.dparams);
    return add_gain_gradients<T, C>(
        stream_, {rows_.tokens, hidden, counted_rows(plan_), gradients.dnormalised, hidden, values.c_hat, hidden,
                  dparams + offsets.norm_c, dparams + offsets.norm_c_bias});
  }

  // dW_hr [P, H] += dprojected^T unprojected.
  int32_t projection_gradient(int64_t layer, int64_t d) {
    GemmArgs product{};
    product.dtype = product.dtype_c = shape_.dtype;
    product.m = shape_.projection, product.n = shape_.hidden, product.k = rows_.tokens;
    product.a = workspace_.dprojected[d], product.lda = shape_.projection, product.transpose_a = true;
    product.b = reserve_.unprojected + (layer * shape_.directions + d) * reserve_.c_size, product.ldb = shape_.hidden;
    product.c = static_cast<T*>(args_.dparams) + layer_offsets(shape_, layer, d).w_hr, product.ldc = shape_.hidden;
    product.rows = counted_rows(plan_);
    product.accumulate = true;
    product.workspace = workspace_.product, product.workspace_bytes = workspace_.product_bytes;
    return gemm(stream_, product);
  }

  // The rows of those gates in dw <- (with `accumulate` +=) gradients^T factor, with factor [N, n] in rows of ld
  // elements. dw is in the dtype or in the type that it is computed in.
  template <class W>
  GemmArgs gradient_product(const GateGradients& gradients, const Gates& gates, const T* factor, int64_t ld, int64_t n,
                            W* dw, bool accumulate) const {
    GemmArgs product{};
    product.dtype = shape_.dtype;
    product.dtype_c = std::is_same<W, T>::value ? shape_.dtype : DType::kF32;
    product.m = gates.count * shape_.hidden, product.n = n, product.k = rows_.tokens;
    product.a = gradients.values + gates.stored_at * shape_.hidden, product.lda = gradients.ld;
    product.transpose_a = true;
    product.b = factor, product.ldb = ld;
    product.c = dw + gates.first * shape_.hidden * n, product.ldc = n;
    product.accumulate = accumulate;
    product.rows = counted_rows(plan_);
    product.workspace = workspace_.product, product.workspace_bytes = workspace_.product_bytes;
    return product;
  }

  // dbias += column sums of the gradients of those gates.
  int32_t bias_gradient(const GateGradients& gradients, const Gates& gates, T* dbias) {
    return add_column_sums(stream_, shape_.dtype, shape_.dtype, rows_.tokens, gates.count * shape_.hidden,
                           gradients.values + gates.stored_at * shape_.hidden, gradients.ld, counted_rows(plan_), dbias,
                           nullptr);
  }

  const Stream stream_;
  const RnnBackwardArgs& args_;
  const RnnShape& shape_;
  const CellFacts cell_;
  const BatchPlan& plan_;
  const RnnRows rows_;
  Carver workspace_carver_, reserve_carver_;
  const bool wide_;              // the layers run by wide teams
  const bool schedule_is_kept_;  // in the reserve, by forward
  Reserve<T, C> reserve_;
  const NormReserve<C> norm_reserve_;
  BackwardWorkspace<T, C> workspace_;
  const NormBackwardWorkspace<T, C> norm_workspace_;
  LayerRecurrence recurrence_;
  GemmArgs gradients_[kMostProducts];  // that run_gradients() runs
  int gradient_count_ = 0;
};

}  // namespace

int32_t rnn_backward(BackendState* state, const RnnBackwardArgs& args, void* stream) {
  const Stream own = make_stream(state, stream);
  switch (args.shape.dtype) {
    case DType::kF32:
      return Backward<float>(own, args).run();
    case DType::kF64:
      return Backward<double>(own, args).run();
    case DType::kBF16:
      return Backward<Bf16>(own, args).run();
    case DType::kF16:
      return Backward<F16>(own, args).run();
    default:
      return VARLSTM_ERROR_UNSUPPORTED;
  }
}

}  // namespace varlstm::cuda
