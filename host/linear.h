// Linear layer over packed rows.
//
//   forward   y [rows, out] <- x [rows, in] weight^T + bias        weight [out, in], bias [out] or null
//   backward  dx [rows, in] <- dy weight;  dweight [out, in] += dy^T x;  dbias [out] += column sums of dy
//
// A row of y and of dx depends on its own row of x and dy alone, however many rows there are. dbias is summed in double
// over the rows in order. Mirrored by kernels/gemm.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "host/gemm.h"
#include "host/parallel.h"
#include "host/row_product.h"
#include "kernels/core/shapes.h"

namespace varlstm::host {

template <class T>
void linear_forward(int64_t threads, const LinearArgs& args, const T* x, const T* weight, const T* bias, T* y) {
  row_product(threads, args.rows, args.out, args.in, x, args.in, weight, true, bias, y, args.out);
}

// sums [columns] += column sums of a [rows, columns].
template <class T>
void add_column_sums(int64_t threads, int64_t rows, int64_t columns, const T* a, T* sums) {
  constexpr int64_t kColumns = 64;         // of one piece, whose sums stand on the stack
  constexpr int64_t kSmallWork = 1 << 16;  // elements that are not worth a second thread
  if (rows * columns <= kSmallWork) threads = 1;
  parallel_ranges(threads, columns, kColumns, [&](int64_t begin, int64_t end) {
    double piece[kColumns] = {};
    for (int64_t row = 0; row < rows; ++row) {
      const T* values = a + row * columns;
      for (int64_t j = begin; j < end; ++j) piece[j - begin] += values[j];
    }
    for (int64_t j = begin; j < end; ++j) sums[j] = static_cast<T>(sums[j] + piece[j - begin]);
  });
}

// dx, dweight and dbias may each be null: not wanted.
template <class T>
void linear_backward(int64_t threads, const LinearArgs& args, const T* x, const T* weight, const T* dy, T* dx,
                     T* dweight, T* dbias) {
  if (args.rows == 0) return;
  const T* no_bias = nullptr;
  if (dx) {
    row_product(threads, args.rows, args.in, args.out, dy, args.out, weight, false, no_bias, dx, args.in);
  }
  if (dweight) {
    gemm(threads, Transpose::kYes, Transpose::kNo, args.out, args.in, args.rows, dy, args.out, x, args.in, T(1),
         dweight, args.in);
  }
  if (dbias) add_column_sums(threads, args.rows, args.out, dy, dbias);
}

}  // namespace varlstm::host
