// The sort behind embedding's gradient, seen from inside: rows left unsorted would give the right sums on one thread
// and a race on several, which no test through varlstm.h finds every time.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "host/ops/embedding.h"
#include "support/random.h"

namespace varlstm::host {
namespace {

TEST(SortById, IsStableForEveryVocabulary) {
  varlstm_test::Random random(81);
  for (const int64_t vocab : {1, 2, 255, 256, 257, 65535, 65536, 65537, 1 << 24, (1 << 24) + 1}) {
    for (const int64_t count : {0, 1, 2, 500}) {
      std::vector<IdRow> entries(static_cast<size_t>(count)), scratch(entries.size());
      for (int64_t row = 0; row < count; ++row) {
        // Both ends of the vocabulary, and a few ids that come often.
        const int64_t id = row % 3 == 0 ? random.integer(0, vocab - 1) : row % 2 * (vocab - 1);
        entries[row] = {id, row};
      }
      std::vector<IdRow> expected = entries;
      std::stable_sort(expected.begin(), expected.end(), [](const IdRow& a, const IdRow& b) { return a.id < b.id; });
      const IdRow* sorted = sort_by_id(entries.data(), scratch.data(), count, vocab);
      for (int64_t k = 0; k < count; ++k) {
        ASSERT_EQ(sorted[k].id, expected[k].id) << "vocab " << vocab << ", entry " << k;
        ASSERT_EQ(sorted[k].row, expected[k].row) << "vocab " << vocab << ", entry " << k;
      }
    }
  }
}

}  // namespace
}  // namespace varlstm::host
