// Cross-entropy: log-softmax and masked NLL in one pass over the logits, and their gradient.
//
// Row n with target t, class weights w, smoothing s, x = logits[n] - max, S = sum_c exp(x[c]):
//   term(n)       = -(1 - s) w[t] (x[t] - log S) - s / C * (sum_c w[c] x[c] - log S * sum_c w[c])
//   dlogits[n, c] = scale * (A * exp(x[c]) / S - a[c]),  a[c] = (1 - s) w[t] [c == t] + s / C * w[c],  A = sum_c a[c]
// with scale 1, or 1 / W for the mean. Rows that are not kept are not read: their term and gradient are exactly 0.
// dlogits may be the logits: a thread writes only what no other thread reads, and the target's logit is passed on by a
// sum over the group. Pass 1 over the row computes maximum, S and the target's logit; pass 2 computes the gradient.
// Bytes from memory: rows C e read, and rows C e written if dlogits is requested, as long as the rows being worked on
// fit in the caches (see log_softmax.cu). Bound by memory. A group of threads works on each row
// (selection/row_group.h). Shared memory is used only by the reductions of a block, with their barriers. Rows are in
// f32 (f64 for F64); the sum over rows is in double: loss_terms.cu. If the rows are one chunk of its sums, each block
// weighs all rows for itself (8 bytes a row, from the caches) instead of waiting for a launch that does it once; block
// 0 stores the totals for the launch after. Mirrored by host/ops/masked_loss.h.
//   S1: after it the totals are in shared memory.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/rows.h"
#include "kernels/masked_loss/loss_row.h"
#include "kernels/masked_loss/loss_sums.h"
#include "kernels/masked_loss/masked_loss.h"
#include "varlstm.h"

namespace varlstm::cuda {

static_assert(kLossBlock == kRowBlock, "a block that works on rows can sum over them");

template <class C>
struct CrossEntropyShared {
  double totals[LossView<C>::kTotals];
  double sums[kLossBlock / 32];
  C rows[kRowBlock / 32];
};

// The view with totals in shared memory.
template <class C>
VARLSTM_DEVICE LossView<C> weighed_view(LossView<C> view, DeviceStatus* status, CrossEntropyShared<C>& shared) {
  const bool stores = blockIdx.x == 0;
  const double kept = weight_of_chunk(view, 0, stores ? status : nullptr, shared.sums);
  store_totals(view, kept, shared.totals, shared.sums);
  simt::block_sync();  // S1
  if (stores && threadIdx.x < LossView<C>::kTotals) view.totals[threadIdx.x] = shared.totals[threadIdx.x];
  view.totals = shared.totals;
  return view;
}

template <class Group, class T>
VARLSTM_KERNEL void __launch_bounds__(kRowBlock)
    cross_entropy_kernel(LossView<ComputeType<T>> given, const T* logits, ComputeType<T>* out, T* dlogits,
                         DeviceStatus* status) {
  using C = ComputeType<T>;
  constexpr int64_t kStep = kRowBlock / Group::kRows;
  auto& shared = *simt::shared_memory<CrossEntropyShared<C>>();
  C* const scratch = shared.rows;
  const LossView<C> view = is_one_chunk(given.rows) ? weighed_view(given, status, shared) : given;
  const C scale = view.scale();
#pragma unroll 1
  for (int64_t base = Group::first_of_block(); base < view.rows; base += Group::step()) {
    const int64_t row = base + Group::row_in_block();
    const bool kept = row < view.rows && view.is_kept(row);
    const int64_t target = kept ? view.targets[row] : -1;
    const int64_t count = kept ? view.classes : 0;
    const T* in = logits + row * view.classes;

    const LossRow<C> loss = read_loss_row<Group>(view, in, count, target, scratch);
    const C on_target = kept ? view.on_target * view.weight(target) : C(0);
    if (row < view.rows && Group::first_class() == 0) {
      const C term = kept ? loss.term(view, on_target, log(loss.softmax.sum)) : C(0);
      view.terms[row] = static_cast<double>(term);
      if (view.reduction == Reduction::kNone) out[row] = term;
    }
    if (dlogits == nullptr || row >= view.rows) continue;
    const C factor = scale * (on_target + view.on_each * view.all_weight()) / loss.softmax.sum;
#pragma unroll 1
    for (int64_t c = Group::first_class(); c < view.classes; c += kStep) {
      C value = 0;
      if (kept && scale != 0) {
        value = exp(load_scalar(in[c]) - loss.softmax.largest) * factor;
        if (view.on_each != 0) value -= scale * view.on_each * view.weight(c);
        if (c == target) value -= scale * on_target;
      }
      dlogits[row * view.classes + c] = store_scalar<T>(value);
    }
  }
}

// A zero stays zero even if dout is NaN or infinite, because masked rows hold zeros.
template <class T>
VARLSTM_KERNEL void scale_rows_kernel(int64_t rows, int64_t classes, bool one_for_each_row, const ComputeType<T>* dout,
                                      T* dlogits) {
  using C = ComputeType<T>;
  const RowThread thread = row_thread();
  for (int64_t row = thread.row; row < rows; row += thread.row_step) {
    const C incoming = dout[one_for_each_row ? row : 0];
    for (int64_t c = thread.first_word; c < classes; c += thread.word_step) {
      const C value = load_scalar(dlogits[row * classes + c]);
      dlogits[row * classes + c] = store_scalar<T>(value == 0 ? C(0) : value * incoming);
    }
  }
}

int32_t cross_entropy_forward(Stream stream, const LossArgs& args, const void* logits, void* out, void* weight_sum,
                              void* dlogits) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    using C = ComputeType<T>;
    const LossView<C> view = loss_view<C>(args);
    if (args.rows == 0 || !is_one_chunk(args.rows)) VARLSTM_CUDA_TRY(sum_weights(stream, view));
    VARLSTM_CUDA_TRY(with_row_group(args.classes, [&](auto group) {
      using Group = decltype(group);
      LaunchShape shape = row_group_shape<Group>(stream, args.rows, 0);
      shape.shared_bytes = sizeof(CrossEntropyShared<C>);
      return launch<cross_entropy_kernel<Group, T>>(stream, "cross_entropy", shape, view, static_cast<const T*>(logits),
                                                    static_cast<C*>(out), static_cast<T*>(dlogits),
                                                    stream.state->status);
    }));
    return sum_terms(stream, view, static_cast<C*>(out), static_cast<C*>(weight_sum));
  });
}

int32_t cross_entropy_backward(Stream stream, const LossArgs& args, const void* dout, void* dlogits) {
  if (dout == nullptr || args.rows == 0) return VARLSTM_OK;
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    return launch<scale_rows_kernel<T>>(stream, "scale_rows", row_shape(stream, args.rows, args.classes), args.rows,
                                        args.classes, args.reduction == Reduction::kNone,
                                        static_cast<const ComputeType<T>*>(dout), static_cast<T*>(dlogits));
  });
}

}  // namespace varlstm::cuda
