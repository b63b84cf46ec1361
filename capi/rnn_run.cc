// The calls that use an rnn: import, sizes, forward, backward. The first of them freezes its options.
// SPDX-License-Identifier: Apache-2.0
#include "capi/rnn.h"

#include "capi/cells.h"

using namespace varlstm;

namespace {

int32_t check_mode(int32_t mode) {
  return check_enum("mode", "varlstm_mode", mode, VARLSTM_MODE_SAVE);
}

int32_t check_rnn_and_batch(const varlstm_rnn* rnn, const varlstm_batch* batch, const void* stream) {
  VARLSTM_TRY(check_usable("rnn", rnn, stream));
  VARLSTM_TRY(check_batch(rnn->ctx, batch));
  if (batch->plan.segments.lengths == nullptr || rnn->shape.resets) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "batch = %p has resets, but VARLSTM_KEY_RESETS of the rnn is 0",
                   static_cast<const void*>(batch));
}

// A bias must be NULL if the rnn has none, and b_hh must be NULL if the other library has one bias.
int32_t check_import_biases(const varlstm_rnn* rnn, int32_t format, const void* b_ih, const void* b_hh) {
  const CellFacts facts = cell_facts(rnn->shape.cell);
  const int biases = facts.biases[format];
  if (biases == 0) {
    return set_error(VARLSTM_ERROR_UNSUPPORTED, "format = %d belongs to a library without %s", format, facts.name);
  }
  if (!rnn->shape.bias && b_ih != nullptr) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "b_ih = %p must be NULL: the rnn has no bias", b_ih);
  }
  if (!rnn->shape.bias && b_hh != nullptr) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "b_hh = %p must be NULL: the rnn has no bias", b_hh);
  }
  if (b_hh != nullptr && biases == 1) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "b_hh = %p must be NULL: format = %d has one bias", b_hh, format);
  }
  return VARLSTM_OK;
}

// Forward and backward; c and dc may be null.
int32_t run_forward(const varlstm_rnn* rnn, const varlstm_batch* batch, int32_t mode, uint64_t dropout_seed,
                    const void* params, const void* x, const void* h0, const void* c0, void* y, void* h_n, void* c_n,
                    void* c, void* workspace, int64_t workspace_bytes, void* reserve, int64_t reserve_bytes,
                    void* stream) {
  VARLSTM_TRY(check_rnn_and_batch(rnn, batch, stream));
  VARLSTM_TRY(check_mode(mode));
  const bool save = mode == VARLSTM_MODE_SAVE;
  if (!save && (reserve != nullptr || reserve_bytes != 0)) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT,
                     "reserve = %p and reserve_bytes = %lld must be NULL and 0 with VARLSTM_MODE_INFER", reserve,
                     static_cast<long long>(reserve_bytes));
  }
  RnnPlan plan = {};
  VARLSTM_TRY(find_rnn_plan(rnn, batch->plan.bounds, &plan));

  const RnnShape& shape = rnn->shape;
  VARLSTM_TRY(check_prepared_params(rnn, params));
  VARLSTM_TRY(check_no_c(shape, "c0", c0));
  VARLSTM_TRY(check_no_c(shape, "c_n", c_n));
  VARLSTM_TRY(check_cell_states_key(shape, "c", c));
  const Dim rows{"tokens", packed_rows(batch->plan)};
  const Dim states{"num_layers * directions", shape.layers * shape.directions};
  const Dim sequences{"batch", batch->plan.batch};
  const Dim of_h = state_dim(shape), of_c{"hidden_size", shape.hidden};
  BufferCheck buffers(element_size(shape.dtype));
  buffers.read("params", params, {{"elements", param_elements(shape)}});
  buffers.read("x", x, {rows, {"input_size", shape.input}});
  buffers.read_or_null("h0", h0, {states, sequences, of_h});
  buffers.read_or_null("c0", c0, {states, sequences, of_c});
  buffers.write("y", y, {rows, {"directions", shape.directions}, of_h});
  buffers.write_or_null("h_n", h_n, {states, sequences, of_h});
  buffers.write_or_null("c_n", c_n, {states, sequences, of_c});
  buffers.write_or_null("c", c, {rows, {"directions", shape.directions}, of_c});
  buffers.scratch("workspace", workspace, workspace_bytes, (save ? plan.save : plan.infer).workspace_bytes);
  if (save) buffers.scratch("reserve", reserve, reserve_bytes, plan.save.reserve_bytes);
  read_prepared(rnn, buffers);
  VARLSTM_TRY(buffers.finish());
  rnn->frozen.store(true);
  RnnForwardArgs args{};
  args.shape = shape;
  args.plan = &plan;
  args.batch = &batch->plan;
  args.save = save;
  args.dropout_seed = dropout_seed;
  args.params = params;
  args.x = x;
  args.h0 = h0;
  args.c0 = c0;
  args.y = y;
  args.h_n = h_n;
  args.c_n = c_n;
  args.c = c;
  args.workspace = workspace;
  args.workspace_bytes = workspace_bytes;
  args.reserve = reserve;
  args.reserve_bytes = reserve_bytes;
  if (rnn->prepared_bytes > 0) {
    return call_backend(rnn->ctx, "rnn_forward_prepared", &Backend::rnn_forward_prepared, args, rnn->prepared, stream);
  }
  return call_backend(rnn->ctx, "rnn_forward", &Backend::rnn_forward, args, stream);
}

int32_t run_backward(const varlstm_rnn* rnn, const varlstm_batch* batch, const void* params, const void* x,
                     const void* h0, const void* c0, const void* y, const void* dy, const void* dh_n, const void* dc_n,
                     const void* dc, void* dx, void* dh0, void* dc0, void* dparams, void* workspace,
                     int64_t workspace_bytes, const void* reserve, int64_t reserve_bytes, void* stream) {
  VARLSTM_TRY(check_rnn_and_batch(rnn, batch, stream));
  RnnPlan plan = {};
  VARLSTM_TRY(find_rnn_plan(rnn, batch->plan.bounds, &plan));

  const RnnShape& shape = rnn->shape;
  VARLSTM_TRY(check_prepared_params(rnn, params));
  VARLSTM_TRY(check_no_c(shape, "c0", c0));
  VARLSTM_TRY(check_no_c(shape, "dc_n", dc_n));
  VARLSTM_TRY(check_no_c(shape, "dc0", dc0));
  VARLSTM_TRY(check_cell_states_key(shape, "dc", dc));
  const Dim elements{"elements", param_elements(shape)};
  const Dim rows{"tokens", packed_rows(batch->plan)};
  const Dim input{"input_size", shape.input};
  const Dim states{"num_layers * directions", shape.layers * shape.directions};
  const Dim sequences{"batch", batch->plan.batch};
  const Dim directions{"directions", shape.directions};
  const Dim of_h = state_dim(shape), of_c{"hidden_size", shape.hidden};
  BufferCheck buffers(element_size(shape.dtype));
  buffers.read("params", params, {elements});
  buffers.read("x", x, {rows, input});
  buffers.read_or_null("h0", h0, {states, sequences, of_h});
  buffers.read_or_null("c0", c0, {states, sequences, of_c});
  buffers.read("y", y, {rows, directions, of_h});
  buffers.read_or_null("dy", dy, {rows, directions, of_h});
  buffers.read_or_null("dh_n", dh_n, {states, sequences, of_h});
  buffers.read_or_null("dc_n", dc_n, {states, sequences, of_c});
  buffers.read_or_null("dc", dc, {rows, directions, of_c});
  buffers.write_or_null("dx", dx, {rows, input});
  buffers.write_or_null("dh0", dh0, {states, sequences, of_h});
  buffers.write_or_null("dc0", dc0, {states, sequences, of_c});
  buffers.write_or_null("dparams", dparams, {elements});
  buffers.scratch("workspace", workspace, workspace_bytes, plan.save.workspace_bytes);
  buffers.scratch("reserve", reserve, reserve_bytes, plan.save.reserve_bytes, false);
  read_prepared(rnn, buffers);
  VARLSTM_TRY(buffers.finish());
  rnn->frozen.store(true);
  RnnBackwardArgs args{};
  args.shape = shape;
  args.plan = &plan;
  args.batch = &batch->plan;
  args.params = params;
  args.x = x;
  args.h0 = h0;
  args.c0 = c0;
  args.y = y;
  args.dy = dy;
  args.dh_n = dh_n;
  args.dc_n = dc_n;
  args.dc = dc;
  args.dx = dx;
  args.dh0 = dh0;
  args.dc0 = dc0;
  args.dparams = dparams;
  args.workspace = workspace;
  args.workspace_bytes = workspace_bytes;
  args.reserve = reserve;
  args.reserve_bytes = reserve_bytes;
  const int32_t status = rnn->prepared_bytes > 0
                             ? call_backend(rnn->ctx, "rnn_backward_prepared", &Backend::rnn_backward_prepared, args,
                                            rnn->prepared, stream)
                             : call_backend(rnn->ctx, "rnn_backward", &Backend::rnn_backward, args, stream);
  if (status == VARLSTM_ERROR_INVALID_ARGUMENT) {
    return set_error(status,
                     "reserve = %p was not written by a forward of this shape, these lengths and this order of rows",
                     reserve);
  }
  return status;
}

}  // namespace

int32_t varlstm_rnn_import(const varlstm_rnn* rnn, int32_t format, int64_t layer, int32_t direction, const void* w_ih,
                           const void* w_hh, const void* b_ih, const void* b_hh, void* params, void* stream) {
  VARLSTM_TRY(check_usable("rnn", rnn, stream));
  const RnnShape& shape = rnn->shape;
  VARLSTM_TRY(check_enum("format", "varlstm_param_format", format, VARLSTM_FORMAT_HASTE));
  VARLSTM_TRY(check_between("layer", layer, 0, shape.layers - 1));
  VARLSTM_TRY(check_between("direction", direction, 0, shape.directions - 1));
  if (shape.projection > 0) {
    return set_error(VARLSTM_ERROR_UNSUPPORTED,
                     "format = %d cannot be imported: it has no place for weight_hr of %s = %lld", format,
                     key_name(VARLSTM_KEY_PROJ_SIZE), static_cast<long long>(shape.projection));
  }
  VARLSTM_TRY(check_import_biases(rnn, format, b_ih, b_hh));
  if (rnn->prepared_params != nullptr) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "rnn = %p is prepared: its parameters cannot change any more",
                     static_cast<const void*>(rnn));
  }
  const Dim gates{cell_facts(shape.cell).rows, gate_rows(shape)};
  BufferCheck buffers(element_size(shape.dtype));
  buffers.read("w_ih", w_ih, {gates, {"input", layer_input(shape, layer)}});
  buffers.read("w_hh", w_hh, {gates, {"hidden_size", shape.hidden}});
  buffers.read_or_null("b_ih", b_ih, {gates});
  buffers.read_or_null("b_hh", b_hh, {gates});
  buffers.write("params", params, {{"elements", param_elements(shape)}});
  VARLSTM_TRY(buffers.finish());
  rnn->frozen.store(true);
  RnnImportArgs args{};
  args.shape = shape;
  args.format = static_cast<ParamFormat>(format);
  args.layer = layer;
  args.direction = direction;
  args.w_ih = w_ih;
  args.w_hh = w_hh;
  args.b_ih = b_ih;
  args.b_hh = b_hh;
  args.params = params;
  return call_backend(rnn->ctx, "rnn_import", &Backend::rnn_import, args, stream);
}

int32_t varlstm_rnn_sizes(const varlstm_rnn* rnn, int64_t max_batch, int64_t max_len, int64_t max_tokens, int32_t mode,
                          int64_t* workspace_bytes, int64_t* reserve_bytes) {
  VARLSTM_TRY(check_usable("rnn", rnn));
  const BatchBounds bounds{max_batch, max_len, max_tokens};
  VARLSTM_TRY(check_bounds(bounds));
  VARLSTM_TRY(check_mode(mode));
  BufferCheck buffers(sizeof(int64_t));
  buffers.write("workspace_bytes", workspace_bytes, {});
  buffers.write("reserve_bytes", reserve_bytes, {});
  VARLSTM_TRY(buffers.finish());
  RnnPlan plan = {};
  VARLSTM_TRY(find_rnn_plan(rnn, bounds, &plan));
  const RnnSizes& sizes = mode == VARLSTM_MODE_SAVE ? plan.save : plan.infer;
  rnn->frozen.store(true);
  *workspace_bytes = sizes.workspace_bytes;
  *reserve_bytes = mode == VARLSTM_MODE_SAVE ? sizes.reserve_bytes : 0;
  return VARLSTM_OK;
}

int32_t varlstm_rnn_forward(const varlstm_rnn* rnn, const varlstm_batch* batch, int32_t mode, uint64_t dropout_seed,
                            const void* params, const void* x, const void* h0, const void* c0, void* y, void* h_n,
                            void* c_n, void* workspace, int64_t workspace_bytes, void* reserve, int64_t reserve_bytes,
                            void* stream) {
  return run_forward(rnn, batch, mode, dropout_seed, params, x, h0, c0, y, h_n, c_n, nullptr, workspace,
                     workspace_bytes, reserve, reserve_bytes, stream);
}

int32_t varlstm_rnn_forward_with_c(const varlstm_rnn* rnn, const varlstm_batch* batch, int32_t mode,
                                   uint64_t dropout_seed, const void* params, const void* x, const void* h0,
                                   const void* c0, void* y, void* h_n, void* c_n, void* c, void* workspace,
                                   int64_t workspace_bytes, void* reserve, int64_t reserve_bytes, void* stream) {
  return run_forward(rnn, batch, mode, dropout_seed, params, x, h0, c0, y, h_n, c_n, c, workspace, workspace_bytes,
                     reserve, reserve_bytes, stream);
}

int32_t varlstm_rnn_backward(const varlstm_rnn* rnn, const varlstm_batch* batch, const void* params, const void* x,
                             const void* h0, const void* c0, const void* y, const void* dy, const void* dh_n,
                             const void* dc_n, void* dx, void* dh0, void* dc0, void* dparams, void* workspace,
                             int64_t workspace_bytes, const void* reserve, int64_t reserve_bytes, void* stream) {
  return run_backward(rnn, batch, params, x, h0, c0, y, dy, dh_n, dc_n, nullptr, dx, dh0, dc0, dparams, workspace,
                      workspace_bytes, reserve, reserve_bytes, stream);
}

int32_t varlstm_rnn_backward_with_c(const varlstm_rnn* rnn, const varlstm_batch* batch, const void* params,
                                    const void* x, const void* h0, const void* c0, const void* y, const void* dy,
                                    const void* dh_n, const void* dc_n, const void* dc, void* dx, void* dh0, void* dc0,
                                    void* dparams, void* workspace, int64_t workspace_bytes, const void* reserve,
                                    int64_t reserve_bytes, void* stream) {
  return run_backward(rnn, batch, params, x, h0, c0, y, dy, dh_n, dc_n, dc, dx, dh0, dc0, dparams, workspace,
                      workspace_bytes, reserve, reserve_bytes, stream);
}
