// Checks of arguments. A check returns VARLSTM_OK, or it sets this thread's error text and returns the status that the
// call has to return. A call chains its checks with VARLSTM_TRY: handles first, then scalars, then buffers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <new>
#include <type_traits>
#include <utility>

#include "capi/handle.h"
#include "varlstm.h"

#define VARLSTM_TRY(expression)                                      \
  do {                                                               \
    const int32_t varlstm_try_status = (expression);                 \
    if (varlstm_try_status != VARLSTM_OK) return varlstm_try_status; \
  } while (false)

namespace varlstm {

// Keeps the text for varlstm_last_error and returns `status`.
[[gnu::format(printf, 2, 3)]] int32_t set_error(int32_t status, const char* format, ...);

// No buffer may be larger than this; no machine's address space is. A back end can therefore add a few sizes and
// multiply them by small constants without overflow.
constexpr int64_t kMaxBytes = int64_t{1} << 56;

// --- handles -------------------------------------------------------------------------------------------------------

int32_t check_magic(const char* name, const char* type, const Handle* handle, uint64_t magic);

// `handle` is of this kind and not destroyed.
template <class T>
int32_t check_handle(const char* name, const T* handle) {
  return check_magic(name, T::kTypeName, handle, T::kMagic);
}

int32_t check_alive(const varlstm_ctx* ctx);
int32_t check_stream(const varlstm_ctx* ctx, const void* stream);

// `handle` is not destroyed and its context is not dead.
template <class T>
int32_t check_usable(const char* name, const T* handle) {
  VARLSTM_TRY(check_handle(name, handle));
  return check_alive(context_of(handle));
}

// The same for a call that runs in `stream`.
template <class T>
int32_t check_usable(const char* name, const T* handle, const void* stream) {
  VARLSTM_TRY(check_usable(name, handle));
  return check_stream(context_of(handle), stream);
}

// `batch` belongs to `ctx`.
int32_t check_batch(const varlstm_ctx* ctx, const varlstm_batch* batch);
// `batch` is NULL, or belongs to `ctx` and has no more than `rows` tokens.
int32_t check_batch_or_null(const varlstm_ctx* ctx, const varlstm_batch* batch, int64_t rows);

// --- scalars -------------------------------------------------------------------------------------------------------

int32_t check_at_least(const char* name, int64_t value, int64_t minimum);
int32_t check_between(const char* name, int64_t value, int64_t low, int64_t high);
int32_t check_flag(const char* name, int64_t value);
// The value is one of an enum of varlstm.h that counts from 0 to `last` without gaps.
int32_t check_enum(const char* name, const char* type, int64_t value, int64_t last);
// Any dtype except I64, which only pack and unpack allow.
int32_t check_dtype(const char* name, int64_t dtype, bool allow_i64 = false);
// The value is in [0, 1).
int32_t check_probability(const char* name, double value);
int32_t check_finite_non_negative(const char* name, double value);

const char* key_name(int32_t key);
int32_t bad_key(const char* type, const char* value_type, int32_t key);
int32_t read_only_key(int32_t key);

// No bound is negative, max_tokens <= max_batch * max_len, and no index array of these sizes exceeds kMaxBytes.
int32_t check_bounds(const BatchBounds& bounds);

// --- buffers -------------------------------------------------------------------------------------------------------

inline int64_t element_size(DType dtype) {
  if (dtype == DType::kBF16 || dtype == DType::kF16) return 2;
  return dtype == DType::kF32 ? 4 : 8;
}

struct Dim {
  const char* name;
  int64_t value;
};

// *bytes <- the product of the dimensions (each >= 0) and element_size; more than kMaxBytes is an error. Against this
// limit a dimension of 0 counts as 1, so that the strides of an empty tensor do not overflow either. `bytes` may be
// null.
int32_t check_bytes(const char* name, std::initializer_list<Dim> dims, int64_t element_size, int64_t* bytes);

// The buffers of one call. Each buffer is checked for NULL, alignment and size when it is added. finish() checks that
// no buffer that is written overlaps another one. The first error is kept.
class BufferCheck {
 public:
  explicit BufferCheck(int64_t default_element_size) : default_element_size_(default_element_size) {}

  // Element size 0 means the default element size.
  void read(const char* name, const void* data, std::initializer_list<Dim> dims, int64_t element_size = 0);
  void read_or_null(const char* name, const void* data, std::initializer_list<Dim> dims, int64_t element_size = 0);
  void write(const char* name, const void* data, std::initializer_list<Dim> dims, int64_t element_size = 0);
  void write_or_null(const char* name, const void* data, std::initializer_list<Dim> dims, int64_t element_size = 0);

  // Checks that the caller's `bytes` are at least `needed`; `name` is "workspace" or "reserve".
  void scratch(const char* name, const void* data, int64_t bytes, int64_t needed, bool written = true);

  // These two buffers may be the same one.
  void may_be_same(const char* first, const char* second);

  int32_t status() const { return status_; }
  int32_t finish();

 private:
  struct Interval {
    const char* name;
    uintptr_t begin;
    uint64_t bytes;
    bool written;
  };
  static constexpr int kMaxBuffers = 20;

  void add(const char* name, const void* data, std::initializer_list<Dim> dims, int64_t element_size, bool written);
  void add_interval(const char* name, const void* data, int64_t bytes, int64_t alignment, bool written);
  bool is_in_place_pair(const Interval& a, const Interval& b) const;

  int64_t default_element_size_;
  int32_t status_ = VARLSTM_OK;
  int count_ = 0;
  Interval intervals_[kMaxBuffers];
  const char* same_[2] = {"", ""};
};

// --- calls through the table ---------------------------------------------------------------------------------------

// Sets the text for a failed call of the back end, and marks the context as dead if the status says so.
int32_t backend_error(const varlstm_ctx* ctx, const char* call, int32_t status);

// While this object exists, the context's device is this thread's current device; its destructor restores what was
// current before. Every function of the back end that takes a state is called while one exists.
class CurrentDevice {
 public:
  explicit CurrentDevice(const varlstm_ctx* ctx) : backend_(*ctx->backend) {
    if (backend_.enter_device != nullptr) status_ = backend_.enter_device(ctx->device, &previous_);
  }
  ~CurrentDevice() {
    if (status_ == VARLSTM_OK && backend_.leave_device != nullptr) backend_.leave_device(previous_);
  }
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

  int32_t status() const { return status_; }

 private:
  const Backend& backend_;
  void* previous_ = nullptr;
  int32_t status_ = VARLSTM_OK;
};

// Runs release(table, state), which frees resources, on the context's device. A failure is not reported.
template <class Release>
void release_in_backend(const varlstm_ctx* ctx, const Release& release) {
  const CurrentDevice current(ctx);
  release(*ctx->backend, ctx->state);
  if (ctx->backend->failure_text != nullptr) (void)ctx->backend->failure_text();
}

// Calls a function of the table with the context's state, if it takes one, and these arguments, on the context's
// device. Turns every exception into a status, and sets the text for a failed call.
template <class... Parameters, class... Arguments>
int32_t call_backend(const varlstm_ctx* ctx, const char* name, int32_t (*Backend::*function)(Parameters...),
                     Arguments&&... arguments) {
  int32_t status = VARLSTM_OK;
  try {
    const CurrentDevice current(ctx);
    status = current.status();
    const auto call = ctx->backend->*function;
    if constexpr (std::is_invocable<decltype(call), BackendState*, Arguments...>::value) {
      if (status == VARLSTM_OK) status = call(ctx->state, std::forward<Arguments>(arguments)...);
    } else {
      if (status == VARLSTM_OK) status = call(std::forward<Arguments>(arguments)...);
    }
  } catch (const std::bad_alloc&) {
    status = VARLSTM_ERROR_OUT_OF_MEMORY;
  } catch (...) {
    status = VARLSTM_ERROR_INTERNAL;
  }
  return status == VARLSTM_OK ? VARLSTM_OK : backend_error(ctx, name, status);
}

}  // namespace varlstm
