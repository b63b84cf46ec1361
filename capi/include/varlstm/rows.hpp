// Part of varlstm.hpp: the rows of a table that a step touched, their gradients and the optimisers' steps for them, in
// float or double.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "optimizer.hpp"

namespace varlstm {

// A table [vocab, features] with Adam's state. vocab is last_steps.size(), and history_steps is history.size() / 3.
template <class T>
struct AdamTable {
  int64_t features;
  Span<T> table, m, v;
  Span<int64_t> last_steps;
  Span<T> history;
  Span<int64_t> step;
};

// padding_idx -1 means that there is no such row. The number of rows is that of ids.
template <class T>
void embedding_backward_rows(const Context& ctx, const Batch* batch, int64_t vocab, int64_t features,
                             int64_t padding_idx, Span<const int64_t> ids, Span<const T> dy, Span<int64_t> row_ids,
                             Span<T> drows, Workspace& workspace, void* stream = nullptr) {
  const detail::Size rows{"ids.size()", ids.size()};
  detail::need("dy", dy, {rows, {"features", features}});
  detail::need("row_ids", row_ids, {rows});
  detail::need("drows", drows, {rows, {"features", features}});
  detail::grow_for_op<T>(workspace, ctx, VARLSTM_OP_EMBEDDING_BACKWARD, rows.value, vocab, features);
  check(varlstm_embedding_backward_rows(ctx.get(), batch == nullptr ? nullptr : batch->get(), dtype_of<T>(), rows.value,
                                        vocab, features, padding_idx, ids.data(), dy.data(), row_ids.data(),
                                        drows.data(), workspace.data(), workspace.bytes(), stream));
}

// The number of rows is that of row_ids.
template <class T>
void sgd_rows_step(const Context& ctx, double lr, int64_t vocab, int64_t features, Span<const int64_t> row_ids,
                   Span<const T> drows, Span<T> table, void* stream = nullptr) {
  detail::need("drows", drows, {{"row_ids.size()", row_ids.size()}, {"features", features}});
  detail::need("table", table, {{"vocab", vocab}, {"features", features}});
  check(varlstm_sgd_rows_step(ctx.get(), dtype_of<T>(), row_ids.size(), vocab, features, lr, row_ids.data(),
                              drows.data(), table.data(), stream));
}

namespace detail {

template <class T>
void need_adam_table(const AdamTable<T>& t) {
  const Size vocab{"last_steps.size()", t.last_steps.size()}, features{"features", t.features};
  need("table", t.table, {vocab, features});
  need("m", t.m, {vocab, features});
  need("v", t.v, {vocab, features});
  need("step", t.step, {{"count", 1}});
}

}  // namespace detail

// The number of rows is that of row_ids.
template <class T>
void adam_rows_step(const Context& ctx, const Adam& adam, Span<const int64_t> row_ids, Span<const T> drows,
                    const AdamTable<T>& table, void* stream = nullptr) {
  detail::need("drows", drows, {{"row_ids.size()", row_ids.size()}, {"features", table.features}});
  detail::need_adam_table(table);
  check(varlstm_adam_rows_step(ctx.get(), dtype_of<T>(), row_ids.size(), table.last_steps.size(), table.features,
                               adam.lr, adam.beta1, adam.beta2, adam.eps, adam.weight_decay, adam.decoupled ? 1 : 0,
                               row_ids.data(), drows.data(), table.table.data(), table.m.data(), table.v.data(),
                               table.last_steps.data(), table.history.data(), table.history.size() / 3,
                               table.step.data(), stream));
}

namespace detail {

template <class T>
void catch_up(const Context& ctx, const Adam& adam, int64_t rows, const int64_t* ids, const AdamTable<T>& t,
              void* stream) {
  need_adam_table(t);
  check(varlstm_adam_rows_catch_up(ctx.get(), dtype_of<T>(), rows, t.last_steps.size(), t.features, adam.beta1,
                                   adam.beta2, adam.eps, adam.weight_decay, adam.decoupled ? 1 : 0, ids, t.table.data(),
                                   t.m.data(), t.v.data(), t.last_steps.data(), t.history.data(), t.history.size() / 3,
                                   t.step.data(), stream));
}

}  // namespace detail

// The number of rows is that of ids; without any, no row is moved. adam.lr has no effect.
template <class T>
void adam_rows_catch_up(const Context& ctx, const Adam& adam, Span<const int64_t> ids, const AdamTable<T>& table,
                        void* stream = nullptr) {
  if (ids.empty()) {  // NULL would mean every row
    detail::need_adam_table(table);
    return;
  }
  detail::catch_up(ctx, adam, ids.size(), ids.data(), table, stream);
}

// Every row of the table.
template <class T>
void adam_rows_catch_up_all(const Context& ctx, const Adam& adam, const AdamTable<T>& table, void* stream = nullptr) {
  detail::catch_up(ctx, adam, 0, nullptr, table, stream);
}

}  // namespace varlstm
