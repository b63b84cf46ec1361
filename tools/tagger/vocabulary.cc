// Word forms and tags, each with its number.
// SPDX-License-Identifier: Apache-2.0
#include "vocabulary.h"

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "error.h"
#include "text.h"

namespace tagger {

Vocabulary::Vocabulary(WordList words, std::vector<std::string> tags, const Extras& extras)
    : words_(std::move(words)), tags_(std::move(tags)), extras_(extras) {
  if (tags_.empty()) fail("the list of tags is empty");
  const auto fill = [](const std::vector<std::string>& list, int64_t first, const char* name, auto fault_of,
                       Index* index) {
    index->reserve(list.size());
    for (size_t k = 0; k < list.size(); ++k) {
      if (const std::string fault = fault_of(list[k]); !fault.empty())
        fail("{}[{}] = {} {}", name, k, in_quotes(list[k]), fault);
      const auto [entry, is_new] = index->emplace(list[k], first + static_cast<int64_t>(k));
      if (!is_new) fail("{}[{}] = {} is {}[{}] already", name, k, in_quotes(list[k]), name, entry->second - first);
    }
  };
  for (size_t k = 0; k < words_.size(); ++k)
    if (const std::string fault = form_fault(words_[k]); !fault.empty())
      fail("words[{}] = {} {}", k, in_quotes(words_[k]), fault);
  fill(tags_, 0, "tags", tag_fault, &tag_index_);
  const auto character_fault = [](const std::string& text) {
    return form_fault(text).empty() && characters_in(text).size() == 1 ? "" : std::string("is not one character");
  };
  fill(extras_.characters, kFirstCharacter, "characters", character_fault, &character_index_);
}

Vocabulary Vocabulary::of(const std::vector<Document>& documents) {
  WordList words;
  std::set<std::string> tags;
  for (const Document& document : documents) {
    for (int64_t w = 0; w < document.words(); ++w) {
      words.add(document.form(w));
      if (document.has_tag(w)) tags.emplace(document.tag(w));
    }
  }
  return Vocabulary(std::move(words), {tags.begin(), tags.end()});
}

std::vector<std::string> Vocabulary::characters_of(const WordList& words) {
  std::map<std::string, int64_t> words_with;
  for (size_t k = 0; k < words.size(); ++k) {
    std::set<std::string> of_word;
    for (const std::string_view character : characters_in(words[k])) of_word.emplace(character);
    for (const std::string& character : of_word) ++words_with[character];
  }
  std::vector<std::string> characters;
  for (const auto& [character, count] : words_with)
    if (count > 1) characters.push_back(character);
  return characters;
}

WordList Vocabulary::in_lower_case(const WordList& words) {
  WordList lower;
  for (size_t k = 0; k < words.size(); ++k) lower.add(lower_case(words[k]));
  return lower;
}

void Vocabulary::add_characters(std::string_view form, std::vector<int64_t>* rows) const {
  if (extras_.characters.empty()) return;
  for (const std::string_view character : characters_in(form)) {
    const auto found = character_index_.find(character);
    rows->push_back(found == character_index_.end() ? kUnknownCharacter : found->second);
  }
}

std::string Vocabulary::word_of(std::string_view form) const {
  return extras_.lower_case_words ? lower_case(form) : std::string(form);
}

int64_t Vocabulary::word_id(std::string_view form) const {
  std::optional<size_t> found = words_.find(word_of(form));
  if (!found && extras_.tries_lower_case) found = words_.find(lower_case(form));
  return found ? static_cast<int64_t>(*found) + kFirstWord : kUnknown;
}

bool Vocabulary::was_trained(std::string_view form) const {
  const std::optional<size_t> found = words_.find(word_of(form));
  return found && static_cast<int64_t>(*found) < trained_words();
}

int64_t Vocabulary::tag_id(std::string_view tag) const {
  const auto found = tag_index_.find(tag);
  return found == tag_index_.end() ? kUnseenTag : found->second;
}

}  // namespace tagger
