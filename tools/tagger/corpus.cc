// A document as numbers, and the order in which training sees it.
// SPDX-License-Identifier: Apache-2.0
#include "corpus.h"

#include <algorithm>
#include <numeric>

namespace tagger {

void Corpus::add(const Document& document, const Vocabulary& vocabulary) {
  const int64_t before = tokens();
  for (int64_t w = 0; w < document.words(); ++w) {
    words_.push_back(vocabulary.word_id(document.form(w)));
    tags_.push_back(document.has_tag(w) ? vocabulary.tag_id(document.tag(w)) : Vocabulary::kNoTag);
    vocabulary.add_characters(document.form(w), &characters_);
    character_starts_.push_back(static_cast<int64_t>(characters_.size()));
  }
  for (int64_t s = 0; s < document.sentences(); ++s) starts_.push_back(before + document.start(s + 1));
}

void Corpus::add_sentence(const std::vector<int64_t>& words, const std::vector<int64_t>& tags) {
  words_.insert(words_.end(), words.begin(), words.end());
  tags_.insert(tags_.end(), tags.begin(), tags.end());
  character_starts_.resize(words_.size() + 1, static_cast<int64_t>(characters_.size()));
  starts_.push_back(static_cast<int64_t>(words_.size()));
}

void Corpus::fill(const int64_t* sentences, int64_t count, Batch* batch) const {
  batch->lengths.clear();
  batch->words.clear();
  batch->tags.clear();
  batch->characters.clear();
  batch->character_starts = {0};
  for (int64_t k = 0; k < count; ++k) {
    const int64_t begin = start(sentences[k]), end = start(sentences[k] + 1);
    batch->lengths.push_back(end - begin);
    batch->words.insert(batch->words.end(), words_.begin() + begin, words_.begin() + end);
    batch->tags.insert(batch->tags.end(), tags_.begin() + begin, tags_.begin() + end);
    const auto starts = character_starts_.begin() + begin;
    const int64_t before = static_cast<int64_t>(batch->characters.size()) - *starts;
    for (int64_t w = 1; w <= end - begin; ++w) batch->character_starts.push_back(before + starts[w]);
    batch->characters.insert(batch->characters.end(), characters_.begin() + *starts,
                             characters_.begin() + starts[end - begin]);
  }
}

BatchLimits Corpus::limits(int64_t batch) const {
  std::vector<int64_t> lengths, characters;
  for (int64_t s = 0; s < sentences(); ++s) {
    lengths.push_back(length(s));
    characters.push_back(characters_of(s));
  }
  BatchLimits limits;
  limits.batch = std::min(batch, sentences());
  const auto sum_of_largest = [&](std::vector<int64_t>* counts) {
    std::sort(counts->begin(), counts->end(), std::greater<>());
    return std::accumulate(counts->begin(), counts->begin() + limits.batch, int64_t{0});
  };
  limits.tokens = sum_of_largest(&lengths);
  limits.characters = sum_of_largest(&characters);
  limits.length = lengths.empty() ? 0 : lengths.front();
  return limits;
}

BatchLimits larger(const BatchLimits& a, const BatchLimits& b) {
  return {std::max(a.batch, b.batch), std::max(a.length, b.length), std::max(a.tokens, b.tokens),
          std::max(a.characters, b.characters)};
}

std::vector<int64_t> longest_first(const Corpus& corpus) {
  std::vector<int64_t> order(static_cast<size_t>(corpus.sentences()));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return corpus.length(a) > corpus.length(b); });
  return order;
}

std::vector<int64_t> shuffled_order(const Corpus& corpus, Random* random) {
  std::vector<int64_t> order(static_cast<size_t>(corpus.sentences()));
  std::iota(order.begin(), order.end(), 0);
  random->shuffle(&order);
  return order;
}

}  // namespace tagger
