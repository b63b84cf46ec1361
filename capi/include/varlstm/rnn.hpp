// Part of varlstm.hpp: the recurrent network.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "batch.hpp"

namespace varlstm {

// What forward reads, what it writes, and their gradients. The shapes are those of varlstm_rnn_forward and
// varlstm_rnn_backward. Only params, x and y are required. c0, c_n and their gradients stay empty if the cell has no c.
// c and dc, of every token of the last layer [N, D*H], need VARLSTM_KEY_CELL_STATES. dparams is added to, or only
// written with VARLSTM_KEY_ADD_DPARAMS 0.
template <class T>
struct RnnInput {
  Span<const T> params = {}, x = {}, h0 = {}, c0 = {};
};
template <class T>
struct RnnOutput {
  Span<T> y = {}, h_n = {}, c_n = {}, c = {};
};
template <class T>
struct RnnOutputGradient {
  Span<const T> dy = {}, dh_n = {}, dc_n = {}, dc = {};
};
template <class T>
struct RnnInputGradient {
  Span<T> dparams = {}, dx = {}, dh0 = {}, dc0 = {};
};

// The type of the cell states of a RnnTable: what T is computed in.
template <class T>
using CellState = std::conditional_t<std::is_same_v<T, double>, double, float>;

// The states of streams that step: h [L, S, R] and c [L, S, H], read and written. c stays empty if the cell has no c.
template <class T>
struct RnnTable {
  Span<T> h = {};
  Span<CellState<T>> c = {};
};

// A tensor of the flat buffer of parameters, with PyTorch's name.
struct ParamInfo {
  std::string name;
  int64_t offset, rows, cols;
};

// `cell` is a varlstm_cell: varlstm::Rnn<float> gru(ctx, in, hidden, 1, VARLSTM_CELL_GRU).
template <class T>
class Rnn {
 public:
  Rnn(const Context& ctx, int64_t input_size, int64_t hidden_size, int64_t num_layers = 1,
      int32_t cell = VARLSTM_CELL_LSTM) {
    varlstm_rnn* rnn = nullptr;
    check(varlstm_rnn_create(ctx.get(), cell, input_size, hidden_size, num_layers, &rnn));
    rnn_ = Handle(rnn, {ctx.share()});
    check(varlstm_rnn_set_i64(get(), VARLSTM_KEY_DTYPE, dtype_of<T>()));
  }

  varlstm_rnn* get() const { return rnn_.get(); }

  // varlstm_rnn_prepare: an Rnn whose calls take `params` alone and find the weights arranged in `prepared`, which
  // grows if it is too small. params may not change, and both must live as long as the Rnn. `mode` is a varlstm_mode.
  Rnn prepare(int32_t mode, Span<const T> params, Workspace& prepared, void* stream = nullptr) const {
    detail::need("params", params, {{"elements", param_elements()}});
    int64_t bytes = 0;
    check(varlstm_rnn_prepared_size(get(), mode, &bytes));
    prepared.grow(bytes);
    varlstm_rnn* rnn = nullptr;
    check(varlstm_rnn_prepare(get(), mode, params.data(), prepared.data(), prepared.bytes(), stream, &rnn));
    return Rnn(Handle(rnn, rnn_.get_deleter()));
  }

  // Options; set them before any other call. The dtype is that of T.
  void set_i64(int32_t key, int64_t value) {
    if (key == VARLSTM_KEY_DTYPE && value != dtype_of<T>()) {
      throw Error(VARLSTM_ERROR_INVALID_ARGUMENT,
                  "value = " + std::to_string(value) +
                      " of VARLSTM_KEY_DTYPE is not the dtype of this Rnn<T>, which is " +
                      std::to_string(dtype_of<T>()));
    }
    check(varlstm_rnn_set_i64(get(), key, value));
  }
  void set_f64(int32_t key, double value) { check(varlstm_rnn_set_f64(get(), key, value)); }
  int64_t get_i64(int32_t key) const {
    int64_t value = 0;
    check(varlstm_rnn_get_i64(get(), key, &value));
    return value;
  }
  double get_f64(int32_t key) const {
    double value = 0.0;
    check(varlstm_rnn_get_f64(get(), key, &value));
    return value;
  }

  // The number of elements of the flat buffer.
  int64_t param_elements() const {
    int64_t elements = 0;
    check(varlstm_rnn_param_count(get(), nullptr, &elements));
    return elements;
  }
  std::vector<ParamInfo> params() const {
    int64_t tensors = 0;
    check(varlstm_rnn_param_count(get(), &tensors, nullptr));
    std::vector<ParamInfo> infos(static_cast<size_t>(tensors));
    for (int64_t index = 0; index < tensors; ++index) {
      const char* name = nullptr;
      ParamInfo& info = infos[static_cast<size_t>(index)];
      check(varlstm_rnn_param_info(get(), index, &name, &info.offset, &info.rows, &info.cols));
      info.name = name;
    }
    return infos;
  }
  // varlstm_rnn_import: writes one layer and direction from another library's layout; `format` is a
  // varlstm_param_format. Of Keras' bias [2, 3H] of a GRU the first row is b_ih and the second is b_hh.
  void import_params(int32_t format, int64_t layer, int32_t direction, Span<const T> w_ih, Span<const T> w_hh,
                     Span<const T> b_ih, Span<const T> b_hh, Span<T> params, void* stream = nullptr) const {
    const Shape shape = this->shape();
    const int64_t in = layer == 0 ? shape.input : shape.directions * shape.of_h.value;
    const detail::Size gates{"gates", this->gates()}, hidden{"hidden_size", shape.hidden};
    // A layer that does not exist has no sizes; the library itself refuses it.
    if (layer >= 0 && layer < shape.layers) detail::need("w_ih", w_ih, {gates, hidden, {"in", in}});
    detail::need("w_hh", w_hh, {gates, hidden, shape.of_h});
    detail::need_or_empty("b_ih", b_ih, {gates, hidden});
    detail::need_or_empty("b_hh", b_hh, {gates, hidden});
    detail::need("params", params, {{"elements", param_elements()}});
    check(varlstm_rnn_import(get(), format, layer, direction, w_ih.data(), w_hh.data(), b_ih.data(), b_hh.data(),
                             params.data(), stream));
  }

  // G: the weights of one layer and direction have G * H rows. 4 of an LSTM, 3 of a GRU, 1 of a plain network.
  int64_t gates() const {
    int64_t rows = 0;
    check(varlstm_rnn_param_info(get(), 0, nullptr, nullptr, &rows, nullptr));
    return rows / get_i64(VARLSTM_KEY_HIDDEN_SIZE);
  }

  struct Sizes {
    int64_t workspace_bytes, reserve_bytes;
  };
  // `mode` is a varlstm_mode.
  Sizes sizes(int64_t max_batch, int64_t max_len, int64_t max_tokens, int32_t mode) const {
    Sizes sizes = {};
    check(varlstm_rnn_sizes(get(), max_batch, max_len, max_tokens, mode, &sizes.workspace_bytes, &sizes.reserve_bytes));
    return sizes;
  }
  // The sizes for this batch's bounds.
  Sizes sizes(const Batch& batch, int32_t mode) const {
    return sizes(batch.get_i64(VARLSTM_KEY_MAX_BATCH), batch.get_i64(VARLSTM_KEY_MAX_LEN),
                 batch.get_i64(VARLSTM_KEY_MAX_TOKENS), mode);
  }

  // Forward with VARLSTM_MODE_INFER: nothing is saved.
  void forward(const Batch& batch, const RnnInput<T>& in, const RnnOutput<T>& out, Workspace& workspace,
               uint64_t dropout_seed = 0, void* stream = nullptr) const {
    need_forward(batch, in, out);
    workspace.grow(sizes(batch, VARLSTM_MODE_INFER).workspace_bytes);
    run_forward(batch, VARLSTM_MODE_INFER, dropout_seed, in, out, workspace, nullptr, 0, stream);
  }
  // Forward with VARLSTM_MODE_SAVE: what backward needs is saved in `reserve`.
  void forward_save(const Batch& batch, const RnnInput<T>& in, const RnnOutput<T>& out, Workspace& workspace,
                    Workspace& reserve, uint64_t dropout_seed = 0, void* stream = nullptr) const {
    need_forward(batch, in, out);
    const Sizes bytes = sizes(batch, VARLSTM_MODE_SAVE);
    workspace.grow(bytes.workspace_bytes);
    reserve.grow(bytes.reserve_bytes);
    run_forward(batch, VARLSTM_MODE_SAVE, dropout_seed, in, out, workspace, reserve.data(), reserve.bytes(), stream);
  }
  // Backward of the forward_save that filled `reserve`, with the same batch, inputs and y.
  void backward(const Batch& batch, const RnnInput<T>& in, Span<const T> y, const RnnOutputGradient<T>& dout,
                const RnnInputGradient<T>& din, Workspace& workspace, const Workspace& reserve,
                void* stream = nullptr) const {
    const Shape shape = need_input(batch, in);
    need_rows("y", y, batch, shape);
    if (!dout.dy.empty()) need_rows("dy", dout.dy, batch, shape);
    need_state("dh_n", dout.dh_n, batch, shape, shape.of_h);
    need_state("dc_n", dout.dc_n, batch, shape, shape.of_c());
    need_cell_states("dc", dout.dc, batch, shape);
    detail::need_or_empty("dparams", din.dparams, {{"elements", param_elements()}});
    detail::need_or_empty("dx", din.dx, {{"rows", batch.rows()}, {"input_size", shape.input}});
    need_state("dh0", din.dh0, batch, shape, shape.of_h);
    need_state("dc0", din.dc0, batch, shape, shape.of_c());
    workspace.grow(sizes(batch, VARLSTM_MODE_SAVE).workspace_bytes);
    if (dout.dc.empty()) {
      check(varlstm_rnn_backward(get(), batch.get(), in.params.data(), in.x.data(), in.h0.data(), in.c0.data(),
                                 y.data(), dout.dy.data(), dout.dh_n.data(), dout.dc_n.data(), din.dx.data(),
                                 din.dh0.data(), din.dc0.data(), din.dparams.data(), workspace.data(),
                                 workspace.bytes(), reserve.data(), reserve.bytes(), stream));
    } else {
      check(varlstm_rnn_backward_with_c(get(), batch.get(), in.params.data(), in.x.data(), in.h0.data(), in.c0.data(),
                                        y.data(), dout.dy.data(), dout.dh_n.data(), dout.dc_n.data(), dout.dc.data(),
                                        din.dx.data(), din.dh0.data(), din.dc0.data(), din.dparams.data(),
                                        workspace.data(), workspace.bytes(), reserve.data(), reserve.bytes(), stream));
    }
  }

  // The bytes of workspace of a step of up to max_streams streams with a table of up to table_slots.
  int64_t step_size(int64_t max_streams, int64_t table_slots) const {
    int64_t bytes = 0;
    check(varlstm_rnn_step_size(get(), max_streams, table_slots, &bytes));
    return bytes;
  }
  // varlstm_rnn_step: one token of each stream, in place. `slots` [B] names the row of the table of each stream, x is
  // [B, I], and y [B, R]. The number of slots S is that of table.h.
  void step(Span<const T> params, Span<const T> x, Span<const int64_t> slots, const RnnTable<T>& table, Span<T> y,
            Workspace& workspace, void* stream = nullptr) const {
    const Shape shape = this->shape();
    const int64_t table_slots = table.h.size() / (shape.layers * shape.of_h.value);
    const detail::Size layers{"num_layers", shape.layers};
    const detail::Size streams{"slots.size()", slots.size()}, of_table{"table_slots", table_slots};
    detail::need("params", params, {{"elements", param_elements()}});
    detail::need("x", x, {streams, {"input_size", shape.input}});
    detail::need_exactly_or_empty("h", table.h, {layers, of_table, shape.of_h});
    detail::need_exactly_or_empty("c", table.c, {layers, of_table, shape.of_c()});
    detail::need("y", y, {streams, shape.of_h});
    if (slots.size() > table_slots) {
      throw Error(VARLSTM_ERROR_INVALID_ARGUMENT, "streams = " + std::to_string(slots.size()) +
                                                      " is larger than table_slots = " + std::to_string(table_slots));
    }
    workspace.grow(step_size(slots.size(), table_slots));
    check(varlstm_rnn_step(get(), slots.size(), params.data(), x.data(), slots.data(), table_slots, table.h.data(),
                           table.c.data(), y.data(), workspace.data(), workspace.bytes(), stream));
  }

 private:
  using Handle = detail::Handle<varlstm_rnn, varlstm_rnn_destroy>;
  explicit Rnn(Handle rnn) : rnn_(std::move(rnn)) {}

  struct Shape {
    int64_t input, hidden, layers, directions;
    detail::Size of_h;  // the features of h: P with a projection, else H
    detail::Size of_c() const { return {"hidden_size", hidden}; }
  };

  Shape shape() const {
    const int64_t hidden = get_i64(VARLSTM_KEY_HIDDEN_SIZE), projection = get_i64(VARLSTM_KEY_PROJ_SIZE);
    const detail::Size of_h = {projection > 0 ? "proj_size" : "hidden_size", projection > 0 ? projection : hidden};
    return {get_i64(VARLSTM_KEY_INPUT_SIZE), hidden, get_i64(VARLSTM_KEY_NUM_LAYERS),
            1 + get_i64(VARLSTM_KEY_BIDIRECTIONAL), of_h};
  }
  template <class U>
  void need_rows(const char* name, Span<U> span, const Batch& batch, const Shape& shape) const {
    detail::need(name, span, {{"rows", batch.rows()}, {"directions", shape.directions}, shape.of_h});
  }
  // A state is [L*D, B, features] with the B of this batch; a longer one would be read with the wrong stride.
  template <class U>
  void need_state(const char* name, Span<U> span, const Batch& batch, const Shape& shape,
                  const detail::Size& features) const {
    detail::need_exactly_or_empty(
        name, span,
        {{"num_layers", shape.layers}, {"directions", shape.directions}, {"batch", batch.size()}, features});
  }
  // c of every token, or its gradient.
  template <class U>
  void need_cell_states(const char* name, Span<U> span, const Batch& batch, const Shape& shape) const {
    detail::need_or_empty(name, span, {{"rows", batch.rows()}, {"directions", shape.directions}, shape.of_c()});
  }
  Shape need_input(const Batch& batch, const RnnInput<T>& in) const {
    const Shape shape = this->shape();
    detail::need("params", in.params, {{"elements", param_elements()}});
    detail::need("x", in.x, {{"rows", batch.rows()}, {"input_size", shape.input}});
    need_state("h0", in.h0, batch, shape, shape.of_h);
    need_state("c0", in.c0, batch, shape, shape.of_c());
    return shape;
  }
  void need_forward(const Batch& batch, const RnnInput<T>& in, const RnnOutput<T>& out) const {
    const Shape shape = need_input(batch, in);
    need_rows("y", out.y, batch, shape);
    need_state("h_n", out.h_n, batch, shape, shape.of_h);
    need_state("c_n", out.c_n, batch, shape, shape.of_c());
    need_cell_states("c", out.c, batch, shape);
  }

  void run_forward(const Batch& batch, int32_t mode, uint64_t dropout_seed, const RnnInput<T>& in,
                   const RnnOutput<T>& out, Workspace& workspace, void* reserve, int64_t reserve_bytes,
                   void* stream) const {
    if (out.c.empty()) {
      check(varlstm_rnn_forward(get(), batch.get(), mode, dropout_seed, in.params.data(), in.x.data(), in.h0.data(),
                                in.c0.data(), out.y.data(), out.h_n.data(), out.c_n.data(), workspace.data(),
                                workspace.bytes(), reserve, reserve_bytes, stream));
    } else {
      check(varlstm_rnn_forward_with_c(get(), batch.get(), mode, dropout_seed, in.params.data(), in.x.data(),
                                       in.h0.data(), in.c0.data(), out.y.data(), out.h_n.data(), out.c_n.data(),
                                       out.c.data(), workspace.data(), workspace.bytes(), reserve, reserve_bytes,
                                       stream));
    }
  }

  Handle rnn_;
};

}  // namespace varlstm
