// Memory that the next part of a product needs. It is asked for bit by bit while this part is computed: requests all at
// once are more than a core has in flight, and would be waited for.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/gemm/weight_panel.h"

namespace varlstm::host {

template <class T>
class Ahead {
 public:
  void add(const T* first, int64_t ld, int64_t rows, int64_t width) {
    if (rows > 0) blocks_[count_++] = {first, ld, rows, width};
  }

  // What pack_panel will read.
  void add_weight(const PanelColumns& columns, const T* weight, int64_t ld, bool transposed, int64_t k_begin,
                  int64_t k) {
    for (int v = 0; v < (transposed ? columns.vectors : columns.runs()); ++v) {
      const int64_t column = columns.column(v);
      if (transposed)
        add(weight + column * ld + k_begin, ld, columns.valid(v), k);
      else
        add(weight + k_begin * ld + column, ld, k, columns.run());
    }
  }

  // Asks for part `part` of `parts`.
  void ask(int64_t part, int64_t parts) const {
    constexpr int64_t kLine = 64 / sizeof(T);
    for (const Block* block = blocks_; block != blocks_ + count_; ++block)
      for (int64_t row = block->rows * part / parts; row < block->rows * (part + 1) / parts; ++row)
        for (int64_t j = 0; j < block->width; j += kLine) __builtin_prefetch(block->first + row * block->ld + j);
  }

 private:
  struct Block {
    const T* first;
    int64_t ld, rows, width;
  };
  Block blocks_[2 * kPanelVectors];
  int count_ = 0;
};

}  // namespace varlstm::host
