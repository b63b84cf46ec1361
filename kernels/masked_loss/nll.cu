// Masked negative log-likelihood of log-probabilities, like F.nll_loss of PyTorch, with label smoothing.
//
// Row n with target t, class weights w, smoothing s, log-probabilities p [rows, C]:
//   term(n)  = -sum_c a[c] * p[n, c],  a[c] = (1 - s) * w[t] * [c == t] + s / C * w[c]
//   forward  terms <- term(n) of the kept rows, 0 for the others, whatever they hold; then their sum or mean
//   backward dlog_probs[n, c] <- -a[c] * dout / (W for the mean), 0 for rows that are not kept
// Forward reads the target and one element of each row (with smoothing the whole row); backward writes rows C e bytes.
// Bound by memory. A group of threads works on each row (selection/row_group.h). Terms are in f32 (f64 for F64), their
// sum in double: loss_terms.cu. Shared memory is used only by the reductions of a block. Mirrored by
// host/ops/masked_loss.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/scalar.h"
#include "kernels/masked_loss/loss_terms.h"
#include "kernels/masked_loss/masked_loss.h"
#include "kernels/selection/row_group.h"

namespace varlstm::cuda {

template <class Group, class T>
VARLSTM_KERNEL void __launch_bounds__(kRowBlock)
    nll_terms_kernel(LossView<ComputeType<T>> view, const T* log_probs, ComputeType<T>* out) {
  using C = ComputeType<T>;
  C* scratch = simt::shared_memory<C>();
  for (int64_t base = Group::first_of_block(); base < view.rows; base += Group::step()) {
    const int64_t row = base + Group::row_in_block();
    const bool kept = row < view.rows && view.is_kept(row);
    const T* p = log_probs + row * view.classes;
    C each = 0;
    if (view.on_each != 0) {
      for (int64_t c = Group::first_class(); kept && c < view.classes; c += kRowBlock / Group::kRows)
        each += view.weight(c) * load_scalar(p[c]);
      each = Group::sum(each, scratch);
    }
    if (row >= view.rows || Group::first_class() != 0) continue;
    C term = 0;
    if (kept) {
      const int64_t target = view.targets[row];
      term = -view.on_target * view.weight(target) * load_scalar(p[target]);
      if (view.on_each != 0) term -= view.on_each * each;
    }
    view.terms[row] = static_cast<double>(term);
    if (view.reduction == Reduction::kNone) out[row] = term;
  }
}

template <class Group, class T>
VARLSTM_KERNEL void __launch_bounds__(kRowBlock)
    nll_backward_kernel(LossView<ComputeType<T>> view, const ComputeType<T>* dout, T* dlog_probs) {
  using C = ComputeType<T>;
  const C scale = view.scale();
  for (int64_t base = Group::first_of_block(); base < view.rows; base += Group::step()) {
    const int64_t row = base + Group::row_in_block();
    if (row >= view.rows) continue;
    const bool kept = view.is_kept(row) && scale != 0;
    const int64_t target = kept ? view.targets[row] : -1;
    C incoming = scale;
    if (kept && dout != nullptr) incoming *= dout[view.reduction == Reduction::kNone ? row : 0];
    for (int64_t c = Group::first_class(); c < view.classes; c += kRowBlock / Group::kRows) {
      C value = 0;
      if (kept && view.on_each != 0) value = -incoming * view.on_each * view.weight(c);
      if (c == target) value -= incoming * view.on_target * view.weight(c);
      dlog_probs[row * view.classes + c] = store_scalar<T>(value);
    }
  }
}

int32_t nll_forward(Stream stream, const LossArgs& args, const void* log_probs, void* out, void* weight_sum) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    using C = ComputeType<T>;
    const LossView<C> view = loss_view<C>(args);
    VARLSTM_CUDA_TRY(sum_weights(stream, view));
    VARLSTM_CUDA_TRY(with_row_group(view.on_each == 0 ? 1 : args.classes, [&](auto group) {
      using Group = decltype(group);
      return launch<nll_terms_kernel<Group, T>>(stream, "nll_terms",
                                                row_group_shape<Group>(stream, args.rows, sizeof(C)), view,
                                                static_cast<const T*>(log_probs), static_cast<C*>(out));
    }));
    return sum_terms(stream, view, static_cast<C*>(out), static_cast<C*>(weight_sum));
  });
}

int32_t nll_backward(Stream stream, const LossArgs& args, const void* dout, void* dlog_probs) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    using C = ComputeType<T>;
    const LossView<C> view = loss_view<C>(args);
    VARLSTM_CUDA_TRY(sum_weights(stream, view));
    return with_row_group(args.classes, [&](auto group) {
      using Group = decltype(group);
      return launch<nll_backward_kernel<Group, T>>(stream, "nll_backward",
                                                   row_group_shape<Group>(stream, args.rows, sizeof(C)), view,
                                                   static_cast<const C*>(dout), static_cast<T*>(dlog_probs));
    });
  });
}

}  // namespace varlstm::cuda
