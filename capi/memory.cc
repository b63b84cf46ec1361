// The back end's memory, for callers that do not use the back end's own runtime.
// SPDX-License-Identifier: Apache-2.0
#include "capi/check.h"

using namespace varlstm;

namespace {
constexpr uintptr_t kAllocAlignment = 256;  // promised in varlstm.h
}

int32_t varlstm_alloc(varlstm_ctx* ctx, int64_t bytes, void** ptr) {
  VARLSTM_TRY(check_usable("ctx", ctx));
  VARLSTM_TRY(check_at_least("bytes", bytes, 0));
  BufferCheck buffers(sizeof(void*));
  buffers.write("ptr", ptr, {});
  VARLSTM_TRY(buffers.finish());
  VARLSTM_TRY(check_bytes("ptr", {{"bytes", bytes}}, 1, nullptr));
  void* made = nullptr;
  if (bytes > 0) {
    VARLSTM_TRY(call_backend(ctx, "alloc", &Backend::alloc, bytes, &made));
  }
  *ptr = made;
  return VARLSTM_OK;
}

int32_t varlstm_free(varlstm_ctx* ctx, void* ptr) {
  VARLSTM_TRY(check_handle("ctx", ctx));  // a dead context may free its memory too
  if (ptr == nullptr) return VARLSTM_OK;
  if (reinterpret_cast<uintptr_t>(ptr) % kAllocAlignment != 0) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "ptr = %p does not come from varlstm_alloc", ptr);
  }
  return call_backend(ctx, "free", &Backend::free, ptr);
}

int32_t varlstm_copy(varlstm_ctx* ctx, void* dst, const void* src, int64_t bytes, int32_t kind, void* stream) {
  VARLSTM_TRY(check_usable("ctx", ctx, stream));
  VARLSTM_TRY(check_at_least("bytes", bytes, 0));
  VARLSTM_TRY(check_enum("kind", "varlstm_copy_kind", kind, VARLSTM_COPY_WITHIN_BACKEND));
  BufferCheck buffers(1);
  buffers.read("src", src, {{"bytes", bytes}});
  buffers.write("dst", dst, {{"bytes", bytes}});
  VARLSTM_TRY(buffers.finish());
  if (bytes == 0) return VARLSTM_OK;
  return call_backend(ctx, "copy", &Backend::copy, dst, src, bytes, kind, stream);
}

int32_t varlstm_zero(varlstm_ctx* ctx, void* ptr, int64_t bytes, void* stream) {
  VARLSTM_TRY(check_usable("ctx", ctx, stream));
  VARLSTM_TRY(check_at_least("bytes", bytes, 0));
  BufferCheck buffers(1);
  buffers.write("ptr", ptr, {{"bytes", bytes}});
  VARLSTM_TRY(buffers.finish());
  if (bytes == 0) return VARLSTM_OK;
  return call_backend(ctx, "zero", &Backend::zero, ptr, bytes, stream);
}

int32_t varlstm_sync(varlstm_ctx* ctx, void* stream) {
  VARLSTM_TRY(check_usable("ctx", ctx, stream));
  return call_backend(ctx, "sync", &Backend::sync, stream);
}
