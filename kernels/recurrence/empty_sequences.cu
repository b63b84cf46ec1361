// A sequence without a token passes its input state on unchanged, and no recurrence sees it.
//
//   to[b, u] = from[b, u]   (0 if from is null)   for every b with lengths[b] = 0; [B, H] in the caller's order
//
// Forward passes h0 to h_n and c0 to c_n; backward passes dh_n to dh0 and dc_n to dc0. One launch does both directions,
// or all stacked layers. Each element is copied by one thread of a grid-stride loop. Mirrored by
// host/rnn/rnn_forward.h (store_final_states) and host/rnn/rnn_backward.h (store_initial_gradients).
// SPDX-License-Identifier: Apache-2.0
#include "kernels/recurrence/empty_sequences.h"

#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "varlstm.h"

namespace varlstm::cuda {

template <class T>
VARLSTM_KERNEL void empty_sequences_kernel(BatchPlan plan, int64_t hidden, EmptyStates<T> states) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < plan.batch * hidden; k += stride) {
    if (plan.lengths[k / hidden] > 0) continue;
    for (int pair = 0; pair < states.count; ++pair) {
      const StatePair<T>& p = states.pairs[pair];
      if (p.to != nullptr) p.to[k] = p.from == nullptr ? store_scalar<T>(0) : p.from[k];
    }
  }
}

template <class T>
int32_t pass_empty_sequences(Stream stream, const BatchPlan& plan, int64_t hidden, const EmptyStates<T>& states) {
  bool wanted = false;
  for (int pair = 0; pair < states.count; ++pair) wanted = wanted || states.pairs[pair].to != nullptr;
  if (!wanted) return VARLSTM_OK;
  return launch<empty_sequences_kernel<T>>(stream, "empty_sequences", elementwise_shape(stream, plan.batch * hidden),
                                           plan, hidden, states);
}

template int32_t pass_empty_sequences(Stream, const BatchPlan&, int64_t, const EmptyStates<float>&);
template int32_t pass_empty_sequences(Stream, const BatchPlan&, int64_t, const EmptyStates<Bf16>&);
template int32_t pass_empty_sequences(Stream, const BatchPlan&, int64_t, const EmptyStates<F16>&);

}  // namespace varlstm::cuda
