// Cross-entropy over the kept rows of a chunk, whose logits are stored together; forward and backward are separate.
//
// Kept row k of the chunk, row n of the call, target t, class weights w, smoothing s:
//   forward   term(n) as in masked_loss/cross_entropy.cu; lse[n] = max + log(sum_c exp(logits[k, c] - max))
//             sum += terms of the chunk; after the last chunk the sum or mean, as in masked_loss/loss_terms.cu
//   backward  dlogits[k, c] <- g (A * exp(logits[k, c] - lse[n]) - a[c]),  g = dout[n] * scale,
//             a[c] = (1 - s) w[t] [c == t] + s / C * w[c],  A = sum_c a[c]
// logits [chunk, C] are in F32 (F64 for F64); dlogits are in the dtype, and overwrite the logits except for 16 bits: a
// thread writes only what no other thread reads. A group of threads works on each row (selection/row_group.h), and rows
// from *count on are skipped. Forward reads a row once (twice with smoothing); backward reads and writes it. Bound by
// memory, and mostly by the caches, because the product has just written the chunk. Shared memory is used only by the
// reductions of a block, with their barriers.
// One block sums the terms of a chunk: thread i takes terms i, i + kSumBlock, ..., the threads' sums are added as in
// core/reduce.h, and the result is added to the sum in double, chunk after chunk. This is bit-identical from run to
// run. Mirrored by host/ops/linear_cross_entropy.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear_cross_entropy/chunk_view.h"
#include "kernels/masked_loss/loss_row.h"

namespace varlstm::cuda {

constexpr unsigned kSumBlock = 256;

template <class Group, class C>
VARLSTM_KERNEL void __launch_bounds__(kRowBlock)
    chunk_terms_kernel(LossView<C> view, RowChunk chunk, const int64_t* count, const int64_t* kept, const C* logits,
                       C* out, C* lse) {
  C* scratch = simt::shared_memory<C>();
  const int64_t rows = *count;
#pragma unroll 1
  for (int64_t base = Group::first_of_block(); base < rows; base += Group::step()) {
    const int64_t k = base + Group::row_in_block();
    const int64_t row = k < rows ? chunk.begin + kept[k] : 0;
    const int64_t target = k < rows ? view.targets[row] : -1;
    const LossRow<C> loss =
        read_loss_row<Group>(view, logits + k * view.classes, k < rows ? view.classes : 0, target, scratch);
    if (k >= rows || Group::first_class() != 0) continue;
    const C log_sum = log(loss.softmax.sum);
    const C term = loss.term(view, view.on_target * view.weight(target), log_sum);
    view.terms[k] = static_cast<double>(term);
    if (view.reduction == Reduction::kNone) out[row] = term;
    if (lse != nullptr) lse[row] = loss.softmax.largest + log_sum;
  }
}

template <class C>
VARLSTM_KERNEL void __launch_bounds__(kSumBlock)
    add_terms_kernel(LossView<C> view, RowChunk chunk, const int64_t* count, double* sum, C* out, C* weight_sum) {
  double own = 0;
  for (int64_t k = threadIdx.x; k < *count; k += kSumBlock) own += view.terms[k];
  const double terms = block_sum(own, simt::shared_memory<double>());
  if (threadIdx.x != 0) return;
  const double total = chunk.begin == 0 ? terms : *sum + terms;
  *sum = total;
  if (chunk.begin + chunk.rows == view.rows) store_reduced(view, total, out, weight_sum);
}

template <class Group, class T>
VARLSTM_KERNEL void __launch_bounds__(kRowBlock)
    chunk_gradient_kernel(LossView<ComputeType<T>> view, RowChunk chunk, const int64_t* count, const int64_t* kept,
                          const ComputeType<T>* lse, const ComputeType<T>* dout, const ComputeType<T>* logits,
                          T* dlogits) {
  using C = ComputeType<T>;
  constexpr int64_t kStep = kRowBlock / Group::kRows;
  const C scale = view.scale();
  const int64_t rows = *count;
#pragma unroll 1
  for (int64_t k = Group::first_of_block() + Group::row_in_block(); k < rows; k += Group::step()) {
    const int64_t row = chunk.begin + kept[k];
    const int64_t target = view.targets[row];
    const C incoming = dout == nullptr ? scale : scale * dout[view.reduction == Reduction::kNone ? row : 0];
    const C at_target = incoming * view.on_target * view.weight(target);
    const C factor = at_target + incoming * view.on_each * view.all_weight();
    const C log_sum = lse[row];
#pragma unroll 1
    for (int64_t c = Group::first_class(); c < view.classes; c += kStep) {
      C value = exp(logits[k * view.classes + c] - log_sum) * factor;
      if (view.on_each != 0) value -= incoming * view.on_each * view.weight(c);
      if (c == target) value -= at_target;
      dlogits[k * view.classes + c] = store_scalar<T>(value);
    }
  }
}

int32_t weigh_rows(Stream stream, const LossArgs& args, const ChunkScratch& scratch) {
  return with_scalar(args.dtype, [&](auto scalar) {
    return sum_weights(stream, chunk_view<ComputeType<decltype(scalar)>>(args, scratch));
  });
}

int32_t chunk_forward(Stream stream, const LossArgs& args, const ChunkScratch& scratch, RowChunk chunk, void* out,
                      void* weight_sum, void* lse) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using C = ComputeType<decltype(scalar)>;
    const LossView<C> view = chunk_view<C>(args, scratch);
    VARLSTM_CUDA_TRY(with_row_group(args.classes, [&](auto group) {
      using Group = decltype(group);
      return launch<chunk_terms_kernel<Group, C>>(
          stream, "chunk_terms", row_group_shape<Group>(stream, chunk.rows, sizeof(C)), view, chunk, scratch.count,
          scratch.kept, static_cast<const C*>(scratch.logits), static_cast<C*>(out), static_cast<C*>(lse));
    }));
    LaunchShape shape;
    shape.grid = dim3(1);
    shape.block = dim3(kSumBlock);
    shape.shared_bytes = kSumBlock / 32 * sizeof(double);
    return launch<add_terms_kernel<C>>(stream, "add_terms", shape, view, chunk, scratch.count, scratch.sum,
                                       static_cast<C*>(out), static_cast<C*>(weight_sum));
  });
}

int32_t chunk_gradient(Stream stream, const LossArgs& args, const ChunkScratch& scratch, RowChunk chunk,
                       const void* lse, const void* dout) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    using C = ComputeType<T>;
    return with_row_group(args.classes, [&](auto group) {
      using Group = decltype(group);
      return launch<chunk_gradient_kernel<Group, T>>(
          stream, "chunk_gradient", row_group_shape<Group>(stream, chunk.rows, 0), chunk_view<C>(args, scratch), chunk,
          scratch.count, scratch.kept, static_cast<const C*>(lse), static_cast<const C*>(dout),
          static_cast<const C*>(scratch.logits), static_cast<T*>(scratch.dlogits));
    });
  });
}

}  // namespace varlstm::cuda
