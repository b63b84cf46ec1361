// The structs behind the opaque handles of varlstm.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "capi/contract/backend.h"
#include "varlstm.h"

namespace varlstm {

// The base of every handle. `magic` tells the kind of handle that a caller's pointer points to. The memory of a
// destroyed handle stays allocated for a while (see bury), so that using the handle again is an error with a text and
// not a read of freed memory.
struct Handle {
  static constexpr uint64_t kDestroyed = 0x6465616468616e64;

  explicit Handle(uint64_t magic_of_kind) : magic(magic_of_kind) {}
  virtual ~Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  std::atomic<uint64_t> magic;
};

// Marks the handle as destroyed; false if another thread did it first. The caller then frees the handle's resources.
inline bool retire(Handle* handle, uint64_t magic_of_kind) {
  return handle->magic.compare_exchange_strong(magic_of_kind, Handle::kDestroyed);
}

// Takes a handle that retire() has marked, and frees it after kGraves more handles have been destroyed.
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
  std::atomic<int64_t> options{0};        // how often an option was set: a plan of before may not hold any more
  std::atomic<int64_t> children{0};       // how many batches, rnns and losses made from it still exist
  mutable std::atomic<bool> dead{false};  // the back end has returned DEAD_CONTEXT: only destroy and free still work
};

struct varlstm_batch : varlstm::Handle {
  static constexpr uint64_t kMagic = 0x7661726c62617431;
  static constexpr const char* kTypeName = "varlstm_batch";
  varlstm_batch() : Handle(kMagic) {}

  varlstm_ctx* ctx = nullptr;
  varlstm::BatchPlan plan = {};
  std::unique_ptr<uint64_t[]> seen;  // a bit for each sequence, to find duplicates in sorted_indices
};

struct varlstm_rnn : varlstm::Handle {
  static constexpr uint64_t kMagic = 0x7661726c726e6e31;
  static constexpr const char* kTypeName = "varlstm_rnn";
  static constexpr int64_t kNameBytes = 32;  // "weight_ih_l4095_reverse" fits
  varlstm_rnn() : Handle(kMagic) {}

  varlstm_ctx* ctx = nullptr;
  varlstm::RnnShape shape = {};
  mutable std::atomic<bool> frozen{false};  // set by the first use; from then on options cannot change
  // The plan that was made last, for these options of the context. plan_lock guards it from the calls that use the rnn;
  // no other call may run while an option is set.
  mutable std::mutex plan_lock;
  mutable bool has_plan = false;
  mutable int64_t plan_options = 0;
  mutable varlstm::RnnPlan plan = {};
  // Of a prepared rnn: the parameters that it takes, and what the back end has made of them.
  const void* prepared_params = nullptr;
  varlstm::PreparedRnn prepared = {};
  int64_t prepared_bytes = 0;
  // The names of all tensors that the rnn could have: [layers, 2 directions, 9 tensors, kNameBytes].
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

// The rows of packed data as the host knows them: N, or max_tokens if only the device knows N.
inline int64_t packed_rows(const BatchPlan& plan) {
  return plan.tokens >= 0 ? plan.tokens : plan.bounds.max_tokens;
}

}  // namespace varlstm
