// Rows times a matrix of weights, c [rows, n] <- a [rows, k] * w [k, n] (+ bias, or + c).
// Each element of c is one chain of additions over k in order, whatever the other rows are: a row's result depends
// neither on how many rows stand with it nor on the number of threads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::host {

// Where column j of the product comes from and goes to. Columns form `groups` blocks of `columns` (the gates of an
// LSTM; else 1): column j of group g is row (or column) g * columns + j of the weight, and is stored at
// c[row * ldc + g * group_stride + j].
// k forms `segments` blocks of `segment` (the gates again, for gradients): element s of segment q is read from
// a[row * lda + q * segment_stride + s] and meets row (or column) q * segment + s of the weight.
template <class T>
struct RowProduct {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t groups = 1;  // 1 or 4
  int64_t group_stride = 0;
  int64_t segment = 0;
  int64_t segments = 1;
  int64_t segment_stride = 0;
  const T* a = nullptr;
  int64_t lda = 0;
  const T* weight = nullptr;       // [groups * columns, segments * segment] if transposed_weight, else transposed
  bool transposed_weight = false;  // true: a linear layer's [out, in]
  const T* bias = nullptr;         // [groups * columns] or null
  const T* bias2 = nullptr;        // a second one, added to the first
  bool accumulate = false;         // add to c; no bias then
  T* c = nullptr;
  int64_t ldc = 0;
};

template <class T>
void row_product(int64_t threads, const RowProduct<T>& product);

// The common case: c [rows, n] <- a [rows, k] * w + bias.
template <class T>
void row_product(int64_t threads, int64_t rows, int64_t n, int64_t k, const T* a, int64_t lda, const T* weight,
                 bool transposed_weight, const T* bias, T* c, int64_t ldc) {
  RowProduct<T> p;
  p.rows = rows;
  p.columns = n;
  p.segment = k;
  p.a = a;
  p.lda = lda;
  p.weight = weight;
  p.transposed_weight = transposed_weight;
  p.bias = bias;
  p.c = c;
  p.ldc = ldc;
  row_product(threads, p);
}

}  // namespace varlstm::host
