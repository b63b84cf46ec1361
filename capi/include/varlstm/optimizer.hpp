// Part of varlstm.hpp: the optimiser's steps over one flat buffer, in float or double. The number of elements is that
// of grads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "operations.hpp"

namespace varlstm {

struct Sgd {
  double lr, momentum = 0.0, weight_decay = 0.0;
  bool nesterov = false;
};

struct Adam {
  double lr, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.0;
  bool decoupled = false;  // AdamW
};

// velocity may be {} if momentum is 0.
template <class T>
void sgd_step(const Context& ctx, const Sgd& sgd, Span<T> params, Span<const T> grads, Span<T> velocity = {},
              void* stream = nullptr) {
  const detail::Size count{"grads.size()", grads.size()};
  detail::need("params", params, {count});
  detail::need_or_empty("velocity", velocity, {count});
  check(varlstm_sgd_step(ctx.get(), dtype_of<T>(), count.value, sgd.lr, sgd.momentum, sgd.weight_decay,
                         sgd.nesterov ? 1 : 0, params.data(), grads.data(), velocity.data(), stream));
}

template <class T>
void adam_step(const Context& ctx, const Adam& adam, Span<T> params, Span<const T> grads, Span<T> m, Span<T> v,
               Span<int64_t> step, void* stream = nullptr) {
  const detail::Size count{"grads.size()", grads.size()};
  detail::need("params", params, {count});
  detail::need("m", m, {count});
  detail::need("v", v, {count});
  detail::need("step", step, {{"count", 1}});
  check(varlstm_adam_step(ctx.get(), dtype_of<T>(), count.value, adam.lr, adam.beta1, adam.beta2, adam.eps,
                          adam.weight_decay, adam.decoupled ? 1 : 0, params.data(), grads.data(), m.data(), v.data(),
                          step.data(), stream));
}

// norm is one element in the back end's memory.
template <class T>
void grad_norm(const Context& ctx, Span<const T> grads, Span<double> norm, Workspace& workspace,
               void* stream = nullptr) {
  detail::need("norm", norm, {{"count", 1}});
  detail::grow_for_op<T>(workspace, ctx, VARLSTM_OP_GRAD_NORM, grads.size(), 0, 0);
  check(varlstm_grad_norm(ctx.get(), dtype_of<T>(), grads.size(), grads.data(), norm.data(), workspace.data(),
                          workspace.bytes(), stream));
}

template <class T>
void clip_grad_norm(const Context& ctx, double max_norm, Span<T> grads, Span<double> norm, Workspace& workspace,
                    void* stream = nullptr) {
  detail::need("norm", norm, {{"count", 1}});
  detail::grow_for_op<T>(workspace, ctx, VARLSTM_OP_GRAD_NORM, grads.size(), 0, 0);
  check(varlstm_clip_grad_norm(ctx.get(), dtype_of<T>(), grads.size(), max_norm, grads.data(), norm.data(),
                               workspace.data(), workspace.bytes(), stream));
}

}  // namespace varlstm
