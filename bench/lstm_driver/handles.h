// The C ABI's handles and memory as C++ objects that clean up after themselves. Every failed call becomes a CallFailed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <varlstm.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace varlstm::lstm_driver {

// A call of the library that answered with an error: the case fails, the others go on.
class CallFailed : public std::runtime_error {
 public:
  explicit CallFailed(int32_t status)
      : std::runtime_error(std::string(varlstm_status_name(status)) + ": " + varlstm_last_error()) {}
};

inline void check(int32_t status) {
  if (status != VARLSTM_OK) throw CallFailed(status);
}

template <class Handle, int32_t (*destroy)(Handle*)>
struct Destroy {
  void operator()(Handle* handle) const { destroy(handle); }
};
template <class Handle, int32_t (*destroy)(Handle*)>
using Owned = std::unique_ptr<Handle, Destroy<Handle, destroy>>;

using Context = Owned<varlstm_ctx, varlstm_ctx_destroy>;
using Batch = Owned<varlstm_batch, varlstm_batch_destroy>;
using Rnn = Owned<varlstm_rnn, varlstm_rnn_destroy>;

// The context must outlive what is made from it.
Context make_context(int32_t backend, int64_t threads);
Batch make_batch(varlstm_ctx* ctx, const std::vector<int64_t>& lengths);

// Memory of a context's back end.
class Memory {
 public:
  Memory() = default;
  Memory(varlstm_ctx* ctx, int64_t bytes) : ctx_(ctx), bytes_(bytes) { check(varlstm_alloc(ctx, bytes, &data_)); }
  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Memory() { varlstm_free(ctx_, data_); }

  void* get() const { return data_; }
  int64_t bytes() const { return bytes_; }
  void zero(void* stream) const { check(varlstm_zero(ctx_, data_, bytes_, stream)); }
  void upload(const void* from, int64_t offset, int64_t bytes) const;
  void download(void* to) const;

 private:
  void swap(Memory& other) {
    std::swap(ctx_, other.ctx_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }

  varlstm_ctx* ctx_ = nullptr;
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace varlstm::lstm_driver
