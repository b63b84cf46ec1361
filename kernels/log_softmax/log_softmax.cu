// Log-softmax along each row.
//
//   forward   y [rows, C] <- (x - max) - log(sum_c exp(x - max))
//   backward  dx <- dy - exp(y) * sum_c dy
//
// In place (y = x, dx = dy) is allowed: a thread writes only what no other thread reads. A group of threads works on
// each row (selection/row_group.h): pass 1 reads the row for maximum and sum together, pass 2 reads it again and
// writes. If the rows being worked on fit in the caches (about 50 MB on a large GPU), the second read comes from there,
// and the bytes from memory are 2 rows C e forward and 3 rows C e backward; otherwise they are rows C e more. Bound by
// memory. Shared memory: one scalar for each warp, used only by the reductions of a block, whose barriers are in
// core/reduce.h. Sums are in f32 (f64 for F64), in an order that depends only on C and the policy. Mirrored by
// host/ops/log_softmax.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/log_softmax/log_softmax.h"

#include <math.h>

#include "kernels/core/scalar.h"
#include "kernels/selection/row_group.h"
#include "varlstm.h"

namespace varlstm::cuda {

template <class Group, class T>
VARLSTM_KERNEL void __launch_bounds__(kRowBlock)
    log_softmax_forward_kernel(int64_t rows, int64_t classes, const T* x, T* y) {
  using C = ComputeType<T>;
  C* scratch = simt::shared_memory<C>();
  constexpr int64_t kStep = kRowBlock / Group::kRows;
  for (int64_t base = Group::first_of_block(); base < rows; base += Group::step()) {
    const int64_t row = base + Group::row_in_block();
    const int64_t count = row < rows ? classes : 0;
    const T* in = x + row * classes;
    T* out = y + row * classes;
    SoftmaxSum<C> softmax;
    for (int64_t c = Group::first_class(); c < count; c += kStep) softmax.add(load_scalar(in[c]));
    softmax.template join<Group>(scratch);
    const C log_sum = log(softmax.sum);
    for (int64_t c = Group::first_class(); c < count; c += kStep)
      out[c] = store_scalar<T>((load_scalar(in[c]) - softmax.largest) - log_sum);
  }
}

template <class Group, class T>
VARLSTM_KERNEL void __launch_bounds__(kRowBlock)
    log_softmax_backward_kernel(int64_t rows, int64_t classes, const T* y, const T* dy, T* dx) {
  using C = ComputeType<T>;
  C* scratch = simt::shared_memory<C>();
  constexpr int64_t kStep = kRowBlock / Group::kRows;
  for (int64_t base = Group::first_of_block(); base < rows; base += Group::step()) {
    const int64_t row = base + Group::row_in_block();
    const int64_t count = row < rows ? classes : 0;
    const int64_t offset = row * classes;
    C sum = 0;
    for (int64_t c = Group::first_class(); c < count; c += kStep) sum += load_scalar(dy[offset + c]);
    sum = Group::sum(sum, scratch);
    for (int64_t c = Group::first_class(); c < count; c += kStep)
      dx[offset + c] = store_scalar<T>(load_scalar(dy[offset + c]) - exp(load_scalar(y[offset + c])) * sum);
  }
}

int32_t log_softmax_forward(Stream stream, DType dtype, int64_t rows, int64_t classes, const void* x, void* y) {
  if (rows == 0) return VARLSTM_OK;
  return with_scalar(dtype, [&](auto scalar) {
    using T = decltype(scalar);
    return with_row_group(classes, [&](auto group) {
      using Group = decltype(group);
      return launch<log_softmax_forward_kernel<Group, T>>(stream, "log_softmax_forward",
                                                          row_group_shape<Group>(stream, rows, sizeof(ComputeType<T>)),
                                                          rows, classes, static_cast<const T*>(x), static_cast<T*>(y));
    });
  });
}

int32_t log_softmax_backward(Stream stream, DType dtype, int64_t rows, int64_t classes, const void* y, const void* dy,
                             void* dx) {
  if (rows == 0) return VARLSTM_OK;
  return with_scalar(dtype, [&](auto scalar) {
    using T = decltype(scalar);
    return with_row_group(classes, [&](auto group) {
      using Group = decltype(group);
      return launch<log_softmax_backward_kernel<Group, T>>(
          stream, "log_softmax_backward", row_group_shape<Group>(stream, rows, sizeof(ComputeType<T>)), rows, classes,
          static_cast<const T*>(y), static_cast<const T*>(dy), static_cast<T*>(dx));
    });
  });
}

}  // namespace varlstm::cuda
