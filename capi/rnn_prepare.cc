// Prepared rnns: weights that the back end arranges once for many calls.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "capi/rnn.h"

using namespace varlstm;

namespace {

// *bytes <- what the back end needs; 0 if it arranges nothing.
int32_t find_prepared_size(const varlstm_rnn* rnn, int32_t mode, int64_t* bytes) {
  VARLSTM_TRY(check_enum("mode", "varlstm_mode", mode, VARLSTM_MODE_SAVE));
  *bytes = 0;
  if (rnn->ctx->backend->rnn_prepared_size == nullptr) return VARLSTM_OK;
  return call_backend(rnn->ctx, "rnn_prepared_size", &Backend::rnn_prepared_size, rnn->shape, mode == VARLSTM_MODE_SAVE,
                      bytes);
}

}  // namespace

namespace varlstm {

int32_t check_prepared_params(const varlstm_rnn* rnn, const void* params) {
  if (rnn->prepared_params == nullptr || params == rnn->prepared_params) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "params = %p must be %p, with which rnn = %p was prepared", params,
                   rnn->prepared_params, static_cast<const void*>(rnn));
}

void read_prepared(const varlstm_rnn* rnn, BufferCheck& buffers) {
  if (rnn->prepared_bytes > 0)
    buffers.scratch("prepared", rnn->prepared.memory, rnn->prepared_bytes, rnn->prepared_bytes, false);
}

}  // namespace varlstm

int32_t varlstm_rnn_prepared_size(const varlstm_rnn* rnn, int32_t mode, int64_t* bytes) {
  VARLSTM_TRY(check_usable("rnn", rnn));
  BufferCheck buffers(sizeof(int64_t));
  buffers.write("bytes", bytes, {});
  VARLSTM_TRY(buffers.finish());
  int64_t needed = 0;
  VARLSTM_TRY(find_prepared_size(rnn, mode, &needed));
  rnn->frozen.store(true);
  *bytes = needed;
  return VARLSTM_OK;
}

int32_t varlstm_rnn_prepare(const varlstm_rnn* rnn, int32_t mode, const void* params, void* prepared,
                            int64_t prepared_bytes, void* stream, varlstm_rnn** prepared_rnn) {
  VARLSTM_TRY(check_usable("rnn", rnn, stream));
  int64_t needed = 0;
  VARLSTM_TRY(find_prepared_size(rnn, mode, &needed));
  BufferCheck buffers(element_size(rnn->shape.dtype));
  buffers.read("params", params, {{"elements", param_elements(rnn->shape)}});
  buffers.scratch("prepared", prepared, prepared_bytes, needed);
  buffers.write("prepared_rnn", prepared_rnn, {}, sizeof(varlstm_rnn*));
  VARLSTM_TRY(buffers.finish());

  std::unique_ptr<varlstm_rnn> made(new (std::nothrow) varlstm_rnn);
  const auto name_bytes = static_cast<size_t>(rnn_name_bytes(rnn->shape.layers));
  if (made) made->names.reset(new (std::nothrow) char[name_bytes]);
  if (!made || !made->names) return set_error(VARLSTM_ERROR_OUT_OF_MEMORY, "no memory for a varlstm_rnn");
  memcpy(made->names.get(), rnn->names.get(), name_bytes);
  made->ctx = rnn->ctx;
  made->shape = rnn->shape;
  made->frozen.store(true);
  made->prepared_params = params;
  if (needed > 0) {
    made->prepared = {prepared, mode == VARLSTM_MODE_SAVE};
    made->prepared_bytes = needed;
    VARLSTM_TRY(
        call_backend(rnn->ctx, "rnn_prepare", &Backend::rnn_prepare, rnn->shape, params, made->prepared, stream));
  }
  rnn->frozen.store(true);
  rnn->ctx->children.fetch_add(1);
  *prepared_rnn = made.release();
  return VARLSTM_OK;
}
