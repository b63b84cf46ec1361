// Checks of handles, scalars and keys.
// SPDX-License-Identifier: Apache-2.0
#include "capi/check.h"

#include <math.h>

namespace varlstm {
namespace {

const char* type_of_magic(uint64_t magic) {
  switch (magic) {
    case varlstm_ctx::kMagic:
      return varlstm_ctx::kTypeName;
    case varlstm_batch::kMagic:
      return varlstm_batch::kTypeName;
    case varlstm_rnn::kMagic:
      return varlstm_rnn::kTypeName;
    case varlstm_loss::kMagic:
      return varlstm_loss::kTypeName;
    default:
      return nullptr;
  }
}

long long ll(int64_t value) {
  return static_cast<long long>(value);
}

// True if max_tokens > max_batch * max_len, without overflow.
bool more_tokens_than_places(const BatchBounds& bounds) {
  if (bounds.max_batch == 0 || bounds.max_len == 0) return bounds.max_tokens > 0;
  const int64_t full_sequences = bounds.max_tokens / bounds.max_len;
  const int64_t rest = bounds.max_tokens % bounds.max_len;
  return full_sequences > bounds.max_batch || (full_sequences == bounds.max_batch && rest > 0);
}

}  // namespace

int32_t check_magic(const char* name, const char* type, const Handle* handle, uint64_t magic) {
  if (handle == nullptr) return set_error(VARLSTM_ERROR_INVALID_HANDLE, "%s is NULL", name);
  const void* address = handle;
  if (reinterpret_cast<uintptr_t>(address) % alignof(Handle) != 0) {
    return set_error(VARLSTM_ERROR_INVALID_HANDLE, "%s = %p is not a %s", name, address, type);
  }
  const uint64_t found = handle->magic.load();
  if (found == magic) return VARLSTM_OK;
  if (found == Handle::kDestroyed) {
    return set_error(VARLSTM_ERROR_INVALID_HANDLE, "%s = %p was destroyed", name, address);
  }
  const char* other = type_of_magic(found);
  if (other != nullptr) {
    return set_error(VARLSTM_ERROR_INVALID_HANDLE, "%s = %p is a %s, not a %s", name, address, other, type);
  }
  return set_error(VARLSTM_ERROR_INVALID_HANDLE, "%s = %p is not a %s", name, address, type);
}

int32_t check_alive(const varlstm_ctx* ctx) {
  if (!ctx->dead.load()) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_DEAD_CONTEXT,
                   "ctx = %p died of an earlier error of its device: only destroy and free work",
                   static_cast<const void*>(ctx));
}

int32_t check_stream(const varlstm_ctx* ctx, const void* stream) {
  if (stream == nullptr || ctx->backend_id != VARLSTM_BACKEND_HOST) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "stream = %p must be NULL on the host", stream);
}

int32_t check_batch(const varlstm_ctx* ctx, const varlstm_batch* batch) {
  VARLSTM_TRY(check_handle("batch", batch));
  if (batch->ctx == ctx) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "batch = %p belongs to another context",
                   static_cast<const void*>(batch));
}

int32_t check_batch_or_null(const varlstm_ctx* ctx, const varlstm_batch* batch, int64_t rows) {
  if (batch == nullptr) return VARLSTM_OK;
  VARLSTM_TRY(check_batch(ctx, batch));
  const int64_t tokens = packed_rows(batch->plan);
  if (rows >= tokens) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "rows = %lld is smaller than the %s of batch = %lld", ll(rows),
                   batch->plan.tokens >= 0 ? "tokens" : "max_tokens", ll(tokens));
}

int32_t check_at_least(const char* name, int64_t value, int64_t minimum) {
  if (value >= minimum) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s = %lld is smaller than %lld", name, ll(value), ll(minimum));
}

int32_t check_between(const char* name, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s = %lld is not in %lld ... %lld", name, ll(value), ll(low),
                   ll(high));
}

int32_t check_flag(const char* name, int64_t value) {
  if (value == 0 || value == 1) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s = %lld is neither 0 nor 1", name, ll(value));
}

int32_t check_enum(const char* name, const char* type, int64_t value, int64_t last) {
  if (value >= 0 && value <= last) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s = %lld is not a %s", name, ll(value), type);
}

int32_t check_dtype(const char* name, int64_t dtype, bool allow_i64) {
  VARLSTM_TRY(check_enum(name, "varlstm_dtype", dtype, VARLSTM_DTYPE_I64));
  if (dtype == VARLSTM_DTYPE_I64 && !allow_i64) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT,
                     "%s = %lld (VARLSTM_DTYPE_I64) is for pack, unpack and copy_columns alone", name, ll(dtype));
  }
  return VARLSTM_OK;
}

int32_t check_probability(const char* name, double value) {
  if (value >= 0 && value < 1) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s = %g is not in [0, 1)", name, value);
}

int32_t check_finite_non_negative(const char* name, double value) {
  if (value >= 0 && isfinite(value)) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s = %g is not a finite number >= 0", name, value);
}

const char* key_name(int32_t key) {
#define VARLSTM_KEY_CASE(name) \
  case name:                   \
    return #name
  switch (key) {
    VARLSTM_KEY_CASE(VARLSTM_KEY_BACKEND);
    VARLSTM_KEY_CASE(VARLSTM_KEY_DEVICE);
    VARLSTM_KEY_CASE(VARLSTM_KEY_THREADS);
    VARLSTM_KEY_CASE(VARLSTM_KEY_BATCH_INVARIANT);
    VARLSTM_KEY_CASE(VARLSTM_KEY_MATH);
    VARLSTM_KEY_CASE(VARLSTM_KEY_MAX_BATCH);
    VARLSTM_KEY_CASE(VARLSTM_KEY_MAX_LEN);
    VARLSTM_KEY_CASE(VARLSTM_KEY_MAX_TOKENS);
    VARLSTM_KEY_CASE(VARLSTM_KEY_BATCH);
    VARLSTM_KEY_CASE(VARLSTM_KEY_TOKENS);
    VARLSTM_KEY_CASE(VARLSTM_KEY_STEPS);
    VARLSTM_KEY_CASE(VARLSTM_KEY_CELL);
    VARLSTM_KEY_CASE(VARLSTM_KEY_INPUT_SIZE);
    VARLSTM_KEY_CASE(VARLSTM_KEY_HIDDEN_SIZE);
    VARLSTM_KEY_CASE(VARLSTM_KEY_NUM_LAYERS);
    VARLSTM_KEY_CASE(VARLSTM_KEY_DTYPE);
    VARLSTM_KEY_CASE(VARLSTM_KEY_BIDIRECTIONAL);
    VARLSTM_KEY_CASE(VARLSTM_KEY_BIAS);
    VARLSTM_KEY_CASE(VARLSTM_KEY_DROPOUT);
    VARLSTM_KEY_CASE(VARLSTM_KEY_RECURRENCE);
    VARLSTM_KEY_CASE(VARLSTM_KEY_RECURRENCE_USED);
    VARLSTM_KEY_CASE(VARLSTM_KEY_ROWS);
    VARLSTM_KEY_CASE(VARLSTM_KEY_LAYERS_TOGETHER);
    VARLSTM_KEY_CASE(VARLSTM_KEY_PROJ_SIZE);
    VARLSTM_KEY_CASE(VARLSTM_KEY_RESETS);
    VARLSTM_KEY_CASE(VARLSTM_KEY_CELL_CLIP);
    VARLSTM_KEY_CASE(VARLSTM_KEY_PROJECTION_CLIP);
    VARLSTM_KEY_CASE(VARLSTM_KEY_RECURRENT_DROPOUT);
    VARLSTM_KEY_CASE(VARLSTM_KEY_RECURRENT_DROPOUT_KIND);
    VARLSTM_KEY_CASE(VARLSTM_KEY_ZONEOUT_H);
    VARLSTM_KEY_CASE(VARLSTM_KEY_ZONEOUT_C);
    VARLSTM_KEY_CASE(VARLSTM_KEY_LAYER_NORM);
    VARLSTM_KEY_CASE(VARLSTM_KEY_CELL_STATES);
    VARLSTM_KEY_CASE(VARLSTM_KEY_ADD_DPARAMS);
    VARLSTM_KEY_CASE(VARLSTM_KEY_CLASSES);
    VARLSTM_KEY_CASE(VARLSTM_KEY_IGNORE_INDEX);
    VARLSTM_KEY_CASE(VARLSTM_KEY_REDUCTION);
    VARLSTM_KEY_CASE(VARLSTM_KEY_EMPTY_MEAN);
    VARLSTM_KEY_CASE(VARLSTM_KEY_LABEL_SMOOTHING);
    default:
      return "unknown";
  }
#undef VARLSTM_KEY_CASE
}

int32_t bad_key(const char* type, const char* value_type, int32_t key) {
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "key = %d (%s) is not %s key of %s", key, key_name(key), value_type,
                   type);
}

int32_t read_only_key(int32_t key) {
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "key = %d (%s) is read only", key, key_name(key));
}

int32_t check_bounds(const BatchBounds& bounds) {
  VARLSTM_TRY(check_at_least("max_batch", bounds.max_batch, 0));
  VARLSTM_TRY(check_at_least("max_len", bounds.max_len, 0));
  VARLSTM_TRY(check_at_least("max_tokens", bounds.max_tokens, 0));
  VARLSTM_TRY(check_bytes("batch", {{"max_batch", bounds.max_batch}}, sizeof(int64_t), nullptr));
  VARLSTM_TRY(check_bytes("batch", {{"max_len", bounds.max_len}}, sizeof(int64_t), nullptr));
  VARLSTM_TRY(check_bytes("batch", {{"max_tokens", bounds.max_tokens}}, sizeof(int64_t), nullptr));
  if (!more_tokens_than_places(bounds)) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT,
                   "max_tokens = %lld is larger than max_batch = %lld times max_len = %lld", ll(bounds.max_tokens),
                   ll(bounds.max_batch), ll(bounds.max_len));
}

int32_t backend_error(const varlstm_ctx* ctx, const char* call, int32_t status) {
  const char* backend = ctx->backend_id == VARLSTM_BACKEND_HOST ? "host" : "CUDA";
  const char* why = ctx->backend->failure_text == nullptr ? "" : ctx->backend->failure_text();
  const char* colon = *why == 0 ? "" : ": ";
  switch (status) {
    case VARLSTM_ERROR_OUT_OF_MEMORY:
      return set_error(status, "the %s back end has not enough memory for %s%s%s", backend, call, colon, why);
    case VARLSTM_ERROR_UNSUPPORTED:
      return set_error(status, "the %s back end does not support this %s%s%s", backend, call, colon, why);
    case VARLSTM_ERROR_DEAD_CONTEXT:
      ctx->dead.store(true);
      return set_error(status, "ctx = %p died in %s of the %s back end: only destroy and free work%s%s",
                       static_cast<const void*>(ctx), call, backend, colon, why);
    default:
      return set_error(status, "%s of the %s back end failed with %s%s%s", call, backend, varlstm_status_name(status),
                       colon, why);
  }
}

}  // namespace varlstm
