// Handles and memory for calls of every function: small, right, and the same each time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <map>
#include <vector>

#include "support/context.h"

namespace varlstm_test {

// Zeroed memory that is handed out in pieces aligned to 64 bytes; each has space behind it that belongs to nobody.
class Arena {
 public:
  void open(void* block, int64_t bytes) {
    begin_ = static_cast<unsigned char*>(block);
    bytes_ = bytes;
  }

  template <class T>
  T* take(int64_t count) {
    const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
    unsigned char* piece = begin_ + used_;
    used_ += (bytes + 63) / 64 * 64 + 256;
    if (used_ > bytes_) throw std::runtime_error("the arena is too small");
    sizes_[piece] = bytes;
    return reinterpret_cast<T*>(piece);
  }

  // Bytes of the piece that starts at `pointer`; 0 if none does.
  int64_t bytes_at(const void* pointer) const {
    const auto found = sizes_.find(pointer);
    return found == sizes_.end() ? 0 : found->second;
  }

  void* begin() const { return begin_; }
  int64_t bytes() const { return bytes_; }

 private:
  unsigned char* begin_ = nullptr;
  int64_t bytes_ = 0;
  int64_t used_ = 0;
  std::map<const void*, int64_t> sizes_;
};

// B = 3, T = 4, N = 7; I = 3, H = 5, L = 2, D = 2; V = 9, C = 6. One context with two sets of memory: the host's, for
// what a function gives back to the host, and the back end's.
class World {
 public:
  static constexpr int64_t kBatch = 3, kLen = 4, kTokens = 7;
  static constexpr int64_t kInput = 3, kHidden = 5, kLayers = 2, kDirections = 2;
  static constexpr int64_t kVocab = 9, kFeatures = 3, kClasses = 6, kOut = 6;
  static constexpr int64_t kArenaBytes = 1 << 20;

  World() : host_block_(static_cast<size_t>(kArenaBytes) / sizeof(Line)) {
    host.open(host_block_.data(), kArenaBytes);
    ctx = new_ctx();
    void* block = nullptr;
    REQUIRE_OK(varlstm_alloc(ctx, kArenaBytes, &block));
    REQUIRE_OK(varlstm_zero(ctx, block, kArenaBytes, nullptr));
    back.open(block, kArenaBytes);
    batch = new_batch(ctx);
    rnn = new_rnn(ctx);
    loss = new_loss(ctx);
    other_ctx = new_ctx();
    other_batch = new_batch(other_ctx);

    destroyed_ctx = new_ctx();
    destroyed_batch = new_batch(ctx);
    destroyed_rnn = new_rnn(ctx);
    destroyed_loss = new_loss(ctx);
    REQUIRE_OK(varlstm_loss_destroy(destroyed_loss));
    REQUIRE_OK(varlstm_rnn_destroy(destroyed_rnn));
    REQUIRE_OK(varlstm_batch_destroy(destroyed_batch));
    REQUIRE_OK(varlstm_ctx_destroy(destroyed_ctx));
    losses_.pop_back();
    rnns_.pop_back();
    batches_.pop_back();
    ctxs_.pop_back();
  }

  // A handle that the test has just destroyed itself is refused here; the two contexts must go in any case, which shows
  // that nothing made from them is left.
  ~World() {
    for (varlstm_loss* handle : losses_) varlstm_loss_destroy(handle);
    for (varlstm_rnn* handle : rnns_) varlstm_rnn_destroy(handle);
    for (varlstm_batch* handle : batches_) varlstm_batch_destroy(handle);
    EXPECT_OK(varlstm_free(ctx, back.begin()));
    for (varlstm_ctx* handle : ctxs_) {
      const int32_t status = varlstm_ctx_destroy(handle);
      EXPECT_TRUE(status == VARLSTM_OK || (handle != ctx && handle != other_ctx)) << varlstm_last_error();
    }
  }

  World(const World&) = delete;
  World& operator=(const World&) = delete;

  varlstm_ctx* new_ctx() {
    varlstm_ctx* handle = nullptr;
    REQUIRE_OK(varlstm_ctx_create(test_backend(), 0, &handle));
    ctxs_.push_back(handle);
    return handle;
  }

  varlstm_batch* new_batch(varlstm_ctx* owner) {
    varlstm_batch* handle = nullptr;
    REQUIRE_OK(varlstm_batch_create(owner, kBatch, kLen, kTokens, &handle));
    batches_.push_back(handle);
    const int64_t lengths[kBatch] = {2, 4, 1};
    REQUIRE_OK(varlstm_batch_set_lengths(handle, lengths, kBatch, VARLSTM_SPACE_HOST, nullptr));
    return handle;
  }

  varlstm_rnn* new_rnn(varlstm_ctx* owner) {
    varlstm_rnn* handle = nullptr;
    REQUIRE_OK(varlstm_rnn_create(owner, VARLSTM_CELL_LSTM, kInput, kHidden, kLayers, &handle));
    rnns_.push_back(handle);
    REQUIRE_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_BIDIRECTIONAL, 1));
    return handle;
  }

  varlstm_loss* new_loss(varlstm_ctx* owner) {
    varlstm_loss* handle = nullptr;
    REQUIRE_OK(varlstm_loss_create(owner, kClasses, &handle));
    losses_.push_back(handle);
    return handle;
  }

  int64_t param_elements() {
    int64_t elements = 0;
    REQUIRE_OK(varlstm_rnn_param_count(rnn, nullptr, &elements));
    return elements;
  }

  int64_t op_workspace(int32_t op, int64_t rows, int64_t a, int64_t b) {
    int64_t bytes = 0;
    REQUIRE_OK(varlstm_op_workspace(ctx, op, VARLSTM_DTYPE_F32, rows, a, b, &bytes));
    return bytes;
  }

  // All bytes that a call could write to.
  std::vector<unsigned char> snapshot() const {
    std::vector<unsigned char> bytes(2 * kArenaBytes);
    std::memcpy(bytes.data(), host.begin(), kArenaBytes);
    REQUIRE_OK(varlstm_copy(ctx, bytes.data() + kArenaBytes, back.begin(), kArenaBytes, VARLSTM_COPY_TO_HOST, nullptr));
    return bytes;
  }

  varlstm_ctx *ctx, *other_ctx, *destroyed_ctx;
  varlstm_batch *batch, *other_batch, *destroyed_batch;
  varlstm_rnn *rnn, *destroyed_rnn;
  varlstm_loss *loss, *destroyed_loss;
  Arena host, back;

 private:
  struct alignas(64) Line {
    unsigned char bytes[64] = {};
  };
  std::vector<Line> host_block_;
  std::vector<varlstm_ctx*> ctxs_;
  std::vector<varlstm_batch*> batches_;
  std::vector<varlstm_rnn*> rnns_;
  std::vector<varlstm_loss*> losses_;
};

}  // namespace varlstm_test
