// Sums over the rows of a loss, in double and in a fixed order.
//
// Rows are cut into chunks (loss_chunks.h). A block of kLossBlock threads sums one chunk: thread i takes rows i, i +
// kLossBlock, ... and the block adds the threads' sums (core/reduce.h, with its barriers). One block then sums the
// chunks in the same way. If there is one chunk, that block sums it too, without the launch before. The order depends
// only on the number of rows. Bytes moved: 8 for each target and 8 for each term, much less than a row of logits.
// Mirrored by host/ops/masked_loss.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/masked_loss/loss_terms.h"

#include "kernels/core/carve.h"
#include "kernels/core/launch.h"
#include "kernels/masked_loss/loss_sums.h"
#include "kernels/masked_loss/masked_loss.h"
#include "varlstm.h"

namespace varlstm::cuda {

template <class C>
VARLSTM_KERNEL void __launch_bounds__(kLossBlock) weigh_chunk_kernel(LossView<C> view, DeviceStatus* status) {
  const double sum = weight_of_chunk(view, blockIdx.x, status, simt::shared_memory<double>());
  if (threadIdx.x == 0) view.partial[blockIdx.x] = sum;
}

template <class C>
VARLSTM_KERNEL void __launch_bounds__(kLossBlock) sum_chunk_kernel(LossView<C> view) {
  const double sum = terms_of_chunk(view, blockIdx.x, simt::shared_memory<double>());
  if (threadIdx.x == 0) view.partial[blockIdx.x] = sum;
}

template <class C>
VARLSTM_KERNEL void __launch_bounds__(kLossBlock) total_weights_kernel(LossView<C> view, DeviceStatus* status) {
  double* const scratch = simt::shared_memory<double>();
  const double kept =
      is_one_chunk(view.rows) ? weight_of_chunk(view, 0, status, scratch) : sum_of_chunks(view, scratch);
  store_totals(view, kept, view.totals, scratch);
}

template <class C>
VARLSTM_KERNEL void __launch_bounds__(kLossBlock) total_terms_kernel(LossView<C> view, C* out, C* weight_sum) {
  double* const scratch = simt::shared_memory<double>();
  const double total = is_one_chunk(view.rows) ? terms_of_chunk(view, 0, scratch) : sum_of_chunks(view, scratch);
  if (threadIdx.x == 0) store_reduced(view, total, out, weight_sum);
}

namespace {

LaunchShape chunk_shape(int64_t blocks) {
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(blocks));
  shape.block = dim3(kLossBlock);
  shape.shared_bytes = kLossBlock / 32 * sizeof(double);
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
  DeviceStatus* const status = stream.state->status;
  if (!is_one_chunk(view.rows))
    VARLSTM_CUDA_TRY(
        launch<weigh_chunk_kernel<C>>(stream, "weigh_chunk", chunk_shape(chunks_of(view.rows)), view, status));
  return launch<total_weights_kernel<C>>(stream, "total_weights", chunk_shape(1), view, status);
}

template <class C>
int32_t sum_terms(Stream stream, const LossView<C>& view, C* out, C* weight_sum) {
  if (!is_one_chunk(view.rows))
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
