// A network's tags for a whole corpus, and how good they are.
// SPDX-License-Identifier: Apache-2.0
#include "predictor.h"

#include <algorithm>

namespace tagger {

std::vector<int64_t> predict_corpus(Network* network, const Corpus& corpus, int64_t batch_size) {
  std::vector<int64_t> predicted(static_cast<size_t>(corpus.tokens())), tags;
  const std::vector<int64_t> order = longest_first(corpus);
  Batch batch;
  for (int64_t first = 0; first < corpus.sentences(); first += batch_size) {
    const int64_t count = std::min(batch_size, corpus.sentences() - first);
    corpus.fill(order.data() + first, count, &batch);
    network->predict(batch, &tags);
    auto next = tags.begin();
    for (int64_t k = first; k < first + count; ++k) {
      const int64_t sentence = order[static_cast<size_t>(k)];
      std::copy_n(next, corpus.length(sentence), predicted.begin() + corpus.start(sentence));
      next += corpus.length(sentence);
    }
  }
  return predicted;
}

Scores score(const Document& document, const Vocabulary& vocabulary, const std::vector<int64_t>& predicted) {
  Scores scores;
  for (int64_t w = 0; w < document.words(); ++w) {
    if (!document.has_tag(w)) {
      scores.add_untagged();
      continue;
    }
    scores.add(document.tag(w), vocabulary.tag(predicted[static_cast<size_t>(w)]),
               vocabulary.was_trained(document.form(w)));
  }
  return scores;
}

}  // namespace tagger
