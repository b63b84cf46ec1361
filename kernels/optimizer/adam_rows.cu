// Optimiser steps of the rows of a table [V, F] that have a gradient, where every other row's gradient is 0.
//
//   sgd_rows   table[id] -= lr * drows[n]               id = row_ids[n], n < rows
//   adam_rows  steps last_steps[id] + 1 ... step of adam_step over the row: the last one with the gradient drows[n],
//              those before with gradient 0
//   catch_up   the same with gradient 0 throughout, up to the number of steps so far; ids may be null: every row
//
// Adam moves a row without a gradient as well, because its moments decay. Such a row waits until it is wanted, and then
// does all its steps in registers. Their factors are in history [history_steps, 3]: those of step t at (t - 1) modulo
// history_steps; adam_rows writes those of its own step, which no row reads there. An id outside [0, V) is skipped. A
// last step that is not one of the last history_steps raises BadValue::kLastStep, and the row begins with the oldest
// step that is known; one that is yet to come raises it, too, and the row does no step.
// A warp takes a row, each lane every 32nd feature. Lane 0 exchanges the row's last step for the new one in one access,
// so that of a row that is listed twice one warp has the work, and the other finds that nothing is left to do. Element
// by element: bit-identical from run to run, and to adam_step over the whole table. Bytes moved: 7 rows F e, or 6 for
// catch_up. A row that waits long is bound by the latency of its steps: each takes a root and a division. An element
// whose moments are 0 has no steps to do unless there is weight decay. Not measured on a GPU. Mirrored by
// host/ops/adam_rows.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/bad_value.h"
#include "kernels/core/launch.h"
#include "kernels/optimizer/adam.h"
#include "kernels/optimizer/optimizer.h"

namespace varlstm::cuda {

constexpr unsigned kWarp = 32, kAllLanes = 0xffffffffu;

template <class T>
struct TableRows {
  int64_t rows, vocab, features;
  const int64_t* ids;  // or null: row n is n
  T *table, *m, *v;
  int64_t* last_steps;
  AdamFactors<T>* history;
  int64_t history_steps;
  bool may_rest;  // an element whose moments are 0 stays as it is
  DeviceStatus* status;

  // The row of the table, or -1.
  VARLSTM_DEVICE int64_t id(int64_t n) const {
    const int64_t id = ids == nullptr ? n : ids[n];
    return id >= 0 && id < vocab ? id : -1;
  }
};

// Returns the row's last step to every lane, after which its last step is `step`. A warp calls this together.
template <class T>
VARLSTM_DEVICE int64_t exchange_last_step(const TableRows<T>& rows, int64_t id, int64_t step) {
  int64_t last = 0;
  if (threadIdx.x % kWarp == 0) {
    auto* const address = reinterpret_cast<unsigned long long*>(rows.last_steps + id);
    last = static_cast<int64_t>(simt::atomic_exchange(address, static_cast<unsigned long long>(step)));
    const bool known = last >= 0 && last <= step && step - last <= rows.history_steps;
    if (!known) {
      flag_bad_value(rows.status, BadValue::kLastStep, id);
      const int64_t oldest = step > rows.history_steps ? step - rows.history_steps : 0;
      last = last > step ? step : oldest;
    }
  }
  return simt::shfl(kAllLanes, last, 0);
}

// Does steps (last, until] of element k with gradient 0.
template <class T>
VARLSTM_DEVICE void catch_up_element(const TableRows<T>& rows, const AdamConstants<T>& adam, int64_t last,
                                     int64_t until, T& param, T& m, T& v) {
  if (rows.may_rest && m == 0 && v == 0 && param - param == 0) return;  // not if it is infinite
  int64_t slot = last % rows.history_steps;
  for (int64_t step = last + 1; step <= until; ++step) {
    adam_element(adam, rows.history[slot], T(0), param, m, v);
    if (++slot == rows.history_steps) slot = 0;
  }
}

// Does steps up to `step` for every listed row, the last of them with the factors and the row's gradient if there are
// gradients.
template <class T>
VARLSTM_DEVICE void move_rows(const TableRows<T>& rows, const AdamConstants<T>& adam, int64_t step,
                              const AdamFactors<T>& factors, const T* drows) {
  const int64_t warps = static_cast<int64_t>(gridDim.x) * (blockDim.x / kWarp);
  for (int64_t n = static_cast<int64_t>(blockIdx.x) * (blockDim.x / kWarp) + threadIdx.x / kWarp; n < rows.rows;
       n += warps) {
    const int64_t id = rows.id(n);
    if (id < 0) continue;
    const int64_t last = exchange_last_step(rows, id, step);
    if (last == step) continue;
    for (int64_t f = threadIdx.x % kWarp; f < rows.features; f += kWarp) {
      const int64_t k = id * rows.features + f;
      T param = rows.table[k], m = rows.m[k], v = rows.v[k];
      catch_up_element(rows, adam, last, drows == nullptr ? step : step - 1, param, m, v);
      if (drows != nullptr) adam_element(adam, factors, drows[n * rows.features + f], param, m, v);
      rows.table[k] = param;
      rows.m[k] = m;
      rows.v[k] = v;
    }
  }
}

template <class T>
VARLSTM_KERNEL void adam_rows_kernel(TableRows<T> rows, AdamConstants<T> adam, int64_t* counter, const T* drows) {
  const int64_t step = count_step(counter);
  const AdamFactors<T> factors = factors_of(adam, step);
  if (blockIdx.x == 0 && threadIdx.x == 0) rows.history[(step - 1) % rows.history_steps] = factors;
  move_rows(rows, adam, step, factors, drows);
}

template <class T>
VARLSTM_KERNEL void catch_up_kernel(TableRows<T> rows, AdamConstants<T> adam, const int64_t* counter) {
  move_rows<T>(rows, adam, *counter, {}, nullptr);
}

template <class T>
VARLSTM_KERNEL void sgd_rows_kernel(int64_t rows, int64_t vocab, int64_t features, T lr, const int64_t* row_ids,
                                    const T* drows, T* table) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < rows * features; k += stride) {
    const int64_t id = row_ids[k / features];
    if (id < 0 || id >= vocab) continue;
    T& param = table[id * features + k % features];
    param = simt::fma(-lr, drows[k], param);  // one operation, as in sgd
  }
}

namespace {

template <class T>
TableRows<T> table_rows(Stream stream, const AdamRowsArgs& args) {
  return {args.rows,
          args.vocab,
          args.features,
          args.ids,
          static_cast<T*>(args.table),
          static_cast<T*>(args.m),
          static_cast<T*>(args.v),
          args.last_steps,
          static_cast<AdamFactors<T>*>(args.history),
          args.history_steps,
          args.adam.weight_decay == 0 && static_cast<T>(args.adam.eps) > 0,
          stream.state->status};
}

// A warp for each row.
LaunchShape warp_shape(Stream stream, int64_t rows) {
  return elementwise_shape(stream, rows * kWarp);
}

}  // namespace

int32_t adam_rows_step(Stream stream, const AdamRowsArgs& args, const void* drows) {
  return with_master_scalar(args.adam.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    LaunchShape shape = warp_shape(stream, args.rows > 0 ? args.rows : 1);  // without rows it counts, too
    shape.shared_bytes = sizeof(int64_t);
    return launch<adam_rows_kernel<T>>(stream, "adam_rows", shape, table_rows<T>(stream, args),
                                       adam_constants<T>(args.adam), args.step, static_cast<const T*>(drows));
  });
}

int32_t adam_rows_catch_up(Stream stream, const AdamRowsArgs& args) {
  return with_master_scalar(args.adam.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    const TableRows<T> rows = table_rows<T>(stream, args);
    return launch<catch_up_kernel<T>>(stream, "catch_up", warp_shape(stream, rows.rows), rows,
                                      adam_constants<T>(args.adam), static_cast<const int64_t*>(args.step));
  });
}

int32_t sgd_rows_step(Stream stream, const SgdRowsArgs& args, const void* drows) {
  return with_master_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    return launch<sgd_rows_kernel<T>>(stream, "sgd_rows", elementwise_shape(stream, args.rows * args.features),
                                      args.rows, args.vocab, args.features, static_cast<T>(args.lr), args.row_ids,
                                      static_cast<const T*>(drows), static_cast<T*>(args.table));
  });
}

}  // namespace varlstm::cuda
