// Device code of the sums over the rows of a loss, which the kernels of loss_terms.cu share with those that sum for
// themselves. For kernel files only.
//
// Every function is called by all threads of a block of kLossBlock threads, of one dimension. Each gives its result to
// every thread, in an order that depends only on the number of rows. `scratch`: shared memory, [kLossBlock / 32]; the
// barriers are those of core/reduce.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/bad_value.h"
#include "kernels/core/reduce.h"
#include "kernels/masked_loss/loss_chunks.h"
#include "kernels/masked_loss/loss_terms.h"

namespace varlstm::cuda {

constexpr unsigned kLossBlock = 256;

// Whether so few rows are weighed and summed by single blocks, without a launch for partial sums.
VARLSTM_HOST_DEVICE bool is_one_chunk(int64_t rows) {
  return rows <= kLossChunk;
}

// Returns the weight of the kept rows of a chunk. A bad label raises its status bit, unless status is null.
template <class C>
VARLSTM_DEVICE double weight_of_chunk(const LossView<C>& view, int64_t chunk, DeviceStatus* status, double* scratch) {
  const int64_t begin = chunk * chunk_rows(view.rows);
  const int64_t counted = view.counted();
  const int64_t end = begin + chunk_rows(view.rows) < counted ? begin + chunk_rows(view.rows) : counted;
  double sum = 0;
  for (int64_t row = begin + threadIdx.x; row < end; row += kLossBlock) {
    const int64_t target = view.targets[row];
    if (target == view.ignore_index) continue;
    if (view.is_class(target)) {
      sum += static_cast<double>(view.weight(target));
    } else if (status != nullptr) {
      flag_bad_value(status, BadValue::kLabel, row);
    }
  }
  return block_sum(sum, scratch);
}

// Returns the sum of the terms of a chunk.
template <class C>
VARLSTM_DEVICE double terms_of_chunk(const LossView<C>& view, int64_t chunk, double* scratch) {
  const int64_t begin = chunk * chunk_rows(view.rows);
  const int64_t end = begin + chunk_rows(view.rows) < view.rows ? begin + chunk_rows(view.rows) : view.rows;
  double sum = 0;
  for (int64_t row = begin + threadIdx.x; row < end; row += kLossBlock) sum += view.terms[row];
  return block_sum(sum, scratch);
}

// Returns the sum of view.partial over the chunks.
template <class C>
VARLSTM_DEVICE double sum_of_chunks(const LossView<C>& view, double* scratch) {
  double sum = 0;
  for (int64_t chunk = threadIdx.x; chunk < chunks_of(view.rows); chunk += kLossBlock) sum += view.partial[chunk];
  return block_sum(sum, scratch);
}

// totals [LossView::kTotals] <- the weight of the kept rows, and that of the classes. Only thread 0 sees them before
// the next barrier.
template <class C>
VARLSTM_DEVICE void store_totals(const LossView<C>& view, double kept, double* totals, double* scratch) {
  double all = 0;
  if (view.on_each != 0) {
    for (int64_t c = threadIdx.x; c < view.classes; c += kLossBlock) all += static_cast<double>(view.weight(c));
  }
  all = block_sum(all, scratch);
  if (threadIdx.x != 0) return;
  totals[LossView<C>::kKeptWeight] = kept;
  totals[LossView<C>::kAllWeight] = all;
}

}  // namespace varlstm::cuda
