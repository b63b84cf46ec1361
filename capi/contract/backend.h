// The table of functions that a back end provides. Before capi calls a function of the table, it checks every argument
// that the host can see: handles, null, alignment, ranges, overlap, byte counts. A back end checks what only its memory
// holds. A function that returns int32_t returns a varlstm_status, and capi adds the text. Only open, alloc,
// plan_create and a plan's first plan_resets allocate.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"

namespace varlstm {

// What rnn_prepare has made of an rnn's parameters.
struct PreparedRnn {
  const void* memory = nullptr;  // null: nothing
  bool save = false;             // for backward too
};

struct Backend {
  const char* name;

  // Returns the text of this thread's last failed call and clears it. If the function is null or returns "", capi uses
  // a text of its own.
  const char* (*failure_text)();

  int32_t (*device_count)(int32_t* count);
  int32_t (*open)(int32_t device, BackendState** state);
  void (*close)(BackendState* state);

  // capi calls enter_device before open and before every function below that takes a state. It makes `device` this
  // thread's current device, and *previous <- what was current before, in the back end's own terms. leave_device then
  // restores that. Both are null if the back end has no current device.
  int32_t (*enter_device)(int32_t device, void** previous);
  void (*leave_device)(void* previous);

  // The keys THREADS, BATCH_INVARIANT and MATH. The value has been checked: 0 to 1024; 0 or 1; a varlstm_math.
  int32_t (*set_i64)(BackendState* state, int32_t key, int64_t value);
  int32_t (*get_i64)(const BackendState* state, int32_t key, int64_t* value);
  int32_t (*device_status)(BackendState* state, bool reset, int64_t* bits, int64_t* first_index, void* stream);

  int32_t (*alloc)(BackendState* state, int64_t bytes, void** ptr);
  int32_t (*free)(BackendState* state, void* ptr);
  int32_t (*copy)(BackendState* state, void* dst, const void* src, int64_t bytes, int32_t kind, void* stream);
  int32_t (*zero)(BackendState* state, void* ptr, int64_t bytes, void* stream);
  int32_t (*sync)(BackendState* state, void* stream);

  // plan_create allocates the arrays for plan->bounds. plan_destroy also takes a plan whose arrays are null.
  int32_t (*plan_create)(BackendState* state, BatchPlan* plan);
  void (*plan_destroy)(BackendState* state, BatchPlan* plan);
  // The lengths are in host memory and checked against the bounds, or in the back end's memory and unchecked.
  int32_t (*plan_lengths)(BackendState* state, BatchPlan* plan, const int64_t* lengths, int64_t count, int32_t space,
                          void* stream);
  // batch_sizes and sorted_indices are in host memory and checked; sorted_indices may be null.
  int32_t (*plan_batch_sizes)(BackendState* state, BatchPlan* plan, const int64_t* batch_sizes, int64_t steps,
                              const int64_t* sorted_indices, void* stream);
  // Cuts the sequences of the plan into segments; none is cut after a failure. Resets in host memory are 0 or 1.
  int32_t (*plan_resets)(BackendState* state, BatchPlan* plan, const ResetArgs& args, void* stream);

  int32_t (*pack)(BackendState* state, const PackArgs& args, const void* src, void* packed, void* stream);
  int32_t (*unpack)(BackendState* state, const PackArgs& args, double pad_value, const void* packed, void* dst,
                    void* stream);

  // Fills in the plan, whose bounds are set.
  int32_t (*rnn_plan)(const BackendState* state, const RnnShape& shape, RnnPlan* plan);
  int32_t (*rnn_import)(BackendState* state, const RnnImportArgs& args, void* stream);

  // A back end that arranges no weights before a call has null in these five; capi then calls those without
  // `prepared`. *bytes <- what `prepared` of rnn_prepare needs, which may be 0; INT64_MAX if 64 bits cannot count them.
  int32_t (*rnn_prepared_size)(const BackendState* state, const RnnShape& shape, bool save, int64_t* bytes);
  int32_t (*rnn_prepare)(BackendState* state, const RnnShape& shape, const void* params, const PreparedRnn& prepared,
                         void* stream);
  int32_t (*rnn_forward_prepared)(BackendState* state, const RnnForwardArgs& args, const PreparedRnn& prepared,
                                  void* stream);
  int32_t (*rnn_backward_prepared)(BackendState* state, const RnnBackwardArgs& args, const PreparedRnn& prepared,
                                   void* stream);
  int32_t (*rnn_step_prepared)(BackendState* state, const RnnStepArgs& args, const PreparedRnn& prepared,
                               int64_t* bad_stream, void* stream);

  int32_t (*rnn_forward)(BackendState* state, const RnnForwardArgs& args, void* stream);
  // Returns INVALID_ARGUMENT if the reserve's header does not match the shape.
  int32_t (*rnn_backward)(BackendState* state, const RnnBackwardArgs& args, void* stream);

  // *bytes <- the workspace of a step of up to max_streams streams, whose states are in a table of up to table_slots.
  int32_t (*rnn_step_size)(const BackendState* state, const RnnShape& shape, int64_t max_streams, int64_t table_slots,
                           int64_t* bytes);
  // The rnn has one direction. If the host sees the slots and one is out of range or occurs twice, the call returns
  // INVALID_ARGUMENT, *bad_stream <- the first stream with such a slot, and it writes to nothing but the workspace.
  int32_t (*rnn_step)(BackendState* state, const RnnStepArgs& args, int64_t* bad_stream, void* stream);

  int32_t (*op_workspace)(const BackendState* state, Op op, DType dtype, int64_t rows, int64_t a, int64_t b,
                          int64_t* bytes);

  int32_t (*embedding_forward)(BackendState* state, const EmbeddingArgs& args, const void* table, void* y,
                               void* stream);
  int32_t (*embedding_backward)(BackendState* state, const EmbeddingArgs& args, int64_t padding_idx, const void* dy,
                                void* dtable, void* workspace, int64_t workspace_bytes, void* stream);

  int32_t (*linear_forward)(BackendState* state, const LinearArgs& args, const void* x, const void* weight,
                            const void* bias, void* y, void* stream);
  int32_t (*linear_backward)(BackendState* state, const LinearArgs& args, const void* x, const void* weight,
                             const void* dy, void* dx, void* dweight, void* dbias, void* stream);

  // *forward and *backward <- the bytes of workspace; INT64_MAX if 64 bits cannot count them.
  int32_t (*conv_max_size)(const BackendState* state, const ConvMaxShape& shape, int64_t* forward, int64_t* backward);
  // If the host sees the offsets and one is out of range or decreases, the calls return INVALID_ARGUMENT,
  // *bad_offset <- the first such one, and they write nothing.
  int32_t (*conv_max_forward)(BackendState* state, const ConvMaxForwardArgs& args, int64_t* bad_offset, void* stream);
  int32_t (*conv_max_backward)(BackendState* state, const ConvMaxBackwardArgs& args, int64_t* bad_offset, void* stream);

  // Forward and backward are the same function: out[k] = in[k] * keep(seed, k) / (1 - p).
  int32_t (*dropout)(BackendState* state, DType dtype, int64_t count, double p, uint64_t seed, const void* in,
                     void* out, void* stream);

  int32_t (*log_softmax_forward)(BackendState* state, DType dtype, int64_t rows, int64_t classes, const void* x,
                                 void* y, void* stream);
  int32_t (*log_softmax_backward)(BackendState* state, DType dtype, int64_t rows, int64_t classes, const void* y,
                                  const void* dy, void* dx, void* stream);

  int32_t (*nll_forward)(BackendState* state, const LossArgs& args, const void* log_probs, void* out, void* weight_sum,
                         void* stream);
  int32_t (*nll_backward)(BackendState* state, const LossArgs& args, const void* dout, void* dlog_probs, void* stream);
  int32_t (*cross_entropy_forward)(BackendState* state, const LossArgs& args, const void* logits, void* out,
                                   void* weight_sum, void* dlogits, void* stream);
  int32_t (*cross_entropy_backward)(BackendState* state, const LossArgs& args, const void* dout, void* dlogits,
                                    void* stream);

  // lse may be null in forward; dx, dweight and dbias may be null in backward.
  int32_t (*linear_cross_entropy_forward)(BackendState* state, const LinearLossArgs& args, void* out, void* weight_sum,
                                          void* lse, void* stream);
  int32_t (*linear_cross_entropy_backward)(BackendState* state, const LinearLossArgs& args, const void* lse,
                                           const void* dout, void* dx, void* dweight, void* dbias, void* stream);

  int32_t (*copy_columns)(BackendState* state, const ColumnCopy& copy, void* stream);

  // dst [count] of dtype `to` <- src of dtype `from`; F64 becomes a 16-bit dtype by way of float.
  int32_t (*convert)(BackendState* state, DType from, DType to, int64_t count, const void* src, void* dst,
                     void* stream);

  int32_t (*sgd_step)(BackendState* state, const SgdArgs& args, void* params, const void* grads, void* velocity,
                      void* stream);
  int32_t (*adam_step)(BackendState* state, const AdamArgs& args, void* params, const void* grads, void* m, void* v,
                       int64_t* step, void* stream);
  // If max_norm < 0, only the norm is computed; else grads are clipped.
  int32_t (*grad_norm)(BackendState* state, DType dtype, int64_t count, double max_norm, void* grads, double* norm,
                       void* workspace, int64_t workspace_bytes, void* stream);

  // row_ids [rows] <- each row's id where the row is the first of its id's rows that have a gradient, else -1; drows
  // [rows, features] <- the id's gradient there, else 0. The workspace is that of embedding_backward.
  int32_t (*embedding_backward_rows)(BackendState* state, const EmbeddingArgs& args, int64_t padding_idx,
                                     const void* dy, int64_t* row_ids, void* drows, void* workspace,
                                     int64_t workspace_bytes, void* stream);
  int32_t (*sgd_rows_step)(BackendState* state, const SgdRowsArgs& args, const void* drows, void* stream);
  // If the host sees a last step that is after the step or more than history_steps before it, the calls return
  // INVALID_ARGUMENT, *bad_row <- that row of the table, and they write nothing; vocab if the step itself is negative.
  int32_t (*adam_rows_step)(BackendState* state, const AdamRowsArgs& args, const void* drows, int64_t* bad_row,
                            void* stream);
  int32_t (*adam_rows_catch_up)(BackendState* state, const AdamRowsArgs& args, int64_t* bad_row, void* stream);
};

// The host's table; it is never null.
const Backend* host_backend();

// The CUDA table, or null in a build without CUDA.
const Backend* cuda_backend();

}  // namespace varlstm
