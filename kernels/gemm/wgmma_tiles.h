// Loads tiles of op(A) and op(B) into shared memory, in the layout that wgmma reads: 128 bytes of k deep, swizzled to
// 128 bytes, beginning at a multiple of 1024. For kernel files only.
//
// A tile has `Lines` lines (rows of op(A), columns of op(B)). If its rows in shared memory are lines («along k»), each
// is 128 bytes of k, and 8 of them are a group of 1024 bytes. Otherwise its rows are the 64 values of k, each of 64
// lines; 8 of them are a group, and the next 64 lines begin 8192 bytes further on. In the word w of 16 bytes of row r
// of a group is the word w ^ r.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string.h>

#include "kernels/gemm/gemm_operands.h"

namespace varlstm::cuda {

constexpr int kStageDepthBytes = 128, kGroupBytes = 1024;

// A matrix in device memory from the tile's first line on. `words`: matrix and ld are aligned to 16 bytes.
template <class T>
struct TileSource {
  const T* first;
  int64_t ld;
  int64_t lines;  // from there on
  int64_t k;
  bool words;
};

template <bool AlongK, class T>
VARLSTM_DEVICE TileSource<T> tile_source(const T* matrix, int64_t ld, int64_t line0, int64_t lines, int64_t k) {
  return {matrix + (AlongK ? line0 * ld : line0), ld, lines - line0, k,
          (reinterpret_cast<uintptr_t>(matrix) | static_cast<uint64_t>(ld) * sizeof(T)) % 16 == 0};
}

VARLSTM_DEVICE int clamped(int64_t value, int most) {
  return value < 0 ? 0 : value > most ? most : static_cast<int>(value);
}

// Tiles of 16-bit elements, copied by cp.async. A word of 16 bytes is copied at once if the matrix is aligned, what is
// outside becomes zeros; otherwise each element is copied by itself.
template <int Lines, int Threads, bool AlongK, class T>
class CopiedTile {
  static_assert(sizeof(T) == 2, "64 values of k are 128 bytes");

 public:
  static constexpr bool kTransposed = !AlongK;  // as wgmma calls it
  static constexpr int kBytes = Lines * kStageDepthBytes;

  VARLSTM_DEVICE explicit CopiedTile(const TileSource<T>& source)
      : ld_(source.ld), words_(source.words), row_(static_cast<int>(threadIdx.x) / kAcross) {
    const int column = static_cast<int>(threadIdx.x) % kAcross * kWord;
    from_ = source.first + row_ * source.ld + column;
    const int part = AlongK ? 0 : column / 64, word = column / kWord % 8;
    to_ = part * (kDepth / 8 * kGroupBytes) + row_ / 8 * kGroupBytes + row_ % 8 * 128 + ((word ^ row_ % 8) * 16);
    rows_left_ = AlongK ? source.lines - row_ : source.k - row_;
    columns_left_ = AlongK ? source.k - column : source.lines - column;
  }

  // Copies the next stage to `tile`.
  VARLSTM_DEVICE void copy_next(unsigned char* tile) {
    const int columns = clamped(columns_left_, kWord);
    if (words_) {
#pragma unroll
      for (int i = 0; i < kRows / kRowStep; ++i)
        simt::cp_async16_filled(place_in(tile, i), from_ + i * kRowStep * ld_,
                                static_cast<unsigned>(counted(i, columns)) * sizeof(T));
    } else {
#pragma unroll 1
      for (int i = 0; i < kRows / kRowStep; ++i) {
        T* const to = reinterpret_cast<T*>(place_in(tile, i));
#pragma unroll 1
        for (int e = 0; e < kWord; ++e) to[e] = e < counted(i, columns) ? from_[i * kRowStep * ld_ + e] : T{};
      }
    }
    from_ += AlongK ? kDepth : kDepth * ld_;
    (AlongK ? columns_left_ : rows_left_) -= kDepth;
  }

 private:
  static constexpr int kWord = 8, kDepth = 64;
  static constexpr int kAcross = (AlongK ? kDepth : Lines) / kWord;  // words of a row of the matrix
  static constexpr int kRows = AlongK ? Lines : kDepth, kRowStep = Threads / kAcross;
  static_assert(kRowStep % 8 == 0 && kRows % kRowStep == 0, "a thread's rows are at one place of their groups");

  // Of the thread's word in its row i: its place, and how many of its elements are in the matrix.
  VARLSTM_DEVICE unsigned char* place_in(unsigned char* tile, int i) const {
    return tile + to_ + i * (kRowStep / 8) * kGroupBytes;
  }
  VARLSTM_DEVICE int counted(int i, int columns) const {
    return i * kRowStep < rows_left_ ? columns : 0;
  }

  const T* from_;
  int64_t ld_;
  bool words_;
  int row_, to_;  // the thread's first row, and the place of its word in it
  int64_t rows_left_, columns_left_;
};

// Tiles of float, which go through registers, where they are rounded to TF32. In shared memory they are always along k:
// wgmma transposes 16 bits alone.
template <int Lines, int Threads, bool AlongK>
class RoundedTile {
 public:
  static constexpr bool kTransposed = false;
  static constexpr int kBytes = Lines * kStageDepthBytes;

  VARLSTM_DEVICE explicit RoundedTile(const TileSource<float>& source) : source_(source) {}

  // Loads the next stage into registers.
  VARLSTM_DEVICE void fetch_next() {
#pragma unroll
    for (int i = 0; i < kWords; ++i) {
      const Place place = place_of(i);
      const int64_t row = AlongK ? place.line : k0_ + place.k, column = AlongK ? k0_ + place.k : place.line;
      const float* const from = source_.first + row * source_.ld + column;
      const int counted = row < (AlongK ? source_.lines : source_.k)
                              ? clamped((AlongK ? source_.k : source_.lines) - column, kWord)
                              : 0;
      words_[i] = {};
      if (source_.words && counted == kWord)
        memcpy(&words_[i], __builtin_assume_aligned(from, 16), 16);
      else
        for (int e = 0; e < kWord; ++e)
          if (e < counted) words_[i].of[e] = from[e];
    }
    k0_ += kDepth;
  }

  // Stores what was fetched.
  VARLSTM_DEVICE void store(unsigned char* tile) const {
#pragma unroll
    for (int i = 0; i < kWords; ++i) {
      const Place place = place_of(i);
#pragma unroll
      for (int e = 0; e < kWord; ++e) {
        const int line = place.line + (AlongK ? 0 : e), k = place.k + (AlongK ? e : 0);
        const int to = line * 128 + ((k / kWord ^ line % 8) * 16) + k % kWord * 4;
        *reinterpret_cast<uint32_t*>(tile + to) = simt::to_tf32(words_[i].of[e]);
      }
    }
  }

 private:
  static constexpr int kWord = 4, kDepth = 32, kWords = Lines * kDepth / kWord / Threads;
  static_assert(Lines * kDepth / kWord % Threads == 0, "every thread has as many words");

  struct alignas(16) Word {
    float of[kWord];
  };
  struct Place {
    int line, k;  // of the word's first element
  };

  // Where lines are contiguous a warp takes 16 of them and 8 values of k, so that its stores meet few banks twice.
  VARLSTM_DEVICE static Place place_of(int i) {
    const int thread = static_cast<int>(threadIdx.x);
    if constexpr (AlongK) {
      return {thread / 8 + i * (Threads / 8), thread % 8 * kWord};
    } else {
      const int lane = thread % 32, part = thread / 32 + i * (Threads / 32);
      return {part % (Lines / 16) * 16 + lane % 4 * kWord, part / (Lines / 16) * 8 + lane / 4};
    }
  }

  TileSource<float> source_;
  int64_t k0_ = 0;
  Word words_[kWords];
};

}  // namespace varlstm::cuda
