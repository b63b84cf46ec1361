// Pretrained word vectors for a vocabulary: which row of the embedding table begins as which row of a file.
//
// A form takes the vector of the token that equals it, else that of the token that equals it in lower case. Of a token
// that occurs more than once the first row counts.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "conllu.h"
#include "corpus.h"
#include "vocabulary.h"
#include "word_list.h"

namespace tagger {

// How many words of a file of sentences, and how many different forms of them, have a vector.
struct Coverage {
  int64_t words = 0, exact_words = 0, lower_words = 0;
  int64_t forms = 0, exact_forms = 0, lower_forms = 0;

  std::string to_text() const;  // "95.2 % of 204607 words, 88.1 % of 19673 forms (3.4 % in lower case)"
};

struct Pretrained {
  std::string path;
  const char* form = "";  // of the file
  int64_t features = 0;
  int64_t rows = 0;        // of the file
  int64_t duplicates = 0;  // rows of tokens that an earlier row has
  int64_t unusable = 0;    // rows left out, because no form can be so (only if all rows are kept)
  Coverage train, dev;

  // What the vocabulary gets behind the forms of the training files: those of the dev file that have a vector, and then
  // the other tokens of the file, if they are kept.
  std::vector<std::string> dev_words;
  WordList other_words;
  // Rows of the embedding table from Vocabulary::kFirstWord on: for the words of training [*, features] with zeros
  // where there is no vector, then for dev_words; has_vector tells which of them have one.
  std::vector<float> vectors;
  std::vector<bool> has_vector;
  int64_t other_rows = 0;
  std::vector<std::vector<float>> other_vectors;  // [other_rows, features], in pieces, none of which had to grow
};

// Reads the file. The vocabulary has the words of training; if they are in lower case, so are the file's tokens.
// keep_all: other_words are wanted. A progress bar is shown on a terminal. Error as VectorFile has it.
Pretrained read_pretrained(const std::string& path, const Vocabulary& vocabulary, const std::vector<Document>& train,
                           const Document& dev, bool keep_all);

}  // namespace tagger
