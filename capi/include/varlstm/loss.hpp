// Part of varlstm.hpp: masked negative log-likelihood and cross-entropy.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "operations.hpp"

namespace varlstm {

// T is the dtype of log_probs, logits and their gradients; out, weight_sum, class_weights, lse and dout are Real. If
// `batch` is not NULL, only its first N rows count.
template <class T>
class Loss {
 public:
  using Real = std::conditional_t<std::is_same_v<T, double>, double, float>;

  Loss(const Context& ctx, int64_t classes) {
    varlstm_loss* loss = nullptr;
    check(varlstm_loss_create(ctx.get(), classes, &loss));
    loss_ = Handle(loss, {ctx.share()});
  }

  varlstm_loss* get() const { return loss_.get(); }

  void set_i64(int32_t key, int64_t value) { check(varlstm_loss_set_i64(get(), key, value)); }
  void set_f64(int32_t key, double value) { check(varlstm_loss_set_f64(get(), key, value)); }
  int64_t get_i64(int32_t key) const {
    int64_t value = 0;
    check(varlstm_loss_get_i64(get(), key, &value));
    return value;
  }
  double get_f64(int32_t key) const {
    double value = 0.0;
    check(varlstm_loss_get_f64(get(), key, &value));
    return value;
  }

  void nll_forward(const Batch* batch, int64_t rows, Span<const T> log_probs, Span<const int64_t> targets,
                   Span<const Real> class_weights, Span<Real> out, Span<Real> weight_sum, Workspace& workspace,
                   void* stream = nullptr) const {
    need_classes("log_probs", log_probs, rows);
    need_targets(rows, targets, class_weights);
    need_out(rows, out, weight_sum);
    grow(workspace, VARLSTM_OP_NLL, rows, classes(), 0);
    check(varlstm_nll_forward(get(), handle(batch), dtype_of<T>(), rows, log_probs.data(), targets.data(),
                              class_weights.data(), out.data(), weight_sum.data(), workspace.data(), workspace.bytes(),
                              stream));
  }

  void nll_backward(const Batch* batch, int64_t rows, Span<const int64_t> targets, Span<const Real> class_weights,
                    Span<const Real> dout, Span<T> dlog_probs, Workspace& workspace, void* stream = nullptr) const {
    need_targets(rows, targets, class_weights);
    detail::need_or_empty("dout", dout, {out_size(rows)});
    need_classes("dlog_probs", dlog_probs, rows);
    grow(workspace, VARLSTM_OP_NLL, rows, classes(), 0);
    check(varlstm_nll_backward(get(), handle(batch), dtype_of<T>(), rows, targets.data(), class_weights.data(),
                               dout.data(), dlog_probs.data(), workspace.data(), workspace.bytes(), stream));
  }

  void cross_entropy_forward(const Batch* batch, int64_t rows, Span<const T> logits, Span<const int64_t> targets,
                             Span<const Real> class_weights, Span<Real> out, Span<Real> weight_sum, Span<T> dlogits,
                             Workspace& workspace, void* stream = nullptr) const {
    need_classes("logits", logits, rows);
    need_targets(rows, targets, class_weights);
    need_out(rows, out, weight_sum);
    if (!dlogits.empty()) need_classes("dlogits", dlogits, rows);
    grow(workspace, VARLSTM_OP_CROSS_ENTROPY, rows, classes(), 0);
    check(varlstm_cross_entropy_forward(get(), handle(batch), dtype_of<T>(), rows, logits.data(), targets.data(),
                                        class_weights.data(), out.data(), weight_sum.data(), dlogits.data(),
                                        workspace.data(), workspace.bytes(), stream));
  }

  void cross_entropy_backward(int64_t rows, Span<const Real> dout, Span<T> dlogits, void* stream = nullptr) const {
    detail::need_or_empty("dout", dout, {out_size(rows)});
    need_classes("dlogits", dlogits, rows);
    check(varlstm_cross_entropy_backward(get(), dtype_of<T>(), rows, dout.data(), dlogits.data(), stream));
  }

  void linear_cross_entropy_forward(const Batch* batch, int64_t rows, int64_t in, Span<const T> x, Span<const T> weight,
                                    Span<const T> bias, Span<const int64_t> targets, Span<const Real> class_weights,
                                    Span<Real> out, Span<Real> weight_sum, Span<Real> lse, Workspace& workspace,
                                    void* stream = nullptr) const {
    need_linear(rows, in, x, weight, bias);
    need_targets(rows, targets, class_weights);
    need_out(rows, out, weight_sum);
    detail::need_or_empty("lse", lse, {{"rows", rows}});
    grow(workspace, VARLSTM_OP_LINEAR_CROSS_ENTROPY_FORWARD, rows, in, classes());
    check(varlstm_linear_cross_entropy_forward(
        get(), handle(batch), dtype_of<T>(), rows, in, x.data(), weight.data(), bias.data(), targets.data(),
        class_weights.data(), out.data(), weight_sum.data(), lse.data(), workspace.data(), workspace.bytes(), stream));
  }

  void linear_cross_entropy_backward(const Batch* batch, int64_t rows, int64_t in, Span<const T> x,
                                     Span<const T> weight, Span<const T> bias, Span<const int64_t> targets,
                                     Span<const Real> class_weights, Span<const Real> lse, Span<const Real> dout,
                                     Span<T> dx, Span<T> dweight, Span<T> dbias, Workspace& workspace,
                                     void* stream = nullptr) const {
    need_linear(rows, in, x, weight, bias);
    need_targets(rows, targets, class_weights);
    detail::need("lse", lse, {{"rows", rows}});
    detail::need_or_empty("dout", dout, {out_size(rows)});
    detail::need_or_empty("dx", dx, {{"rows", rows}, {"in", in}});
    detail::need_or_empty("dweight", dweight, {{"classes", classes()}, {"in", in}});
    detail::need_or_empty("dbias", dbias, {{"classes", classes()}});
    grow(workspace, VARLSTM_OP_LINEAR_CROSS_ENTROPY_BACKWARD, rows, in, classes());
    check(varlstm_linear_cross_entropy_backward(get(), handle(batch), dtype_of<T>(), rows, in, x.data(), weight.data(),
                                                bias.data(), targets.data(), class_weights.data(), lse.data(),
                                                dout.data(), dx.data(), dweight.data(), dbias.data(), workspace.data(),
                                                workspace.bytes(), stream));
  }

 private:
  using Handle = detail::Handle<varlstm_loss, varlstm_loss_destroy>;
  static const varlstm_batch* handle(const Batch* batch) { return batch == nullptr ? nullptr : batch->get(); }

  int64_t classes() const { return get_i64(VARLSTM_KEY_CLASSES); }
  detail::Size out_size(int64_t rows) const {
    const bool row_by_row = get_i64(VARLSTM_KEY_REDUCTION) == VARLSTM_REDUCTION_NONE;
    return row_by_row ? detail::Size{"rows", rows} : detail::Size{"count", 1};
  }
  template <class U>
  void need_classes(const char* name, Span<U> span, int64_t rows) const {
    detail::need(name, span, {{"rows", rows}, {"classes", classes()}});
  }
  void need_targets(int64_t rows, Span<const int64_t> targets, Span<const Real> class_weights) const {
    detail::need("targets", targets, {{"rows", rows}});
    detail::need_or_empty("class_weights", class_weights, {{"classes", classes()}});
  }
  void need_out(int64_t rows, Span<Real> out, Span<Real> weight_sum) const {
    detail::need("out", out, {out_size(rows)});
    detail::need_or_empty("weight_sum", weight_sum, {{"count", 1}});
  }
  void need_linear(int64_t rows, int64_t in, Span<const T> x, Span<const T> weight, Span<const T> bias) const {
    detail::need("x", x, {{"rows", rows}, {"in", in}});
    detail::need("weight", weight, {{"classes", classes()}, {"in", in}});
    detail::need_or_empty("bias", bias, {{"classes", classes()}});
  }
  void grow(Workspace& workspace, int32_t op, int64_t rows, int64_t a, int64_t b) const {
    detail::grow_for_op<T>(workspace, Context(loss_.get_deleter().ctx), op, rows, a, b);
  }

  Handle loss_;
};

}  // namespace varlstm
