// Word forms and tags, each with the number that stands for it in the network.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "conllu.h"
#include "word_list.h"

namespace tagger {

class Vocabulary {
 public:
  // What pretrained vectors, the features of characters and words in lower case bring.
  struct Extras {
    int64_t not_trained = 0;        // so many of the words, the last ones, are in no training file
    bool tries_lower_case = false;  // a form that is not in the list has the row of its lower case, if that is there
    std::vector<std::string> characters = {};  // that the network tells apart; empty: it reads none
    bool lower_case_words = false;             // the words are in lower case, and so is a form that is looked up
  };

  // Rows of the embedding table that stand for no word of their own; word k of the list has row k + kFirstWord.
  static constexpr int64_t kPadding = 0, kUnknown = 1, kFirstWord = 2;
  // The same of the characters' table.
  static constexpr int64_t kUnknownCharacter = 0, kFirstCharacter = 1;
  // A word that has no tag, which neither the loss nor the accuracy counts, and a tag that training has not seen.
  static constexpr int64_t kNoTag = -1, kUnseenTag = -2;

  // Error naming list, index and value if a tag or character is there twice or CoNLL-U could not hold an entry
  // (text.h), and if there is no tag at all.
  Vocabulary(WordList words, std::vector<std::string> tags) : Vocabulary(std::move(words), std::move(tags), {}) {}
  Vocabulary(WordList words, std::vector<std::string> tags, const Extras& extras);
  // Every form of the documents, in the order of their first use, and every tag, sorted.
  static Vocabulary of(const std::vector<Document>& documents);
  // The characters that at least two of the words have, sorted. The others teach the network what a character that it
  // does not know is like.
  static std::vector<std::string> characters_of(const WordList& words);
  // The words in lower case, each once, in the order of their first occurrence.
  static WordList in_lower_case(const WordList& words);

  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  int64_t word_rows() const { return static_cast<int64_t>(words_.size()) + kFirstWord; }
  int64_t tag_count() const { return static_cast<int64_t>(tags_.size()); }
  std::string word_of(std::string_view form) const;  // what a form is looked up as
  int64_t word_id(std::string_view form) const;      // kUnknown where it is not in the list
  bool was_trained(std::string_view form) const;     // whether word_of(form) was in a training file
  int64_t tag_id(std::string_view tag) const;        // kUnseenTag where it is not in the list
  int64_t character_rows() const { return static_cast<int64_t>(extras_.characters.size()) + kFirstCharacter; }
  // Appends the rows of a form's characters, if the network reads any.
  void add_characters(std::string_view form, std::vector<int64_t>* rows) const;
  const std::string& tag(int64_t id) const { return tags_[static_cast<size_t>(id)]; }

  const WordList& words() const { return words_; }
  const std::vector<std::string>& tags() const { return tags_; }
  const Extras& extras() const { return extras_; }
  int64_t trained_words() const { return static_cast<int64_t>(words_.size()) - extras_.not_trained; }

 private:
  // The keys are views of the lists' strings: a move keeps those in place, a copy would not and is not offered.
  using Index = std::unordered_map<std::string_view, int64_t>;
  WordList words_;
  std::vector<std::string> tags_;
  Index tag_index_, character_index_;
  Extras extras_;
};

}  // namespace tagger
