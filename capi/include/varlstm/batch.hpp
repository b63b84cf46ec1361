// Part of varlstm.hpp: the plan of a mini-batch from its lengths, pack and unpack.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>

#include "core.hpp"

namespace varlstm {

// The layout of data that is not packed: ragged(), batch_first(padded_len) or time_major(padded_len).
struct Layout {
  int32_t layout;
  int64_t padded_len;
};
inline Layout ragged() {
  return {VARLSTM_LAYOUT_RAGGED, 0};
}
inline Layout batch_first(int64_t padded_len) {
  return {VARLSTM_LAYOUT_BATCH_FIRST, padded_len};
}
inline Layout time_major(int64_t padded_len) {
  return {VARLSTM_LAYOUT_TIME_MAJOR, padded_len};
}

class Batch {
 public:
  Batch(const Context& ctx, int64_t max_batch, int64_t max_len, int64_t max_tokens) {
    varlstm_batch* batch = nullptr;
    check(varlstm_batch_create(ctx.get(), max_batch, max_len, max_tokens, &batch));
    batch_ = Handle(batch, {ctx.share()});
  }
  // A batch with the smallest bounds for these lengths, which are in host memory and are set.
  Batch(const Context& ctx, Span<const int64_t> lengths) : Batch(ctx, bounds_of(lengths)) { set_lengths(lengths); }
  // The same for Batch(ctx, {2, 4, 1}).
  Batch(const Context& ctx, std::initializer_list<int64_t> lengths) : Batch(ctx, span_of(lengths)) {}

  varlstm_batch* get() const { return batch_.get(); }
  Context context() const { return Context(batch_.get_deleter().ctx); }

  void set_lengths(Span<const int64_t> lengths, int32_t space = VARLSTM_SPACE_HOST, void* stream = nullptr) {
    check(varlstm_batch_set_lengths(get(), lengths.data(), lengths.size(), space, stream));
  }
  void set_lengths(std::initializer_list<int64_t> lengths) { set_lengths(span_of(lengths)); }
  void from_batch_sizes(Span<const int64_t> batch_sizes, Span<const int64_t> sorted_indices = {},
                        void* stream = nullptr) {
    // The library itself refuses a span that has a size but no data.
    const int64_t count = batch_sizes.data() == nullptr ? 0 : batch_sizes.data()[0];
    detail::need_or_empty("sorted_indices", sorted_indices, {{"batch_sizes[0]", count}});
    check(varlstm_batch_from_batch_sizes(get(), batch_sizes.data(), batch_sizes.size(), sorted_indices.data(), stream));
  }

  // varlstm_batch_set_resets: a byte for each row of `layout`, which is 1 where the state before the row is zero. The
  // rnn needs VARLSTM_KEY_RESETS.
  void set_resets(Layout layout, Span<const uint8_t> resets, int32_t space = VARLSTM_SPACE_HOST,
                  void* stream = nullptr) {
    static const uint8_t none = 0;  // NULL would take the resets back
    const uint8_t* flags = resets.size() == 0 ? &none : resets.data();
    check(varlstm_batch_set_resets(get(), flags, resets.size(), layout.layout, layout.padded_len, space, stream));
  }
  // The batch has no resets any more.
  void clear_resets(void* stream = nullptr) {
    check(varlstm_batch_set_resets(get(), nullptr, 0, VARLSTM_LAYOUT_RAGGED, 0, VARLSTM_SPACE_HOST, stream));
  }

  int64_t get_i64(int32_t key) const {
    int64_t value = 0;
    check(varlstm_batch_get_i64(get(), key, &value));
    return value;
  }
  // B.
  int64_t size() const { return get_i64(VARLSTM_KEY_BATCH); }
  // The rows of packed and ragged data: N, or max_tokens if only the device knows the lengths.
  int64_t rows() const {
    int64_t tokens = 0;
    const int32_t status = varlstm_batch_get_i64(get(), VARLSTM_KEY_TOKENS, &tokens);
    if (status == VARLSTM_ERROR_UNSUPPORTED) return get_i64(VARLSTM_KEY_MAX_TOKENS);
    check(status);
    return tokens;
  }
  // An index array of the plan, in the back end's memory; `which` is a varlstm_batch_array.
  Span<const int64_t> array(int32_t which) const {
    const int64_t* data = nullptr;
    int64_t count = 0;
    check(varlstm_batch_get_array(get(), which, &data, &count));
    return {data, count};
  }

 private:
  using Handle = detail::Handle<varlstm_batch, varlstm_batch_destroy>;
  static Span<const int64_t> span_of(std::initializer_list<int64_t> list) {
    return {list.begin(), static_cast<int64_t>(list.size())};
  }

  struct Bounds {
    int64_t batch, len, tokens;
  };
  Batch(const Context& ctx, const Bounds& bounds) : Batch(ctx, bounds.batch, bounds.len, bounds.tokens) {}

  // A negative length counts as 0 here, and a span that has a size but no data as zeros, because set_lengths then
  // reports them with the index. A sum that varlstm_batch_create does not take is an error here.
  static Bounds bounds_of(Span<const int64_t> lengths) {
    constexpr int64_t kMostTokens = int64_t{1} << 53;
    Bounds bounds = {std::max<int64_t>(lengths.size(), 0), 0, 0};
    for (int64_t b = 0; lengths.data() != nullptr && b < lengths.size(); ++b) {
      const int64_t length = std::max<int64_t>(lengths.data()[b], 0);
      if (length > kMostTokens - bounds.tokens) {
        throw Error(VARLSTM_ERROR_INVALID_ARGUMENT, "lengths[" + std::to_string(b) + "] = " + std::to_string(length) +
                                                        " makes the sum of the lengths more than fits in memory");
      }
      bounds.len = std::max(bounds.len, length);
      bounds.tokens += length;
    }
    return bounds;
  }

  Handle batch_;
};

namespace detail {

template <class T>
void need_packed(const char* name, Span<T> packed, const Batch& batch, int64_t features) {
  need(name, packed, {{"rows", batch.rows()}, {"features", features}});
}

template <class T>
void need_laid_out(const char* name, Span<T> data, const Batch& batch, Layout layout, int64_t features) {
  if (layout.layout == VARLSTM_LAYOUT_RAGGED) return need_packed(name, data, batch, features);
  const bool padded = layout.layout == VARLSTM_LAYOUT_BATCH_FIRST || layout.layout == VARLSTM_LAYOUT_TIME_MAJOR;
  if (!padded) return;  // The library itself refuses an unknown layout.
  need(name, data, {{"batch", batch.size()}, {"padded_len", layout.padded_len}, {"features", features}});
}

}  // namespace detail

template <class T>
void pack(const Batch& batch, Layout layout, int64_t features, Span<const T> src, Span<T> packed,
          void* stream = nullptr) {
  detail::need_laid_out("src", src, batch, layout, features);
  detail::need_packed("packed", packed, batch, features);
  check(varlstm_pack(batch.get(), dtype_of<T>(), layout.layout, layout.padded_len, features, src.data(), packed.data(),
                     stream));
}

template <class T>
void unpack(const Batch& batch, Layout layout, int64_t features, double pad_value, Span<const T> packed, Span<T> dst,
            void* stream = nullptr) {
  detail::need_packed("packed", packed, batch, features);
  detail::need_laid_out("dst", dst, batch, layout, features);
  check(varlstm_unpack(batch.get(), dtype_of<T>(), layout.layout, layout.padded_len, features, pad_value, packed.data(),
                       dst.data(), stream));
}

template <class T>
void pack_backward(const Batch& batch, Layout layout, int64_t features, Span<const T> dpacked, Span<T> dsrc,
                   void* stream = nullptr) {
  detail::need_packed("dpacked", dpacked, batch, features);
  detail::need_laid_out("dsrc", dsrc, batch, layout, features);
  check(varlstm_pack_backward(batch.get(), dtype_of<T>(), layout.layout, layout.padded_len, features, dpacked.data(),
                              dsrc.data(), stream));
}

template <class T>
void unpack_backward(const Batch& batch, Layout layout, int64_t features, Span<const T> ddst, Span<T> dpacked,
                     void* stream = nullptr) {
  detail::need_laid_out("ddst", ddst, batch, layout, features);
  detail::need_packed("dpacked", dpacked, batch, features);
  check(varlstm_unpack_backward(batch.get(), dtype_of<T>(), layout.layout, layout.padded_len, features, ddst.data(),
                                dpacked.data(), stream));
}

}  // namespace varlstm
