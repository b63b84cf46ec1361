// Convolution over the rows of each word, and the maximum over the word's positions.
//
//   v[p, f] = bias[f] + sum_{k, i} weight[f, i, k] x[begin(w) + p + k - left, i],  zero rows around the word
//   y[w, f] = activation(max_p v[p, f])
//
// Forward copies the rows of a few words into a tile, with zero rows around each word, so that the window of a position
// is one row of width * in adjacent elements, `in` apart from the next. The windows are multiplied by the panels of
// RowKernel::product, whose weights are arranged as [filter, k, i]. A window between two words is computed as well and
// not used. A word that is longer than a tile takes several, and its maxima so far are carried over.
//
// Each v is one chain of additions over (k, i) in order, so y depends neither on the other words nor on the number of
// threads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "capi/contract/shapes.h"
#include "host/carve.h"
#include "host/gemm/weight_panel.h"
#include "host/simd/row_kernel.h"
#include "host/simd/scalar16.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

// The first k whose offset is smaller than the one before or outside [0, rows], or -1.
inline int64_t first_bad_offset(const ConvMaxShape& shape, const int64_t* offsets) {
  int64_t before = 0;
  for (int64_t k = 0; k <= shape.words; ++k) {
    if (offsets[k] < before || offsets[k] > shape.rows) return k;
    before = offsets[k];
  }
  return -1;
}

// arranged [filters, width, in] <- weight [filters, in, width].
template <class T, class C>
void arrange_filters(const ConvMaxShape& shape, const T* weight, C* arranged) {
  for (int64_t f = 0; f < shape.filters; ++f, weight += shape.in * shape.width, arranged += shape.in * shape.width)
    for (int64_t k = 0; k < shape.width; ++k)
      for (int64_t i = 0; i < shape.in; ++i) arranged[k * shape.in + i] = static_cast<C>(weight[i * shape.width + k]);
}

// A tile has windows for this many positions, and a piece of work this many words.
constexpr int64_t kConvTile = 128;
constexpr int64_t kConvPieceWords = 64;

// How many threads work on the words.
inline int64_t conv_max_threads(int64_t threads, const ConvMaxShape& shape) {
  return thread_count(threads, (shape.words + kConvPieceWords - 1) / kConvPieceWords);
}

// What one thread of forward works with.
template <class C>
struct ConvMaxRoom {
  C* rows;      // [kConvTile + width - 1, in]
  C* sums;      // [kConvTile, columns of a panel]
  C* largest;   // [columns of all panels]: the maxima so far of the word
  int64_t* at;  // likewise: their positions in the word
  C* found;     // [columns of a panel]
  int64_t* found_at;

  ConvMaxRoom(const ConvMaxShape& shape, int64_t columns, int64_t panel_columns, Carver& carver) {
    rows = carver.take<C>(kConvTile + shape.width - 1, shape.in);
    sums = carver.take<C>(kConvTile, panel_columns);
    largest = carver.take<C>(columns);
    at = carver.take<int64_t>(columns);
    found = carver.take<C>(panel_columns);
    found_at = carver.take<int64_t>(panel_columns);
  }
};

// The weights of forward's workspace. The rooms of the threads come after them.
template <class C>
struct ConvMaxPanels {
  int64_t panel_columns;  // of every panel but the last, which may have fewer
  int64_t panels;
  int64_t columns;
  C* arranged;  // [filters, width, in]
  C* packed;    // [panels, width * in, panel_columns]
  C* bias;      // [columns]

  ConvMaxPanels(const ConvMaxShape& shape, Carver& carver) {
    panel_columns = kPanelVectors * row_kernel<C>().lanes;
    panels = panel_count(shape.filters, 1, row_kernel<C>().lanes);
    columns = panels * panel_columns;
    arranged = carver.take<C>(shape.filters, shape.width, shape.in);
    packed = carver.take<C>(columns, shape.width, shape.in);
    bias = carver.take<C>(columns);
  }

  C* panel(const ConvMaxShape& shape, int64_t k) const { return packed + k * panel_columns * shape.width * shape.in; }
};

template <class T>
int64_t conv_max_forward_bytes(int64_t threads, const ConvMaxShape& shape) {
  using C = ComputeType<T>;
  Carver carver(nullptr);
  const ConvMaxPanels<C> panels(shape, carver);
  for (int64_t used = conv_max_threads(threads, shape); used > 0; --used)
    ConvMaxRoom<C>(shape, panels.columns, panels.panel_columns, carver);
  return carver.bytes();
}

// Consecutive positions of one word in a tile.
struct ConvMaxSegment {
  int64_t word;
  int64_t position;  // the first one, in the word
  int64_t count;
  int64_t window;  // the tile's window of the first one
};

template <class T>
class ConvMaxForward {
  using C = ComputeType<T>;

 public:
  ConvMaxForward(const ConvMaxForwardArgs& args, const ConvMaxPanels<C>& panels, const ConvMaxRoom<C>& room)
      : args_(args), shape_(args.shape), panels_(panels), room_(room) {}

  void run(int64_t begin, int64_t end) {
    for (int64_t word = begin; word < end; ++word) {
      const int64_t length = args_.offsets[word + 1] - args_.offsets[word];
      if (length == 0) write_empty(word);
      for (int64_t position = 0; position < length;) position += append(word, position, length);
    }
    finish_tile();
  }

 private:
  int64_t left() const { return (shape_.width - 1) / 2; }
  int64_t right() const { return shape_.width / 2; }

  // Adds positions of the word, from `position` on, to the tile, and returns how many. A tile that has no room for the
  // whole word is finished first.
  int64_t append(int64_t word, int64_t position, int64_t length) {
    if (segments_ > 0 && next_window() + length > kConvTile) finish_tile();
    ConvMaxSegment& segment = segment_[segments_];
    segment.word = word;
    segment.position = position;
    segment.window = next_window();
    segment.count = std::min(length - position, kConvTile - segment.window);
    // Rows of the tile: those of the word that the windows touch, and zeros for what lies beyond the word.
    const int64_t first = position - left(), last = position + segment.count + right();
    const int64_t word_first = std::max<int64_t>(first, 0), word_last = std::min(last, length);
    C* const rows = room_.rows + segment.window * shape_.in;
    std::fill(rows, rows + (word_first - first) * shape_.in, C(0));
    const T* const x = static_cast<const T*>(args_.x) + (args_.offsets[word] + word_first) * shape_.in;
    std::copy_n(x, (word_last - word_first) * shape_.in, rows + (word_first - first) * shape_.in);
    std::fill(rows + (word_last - first) * shape_.in, rows + (last - first) * shape_.in, C(0));
    ++segments_;
    return segment.count;
  }

  // The window of the next segment. Two words share the zero rows between them.
  int64_t next_window() const {
    if (segments_ == 0) return 0;
    const ConvMaxSegment& last = segment_[segments_ - 1];
    return last.window + last.count + std::max(left(), right());
  }

  void finish_tile() {
    if (segments_ == 0) return;
    const ConvMaxSegment& last = segment_[segments_ - 1];
    PanelProduct<C> product;
    product.rows = last.window + last.count;
    product.k = shape_.width * shape_.in;
    product.a = room_.rows;
    product.lda = shape_.in;
    product.c = room_.sums;
    product.vector_stride = row_kernel<C>().lanes;
    for (int64_t panel = 0; panel < panels_.panels; ++panel) {
      const PanelColumns columns = panel_columns(shape_.filters, 1, row_kernel<C>().lanes, panel);
      product.panel = panels_.panel(shape_, panel);
      product.vectors = columns.vectors;
      product.init = panels_.bias + columns.first;
      product.ldc = columns.vectors * columns.lanes;
      row_kernel<C>().product(product);
      const int64_t valid = std::min(shape_.filters - columns.first, product.ldc);
      for (int64_t k = 0; k < segments_; ++k) take_maxima(segment_[k], product.ldc, columns.first, valid);
    }
    segments_ = 0;
  }

  // Takes the maxima of a segment for the columns of one panel, and writes y if the word ends there.
  void take_maxima(const ConvMaxSegment& segment, int64_t columns, int64_t first, int64_t valid) {
    const int64_t begin = args_.offsets[segment.word], length = args_.offsets[segment.word + 1] - begin;
    ColumnMaxima<C> maxima;
    maxima.values = room_.sums + segment.window * columns;
    maxima.rows = segment.count;
    maxima.ld = maxima.columns = columns;
    C* largest = maxima.largest = room_.found;
    int64_t* at = maxima.at = room_.found_at;
    row_kernel<C>().column_maxima(maxima);
    if (segment.count < length) {
      largest = room_.largest + first;
      at = room_.at + first;
      for (int64_t j = 0; j < columns; ++j) {
        const bool replaces = segment.position == 0 || (!(room_.found[j] <= largest[j]) && largest[j] == largest[j]);
        if (!replaces) continue;
        largest[j] = room_.found[j];
        at[j] = segment.position + room_.found_at[j];
      }
      if (segment.position + segment.count < length) return;
    }
    if (args_.activation == Activation::kTanh) row_kernel<C>().tanh(columns, largest);
    T* const y = static_cast<T*>(args_.y) + segment.word * args_.ldy + first;
    if (args_.activation == Activation::kRelu)
      for (int64_t j = 0; j < valid; ++j) y[j] = static_cast<T>(largest[j] <= 0 ? C(0) : largest[j]);
    else
      for (int64_t j = 0; j < valid; ++j) y[j] = static_cast<T>(largest[j]);
    if (args_.argmax == nullptr) return;
    int64_t* const argmax = args_.argmax + segment.word * shape_.filters + first;
    for (int64_t j = 0; j < valid; ++j) argmax[j] = begin + at[j];
  }

  void write_empty(int64_t word) const {
    std::fill_n(static_cast<T*>(args_.y) + word * args_.ldy, shape_.filters, T(0));
    if (args_.argmax != nullptr) std::fill_n(args_.argmax + word * shape_.filters, shape_.filters, int64_t{-1});
  }

  const ConvMaxForwardArgs& args_;
  const ConvMaxShape& shape_;
  const ConvMaxPanels<C>& panels_;
  const ConvMaxRoom<C>& room_;
  int64_t segments_ = 0;
  ConvMaxSegment segment_[kConvTile];
};

template <class T>
void conv_max_forward(int64_t threads, const ConvMaxForwardArgs& args) {
  using C = ComputeType<T>;
  const ConvMaxShape& shape = args.shape;
  if (shape.words == 0) return;
  Carver carver(args.workspace);
  const ConvMaxPanels<C> panels(shape, carver);
  arrange_filters(shape, static_cast<const T*>(args.weight), panels.arranged);
  for (int64_t k = 0; k < panels.panels; ++k)
    pack_panel(panel_columns(shape.filters, 1, row_kernel<C>().lanes, k), panels.arranged, shape.width * shape.in, true,
               0, shape.width * shape.in, panels.panel(shape, k));
  std::fill_n(panels.bias, panels.columns, C(0));
  if (args.bias != nullptr) convert(shape.filters, static_cast<const T*>(args.bias), panels.bias);

  const int64_t used = conv_max_threads(threads, shape);
  Carver counted(nullptr);
  ConvMaxRoom<C>(shape, panels.columns, panels.panel_columns, counted);
  char* const rooms = static_cast<char*>(args.workspace) + carver.bytes();
  std::atomic<int64_t> next{0};
  parallel_for(used, used, [&](int64_t thread) {
    Carver own(rooms + thread * counted.bytes());
    const ConvMaxRoom<C> room(shape, panels.columns, panels.panel_columns, own);
    ConvMaxForward<T> forward(args, panels, room);
    for (int64_t begin; (begin = next.fetch_add(kConvPieceWords)) < shape.words;)
      forward.run(begin, std::min(begin + kConvPieceWords, shape.words));
  });
}

}  // namespace varlstm::host
