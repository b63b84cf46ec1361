// Linear layer.
//
//   forward   y [rows, out] <- x [rows, in] weight^T + bias        weight [out, in], bias [out] or null
//   backward  dx [rows, in] <- dy weight;  dweight [out, in] += dy^T x;  dbias [out] += column sums of dy
//
// A row of y depends on its own row of x only, and a row of dx on its own row of dy only, whatever the number of rows.
// dbias is summed in double over the rows in order. kernels/gemm does the same on CUDA.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "capi/contract/shapes.h"
#include "host/carve.h"
#include "host/gemm/gemm.h"
#include "host/gemm/row_product.h"
#include "host/simd/scalar16.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

template <class T>
void linear_forward(int64_t threads, const LinearArgs& args, const T* x, const T* weight, const T* bias, T* y) {
  row_product(threads, args.rows, args.out, args.in, x, args.in, weight, true, bias, y, args.out);
}

// sums [columns] += column sums of a [rows, columns].
template <class T>
void add_column_sums(int64_t threads, int64_t rows, int64_t columns, const T* a, T* sums) {
  constexpr int64_t kColumns = 64;         // of one piece of work, whose sums are on the stack
  constexpr int64_t kSmallWork = 1 << 16;  // up to this many elements one thread is enough
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

// dx, dweight and dbias may each be null if they are not wanted.
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

// The operands of the 16-bit dtypes as floats, in the workspace. Products run in float and each result is rounded once.
struct WideLinear {
  float *x, *y;           // [rows, in], [rows, out], or their gradients
  float *dx, *weight;     // [rows, in], in backward only; [out, in]
  float *dweight, *bias;  // [out, in], in backward only; [out], or its gradient

  WideLinear(const LinearArgs& args, bool backward, Carver& carver) {
    x = carver.take<float>(args.rows, args.in);
    y = carver.take<float>(args.rows, args.out);
    weight = carver.take<float>(args.out, args.in);
    bias = carver.take<float>(args.out);
    dx = backward ? carver.take<float>(args.rows, args.in) : nullptr;
    dweight = backward ? carver.take<float>(args.out, args.in) : nullptr;
  }
};

template <class T>
int64_t linear_workspace(const LinearArgs& args, bool backward) {
  if (!kIs16Bit<T>) return 0;
  Carver carver(nullptr);
  const WideLinear wide(args, backward, carver);
  return carver.bytes();
}

template <class T>
void wide_linear_forward(int64_t threads, const LinearArgs& args, const T* x, const T* weight, const T* bias, T* y) {
  Carver carver(args.workspace);
  const WideLinear wide(args, false, carver);
  convert(args.rows * args.in, x, wide.x);
  convert(args.out * args.in, weight, wide.weight);
  if (bias) convert(args.out, bias, wide.bias);
  linear_forward<float>(threads, args, wide.x, wide.weight, bias ? wide.bias : nullptr, wide.y);
  convert(args.rows * args.out, wide.y, y);
}

template <class T>
void wide_linear_backward(int64_t threads, const LinearArgs& args, const T* x, const T* weight, const T* dy, T* dx,
                          T* dweight, T* dbias) {
  Carver carver(args.workspace);
  const WideLinear wide(args, true, carver);
  if (dweight) convert(args.rows * args.in, x, wide.x);
  if (dx) convert(args.out * args.in, weight, wide.weight);
  convert(args.rows * args.out, dy, wide.y);
  if (dweight) convert(args.out * args.in, dweight, wide.dweight);
  if (dbias) convert(args.out, dbias, wide.bias);
  linear_backward<float>(threads, args, wide.x, wide.weight, wide.y, dx ? wide.dx : nullptr,
                         dweight ? wide.dweight : nullptr, dbias ? wide.bias : nullptr);
  if (dx) convert(args.rows * args.in, wide.dx, dx);
  if (dweight) convert(args.out * args.in, wide.dweight, dweight);
  if (dbias) convert(args.out, wide.bias, dbias);
}

}  // namespace varlstm::host
