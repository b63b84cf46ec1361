// Embedding: rows of a table selected by ids, and the gradient added back into the table.
//
//   forward   y[n] <- table[ids[n]]                        y [rows, F], table [V, F], ids [rows]
//   backward  dtable[v] += sum of dy[n] over ids[n] = v    in a fixed order, without atomics
//   rows      the same sums without the table: drows[n] <- that of ids[n], row_ids[n] <- ids[n] where n is the first of
//             its id's rows, else 0 and -1
//
// Rows beyond the batch's tokens, and ids outside [0, V), give zeros and no gradient; such ids raise
// BadValue::kTokenId. padding_idx gives no gradient. Forward moves 2 rows F e bytes (e bytes for each element) and is
// bound by memory; threads share a row as in kernels/core/rows.h.
// Backward sorts the pairs (id, n), with rows without a gradient last (key V). The sorted order is cut into chunks of
// kChunk positions. A run of equal ids is cut into pieces at the borders of chunks, so that many threads work on a
// frequent id:
//   sum_pieces     The rows of a piece are added in the order of n. If the run is one piece, the sum goes to dtable.
//                  Otherwise it goes to partial[chunk][0] (the piece begins with its chunk) or [1] (it begins later).
//   join_pieces    The partial sums of the run are added in order, then to dtable, by the threads of its first chunk.
// In both a group of up to 32 threads takes one slab of a row, with one feature for each thread, so that the work on
// long rows is spread as well.
// At most kMostSearched rows are not sorted. sum_found, one kernel, gives the same bits: a warp takes one slab of a row
// and reads all ids. It goes on if no earlier row has its id, and then adds the later rows with that id in order; the
// number of rows with a smaller id is the position where the run would begin, and so gives its pieces. rows^2 slabs /
// 32 reads of ids for a lane of each warp, from the caches. Not measured on a GPU. Example: sorted ids 5 at positions
// 60 to 139. The run has the pieces 60 to 63 (chunk 0, partial[0][1]), 64 to 127 (partial[1][0]) and 128 to 139
// (partial[2][0]); the group of chunk 0 joins them. Bytes: rows F e of dy, 2 F e for each id that occurs, 32 for each
// pair and digit of the sort; workspace as carved below. No shared memory, no synchronisation. Sums are in f32 (f64 for
// F64) and rounded once when stored: bit-identical from run to run. Mirrored by host/ops/embedding.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/embedding/embedding.h"

#include "kernels/core/bad_value.h"
#include "kernels/core/carve.h"
#include "kernels/core/launch.h"
#include "kernels/core/reduce.h"
#include "kernels/core/rows.h"
#include "kernels/core/scalar.h"
#include "kernels/core/vector.h"
#include "kernels/sort/sort.h"
#include "varlstm.h"

namespace varlstm::cuda {

constexpr int64_t kChunk = 64;
constexpr int64_t kMostSearched = 1024;

// Returns how many rows count. `tokens` points to their number, or is null if all rows count.
VARLSTM_DEVICE int64_t counted_rows(const int64_t* tokens, int64_t rows) {
  return tokens == nullptr || *tokens > rows ? rows : *tokens;
}

template <class Word>
VARLSTM_KERNEL void embedding_forward_kernel(int64_t rows, int64_t vocab, int64_t words, const int64_t* tokens,
                                             const int64_t* ids, const Word* table, Word* y, DeviceStatus* status) {
  const RowThread thread = row_thread();
  const int64_t counted = counted_rows(tokens, rows);
  for (int64_t n = thread.row; n < rows; n += thread.row_step) {
    const int64_t id = n < counted ? ids[n] : 0;
    const bool in_vocab = id >= 0 && id < vocab;
    if (!in_vocab && thread.first_word == 0) flag_bad_value(status, BadValue::kTokenId, n);
    const Word* source = n < counted && in_vocab ? table + id * words : nullptr;
    for (int64_t w = thread.first_word; w < words; w += thread.word_step)
      y[n * words + w] = source != nullptr ? source[w] : Word{};
  }
}

// The ids of backward.
struct EmbeddingIds {
  int64_t rows, vocab, padding_idx;
  const int64_t* tokens;
  const int64_t* ids;

  VARLSTM_DEVICE bool in_vocab(int64_t n) const { return ids[n] >= 0 && ids[n] < vocab; }
  // The row's id, or vocab if the row has no gradient.
  VARLSTM_DEVICE int64_t key(int64_t n, int64_t counted) const {
    return n < counted && in_vocab(n) && ids[n] != padding_idx ? ids[n] : vocab;
  }
};

VARLSTM_KERNEL void embedding_keys_kernel(EmbeddingIds rows, uint64_t* keys, int64_t* identity, DeviceStatus* status) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t counted = counted_rows(rows.tokens, rows.rows);
  for (int64_t n = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; n < rows.rows; n += stride) {
    if (n < counted && !rows.in_vocab(n)) flag_bad_value(status, BadValue::kTokenId, n);
    keys[n] = static_cast<uint64_t>(rows.key(n, counted));
    identity[n] = n;
  }
}

// The operands of both kernels over the sorted pairs. C: the type of the sums.
template <class C>
struct SortedRows {
  int64_t rows, vocab, features;
  const uint64_t* keys;  // [rows] sorted
  const int64_t* order;  // [rows] the rows of the pairs
  C* partial;            // [chunks, 2, F]
  bool as_rows;          // a run's sum goes to its first row

  // Where the run's sum goes that begins at `begin`.
  VARLSTM_DEVICE int64_t target(int64_t begin) const {
    return as_rows ? order[begin] : static_cast<int64_t>(keys[begin]);
  }
  VARLSTM_DEVICE int64_t slabs() const { return (features + blockDim.x - 1) / blockDim.x; }
  // The thread's feature in this slab of a row. There is none if the result is `features` or more.
  VARLSTM_DEVICE int64_t feature(int64_t slab) const { return slab * blockDim.x + threadIdx.x; }
  VARLSTM_DEVICE bool starts_run(int64_t k) const { return k == 0 || keys[k] != keys[k - 1]; }
  VARLSTM_DEVICE bool ends_run(int64_t k) const { return k == rows || keys[k] != keys[k - 1]; }
};

// dtable <- dtable + sum, rounded once.
template <class T>
VARLSTM_DEVICE void add_to(T* target, ComputeType<T> sum) {
  *target = store_scalar<T>(load_scalar(*target) + sum);
}

template <class T>
VARLSTM_KERNEL void sum_pieces_kernel(SortedRows<ComputeType<T>> sorted, const T* dy, T* dtable) {
  using C = ComputeType<T>;
  const RowThread thread = row_thread();
  const int64_t slabs = sorted.slabs();
  for (int64_t group = thread.row; group < sorted.rows * slabs; group += thread.row_step) {
    const int64_t begin = group / slabs;
    const int64_t f = sorted.feature(group % slabs);
    const uint64_t key = sorted.keys[begin];
    const bool first = sorted.starts_run(begin);
    if (f >= sorted.features || key == static_cast<uint64_t>(sorted.vocab)) continue;
    if (!first && begin % kChunk != 0) continue;
    int64_t end = begin + 1;
    while (end < sorted.rows && end % kChunk != 0 && sorted.keys[end] == key) ++end;
    C sum = 0;
    for (int64_t k = begin; k < end; ++k) sum += load_scalar(dy[sorted.order[k] * sorted.features + f]);
    if (first && sorted.ends_run(end)) {
      add_to(dtable + sorted.target(begin) * sorted.features + f, sum);
    } else {
      sorted.partial[(begin / kChunk * 2 + (begin % kChunk == 0 ? 0 : 1)) * sorted.features + f] = sum;
    }
  }
}

// A group takes the chunk in which a run of several pieces begins. At most one run continues beyond a chunk.
template <class T>
VARLSTM_KERNEL void join_pieces_kernel(SortedRows<ComputeType<T>> sorted, T* dtable) {
  using C = ComputeType<T>;
  const RowThread thread = row_thread();
  const int64_t slabs = sorted.slabs();
  const int64_t borders = (sorted.rows - 1) / kChunk;
  for (int64_t group = thread.row; group < borders * slabs; group += thread.row_step) {
    const int64_t chunk = group / slabs;
    const int64_t f = sorted.feature(group % slabs);
    const int64_t border = (chunk + 1) * kChunk;
    const uint64_t key = sorted.keys[border - 1];
    if (f >= sorted.features || key == static_cast<uint64_t>(sorted.vocab) || sorted.keys[border] != key) continue;
    int64_t begin = border - 1;
    while (begin > chunk * kChunk && sorted.keys[begin - 1] == key) --begin;
    if (!sorted.starts_run(begin)) continue;  // the run began in an earlier chunk
    const int64_t end =
        count_not_above(reinterpret_cast<const int64_t*>(sorted.keys), sorted.rows, static_cast<int64_t>(key));
    const int64_t last = (end - 1) / kChunk;
    const C* partial = sorted.partial + f;
    C sum = partial[(chunk * 2 + (begin % kChunk == 0 ? 0 : 1)) * sorted.features];
#pragma unroll 8
    for (int64_t next = chunk + 1; next <= last; ++next) sum += partial[next * 2 * sorted.features];
    add_to(dtable + sorted.target(begin) * sorted.features + f, sum);
  }
}

// row_ids [rows] <- the id of each run at its first row, else -1.
VARLSTM_KERNEL void first_rows_kernel(int64_t rows, int64_t vocab, const uint64_t* keys, const int64_t* order,
                                      int64_t* row_ids) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < rows; k += stride) {
    const bool first = keys[k] != static_cast<uint64_t>(vocab) && (k == 0 || keys[k] != keys[k - 1]);
    row_ids[order[k]] = first ? static_cast<int64_t>(keys[k]) : -1;
  }
}

constexpr unsigned kSearchBlock = 256, kWarp = 32, kAllLanes = 0xffffffffu;

// Returns the position of the first row of the run of row n in the sorted order, or -1 if n is not that row. A warp
// calls this together.
VARLSTM_DEVICE int64_t begin_of_run(const EmbeddingIds& rows, int64_t counted, int64_t n, int64_t key) {
  int64_t smaller = 0;
  int earlier = 0;
  for (int64_t other = threadIdx.x % kWarp; other < counted; other += kWarp) {
    const int64_t of_other = rows.key(other, counted);
    smaller += of_other < key;
    earlier |= of_other == key && other < n;
  }
  smaller = warp_sum(smaller);
  return simt::ballot(kAllLanes, earlier) != 0 ? -1 : smaller;
}

// row_ids: null if the sums are added to a table, otherwise `sums` are rows.
template <class T>
VARLSTM_KERNEL void __launch_bounds__(kSearchBlock) sum_found_kernel(EmbeddingIds rows, int64_t features, const T* dy,
                                                                     T* sums, int64_t* row_ids, DeviceStatus* status) {
  using C = ComputeType<T>;
  const unsigned lane = threadIdx.x % kWarp;
  const int64_t slabs = (features + kWarp - 1) / kWarp, counted = counted_rows(rows.tokens, rows.rows);
  const int64_t step = static_cast<int64_t>(gridDim.x) * (kSearchBlock / kWarp);
  for (int64_t group = static_cast<int64_t>(blockIdx.x) * (kSearchBlock / kWarp) + threadIdx.x / kWarp;
       group < (row_ids == nullptr ? counted : rows.rows) * slabs; group += step) {
    const int64_t n = group / slabs, f = group % slabs * kWarp + lane, key = rows.key(n, counted);
    const bool speaks = group % slabs == 0 && lane == 0;
    if (n < counted && !rows.in_vocab(n) && speaks) flag_bad_value(status, BadValue::kTokenId, n);
    const int64_t begin = key == rows.vocab ? -1 : begin_of_run(rows, counted, n, key);
    if (row_ids != nullptr && speaks) row_ids[n] = begin < 0 ? -1 : key;
    C total = 0, sum = 0;  // of the pieces before, and of this piece
    int64_t position = begin, pieces = 0;
    for (int64_t base = n / kWarp * kWarp; begin >= 0 && base < counted; base += kWarp) {
      const unsigned found =
          simt::ballot(kAllLanes, base + lane < counted && rows.key(base + lane, counted) == key ? 1 : 0);
      for (unsigned k = 0; k < kWarp; ++k) {
        if ((found >> k & 1) == 0) continue;
        if (position % kChunk == 0 && position != begin) {
          total = pieces++ == 0 ? sum : total + sum;
          sum = 0;
        }
        if (f < features) sum += load_scalar(dy[(base + k) * features + f]);
        ++position;
      }
    }
    if (f >= features) continue;
    const C of_run = pieces == 0 ? sum : total + sum;
    if (row_ids != nullptr) {
      sums[n * features + f] = store_scalar<T>(C(0) + of_run);  // as if added to a table of zeros
    } else if (begin >= 0) {
      add_to(sums + key * features + f, of_run);
    }
  }
}

namespace {

struct Workspace {
  uint64_t *keys, *sorted_keys;
  int64_t *identity, *order;
  void* partial;
  void* sort;
  int64_t sort_bytes;
};

int64_t chunks_of(int64_t rows) {
  return (rows + kChunk - 1) / kChunk;
}

// Returns the bytes.
int64_t carve(void* base, DType dtype, int64_t rows, int64_t features, int64_t sort_bytes, Workspace* workspace) {
  const int64_t sums = chunks_of(rows) * 2 * features;
  Carver carver(base);
  workspace->keys = carver.take<uint64_t>(rows);
  workspace->sorted_keys = carver.take<uint64_t>(rows);
  workspace->identity = carver.take<int64_t>(rows);
  workspace->order = carver.take<int64_t>(rows);
  workspace->partial = dtype == DType::kF64 ? static_cast<void*>(carver.take<double>(sums))
                                            : static_cast<void*>(carver.take<float>(sums));
  workspace->sort = carver.take<unsigned char>(sort_bytes);
  workspace->sort_bytes = sort_bytes;
  return carver.bytes();
}

const int64_t* tokens_of(const EmbeddingArgs& args) {
  return args.batch == nullptr ? nullptr : args.batch->step_offsets + args.batch->bounds.max_len;
}

EmbeddingIds ids_of(const EmbeddingArgs& args, int64_t padding_idx) {
  return {args.rows, args.vocab, padding_idx, tokens_of(args), args.ids};
}

int64_t scalar_bytes(DType dtype) {
  return dtype == DType::kF64 ? 8 : dtype == DType::kF32 ? 4 : 2;
}

}  // namespace

int32_t embedding_forward(Stream stream, const EmbeddingArgs& args, const void* table, void* y) {
  const int64_t bytes = args.features * scalar_bytes(args.dtype);
  if (args.rows == 0 || bytes == 0) return VARLSTM_OK;
  return with_word(widest_word(bytes, table, y), [&](auto word) {
    using Word = decltype(word);
    const int64_t words = bytes / static_cast<int64_t>(sizeof(Word));
    return launch<embedding_forward_kernel<Word>>(
        stream, "embedding_forward", row_shape(stream, args.rows, words), args.rows, args.vocab, words, tokens_of(args),
        args.ids, static_cast<const Word*>(table), static_cast<Word*>(y), stream.state->status);
  });
}

int32_t embedding_workspace(DType dtype, int64_t rows, int64_t features, int64_t* bytes) {
  int64_t sort_bytes = 0, sums = 0, pairs = 0;
  if (__builtin_mul_overflow(rows, 64, &pairs) || __builtin_mul_overflow(chunks_of(rows), 16, &sums) ||
      __builtin_mul_overflow(sums, features, &sums) || sums > INT64_MAX / 4 || pairs > INT64_MAX / 4)
    return fail(VARLSTM_ERROR_INVALID_ARGUMENT, "the workspace's bytes do not fit 63 bits");
  VARLSTM_CUDA_TRY(sort_workspace(rows, &sort_bytes));
  Workspace workspace;
  *bytes = carve(nullptr, dtype, rows, features, sort_bytes, &workspace);
  return VARLSTM_OK;
}

int32_t embedding_backward(Stream stream, const EmbeddingArgs& args, int64_t padding_idx, const void* dy, void* dtable,
                           void* workspace) {
  if (args.rows == 0 || args.features == 0) return VARLSTM_OK;
  return args.rows <= kMostSearched ? add_found_rows(stream, args, padding_idx, dy, dtable)
                                    : add_sorted_rows(stream, args, padding_idx, dy, dtable, workspace);
}

namespace {

// row_ids: as in sum_found_kernel.
int32_t sum_found(Stream stream, const EmbeddingArgs& args, int64_t padding_idx, const void* dy, void* sums,
                  int64_t* row_ids) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    const int64_t slabs = (args.features + kWarp - 1) / kWarp;
    return launch<sum_found_kernel<T>>(stream, "sum_found",
                                       elementwise_shape(stream, args.rows * slabs * kWarp, kSearchBlock),
                                       ids_of(args, padding_idx), args.features, static_cast<const T*>(dy),
                                       static_cast<T*>(sums), row_ids, stream.state->status);
  });
}

// row_ids: as in sum_found_kernel. Rows must be zero before.
int32_t sum_sorted(Stream stream, const EmbeddingArgs& args, int64_t padding_idx, const void* dy, void* sums,
                   int64_t* row_ids, void* workspace_base) {
  int64_t sort_bytes = 0;
  VARLSTM_CUDA_TRY(sort_workspace(args.rows, &sort_bytes));
  Workspace workspace;
  carve(workspace_base, args.dtype, args.rows, args.features, sort_bytes, &workspace);
  VARLSTM_CUDA_TRY(launch<embedding_keys_kernel>(stream, "embedding_keys", elementwise_shape(stream, args.rows),
                                                 ids_of(args, padding_idx), workspace.keys, workspace.identity,
                                                 stream.state->status));
  VARLSTM_CUDA_TRY(stable_sort_pairs(stream, args.rows, args.vocab, workspace.keys, workspace.sorted_keys,
                                     workspace.identity, workspace.order, workspace.sort, workspace.sort_bytes));
  if (row_ids != nullptr)
    VARLSTM_CUDA_TRY(launch<first_rows_kernel>(stream, "first_rows", elementwise_shape(stream, args.rows), args.rows,
                                               args.vocab, workspace.sorted_keys, workspace.order, row_ids));
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    using C = ComputeType<T>;
    const SortedRows<C> sorted{args.rows,         args.vocab,
                               args.features,     workspace.sorted_keys,
                               workspace.order,   static_cast<C*>(workspace.partial),
                               row_ids != nullptr};
    const unsigned threads = threads_per_row(args.features);
    const int64_t slabs = (args.features + threads - 1) / threads;
    VARLSTM_CUDA_TRY(launch<sum_pieces_kernel<T>>(stream, "sum_pieces", row_shape(stream, args.rows * slabs, threads),
                                                  sorted, static_cast<const T*>(dy), static_cast<T*>(sums)));
    const int64_t borders = chunks_of(args.rows) - 1;
    return launch<join_pieces_kernel<T>>(stream, "join_pieces", row_shape(stream, borders * slabs, threads), sorted,
                                         static_cast<T*>(sums));
  });
}

}  // namespace

int32_t add_found_rows(Stream stream, const EmbeddingArgs& args, int64_t padding_idx, const void* dy, void* dtable) {
  return sum_found(stream, args, padding_idx, dy, dtable, nullptr);
}

int32_t add_sorted_rows(Stream stream, const EmbeddingArgs& args, int64_t padding_idx, const void* dy, void* dtable,
                        void* workspace) {
  return sum_sorted(stream, args, padding_idx, dy, dtable, nullptr, workspace);
}

int32_t embedding_backward_rows(Stream stream, const EmbeddingArgs& args, int64_t padding_idx, const void* dy,
                                int64_t* row_ids, void* drows, void* workspace) {
  if (args.rows == 0) return VARLSTM_OK;
  if (args.rows <= kMostSearched) return sum_found(stream, args, padding_idx, dy, drows, row_ids);
  const size_t bytes = static_cast<size_t>(args.rows * args.features * scalar_bytes(args.dtype));
  VARLSTM_CUDA_TRY(check_runtime(cudaMemsetAsync(drows, 0, bytes, stream.handle), "cudaMemsetAsync"));
  return sum_sorted(stream, args, padding_idx, dy, drows, row_ids, workspace);
}

}  // namespace varlstm::cuda
