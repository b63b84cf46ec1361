// Contexts: a back end on a device.
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "capi/check.h"
#include "capi/contract/environment.h"

using namespace varlstm;

namespace {

constexpr int64_t kMaxThreads = 1024;

// *table <- the functions of the back end, or null if this build does not have it.
int32_t find_backend(int32_t backend, const Backend** table) {
  VARLSTM_TRY(check_enum("backend", "varlstm_backend", backend, VARLSTM_BACKEND_CUDA));
  *table = backend == VARLSTM_BACKEND_HOST ? host_backend() : cuda_backend();
  return VARLSTM_OK;
}

// A misspelt value is an error, because otherwise the library would silently run in another way than requested.
int32_t check_environment() {
  const EnvironmentVariable* variable = unknown_environment();
  if (variable == nullptr) return VARLSTM_OK;
  if (takes_number(*variable))
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s = %s in the environment is no whole number from 1 on",
                     variable->name, getenv(variable->name));
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s = %s in the environment is none of: %s", variable->name,
                   getenv(variable->name), variable->values);
}

}  // namespace

int32_t varlstm_device_count(int32_t backend, int32_t* count) {
  const Backend* table = nullptr;
  VARLSTM_TRY(find_backend(backend, &table));
  BufferCheck buffers(sizeof(int32_t));
  buffers.write("count", count, {});
  VARLSTM_TRY(buffers.finish());
  int32_t devices = 0;
  if (table != nullptr) {
    const int32_t status = table->device_count(&devices);
    if (status != VARLSTM_OK) {
      const char* why = table->failure_text == nullptr ? "" : table->failure_text();
      return set_error(status, "the back end cannot count its devices (backend = %d)%s%s", backend,
                       *why == 0 ? "" : ": ", why);
    }
  }
  *count = devices;
  return VARLSTM_OK;
}

int32_t varlstm_ctx_create(int32_t backend, int32_t device, varlstm_ctx** ctx) {
  const Backend* table = nullptr;
  VARLSTM_TRY(find_backend(backend, &table));
  VARLSTM_TRY(check_at_least("device", device, 0));
  VARLSTM_TRY(check_environment());
  BufferCheck buffers(sizeof(varlstm_ctx*));
  buffers.write("ctx", ctx, {});
  VARLSTM_TRY(buffers.finish());
  if (table == nullptr) return set_error(VARLSTM_ERROR_UNSUPPORTED, "this build of libvarlstm has no CUDA back end");
  int32_t devices = 0;
  VARLSTM_TRY(varlstm_device_count(backend, &devices));
  if (devices == 0) {
    return set_error(VARLSTM_ERROR_UNSUPPORTED,
                     "backend = %d finds no device here: there is no GPU, or no driver that fits this build", backend);
  }
  VARLSTM_TRY(check_between("device", device, 0, devices - 1));

  std::unique_ptr<varlstm_ctx> made(new (std::nothrow) varlstm_ctx);
  if (!made) return set_error(VARLSTM_ERROR_OUT_OF_MEMORY, "no memory for a varlstm_ctx");
  made->backend = table;
  made->backend_id = backend;
  made->device = device;
  VARLSTM_TRY(call_backend(made.get(), "open", &Backend::open, device, &made->state));
  *ctx = made.release();
  return VARLSTM_OK;
}

int32_t varlstm_ctx_set_i64(varlstm_ctx* ctx, int32_t key, int64_t value) {
  VARLSTM_TRY(check_usable("ctx", ctx));
  switch (key) {
    case VARLSTM_KEY_BACKEND:
    case VARLSTM_KEY_DEVICE:
      return read_only_key(key);
    case VARLSTM_KEY_THREADS:
      VARLSTM_TRY(check_between("value", value, 0, kMaxThreads));
      break;
    case VARLSTM_KEY_BATCH_INVARIANT:
      VARLSTM_TRY(check_flag("value", value));
      break;
    case VARLSTM_KEY_MATH:
      VARLSTM_TRY(check_enum("value", "varlstm_math", value, VARLSTM_MATH_TF32));
      break;
    default:
      return bad_key(varlstm_ctx::kTypeName, "an int64", key);
  }
  const int32_t status = call_backend(ctx, "set_i64", &Backend::set_i64, key, value);
  ctx->options.fetch_add(1);
  return status;
}

int32_t varlstm_ctx_get_i64(const varlstm_ctx* ctx, int32_t key, int64_t* value) {
  VARLSTM_TRY(check_usable("ctx", ctx));
  if (key < VARLSTM_KEY_BACKEND || key > VARLSTM_KEY_MATH) {
    return bad_key(varlstm_ctx::kTypeName, "an int64", key);
  }
  BufferCheck buffers(sizeof(int64_t));
  buffers.write("value", value, {});
  VARLSTM_TRY(buffers.finish());
  if (key == VARLSTM_KEY_BACKEND) {
    *value = ctx->backend_id;
    return VARLSTM_OK;
  }
  if (key == VARLSTM_KEY_DEVICE) {
    *value = ctx->device;
    return VARLSTM_OK;
  }
  return call_backend(ctx, "get_i64", &Backend::get_i64, key, value);
}

int32_t varlstm_ctx_device_status(varlstm_ctx* ctx, int32_t reset, int64_t* bits, int64_t* first_index, void* stream) {
  VARLSTM_TRY(check_usable("ctx", ctx, stream));
  VARLSTM_TRY(check_flag("reset", reset));
  BufferCheck buffers(sizeof(int64_t));
  buffers.write("bits", bits, {});
  buffers.write_or_null("first_index", first_index, {});
  VARLSTM_TRY(buffers.finish());
  int64_t seen_bits = 0;
  int64_t seen_index = -1;
  VARLSTM_TRY(call_backend(ctx, "device_status", &Backend::device_status, reset != 0, &seen_bits, &seen_index, stream));
  *bits = seen_bits;
  if (first_index != nullptr) *first_index = seen_index;
  return VARLSTM_OK;
}

int32_t varlstm_ctx_destroy(varlstm_ctx* ctx) {
  if (ctx == nullptr) return VARLSTM_OK;
  VARLSTM_TRY(check_handle("ctx", ctx));
  const int64_t children = ctx->children.load();
  if (children != 0) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT,
                     "ctx is in use: %lld batches, rnns or losses made from it were not destroyed yet",
                     static_cast<long long>(children));
  }
  if (!retire(ctx, varlstm_ctx::kMagic)) return check_handle("ctx", ctx);
  release_in_backend(ctx, [](const Backend& b, BackendState* state) { b.close(state); });
  ctx->state = nullptr;
  bury(ctx);
  return VARLSTM_OK;
}
