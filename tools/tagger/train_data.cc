// Reading what training needs.
// SPDX-License-Identifier: Apache-2.0
#include "train_data.h"

#include <algorithm>
#include <utility>

#include "error.h"
#include "file.h"

namespace tagger {
namespace {

Document read_tagged(const std::string& path, Column column) {
  Document document(read_all(path), path, column);
  document.check_tags();
  document.require_tags();
  return document;
}

// The vocabulary with the words that pretrained vectors bring.
Vocabulary with_vectors(const Vocabulary& vocabulary, Pretrained* pretrained) {
  WordList first = vocabulary.words(), words = std::move(pretrained->other_words);
  for (const std::string& word : pretrained->dev_words) first.add(word);
  words.put_in_front(first);
  Vocabulary::Extras extras = vocabulary.extras();
  extras.tries_lower_case = true;
  extras.not_trained = static_cast<int64_t>(words.size() - vocabulary.words().size());
  return Vocabulary(std::move(words), vocabulary.tags(), extras);
}

}  // namespace

TrainData read_train_data(const Options& options, Column column) {
  std::vector<Document> train;
  for (const std::string& path : options.train) train.push_back(read_tagged(path, column));
  const Document dev = read_tagged(options.dev, column);
  const Vocabulary forms = Vocabulary::of(train);
  Vocabulary::Extras extras;
  extras.lower_case_words = options.word_case == "lower";
  extras.tries_lower_case = extras.lower_case_words;  // so programs that only know this key find the same rows
  if (options.char_filters > 0) extras.characters = Vocabulary::characters_of(forms.words());
  Vocabulary vocabulary(extras.lower_case_words ? Vocabulary::in_lower_case(forms.words()) : forms.words(),
                        forms.tags(), extras);
  Pretrained pretrained;
  if (!options.vectors.empty()) {
    pretrained = read_pretrained(options.vectors, vocabulary, train, dev, options.keep_vectors == "all");
    if (options.embedding_is_given && options.embedding != pretrained.features)
      fail("--embedding = {}, but the vectors of {} have {} features", options.embedding, options.vectors,
           pretrained.features);
    vocabulary = with_vectors(vocabulary, &pretrained);
  }
  Corpus train_corpus;
  for (const Document& document : train) train_corpus.add(document, vocabulary);
  Corpus dev_corpus(dev, vocabulary);
  return {std::move(vocabulary), std::move(train_corpus), std::move(dev_corpus), std::move(pretrained)};
}

std::string vectors_text(const Pretrained& vectors) {
  std::string text =
      fmt::format("vectors: {}, {} rows of {} features ({}); train: {}; dev: {}\n", vectors.path, vectors.rows,
                  vectors.features, vectors.form, vectors.train.to_text(), vectors.dev.to_text());
  if (vectors.duplicates > 0)
    text += fmt::format("vectors: {} rows have the token of an earlier row, which counts\n", vectors.duplicates);
  if (vectors.unusable > 0)
    text += fmt::format("vectors: {} rows are left out: CoNLL-U cannot hold their tokens\n", vectors.unusable);
  return text;
}

std::vector<bool> place_vectors(const Pretrained& vectors, const NetworkShape& shape, std::vector<float>* parameters) {
  std::vector<bool> taken(static_cast<size_t>(shape.words), false);
  float* row = parameters->data() + dense_parameter_count(shape) + Vocabulary::kFirstWord * shape.embedding;
  const float* vector = vectors.vectors.data();
  for (size_t word = 0; word < vectors.has_vector.size(); ++word, row += shape.embedding, vector += shape.embedding) {
    if (!vectors.has_vector[word]) continue;
    std::copy_n(vector, shape.embedding, row);
    taken[word + Vocabulary::kFirstWord] = true;
  }
  return taken;
}

}  // namespace tagger
