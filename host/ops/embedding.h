// Embedding: takes the rows of a table that ids name, and sums gradients back into the table.
//
//   forward   y[n] <- table[ids[n]]                     y [rows, features], table [vocab, features], ids [rows]
//   backward  dtable[v] += sum of dy[n] over ids[n] = v
//
// Rows that do not count (counted_rows) and ids outside [0, vocab) give zeros and no gradient. The id padding_idx gives
// no gradient. Backward sorts the rows by id with a stable sort, so that one thread sums each table row in the order of
// n, and writes only the table rows that occur in ids. embedding_backward_rows writes the same sums, row after row,
// without the rest of the table. kernels/embedding does the same on CUDA.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "capi/contract/shapes.h"
#include "host/ops/batch_plan.h"
#include "host/simd/scalar16.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

struct IdRow {
  int64_t id;
  int64_t row;
};

// Bytes of embedding_backward's workspace per row: the sort needs two arrays [rows] of IdRow.
constexpr int64_t kEmbeddingWorkspacePerRow = 2 * sizeof(IdRow);

inline int64_t rows_per_embedding_piece(int64_t features) {
  constexpr int64_t kElements = 16384;
  return std::max<int64_t>(1, kElements / std::max<int64_t>(1, features));
}

inline bool is_in_vocab(const EmbeddingArgs& args, int64_t row) {
  return args.ids[row] >= 0 && args.ids[row] < args.vocab;
}

// The first row that counts and whose id is out of range, or -1.
inline int64_t first_bad_id(const EmbeddingArgs& args) {
  const int64_t counted = counted_rows(args.batch, args.rows);
  for (int64_t n = 0; n < counted; ++n) {
    if (!is_in_vocab(args, n)) return n;
  }
  return -1;
}

template <class T>
void embedding_forward(int64_t threads, const EmbeddingArgs& args, const T* table, T* y) {
  const int64_t counted = counted_rows(args.batch, args.rows);
  const int64_t features = args.features;
  parallel_ranges(threads, args.rows, rows_per_embedding_piece(features), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      if (n < counted && is_in_vocab(args, n)) {
        std::copy_n(table + args.ids[n] * features, features, y + n * features);
      } else {
        std::fill_n(y + n * features, features, T(0));
      }
    }
  });
}

// Stable radix sort of `count` entries by id in [0, vocab), one byte at a time from the lowest. Returns the one of the
// two buffers that holds the result.
inline IdRow* sort_by_id(IdRow* from, IdRow* to, int64_t count, int64_t vocab) {
  constexpr int64_t kDigits = 256;
  for (int shift = 0; shift < 64 && (vocab - 1) >> shift > 0; shift += 8) {
    int64_t offsets[kDigits + 1] = {};
    for (int64_t k = 0; k < count; ++k) ++offsets[((from[k].id >> shift) & (kDigits - 1)) + 1];
    for (int64_t digit = 0; digit < kDigits; ++digit) offsets[digit + 1] += offsets[digit];
    for (int64_t k = 0; k < count; ++k) to[offsets[(from[k].id >> shift) & (kDigits - 1)]++] = from[k];
    std::swap(from, to);
  }
  return from;
}

// sum [features] += the rows of dy that run [count] names, in the order of run.
template <class T>
void add_run(int64_t features, const T* dy, const IdRow* run, int64_t count, T* sum) {
  for (int64_t k = 0; k < count; ++k) {
    const T* row = dy + run[k].row * features;
#pragma omp simd
    for (int64_t j = 0; j < features; ++j) sum[j] += row[j];
  }
}

// The same for the 16-bit dtypes, which are summed in float and rounded once.
template <class T>
void add_run_16bit(int64_t features, const T* dy, const IdRow* run, int64_t count, T* sum) {
  for (int64_t j = 0; j < features; ++j) {
    float total = sum[j];
    for (int64_t k = 0; k < count; ++k) total += dy[run[k].row * features + j];
    sum[j] = total;
  }
}

// The rows that have a gradient, stably sorted by id. The workspace has kEmbeddingWorkspacePerRow * rows bytes.
struct SortedIds {
  const IdRow* rows;  // [count]
  IdRow* spare;       // [args.rows], free
  int64_t count;
};
inline SortedIds sort_ids(const EmbeddingArgs& args, int64_t padding_idx, void* workspace) {
  IdRow* entries = static_cast<IdRow*>(workspace);
  int64_t count = 0;
  const int64_t counted = counted_rows(args.batch, args.rows);
  for (int64_t n = 0; n < counted; ++n) {
    if (is_in_vocab(args, n) && args.ids[n] != padding_idx) entries[count++] = {args.ids[n], n};
  }
  const IdRow* sorted = sort_by_id(entries, entries + args.rows, count, args.vocab);
  return {sorted, sorted == entries ? entries + args.rows : entries, count};
}

// sum [features] += the rows of dy that run [count] names.
template <class T>
void add_rows(int64_t features, const T* dy, const IdRow* run, int64_t count, T* sum) {
  if constexpr (kIs16Bit<T>) {
    add_run_16bit(features, dy, run, count, sum);
  } else {
    add_run(features, dy, run, count, sum);
  }
}

// dtable [vocab, features] += the rows of dy.
template <class T>
void embedding_backward(int64_t threads, const EmbeddingArgs& args, int64_t padding_idx, const T* dy, T* dtable,
                        void* workspace) {
  const SortedIds ids = sort_ids(args, padding_idx, workspace);
  const IdRow* sorted = ids.rows;

  // A piece of work sums the runs of equal ids that begin in it.
  const int64_t features = args.features;
  parallel_ranges(threads, ids.count, rows_per_embedding_piece(features), [&](int64_t begin, int64_t end) {
    int64_t k = begin;
    while (k > 0 && k < end && sorted[k].id == sorted[k - 1].id) ++k;
    while (k < end) {
      const int64_t id = sorted[k].id, run = k;
      while (k < ids.count && sorted[k].id == id) ++k;
      add_rows(features, dy, sorted + run, k - run, dtable + id * features);
    }
  });
}

// row_ids [rows] <- each row's id where the row is the first of its id's rows that have a gradient, else -1; drows
// [rows, features] <- the id's gradient there, else 0.
template <class T>
void embedding_backward_rows(int64_t threads, const EmbeddingArgs& args, int64_t padding_idx, const T* dy,
                             int64_t* row_ids, T* drows, void* workspace) {
  const SortedIds ids = sort_ids(args, padding_idx, workspace);
  const int64_t features = args.features;
  std::fill_n(row_ids, args.rows, int64_t{-1});
  IdRow* runs = ids.spare;  // at the first row of an id: where its run begins and ends
  for (int64_t begin = 0, end = 0; begin < ids.count; begin = end) {
    const IdRow& first = ids.rows[begin];
    while (end < ids.count && ids.rows[end].id == first.id) ++end;
    row_ids[first.row] = first.id;
    runs[first.row] = {begin, end};
  }
  parallel_ranges(threads, args.rows, rows_per_embedding_piece(features), [&](int64_t begin, int64_t end) {
    std::fill_n(drows + begin * features, (end - begin) * features, T(0));
    for (int64_t n = begin; n < end; ++n) {
      const auto [run, run_end] = runs[n];
      if (row_ids[n] >= 0) add_rows(features, dy, ids.rows + run, run_end - run, drows + n * features);
    }
  });
}

}  // namespace varlstm::host
