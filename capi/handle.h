// What stands behind the opaque handles of varlstm.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>

#include "capi/contract/backend.h"

namespace varlstm {

// First part of every handle: tells what a pointer from outside really is. A destroyed handle's shell stays allocated
// for a while (see bury), so that using it again is an error with a text and not a read of freed memory.
struct Handle {
  static constexpr uint64_t kDestroyed = 0x6465616468616e64;

  explicit Handle(uint64_t magic_of_kind) : magic(magic_of_kind) {}
  virtual ~Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  std::atomic<uint64_t> magic;
};

// Marks the handle as destroyed; false where another thread was faster. Its resources are the caller's to free.
inline bool retire(Handle* handle, uint64_t magic_of_kind) {
  return handle->magic.compare_exchange_strong(magic_of_kind, Handle::kDestroyed);
}

// Takes a retired handle and frees it after kGraves more handles were destroyed.
constexpr uint64_t kGraves = 64;
void bury(Handle* handle);

}  // namespace varlstm

struct varlstm_ctx : varlstm::Handle {
  static constexpr uint64_t kMagic = 0x7661726c63747831;
  static constexpr const char* kTypeName = "varlstm_ctx";
  varlstm_ctx() : Handle(kMagic) {}

  const varlstm::Backend* backend = nullptr;
  varlstm::BackendState* state = nullptr;
  int32_t backend_id = 0;
  int32_t device = 0;
  std::atomic<int64_t> children{0};       // batches, rnns and losses that were made from it and still exist
  mutable std::atomic<bool> dead{false};  // the back end said DEAD_CONTEXT: every call but destroy fails
};

struct varlstm_batch : varlstm::Handle {
  static constexpr uint64_t kMagic = 0x7661726c62617431;
  static constexpr const char* kTypeName = "varlstm_batch";
  varlstm_batch() : Handle(kMagic) {}

  varlstm_ctx* ctx = nullptr;
  varlstm::BatchPlan plan = {};
  std::unique_ptr<uint64_t[]> seen;  // a bit for each sequence: finds what stands twice in sorted_indices
};

struct varlstm_rnn : varlstm::Handle {
  static constexpr uint64_t kMagic = 0x7661726c726e6e31;
  static constexpr const char* kTypeName = "varlstm_rnn";
  static constexpr int64_t kNameBytes = 32;  // "weight_ih_l4095_reverse" fits
  varlstm_rnn() : Handle(kMagic) {}

  varlstm_ctx* ctx = nullptr;
  varlstm::RnnShape shape = {};
  mutable std::atomic<bool> frozen{false};  // options are fixed from the first use on
  // Names of all tensors that the rnn could have, [layers, 2 directions, 4 tensors, kNameBytes].
  std::unique_ptr<char[]> names;
};

struct varlstm_loss : varlstm::Handle {
  static constexpr uint64_t kMagic = 0x7661726c6c6f7331;
  static constexpr const char* kTypeName = "varlstm_loss";
  varlstm_loss() : Handle(kMagic) {}

  varlstm_ctx* ctx = nullptr;
  int64_t classes = 0;
  int64_t ignore_index = -100;
  int64_t reduction = VARLSTM_REDUCTION_MEAN;
  int64_t empty_mean = VARLSTM_EMPTY_MEAN_NAN;
  double label_smoothing = 0;
};

namespace varlstm {

inline const varlstm_ctx* context_of(const varlstm_ctx* ctx) {
  return ctx;
}
inline varlstm_ctx* context_of(const varlstm_batch* batch) {
  return batch->ctx;
}
inline varlstm_ctx* context_of(const varlstm_rnn* rnn) {
  return rnn->ctx;
}
inline varlstm_ctx* context_of(const varlstm_loss* loss) {
  return loss->ctx;
}

// Rows of packed data as far as the host knows them: N, or the bound where only the device knows N.
inline int64_t packed_rows(const BatchPlan& plan) {
  return plan.tokens >= 0 ? plan.tokens : plan.bounds.max_tokens;
}

}  // namespace varlstm
