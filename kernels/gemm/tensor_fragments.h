// Loads the operands of a warp's product from tiles in shared memory. A tile has some lines (rows of op(A) or columns
// of op(B)) and Fragments<T>::kDepth values of k: [line][k] (AlongK) or [k][line]. Pitch is the distance of two rows,
// in elements. Loads have no bank conflicts with kAlongPitch, and if a row of [k][line] has a multiple of 16 lines and
// 8 elements more. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arch/device.h"

namespace varlstm::cuda {

// Sizes in elements of T. `depth` values of k are loaded at a time, and `step` of them enter one product of a warp.
template <class T>
struct Fragments {
  static constexpr int kWord = 16 / sizeof(T);
  static constexpr int kDepth = 4 * kWord, kStep = kDepth / 2;
  static constexpr int kAlongPitch = kDepth + kWord;
};

template <bool AlongK, int Pitch, class T>
VARLSTM_DEVICE const T* element(const T* tile, int line, int k) {
  return AlongK ? tile + line * Pitch + k : tile + k * Pitch + line;
}

// Loads the warp's operand of 16 lines from `line` on and one step of k from `k` on: one operand of A, or two of B of 8
// lines each.
template <bool AlongK, int Pitch, class T>
VARLSTM_DEVICE simt::b32x4 load_a(const T* tile, int line, int k) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if constexpr (sizeof(T) == 2) {
    const int matrix = lane / 8, r = lane % 8;
    if constexpr (AlongK)
      return simt::load_matrix_x4(element<true, Pitch>(tile, line + matrix % 2 * 8 + r, k + matrix / 2 * 8));
    else
      return simt::load_matrix_x4_transposed(
          element<false, Pitch>(tile, line + matrix % 2 * 8, k + matrix / 2 * 8 + r));
  } else {
    simt::b32x4 a;
    for (int i = 0; i < 4; ++i)
      a.r[i] = simt::to_tf32(*element<AlongK, Pitch>(tile, line + lane / 4 + i % 2 * 8, k + lane % 4 + i / 2 * 4));
    return a;
  }
}
template <bool AlongK, int Pitch, class T>
VARLSTM_DEVICE void load_b(const T* tile, int line, int k, simt::b32x2 (&b)[2]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if constexpr (sizeof(T) == 2) {
    const int matrix = lane / 8, r = lane % 8;
    simt::b32x4 both;
    if constexpr (AlongK)
      both = simt::load_matrix_x4(element<true, Pitch>(tile, line + matrix / 2 * 8 + r, k + matrix % 2 * 8));
    else
      both =
          simt::load_matrix_x4_transposed(element<false, Pitch>(tile, line + matrix / 2 * 8, k + matrix % 2 * 8 + r));
    for (int i = 0; i < 4; ++i) b[i / 2].r[i % 2] = both.r[i];
  } else {
    for (int i = 0; i < 4; ++i)
      b[i / 2].r[i % 2] =
          simt::to_tf32(*element<AlongK, Pitch>(tile, line + i / 2 * 8 + lane / 4, k + lane % 4 + i % 2 * 4));
  }
}

}  // namespace varlstm::cuda
