// Word dropout (Kiperwasser & Goldberg 2016): in training, a word that occurs n times in the corpus becomes the unknown
// word with probability alpha / (alpha + n). So the unknown row learns what rare words are like, which is what unknown
// words are, while frequent words are hardly ever hidden.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "corpus.h"
#include "random.h"
#include "vocabulary.h"

namespace tagger {

class WordDropout {
 public:
  // rows: of the embedding table. alpha 0 hides nothing.
  WordDropout(const Corpus& corpus, int64_t rows, double alpha) {
    if (alpha <= 0) return;
    std::vector<int64_t> counts(static_cast<size_t>(rows), 0);
    for (int64_t n = 0; n < corpus.tokens(); ++n) ++counts[static_cast<size_t>(corpus.word(n))];
    for (int64_t count : counts) probability_.push_back(alpha / (alpha + static_cast<double>(count)));
  }

  void apply(Batch* batch, Random* random) const {
    if (probability_.empty()) return;
    for (int64_t& word : batch->words)
      if (random->uniform() < probability_[static_cast<size_t>(word)]) word = Vocabulary::kUnknown;
  }

 private:
  std::vector<double> probability_;  // of each row; empty: nothing is hidden
};

}  // namespace tagger
