// The recurrent network for the 16-bit dtypes: every tensor is converted to floats in the workspace, the network runs
// in float and rounds its states and gate gradients wherever the kernels store them, and the results are rounded.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "host/rnn/prepared_weights.h"
#include "host/rnn/rnn_backward.h"
#include "host/rnn/rnn_forward.h"
#include "host/rnn/rnn_layout.h"
#include "host/simd/scalar16.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

// Hands out float copies of one call's tensors, and rounds results back.
template <class T>
class WideTensors {
 public:
  WideTensors(int64_t threads, const RnnShape& shape, const BatchSize& size, Carver& carver)
      : threads_(threads),
        carver_(carver),
        params_(param_elements(shape)),
        input_(size.tokens * shape.input),
        output_(size.tokens * shape.directions * state_width(shape)),
        states_(shape.layers * shape.directions * size.batch * state_width(shape)),
        cell_states_(shape.layers * shape.directions * size.batch * shape.hidden),
        token_cell_states_(size.tokens * shape.directions * shape.hidden) {}

  int64_t params() const { return params_; }
  int64_t input() const { return input_; }
  int64_t output() const { return output_; }
  int64_t states() const { return states_; }            // of h
  int64_t cell_states() const { return cell_states_; }  // of c
  int64_t token_cell_states() const { return token_cell_states_; }

  // `count` floats, or null if `tensor` is null.
  float* room(const void* tensor, int64_t count) { return tensor == nullptr ? nullptr : carver_.take<float>(count); }

  // A copy of `tensor` in float, or null.
  const float* widened(const void* tensor, int64_t count) {
    float* const wide = room(tensor, count);
    if (wide != nullptr) convert_all(count, static_cast<const T*>(tensor), wide);
    return wide;
  }

  void narrow(int64_t count, const void* wide, void* tensor) const {
    if (tensor != nullptr) convert_all(count, static_cast<const float*>(wide), static_cast<T*>(tensor));
  }

 private:
  template <class From, class To>
  void convert_all(int64_t count, const From* src, To* dst) const {
    constexpr int64_t kGrain = 16384;
    parallel_ranges(count < kThreadedWork ? 1 : threads_, count, kGrain,
                    [&](int64_t begin, int64_t end) { convert(end - begin, src + begin, dst + begin); });
  }

  const int64_t threads_;
  Carver& carver_;
  int64_t params_, input_, output_, states_, cell_states_, token_cell_states_;  // elements
};

// Forward copies params, x, h0, c0, y, h_n, c_n, c. Backward copies params, x, h0, c0, y, dy, dh_n, dc_n, dc, dx, dh0,
// dc0 and dparams. A cell without c has half of the states.
inline RnnSizes rnn_sizes_16bit(const RnnShape& shape, const BatchBounds& bounds, bool save) {
  RnnSizes sizes = rnn_sizes<float>(shape, bounds, save);
  Carver carver(nullptr);
  const int64_t copies = save ? 2 : 1;
  for (int64_t k = 0; k < copies; ++k) {
    carver.take<float>(param_elements(shape));
    carver.take<float>(bounds.max_tokens, shape.input);
    carver.take<float>(bounds.max_tokens, shape.directions * state_width(shape));
  }
  const int64_t entries = shape.layers * shape.directions;
  for (int64_t k = 0; k < (save ? 3 : 2); ++k) {
    carver.take<float>(bounds.max_batch, entries, state_width(shape));
    if (kCellTraits[shape.cell].has_c) carver.take<float>(bounds.max_batch, entries, shape.hidden);
  }
  if (shape.cell_states) carver.take<float>(bounds.max_tokens, shape.directions * shape.hidden);
  if (__builtin_add_overflow(sizes.workspace_bytes, carver.bytes(), &sizes.workspace_bytes))
    sizes.workspace_bytes = INT64_MAX;
  return sizes;
}

template <class T>
void rnn_forward_16bit(int64_t threads, const RnnForwardArgs& args, const PreparedRnn& prepared) {
  const PreparedFloats floats(args.shape, prepared);
  Carver carver(args.workspace);
  WideTensors<T> tensors(threads, args.shape, size_of(*args.batch), carver);
  RnnForwardArgs wide = args;
  wide.params = floats.params != nullptr ? floats.params : tensors.widened(args.params, tensors.params());
  wide.x = tensors.widened(args.x, tensors.input());
  wide.h0 = tensors.widened(args.h0, tensors.states());
  wide.c0 = tensors.widened(args.c0, tensors.cell_states());
  wide.y = tensors.room(args.y, tensors.output());
  wide.h_n = tensors.room(args.h_n, tensors.states());
  wide.c_n = tensors.room(args.c_n, tensors.cell_states());
  wide.c = tensors.room(args.c, tensors.token_cell_states());
  wide.workspace = static_cast<char*>(args.workspace) + carver.bytes();
  RnnForward<float>(threads, wide, floats.prepared).run();
  tensors.narrow(tensors.output(), wide.y, args.y);
  tensors.narrow(tensors.states(), wide.h_n, args.h_n);
  tensors.narrow(tensors.cell_states(), wide.c_n, args.c_n);
  tensors.narrow(tensors.token_cell_states(), wide.c, args.c);
}

template <class T>
bool rnn_backward_16bit(int64_t threads, const RnnBackwardArgs& args, const PreparedRnn& prepared) {
  const PreparedFloats floats(args.shape, prepared);
  Carver carver(args.workspace);
  WideTensors<T> tensors(threads, args.shape, size_of(*args.batch), carver);
  RnnBackwardArgs wide = args;
  wide.params = floats.params != nullptr ? floats.params : tensors.widened(args.params, tensors.params());
  wide.x = tensors.widened(args.x, tensors.input());
  wide.h0 = tensors.widened(args.h0, tensors.states());
  wide.c0 = tensors.widened(args.c0, tensors.cell_states());
  wide.y = tensors.widened(args.y, tensors.output());
  wide.dy = tensors.widened(args.dy, tensors.output());
  wide.dh_n = tensors.widened(args.dh_n, tensors.states());
  wide.dc_n = tensors.widened(args.dc_n, tensors.cell_states());
  wide.dc = tensors.widened(args.dc, tensors.token_cell_states());
  wide.dx = tensors.room(args.dx, tensors.input());
  wide.dh0 = tensors.room(args.dh0, tensors.states());
  wide.dc0 = tensors.room(args.dc0, tensors.cell_states());
  wide.dparams = args.shape.add_dparams ? const_cast<float*>(tensors.widened(args.dparams, tensors.params()))
                                        : tensors.room(args.dparams, tensors.params());
  wide.workspace = static_cast<char*>(args.workspace) + carver.bytes();
  if (!RnnBackward<float>(threads, wide, floats.prepared).run()) return false;
  tensors.narrow(tensors.input(), wide.dx, args.dx);
  tensors.narrow(tensors.states(), wide.dh0, args.dh0);
  tensors.narrow(tensors.cell_states(), wide.dc0, args.dc0);
  tensors.narrow(tensors.params(), wide.dparams, args.dparams);
  return true;
}

}  // namespace varlstm::host
