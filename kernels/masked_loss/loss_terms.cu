// Sums over the rows of a loss, in double and in a fixed order.
//
// Rows are cut into chunks (loss_chunks.h). A block of kBlock threads sums one chunk: thread i takes rows i, i +
// kBlock, ... and the block adds the threads' sums (core/reduce.h, with its barriers). One block then sums the chunks
// in the same way. The order depends only on the number of rows. Bytes moved: 8 for each target and 8 for each term,
// much less than a row of logits. Mirrored by host/ops/masked_loss.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/masked_loss/loss_terms.h"

#include "kernels/core/bad_value.h"
#include "kernels/core/carve.h"
#include "kernels/core/launch.h"
#include "kernels/core/reduce.h"
#include "kernels/masked_loss/loss_chunks.h"
#include "kernels/masked_loss/masked_loss.h"
#include "varlstm.h"

namespace varlstm::cuda {

constexpr unsigned kBlock = 256;

template <class C>
VARLSTM_KERNEL void __launch_bounds__(kBlock) weigh_chunk_kernel(LossView<C> view, DeviceStatus* status) {
  const int64_t chunk = chunk_rows(view.rows);
  const int64_t begin = blockIdx.x * chunk;
  const int64_t counted = view.counted();
  const int64_t end = begin + chunk < counted ? begin + chunk : counted;
  double sum = 0;
  for (int64_t row = begin + threadIdx.x; row < end; row += kBlock) {
    const int64_t target = view.targets[row];
    if (target == view.ignore_index) continue;
    if (view.is_class(target)) {
      sum += static_cast<double>(view.weight(target));
    } else {
      flag_bad_value(status, BadValue::kLabel, row);
    }
  }
  sum = block_sum(sum, simt::shared_memory<double>());
  if (threadIdx.x == 0) view.partial[blockIdx.x] = sum;
}

template <class C>
VARLSTM_KERNEL void __launch_bounds__(kBlock) sum_chunk_kernel(LossView<C> view) {
  const int64_t chunk = chunk_rows(view.rows);
  const int64_t begin = blockIdx.x * chunk;
  const int64_t end = begin + chunk < view.rows ? begin + chunk : view.rows;
  double sum = 0;
  for (int64_t row = begin + threadIdx.x; row < end; row += kBlock) sum += view.terms[row];
  sum = block_sum(sum, simt::shared_memory<double>());
  if (threadIdx.x == 0) view.partial[blockIdx.x] = sum;
}

// Returns the sum over the chunks to every thread of the one block.
template <class C>
VARLSTM_DEVICE double sum_of_chunks(const LossView<C>& view) {
  double sum = 0;
  for (int64_t chunk = threadIdx.x; chunk < chunks_of(view.rows); chunk += kBlock) sum += view.partial[chunk];
  return block_sum(sum, simt::shared_memory<double>());
}

template <class C>
VARLSTM_KERNEL void __launch_bounds__(kBlock) total_weights_kernel(LossView<C> view) {
  const double kept = sum_of_chunks(view);
  double all = 0;
  if (view.on_each != 0) {
    for (int64_t c = threadIdx.x; c < view.classes; c += kBlock) all += static_cast<double>(view.weight(c));
  }
  all = block_sum(all, simt::shared_memory<double>());
  if (threadIdx.x != 0) return;
  view.totals[LossView<C>::kKeptWeight] = kept;
  view.totals[LossView<C>::kAllWeight] = all;
}

template <class C>
VARLSTM_KERNEL void __launch_bounds__(kBlock) total_terms_kernel(LossView<C> view, C* out, C* weight_sum) {
  const double total = sum_of_chunks(view);
  if (threadIdx.x == 0) store_reduced(view, total, out, weight_sum);
}

namespace {

LaunchShape chunk_shape(int64_t blocks) {
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(blocks));
  shape.block = dim3(kBlock);
  shape.shared_bytes = kBlock / 32 * sizeof(double);
  return shape;
}

struct Workspace {
  double *terms, *partial, *totals;
};

int64_t carve(void* base, int64_t rows, Workspace* workspace) {
  Carver carver(base);
  workspace->totals = carver.take<double>(LossView<float>::kTotals);
  workspace->partial = carver.take<double>(chunks_of(rows));
  workspace->terms = carver.take<double>(rows);
  return carver.bytes();
}

}  // namespace

int32_t loss_workspace(int64_t rows, int64_t* bytes) {
  if (rows > INT64_MAX / 64) return fail(VARLSTM_ERROR_INVALID_ARGUMENT, "the workspace's bytes do not fit 63 bits");
  Workspace workspace;
  *bytes = carve(nullptr, rows, &workspace);
  return VARLSTM_OK;
}

template <class C>
LossView<C> loss_view(const LossArgs& args) {
  Workspace workspace;
  carve(args.workspace, args.rows, &workspace);
  LossView<C> view{};
  view.rows = args.rows;
  view.classes = args.classes;
  view.ignore_index = args.ignore_index;
  view.reduction = args.reduction;
  view.empty_mean_is_zero = args.empty_mean_is_zero;
  view.on_target = static_cast<C>(1 - args.label_smoothing);
  view.on_each = static_cast<C>(args.label_smoothing / static_cast<double>(args.classes));
  view.tokens = args.batch == nullptr ? nullptr : args.batch->step_offsets + args.batch->bounds.max_len;
  view.targets = args.targets;
  view.class_weights = static_cast<const C*>(args.class_weights);
  view.terms = workspace.terms;
  view.partial = workspace.partial;
  view.totals = workspace.totals;
  return view;
}

template <class C>
int32_t sum_weights(Stream stream, const LossView<C>& view) {
  VARLSTM_CUDA_TRY(launch<weigh_chunk_kernel<C>>(stream, "weigh_chunk", chunk_shape(chunks_of(view.rows)), view,
                                                 stream.state->status));
  return launch<total_weights_kernel<C>>(stream, "total_weights", chunk_shape(1), view);
}

template <class C>
int32_t sum_terms(Stream stream, const LossView<C>& view, C* out, C* weight_sum) {
  VARLSTM_CUDA_TRY(launch<sum_chunk_kernel<C>>(stream, "sum_chunk", chunk_shape(chunks_of(view.rows)), view));
  return launch<total_terms_kernel<C>>(stream, "total_terms", chunk_shape(1), view, out, weight_sum);
}

template LossView<float> loss_view<float>(const LossArgs&);
template LossView<double> loss_view<double>(const LossArgs&);
template int32_t sum_weights<float>(Stream, const LossView<float>&);
template int32_t sum_weights<double>(Stream, const LossView<double>&);
template int32_t sum_terms<float>(Stream, const LossView<float>&, float*, float*);
template int32_t sum_terms<double>(Stream, const LossView<double>&, double*, double*);

}  // namespace varlstm::cuda
