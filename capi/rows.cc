// Rows of a table: the gradient of those that a step touched, and the optimisers' steps for them.
// SPDX-License-Identifier: Apache-2.0
#include "capi/op_workspace.h"
#include "capi/optimizer.h"

using namespace varlstm;

namespace {

int32_t check_rows(int64_t rows, int64_t vocab, int64_t features) {
  VARLSTM_TRY(check_at_least("rows", rows, 0));
  VARLSTM_TRY(check_at_least("vocab", vocab, 1));
  VARLSTM_TRY(check_at_least("features", features, 1));
  return check_bytes("table", {{"vocab", vocab}, {"features", features}}, 8, nullptr);
}

int32_t check_adam_rows(const varlstm_ctx* ctx, const AdamRowsArgs& args, int32_t decoupled, const void* stream) {
  const AdamArgs& adam = args.adam;
  VARLSTM_TRY(check_usable("ctx", ctx, stream));
  VARLSTM_TRY(check_master_dtype(static_cast<int32_t>(adam.dtype)));
  VARLSTM_TRY(check_rows(args.rows, args.vocab, args.features));
  VARLSTM_TRY(check_finite_non_negative("lr", adam.lr));
  VARLSTM_TRY(check_adam(adam.beta1, adam.beta2, adam.eps, adam.weight_decay, decoupled));
  return check_at_least("history_steps", args.history_steps, 1);
}

// The buffers that both calls of Adam have. `step` and `history` are written by a step alone.
void add_adam_buffers(const AdamRowsArgs& args, bool is_step, BufferCheck* buffers) {
  const Dim vocab{"vocab", args.vocab}, features{"features", args.features};
  const Dim steps{"history_steps", args.history_steps}, factors{"3", kAdamFactors};
  buffers->write("table", args.table, {vocab, features});
  buffers->write("m", args.m, {vocab, features});
  buffers->write("v", args.v, {vocab, features});
  buffers->write("last_steps", args.last_steps, {vocab}, sizeof(int64_t));
  if (is_step) {
    buffers->write("history", args.history, {steps, factors});
    buffers->write("step", args.step, {}, sizeof(int64_t));
  } else {
    buffers->read("history", args.history, {steps, factors});
    buffers->read("step", args.step, {}, sizeof(int64_t));
  }
}

// The text of a status of the back end. If there is a bad row, the host has read it in the caller's memory.
int32_t explain(int32_t status, const AdamRowsArgs& args, int64_t bad_row) {
  const auto ll = [](int64_t value) { return static_cast<long long>(value); };
  if (status != VARLSTM_ERROR_INVALID_ARGUMENT || bad_row < 0) return status;
  if (bad_row == args.vocab) return set_error(status, "step[0] = %lld is not in 0 ... 2^63 - 2", ll(*args.step));
  const int64_t last = args.last_steps[bad_row];
  if (last < 0 || last > *args.step)
    return set_error(status, "last_steps[%lld] = %lld is not in 0 ... step[0] = %lld", ll(bad_row), ll(last),
                     ll(*args.step));
  return set_error(status, "last_steps[%lld] = %lld is more than history_steps = %lld before this step; step[0] = %lld",
                   ll(bad_row), ll(last), ll(args.history_steps), ll(*args.step));
}

}  // namespace

int32_t varlstm_embedding_backward_rows(varlstm_ctx* ctx, const varlstm_batch* batch, int32_t dtype, int64_t rows,
                                        int64_t vocab, int64_t features, int64_t padding_idx, const int64_t* ids,
                                        const void* dy, int64_t* row_ids, void* drows, void* workspace,
                                        int64_t workspace_bytes, void* stream) {
  VARLSTM_TRY(check_usable("ctx", ctx, stream));
  VARLSTM_TRY(check_dtype("dtype", dtype));
  VARLSTM_TRY(check_rows(rows, vocab, features));
  VARLSTM_TRY(check_batch_or_null(ctx, batch, rows));
  VARLSTM_TRY(check_between("padding_idx", padding_idx, -1, vocab - 1));
  const DType type = static_cast<DType>(dtype);
  BufferCheck buffers(element_size(type));
  buffers.read("ids", ids, {{"rows", rows}}, sizeof(int64_t));
  buffers.read("dy", dy, {{"rows", rows}, {"features", features}});
  buffers.write("row_ids", row_ids, {{"rows", rows}}, sizeof(int64_t));
  buffers.write("drows", drows, {{"rows", rows}, {"features", features}});
  VARLSTM_TRY(buffers.status());
  int64_t needed = 0;
  VARLSTM_TRY(query_op_workspace(ctx, Op::kEmbeddingBackward, type, rows, vocab, features, &needed));
  buffers.scratch("workspace", workspace, workspace_bytes, needed);
  VARLSTM_TRY(buffers.finish());
  const EmbeddingArgs args{type, rows, vocab, features, batch == nullptr ? nullptr : &batch->plan, ids};
  return call_backend(ctx, "embedding_backward_rows", &Backend::embedding_backward_rows, args, padding_idx, dy, row_ids,
                      drows, workspace, workspace_bytes, stream);
}

int32_t varlstm_sgd_rows_step(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t vocab, int64_t features, double lr,
                              const int64_t* row_ids, const void* drows, void* table, void* stream) {
  VARLSTM_TRY(check_usable("ctx", ctx, stream));
  VARLSTM_TRY(check_master_dtype(dtype));
  VARLSTM_TRY(check_rows(rows, vocab, features));
  VARLSTM_TRY(check_finite_non_negative("lr", lr));
  const SgdRowsArgs args{static_cast<DType>(dtype), rows, vocab, features, lr, row_ids, table};
  BufferCheck buffers(element_size(args.dtype));
  buffers.read("row_ids", row_ids, {{"rows", rows}}, sizeof(int64_t));
  buffers.read("drows", drows, {{"rows", rows}, {"features", features}});
  buffers.write("table", table, {{"vocab", vocab}, {"features", features}});
  VARLSTM_TRY(buffers.finish());
  return call_backend(ctx, "sgd_rows_step", &Backend::sgd_rows_step, args, drows, stream);
}

int32_t varlstm_adam_rows_step(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t vocab, int64_t features,
                               double lr, double beta1, double beta2, double eps, double weight_decay,
                               int32_t decoupled, const int64_t* row_ids, const void* drows, void* table, void* m,
                               void* v, int64_t* last_steps, void* history, int64_t history_steps, int64_t* step,
                               void* stream) {
  const AdamArgs adam{static_cast<DType>(dtype), 0, lr, beta1, beta2, eps, weight_decay, decoupled == 1};
  const AdamRowsArgs args{adam, rows, vocab, features, row_ids, table, m, v, last_steps, history, history_steps, step};
  VARLSTM_TRY(check_adam_rows(ctx, args, decoupled, stream));
  BufferCheck buffers(element_size(adam.dtype));
  buffers.read("row_ids", row_ids, {{"rows", rows}}, sizeof(int64_t));
  buffers.read("drows", drows, {{"rows", rows}, {"features", features}});
  add_adam_buffers(args, true, &buffers);
  VARLSTM_TRY(buffers.finish());
  int64_t bad_row = -1;
  const int32_t status = call_backend(ctx, "adam_rows_step", &Backend::adam_rows_step, args, drows, &bad_row, stream);
  return explain(status, args, bad_row);
}

int32_t varlstm_adam_rows_catch_up(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t vocab, int64_t features,
                                   double beta1, double beta2, double eps, double weight_decay, int32_t decoupled,
                                   const int64_t* ids, void* table, void* m, void* v, int64_t* last_steps,
                                   const void* history, int64_t history_steps, const int64_t* step, void* stream) {
  const AdamArgs adam{static_cast<DType>(dtype), 0, 0.0, beta1, beta2, eps, weight_decay, decoupled == 1};
  AdamRowsArgs args{adam,
                    rows,
                    vocab,
                    features,
                    ids,
                    table,
                    m,
                    v,
                    last_steps,
                    const_cast<void*>(history),
                    history_steps,
                    const_cast<int64_t*>(step)};
  VARLSTM_TRY(check_adam_rows(ctx, args, decoupled, stream));
  BufferCheck buffers(element_size(adam.dtype));
  buffers.read_or_null("ids", ids, {{"rows", rows}}, sizeof(int64_t));
  add_adam_buffers(args, false, &buffers);
  VARLSTM_TRY(buffers.finish());
  if (ids == nullptr) args.rows = vocab;
  int64_t bad_row = -1;
  const int32_t status = call_backend(ctx, "adam_rows_catch_up", &Backend::adam_rows_catch_up, args, &bad_row, stream);
  return explain(status, args, bad_row);
}
