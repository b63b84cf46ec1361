// Pack and unpack move rows of F features between the caller's layout and the packed layout, without looking at their
// values.
//
//   pack    packed row step_offsets[t] + j <- source row of (b = sorted_indices[j], t)
//   unpack  the other way round; padding <- pad_value
//
// Source rows: batch first b * padded_len + t, time major t * B + b, ragged cu_seqlens[b] + t. src and dst must not
// overlap. Padding is never read. unpack with pad_value 0 is the adjoint of pack, and pack is that of unpack. Bytes
// moved: 2 N F e (e bytes for each element) and about 40 bytes of indices for each row; unpack also writes the padding.
// Bound by memory bandwidth. min(32, words) neighbouring threads move a row, in words of 16 bytes if its size and both
// pointers allow it, otherwise of 8, 4 or 2. A block has 256 threads; no shared memory, no synchronisation. Nothing is
// computed, so all bits are kept. Mirrored by host/ops/pack.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/pack/pack.h"

#include <string.h>

#include "kernels/core/launch.h"
#include "kernels/core/rows.h"
#include "kernels/core/vector.h"
#include "varlstm.h"

namespace varlstm::cuda {

// dst row <- src row, or `fill` if there is no source.
template <class Word>
VARLSTM_DEVICE void move_row(const RowThread& thread, int64_t words, const Word* src, const Word& fill, Word* dst) {
  for (int64_t w = thread.first_word; w < words; w += thread.word_step) dst[w] = src != nullptr ? src[w] : fill;
}

template <class Word>
VARLSTM_KERNEL void pack_kernel(BatchPlan plan, Layout layout, int64_t padded_len, int64_t rows, int64_t words,
                                const Word* src, Word* packed) {
  const RowThread thread = row_thread();
  const int64_t tokens = plan.step_offsets[plan.bounds.max_len];
  for (int64_t row = thread.row; row < rows; row += thread.row_step) {
    int64_t source = -1;
    if (row < tokens && layout == Layout::kRagged) {
      source = plan.packed_to_ragged[row];
    } else if (row < tokens) {
      const int64_t t = count_not_above(plan.step_offsets, plan.bounds.max_len + 1, row) - 1;
      const int64_t b = plan.sorted_indices[row - plan.step_offsets[t]];
      if (t < padded_len) source = layout == Layout::kBatchFirst ? b * padded_len + t : t * plan.batch + b;
    }
    move_row(thread, words, source < 0 ? nullptr : src + source * words, Word{}, packed + row * words);
  }
}

template <class Word>
VARLSTM_KERNEL void unpack_ragged_kernel(BatchPlan plan, int64_t rows, int64_t words, const Word* packed, Word* dst) {
  const RowThread thread = row_thread();
  const int64_t tokens = plan.step_offsets[plan.bounds.max_len];
  for (int64_t row = thread.row; row < rows; row += thread.row_step) {
    const Word* source = row < tokens ? packed + plan.ragged_to_packed[row] * words : nullptr;
    move_row(thread, words, source, Word{}, dst + row * words);
  }
}

template <class Word>
VARLSTM_KERNEL void unpack_padded_kernel(BatchPlan plan, bool batch_first, int64_t padded_len, int64_t words, Word fill,
                                         const Word* packed, Word* dst) {
  const RowThread thread = row_thread();
  for (int64_t row = thread.row; row < plan.batch * padded_len; row += thread.row_step) {
    const int64_t b = batch_first ? row / padded_len : row % plan.batch;
    const int64_t t = batch_first ? row % padded_len : row / plan.batch;
    const bool token = t < plan.lengths[b];
    const Word* source = token ? packed + (plan.step_offsets[t] + plan.unsorted_indices[b]) * words : nullptr;
    move_row(thread, words, source, fill, dst + row * words);
  }
}

namespace {

int64_t element_bytes(DType dtype) {
  return dtype == DType::kBF16 || dtype == DType::kF16 ? 2 : dtype == DType::kF32 ? 4 : 8;
}

int64_t row_bound(const BatchPlan& plan) {
  return plan.tokens >= 0 ? plan.tokens : plan.bounds.max_tokens;
}

// Returns the bits of `value` in the dtype, rounded once.
uint64_t element_bits(DType dtype, double value) {
  const float narrow = static_cast<float>(value);
  uint64_t bits = 0;
  uint32_t word = 0;
  switch (dtype) {
    case DType::kF32:
      memcpy(&word, &narrow, sizeof word);
      return word;
    case DType::kBF16:
      return simt::to_bf16(narrow);
    case DType::kF16:
      return simt::to_f16(narrow);
    case DType::kI64:
      return static_cast<uint64_t>(static_cast<int64_t>(value));
    default:
      memcpy(&bits, &value, sizeof bits);
      return bits;
  }
}

// Returns a word full of elements of `bytes` bytes. Pointers are aligned to an element, so no word is smaller than an
// element.
template <class Word>
Word repeated(uint64_t element, int64_t bytes) {
  unsigned char raw[sizeof(Word)];
  for (size_t k = 0; k < sizeof raw; ++k)
    raw[k] = static_cast<unsigned char>(element >> (8 * (k % static_cast<size_t>(bytes))));
  Word word;
  memcpy(&word, raw, sizeof word);
  return word;
}

}  // namespace

int32_t pack(Stream stream, const PackArgs& args, const void* src, void* packed) {
  const int64_t bytes = args.features * element_bytes(args.dtype);
  const int64_t rows = row_bound(*args.batch);
  if (rows == 0 || bytes == 0) return VARLSTM_OK;
  return with_word(widest_word(bytes, src, packed), [&](auto word) {
    using Word = decltype(word);
    const int64_t words = bytes / static_cast<int64_t>(sizeof(Word));
    return launch<pack_kernel<Word>>(stream, "pack", row_shape(stream, rows, words), *args.batch, args.layout,
                                     args.padded_len, rows, words, static_cast<const Word*>(src),
                                     static_cast<Word*>(packed));
  });
}

int32_t unpack(Stream stream, const PackArgs& args, double pad_value, const void* packed, void* dst) {
  const BatchPlan& plan = *args.batch;
  const int64_t bytes = args.features * element_bytes(args.dtype);
  const bool ragged = args.layout == Layout::kRagged;
  const int64_t rows = ragged ? row_bound(plan) : plan.batch * args.padded_len;
  if (rows == 0 || bytes == 0) return VARLSTM_OK;
  return with_word(widest_word(bytes, packed, dst), [&](auto word) {
    using Word = decltype(word);
    const int64_t words = bytes / static_cast<int64_t>(sizeof(Word));
    const LaunchShape shape = row_shape(stream, rows, words);
    const Word* from = static_cast<const Word*>(packed);
    Word* to = static_cast<Word*>(dst);
    if (ragged) return launch<unpack_ragged_kernel<Word>>(stream, "unpack_ragged", shape, plan, rows, words, from, to);
    return launch<unpack_padded_kernel<Word>>(
        stream, "unpack_padded", shape, plan, args.layout == Layout::kBatchFirst, args.padded_len, words,
        repeated<Word>(element_bits(args.dtype, pad_value), element_bytes(args.dtype)), from, to);
  });
}

}  // namespace varlstm::cuda
