// The C ABI's handles and memory as C++ objects that clean up after themselves. Every failed call becomes an Error.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <varlstm.h>

#include <memory>
#include <string>
#include <vector>

#include "error.h"

namespace tagger {

inline void check(int32_t status) {
  if (status != VARLSTM_OK) fail("{}: {}", varlstm_status_name(status), varlstm_last_error());
}

template <typename Handle, int32_t (*destroy)(Handle*)>
struct Destroy {
  void operator()(Handle* handle) const { destroy(handle); }
};
template <typename Handle, int32_t (*destroy)(Handle*)>
using Owned = std::unique_ptr<Handle, Destroy<Handle, destroy>>;

using RnnHandle = Owned<varlstm_rnn, varlstm_rnn_destroy>;
using BatchHandle = Owned<varlstm_batch, varlstm_batch_destroy>;
using LossHandle = Owned<varlstm_loss, varlstm_loss_destroy>;

// A context. What is made from it must go first: declare it before everything else.
class Context {
 public:
  // threads: 0 for all cores. Error with a hint where the library has no such back end.
  Context(int32_t backend, int64_t threads) {
    varlstm_ctx* raw = nullptr;
    if (varlstm_ctx_create(backend, 0, &raw) != VARLSTM_OK)
      fail("--backend {} cannot be used here: {}", backend == VARLSTM_BACKEND_CUDA ? "cuda" : "host",
           varlstm_last_error());
    ctx_.reset(raw);
    if (backend == VARLSTM_BACKEND_HOST) check(varlstm_ctx_set_i64(raw, VARLSTM_KEY_THREADS, threads));
  }

  varlstm_ctx* get() const { return ctx_.get(); }

  RnnHandle lstm(int64_t input, int64_t hidden, int64_t layers) const {
    varlstm_rnn* raw = nullptr;
    check(varlstm_rnn_create(get(), VARLSTM_CELL_LSTM, input, hidden, layers, &raw));
    return RnnHandle(raw);
  }
  BatchHandle batch(int64_t max_batch, int64_t max_len, int64_t max_tokens) const {
    varlstm_batch* raw = nullptr;
    check(varlstm_batch_create(get(), max_batch, max_len, max_tokens, &raw));
    return BatchHandle(raw);
  }
  LossHandle loss(int64_t classes) const {
    varlstm_loss* raw = nullptr;
    check(varlstm_loss_create(get(), classes, &raw));
    return LossHandle(raw);
  }

 private:
  Owned<varlstm_ctx, varlstm_ctx_destroy> ctx_;
};

// `count` elements in the back end's memory, zero at first.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Context& context, int64_t count) : ctx_(context.get()), count_(count) {
    void* raw = nullptr;
    check(varlstm_alloc(ctx_, count * static_cast<int64_t>(sizeof(T)), &raw));
    data_ = static_cast<T*>(raw);
    zero(count);
  }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() {
    if (data_) varlstm_free(ctx_, data_);
  }

  T* get() const { return data_; }
  int64_t count() const { return count_; }

  void zero(int64_t count) { check(varlstm_zero(ctx_, data_, bytes(count), nullptr)); }
  void to_backend(const T* source, int64_t count) {
    check(varlstm_copy(ctx_, data_, source, bytes(count), VARLSTM_COPY_TO_BACKEND, nullptr));
  }
  void to_host(T* target, int64_t count) const {
    check(varlstm_copy(ctx_, target, data_, bytes(count), VARLSTM_COPY_TO_HOST, nullptr));
  }

 private:
  static int64_t bytes(int64_t count) { return count * static_cast<int64_t>(sizeof(T)); }
  void swap(Buffer& other) noexcept {
    std::swap(ctx_, other.ctx_);
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
  }

  varlstm_ctx* ctx_ = nullptr;
  T* data_ = nullptr;
  int64_t count_ = 0;
};

}  // namespace tagger
