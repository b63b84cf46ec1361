// Finds the kept rows of a chunk, and moves them together and back.
//
//   select  kept[k] = row of the chunk, for its kept rows in order, k < count; places[kept[k]] = k, -1 at other rows
//   move    dst row k <- src row sources[k]: with `kept` it gathers x, with `places` it spreads dx and its zeros
//
// Example: a chunk of 5 rows, of which rows 1, 3 and 4 are kept: count = 3, kept = 1, 3, 4, places = -1, 0, -1, 1, 2.
//
// So rows that are ignored, or past the batch's N, are neither read nor computed. Select runs in one block: each thread
// takes a contiguous piece of the chunk, with a scan between (core/scan.h, with its barriers); 16 bytes of each row are
// read and 16 written. Move: min(32, words) neighbouring threads move a row, in words of up to 16 bytes, without shared
// memory; 2 in e bytes for each row. Both are bound by memory and small compared with the product, which does 2 C
// operations for each element. Only integers and copies: exact. Mirrored by LinearLossChunks in
// host/ops/linear_cross_entropy.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/rows.h"
#include "kernels/core/scalar_dispatch.h"
#include "kernels/core/scan.h"
#include "kernels/core/vector.h"
#include "kernels/linear_cross_entropy/chunk_view.h"

namespace varlstm::cuda {

template <class C>
VARLSTM_KERNEL void __launch_bounds__(kScanBlock)
    select_rows_kernel(LossView<C> view, RowChunk chunk, bool for_gradient, int64_t* count, int64_t* kept,
                       int64_t* places, C* out, C* lse) {
  int64_t* sums = simt::shared_memory<int64_t>();
  const bool none = for_gradient && view.scale() == 0;
  const int64_t piece = (chunk.rows + kScanBlock - 1) / kScanBlock;
  const int64_t begin = piece * threadIdx.x < chunk.rows ? piece * threadIdx.x : chunk.rows;
  const int64_t end = begin + piece < chunk.rows ? begin + piece : chunk.rows;
  int64_t own = 0;
#pragma unroll 1
  for (int64_t row = begin; row < end; ++row) own += !none && view.is_kept(chunk.begin + row);
  int64_t place = exclusive_block_sum(own, sums);
#pragma unroll 1
  for (int64_t row = begin; row < end; ++row) {
    const int64_t at = chunk.begin + row;
    if (!none && view.is_kept(at)) {
      kept[place] = row;
      places[row] = place++;
      continue;
    }
    places[row] = -1;
    if (out != nullptr) out[at] = 0;
    if (lse != nullptr) lse[at] = 0;
  }
  if (threadIdx.x + 1 == kScanBlock) *count = place;
}

template <class Word>
VARLSTM_KERNEL void move_rows_kernel(int64_t rows, const int64_t* limit, const int64_t* sources, int64_t words,
                                     const Word* src, Word* dst) {
  const RowThread thread = row_thread();
  const int64_t end = limit == nullptr || *limit > rows ? rows : *limit;
  for (int64_t row = thread.row; row < end; row += thread.row_step) {
    const int64_t source = sources[row];
    for (int64_t w = thread.first_word; w < words; w += thread.word_step)
      dst[row * words + w] = source < 0 ? Word{} : src[source * words + w];
  }
}

int32_t select_rows(Stream stream, const LossArgs& args, const ChunkScratch& scratch, RowChunk chunk, bool for_gradient,
                    void* out, void* lse) {
  return with_scalar(args.dtype, [&](auto scalar) {
    using C = ComputeType<decltype(scalar)>;
    LaunchShape shape;
    shape.grid = dim3(1);
    shape.block = dim3(kScanBlock);
    shape.shared_bytes = kScanBlock / 32 * sizeof(int64_t);
    C* const each_out = args.reduction == Reduction::kNone ? static_cast<C*>(out) : nullptr;
    return launch<select_rows_kernel<C>>(stream, "select_rows", shape, chunk_view<C>(args, scratch), chunk,
                                         for_gradient, scratch.count, scratch.kept, scratch.places, each_out,
                                         static_cast<C*>(lse));
  });
}

int32_t move_rows(Stream stream, DType dtype, int64_t rows, const int64_t* limit, const int64_t* sources,
                  int64_t features, const void* src, void* dst) {
  return with_scalar(dtype, [&](auto scalar) {
    const int64_t bytes = features * static_cast<int64_t>(sizeof(scalar));
    return with_word(widest_word(bytes, src, dst), [&](auto word) {
      using Word = decltype(word);
      const int64_t words = bytes / static_cast<int64_t>(sizeof(Word));
      return launch<move_rows_kernel<Word>>(stream, "move_rows", row_shape(stream, rows, words), rows, limit, sources,
                                            words, static_cast<const Word*>(src), static_cast<Word*>(dst));
    });
  });
}

}  // namespace varlstm::cuda
