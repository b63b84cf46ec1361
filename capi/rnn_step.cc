// Stepping: one token of each of several streams, whose states are in rows of a table.
// SPDX-License-Identifier: Apache-2.0
#include "capi/cells.h"
#include "capi/rnn.h"

using namespace varlstm;

namespace {

int32_t check_steps_forward(const varlstm_rnn* rnn) {
  if (rnn->shape.directions == 1) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT,
                   "rnn = %p cannot step: key = %d (VARLSTM_KEY_BIDIRECTIONAL) is 1, and the other direction begins at "
                   "the last token",
                   static_cast<const void*>(rnn), VARLSTM_KEY_BIDIRECTIONAL);
}

// `streams_name` is the parameter's name.
int32_t check_table(const char* streams_name, int64_t streams, int64_t table_slots) {
  VARLSTM_TRY(check_at_least("table_slots", table_slots, 1));
  VARLSTM_TRY(check_at_least(streams_name, streams, 0));
  if (streams <= table_slots) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s = %lld is larger than table_slots = %lld", streams_name,
                   static_cast<long long>(streams), static_cast<long long>(table_slots));
}

// Cell states are kept in the type that the dtype is computed in.
int64_t cell_state_size(DType dtype) {
  return dtype == DType::kF64 ? 8 : 4;
}

// *bytes <- the workspace. Checks that the bytes of the tensors that a back end may keep there can be counted.
int32_t find_step_size(const varlstm_rnn* rnn, int64_t streams, int64_t table_slots, int64_t* bytes) {
  constexpr int64_t kStateElements =
      8 * 8;  // bytes of what is kept for a unit and stream: gates and states, rounded up
  const RnnShape& shape = rnn->shape;
  const Dim layers{"num_layers", shape.layers}, hidden{"hidden_size", shape.hidden};
  VARLSTM_TRY(check_bytes("slots", {{"table_slots", table_slots}}, sizeof(int64_t), nullptr));
  VARLSTM_TRY(check_bytes("x", {{"streams", streams}, {"input_size", shape.input}}, 8, nullptr));
  VARLSTM_TRY(check_bytes("h", {layers, {"streams", streams}, hidden}, kStateElements, nullptr));
  return call_backend(rnn->ctx, "rnn_step_size", &Backend::rnn_step_size, shape, streams, table_slots, bytes);
}

int32_t bad_slot(const RnnStepArgs& args, int64_t stream) {
  const auto ll = [](int64_t value) { return static_cast<long long>(value); };
  const int64_t slot = args.slots[stream];
  if (slot < 0 || slot >= args.table_slots) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "slots[%lld] = %lld is not in 0 ... %lld", ll(stream), ll(slot),
                     ll(args.table_slots - 1));
  }
  int64_t first = 0;
  while (args.slots[first] != slot) ++first;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "slots[%lld] = %lld occurs twice: it is slots[%lld] as well",
                   ll(stream), ll(slot), ll(first));
}

}  // namespace

int32_t varlstm_rnn_step_size(const varlstm_rnn* rnn, int64_t max_streams, int64_t table_slots,
                              int64_t* workspace_bytes) {
  VARLSTM_TRY(check_usable("rnn", rnn));
  VARLSTM_TRY(check_steps_forward(rnn));
  VARLSTM_TRY(check_table("max_streams", max_streams, table_slots));
  BufferCheck buffers(sizeof(int64_t));
  buffers.write("workspace_bytes", workspace_bytes, {});
  VARLSTM_TRY(buffers.finish());
  int64_t bytes = 0;
  VARLSTM_TRY(find_step_size(rnn, max_streams, table_slots, &bytes));
  rnn->frozen.store(true);
  *workspace_bytes = bytes;
  return VARLSTM_OK;
}

int32_t varlstm_rnn_step(const varlstm_rnn* rnn, int64_t streams, const void* params, const void* x,
                         const int64_t* slots, int64_t table_slots, void* h, void* c, void* y, void* workspace,
                         int64_t workspace_bytes, void* stream) {
  VARLSTM_TRY(check_usable("rnn", rnn, stream));
  VARLSTM_TRY(check_steps_forward(rnn));
  VARLSTM_TRY(check_table("streams", streams, table_slots));
  const RnnShape& shape = rnn->shape;
  VARLSTM_TRY(check_prepared_params(rnn, params));
  VARLSTM_TRY(check_no_c(shape, "c", c));
  int64_t needed = 0;
  VARLSTM_TRY(find_step_size(rnn, streams, table_slots, &needed));
  const Dim batch{"streams", streams}, of_h = state_dim(shape), of_c{"hidden_size", shape.hidden};
  const Dim layers{"num_layers", shape.layers}, table{"table_slots", table_slots};
  BufferCheck buffers(element_size(shape.dtype));
  buffers.read("params", params, {{"elements", param_elements(shape)}});
  buffers.read("x", x, {batch, {"input_size", shape.input}});
  buffers.read("slots", slots, {batch}, sizeof(int64_t));
  buffers.write("h", h, {layers, table, of_h});
  if (cell_facts(shape.cell).has_c) buffers.write("c", c, {layers, table, of_c}, cell_state_size(shape.dtype));
  buffers.write("y", y, {batch, of_h});
  buffers.scratch("workspace", workspace, workspace_bytes, needed);
  read_prepared(rnn, buffers);
  VARLSTM_TRY(buffers.finish());
  rnn->frozen.store(true);
  RnnStepArgs args{};
  args.shape = shape;
  args.streams = streams;
  args.table_slots = table_slots;
  args.params = params;
  args.x = x;
  args.slots = slots;
  args.h = h;
  args.c = c;
  args.y = y;
  args.workspace = workspace;
  args.workspace_bytes = workspace_bytes;
  int64_t bad_stream = -1;
  const int32_t status = rnn->prepared_bytes > 0
                             ? call_backend(rnn->ctx, "rnn_step_prepared", &Backend::rnn_step_prepared, args,
                                            rnn->prepared, &bad_stream, stream)
                             : call_backend(rnn->ctx, "rnn_step", &Backend::rnn_step, args, &bad_stream, stream);
  return status == VARLSTM_ERROR_INVALID_ARGUMENT && bad_stream >= 0 ? bad_slot(args, bad_stream) : status;
}
