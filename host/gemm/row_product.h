// Multiplies rows by a matrix of weights: c [rows, n] <- a [rows, k] * w [k, n] (+ bias, or + c).
// Each element of c is one chain of additions over k in order, so a row's result depends neither on the other rows nor
// on the number of threads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::host {

inline constexpr int kInOrder[] = {0, 1, 2, 3};

// One product. Its columns are divided into `groups` groups of `columns` columns, one for each gate of a cell. Column j
// of group g uses row (or column) g * columns + j of the weight and is stored at
// c[row * ldc + group_slots[g] * group_stride + j]. k is divided into `segments` segments of `segment` elements, one
// for the gradients of each gate. Element s of segment q is a[row * lda + segment_slots[q] * segment_stride + s]. It is
// multiplied by row (or column) q * segment + s of the weight.
template <class T>
struct RowProduct {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t groups = 1;  // 1 .. kPanelVectors
  const int* group_slots = kInOrder;
  int64_t group_stride = 0;
  int64_t segment = 0;
  int64_t segments = 1;
  const int* segment_slots = kInOrder;
  int64_t segment_stride = 0;
  const T* a = nullptr;
  int64_t lda = 0;
  bool transposed_a = false;       // a is [segment, rows] instead; there is one segment then
  const T* weight = nullptr;       // [groups * columns, segments * segment] if transposed_weight, else transposed
  bool transposed_weight = false;  // true for the [out, in] of a linear layer
  int64_t weight_ld = 0;           // from row to row of the weight; 0: its rows are adjacent
  const T* panels = nullptr;       // what pack_weight has made of the weight; or null: it is packed for this product
  const T* bias = nullptr;         // [groups * columns] or null
  const T* bias2 = nullptr;        // a second bias, which is also added to the first bias2_groups groups; or null
  int64_t bias2_groups = 4;
  bool accumulate = false;  // adds to c; there is no bias then
  T* c = nullptr;
  int64_t ldc = 0;
};

template <class T>
void row_product(int64_t threads, const RowProduct<T>& product);

// A product as pieces of work, so that one job can have those of several products. A piece is a panel of columns of c
// for a block of its rows. How many blocks there are depends on `threads`; no result does.
template <class T>
class RowProductPieces {
 public:
  RowProductPieces() = default;  // none
  RowProductPieces(int64_t threads, const RowProduct<T>& product);

  int64_t count() const { return count_; }
  // How many multiplications all pieces have; 0 for a product of few rows that one thread is done with before a second
  // one has begun.
  int64_t work() const;
  void run(int64_t piece) const;

 private:
  RowProduct<T> product_;
  bool few_rows_ = false;
  int64_t panels_ = 0, blocks_ = 0, count_ = 0;
};

// Packs the weight of a product for any number of calls. panels has packed_elements(product).
template <class T>
void pack_weight(int64_t threads, const RowProduct<T>& product, T* panels);
template <class T>
int64_t packed_elements(const RowProduct<T>& product);

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
