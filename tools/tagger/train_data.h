// What training reads: files with tags, and pretrained vectors for their words.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "conllu.h"
#include "corpus.h"
#include "network_shape.h"
#include "options.h"
#include "pretrained.h"
#include "vocabulary.h"

namespace tagger {

// What is learned from, as numbers: the texts themselves are not needed any longer.
struct TrainData {
  Vocabulary vocabulary;
  Corpus train, dev;
  Pretrained pretrained;  // without its words, which are in the vocabulary
};

TrainData read_train_data(const Options& options, Column column);

// Lines about the vectors and how many words have one.
std::string vectors_text(const Pretrained& vectors);

// Puts the vectors into the rows of the embedding table; returns which rows they took.
std::vector<bool> place_vectors(const Pretrained& vectors, const NetworkShape& shape, std::vector<float>* parameters);

}  // namespace tagger
