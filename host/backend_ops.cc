// The operations of the host's table. Each chooses the scalar type, calls host/ops/<op>.h or host/rnn, and raises the
// bits of the status word.
// SPDX-License-Identifier: Apache-2.0
#include "host/backend_ops.h"

#include "host/backend_dtype.h"
#include "host/ops/adam_rows.h"
#include "host/ops/conv_max.h"
#include "host/ops/conv_max_backward.h"
#include "host/ops/dropout.h"
#include "host/ops/embedding.h"
#include "host/ops/linear.h"
#include "host/ops/linear_cross_entropy.h"
#include "host/ops/log_softmax.h"
#include "host/ops/masked_loss.h"
#include "host/ops/optimizer.h"
#include "host/ops/pack.h"
#include "host/rnn/rnn.h"
#include "host/simd/scalar16.h"
#include "host/state.h"

namespace varlstm::host {
namespace {

// A pointer of a call as a pointer to the scalar type.
template <class T>
const T* as(const void* data) {
  return static_cast<const T*>(data);
}
template <class T>
T* as(void* data) {
  return static_cast<T*>(data);
}

int32_t pack_rows(BackendState* state, const PackArgs& args, const void* src, void* packed, void*) {
  return with_element(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    pack(host_state(state)->threads, args, as<T>(src), as<T>(packed));
  });
}

int32_t unpack_rows(BackendState* state, const PackArgs& args, double pad_value, const void* packed, void* dst, void*) {
  return with_element(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    unpack(host_state(state)->threads, args, pad_value, as<T>(packed), as<T>(dst));
  });
}

int32_t plan_rnn(const BackendState*, const RnnShape& shape, RnnPlan* plan) {
  plan->recurrence = VARLSTM_RECURRENCE_AUTO;
  return with_scalar(shape.dtype, [&](auto scalar) {
    plan->infer = rnn_sizes<decltype(scalar)>(shape, plan->bounds, false);
    plan->save = rnn_sizes<decltype(scalar)>(shape, plan->bounds, true);
  });
}

int32_t import_rnn(BackendState*, const RnnImportArgs& args, void*) {
  return with_scalar(args.shape.dtype, [&](auto scalar) { rnn_import<decltype(scalar)>(args); });
}

int32_t size_of_prepared(const BackendState*, const RnnShape& shape, bool save, int64_t* bytes) {
  return with_scalar(shape.dtype, [&](auto scalar) { *bytes = rnn_prepared_size<decltype(scalar)>(shape, save); });
}

int32_t prepare_rnn(BackendState* state, const RnnShape& shape, const void* params, const PreparedRnn& prepared,
                    void*) {
  return with_scalar(shape.dtype, [&](auto scalar) {
    rnn_prepare<decltype(scalar)>(host_state(state)->threads, shape, params, prepared);
  });
}

int32_t forward_prepared(BackendState* state, const RnnForwardArgs& args, const PreparedRnn& prepared, void*) {
  return with_scalar(args.shape.dtype,
                     [&](auto scalar) { rnn_forward<decltype(scalar)>(host_state(state)->threads, args, prepared); });
}

int32_t forward_rnn(BackendState* state, const RnnForwardArgs& args, void* stream) {
  return forward_prepared(state, args, {}, stream);
}

int32_t backward_prepared(BackendState* state, const RnnBackwardArgs& args, const PreparedRnn& prepared, void*) {
  bool own_reserve = true;
  const int32_t status = with_scalar(args.shape.dtype, [&](auto scalar) {
    own_reserve = rnn_backward<decltype(scalar)>(host_state(state)->threads, args, prepared);
  });
  return own_reserve ? status : VARLSTM_ERROR_INVALID_ARGUMENT;
}

int32_t backward_rnn(BackendState* state, const RnnBackwardArgs& args, void* stream) {
  return backward_prepared(state, args, {}, stream);
}

int32_t size_of_step(const BackendState*, const RnnShape& shape, int64_t max_streams, int64_t table_slots,
                     int64_t* bytes) {
  return with_scalar(shape.dtype,
                     [&](auto scalar) { *bytes = rnn_step_size<decltype(scalar)>(shape, max_streams, table_slots); });
}

int32_t step_prepared(BackendState* state, const RnnStepArgs& args, const PreparedRnn& prepared, int64_t* bad_stream,
                      void*) {
  const int32_t status = with_scalar(args.shape.dtype, [&](auto scalar) {
    *bad_stream = rnn_step<decltype(scalar)>(host_state(state)->threads, args, prepared);
  });
  return *bad_stream < 0 ? status : VARLSTM_ERROR_INVALID_ARGUMENT;
}

int32_t step_rnn(BackendState* state, const RnnStepArgs& args, int64_t* bad_stream, void* stream) {
  return step_prepared(state, args, {}, bad_stream, stream);
}

// INVALID_ARGUMENT if the bytes do not fit in int64.
int32_t op_workspace(const BackendState*, Op op, DType dtype, int64_t rows, int64_t a, int64_t b, int64_t* bytes) {
  bool fits = true;
  const int32_t status = with_scalar(dtype, [&](auto scalar) {
    switch (op) {
      case Op::kEmbeddingBackward:
        fits = !__builtin_mul_overflow(rows, kEmbeddingWorkspacePerRow, bytes);
        break;
      case Op::kLinearForward:
      case Op::kLinearBackward:
        *bytes = linear_workspace<decltype(scalar)>({dtype, rows, a, b, nullptr, 0}, op == Op::kLinearBackward);
        fits = *bytes != INT64_MAX;
        break;
      case Op::kNll:
      case Op::kCrossEntropy:
        *bytes = loss_workspace(rows);
        break;
      case Op::kLinearCrossEntropyForward:
      case Op::kLinearCrossEntropyBackward:
        *bytes = linear_loss_workspace<decltype(scalar)>(rows, a, b, op == Op::kLinearCrossEntropyBackward);
        fits = *bytes != INT64_MAX;
        break;
      case Op::kGradNorm:
        *bytes = norm_blocks(rows) * static_cast<int64_t>(sizeof(double));
        break;
    }
  });
  return fits ? status : VARLSTM_ERROR_INVALID_ARGUMENT;
}

int32_t forward_embedding(BackendState* state, const EmbeddingArgs& args, const void* table, void* y, void*) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    host_state(state)->flag_if_any(VARLSTM_DEVICE_STATUS_TOKEN_ID, first_bad_id(args));
    embedding_forward(host_state(state)->threads, args, as<T>(table), as<T>(y));
  });
}

int32_t backward_embedding(BackendState* state, const EmbeddingArgs& args, int64_t padding_idx, const void* dy,
                           void* dtable, void* workspace, int64_t, void*) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    host_state(state)->flag_if_any(VARLSTM_DEVICE_STATUS_TOKEN_ID, first_bad_id(args));
    embedding_backward(host_state(state)->threads, args, padding_idx, as<T>(dy), as<T>(dtable), workspace);
  });
}

int32_t forward_linear(BackendState* state, const LinearArgs& args, const void* x, const void* weight, const void* bias,
                       void* y, void*) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    if constexpr (kIs16Bit<T>) {
      wide_linear_forward(host_state(state)->threads, args, as<T>(x), as<T>(weight), as<T>(bias), as<T>(y));
    } else {
      linear_forward(host_state(state)->threads, args, as<T>(x), as<T>(weight), as<T>(bias), as<T>(y));
    }
  });
}

int32_t backward_linear(BackendState* state, const LinearArgs& args, const void* x, const void* weight, const void* dy,
                        void* dx, void* dweight, void* dbias, void*) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    if constexpr (kIs16Bit<T>) {
      wide_linear_backward(host_state(state)->threads, args, as<T>(x), as<T>(weight), as<T>(dy), as<T>(dx),
                           as<T>(dweight), as<T>(dbias));
    } else {
      linear_backward(host_state(state)->threads, args, as<T>(x), as<T>(weight), as<T>(dy), as<T>(dx), as<T>(dweight),
                      as<T>(dbias));
    }
  });
}

int32_t size_of_conv_max(const BackendState* state, const ConvMaxShape& shape, int64_t* forward, int64_t* backward) {
  return with_scalar(shape.dtype, [&](auto scalar) {
    *forward = conv_max_forward_bytes<decltype(scalar)>(host_state(state)->threads, shape);
    *backward = conv_max_backward_bytes<decltype(scalar)>(shape);
  });
}

int32_t forward_conv_max(BackendState* state, const ConvMaxForwardArgs& args, int64_t* bad_offset, void*) {
  *bad_offset = first_bad_offset(args.shape, args.offsets);
  if (*bad_offset >= 0) return VARLSTM_ERROR_INVALID_ARGUMENT;
  return with_scalar(args.shape.dtype,
                     [&](auto scalar) { conv_max_forward<decltype(scalar)>(host_state(state)->threads, args); });
}

int32_t backward_conv_max(BackendState* state, const ConvMaxBackwardArgs& args, int64_t* bad_offset, void*) {
  *bad_offset = first_bad_offset(args.shape, args.offsets);
  if (*bad_offset >= 0) return VARLSTM_ERROR_INVALID_ARGUMENT;
  return with_scalar(args.shape.dtype,
                     [&](auto scalar) { conv_max_backward<decltype(scalar)>(host_state(state)->threads, args); });
}

int32_t drop(BackendState* state, DType dtype, int64_t count, double p, uint64_t seed, const void* in, void* out,
             void*) {
  return with_scalar(dtype, [&](auto scalar) {
    using T = decltype(scalar);
    dropout(host_state(state)->threads, count, p, seed, as<T>(in), as<T>(out));
  });
}

int32_t forward_log_softmax(BackendState* state, DType dtype, int64_t rows, int64_t classes, const void* x, void* y,
                            void*) {
  return with_scalar(dtype, [&](auto scalar) {
    using T = decltype(scalar);
    log_softmax_forward(host_state(state)->threads, rows, classes, as<T>(x), as<T>(y));
  });
}

int32_t backward_log_softmax(BackendState* state, DType dtype, int64_t rows, int64_t classes, const void* y,
                             const void* dy, void* dx, void*) {
  return with_scalar(dtype, [&](auto scalar) {
    using T = decltype(scalar);
    log_softmax_backward(host_state(state)->threads, rows, classes, as<T>(y), as<T>(dy), as<T>(dx));
  });
}

int32_t forward_nll(BackendState* state, const LossArgs& args, const void* log_probs, void* out, void* weight_sum,
                    void*) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    using C = ComputeType<T>;
    host_state(state)->flag_if_any(VARLSTM_DEVICE_STATUS_LABEL, first_bad_label(args));
    nll_forward(host_state(state)->threads, args, as<T>(log_probs), as<C>(out), as<C>(weight_sum));
  });
}

int32_t backward_nll(BackendState* state, const LossArgs& args, const void* dout, void* dlog_probs, void*) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    using C = ComputeType<T>;
    host_state(state)->flag_if_any(VARLSTM_DEVICE_STATUS_LABEL, first_bad_label(args));
    nll_backward(host_state(state)->threads, args, as<C>(dout), as<T>(dlog_probs));
  });
}

int32_t forward_cross_entropy(BackendState* state, const LossArgs& args, const void* logits, void* out,
                              void* weight_sum, void* dlogits, void*) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    using C = ComputeType<T>;
    host_state(state)->flag_if_any(VARLSTM_DEVICE_STATUS_LABEL, first_bad_label(args));
    cross_entropy_forward(host_state(state)->threads, args, as<T>(logits), as<C>(out), as<C>(weight_sum),
                          as<T>(dlogits));
  });
}

int32_t backward_cross_entropy(BackendState* state, const LossArgs& args, const void* dout, void* dlogits, void*) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    using C = ComputeType<T>;
    cross_entropy_backward(host_state(state)->threads, args, as<C>(dout), as<T>(dlogits));
  });
}

int32_t forward_linear_cross_entropy(BackendState* state, const LinearLossArgs& args, void* out, void* weight_sum,
                                     void* lse, void*) {
  return with_scalar(args.loss.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    using C = ComputeType<T>;
    host_state(state)->flag_if_any(VARLSTM_DEVICE_STATUS_LABEL, first_bad_label(args.loss));
    linear_cross_entropy_forward<T>(host_state(state)->threads, args, as<C>(out), as<C>(weight_sum), as<C>(lse));
  });
}

int32_t backward_linear_cross_entropy(BackendState* state, const LinearLossArgs& args, const void* lse,
                                      const void* dout, void* dx, void* dweight, void* dbias, void*) {
  return with_scalar(args.loss.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    using C = ComputeType<T>;
    host_state(state)->flag_if_any(VARLSTM_DEVICE_STATUS_LABEL, first_bad_label(args.loss));
    linear_cross_entropy_backward(host_state(state)->threads, args, as<C>(lse), as<C>(dout), as<T>(dx), as<T>(dweight),
                                  as<T>(dbias));
  });
}

int32_t convert_elements(BackendState*, DType from, DType to, int64_t count, const void* src, void* dst, void*) {
  return with_scalar(from, [&](auto read) {
    with_scalar(to, [&](auto written) { convert(count, as<decltype(read)>(src), as<decltype(written)>(dst)); });
  });
}

int32_t copy_some_columns(BackendState* state, const ColumnCopy& copy, void*) {
  return with_element(copy.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    parallel_ranges(
        host_state(state)->threads, copy.rows, rows_per_copy(copy.columns), [&](int64_t begin, int64_t end) {
          for (int64_t row = begin; row < end; ++row)
            std::copy_n(as<T>(copy.src) + row * copy.ld_src, copy.columns, as<T>(copy.dst) + row * copy.ld_dst);
        });
  });
}

int32_t step_sgd(BackendState* state, const SgdArgs& args, void* params, const void* grads, void* velocity, void*) {
  return with_float(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    sgd_step(host_state(state)->threads, args, as<T>(params), as<T>(grads), as<T>(velocity));
  });
}

int32_t step_adam(BackendState* state, const AdamArgs& args, void* params, const void* grads, void* m, void* v,
                  int64_t* step, void*) {
  return with_float(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    adam_step(host_state(state)->threads, args, as<T>(params), as<T>(grads), as<T>(m), as<T>(v), step);
  });
}

int32_t norm_and_clip(BackendState* state, DType dtype, int64_t count, double max_norm, void* grads, double* norm,
                      void* workspace, int64_t, void*) {
  return with_float(dtype, [&](auto scalar) {
    using T = decltype(scalar);
    *norm = grad_norm(host_state(state)->threads, count, as<T>(grads), workspace);
    if (max_norm >= 0) clip_grads(host_state(state)->threads, count, max_norm, *norm, as<T>(grads));
  });
}

int32_t backward_embedding_rows(BackendState* state, const EmbeddingArgs& args, int64_t padding_idx, const void* dy,
                                int64_t* row_ids, void* drows, void* workspace, int64_t, void*) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    host_state(state)->flag_if_any(VARLSTM_DEVICE_STATUS_TOKEN_ID, first_bad_id(args));
    embedding_backward_rows(host_state(state)->threads, args, padding_idx, as<T>(dy), row_ids, as<T>(drows), workspace);
  });
}

int32_t step_sgd_rows(BackendState* state, const SgdRowsArgs& args, const void* drows, void*) {
  return with_float(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    sgd_rows_step(host_state(state)->threads, args, as<T>(drows));
  });
}

int32_t step_adam_rows(BackendState* state, const AdamRowsArgs& args, const void* drows, int64_t* bad_row, void*) {
  *bad_row = first_bad_last_step(args, 1);
  if (*bad_row >= 0) return VARLSTM_ERROR_INVALID_ARGUMENT;
  return with_float(args.adam.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    adam_rows_step(host_state(state)->threads, args, as<T>(drows));
  });
}

int32_t catch_up_adam_rows(BackendState* state, const AdamRowsArgs& args, int64_t* bad_row, void*) {
  *bad_row = first_bad_last_step(args, 0);
  if (*bad_row >= 0) return VARLSTM_ERROR_INVALID_ARGUMENT;
  return with_float(args.adam.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    adam_rows_catch_up<T>(host_state(state)->threads, args);
  });
}

}  // namespace

void set_operations(Backend& table) {
  table.pack = pack_rows;
  table.unpack = unpack_rows;
  table.rnn_plan = plan_rnn;
  table.rnn_import = import_rnn;
  table.rnn_forward = forward_rnn;
  table.rnn_backward = backward_rnn;
  table.rnn_step_size = size_of_step;
  table.rnn_step = step_rnn;
  table.rnn_prepared_size = size_of_prepared;
  table.rnn_prepare = prepare_rnn;
  table.rnn_forward_prepared = forward_prepared;
  table.rnn_backward_prepared = backward_prepared;
  table.rnn_step_prepared = step_prepared;
  table.op_workspace = op_workspace;
  table.embedding_forward = forward_embedding;
  table.embedding_backward = backward_embedding;
  table.linear_forward = forward_linear;
  table.linear_backward = backward_linear;
  table.conv_max_size = size_of_conv_max;
  table.conv_max_forward = forward_conv_max;
  table.conv_max_backward = backward_conv_max;
  table.dropout = drop;
  table.log_softmax_forward = forward_log_softmax;
  table.log_softmax_backward = backward_log_softmax;
  table.nll_forward = forward_nll;
  table.nll_backward = backward_nll;
  table.cross_entropy_forward = forward_cross_entropy;
  table.cross_entropy_backward = backward_cross_entropy;
  table.linear_cross_entropy_forward = forward_linear_cross_entropy;
  table.linear_cross_entropy_backward = backward_linear_cross_entropy;
  table.convert = convert_elements;
  table.copy_columns = copy_some_columns;
  table.sgd_step = step_sgd;
  table.adam_step = step_adam;
  table.grad_norm = norm_and_clip;
  table.embedding_backward_rows = backward_embedding_rows;
  table.sgd_rows_step = step_sgd_rows;
  table.adam_rows_step = step_adam_rows;
  table.adam_rows_catch_up = catch_up_adam_rows;
}

}  // namespace varlstm::host
