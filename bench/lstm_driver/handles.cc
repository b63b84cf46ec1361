// Handles and memory: see handles.h.
// SPDX-License-Identifier: Apache-2.0
#include "bench/lstm_driver/handles.h"

#include <algorithm>
#include <numeric>

namespace varlstm::lstm_driver {

Context make_context(int32_t backend, int64_t threads) {
  varlstm_ctx* raw = nullptr;
  check(varlstm_ctx_create(backend, 0, &raw));
  Context context(raw);
  if (backend == VARLSTM_BACKEND_HOST) check(varlstm_ctx_set_i64(raw, VARLSTM_KEY_THREADS, threads));
  return context;
}

Batch make_batch(varlstm_ctx* ctx, const std::vector<int64_t>& lengths) {
  const auto count = static_cast<int64_t>(lengths.size());
  varlstm_batch* raw = nullptr;
  check(varlstm_batch_create(ctx, count, *std::max_element(lengths.begin(), lengths.end()),
                             std::accumulate(lengths.begin(), lengths.end(), int64_t{0}), &raw));
  Batch batch(raw);
  check(varlstm_batch_set_lengths(raw, lengths.data(), count, VARLSTM_SPACE_HOST, nullptr));
  return batch;
}

void Memory::upload(const void* from, int64_t offset, int64_t bytes) const {
  check(varlstm_copy(ctx_, static_cast<char*>(data_) + offset, from, bytes, VARLSTM_COPY_TO_BACKEND, nullptr));
  check(varlstm_sync(ctx_, nullptr));
}

void Memory::download(void* to) const {
  check(varlstm_copy(ctx_, to, data_, bytes_, VARLSTM_COPY_TO_HOST, nullptr));
  check(varlstm_sync(ctx_, nullptr));
}

}  // namespace varlstm::lstm_driver
