// SPDX-License-Identifier: Apache-2.0
#include "host/rnn/rnn.h"

#include "host/rnn/layer_norm.h"
#include "host/rnn/prepared_weights.h"
#include "host/rnn/rnn_16bit.h"
#include "host/rnn/rnn_backward.h"
#include "host/rnn/rnn_forward.h"
#include "host/rnn/rnn_import.h"
#include "host/rnn/rnn_layout.h"
#include "host/rnn/rnn_options.h"
#include "host/rnn/rnn_step.h"

namespace varlstm::host {

template <class T>
RnnSizes rnn_sizes(const RnnShape& shape, const BatchBounds& bounds, bool save) {
  const BatchSize size = largest_size(shape, bounds);
  Carver forward(nullptr), backward(nullptr), reserve(nullptr);
  const ForwardWorkspace<T> forward_workspace(shape, size, save, forward);
  const OptionWorkspace<T> forward_options(shape, size, false, forward);
  const NormWorkspace<T> forward_norm(shape, size, save, false, forward);
  if (!save) return {forward.bytes(), 0};
  const BackwardWorkspace<T> backward_workspace(shape, size, backward);
  const OptionWorkspace<T> backward_options(shape, size, true, backward);
  const NormWorkspace<T> backward_norm(shape, size, true, true, backward);
  const Reserve<T> reserve_layout(shape, size, reserve);
  const NormReserve<T> norm_reserve(shape, size, reserve);
  return {forward.bytes() > backward.bytes() ? forward.bytes() : backward.bytes(), reserve.bytes()};
}

template <class T>
void rnn_import(const RnnImportArgs& args) {
  import_params<T>(args);
}

template <class T>
int64_t rnn_prepared_size(const RnnShape& shape, bool save) {
  if constexpr (kIs16Bit<T>)
    return prepared_bytes_16bit(shape, save);
  else
    return prepared_bytes<T>(shape, save);
}

template <class T>
void rnn_prepare(int64_t threads, const RnnShape& shape, const void* params, const PreparedRnn& prepared) {
  if constexpr (kIs16Bit<T>)
    prepare_16bit(threads, shape, static_cast<const T*>(params), prepared);
  else
    prepare_weights(threads, shape, static_cast<const T*>(params), prepared);
}

template <class T>
void rnn_forward(int64_t threads, const RnnForwardArgs& args, const PreparedRnn& prepared) {
  RnnForward<T>(threads, args, prepared).run();
}

template <class T>
bool rnn_backward(int64_t threads, const RnnBackwardArgs& args, const PreparedRnn& prepared) {
  return RnnBackward<T>(threads, args, prepared).run();
}

template <class T>
int64_t rnn_step_size(const RnnShape& shape, int64_t streams, int64_t table_slots) {
  return rnn_step_bytes<T>(shape, streams, table_slots);
}

template <class T>
int64_t rnn_step(int64_t threads, const RnnStepArgs& args, const PreparedRnn& prepared) {
  return RnnStep<T>(args, prepared).run(threads);
}

template RnnSizes rnn_sizes<float>(const RnnShape&, const BatchBounds&, bool);
template RnnSizes rnn_sizes<double>(const RnnShape&, const BatchBounds&, bool);
template void rnn_import<float>(const RnnImportArgs&);
template void rnn_import<double>(const RnnImportArgs&);
template void rnn_import<Bf16>(const RnnImportArgs&);
template void rnn_import<F16>(const RnnImportArgs&);
template void rnn_forward<float>(int64_t, const RnnForwardArgs&, const PreparedRnn&);
template void rnn_forward<double>(int64_t, const RnnForwardArgs&, const PreparedRnn&);
template bool rnn_backward<float>(int64_t, const RnnBackwardArgs&, const PreparedRnn&);
template bool rnn_backward<double>(int64_t, const RnnBackwardArgs&, const PreparedRnn&);

#define VARLSTM_INSTANTIATE(T)                                                             \
  template int64_t rnn_prepared_size<T>(const RnnShape&, bool);                            \
  template void rnn_prepare<T>(int64_t, const RnnShape&, const void*, const PreparedRnn&); \
  template int64_t rnn_step_size<T>(const RnnShape&, int64_t, int64_t);                    \
  template int64_t rnn_step<T>(int64_t, const RnnStepArgs&, const PreparedRnn&)
VARLSTM_INSTANTIATE(float);
VARLSTM_INSTANTIATE(double);
VARLSTM_INSTANTIATE(Bf16);
VARLSTM_INSTANTIATE(F16);
#undef VARLSTM_INSTANTIATE

template <>
RnnSizes rnn_sizes<Bf16>(const RnnShape& shape, const BatchBounds& bounds, bool save) {
  return rnn_sizes_16bit(shape, bounds, save);
}
template <>
RnnSizes rnn_sizes<F16>(const RnnShape& shape, const BatchBounds& bounds, bool save) {
  return rnn_sizes_16bit(shape, bounds, save);
}
template <>
void rnn_forward<Bf16>(int64_t threads, const RnnForwardArgs& args, const PreparedRnn& prepared) {
  rnn_forward_16bit<Bf16>(threads, args, prepared);
}
template <>
void rnn_forward<F16>(int64_t threads, const RnnForwardArgs& args, const PreparedRnn& prepared) {
  rnn_forward_16bit<F16>(threads, args, prepared);
}
template <>
bool rnn_backward<Bf16>(int64_t threads, const RnnBackwardArgs& args, const PreparedRnn& prepared) {
  return rnn_backward_16bit<Bf16>(threads, args, prepared);
}
template <>
bool rnn_backward<F16>(int64_t threads, const RnnBackwardArgs& args, const PreparedRnn& prepared) {
  return rnn_backward_16bit<F16>(threads, args, prepared);
}

}  // namespace varlstm::host
