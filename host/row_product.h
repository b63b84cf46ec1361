// Rows times a constant matrix, c [rows, n] (+)= a [rows, k] * w [k, n], with w packed once and used for many steps.
// Each element of c is one chain of additions over k in order, whatever the other rows are: a row's result depends
// neither on how many rows stand with it nor on the number of threads. The instruction set is chosen at run time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::host {

// Bytes of workspace that row_product needs for a matrix w [k, n].
template <class T>
int64_t row_product_workspace(int64_t k, int64_t n);

// c [rows, n] <- a [rows, k] * w + bias, where w is given as `weight`: [n, k] with transposed_weight (a linear layer's
// weight), else [k, n]. bias [n] or null. workspace aligned to 64 bytes.
template <class T>
void row_product(int64_t threads, int64_t rows, int64_t n, int64_t k, const T* a, int64_t lda, const T* weight,
                 bool transposed_weight, const T* bias, T* c, int64_t ldc, void* workspace);

}  // namespace varlstm::host
